"""numba functions on plain arrays: no classes, no I/O. Importing a kernel compiles nothing."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event

from cofactor.errors import ConfigError

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise ConfigError(
        "NUMBA_DISABLE_JIT is set, so numba does not compile; cofactor's kernels run compiled only: unset the variable"
        " before Python starts"
    )


def usable(folder: Path) -> bool:
    """Return whether files can be created in ``folder``, or in the nearest existing folder above it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def cache_somewhere(beside: Path, of_user: Callable[[], Path]) -> None:
    """Let numba keep compiled code for this process alone if neither of its two usual places is writable.

    That is so in containers with a read-only file system and no home folder. Otherwise numba would refuse to import a
    cached kernel.
    """
    config: Any = numba.config
    if config.CACHE_DIR or usable(beside) or usable(of_user()):
        return
    folder = tempfile.mkdtemp(prefix="cofactor-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config.CACHE_DIR = folder


def _of_user() -> Path:
    from platformdirs import user_cache_path  # seldom needed

    return user_cache_path("numba", appauthor=False)


cache_somewhere(Path(__file__).parent / "__pycache__", _of_user)


class WithoutCollector(event.Listener):
    """Pause Python's cycle collector while numba compiles. The compiler makes millions of small objects, so that every
    pass over them, and over everything that PyTorch and pandas hold, is useless."""

    depth, was = 0, False

    def on_start(self, event: Any) -> None:
        if self.depth == 0:
            self.was = gc.isenabled()
            gc.disable()
        self.depth += 1

    def on_end(self, event: Any) -> None:
        self.depth -= 1
        if self.depth == 0 and self.was:
            gc.enable()


_events: Any = event
_events.register("numba:compile", WithoutCollector())
