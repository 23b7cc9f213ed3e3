"""Newer ratings and versions of the model, in one SQLite file. What was answered with success is on disk.

The file is held exclusively while a server runs: two servers over one state would not know of each other's ratings.
Ids keep their types: 1 and "1" stay two.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from cofactor.errors import ConfigError

log = logging.getLogger("cofactor.serve")
FORMAT = 1
_OURS = 0xC0FAC70  # of the file, so that no other SQLite database is taken for one of ours

_TABLES = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user, item, rating REAL NOT NULL, time INTEGER NOT NULL
);
CREATE INDEX events_of_user ON events (user);
CREATE TABLE answered (key TEXT PRIMARY KEY, accepted INTEGER NOT NULL, received INTEGER NOT NULL);
CREATE TABLE versions (
    version INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, origin TEXT NOT NULL, folder TEXT NOT NULL,
    model TEXT NOT NULL, created TEXT NOT NULL, through INTEGER NOT NULL, drift REAL, activated REAL, active INTEGER
);
"""
_KEYS_KEPT = 7 * 86400


class Event(NamedTuple):
    """One newer rating; ``time`` in seconds since 1970."""

    user: Any
    item: Any
    rating: float
    time: int


class Version(NamedTuple):
    """A model that was live. ``origin`` is the digest of the manifest that it came from; events up to ``through`` are
    in its training data; ``activated`` in seconds since 1970."""

    version: int
    source: str
    origin: str
    folder: str
    model: str
    created: str
    through: int
    drift: float | None
    activated: float
    active: int


class Store:
    """The file. Every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            with suppress(OSError):  # what people rated is not for other accounts; the log beside it gets the same mode
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=1.0)
            self._open()
        except sqlite3.OperationalError as exc:
            if "locked" in str(exc):
                raise ConfigError(
                    f"{path.parent} is in use by another server; stop it, or give another --state"
                ) from None
            raise ConfigError(f"cannot open {path}: {exc}") from None
        except sqlite3.DatabaseError as exc:
            raise ConfigError(f"{path} is not a store of newer ratings ({exc}); move it away") from None

    def _open(self) -> None:
        db = self._db
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("BEGIN EXCLUSIVE")
        (ours,), (version,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables and not ours:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_OURS}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
        elif ours != _OURS:
            raise sqlite3.DatabaseError("it is a database of something else")
        elif version != FORMAT:
            raise sqlite3.DatabaseError(f"it has format {version}, this cofactor reads {FORMAT}")
        db.execute("COMMIT")
        self._count = int(db.execute("SELECT count(*) FROM events").fetchone()[0])  # which reads all of them: once

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite has ended it itself after some errors
                    self._db.execute("ROLLBACK")
                raise

    def _read(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    # ---- newer ratings

    def answered(self, key: str) -> int | None:
        """How many events were accepted under this key, or None where it is new."""
        found = self._read("SELECT accepted FROM answered WHERE key = ?", key)
        return int(found[0][0]) if found else None

    def append(self, events: Sequence[Event], key: str | None = None) -> int:
        """Keep these, all or none; the number of the last."""
        with self._writing() as db:
            db.executemany("INSERT INTO events (user, item, rating, time) VALUES (?, ?, ?, ?)", events)
            if key is not None:
                now = int(time.time())
                db.execute("DELETE FROM answered WHERE received < ?", (now - _KEYS_KEPT,))
                db.execute("INSERT INTO answered VALUES (?, ?, ?)", (key, len(events), now))
            last = _last(db)
        self._count += len(events)
        return last

    def deleted(self) -> int:
        """How many of all events that there ever were are gone."""
        with self._lock:
            return _last(self._db) - self._count

    def events(self, after: int = 0) -> tuple[list[Event], int]:
        """(the events after number ``after`` as they came, the number of the last)."""
        with self._lock:
            rows = self._db.execute("SELECT user, item, rating, time FROM events WHERE id > ? ORDER BY id", (after,))
            return [Event(*row) for row in rows], _last(self._db)

    def count(self) -> int:
        """How many events there are."""
        return self._count

    def count_through(self, last: int) -> int:
        """How many of these have numbers up to ``last``."""
        return int(self._read("SELECT count(*) FROM events WHERE id <= ?", last)[0][0])

    def forget(self, user: Any) -> int:
        """Delete the events of a user, so that nothing of them stays in the file; how many there were."""
        if isinstance(user, int) and not -(2**63) <= user < 2**63:
            return 0  # more than the file can hold
        with self._writing() as db:
            found = int(db.execute("DELETE FROM events WHERE user IS ?", (user,)).rowcount)
        self._count -= found
        try:
            self._read("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as exc:  # they are deleted all the same; the log goes at the next chance, or at the end
            log.warning("what was deleted is still in the log of the store: %s", exc)
        return found

    # ---- versions

    def versions(self) -> list[Version]:
        """All that were live, in order."""
        return [Version(*row) for row in self._read("SELECT * FROM versions ORDER BY version")]

    def add_version(self, source: str, origin: str, model: str, created: str, through: int, drift: float | None) -> int:
        """A new one, not active yet; its number."""
        with self._writing() as db:
            values = source, origin, "", model, created, through, drift, None, 0
            found = db.execute(f"INSERT INTO versions VALUES (NULL{', ?' * len(values)})", values).lastrowid
            assert found is not None
            db.execute("UPDATE versions SET folder = ? WHERE version = ?", (f"{found:06d}.cofactor", found))
            return found

    def activate(self, version: int) -> None:
        """From now on this one is live, also after a restart."""
        with self._writing() as db:
            db.execute("UPDATE versions SET active = (version = ?)", (version,))
            db.execute("UPDATE versions SET activated = ? WHERE version = ?", (time.time(), version))

    def drop_unfinished(self) -> None:
        """Forget those that never were live: a crash came before."""
        with self._writing() as db:
            db.execute("DELETE FROM versions WHERE activated IS NULL")

    def drop_version(self, version: int) -> None:
        """Forget one that is not active."""
        with self._writing() as db:
            db.execute("DELETE FROM versions WHERE version = ? AND NOT active", (version,))


def _last(db: sqlite3.Connection) -> int:
    """The highest number that an event ever had."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(found[0]) if found else 0
