"""Files of the stored versions, each a bundle in the state directory, so that the server can go back to them.

A version is a separate copy (a reflink where the file system supports it, which takes no space), so later changes to
the original bundle do not affect it. Its digests are checked when it is copied and each time it goes live. Where
several hosts share a database, the files are stored there too, and the directory is a cache.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cofactor._paths import sync_folder
from cofactor.bundle import info
from cofactor.bundle.files import MANIFEST, digest_of, opened, read_at, regular
from cofactor.bundle.manifest import FILES
from cofactor.bundle.shards import in_shards
from cofactor.errors import BundleError
from cofactor.serve.storage.state_folder import StateFolder
from cofactor.serve.storage.store import Store, Version

_CLONE = 0x40049409  # FICLONE of Linux
_PIECE = 1 << 20


def origin_of(bundle: Path) -> str:
    """Return the identity of a saved model: the digest of its manifest, which holds the digests of its files."""
    try:
        return digest_of((bundle / MANIFEST).read_bytes())
    except OSError as exc:
        raise BundleError(f"cannot open {bundle}: {exc.strerror or exc}") from None


def adopt(bundle: Path, place: Path) -> str:
    """Copy the files of a bundle, and no others, to the new path ``place``; return the digest of its manifest.

    The digests of the copy are checked: BundleError where the bundle is damaged, or was changed during the copy.
    """
    if in_shards(bundle):
        raise BundleError(f"{bundle} has its users in shards; a server takes its items alone: {bundle / 'items'}")
    try:
        place.mkdir(parents=True, mode=0o700)
        with opened(bundle) as folder:
            for name in (MANIFEST, *FILES):  # the manifest first: this may not be a bundle
                with regular(folder, name, bundle) as (fd, _), open(place / name, "xb") as copy:
                    _copy(fd, copy.fileno())
                    os.fsync(copy.fileno())
        sync_folder(place)
        info(place, verify=True)
        return origin_of(place)
    except OSError as exc:
        shutil.rmtree(place, ignore_errors=True)
        raise BundleError(f"cannot store a version in {place.parent}: {exc.strerror or exc}") from None
    except BundleError as exc:
        shutil.rmtree(place, ignore_errors=True)
        raise BundleError(str(exc).replace(str(place), str(bundle))) from None


def _copy(source: int, target: int) -> None:
    """Copy one open file into another, as a reflink where the file system supports it."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.ioctl(target, _CLONE, source)
        return
    at = 0
    while piece := read_at(source, _PIECE, at):
        view = memoryview(piece)
        while view:
            view = view[os.write(target, view) :]
        at += len(piece)


def check_whole(place: Path, contents: str) -> None:
    """Raise BundleError unless the manifest of a version has this digest, and its files have the manifest's digests."""
    if contents and origin_of(place) != contents:
        raise BundleError(f"the manifest of {place} was changed after it was written")
    info(place, verify=True)


def outdated(versions: list[Version], keep: int) -> list[Version]:
    """Return the versions to remove so that ``keep`` are left: those activated longest ago."""
    by_activation = sorted(versions, key=lambda v: v.activation)
    return by_activation[: max(0, len(versions) - keep)]


# ---- in a database


def put(store: Store, contents: str, place: Path) -> None:
    """Store the files of a version in the database."""

    def files() -> Iterator[tuple[str, int, bytes]]:
        for name in (MANIFEST, *FILES):
            with open(place / name, "rb") as file:
                number = 0
                while piece := file.read(_PIECE):
                    yield name, number, piece
                    number += 1

    store.put_files(contents, files())


def fetch(store: Store, folder: StateFolder, version: Version) -> Path:
    """Return the directory of a version; fetch it from the database where this host lacks it or it is damaged."""
    place = folder.versions / version.folder
    with contextlib.suppress(BundleError):
        check_whole(place, version.contents)
        return place
    folder.remove(version.folder)
    scratch = folder.versions / f"new.{os.getpid():x}.cofactor"
    folder.remove(scratch.name)
    scratch.mkdir(mode=0o700)
    try:
        for name, piece in store.files(version.contents):
            if name not in (MANIFEST, *FILES):
                raise BundleError(f"version {version.version} has a file {name!r} in the database")
            with open(scratch / name, "ab") as file:
                file.write(piece)
        check_whole(scratch, version.contents)
        with contextlib.suppress(OSError):  # another worker of this host was first
            os.rename(scratch, place)
    finally:
        folder.remove(scratch.name)
    return place
