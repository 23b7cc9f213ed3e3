"""Raise an error in forked processes where calls would hang, since a fork does not copy threads.

polars keeps one pool of threads per process. In a child that was forked after the pool had started, these threads are
missing, and most calls of polars would never return. (Kernels and BLAS start their threads again.) A process that was
forked before the pool started, or was spawned, works normally.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import sys
from typing import Any, TypeVar

from cofactor.errors import ConfigError

C = TypeVar("C", bound=type[Any])

_WORKER = re.compile(r"polars-\d")
_running = False
"""Whether the pool was running when this process, or its parent, last forked."""
_lost = False


def check_threads() -> None:
    """Raise ConfigError in a process that was forked after the threads had started, where calls would hang."""
    if _lost:
        raise ConfigError(
            "this process was forked while threads of polars were running; a fork does not copy them, so calls would"
            " hang: spawn the process (multiprocessing.get_context('spawn'),"
            " DataLoader(multiprocessing_context='spawn'), gunicorn without --preload), or fork before cofactor or"
            " polars are first used"
        )


def checks_threads(cls: C) -> C:
    """Make the public methods of a class call :func:`check_threads` first."""
    for name, found in list(vars(cls).items()):
        if inspect.isfunction(found) and not name.startswith("_"):
            setattr(cls, name, _checked(found))
    return cls


def _checked(function: Any) -> Any:
    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        check_threads()
        return function(*args, **kwargs)

    return checked


def _before() -> None:
    global _running
    _running = _lost or _pool_runs()


def _in_child() -> None:
    global _lost
    _lost = _running
    torch = sys.modules.get("torch")
    if torch is not None:  # its threads are missing too; with one thread it does not wait for them
        with contextlib.suppress(Exception):
            torch.set_num_threads(1)


def _pool_runs() -> bool:
    """Return whether the pool of polars runs in this process, by the names of its threads. Where the system does not
    list threads, return whether polars is loaded."""
    if "polars" not in sys.modules:
        return False
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return True
    for thread in threads:
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/comm") as file:
            if _WORKER.match(file.read()):
                return True
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_in_child)
