"""One process that serves: the application, its protocol, and its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cofactor.errors import MissingExtraError
from cofactor.serve.connections.door import Door
from cofactor.serve.connections.turns import AHEAD, FIRST
from cofactor.serve.server.logs import log_requests
from cofactor.serve.server.sockets import QUEUE
from cofactor.serve.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_M_ARENA_MAX, _ARENAS = -8, 2  # constants of glibc's malloc.h
GRACE = 10
"""Seconds for requests in progress when the server stops."""
_OBJECTS = 20_000
"""New objects that trigger the garbage collector; a request makes hundreds, and hardly any in reference cycles."""


def create_app(settings: Settings) -> FastAPI:
    """Return the ASGI application for your own server; it loads its model at startup."""
    found: FastAPI = application().create_app(settings)
    return found


def application() -> Any:
    """Return the module of the application; MissingExtraError without the extra."""
    try:
        import uvicorn  # noqa: F401

        from cofactor.serve.http import app
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("cofactor"):
            raise
        raise MissingExtraError("FastAPI and uvicorn", "serve", "serving a model") from None
    return app


def serve(
    app: FastAPI, settings: Settings, listeners: list[socket.socket], lives: Callable[[], None] = lambda: None
) -> None:
    """Answer requests until a signal; ``lives`` is called regularly from the event loop."""
    sys.setswitchinterval(0.0005)  # so that the event loop, which answers /health, gets its turn among working threads
    gc.collect()
    gc.set_threshold(_OBJECTS)
    gc.freeze()  # permanent objects are not scanned again: scans blocked the process for 80 ms at times
    if settings.access_log:
        log_requests()
    main = server_of(app, settings, lives)
    if len(listeners) == 1:
        main.run(sockets=listeners)
        return
    second = server_of(application().create_app(settings, app.state.live, management=True), settings)
    second.install_signal_handlers = lambda: None

    async def both() -> None:
        beside = asyncio.create_task(second._serve([listeners[1]]))
        await main.serve([listeners[0]])
        second.should_exit = True
        await beside

    asyncio.run(both())


def server_of(app: FastAPI, settings: Settings, lives: Callable[[], None] = lambda: None) -> Any:
    import uvicorn

    from cofactor.serve.connections.idle_timeout import protocol_of

    class Server(uvicorn.Server):
        doors: Sequence[Door] = ()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            most = settings.max_connections
            self.doors = [Door(one, self.connected, most, crowded) for one in sockets or ()]
            for listener in sockets or ():
                listener.listen(QUEUE)
            self.live_on()

        async def connected(self, one: socket.socket) -> None:
            made = protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: made, one)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for door in self.doors:
                door.close()
            await super().shutdown(sockets=sockets)

        def live_on(self) -> None:
            lives()
            asyncio.get_running_loop().call_later(1.0, self.live_on)

    protocol = protocol_of(settings.max_connections, settings.max_body)

    def crowded(ahead: bool) -> bool:
        return protocol.turns.crowded(AHEAD if ahead else FIRST)

    return Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            h11_max_incomplete_event_size=protocol.head,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=1,  # connections accepted at once; the others are left to other workers
            timeout_graceful_shutdown=GRACE,
        )
    )


def few_arenas() -> None:
    """Limit glibc's memory arenas, so that threads share freed memory and the process does not grow.

    ``MALLOC_ARENA_MAX`` takes precedence. With other C libraries this does nothing.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        with contextlib.suppress(ImportError, OSError, AttributeError, TypeError):
            import ctypes

            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
