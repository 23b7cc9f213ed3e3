"""Run BLAS on one thread, so that products have the same bits at any number of BLAS threads."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ContextDecorator
from typing import Any


class _OneThread(ContextDecorator):
    """A context that sets BLAS to one thread, and restores the setting when the last caller leaves.

    The number of BLAS threads is a setting of the process (or of each thread, where OpenBLAS is built on OpenMP). If
    each caller set and restored it alone, callers in several Python threads would undo each other's setting in the
    middle of a product. So callers are counted.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set the count to zero: at the start, and in a forked process, whose parent may have been inside."""
        self.lock = threading.Lock()
        self.libraries: list[Any] = []
        self.with_scipy: bool | None = None
        self.process = _Callers()
        self.threads = threading.local()

    def __enter__(self) -> None:
        with self.lock:
            with_scipy = "scipy.linalg" in sys.modules  # scipy has its own BLAS
            if with_scipy != self.with_scipy:  # the search for libraries takes a millisecond
                from threadpoolctl import ThreadpoolController  # imported late, so that a model opens sooner

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
    """The number of callers inside, and each library's number of threads before the first caller entered."""

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
    """Set a library's number of threads from any Python thread.

    From threadpoolctl 3.8 on, only the Python thread that first set the number may change it; so this right is released
    before and after.
    """
    release = getattr(library, "clear_controlling_thread", lambda **_: None)
    release(force=True)
    library.set_num_threads(threads)
    release(force=True)


_ONLY = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ONLY.reset)


def one_thread() -> _OneThread:
    """Return a context, also usable as a decorator, in which BLAS and LAPACK run on the calling thread alone.

    It may be nested and entered from several threads at once; the number of threads is restored when the last caller
    leaves. Every product of floats that BLAS may compute (``@``, ``np.dot``, ``np.linalg``, ``scipy.linalg``) must be
    inside one; ``tests/test_blas.py`` checks that.
    """
    return _ONLY
