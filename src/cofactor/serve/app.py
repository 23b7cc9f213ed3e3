"""The ASGI application: routes to the functions that answer, errors as one sentence."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRouter
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from cofactor._json import to_jsonable
from cofactor._version import __version__
from cofactor.errors import BundleError, CofactorError, MissingExtraError, UnknownIdError
from cofactor.serve import handlers, schemas
from cofactor.serve.live import Busy, Live, Served
from cofactor.serve.metrics import Metrics
from cofactor.serve.middleware import Guard
from cofactor.serve.settings import Settings
from cofactor.serve.store import Event

log = logging.getLogger("cofactor.serve")
PAGES = Path(__file__).parent / "pages"
THREADS = 4
"""Requests that are worked on at once; more wait. Kernels let go of the interpreter, little else does."""

router = APIRouter(prefix="/v1")

ItemText = Annotated[str, Query(min_length=1, max_length=1000)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Words = Annotated[str, Query(max_length=200)]


class Answer(JSONResponse):
    """Strict JSON: numbers that are not finite become null, dates text."""

    def render(self, content: Any) -> bytes:
        return json.dumps(to_jsonable(content), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )


def create_app(settings: Settings) -> FastAPI:
    """An application that loads its model when it starts. Everything it knows is in ``app.state.live``."""
    live, metrics = Live(settings), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        if not live.ready:
            await anyio.to_thread.run_sync(live.open)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(live.close)

    app = FastAPI(
        title="cofactor",
        version=__version__,
        lifespan=lifespan,
        default_response_class=Answer,
        docs_url=None,  # these pages would ask another server for their scripts
        redoc_url=None,
        description="Recommendations, explanations and newer ratings of one model. See docs/serving.md.",
    )
    app.state.live, app.state.metrics = live, metrics
    app.include_router(router)
    app.include_router(plain_routes)
    app.mount("/assets", StaticFiles(directory=PAGES), name="assets")
    for kind in (CofactorError, RequestValidationError, HTTPException, sqlite3.Error, Exception):
        app.add_exception_handler(kind, _failed)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(metrics.around)
    return app


# ---- errors


def _failed(request: Request, exc: Exception) -> Response:
    """One sentence and the status that fits."""
    status, sentence = _status(exc)
    if status == 500:
        number = secrets.token_hex(4)
        log.error("error %s of %s %r", number, request.method, request.url.path, exc_info=exc)
        sentence = f"this should not happen; the log of the server has more, at error {number}"
    return Answer({"error": sentence}, status_code=status)


def _status(exc: Exception) -> tuple[int, str]:
    if isinstance(exc, RequestValidationError):
        return 422, _where(exc.errors()[0])
    if isinstance(exc, HTTPException):
        return exc.status_code, str(exc.detail)
    if isinstance(exc, sqlite3.Error):
        return 503, f"newer ratings cannot be kept ({exc}); nothing was changed"
    for kind, status in ((UnknownIdError, 404), (Busy, 409), (BundleError, 409), (MissingExtraError, 501)):
        if isinstance(exc, kind):
            return status, str(exc)
    return (422, str(exc)) if isinstance(exc, CofactorError) else (500, "")


def _where(error: Any) -> str:
    """What is wrong with a request, and where in it."""
    places = [str(p) for p in error["loc"] if p not in ("body", "query")]
    path = ".".join(p for p in places if not set("-[") & set(p) and p not in ("int", "str", "datetime", "float"))
    message = str(error["msg"]).removeprefix("Value error, ")
    if any(p.startswith("constrained-") for p in places):
        message = "an id must be a whole number or a text"
    return f"{path}: {message}" if path else message


# ---- asking


def _live(request: Request) -> Live:
    found: Live = request.app.state.live
    return found


def _served(request: Request) -> Served:
    return _live(request).now


@router.get("/info")
def info(request: Request) -> Response:
    return Answer(handlers.about(_live(request)))


@router.get("/items")
def items(request: Request, q: Words = "", limit: Limit = 20, offset: Offset = 0) -> Response:
    return Answer(handlers.items(_served(request), q, limit, offset))


@router.get("/item")
def item(request: Request, item: ItemText) -> Response:
    served = _served(request)
    return Answer(handlers.item(served, served.rec.data.item_ids.parse(item)))


@router.get("/users")
def users(request: Request, q: Words = "", limit: Limit = 20, offset: Offset = 0) -> Response:
    return Answer(handlers.users(_served(request), q, limit, offset))


@router.get("/user")
def user(request: Request, user: ItemText, offset: Offset = 0) -> Response:
    served = _served(request)
    return Answer(handlers.user(served, served.rec.data.user_ids.parse(user), offset))


@router.get("/recommend")
def recommend_known(
    request: Request,
    user: ItemText,
    n: Limit = 10,
    seen: bool = False,
    where: Annotated[str | None, Query(min_length=1, max_length=1000)] = None,
) -> Response:
    served = _served(request)
    who = served.rec.data.user_ids.parse(user)
    return Answer(handlers.recommend(served, schemas.Recommend.model_construct(user=who, n=n, seen=seen, where=where)))


@router.post("/recommend")
def recommend(request: Request, asked: schemas.Recommend) -> Response:
    return Answer(handlers.recommend(_served(request), asked))


@router.post("/predict")
def predict(request: Request, asked: schemas.Predict) -> Response:
    return Answer(handlers.predict(_served(request), asked))


@router.get("/similar")
def similar(request: Request, item: ItemText, n: Limit = 10) -> Response:
    served = _served(request)
    return Answer(handlers.similar(served, served.rec.data.item_ids.parse(item), n))


@router.post("/explain")
def explain(request: Request, asked: schemas.Explain) -> Response:
    return Answer(handlers.explain(_served(request), asked))


@router.post("/what-if")
def what_if(request: Request, asked: schemas.WhatIf) -> Response:
    return Answer(handlers.what_if(_served(request), asked))


@router.get("/biases")
def biases(request: Request, n: Limit = 10) -> Response:
    return Answer(handlers.biases(_served(request), n))


@router.get("/map")
def item_map(request: Request, limit: Annotated[int, Query(ge=3, le=100_000)] = 1500) -> Response:
    return Answer(_served(request).catalogue.map(limit))


# ---- telling


@router.post("/events")
def tell(request: Request, told: schemas.NewRatings) -> Response:
    live = _live(request)
    served = live.now
    names = handlers.known_items(served, [e.item for e in told.events])
    new = [name for name in dict.fromkeys(names) if served.rec.items.find(name) < 0]
    now = int(time.time())
    events = [
        Event(
            e.user,
            name,
            served.rec.scale.liked if e.rating is None else e.rating,
            e.time if isinstance(e.time, int) else now,
        )
        for e, name in zip(told.events, names, strict=True)
    ]
    accepted = live.tell(events, told.key)
    assert live.store is not None
    return Answer(
        {"accepted": accepted, "version": live.now.version, "events": live.store.count(), "new_items": new[:20]}
    )


@router.delete("/events")
def forget(request: Request, user: ItemText) -> Response:
    live = _live(request)
    return Answer({"deleted": live.forget(live.now.rec.data.user_ids.parse(user))})


@router.get("/versions")
def versions(request: Request) -> Response:
    return Answer(handlers.versions(_live(request)))


@router.post("/reload")
def reload(request: Request, asked: schemas.Reload) -> Response:
    return Answer({"version": _live(request).reload(None if asked.path is None else Path(asked.path))})


@router.post("/rollback")
def rollback(request: Request, asked: schemas.Rollback) -> Response:
    return Answer({"version": _live(request).rollback(asked.version)})


@router.post("/refit")
def refit(request: Request, asked: schemas.Refit) -> Response:
    _live(request).refit(asked.warm)
    return Answer({"started": True}, status_code=202)


# ---- routes that do not query the model

plain_routes = APIRouter()


@plain_routes.get("/", include_in_schema=False)
def page() -> Response:
    return FileResponse(PAGES / "index.html")


@plain_routes.get("/health")
def health() -> Response:
    return Answer({"status": "ok"})


@plain_routes.get("/ready")
def ready(request: Request) -> Response:
    live = _live(request)
    if not live.ready:
        return Answer({"error": "no model is loaded yet"}, status_code=503)
    return Answer({"status": "ready", "version": live.now.version})


@plain_routes.get("/metrics")
def metrics(request: Request) -> Response:
    return PlainTextResponse(request.app.state.metrics.text(_live(request)), media_type="text/plain; version=0.0.4")
