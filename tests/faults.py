"""Faults of a disk: a process ends, or an operation fails, at the k-th operation that changes a file.

Covered are the calls of Python's ``os`` and of files that it opens for writing, and the system calls of SQLite, whose
table of them is public. Both are counted in the order in which they happen, if they are about files below one folder.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

ENDED = 77
"""Exit code of a process that ended at its operation."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CALLS = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "fsync", "chmod", "fchmod", "truncate",
          "ftruncate", "link", "symlink")  # fmt: skip
HOWS = ("killed", "torn", "full", "once")
"""``killed``: before the operation; ``torn``: after half of it, if it writes; ``full``: the disk is full from then on;
``once``: this operation alone fails."""
real_write = os.write


class Faults:
    """Counts operations on files below ``folder``, and fails at number ``at`` (0: never) in one of the ways of
    :data:`HOWS`."""

    def __init__(self, folder: Path, at: int, how: str) -> None:
        self.folder, self.at, self.how, self.count, self.off = os.path.abspath(folder), at, how, 0, False
        self._lock = threading.Lock()

    def due(self, where: Any, dir_fd: int | None = None) -> bool:
        """Count an operation on a path or descriptor; return whether it fails."""
        if self.off or not self._is_below(where, dir_fd):
            return False
        with self._lock:
            self.count += 1
            return bool(self.at) and (self.count == self.at or (self.how == "full" and self.count > self.at))

    def _is_below(self, where: Any, dir_fd: int | None) -> bool:
        if isinstance(where, int):
            try:
                path = os.readlink(f"/proc/self/fd/{where}")
            except OSError:
                return False
        else:
            path = os.fsdecode(where)
            if dir_fd is not None:
                path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
        return os.path.abspath(path).startswith(self.folder + os.sep)

    def end(self, half: Callable[[], Any] = lambda: None) -> OSError:
        """End the process, or return the error of the operation."""
        if self.how == "torn":
            half()
        if self.how in ("killed", "torn"):
            os._exit(ENDED)
        return OSError(errno.ENOSPC if self.how == "full" else errno.EIO, "a fault of the test")

    # ---- Python

    def install(self) -> None:
        """Count from now on, in this process."""
        for name in _CALLS:
            self._wrap(name)
        self._wrap("open", lambda flags=0, *_, **__: bool(flags & _WRITES))
        write = os.write

        def written(fd: int, data: Any) -> int:
            if self.due(fd):
                raise self.end(lambda: write(fd, bytes(data)[: len(bytes(data)) // 2]))
            return write(fd, data)

        os.write = written
        self._open_files()
        self._sqlite()

    def _wrap(self, name: str, changes: Callable[..., bool] = lambda *_, **__: True) -> None:
        real = getattr(os, name)

        def call(where: Any, *args: Any, **more: Any) -> Any:
            if changes(*args, **more) and self.due(where, more.get("dir_fd", more.get("src_dir_fd"))):
                raise self.end()
            return real(where, *args, **more)

        setattr(os, name, call)

    def _open_files(self) -> None:
        faults, real = self, io.open

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                if faults.due(self.fileno()):
                    raise faults.end(lambda: super(File, self).write(bytes(data)[: len(bytes(data)) // 2]))
                return super().write(data)

        def opened(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
            if not set(mode) & set("wxa+"):
                return real(file, mode, *args, **more)
            if faults.due(file):
                raise faults.end()
            if "b" not in mode or "+" in mode or args or more:
                return real(file, mode, *args, **more)
            return io.BufferedWriter(File(file, mode.replace("b", "")))

        io.open = builtins.open = opened

    # ---- SQLite

    def _sqlite(self) -> None:
        vfs = _default_vfs()
        long, number, address = ctypes.c_int64, ctypes.c_int, ctypes.c_void_p
        size = ctypes.c_ssize_t
        for name, kinds, changes in (
            ("open", (number, address, number, number), lambda _, flags, __: bool(flags & _WRITES)),
            ("pwrite64", (size, number, address, ctypes.c_size_t, long), lambda *_: True),
            ("pwrite", (size, number, address, ctypes.c_size_t, long), lambda *_: True),
            ("write", (size, number, address, ctypes.c_size_t), lambda *_: True),
            ("ftruncate", (number, number, long), lambda *_: True),
            ("unlink", (number, address), lambda *_: True),
        ):
            self._wrap_system_call(vfs, name, ctypes.CFUNCTYPE(*kinds, use_errno=True), changes)

    def _wrap_system_call(self, vfs: Any, name: str, kind: Any, changes: Callable[..., bool]) -> None:
        there = vfs.contents.get(vfs, name.encode())
        if not there:
            return
        real = kind(there)

        def call(*args: Any) -> int:
            where = ctypes.string_at(args[0]) if name in ("open", "unlink") else args[0]
            if changes(*args) and self.due(where):
                exc = self.end(lambda: real(*args[:2], args[2] // 2, *args[3:]) if "write" in name else None)
                ctypes.set_errno(exc.errno)
                return -1
            return int(real(*args))

        held = kind(call)
        _HELD.append((real, held))
        assert vfs.contents.set(vfs, name.encode(), ctypes.cast(held, ctypes.c_void_p)) == 0


_HELD: list[Any] = []


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs`` up to its calls of the system."""


_SET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Vfs), ctypes.c_char_p, ctypes.c_void_p)
_GET = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Vfs), ctypes.c_char_p)
_Vfs._fields_ = [
    *((name, ctypes.c_int) for name in ("version", "size", "most")),
    *((name, ctypes.c_void_p) for name in ("next", "name", "data")),
    ("calls", ctypes.c_void_p * 13),
    ("set", _SET),
    ("get", _GET),
]


def _default_vfs() -> Any:
    """Raises AttributeError where the SQLite inside Python cannot be reached."""
    import _sqlite3

    find = ctypes.CDLL(_sqlite3.__file__).sqlite3_vfs_find
    find.restype = ctypes.POINTER(_Vfs)
    return find(None)


def reachable() -> bool:
    """Whether faults can be made here: a system with ``fork``, and a Python whose SQLite is a library."""
    with contextlib.suppress(AttributeError, ImportError, OSError):
        return os.path.exists("/proc/self/fd") and hasattr(os, "fork") and bool(_default_vfs())
    return False
