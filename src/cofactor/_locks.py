"""Locks of open files: one holder at a time among all processes. The system releases a lock when its process ends."""

from __future__ import annotations

import importlib
import os
from typing import Any


def try_lock(fd: int) -> bool:
    """Take the lock of an open file without waiting, and return whether it is held now. Closing the descriptor releases
    it.

    OSError where the file cannot be locked at all.
    """
    try:
        fcntl: Any = importlib.import_module("fcntl")
    except ImportError:  # Windows
        return _on_windows(fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by this descriptor alone
    except (BlockingIOError, PermissionError):
        return False
    return True


def _on_windows(fd: int) -> bool:
    msvcrt: Any = importlib.import_module("msvcrt")
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    except PermissionError:
        return False
    return True
