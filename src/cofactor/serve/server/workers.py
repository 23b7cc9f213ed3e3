"""Several processes: their parent, and what each of them does."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from cofactor.errors import CofactorError, ConfigError, MissingExtraError
from cofactor.serve.server.logs import log_errors
from cofactor.serve.server.process import GRACE, application, create_app, few_arenas, serve
from cofactor.serve.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

log = logging.getLogger("cofactor.serve")
_LOADING = 600
"""Seconds within which a restarted worker must serve."""
_TICK = 0.2
"""Seconds between two checks of the workers by the parent."""


class Beginning(NamedTuple):
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


class Workers:
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
        held = None if self.settings.read_only else application().held(self.settings)
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

    def _begin(self, number: int, metrics: str) -> Beginning:
        """Start a worker without waiting for it."""
        here, there = self._context.Pipe()
        settings = replace(self.settings, leads=number == 0, joins=True)
        told = settings, self.listeners, there, metrics, self._beats, number
        process = self._context.Process(target=_work, args=told, daemon=True)
        process.start()
        there.close()
        self._processes[number] = process
        return Beginning(process, here, time.monotonic())

    def _watch(self, metrics: str) -> None:
        """Restart workers that exited, and kill those without a sign of life. A worker that does not start does not
        delay the others."""
        beginning: dict[int, Beginning] = {}
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
        end = time.monotonic() + GRACE + 5
        for process in self._processes.values():
            process.join(max(0.0, end - time.monotonic()))


def _work(
    settings: Settings, listeners: list[socket.socket], there: Connection, metrics: str, beats: Any, number: int
) -> None:
    """Run a worker: serve until told to stop, or until the parent is gone. It counts up in ``beats`` as a sign of
    life."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics  # before prometheus_client is imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers; a terminal signals all of them
    few_arenas()
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
        time.sleep(GRACE + 5)
        os._exit(1)

    def lives() -> None:
        beats[number] += 1

    threading.Thread(target=look, daemon=True).start()
    try:
        serve(app, settings, listeners, lives)
    finally:
        app.state.live.close()
