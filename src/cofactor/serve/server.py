"""The server process: a socket, the application, a quiet log."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from cofactor.errors import ConfigError, MissingExtraError
from cofactor.serve.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application, for a server of your own; it loads its model when that starts it."""
    try:
        import uvicorn  # noqa: F401

        from cofactor.serve.app import create_app
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("cofactor"):
            raise
        raise MissingExtraError("FastAPI and uvicorn", "serve", "serving a model") from None
    return create_app(settings)


def run(settings: Settings, started: Callable[[str, FastAPI], None] = lambda url, app: None) -> None:
    """Serve until a signal ends it; ``started`` is called with the address when the model is loaded.

    BundleError, ConfigError where the model cannot be served, or the port is taken.
    """
    app = create_app(settings)
    import uvicorn

    from cofactor.serve.idle_timeout import IdleTimeoutProtocol

    listener = listening(settings.host, settings.port)
    try:
        app.state.live.open()
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        started(f"http://{host}:{listener.getsockname()[1]}", app)
        config = uvicorn.Config(
            app,
            http=IdleTimeoutProtocol,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        app.state.live.close()


def listening(host: str, port: int) -> socket.socket:
    """A socket on which nothing is accepted yet; ConfigError where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(128)
        except BaseException:
            found.close()
            raise
    except (OSError, UnicodeError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"cannot listen on {host} port {port}: {why}; give another --port or --host") from None
    return found
