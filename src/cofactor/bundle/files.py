"""Atomic replacement of directories: written under another name, flushed to disk, then swapped in.

On Linux the swap is one system call (``renameat2`` with ``RENAME_EXCHANGE``): a reader sees either the old directory or
the new one. Elsewhere the old one is first renamed to ``.NAME.previous``; a reader that finds no directory opens that.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._locks import try_lock
from cofactor._paths import check_path, sync_folder
from cofactor.errors import BundleError, ConfigError

MANIFEST = "manifest.json"
_AT_FDCWD, _EXCHANGE = -100, 2
_PIECE = 8 << 20


def target(path: str | Path) -> Path:
    """Return the path where a bundle would be written, links resolved; BundleError where it cannot be written, or the
    path holds something else."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise BundleError(f"the path of the model is {path!r}; give a path such as 'model.cofactor'")
    try:
        place = Path(os.path.realpath(check_path(path, "the place of the model")))
    except ConfigError as exc:
        raise BundleError(str(exc)) from None
    if os.path.lexists(place) and not is_bundle(place):
        raise BundleError(f"{path} already exists and is not a saved model; choose another name")
    if not place.parent.is_dir():
        raise BundleError(f"cannot write {path}: {place.parent} is not a directory; create it first")
    if not os.access(place.parent, os.W_OK | os.X_OK):
        raise BundleError(f"cannot write {path}: no permission to write in {place.parent}")
    return place


def is_bundle(place: Path) -> bool:
    """Return whether a directory holds a manifest of cofactor, even if the rest is damaged."""
    try:
        with open(place / MANIFEST, "rb") as file:
            return b'"cofactor-bundle"' in file.read(4096)
    except OSError:
        return False


@contextlib.contextmanager
def replaced(path: str | Path) -> Iterator[Path]:
    """Make a new directory to write files into; it replaces ``path`` when the block ends without an error."""
    place = target(path)
    scratch = place.parent / f".{place.name}.{secrets.token_hex(6)}.tmp"
    lock = -1
    try:
        _tidy(place)
        scratch.mkdir(mode=0o755)
        lock = _locked(scratch)
        yield scratch
        sync_folder(scratch)
        _swap(scratch, place)
    except OSError as exc:
        raise BundleError(f"cannot write {path}: {exc.strerror or exc}; an earlier bundle there is unchanged") from exc
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def write_file(place: Path, fill: Callable[[BinaryIO], None]) -> dict[str, Any]:
    """Write and flush a file, and return its size and digest, for the manifest."""
    with open(place, "xb") as file:
        hashed = _Hashed(file)
        fill(hashed)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": hashed.size, "blake2b": hashed.digest.hexdigest()}


class _Hashed:
    """A file that computes the digest of the written bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size, self.digest = file, 0, hashlib.blake2b(digest_size=32)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.digest.update(view)
        self.size += len(view)
        return self.file.write(view)


def digest_of(data: bytes | memoryview) -> str:
    """Return the BLAKE2b digest of some bytes, as 64 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def digest_of_file(fd: int) -> str:
    """Return the same digest of an open file, read in pieces."""
    found, at = hashlib.blake2b(digest_size=32), 0
    while piece := read_at(fd, _PIECE, at):
        found.update(piece)
        at += len(piece)
    return found.hexdigest()


# ---- reading


class Folder(NamedTuple):
    """An open bundle: the descriptor of its directory, or -1 where directories cannot be opened (Windows), and its
    path."""

    fd: int
    place: Path

    def stat(self) -> os.stat_result:
        """Return the status of the opened directory."""
        return os.fstat(self.fd) if self.fd >= 0 else os.stat(self.place)


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Folder]:
    """Open the bundle's directory, so that all files come from the same bundle even if it is replaced meanwhile.

    On Windows, where a directory cannot be opened, each file is opened by its path. A replacement is then noticed by
    the digests, and the bundle is read again.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise BundleError(f"give the path of a saved model, not a {type(path).__name__}")
    place = Path(path)
    aside = place.parent / f".{place.name}.previous"
    try:
        if not os.path.lexists(place) and is_bundle(aside):
            place = aside
        if relative_opening():
            fd = os.open(place, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        elif stat.S_ISDIR(os.stat(place).st_mode):
            fd = -1
        else:
            raise NotADirectoryError(errno.ENOTDIR, "not a directory")
    except NotADirectoryError:
        raise BundleError(f"{path} is not a saved model: it is a file, and a saved model is a directory") from None
    except FileNotFoundError:
        raise BundleError(f"cannot open {path}: there is no such folder; check the path") from None
    except (OSError, ValueError) as exc:
        raise BundleError(f"cannot open {path}: {getattr(exc, 'strerror', None) or exc}") from None
    try:
        yield Folder(fd, place)
    finally:
        if fd >= 0:
            os.close(fd)


def relative_opening() -> bool:
    """Return whether the system can open files relative to a directory."""
    return os.open in os.supports_dir_fd


@contextlib.contextmanager
def regular(folder: Folder, name: str, path: str | Path, limit: int | None = None) -> Iterator[tuple[int, int]]:
    """Open a plain file in the bundle and yield (descriptor, size); links, pipes, devices and files above ``limit`` are
    refused."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if folder.fd >= 0:
            fd = os.open(name, flags, dir_fd=folder.fd)
        else:
            facts = os.lstat(folder.place / name)
            if stat.S_ISLNK(facts.st_mode):
                raise OSError(errno.ELOOP, "it is a link")
            if not stat.S_ISREG(facts.st_mode):
                raise BundleError(f"{name} of {path} is not a plain file")
            fd = os.open(folder.place / name, flags)
    except FileNotFoundError:
        raise BundleError(f"{path} is not a complete saved model: it has no {name}") from None
    except OSError as exc:
        why = "it is a link" if exc.errno == errno.ELOOP else exc.strerror
        raise BundleError(f"cannot read {name} of {path}: {why}") from None
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise BundleError(f"{name} of {path} is not a plain file")
        if limit is not None and facts.st_size > limit:
            raise BundleError(f"{name} of {path} has {facts.st_size:,} bytes; at most {limit:,} are allowed")
        yield fd, facts.st_size
    finally:
        os.close(fd)


def contents(folder: Folder, name: str, path: str | Path, limit: int) -> bytes:
    """Return the content of a file of at most ``limit`` bytes."""
    with regular(folder, name, path, limit) as (fd, size):
        return begun(fd, size)


def read_at(fd: int, size: int, at: int) -> bytes:
    """Return up to ``size`` bytes of an open file from position ``at``."""
    if hasattr(os, "pread"):
        return os.pread(fd, size, at)
    os.lseek(fd, at, os.SEEK_SET)
    return os.read(fd, size)


def begun(fd: int, size: int) -> bytes:
    """Return the first ``size`` bytes of an open file, or fewer where it ends."""
    found = read_at(fd, size, 0)  # reads up to 2 GB at once
    while len(found) < size and (piece := read_at(fd, size - len(found), len(found))):
        found += piece
    return found


def check_size(size: int, wanted: Mapping[str, Any], what: str) -> None:
    """Raise BundleError unless a file has the size in the manifest."""
    if size != wanted["bytes"]:
        raise BundleError(
            f"{what} has {size:,} bytes, not {wanted['bytes']:,}: it was cut short or changed; save the model again"
        )


def check_digest(digest: str, wanted: Mapping[str, Any], what: str) -> None:
    """Raise BundleError unless a file has the digest in the manifest."""
    if digest != wanted["blake2b"]:
        raise BundleError(f"{what} was changed after it was written; save the model again")


def held(fd: int, size: int) -> NDArray[np.uint8]:
    """Return the first ``size`` bytes as a writable array, or fewer where the file ends."""
    found, at = np.empty(size, np.uint8), 0
    with os.fdopen(os.dup(fd), "rb", buffering=0) as file:
        file.seek(0)
        while at < size and (more := file.readinto(found.data[at:])):
            at += more
    return found[:at]


# ---- the swap


def _swap(scratch: Path, place: Path) -> None:
    if not os.path.lexists(place):
        os.rename(scratch, place)
    elif not _exchange(scratch, place):
        aside = place.parent / f".{place.name}.previous"
        os.rename(place, aside)
        os.rename(scratch, place)
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(place.parent)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two directories atomically; return False where the system or file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code))


def _tidy(place: Path) -> None:
    """Restore a directory that a killed save renamed, and remove incomplete directories whose lock is free."""
    aside = place.parent / f".{place.name}.previous"
    if is_bundle(aside):
        if os.path.lexists(place):
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.rename(aside, place)
    for left in place.parent.glob(f".{glob_safe(place.name)}.*.tmp"):
        lock = _locked(left)
        if lock >= 0:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def glob_safe(name: str) -> str:
    """Return a name escaped for ``glob``."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _locked(folder: Path) -> int:
    """Return a descriptor that holds the lock of a directory, or -1 where another process holds it or there are no
    locks."""
    try:
        fd = os.open(folder, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_DIRECTORY", 0))
    except OSError:  # Windows cannot open directories
        return -1
    held = False
    with contextlib.suppress(OSError):
        held = try_lock(fd)
    if not held:
        os.close(fd)
        return -1
    return fd
