"""Check that a file can be written before the work begins, and flush written files to disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from cofactor.errors import ConfigError


def check_path(path: Any, what: str = "the file") -> Path:
    """Return a path; ConfigError for anything but a text or a path, and for an empty text."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise ConfigError(f"{what} is {path!r}; give its path as text")
    try:
        fine = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        fine = False
    if not fine:
        raise ConfigError(f"{what} is {os.fspath(path)!r}, which is not a valid file name")
    return Path(path)


def check_file(path: Any, what: str = "the file", *, makes_folders: bool = False) -> Path:
    """Return ``path`` if a file can be written there.

    ConfigError where it is a folder, where writing is not permitted, or where its folder does not exist (unless
    ``makes_folders``: the caller will make missing folders).
    """
    place = check_path(path, what)
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except OSError as exc:  # a name that is too long, or links in a circle
        raise ConfigError(f"cannot write {what} {path}: {exc.strerror}") from None
    if place.is_dir():
        raise ConfigError(f"cannot write {what} {path}: it is a folder; name a file in it")
    if place.exists() and not place.is_file():  # replacing it with a file would break it
        raise ConfigError(f"cannot write {what} {path}: it is a device or a pipe; name a file")
    folder = place.absolute().parent
    while makes_folders and not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        lacks = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}; create it first"
        raise ConfigError(f"cannot write {what} {path}: {lacks}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write {what} {path}: no permission to write in {folder}")
    return place


def open_plain(place: Path, flags: int, mode: int = 0o600) -> int:
    """Open a plain file with ``os.open``: without following links, not inherited by child processes, in binary mode, as
    far as the system has flags for that.
    """
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    return os.open(place, flags, mode)


def sync_file(place: Path) -> None:
    """Flush a file that other code wrote to disk."""
    with open(place, "r+b") as file:  # Windows flushes only files that are open for writing
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the system supports it."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
