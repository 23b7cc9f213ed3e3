"""Threads do not come along when a process forks: what would then wait for them for ever is refused in a sentence.

polars keeps one pool of threads for the whole process. A child that was forked after the pool had started has none of
them, and most calls of polars would never return. (Kernels and BLAS start their threads again.) A process that was
forked before the pool started, or was started afresh (``spawn``), has nothing to fear.
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
"""Whether the pool was running when this process last forked, or its parent did."""
_lost = False


def check_threads() -> None:
    """ConfigError in a process that was forked after the threads had started, and so would wait for ever."""
    if _lost:
        raise ConfigError(
            "this process was forked from one whose threads were running, and a fork has none of them: start it afresh"
            " (multiprocessing.get_context('spawn'), DataLoader(multiprocessing_context='spawn'), gunicorn without"
            " --preload), or fork before cofactor or polars are first used"
        )


def checks_threads(cls: C) -> C:
    """A class whose public methods call :func:`check_threads` first."""
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
    if torch is not None:  # its threads are gone too, and it would wait for them; one needs no others
        with contextlib.suppress(Exception):
            torch.set_num_threads(1)


def _pool_runs() -> bool:
    """Whether the pool of polars runs in this process: by the names of its threads. Where the system does not tell
    them, it is taken to run once polars is there."""
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
