"""Whether a file can be written, asked before the work; and that what was written lasts."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from cofactor.errors import ConfigError


def check_path(path: Any, what: str = "the file") -> Path:
    """Return a path; ConfigError for anything but a text or a path, and for an empty text."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise ConfigError(f"{what} is {path!r}; give its path as a text")
    try:
        fine = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        fine = False
    if not fine:
        raise ConfigError(f"{what} is {os.fspath(path)!r}, which no file can be called")
    return Path(path)


def check_file(path: Any, what: str = "the file", *, makes_folders: bool = False) -> Path:
    """Return ``path`` if a file can be written there.

    ConfigError where it is a folder, where nothing may be written, or where its folder does not exist (unless
    ``makes_folders`` says that missing ones will be made).
    """
    place = check_path(path, what)
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except OSError as exc:  # a name that is too long, or a ring of links
        raise ConfigError(f"cannot write {what} {path}: {exc.strerror}") from None
    if place.is_dir():
        raise ConfigError(f"cannot write {what} {path}: it is a folder; name a file in it")
    if place.exists() and not place.is_file():  # a file that takes its place would break it
        raise ConfigError(f"cannot write {what} {path}: it is a device or a pipe; name a file")
    folder = place.absolute().parent
    while makes_folders and not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        lacks = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}; make it first"
        raise ConfigError(f"cannot write {what} {path}: {lacks}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write {what} {path}: no permission to write in {folder}")
    return place


def open_plain(place: Path, flags: int, mode: int = 0o600) -> int:
    """Open a plain file with ``os.open``: links are not followed, child processes do not get it, bytes are not
    translated, as far as the system has flags for that.
    """
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    return os.open(place, flags, mode)


def sync_file(place: Path) -> None:
    """Flush a file that was written by others to disk."""
    with open(place, "r+b") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a directory's entries to disk, where the system knows how."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
