"""Executors run the jobs: on processes of this machine, or on a Spark cluster. An executor only maps a function over
jobs.

A job may run twice, and a worker may end at any time. A job therefore depends only on its arguments and on files, and
writes each file completely or not at all.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Protocol

from cofactor._validate import check_int
from cofactor.errors import CofactorError, ConfigError

ATTEMPTS = 4
"""Number of attempts before a job counts as failed, as in Spark."""


class Executor(Protocol):
    """Calls a function of a module, with one argument, for each job. ``workers``: the number of jobs at a time."""

    workers: int

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> list[Any]:
        """Return the results in the order of the jobs. The first error of a job is raised."""
        ...


class Failed:
    """An error of this package, on its way back from a worker."""

    def __init__(self, error: CofactorError) -> None:
        self.error = error


def guarded(function: Callable[[Any], Any], job: Any) -> Any:
    """Return the function's result, or its error in words."""
    try:
        return function(job)
    except CofactorError as error:
        return Failed(error)


def opened(results: list[Any]) -> list[Any]:
    """Return the results, or raise the first error among them."""
    for result in results:
        if isinstance(result, Failed):
            raise result.error
    return results


class Here:
    """Runs the jobs one by one in this process."""

    workers = 1

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> list[Any]:
        """See :class:`Executor`."""
        return [function(job) for job in jobs]


class Processes:
    """``n`` Python processes of this machine, started when first needed. Each job runs on one core.

    A process that ends (for lack of memory, for example) is replaced and its job is restarted, with four attempts in
    all. The processes end with :meth:`close`, with the ``with`` block, or with this process, however that ends.
    """

    def __init__(self, n: int) -> None:
        self.workers = check_int("the number of processes", n, 1)
        self.started: list[_Worker] = []
        weakref.finalize(self, _close, self.started)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes. The next ``map`` starts new ones."""
        _close(self.started)

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> list[Any]:
        """See :class:`Executor`. Raises ConfigError if a job ends its process in every attempt."""
        todo: queue.SimpleQueue[tuple[int, Any, int]] = queue.SimpleQueue()
        for at, job in enumerate(jobs):
            todo.put((at, job, 1))
        count = todo.qsize()
        found: list[Any] = [None] * count
        while len(self.started) < min(self.workers, count):
            self.started.append(_Worker(max(1, (os.cpu_count() or 1) // self.workers)))
        failures: list[BaseException] = []

        def feed(worker: _Worker) -> None:
            while not failures:
                try:
                    at, job, attempt = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    found[at] = worker.call(function, job)
                    if isinstance(found[at], Failed):
                        failures.append(found[at].error)
                except _Ended as ended:
                    worker.restart()
                    if attempt == ATTEMPTS:
                        failures.append(
                            ConfigError(
                                f"a worker process ended {ATTEMPTS} times in the same job ({ended}); it may need more"
                                " memory than there is; use fewer processes or a smaller block_rows"
                            )
                        )
                    todo.put((at, job, attempt + 1))
                except BaseException as error:
                    failures.append(error)

        threads = [threading.Thread(target=feed, args=(worker,), daemon=True) for worker in self.started]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)  # so that Ctrl-C is noticed
        except BaseException:
            failures.append(KeyboardInterrupt())
            self.close()
            raise
        if failures:
            raise failures[0]
        return found


class _Ended(Exception):
    """A worker process ended instead of answering."""


def _close(started: list[_Worker]) -> None:
    while started:
        started.pop().end()


class _Worker:
    """One process and its two pipes."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.start()

    def start(self) -> None:
        n = str(self.threads)
        kinds = ("NUMBA_NUM", "OPENBLAS_NUM", "OMP_NUM", "MKL_NUM", "POLARS_MAX")
        program = f"import sys; sys.path[:] = {sys.path!r}; from cofactor.engines.executors import work; work()"
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **{f"{kind}_THREADS": n for kind in kinds}},
            )
        except OSError as error:
            raise ConfigError(f"no worker process can be started: {error.strerror}") from None

    def restart(self) -> None:
        self.end()
        self.start()

    def call(self, function: Callable[[Any], Any], job: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            _send(self.process.stdin, (function, job))
            result, error = _receive(self.process.stdout)
        except (EOFError, OSError) as exc:
            code = self.process.wait()
            raise _Ended(f"signal {-code}" if code < 0 else f"exit code {code}") from exc
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        self.process.kill()
        self.process.wait()


def _send(pipe: BinaryIO | Any, value: Any) -> None:
    data = pickle.dumps(value)
    pipe.write(len(data).to_bytes(8, "little") + data)
    pipe.flush()


def _receive(pipe: BinaryIO | Any) -> Any:
    head = pipe.read(8)
    if len(head) < 8:
        raise EOFError
    size = int.from_bytes(head, "little")
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)  # from a process of this program's own


def work() -> None:
    """Run a worker process: call functions until the input ends. What jobs print goes to standard error."""
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            function, job = _receive(asked)
        except EOFError:
            return
        try:
            answer: tuple[Any, BaseException | None] = (guarded(function, job), None)
        except Exception as error:
            answer = (None, error)
        try:
            _send(answers, answer)
        except (pickle.PicklingError, TypeError, AttributeError):
            _send(answers, (None, RuntimeError(f"a job's answer cannot be sent: {answer!r}"[:500])))


class Spark:
    """The workers of a Spark session. cofactor must be installed there, and the work folder must be shared."""

    def __init__(self, session: Any) -> None:
        try:
            self.context = session.sparkContext
        except (AttributeError, NotImplementedError):  # PySpark raises its own errors
            raise ConfigError(
                "this Spark session has no sparkContext (Spark Connect has none); use a session of a cluster, or"
                " engines.processes(n) on one machine"
            ) from None
        self.workers = int(self.context.defaultParallelism)

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> list[Any]:
        """See :class:`Executor`. Each core gets two tasks, because a Spark task costs more than a small job. Spark
        restarts a task whose worker is lost."""
        listed = list(jobs)
        if not listed:
            return []
        tasks = min(len(listed), 2 * self.workers)
        found = self.context.parallelize(listed, tasks).map(_Call(function)).collect()
        return opened(found)


class _Call:
    """A guarded function that can be pickled."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, job: Any) -> Any:
        return guarded(self.function, job)


def processes(n: int) -> Processes:
    """Return ``n`` processes of this machine, one core each. Training then needs only the memory of its blocks of
    rows."""
    return Processes(n)


def spark(session: Any) -> Spark:
    """Return the workers of a Spark session (not Spark Connect), for :func:`cofactor.engines.fit` and the other
    functions."""
    return Spark(session)
