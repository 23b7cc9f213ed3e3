"""ASGI middleware that every request passes first: tokens, checks of its head, limits of size and number.

Nothing here computes or waits for a thread, so ``/health`` is always answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from collections.abc import Callable

from cofactor.serve.guard.asgi import App, Message, Receive, Scope, Send, has_body, header, path_of
from cofactor.serve.guard.begun import Begun
from cofactor.serve.guard.budget import Budget
from cofactor.serve.guard.checks import check_headers, check_names, in_origin_form
from cofactor.serve.guard.metrics import Metrics
from cofactor.serve.guard.refused import Refused, answer, send_whole
from cofactor.serve.guard.reply import Reply, Stalled
from cofactor.serve.guard.tokens import ADMIN, ALL, EVENTS, READ, Tokens
from cofactor.serve.guard.tracing import Tracing
from cofactor.serve.settings import Settings

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
BODIES, ANSWERS = 64 << 20, 256 << 20
"""Most bytes of incoming bodies, and of outgoing answers larger than a piece, at once."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_PARTS = (b"range", b"if-range")


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
        path, method = path_of(scope), scope["method"]
        head, asked = method == "HEAD", header(scope, b"x-request-id")
        request = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)
        ended = None if self.tracing is None else self.tracing.begin(method, scope["headers"], request)
        more = [*self.headers, NO_CACHE if _public(path) else NO_STORE, (b"x-request-id", request.encode())]
        inner = dict(scope) | {"method": "GET" if head else method, "request_id": request}  # a copy: the server needs
        # the original method
        if any(name in _PARTS for name, _ in scope["headers"]):  # ranges are ignored: files are small
            inner["headers"] = [one for one in scope["headers"] if one[0] not in _PARTS]
        reply = Reply(self, send, head, more)
        try:
            await self._guarded(inner, path, receive, reply)
        except Refused as exc:
            if not reply.started:
                if header(scope, b"expect"):  # whether the body still comes nobody knows
                    reply.more.append((b"connection", b"close"))
                with contextlib.suppress(Stalled):
                    await answer(reply, exc)
        except Stalled:
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

    async def _guarded(self, scope: Scope, path: str, receive: Receive, reply: Reply) -> None:
        announced = has_body(scope)
        reads = announced and self.takes_body(scope["method"], path)
        if announced and not reads:
            reply.more.append((b"connection", b"close"))  # its body is not read
        check_headers(scope)
        if path == "/health":
            scope["route_path"] = path
            if scope["method"] != "GET":
                raise Refused(405, "/health allows GET, HEAD", allow="GET, HEAD")
            await send_whole(reply, 200, b'{"status":"ok"}', [(b"content-type", b"application/json")])
            return
        if "\0" in path:  # no file and no route
            raise Refused(404, "Not Found")
        check_names(scope, self.settings, writes=self.takes_body(scope["method"], path))
        if path == "*" and scope["method"] == "OPTIONS":  # of the server as a whole
            await send_whole(reply, 200, b"", [(b"allow", b"DELETE, GET, HEAD, OPTIONS, POST")])
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
        scheme, _, token = header(scope, b"authorization").partition(" ")
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
        length = header(scope, b"content-length")
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


_ADMIN_PATHS = ("/v1/users", "/v1/similar-users", "/v1/reload", "/v1/rollback", "/v1/refit", "/v1/experiment")
_EVENT_PATHS = ("/v1/events", "/v1/feedback")


def scope_of(method: str, path: str) -> str:
    """Return the scope that a token needs for a request."""
    if path in _ADMIN_PATHS or (path == "/v1/user" and method == "DELETE"):
        return ADMIN
    return EVENTS if path in _EVENT_PATHS else READ


def _public(path: str) -> bool:
    return path in PUBLIC or path.startswith("/assets/")


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
