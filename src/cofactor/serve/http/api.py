"""The routes under /v1: reading a request, answering it in a thread or in the event loop, and encoding the answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from cofactor._json import to_jsonable
from cofactor.errors import CofactorError
from cofactor.kernels.blocks import in_one_thread
from cofactor.serve.guard.asgi import App, Receive, Scope, Send
from cofactor.serve.guard.metrics import Metrics
from cofactor.serve.guard.refused import Refused
from cofactor.serve.http.errors import explained, without_ids
from cofactor.serve.http.handlers.asked import Asked
from cofactor.serve.http.reading import most_objects, read_body, read_query
from cofactor.serve.http.routes import BY_PATH, Route
from cofactor.serve.live.live import Live
from cofactor.serve.settings import Settings

log = logging.getLogger("cofactor.serve")
_HEAVY_KEPT = 4
"""Number of slow answers kept for a model besides the newest, each for other parameters."""
_SHADOWS = 4
"""Most requests that may wait for a shadow version."""
_WRITERS = 2
"""Threads for requests that write, so that a blocked store does not delay lists."""
_LARGE = 4096
"""Size of a body, in bytes, above which the thread for large requests handles it."""
_SHORT, _RATED, _SHORT_BODY = 0.005, 500, 2048
"""Limits for answers made in the event loop, where a thread would cost more than the answer: mean processor time of
recent such answers in seconds, number of the user's ratings, bytes of the body."""
_AT_FIRST, _FADES = 0.02, 0.9
"""Initial estimate of that processor time, in seconds, and the weight of the earlier mean in the moving mean."""
_PLAIN = frozenset(("user", "history", "n", "seen", "item"))
"""Fields allowed in such a request; other options may take longer."""
_JSON = [(b"content-type", b"application/json")]


class Api:
    """The routes under /v1: a thread reads the request, answers it and encodes the answer as JSON.

    Python threads compete with each other and with the event loop for the interpreter. So all batches and large bodies
    share one thread, and short answers are made in the event loop.
    """

    def __init__(self, app: App, live: Live, settings: Settings, metrics: Metrics) -> None:
        self.app, self.live, self.settings, self.metrics = app, live, settings, metrics
        self._in_shadow = self._writing = 0
        self._most = most_objects(settings)
        self.pool = ThreadPoolExecutor(settings.threads, "cofactor-answer", in_one_thread)
        self.large = ThreadPoolExecutor(1, "cofactor-large", in_one_thread)
        self.writers = ThreadPoolExecutor(_WRITERS, "cofactor-write")
        self.large_writer = ThreadPoolExecutor(1, "cofactor-write-large")
        self.apart = ThreadPoolExecutor(1, "cofactor-heavy")
        self._made = False
        self._loading: asyncio.Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", "")).removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        methods = BY_PATH.get(path)
        if methods is None:
            await self.app(scope, receive, send)
            return
        scope["route_path"] = path
        route = methods.get(scope["method"])
        if route is None:
            allowed = ", ".join(sorted({*methods, *(("HEAD",) if "GET" in methods else ())}))
            raise Refused(405, f"{path} allows {allowed}", allow=allowed)
        if route.query is None and scope["query_string"]:
            where = "give it in the body" if route.body is not None else "leave it out"
            raise Refused(422, f"{route.method} {path} takes no query; {where}")
        try:
            if not self.live.ready:
                await self._load()
            body = (await receive()).get("body", b"") if route.body is not None else b""
            sent = b"%s %s" % (route.method.encode(), body or scope["query_string"]) if route.kept else b""
            kept = self._kept(sent) if sent else None
            if kept is not None:
                content = kept
            elif route.heavy:
                content = await self._once(route, scope)
            else:
                content = await self._run(route, scope, body, sent)
        except Refused:
            raise
        except Exception as exc:
            status, sentence = explained(exc, scope["method"], path)
            more = {"retry_after": "1"} if status == 503 else {}
            raise Refused(status, without_ids(sentence, scope), **more) from None
        headers = [*_JSON, (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": route.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _run(self, route: Route, scope: Scope, body: bytes, sent: bytes) -> bytes:
        asked = None
        if route.short and len(body) <= _SHORT_BODY:
            asked = self._asked(route, scope, body)
            if self._is_short(route, asked) and self._first():
                return self._answered(route, asked, sent)
        late = time.monotonic() + self.settings.body_seconds

        def work() -> bytes:
            if time.monotonic() > late:
                raise Refused(503, "the server is too busy; try again in a moment", retry_after="1")
            return self._answered(route, asked or self._asked(route, scope, body), sent)

        loop = asyncio.get_running_loop()
        large = route.batch or len(body) > _LARGE
        if not route.writes:
            return await loop.run_in_executor(self.large if large else self.pool, work)
        if self._writing >= max(1, self.settings.max_requests // 2):  # the other half is for reads
            raise Refused(503, "too many changes are waiting; try again in a moment", retry_after="1")
        self._writing += 1
        try:
            return await loop.run_in_executor(self.large_writer if large else self.writers, work)
        finally:
            self._writing -= 1

    def _answered(self, route: Route, asked: Asked, sent: bytes) -> bytes:
        """Return an answer; answers about known users are cached."""
        begun = time.thread_time()
        user = asked.what.user if sent and getattr(asked.what, "version", None) is None else None
        if user is not None and route.query is not None:
            user = self.live.now.rec.data.user_ids.parse(user)
        served = self.live.serving(user)
        content = answer(route, asked)
        if user is not None and self.live.serving(user) is served:
            served.catalogue.lists.keep(sent, served.rec, user, content)
            self._shadow(route, asked, user, content)
        if route.short:
            recent, took = served.catalogue.recent, time.thread_time() - begun
            recent[route.run] = _FADES * recent.get(route.run, _AT_FIRST) + (1 - _FADES) * took
        return content

    def _first(self) -> bool:
        """Return whether no other answer was made in this iteration of the event loop.

        Answers for hundreds of connections in one iteration would delay ``/health``. Our own server begins one request
        per iteration; other servers begin all.
        """
        if self._made:
            return False
        self._made = True
        asyncio.get_running_loop().call_soon(self._next_round)
        return True

    def _next_round(self) -> None:
        self._made = False

    def _is_short(self, route: Route, asked: Asked) -> bool:
        """Return whether the answer is short enough for the event loop; see ``_SHORT``."""
        what, user = asked.what, asked.what.user
        if not what.model_fields_set <= _PLAIN:
            return False
        if user is not None and route.query is not None:
            user = self.live.now.rec.data.user_ids.parse(user)
        served = self.live.serving(user)
        if served.catalogue.recent.get(route.run, _AT_FIRST) > _SHORT:
            return False
        rec = served.rec
        code = -1 if user is None else rec.users.code(user)
        if (touched := rec.updates.users.get(code)) is not None:
            return len(touched.rated.items) <= _RATED
        return not 0 <= code < rec.data.n_users or int(rec.data.by_user.counts[code]) <= _RATED

    def _kept(self, sent: bytes) -> bytes | None:
        """Return a cached answer of the version that serves this user, or None; None while a shadow version runs."""
        second, now = self.live.second, self.live.now
        if second is None:
            found = now.catalogue.lists.find(sent, now.rec)
            return None if found is None else found.content
        if second.experiment.mode != "shadow":
            for served in (second.served, now):
                found = served.catalogue.lists.find(sent, served.rec)
                if found is not None and second.experiment.takes(found.who) == (served is not now):
                    return found.content
        return None

    def _shadow(self, route: Route, asked: Asked, user: Any, content: bytes) -> None:
        """Send the request to the shadow version too, in the background, and record the overlap of the lists."""
        second = self.live.second
        if second is None or second.experiment.mode != "shadow" or not second.experiment.takes(user):
            return
        if self._in_shadow >= _SHADOWS:
            return
        self._in_shadow += 1

        def compare() -> None:
            try:
                shown, other = (
                    {row["item"] for row in orjson.loads(text)["recommendations"]}
                    for text in (content, answer(route, asked._replace(beside=second.served)))
                )
                self.metrics.shadow.observe(len(shown & other) / max(len(shown), 1))
            except Exception as exc:
                self.metrics.shadow_errors.inc()
                log.warning("the version in the shadow gives no list: %s", type(exc).__name__)  # words may name people
            finally:
                self._in_shadow -= 1

        self.apart.submit(compare)

    def _asked(self, route: Route, scope: Scope, body: bytes) -> Asked:
        what = None
        if route.body is not None:
            what = read_body(route.body, body, self._most)
        elif route.query is not None:
            what = read_query(route.query, scope["query_string"])
        return Asked(self.live, what, scope["scopes"], scope["request_id"])

    async def _once(self, route: Route, scope: Scope) -> bytes:
        """Return a slow answer, computed once for all clients; after a short wait the client is told to retry."""
        asked = self._asked(route, scope, b"")
        kept: dict[Any, asyncio.Future[bytes]] = self.live.now.catalogue.heavy  # dropped with its model
        key = route.path, asked.what
        found = kept.get(key)
        if found is None or (found.done() and found.exception() is not None):
            if sum(not one.done() for one in kept.values()) > _HEAVY_KEPT:
                raise Refused(503, "too many slow answers are being computed; try again in a moment", retry_after="1")
            for old in [one for one in kept if kept[one].done()][: max(0, len(kept) - _HEAVY_KEPT)]:
                del kept[old]
            found = kept[key] = asyncio.get_running_loop().run_in_executor(self.apart, answer, route, asked)
        try:
            return await asyncio.wait_for(asyncio.shield(found), self.settings.wait_seconds)
        except TimeoutError:
            raise Refused(503, "the answer is being computed; try again in a moment", retry_after="1") from None

    async def _load(self) -> None:
        """Load the model where no startup has run (the application is mounted in another one)."""
        if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
            self._loading = asyncio.get_running_loop().run_in_executor(self.apart, self.live.open)
        try:
            await asyncio.wait_for(asyncio.shield(self._loading), self.settings.wait_seconds)
        except TimeoutError:
            raise Refused(503, "the model is being loaded; try again in a moment", retry_after="1") from None
        except CofactorError as exc:
            raise Refused(503, f"the model could not be loaded: {exc}", retry_after="5") from None


def answer(route: Route, asked: Asked) -> bytes:
    """Return an answer as JSON; NaN and infinite numbers become null."""
    found = route.run(asked)
    if isinstance(found, bytes):
        return found
    try:
        return orjson.dumps(found, default=to_jsonable, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # invalid Unicode, or a number beyond 64 bits
        text = json.dumps(to_jsonable(found), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")
