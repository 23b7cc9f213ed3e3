"""Serving until a signal, in one process or in several."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cofactor.serve.server.logs import log_errors
from cofactor.serve.server.process import create_app, few_arenas, serve
from cofactor.serve.server.sockets import listening, possible_connections
from cofactor.serve.server.workers import Workers
from cofactor.serve.settings import Settings


def run(settings: Settings, started: Callable[[str, Any], None] = lambda url, live: None) -> None:
    """Serve until a signal stops the server.

    When the model is loaded, ``started`` is called with the address and the :class:`cofactor.serve.live.live.Live`, or,
    where worker processes serve it, with the address and a text about the model. BundleError or ConfigError where the
    model cannot be served or the port is taken.
    """
    few_arenas()
    log_errors(as_json=settings.json_logs)
    settings = replace(settings, max_connections=possible_connections(settings.max_connections))
    app = create_app(settings)
    ports = [settings.port] + ([] if settings.management is None else [settings.management])
    listeners: list[socket.socket] = []
    try:
        for port in ports:
            listeners.append(listening(settings.host, port))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{listeners[0].getsockname()[1]}"
        if settings.workers > 1:
            Workers(settings, listeners).run(lambda said: started(url, said))
        else:
            app.state.live.open()
            started(url, app.state.live)
            serve(app, settings, listeners)
    finally:
        for listener in listeners:
            listener.close()
        app.state.live.close()
