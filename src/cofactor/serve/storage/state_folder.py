"""The directory of a state on disk: its marker, its lock, and the position of its store.

Files that the server did not make are neither removed nor trusted: a new state needs a new or empty directory,
``state.json`` marks it, and only files with the server's own names are deleted. The marker also holds the head of the
store (the numbers of committed events and activations), written after each commit. A store behind its head has lost
data.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from cofactor._locks import try_lock
from cofactor._paths import open_plain, sync_folder
from cofactor.bundle.files import MANIFEST, digest_of, is_bundle
from cofactor.bundle.manifest import FILES, INDEX, LENGTHS, OLD_FILES
from cofactor.errors import ConfigError

MARKER, LOCK, STORE, VERSIONS, RESERVE, REFIT_LOCK = (
    "state.json", "lock", "events.sqlite", "versions", "reserve", "refit.lock"
)  # fmt: skip
OWN = re.compile(r"\d{6}(\.\d+)?\.cofactor|(new|refit|erase)(\.[0-9a-f]+)?\.cofactor")
"""Names of versions, and of those that are being made."""
_LEFT = re.compile(rf"\.({OWN.pattern})\.([0-9a-f]{{12}}\.tmp|previous)")
"""What a process that was killed while it saved one of these leaves beside it."""
_MAKER = re.compile(r"[a-z]+\.([0-9a-f]+)\.cofactor")
_DAMAGED = re.compile(rf"{re.escape(STORE)}\.damaged-.*")
_BEGUN = re.compile(r"(events\.sqlite|state\.json)\.[0-9a-f]{8}\.tmp(-wal|-shm|-journal)?")
"""Files that a crash leaves of a state that was about to be made."""
REPAIRING = "repairing"
"""Name of the folder in which a repair makes the new store."""
REPAIRED = re.compile(r"repaired-[0-9a-f]{8}")
"""Its name when the new store is whole: it now takes the place of the old one."""
_MARKER_BYTES = 512
_RESERVE_BYTES = 1 << 20


class StateError(ConfigError):
    """A state is damaged or incomplete, and is not used."""


class StateFolder:
    """The directory of a state. ``open`` takes its lock; ``look`` only reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] = {}
        self._lock: int | None = None
        self._marker: int | None = None
        self._advancing = threading.Lock()

    @property
    def store(self) -> Path:
        """The SQLite file."""
        return self.path / STORE

    @property
    def versions(self) -> Path:
        """The folder of the stored versions."""
        return self.path / VERSIONS

    # ---- opening

    def look(self, *, damaged: bool = False) -> bool:
        """Return whether there is a state, without changes; ConfigError where the directory holds something else. With
        ``damaged``, a state whose store is missing counts too."""
        path = self.path
        if is_bundle(path):
            raise ConfigError(f"{path} is a saved model; give another --state")
        try:
            names = set(os.listdir(path))
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise ConfigError(f"cannot use {path} as a state: {exc.strerror or exc}") from None
        if not damaged and any(map(REPAIRED.fullmatch, names)):
            raise StateError(f"a repair of {path} was not finished; run `cofactor state repair {path}` again")
        names.discard(REPAIRING)
        if VERSIONS in names and not stat.S_ISDIR(os.lstat(path / VERSIONS).st_mode):
            raise ConfigError(f"{path / VERSIONS} is not a directory of a state; give another --state")
        if damaged and any(map(REPAIRED.fullmatch, names)):
            return True
        marked = self._read_marker(damaged=damaged) if MARKER in names else False
        if marked or (STORE in names and MARKER not in names):  # without a marker: an early version
            if marked and self.facts.get("store") == "sqlite":
                self._check_store(names, damaged=damaged)
            return True
        versions = os.listdir(path / VERSIONS) if VERSIONS in names else []
        others = {n for n in names - {LOCK, RESERVE} if not _BEGUN.fullmatch(n)} - (
            {VERSIONS} if not versions else set()
        )
        if others:
            lost = others == {VERSIONS} and any(OWN.fullmatch(n) for n in versions)
            if lost and damaged:
                return True
            if lost:
                raise StateError(
                    f"{self.store} is missing, so the newer ratings of this state are lost; restore a backup, or start"
                    f" without newer ratings with `cofactor state repair {path}`"
                )
            raise ConfigError(
                f"{path} holds other files ({sorted(others)[0]!r}); give --state a new or empty directory"
            )
        return False

    def _check_store(self, names: set[str], *, damaged: bool) -> None:
        advice = f"restore a backup, or save the remaining rows with `cofactor state repair {self.path}`"
        what = None
        if STORE not in names:
            what = f"{self.store} is missing"
        elif not os.lstat(self.store).st_size:
            what = f"{self.store} is empty, but held {self.facts['events']:,} newer ratings"
        elif self.facts["open"] and f"{STORE}-wal" not in names:
            what = f"{self.store}-wal, which held the latest newer ratings, is missing"
        if what is not None and not damaged:
            raise StateError(f"{what}; {advice}")

    def open(self, *, lock: bool = True) -> bool:
        """Create the directory if needed, take its lock, and restrict its permissions; return whether it holds a
        state."""
        found = self.look()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if lock:
                self.take_lock()
                found = self.look()  # another process may have made a state meanwhile
                self._remove_begun()
            self.versions.mkdir(mode=0o700, exist_ok=True)
            self._close_to_others()
        except OSError as exc:
            self.close()
            raise ConfigError(f"cannot use {self.path} as a state: {exc.strerror or exc}") from None
        except ConfigError:
            self.close()
            raise
        return found

    def _remove_begun(self) -> None:
        """Remove unfinished files that a crash left; the caller holds the lock."""
        for name in filter(_BEGUN.fullmatch, os.listdir(self.path)):
            if stat.S_ISREG(os.lstat(self.path / name).st_mode):
                os.unlink(self.path / name)

    def take_lock(self) -> None:
        """Take the lock of the state; ConfigError where a server holds it."""
        fd = open_plain(self.path / LOCK, os.O_RDWR | os.O_CREAT)
        try:
            held = try_lock(fd)
        except OSError:
            os.close(fd)
            raise
        if not held:
            os.close(fd)
            raise ConfigError(f"{self.path} is in use by another server; stop it, or give another --state")
        self._lock = fd

    @property
    def lock_descriptor(self) -> int | None:
        """The descriptor of the lock, for processes that inherit it."""
        return self._lock

    def _close_to_others(self) -> None:
        for place, mode in ((self.path, 0o700), (self.versions, 0o700)):
            if stat.S_IMODE(os.stat(place).st_mode) != mode:
                os.chmod(place, mode)
        for name in (MARKER, LOCK, STORE, f"{STORE}-wal", f"{STORE}-shm", RESERVE, REFIT_LOCK):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG((facts := os.lstat(self.path / name)).st_mode) and stat.S_IMODE(facts.st_mode) != 0o600:
                    os.chmod(self.path / name, 0o600)

    def close(self) -> None:
        """Release the lock."""
        for fd in (self._marker, self._lock):
            if fd is not None:
                os.close(fd)
        self._marker = self._lock = None

    # ---- the marker

    def mark(self, facts: dict[str, Any]) -> None:
        """Write the marker atomically, and flush it to disk."""
        scratch = self.path / f"{MARKER}.{secrets.token_hex(4)}.tmp"
        with open(open_plain(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(_packed(facts))
            file.flush()
            os.fsync(file.fileno())
        with self._advancing:
            if self._marker is not None:  # an open file cannot be replaced on Windows
                os.close(self._marker)
                self._marker = None
            os.replace(scratch, self.path / MARKER)
            sync_folder(self.path)
            self.facts = facts

    def advance(self, **head: Any) -> None:
        """Write the head of the store into the marker, in place and without a flush.

        It survives a kill. After a power loss it may be behind the store, but never ahead of it.
        """
        with self._advancing:  # two threads that seek and write at once would append
            if all(self.facts.get(k) == v for k, v in head.items()):
                return
            self.facts = self.facts | head
            if self._marker is None:
                self._marker = open_plain(self.path / MARKER, os.O_WRONLY)
            os.lseek(self._marker, 0, os.SEEK_SET)
            os.write(self._marker, _packed(self.facts))

    def _read_marker(self, *, damaged: bool) -> bool:
        try:
            content = (self.path / MARKER).read_bytes()[: 4 * _MARKER_BYTES].partition(b"\n")[0]
            facts = json.loads(content)
            if facts.pop("digest") != digest_of(json.dumps(facts, sort_keys=True).encode())[:16]:
                raise ValueError
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            if damaged:
                self.facts = {}
                return True
            raise StateError(
                f"{self.path / MARKER} is damaged; check the state with `cofactor state check {self.path}`, and repair"
                f" it with `cofactor state repair {self.path}`"
            ) from None
        self.facts = facts
        return True

    # ---- versions

    def own(self) -> Iterator[Path]:
        """Yield the versions on disk, including those in preparation, but nothing else."""
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.versions):
                if OWN.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False) and _only_a_bundle(Path(entry)):
                    yield Path(entry)

    def strays(self, known: Collection[str], *, fetched: bool) -> Iterator[Path]:
        """What is on disk and is none of the ``known`` versions. The caller is the one that may change models;
        ``fetched``: other processes may be making copies of versions all the same."""
        for place in self.own():
            if place.name not in known and not (fetched and _is_made(place.name)):
                yield place
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.versions):
                if _LEFT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield Path(entry)

    def damaged(self) -> list[Path]:
        """Stores that a repair moved aside."""
        return sorted(self.path / name for name in os.listdir(self.path) if _DAMAGED.fullmatch(name))

    def remove(self, name: str) -> None:
        """Delete a version of ours, or what is left of one; links are left alone."""
        place = self.versions / name
        ours = OWN.fullmatch(name) or _LEFT.fullmatch(name)
        if ours and place.is_dir() and not place.is_symlink() and _only_a_bundle(place):
            with contextlib.suppress(OSError):
                shutil.rmtree(place)

    # ---- a full disk

    def keep_reserve(self) -> None:
        """Reserve some space, so that users can be erased on a full disk."""
        place = self.path / RESERVE
        with contextlib.suppress(OSError):
            if not place.exists() or place.stat().st_size < _RESERVE_BYTES:
                fd = open_plain(place, os.O_WRONLY | os.O_CREAT)
                try:
                    os.write(fd, bytes(_RESERVE_BYTES))
                finally:
                    os.close(fd)

    def free_reserve(self) -> None:
        """Release the reserved space."""
        with contextlib.suppress(OSError):
            (self.path / RESERVE).unlink()


def _only_a_bundle(place: Path) -> bool:
    """Return whether a directory holds only files of a bundle (all or some of them)."""
    return {p.name for p in place.iterdir()} <= {MANIFEST, *FILES, *OLD_FILES, INDEX, LENGTHS}


def _is_made(name: str) -> bool:
    """Whether another process of this machine, which lives, made this."""
    maker = _MAKER.fullmatch(name)
    process = 0 if maker is None else int(maker[1], 16)
    if process in (0, os.getpid()):
        return False
    try:
        os.kill(process, 0)
    except (OSError, OverflowError):
        return False
    return True


def _packed(facts: dict[str, Any]) -> bytes:
    text = json.dumps(facts | {"digest": digest_of(json.dumps(facts, sort_keys=True).encode())[:16]}).encode()
    return text.ljust(_MARKER_BYTES - 1) + b"\n"
