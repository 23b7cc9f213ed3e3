"""A request that is refused, and its answer: a problem document."""

from __future__ import annotations

import http
import json
from collections.abc import Iterable

from cofactor.serve.guard.asgi import Header, Send


class Refused(Exception):
    """The request is refused, with a status and a sentence."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
        self.headers = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]


def problem(status: int, sentence: str) -> bytes:
    """Return a problem document (RFC 9457); ``error`` repeats ``detail``."""
    title = http.HTTPStatus(status).phrase
    found = {"type": "about:blank", "title": title, "status": status, "detail": sentence, "error": sentence}
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")


async def answer(send: Send, refused: Refused) -> None:
    headers = [(b"content-type", b"application/problem+json"), *refused.headers]
    await send_whole(send, refused.status, problem(refused.status, refused.sentence), headers)


async def send_whole(send: Send, status: int, body: bytes, headers: Iterable[Header]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
