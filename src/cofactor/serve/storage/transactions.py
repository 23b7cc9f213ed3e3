"""The database of a state: opening it, checking it, and atomic transactions, of which one writes at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from cofactor.errors import CofactorError, ConfigError
from cofactor.serve.storage import tables as t
from cofactor.serve.storage.databases import create, postgresql_engine, sqlite_engine
from cofactor.serve.storage.rows import COUNTERS
from cofactor.serve.storage.state_folder import StateError, StateFolder

log = logging.getLogger("cofactor.serve")
UNFINISHED = "unfinished"
"""Name of the note in a store into which a state is being copied."""
MIGRATING = 3600.0
"""Seconds that a server waits for another one to migrate the database."""
_TURN_EVERY = 0.5
"""Seconds between two attempts at that."""
_CHECKED_WHOLE = 256 << 20
"""Size in bytes up to which the check of a SQLite file includes its indexes, which takes some seconds."""


class StoreError(CofactorError):
    """The store cannot be reached or written; nothing was changed."""


class Unsure(StoreError):
    """The connection to the database was lost during a commit, so its outcome is unknown."""


class Unfinished(StateError):
    """The state is a copy that was not finished."""


class Transactions:
    """One connection pool. Every method may be called from any thread.

    ``where`` is the state's directory, or the address of a PostgreSQL database (libpq's form, several hosts included).
    ``lock``: refuse a directory that a server uses, and check the store; without it, join that server. ``copies``: the
    caller makes a copy here; a new store is noted as unfinished, and one that is so noted is opened.
    """

    def __init__(self, where: Path | str, *, lock: bool = True, copies: bool = False) -> None:
        self.folder: StateFolder | None = None
        if isinstance(where, Path):
            self.folder = StateFolder(where)
            exists = self.folder.open(lock=lock)
            self._engine = sqlite_engine(self.folder.store)
        else:
            exists = True
            self._engine = postgresql_engine(where)
        self._locked, self._copies = lock, copies
        self._file: tuple[int, int] | None = None
        try:
            self._open(exists)
        except BaseException:
            self._end(self.folder.facts if self.folder is not None else {})
            raise

    # ---- opening

    def _open(self, exists: bool) -> None:
        try:
            facts = {UNFINISHED: ""} if self._copies else {}
            if self.folder is not None and not exists:
                create(self.folder, facts)
            if self.folder is not None:
                self._file = _identity(self.folder.store)
            with self._write(number=None) as db:
                begin = self._format(db)
                if self.folder is not None and not begin:
                    raise StateError(
                        f"{self._name} is empty, so the newer ratings of this state are lost; restore a backup, or"
                        f" start without newer ratings with `cofactor state repair {self.folder.path}`"
                    )
                if begin != t.FORMAT:
                    facts = facts if begin == 0 else {}
                    t.migrate(db, begin, {"id": secrets.token_hex(8), "salt": secrets.token_hex(16)} | facts)
                rows = db.execute(t.meta.select()).all()
                for row in [*rows, *db.execute(t.counters.select()), *db.execute(t.versions.select())]:
                    self._whole(row)
            self.meta = {row.name: row.value for row in rows}
            if UNFINISHED in self.meta and not self._copies:
                raise Unfinished(f"{self._place} is a copy of a state that was not finished; make the copy again")
            if self.folder is not None and self._locked:
                self._check(self.folder)
        except OSError as exc:
            raise ConfigError(f"cannot open {self._name}: {exc.strerror or exc}") from None
        except StoreError as exc:
            raise self._explained(exc) from None
        except SQLAlchemyError as exc:  # during the creation of the file, such as on a full disk
            raise self._explained(StoreError(words_of(exc))) from None
        except (ValueError, TypeError, LookupError) as exc:  # the stored values have wrong types
            if isinstance(exc, CofactorError):
                raise
            raise self._explained(StoreError(f"malformed: {exc}")) from None

    def _format(self, db: sa.Connection) -> int:
        if self.folder is not None:
            ours = db.exec_driver_sql("PRAGMA application_id").scalar()
            if ours != t.OURS and (ours or db.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()):
                raise ConfigError(f"{self._name} is a database of another program; move it away")
        else:
            self._take_turn(db)
        begin = t.format_of(db)
        if begin > t.FORMAT:
            raise ConfigError(
                f"{self._name} has format {begin}, but this cofactor reads formats up to {t.FORMAT}; upgrade cofactor"
            )
        return begin

    def _take_turn(self, db: sa.Connection) -> None:
        """Take the turn to migrate the database, until the end of the transaction."""
        end, said = time.monotonic() + MIGRATING, False
        while not db.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({t.OURS})").scalar():
            if time.monotonic() > end:
                raise ConfigError(
                    f"another server has been migrating the database for {MIGRATING / 60:.0f} minutes; wait until it"
                    " ends (pg_stat_activity shows it as application cofactor), and start this server again"
                )
            if not said:
                log.warning("another server opens or migrates the database; waiting until it is done")
                said = True
            time.sleep(_TURN_EVERY)

    def _check(self, folder: StateFolder) -> None:
        """Raise StateError where the store is damaged or has lost data."""
        with self._read() as db:
            small = folder.store.stat().st_size < _CHECKED_WHOLE
            said = db.exec_driver_sql(f"PRAGMA {'integrity' if small else 'quick'}_check(1)").scalar()
        advice = f"restore a backup, or save the remaining rows with `cofactor state repair {folder.path}`"
        if said != "ok":
            raise StateError(f"{folder.store} is damaged ({said}); {advice}")
        now, there = self.position(), self._rows()
        lost = max(now["events"] - now["deleted"] - there, folder.facts.get("events", 0) - now["events"])
        if lost > 0 or folder.facts.get("activations", 0) > now["activations"]:
            what = f"{lost:,} confirmed newer ratings" if lost > 0 else "a confirmed model swap"
            raise StateError(f"{folder.store} has lost {what}; {advice}")
        if folder.facts and folder.facts.get("id") != self.meta["id"] and not self._copies:
            raise StateError(f"{folder.store} belongs to another state; {advice}")
        folder.mark({"store": "sqlite", "id": self.meta["id"], "open": True} | _head(now))
        folder.keep_reserve()

    def _whole(self, row: Any) -> Any:
        """Return the row; StateError where its checksum is wrong."""
        if not t.is_whole(row):
            advice = "restore a backup, or save the remaining rows with `cofactor state repair`"
            raise StateError(f"{self._name} is damaged (the record {row[0]!r}); {advice}")
        return row

    def _rows(self) -> int:
        """Return the number of events, counted row by row (not in an index)."""
        with self._read() as db:
            return int(db.exec_driver_sql(f"SELECT count(*) FROM {t.events.name} NOT INDEXED").scalar_one())

    @property
    def _name(self) -> str:
        return str(self.folder.store) if self.folder is not None else "the database"

    @property
    def _place(self) -> str:
        return str(self.folder.path) if self.folder is not None else "the database"

    def _explained(self, exc: StoreError) -> ConfigError:
        said = str(exc)
        if "locked" in said and self.folder is not None:
            return ConfigError(f"{self.folder.path} is in use by another server; stop it, or give another --state")
        damaged = any(word in said for word in ("malformed", "not a database", "no such table", "no such column"))
        if damaged and self.folder is not None and self.folder.facts:
            advice = f"restore a backup, or save the remaining rows with `cofactor state repair {self.folder.path}`"
            return StateError(f"{self.folder.store} is damaged ({said}); {advice}")
        if "lock timeout" in said:
            return ConfigError(
                "the database must be migrated, but other servers use it; stop them, start this server, then the others"
            )
        if "not a database" in said:
            return ConfigError(f"{self._name} is not a store of newer ratings ({said}); move it away")
        return ConfigError(f"cannot open {self._name}: {said}")

    def close(self) -> None:
        """Close the store."""
        head: dict[str, Any] = {}
        if self.folder is not None and self._locked:
            with contextlib.suppress(StoreError):
                head = self.folder.facts | _head(self.position())
        self._end(head)

    def _end(self, facts: dict[str, Any]) -> None:
        """Close the store, whose marker then holds these facts (unless empty), and that there is no log any more: with
        its last connection SQLite copies the log into the file, and deletes it."""
        folder = self.folder
        if folder is None:
            self._engine.dispose()
            return
        log_file = Path(f"{folder.store}-wal")
        noted = not (self._locked and facts)
        with contextlib.suppress(StoreError, OSError):
            if not noted and self._truncated():
                folder.mark(facts | {"open": False})
                noted = True
        there = log_file.exists()
        self._engine.dispose()
        if not noted and there and not log_file.exists():  # it could be emptied after all
            with contextlib.suppress(OSError):
                folder.mark(facts | {"open": False})
        folder.close()

    # ---- transactions

    @contextlib.contextmanager
    def _write(self, number: str | None = "events") -> Iterator[sa.Connection]:
        """Run one write transaction at a time, atomically. ``number`` is the counter whose row gives the turn.

        StoreError where nothing was changed; Unsure where the connection to a database was lost during the commit.
        """
        ending = False
        try:
            with self._engine.connect() as db, db.begin():
                if self._engine.dialect.name == "postgresql" and number is not None:
                    db.execute(sa.select(t.counters.c.value).where(t.counters.c.name == number).with_for_update())
                yield db
                self._check_there()
                ending = self.folder is None
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error) as exc:
            raise (Unsure if ending else StoreError)(words_of(exc)) from exc

    def _check_there(self) -> None:
        """Raise StoreError where the file was removed or replaced: what is written to the open one would be lost."""
        if self.folder is not None:
            store = self.folder.store
            try:
                same = _identity(store) == self._file and os.path.exists(f"{store}-wal")
            except OSError:
                same = False
            if not same:
                raise StoreError(f"{store.name} or its log was removed or replaced while the server runs; restart it")

    @contextlib.contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect().execution_options(reading=True) as db, db.begin():
                yield db
        except SQLAlchemyError as exc:
            raise StoreError(words_of(exc)) from exc

    def position(self) -> dict[str, int]:
        """Return all counters, which give the position of the store."""
        with self._read() as db:
            return {row.name: row.value for row in db.execute(COUNTERS)}

    def _advance(self, **head: int) -> None:
        if self.folder is not None and self.folder.facts:
            with contextlib.suppress(OSError):
                self.folder.advance(**head)

    def _truncated(self) -> bool:
        """Truncate the write-ahead log of SQLite, so that no deleted row stays there; return False where others
        read."""
        for _ in range(20):
            try:
                with self._engine.connect().execution_options(plain=True) as db:
                    row = db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").first()
                if row is not None and not row[0]:
                    return True
            except SQLAlchemyError as exc:
                log.warning("the log of the store cannot be emptied: %s", words_of(exc))
                return False
            time.sleep(0.05)
        return False


def _identity(file: Path) -> tuple[int, int]:
    found = os.stat(file)
    return found.st_dev, found.st_ino


def _head(position: dict[str, int]) -> dict[str, int]:
    return {"events": position["events"], "activations": position["activations"]}


def words_of(exc: Exception) -> str:
    """Return the database's message in one line, without values or addresses."""
    cause = getattr(exc, "orig", None)
    return str(cause or exc).strip().splitlines()[0][:300] if str(cause or exc).strip() else type(exc).__name__
