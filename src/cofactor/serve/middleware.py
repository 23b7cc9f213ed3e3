"""What every request passes first: who may ask, from which page, how much, and how many at once. Plain ASGI.

A page elsewhere cannot use a browser on this machine to reach the server: the name in ``Host`` must be one of ours
(else any name could be made to point here), ``Origin`` must be the same, and a body must be JSON, which no form sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cofactor.serve.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE, NO_CACHE = (b"cache-control", b"no-store"), (b"cache-control", b"no-cache")
OPEN = ("/health", "/ready")
"""Answered to a crowd too."""
PUBLIC = ("/", *OPEN)
"""Answered without a token, with the assets of the page, in which there is nothing of the model."""


SEND_SECONDS = 20.0
"""Within which a client must read what waits for it, before the next part of an answer."""


class _Stalled(Exception):
    """A client does not read."""


class Refused(Exception):
    """This request is not answered: a status and a sentence."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
        self.headers = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]


class Guard:
    """Around an application."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, path = False, _path(scope)
        caching = NO_CACHE if _public(path) else NO_STORE
        if scope["method"] == "HEAD":
            scope["method"] = "GET"  # the same answer, of which the server leaves the body out

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", []), *HEADERS, caching]
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send(message)
            except TimeoutError:
                raise _Stalled from None

        counted = path not in OPEN
        self.inside += counted
        try:
            check(scope, self.settings)
            if counted and self.inside > self.settings.max_requests:
                raise Refused(503, "too many requests at once; try again in a moment", retry_after="1")
            body = await self._body(scope, receive)
            await self.app(scope, _once(body, receive), sending)
        except Refused as exc:
            if not started:
                with contextlib.suppress(_Stalled):
                    await _answer(sending, exc)
        except _Stalled:
            pass  # the place is for somebody else; the server closes the connection
        finally:
            self.inside -= counted

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """All of the body, which may not be too long, nor take too long."""
        limit = self.settings.max_body
        too_long = Refused(413, f"the body of a request may have {limit:,} bytes at most", connection="close")
        length = _header(scope, b"content-length")
        if length.isdigit() and int(length[:20]) > limit:
            raise too_long
        found = bytearray()
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the request ended early")
                    found += message.get("body", b"")
                    if len(found) > limit:
                        raise too_long
                    if not message.get("more_body", False):
                        return bytes(found)
        except TimeoutError:
            raise Refused(408, "the body of the request took too long", connection="close") from None


def check(scope: Scope, settings: Settings) -> None:
    """Refused where the one who asks may not."""
    host, origin = _header(scope, b"host"), _header(scope, b"origin")
    names = settings.allowed_hosts
    if names is not None and _name(host) not in names:
        raise Refused(421, f"this server is not called {host[:100]!r}; see --allow-host")
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        pass
    elif origin and origin.partition("://")[2] != host:
        raise Refused(403, "a page of another origin may not write here")
    elif scope["method"] == "POST" and _header(scope, b"content-type").partition(";")[0].strip() != "application/json":
        raise Refused(415, "send JSON: Content-Type: application/json")
    if settings.token is not None and not _public(_path(scope)):
        scheme, _, token = _header(scope, b"authorization").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), settings.token.encode()):
            raise Refused(401, "give the token of this server: Authorization: Bearer ...", www_authenticate="Bearer")


def _path(scope: Scope) -> str:
    """The path below the one at which the application is mounted."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _public(path: str) -> bool:
    return path in PUBLIC or path.startswith("/assets/")


def _header(scope: Scope, name: bytes) -> str:
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == name), "")


def _name(host: str) -> str:
    """The name in a Host header, in small letters, without the port."""
    host = host.lower()
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


def _once(body: bytes, receive: Receive) -> Receive:
    """The body in one message; after it whatever else comes."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


async def _answer(send: Send, refused: Refused) -> None:
    body = json.dumps({"error": refused.sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *refused.headers]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
