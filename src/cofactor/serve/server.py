"""The server: sockets, and the application in one or several processes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from cofactor.errors import CofactorError, ConfigError, MissingExtraError
from cofactor.serve.door import Door
from cofactor.serve.logs import log_errors, log_requests
from cofactor.serve.settings import Settings
from cofactor.serve.turns import AHEAD, FIRST

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from fastapi import FastAPI

log = logging.getLogger("cofactor.serve")
_LOADING = 600
"""Seconds within which a restarted worker must serve."""
_M_ARENA_MAX, _ARENAS = -8, 2  # constants of glibc's malloc.h
_QUEUE = 1024
"""Most connections that wait to be accepted."""
_UNREAD = 256 << 10
"""Bytes that the system buffers per connection until the client reads; its own limit is up to 4 MB."""
_GRACE = 10
"""Seconds for requests in progress when the server stops."""
_OBJECTS = 20_000
"""New objects that trigger the garbage collector; a request makes hundreds, and hardly any in reference cycles."""
_FILES, _FEWEST = 80, 8
"""Descriptors reserved for files, and the least limit of connections."""
_TICK = 0.2
"""Seconds between two checks of the workers by the parent."""


def create_app(settings: Settings) -> FastAPI:
    """Return the ASGI application for your own server; it loads its model at startup."""
    found: FastAPI = _application().create_app(settings)
    return found


def _application() -> Any:
    """Return the module of the application; MissingExtraError without the extra."""
    try:
        import uvicorn  # noqa: F401

        from cofactor.serve import app
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("cofactor"):
            raise
        raise MissingExtraError("FastAPI and uvicorn", "serve", "serving a model") from None
    return app


def run(settings: Settings, started: Callable[[str, Any], None] = lambda url, live: None) -> None:
    """Serve until a signal stops the server.

    When the model is loaded, ``started`` is called with the address and the :class:`cofactor.serve.live.Live`, or,
    where worker processes serve it, with the address and a text about the model. BundleError or ConfigError where the
    model cannot be served or the port is taken.
    """
    _few_arenas()
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
            _Workers(settings, listeners).run(lambda said: started(url, said))
        else:
            app.state.live.open()
            started(url, app.state.live)
            _serve(app, settings, listeners)
    finally:
        for listener in listeners:
            listener.close()
        app.state.live.close()


def _serve(
    app: FastAPI, settings: Settings, listeners: list[socket.socket], lives: Callable[[], None] = lambda: None
) -> None:
    """Answer requests until a signal; ``lives`` is called regularly from the event loop."""
    sys.setswitchinterval(0.0005)  # so that the event loop, which answers /health, gets its turn among working threads
    gc.collect()
    gc.set_threshold(_OBJECTS)
    gc.freeze()  # permanent objects are not scanned again: scans blocked the process for 80 ms at times
    if settings.access_log:
        log_requests()
    main = _server(app, settings, lives)
    if len(listeners) == 1:
        main.run(sockets=listeners)
        return
    second = _server(_application().create_app(settings, app.state.live, management=True), settings)
    second.install_signal_handlers = lambda: None

    async def both() -> None:
        beside = asyncio.create_task(second._serve([listeners[1]]))
        await main.serve([listeners[0]])
        second.should_exit = True
        await beside

    asyncio.run(both())


def _server(app: FastAPI, settings: Settings, lives: Callable[[], None] = lambda: None) -> Any:
    import uvicorn

    from cofactor.serve.idle_timeout import protocol_of

    class Server(uvicorn.Server):
        doors: Sequence[Door] = ()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            most = settings.max_connections
            self.doors = [Door(one, self.connected, most, crowded) for one in sockets or ()]
            for listener in sockets or ():
                listener.listen(_QUEUE)
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

    protocol = protocol_of(settings.max_connections)

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
            timeout_graceful_shutdown=_GRACE,
        )
    )


def _few_arenas() -> None:
    """Limit glibc's memory arenas, so that threads share freed memory and the process does not grow.

    ``MALLOC_ARENA_MAX`` takes precedence. With other C libraries this does nothing.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        with contextlib.suppress(ImportError, OSError, AttributeError, TypeError):
            import ctypes

            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def possible_connections(wanted: int) -> int:
    """Return the most connections that are possible, and raise the limit of descriptors as needed.

    Each connection, and each one that waits for a place, takes a descriptor, of which the system may allow fewer.
    """
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError, ValueError):
        return wanted
    needed = 2 * wanted + _FILES
    if soft < needed and (hard < 0 or soft < hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard < 0 else min(needed, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft < 0 or soft >= needed:
        return wanted
    found = min(wanted, max(_FEWEST, (soft - _FILES) // 2))
    if found < wanted:
        log.warning("connections are limited to %d: the system allows %d descriptors (ulimit -n)", found, soft)
    return found


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; ConfigError where that fails."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)
            found.bind(address)
            found.listen(_QUEUE)
        except BaseException:
            found.close()
            raise
    except (OSError, UnicodeError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"cannot listen on {host} port {port}: {why}; give another --port or --host") from None
    return found


# ---- several processes


class _Beginning(NamedTuple):
    """A worker that does not serve yet, the pipe for its report, and its start time."""

    process: Any
    pipe: Connection
    since: float

    def said(self) -> str:
        """Return the worker's report when it began to serve, or raise its error. The pipe must have data."""
        try:
            kind, said = self.pipe.recv()
        except EOFError:
            self.process.join(5)
            raise ConfigError(
                f"a worker exited before it served (exit code {self.process.exitcode}); see the log"
            ) from None
        if kind == "error":
            self.process.join(5)
            self.process.kill()
            raise said
        return str(said)


class _Silence:
    """The time without a sign of life from a worker, counted in checks by the parent, so that time in which the parent
    was stopped does not count."""

    def __init__(self) -> None:
        self._last, self._looks = -1, 0

    def looked(self, beat: int) -> float:
        """Return the seconds since the last sign, after another check."""
        self._looks = self._looks + 1 if beat == self._last else 0
        self._last = beat
        return self._looks * _TICK


class _Workers:
    """The parent of the workers: it holds the state's lock, starts the workers, restarts them, and stops them.

    It serves nothing and loads no model. Arrays of a model above 4 MB are memory-mapped, so the workers share them.
    """

    def __init__(self, settings: Settings, listeners: list[socket.socket]) -> None:
        self.settings, self.listeners = settings, listeners
        self._context = multiprocessing.get_context("spawn")
        self._beats = self._context.RawArray("Q", settings.workers)
        self._stop = threading.Event()
        self._processes: dict[int, Any] = {}

    def run(self, started: Callable[[str], None]) -> None:
        """Run the workers until a signal."""
        held = None if self.settings.read_only else _application().held(self.settings)
        handlers = {s: signal.signal(s, lambda *_: self._stop.set()) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            with tempfile.TemporaryDirectory(prefix="cofactor-metrics-") as metrics:
                said = self._start(0, metrics)  # the first worker installs the model
                for number in range(1, self.settings.workers):
                    self._start(number, metrics)
                started(said)
                self._watch(metrics)
                self._end()
        finally:
            for process in self._processes.values():
                process.kill()
            for which, handler in handlers.items():
                signal.signal(which, handler)
            if held is not None:
                held()

    def _start(self, number: int, metrics: str) -> str:
        """Start a worker, wait until it serves, and return its report, or raise its error."""
        begun = self._begin(number, metrics)
        try:
            begun.pipe.poll(None)
            return begun.said()
        finally:
            begun.pipe.close()

    def _begin(self, number: int, metrics: str) -> _Beginning:
        """Start a worker without waiting for it."""
        here, there = self._context.Pipe()
        settings = replace(self.settings, leads=number == 0, joins=True)
        told = settings, self.listeners, there, metrics, self._beats, number
        process = self._context.Process(target=_work, args=told, daemon=True)
        process.start()
        there.close()
        self._processes[number] = process
        return _Beginning(process, here, time.monotonic())

    def _watch(self, metrics: str) -> None:
        """Restart workers that exited, and kill those without a sign of life. A worker that does not start does not
        delay the others."""
        beginning: dict[int, _Beginning] = {}
        silent = {number: _Silence() for number in self._processes}
        waits = dict.fromkeys(self._processes, 0.0)
        again, most = dict.fromkeys(self._processes, 0.0), self.settings.silent_seconds
        while not self._stop.wait(_TICK):
            for number, process in list(self._processes.items()):
                if (begun := beginning.get(number)) is not None:
                    if begun.pipe.poll():
                        del beginning[number]
                        try:
                            begun.said()
                            waits[number] = 0.0
                        except CofactorError as exc:
                            log.error("worker %d failed to start: %s", number, exc)
                            waits[number] = min(2 * waits[number] + 0.5, 30.0)
                            again[number] = time.monotonic() + waits[number]
                        finally:
                            begun.pipe.close()
                    elif time.monotonic() - begun.since > _LOADING:
                        log.error("worker %d did not start within %d s and is killed", number, _LOADING)
                        process.kill()
                elif process.exitcode is not None and time.monotonic() >= again[number]:
                    log.error("worker %d exited with code %s and is restarted", number, process.exitcode)
                    silent[number] = _Silence()
                    beginning[number] = self._begin(number, metrics)
                elif process.exitcode is None and silent[number].looked(self._beats[number]) > most:
                    log.error("worker %d gave no sign of life for %g s and is killed", number, most)
                    silent[number] = _Silence()
                    process.kill()  # works also for a stopped process that holds a lock

    def _end(self) -> None:
        for process in self._processes.values():
            if process.exitcode is None:
                process.terminate()
        end = time.monotonic() + _GRACE + 5
        for process in self._processes.values():
            process.join(max(0.0, end - time.monotonic()))


def _work(
    settings: Settings, listeners: list[socket.socket], there: Connection, metrics: str, beats: Any, number: int
) -> None:
    """Run a worker: serve until told to stop, or until the parent is gone. It counts up in ``beats`` as a sign of
    life."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics  # before prometheus_client is imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers; a terminal signals all of them
    _few_arenas()
    log_errors(as_json=settings.json_logs)
    app = create_app(settings)
    try:
        app.state.live.open()
    except CofactorError as exc:
        there.send(("error", ConfigError(str(exc)) if isinstance(exc, MissingExtraError) else exc))
        return
    there.send(("serving", f"{app.state.live.now.rec!r}, version {app.state.live.now.version}"))
    there.close()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def look() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE + 5)
        os._exit(1)

    def lives() -> None:
        beats[number] += 1

    threading.Thread(target=look, daemon=True).start()
    try:
        _serve(app, settings, listeners, lives)
    finally:
        app.state.live.close()
