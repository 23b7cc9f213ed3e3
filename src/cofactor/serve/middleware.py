"""ASGI middleware that every request passes first: tokens, allowed hosts and origins, limits of size and number.

A foreign page cannot use a browser on this machine to reach the server: the name in ``Host`` must be an allowed one
(otherwise any name could be made to point here), ``Origin`` must match it, and a body must be JSON, which HTML forms
cannot send. Nothing here computes or waits for a thread, so ``/health`` is always answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote

from cofactor.serve.begun import Begun
from cofactor.serve.budget import Budget
from cofactor.serve.metrics import Metrics
from cofactor.serve.settings import Settings
from cofactor.serve.tokens import ADMIN, ALL, EVENTS, READ, Tokens
from cofactor.serve.tracing import Tracing

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

access = logging.getLogger("cofactor.access")

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
POLICY = "default-src 'self'; img-src 'self' data:{images}; frame-ancestors 'none'; base-uri 'none'"
NO_STORE, NO_CACHE = (b"cache-control", b"no-store"), (b"cache-control", b"no-cache")
OPEN = ("/health", "/ready")
"""Paths that are answered even with too many requests."""
PUBLIC = ("/", *OPEN)
"""Paths that need no token. Neither do the assets of the page, which hold nothing about the model."""
SEND_SECONDS, BYTES_A_SECOND = 20.0, 32 << 10
"""Time in which a client must read an answer, in seconds, and the additional rate for long answers."""
PIECE = 64 << 10
"""Bytes of an answer sent at once; it bounds the memory for a client that does not read."""
BODIES, ANSWERS = 64 << 20, 256 << 20
"""Most bytes of incoming bodies, and of outgoing answers larger than a piece, at once."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class _Stalled(Exception):
    """A client does not read its answer."""


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


class Guard:
    """The middleware around an application.

    ``bodies`` decides by method and path whether a request has a body. ``management`` is True on the management port.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        metrics: Metrics | None = None,
        *,
        bodies: Callable[[str, str], bool] = lambda method, path: method in ("POST", "PUT", "PATCH"),
        management: bool = False,
    ) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self.takes_body, self.management = bodies, management
        self.tokens = Tokens(settings.token, settings.tokens)
        self.tracing = Tracing() if settings.traces else None
        policy = POLICY.format(images=" https:" if settings.images else "").encode()
        self.headers = ((b"content-security-policy", policy), *HEADERS)
        self.inside = 0
        self.bodies, self.answers = Budget(BODIES), Budget(ANSWERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        scope = in_origin_form(scope)
        path, method = _path(scope), scope["method"]
        head, asked = method == "HEAD", _header(scope, b"x-request-id")
        request = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)
        ended = None if self.tracing is None else self.tracing.begin(method, scope["headers"], request)
        more = [*self.headers, NO_CACHE if _public(path) else NO_STORE, (b"x-request-id", request.encode())]
        inner = dict(scope) | {"method": "GET" if head else method, "request_id": request}  # a copy: the server needs
        # the original method
        if any(name in _PARTS for name, _ in scope["headers"]):  # ranges are ignored: files are small
            inner["headers"] = [one for one in scope["headers"] if one[0] not in _PARTS]
        reply = _Reply(self, send, head, more)
        try:
            await self._guarded(inner, path, receive, reply)
        except Refused as exc:
            if not reply.started:
                if _header(scope, b"expect"):  # whether the body still comes nobody knows
                    reply.more.append((b"connection", b"close"))
                with contextlib.suppress(_Stalled):
                    await _answer(reply, exc)
        except _Stalled:
            pass  # the server closes the connection
        finally:
            took = time.perf_counter() - began
            route = inner.get("route_path") or getattr(inner.get("route"), "path", None) or "other"
            if self.metrics is not None:
                self.metrics.count(route, reply.status, took)  # not the path: clients can invent any number of paths
            if ended is not None:
                ended(route, reply.status)
            if self.settings.access_log:
                self._log(inner, method, route, reply.status, took)

    async def _guarded(self, scope: Scope, path: str, receive: Receive, reply: _Reply) -> None:
        announced = _has_body(scope)
        reads = announced and self.takes_body(scope["method"], path)
        if announced and not reads:
            reply.more.append((b"connection", b"close"))  # its body is not read
        check_headers(scope)
        if path == "/health":
            scope["route_path"] = path
            if scope["method"] != "GET":
                raise Refused(405, "/health allows GET, HEAD", allow="GET, HEAD")
            await _send(reply, 200, b'{"status":"ok"}', [(b"content-type", b"application/json")])
            return
        if "\0" in path:  # no file and no route
            raise Refused(404, "Not Found")
        check_names(scope, self.settings, writes=self.takes_body(scope["method"], path))
        if path == "*" and scope["method"] == "OPTIONS":  # of the server as a whole
            await _send(reply, 200, b"", [(b"allow", b"DELETE, GET, HEAD, OPTIONS, POST")])
            return
        scope["scopes"] = ALL if path in PUBLIC or _public(path) else self._allowed(scope, path)
        body = await self._body(scope, receive) if reads else b""
        counted = path not in OPEN
        if counted and self.inside >= self.settings.max_requests:
            raise Refused(503, "too many requests at once; try again in a moment", retry_after="1")
        self.inside += counted
        reply.inside = counted
        try:
            await self.app(scope, _once(body, receive), reply)
        finally:
            reply.leave()

    def _allowed(self, scope: Scope, path: str) -> frozenset[str]:
        """Return the client's scopes; Refused where they do not allow the request."""
        needs = scope_of(scope["method"], path)
        if self.settings.management is not None and not self.management and (needs == ADMIN or path == "/metrics"):
            raise Refused(404, "this path is served on the management port")
        if not self.tokens.asked_for:
            return ALL
        scheme, _, token = _header(scope, b"authorization").partition(" ")
        found = self.tokens.find(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Refused(401, "give the token of this server: Authorization: Bearer ...", www_authenticate="Bearer")
        scope["token"] = found.name
        if needs not in found.scopes:
            wanted = f'Bearer error="insufficient_scope", scope="{needs}"'
            raise Refused(403, f"this request needs a token with the scope {needs!r}", www_authenticate=wanted)
        return found.scopes

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body; Refused where it is too long or takes too long. While it arrives, the request does not
        count as one in progress."""
        limit = self.settings.max_body
        too_long = Refused(413, f"the body of a request may have at most {limit:,} bytes", connection="close")
        length = _header(scope, b"content-length")
        if length.isdecimal() and int(length[:20]) > limit:
            raise too_long
        begun = Begun(receive())
        first: Begun | None = begun
        message: Message = begun.value if begun.done else {"type": ""}
        if message["type"] == "http.request" and not message.get("more_body", False):
            whole: bytes = message.get("body", b"")
            if len(whole) > limit:
                raise too_long
            return whole
        found, end = bytearray(), asyncio.timeout(self.settings.body_seconds)
        try:
            async with end:
                while True:
                    message = await (first if first is not None else receive())
                    first = None
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the request ended before its body was complete")
                    piece = message.get("body", b"")
                    found += piece
                    if len(found) > limit:
                        raise too_long
                    if not message.get("more_body", False):
                        return bytes(found)
                    self.bodies.take(end, len(piece))
        except TimeoutError:
            if not self.bodies.give_back(end) and found:
                words = "too many request bodies are arriving at once; try again in a moment"
                raise Refused(503, words, retry_after="1", connection="close") from None
            raise Refused(408, "the body of the request took too long to arrive", connection="close") from None
        finally:
            self.bodies.give_back(end)

    def _log(self, scope: Scope, method: str, route: str, status: int, took: float) -> None:
        """Log a line of JSON, with the route but not the query, which may contain user ids."""
        client = scope.get("client") or ("",)
        line = {
            "time": round(time.time(), 3), "request": scope["request_id"], "method": method, "route": route,
            "status": status, "ms": round(1000 * took, 2), "client": client[0], "token": scope.get("token"),
        }  # fmt: skip
        access.info(json.dumps(line))


class _Reply:
    """Sends one answer: with the common headers, without a body for HEAD, in pieces where it is long. A client that
    does not read in time is dropped."""

    __slots__ = ("_guard", "_send", "head", "inside", "more", "started", "status")

    def __init__(self, guard: Guard, send: Send, head: bool, more: list[Header]) -> None:
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
            raise _Stalled from None

    async def _in_pieces(self, message: Message, body: bytes, end: asyncio.Timeout) -> None:
        more = message.get("more_body", False)
        self._guard.answers.take(end, len(body))
        try:
            for at in range(0, len(body), PIECE):
                last = at + PIECE >= len(body)
                await self._send({**message, "body": body[at : at + PIECE], "more_body": more or not last})
        finally:
            self._guard.answers.give_back(end)


_PARTS = (b"range", b"if-range")
_LENGTH = "Content-Length or Transfer-Encoding"
_ONCE = {
    b"content-length": _LENGTH, b"transfer-encoding": _LENGTH, b"host": "Host", b"origin": "Origin",
    b"authorization": "Authorization", b"content-type": "Content-Type", b"content-encoding": "Content-Encoding",
}  # fmt: skip
"""Headers that may occur only once, since a proxy might use the other of two."""


def check_headers(scope: Scope) -> None:
    """Raise Refused where headers are ambiguous about the end of the request, the client, or the origin.

    A proxy and this server could also disagree on the end of a request with chunks in HTTP/1.0, or of one in an unknown
    version of HTTP.
    """
    version = scope.get("http_version", "1.1")
    if version not in ("1.0", "1.1"):
        raise Refused(400, f"HTTP/{version} is not supported; use HTTP/1.1", connection="close")
    if version == "1.0" and any(name == b"transfer-encoding" for name, _ in scope["headers"]):
        raise Refused(400, "HTTP/1.0 has no Transfer-Encoding; give Content-Length", connection="close")
    names = [_ONCE[name] for name, _ in scope["headers"] if name in _ONCE]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(400, f"give {twice}, once", connection="close")


_ADDRESS = re.compile(r"https?://([^/?#]+)", re.IGNORECASE)


def in_origin_form(scope: Scope) -> Scope:
    """The same request with a path for its target, where that is a whole address (RFC 9112, 3.2.2): the name in it is
    that of the server, whatever ``Host`` says."""
    root, path = scope.get("root_path", ""), _path(scope)
    found = None if path.startswith("/") else _ADDRESS.match(path)
    if found is None:
        return scope
    host, path = found[1].encode("latin-1", "replace"), root + (path[found.end() :] or "/")
    headers = [(name, host if name == b"host" else value) for name, value in scope["headers"]]
    if all(name != b"host" for name, _ in headers):  # in HTTP/1.0
        headers.append((b"host", host))
    return dict(scope) | {"path": path, "raw_path": quote(path).encode(), "headers": headers}


def check_names(scope: Scope, settings: Settings, *, writes: bool) -> None:
    """Raise Refused for a host name that is not allowed, or a write from a page of another origin. With ``writes`` the
    request has a body, which must be JSON."""
    host, origin = _header(scope, b"host"), _header(scope, b"origin")
    names = settings.allowed_hosts
    if names is not None and _name(host) not in names:
        raise Refused(421, f"the host name {host[:100]!r} is not allowed; allow it with --allow-host")
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return
    if (origin and origin.partition("://")[2] != host) or _header(scope, b"sec-fetch-site") == "cross-site":
        raise Refused(403, "a page of another origin may not write here")
    if writes:
        check_body_kind(_header(scope, b"content-type").lower(), _header(scope, b"content-encoding").lower())


_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]*)")


def check_body_kind(kind: str, coding: str) -> None:
    """Raise Refused where a body is not plain JSON in UTF-8, since another decoding could change ids."""
    if kind.partition(";")[0].strip() != "application/json":
        raise Refused(415, "send JSON: Content-Type: application/json")
    charset = _CHARSET.search(kind)
    if charset is not None and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, f"send JSON in UTF-8, not in {charset[1][:40]!r}")
    if coding.strip() not in ("", "identity"):
        raise Refused(415, "send the body uncompressed, without Content-Encoding", accept_encoding="identity")


_ADMIN_PATHS = ("/v1/users", "/v1/similar-users", "/v1/reload", "/v1/rollback", "/v1/refit", "/v1/experiment")
_EVENT_PATHS = ("/v1/events", "/v1/feedback")


def scope_of(method: str, path: str) -> str:
    """Return the scope that a token needs for a request."""
    if path in _ADMIN_PATHS or (path == "/v1/user" and method == "DELETE"):
        return ADMIN
    return EVENTS if path in _EVENT_PATHS else READ


def _path(scope: Scope) -> str:
    """Return the path relative to the mount point of the application."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _public(path: str) -> bool:
    return path in PUBLIC or path.startswith("/assets/")


def _header(scope: Scope, name: bytes) -> str:
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == name), "")


def _has_body(scope: Scope) -> bool:
    return any(k == b"transfer-encoding" or (k == b"content-length" and v != b"0") for k, v in scope["headers"])


_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]*)?")


def _name(host: str) -> str:
    """Return the name in a Host header, in lower case, without the port; empty where it is not valid."""
    found = _HOST.fullmatch(host.lower())
    return "" if found is None else found[1]


def _once(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body in one message, and then the further messages."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


async def _answer(send: Send, refused: Refused) -> None:
    headers = [(b"content-type", b"application/problem+json"), *refused.headers]
    await _send(send, refused.status, problem(refused.status, refused.sentence), headers)


async def _send(send: Send, status: int, body: bytes, headers: Iterable[Header]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
