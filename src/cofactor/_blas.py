"""BLAS on one thread, so that no bit of a product depends on how many threads BLAS has."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ContextDecorator
from typing import Any


class _OneThread(ContextDecorator):
    """Count the callers inside; give BLAS its threads back when the last one leaves.

    The number of threads of BLAS is one for the process (except where OpenBLAS is built on OpenMP: there each thread
    has its own). If each caller set it and put it back by itself, callers in several Python threads would undo each
    other's setting in the middle of a product.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nobody is inside: at the start, and in a process that was forked off while another thread was inside."""
        self.lock = threading.Lock()
        self.libraries: list[Any] = []
        self.with_scipy: bool | None = None
        self.process = _Callers()
        self.threads = threading.local()

    def __enter__(self) -> None:
        with self.lock:
            with_scipy = "scipy.linalg" in sys.modules  # it brings a BLAS of its own
            if with_scipy != self.with_scipy:  # looking for libraries takes a millisecond
                from threadpoolctl import ThreadpoolController  # a model opens sooner without it

                self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers
                self.with_scipy = with_scipy
            self.process.enter([each for each in self.libraries if not _by_thread(each)])
        self._of_thread().enter([each for each in self.libraries if _by_thread(each)])

    def __exit__(self, *_: object) -> None:
        self._of_thread().leave()
        with self.lock:
            self.process.leave()

    def _of_thread(self) -> _Callers:
        if not hasattr(self.threads, "callers"):
            self.threads.callers = _Callers()
        found: _Callers = self.threads.callers
        return found


class _Callers:
    """The number of callers inside, and the threads that each library had before the first of them."""

    def __init__(self) -> None:
        self.inside = 0
        self.before: dict[str, tuple[Any, int]] = {}

    def enter(self, libraries: list[Any]) -> None:
        self.inside += 1
        for library in libraries:
            if library.filepath not in self.before:
                self.before[library.filepath] = library, library.get_num_threads()
                _set_threads(library, 1)

    def leave(self) -> None:
        self.inside -= 1
        while self.before and not self.inside:
            _set_threads(*self.before.popitem()[1])


def _by_thread(library: Any) -> bool:
    return getattr(library, "threading_layer", "") == "openmp" and library.internal_api == "openblas"


def _set_threads(library: Any, threads: int) -> None:
    """From threadpoolctl 3.8 on, setting does nothing in all Python threads but the one that did it first; hence the
    lock above, and the end of that right here."""
    release = getattr(library, "clear_controlling_thread", lambda **_: None)
    release(force=True)
    library.set_num_threads(threads)
    release(force=True)


_ONLY = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ONLY.reset)


def one_thread() -> _OneThread:
    """A context, or a decorator, in which BLAS and LAPACK run on the calling thread alone.

    It can be entered from several threads at once and inside itself; the number of threads from before comes back when
    the last one leaves. Every product of a table with floats that BLAS may take (``@``, ``np.dot``, ``np.linalg``,
    ``scipy.linalg``) stands inside one; ``tests/test_blas.py`` holds that.
    """
    return _ONLY
