"""Sending one answer, to clients that may read it slowly or not at all."""

from __future__ import annotations

import asyncio
from typing import Protocol

from cofactor.serve.guard.asgi import Header, Message, Send
from cofactor.serve.guard.begun import Begun
from cofactor.serve.guard.budget import Budget

SEND_SECONDS, BYTES_A_SECOND = 20.0, 32 << 10
"""Time in which a client must read an answer, in seconds, and the additional rate for long answers."""
PIECE = 64 << 10
"""Bytes of an answer sent at once; it bounds the memory for a client that does not read."""


class Stalled(Exception):
    """A client does not read its answer."""


class Places(Protocol):
    """Where requests are counted: ``inside`` are in progress, and ``answers`` limits the bytes of long answers."""

    inside: int
    answers: Budget


class Reply:
    """Sends one answer: with the common headers, without a body for HEAD, in pieces where it is long. A client that
    does not read in time is dropped."""

    __slots__ = ("_guard", "_send", "head", "inside", "more", "started", "status")

    def __init__(self, guard: Places, send: Send, head: bool, more: list[Header]) -> None:
        self._guard, self._send, self.head, self.more = guard, send, head, more
        self.started, self.status, self.inside = False, 500, False

    def leave(self) -> None:
        """Free the place of the request: its answer is computed, however slowly the client reads it."""
        self._guard.inside -= self.inside
        self.inside = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.leave()
            self.started, self.status = True, message["status"]
            message["headers"] = [*message.get("headers", []), *self.more]
        elif self.head:
            message = {**message, "body": b""}
        body = message.get("body", b"")
        short = Begun(self._send(message)) if len(body) <= PIECE else None
        if short is not None and short.done:
            return
        end = asyncio.timeout(SEND_SECONDS + len(body) / BYTES_A_SECOND)
        try:
            async with end:
                if short is not None:
                    await short
                else:
                    await self._in_pieces(message, body, end)
        except TimeoutError:
            raise Stalled from None

    async def _in_pieces(self, message: Message, body: bytes, end: asyncio.Timeout) -> None:
        more = message.get("more_body", False)
        self._guard.answers.take(end, len(body))
        try:
            for at in range(0, len(body), PIECE):
                last = at + PIECE >= len(body)
                await self._send({**message, "body": body[at : at + PIECE], "more_body": more or not last})
        finally:
            self._guard.answers.give_back(end)
