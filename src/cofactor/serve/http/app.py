"""The ASGI application: the routes under /v1, those that do not query the model, and the guard around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from cofactor._version import __version__
from cofactor.kernels.blocks import in_one_thread
from cofactor.serve.guard.metrics import Metrics
from cofactor.serve.guard.middleware import Guard
from cofactor.serve.http.api import Api
from cofactor.serve.http.errors import as_answer, failed
from cofactor.serve.http.routes import openapi, takes_body
from cofactor.serve.live.live import Live
from cofactor.serve.models.kept import opened_store
from cofactor.serve.settings import Settings

PAGES = Path(__file__).parents[1] / "pages"


def create_app(settings: Settings, live: Live | None = None, *, management: bool = False) -> FastAPI:
    """Return an application that loads its model at startup. Its state is ``app.state.live``.

    Mounted in another application, which does not run its startup, it loads the model at the first request. ``live`` is
    the state shared with another application of this process. ``management`` makes the application for the management
    port.
    """
    shared = live is not None
    live, metrics = live or Live(settings), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not live.ready:
            await asyncio.to_thread(live.open)
        in_one_thread()
        try:
            yield
        finally:
            if not shared:
                await asyncio.to_thread(live.close)

    app = FastAPI(
        title="cofactor",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,  # these pages load scripts from another server
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # its spans hold queries with user ids; see
    )  # serve/guard/tracing.py for our spans
    description = openapi(__version__)
    app.openapi = lambda: description  # type: ignore[method-assign]
    app.state.live, app.state.metrics = live, metrics
    app.mount("/assets", StaticFiles(directory=PAGES), name="assets")
    _plain_routes(app, live, metrics)
    for kind in (HTTPException, Exception):
        app.add_exception_handler(kind, failed)
    app.add_middleware(Api, live=live, settings=settings, metrics=metrics)
    app.add_middleware(Guard, settings=settings, metrics=metrics, bodies=takes_body, management=management)
    return app


def held(settings: Settings) -> Callable[[], None]:
    """Open and lock the state for the workers; return the function that releases it."""
    store, folder = opened_store(settings)

    def close() -> None:
        store.close()
        folder.close()

    return close


def _plain_routes(app: FastAPI, live: Live, metrics: Metrics) -> None:
    """Add the routes that do not query the model."""

    async def page() -> Response:
        return FileResponse(PAGES / "index.html")

    async def described() -> Response:
        return JSONResponse(app.openapi())

    async def ready() -> Response:
        if not live.ready:
            return as_answer(503, "the model is not loaded yet")
        return JSONResponse({"status": "ready", "version": live.now.version})

    async def measured() -> Response:
        text = await asyncio.to_thread(metrics.text, live)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    for path, answer in (("/", page), ("/openapi.json", described), ("/ready", ready), ("/metrics", measured)):
        app.add_api_route(path, answer, include_in_schema=False)
