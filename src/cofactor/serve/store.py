"""Newer ratings and versions of the model, in SQLite or PostgreSQL. What was answered with success is on disk.

Several processes may use one store. Writers take turns (a transaction begins by taking the row of a counter), so events
are visible in the order of their numbers, and whoever polls misses none. Nothing is ordered or expired by a clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from cofactor._locks import try_lock
from cofactor._paths import open_plain
from cofactor.errors import CofactorError, ConfigError
from cofactor.serve import tables as t
from cofactor.serve.databases import create, postgresql_engine, sqlite_engine
from cofactor.serve.rows import (
    COUNTER,
    COUNTERS,
    SELECT_EVENTS,
    Event,
    add,
    insert_events,
    of_user,
    put,
    read_event,
)
from cofactor.serve.state_folder import REFIT_LOCK, StateError, StateFolder

log = logging.getLogger("cofactor.serve")
KEYS_KEPT = 1_000_000
"""Of requests with a key the last so many are remembered."""
MIGRATING = 3600.0
"""Seconds that a server waits for another one to change the format of a database."""
_TURN_EVERY = 0.5
"""Seconds between two attempts at that."""
_LEADING = t.OURS + 1
"""The advisory lock of who may change models."""
_ERASED = "erased "
"""Begins the names of the notes on who was forgotten."""
_CHECKED_WHOLE = 256 << 20
"""SQLite files up to so many bytes are checked with their indexes when they are opened (some seconds)."""


class Version(NamedTuple):
    """A model that was live. ``origin`` is the digest of the manifest that it came from, ``contents`` that of its own
    ("": kept by an earlier cofactor); events up to ``through`` are in its training data; the one with the highest
    ``activation`` is live; ``activated`` in seconds since 1970, for people."""

    version: int
    source: str
    origin: str
    folder: str
    contents: str
    model: str
    created: str
    through: int
    drift: float | None
    activation: int
    activated: float | None


class Appended(NamedTuple):
    """Numbers of the first and last event, and what is answered; first is 0 where the key was there before."""

    first: int
    last: int
    answer: str


class Erasure(NamedTuple):
    """Somebody was forgotten: their events up to number ``events`` went, and their rows in versions up to
    ``versions``."""

    events: int
    versions: int


class StoreError(CofactorError):
    """The store cannot be reached or written to now; nothing was changed."""


class Unsure(StoreError):
    """The database was lost while it kept something: whether it did is not known."""


class KeyReused(CofactorError):
    """A key came again with another request."""


class Store:
    """One connection pool. Every method may be called from any thread.

    ``where`` is the state's directory, or the address of a PostgreSQL database (libpq's form, several hosts included).
    ``lock``: refuse a directory that a server uses, and check the store; without it, join that server. ``silent``:
    seconds without a sign of life after which a database lets another process lead.
    """

    def __init__(self, where: Path | str, *, lock: bool = True, silent: float = 30.0) -> None:
        self.folder: StateFolder | None = None
        self.silent = silent
        self._leader: int | None = None
        if isinstance(where, Path):
            self.folder = StateFolder(where)
            exists = self.folder.open(lock=lock)
            self._engine = sqlite_engine(self.folder.store)
        else:
            exists = True
            self._engine = postgresql_engine(where)
        self._locked = lock
        self._opened = False
        try:
            self._open(exists)
        except BaseException:
            self._engine.dispose()
            if self.folder is not None:
                self.folder.close()
            raise

    # ---- opening

    def _open(self, exists: bool) -> None:
        try:
            if self.folder is not None and not exists:
                create(self.folder)
            with self._write(number=None) as db:
                begin = self._format(db)
                if self.folder is not None and not begin:
                    raise StateError(
                        f"{self._name} is empty: the newer ratings of this state are lost; restore a backup, or start"
                        f" with none of them by `cofactor state repair {self.folder.path}`"
                    )
                if begin != t.FORMAT:
                    t.migrate(db, begin, {"id": secrets.token_hex(8), "salt": secrets.token_hex(16)})
                rows = db.execute(t.meta.select()).all()
                for row in [*rows, *db.execute(t.counters.select()), *db.execute(t.versions.select())]:
                    self._whole(row)
            self.meta = {row.name: row.value for row in rows}
            if self.folder is not None and self._locked:
                self._check(self.folder)
            self._opened = True
        except OSError as exc:
            raise ConfigError(f"cannot open {self._name}: {exc.strerror or exc}") from None
        except StoreError as exc:
            raise self._explained(exc) from None
        except SQLAlchemyError as exc:  # while the file was made: the disk is full, say
            raise self._explained(StoreError(_said(exc))) from None
        except (ValueError, TypeError, LookupError) as exc:  # what was read is not what is written there
            if isinstance(exc, CofactorError):
                raise
            raise self._explained(StoreError(f"malformed: {exc}")) from None

    def _format(self, db: sa.Connection) -> int:
        if self.folder is not None:
            ours = db.exec_driver_sql("PRAGMA application_id").scalar()
            if ours != t.OURS and (ours or db.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()):
                raise ConfigError(f"{self._name} is a database of something else; move it away")
        else:
            self._take_turn(db)
        begin = t.format_of(db)
        if begin > t.FORMAT:
            raise ConfigError(
                f"{self._name} has format {begin}, this cofactor reads up to {t.FORMAT}; upgrade cofactor"
            )
        return begin

    def _take_turn(self, db: sa.Connection) -> None:
        """Be the one that may change the format of the database, until the end of the transaction."""
        end, said = time.monotonic() + MIGRATING, False
        while not db.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({t.OURS})").scalar():
            if time.monotonic() > end:
                raise ConfigError(
                    f"another server has been changing the format of the database for {MIGRATING / 60:.0f} minutes; let"
                    " it end (pg_stat_activity shows what it does, as application cofactor), and start this one again"
                )
            if not said:
                log.warning("another server opens the database or changes its format; waiting until it is done")
                said = True
            time.sleep(_TURN_EVERY)

    def _check(self, folder: StateFolder) -> None:
        """Refuse a store that is damaged, or that lost what it had."""
        with self._read() as db:
            small = folder.store.stat().st_size < _CHECKED_WHOLE
            said = db.exec_driver_sql(f"PRAGMA {'integrity' if small else 'quick'}_check(1)").scalar()
        advice = f"restore a backup, or keep what is left by `cofactor state repair {folder.path}`"
        if said != "ok":
            raise StateError(f"{folder.store} is damaged ({said}); {advice}")
        now, there = self.position(), self._rows()
        lost = max(now["events"] - now["deleted"] - there, folder.facts.get("events", 0) - now["events"])
        if lost > 0 or folder.facts.get("activations", 0) > now["activations"]:
            what = f"{lost:,} newer ratings" if lost > 0 else "a change of models"
            raise StateError(f"{folder.store} has lost {what} that were answered; {advice}")
        if folder.facts and folder.facts.get("id") != self.meta["id"]:
            raise StateError(f"{folder.store} is the store of another state; {advice}")
        folder.mark({"store": "sqlite", "id": self.meta["id"], "open": True} | _head(now))
        folder.keep_reserve()

    def _whole(self, row: Any) -> Any:
        """The row; StateError where it was changed."""
        if not t.is_whole(row):
            advice = "restore a backup, or keep what is left by `cofactor state repair`"
            raise StateError(f"{self._name} is damaged (the record {row[0]!r}); {advice}")
        return row

    def _rows(self) -> int:
        """How many events there are, counted one by one (and not in an index)."""
        with self._read() as db:
            return int(db.exec_driver_sql(f"SELECT count(*) FROM {t.events.name} NOT INDEXED").scalar_one())

    @property
    def _name(self) -> str:
        return str(self.folder.store) if self.folder is not None else "the database"

    def _explained(self, exc: StoreError) -> ConfigError:
        said = str(exc)
        if "locked" in said and self.folder is not None:
            return ConfigError(f"{self.folder.path} is in use by another server; stop it, or give another --state")
        damaged = any(word in said for word in ("malformed", "not a database", "no such table", "no such column"))
        if damaged and self.folder is not None and self.folder.facts:
            advice = f"restore a backup, or keep what is left by `cofactor state repair {self.folder.path}`"
            return StateError(f"{self.folder.store} is damaged ({said}); {advice}")
        if "lock timeout" in said:
            return ConfigError(
                "the format of the database has to change, and other servers use it; stop these, start this one, then"
                " the others"
            )
        if "not a database" in said:
            return ConfigError(f"{self._name} is not a store of newer ratings ({said}); move it away")
        return ConfigError(f"cannot open {self._name}: {said}")

    def close(self) -> None:
        """Let go of the store."""
        if self.folder is None:
            self._engine.dispose()
            return
        if self._locked and self._opened:
            with contextlib.suppress(StoreError, OSError):
                if self._truncated():
                    self.folder.mark(self.folder.facts | {"open": False} | _head(self.position()))
        self._engine.dispose()
        self.folder.close()

    # ---- transactions

    @contextlib.contextmanager
    def _write(self, number: str | None = "events") -> Iterator[sa.Connection]:
        """One transaction: all of it or nothing, and one at a time. ``number``: the counter whose row is the turn.
        StoreError where nothing was changed; Unsure where a database on the other end of a connection was lost while it
        ended the transaction."""
        ending = False
        try:
            with self._engine.connect() as db, db.begin():
                if self._engine.dialect.name == "postgresql" and number is not None:
                    db.execute(sa.select(t.counters.c.value).where(t.counters.c.name == number).with_for_update())
                yield db
                ending = self.folder is None
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error) as exc:
            raise (Unsure if ending else StoreError)(_said(exc)) from exc

    @contextlib.contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect().execution_options(reading=True) as db, db.begin():
                yield db
        except SQLAlchemyError as exc:
            raise StoreError(_said(exc)) from exc

    def position(self) -> dict[str, int]:
        """All counters: how far the store is."""
        with self._read() as db:
            return {row.name: row.value for row in db.execute(COUNTERS)}

    def _advance(self, **head: int) -> None:
        if self.folder is not None and self.folder.facts:
            with contextlib.suppress(OSError):
                self.folder.advance(**head)

    # ---- newer ratings

    def append(
        self,
        events: Sequence[Event],
        key: str | None = None,
        body: str = "",
        answer: Callable[[int], dict[str, Any]] | None = None,
    ) -> Appended:
        """Keep these, all or none. A ``key`` that was there before gets what was answered then; KeyReused where
        that was to another ``body``. ``answer`` makes what is answered, of how many events there are."""
        with self._write() as db:
            if key is not None:
                key = self._hashed(key)
                before = db.execute(sa.select(t.answered).where(t.answered.c.key == key)).first()
                if before is not None:
                    if before.body != self._hashed(body):
                        raise KeyReused("this key came before with another request; give each request its own key")
                    return Appended(0, 0, str(self._whole(before).answer))
            first, last, there = insert_events(db, events)
            said = json.dumps({} if answer is None else answer(there))
            if key is not None:
                request = add(db, "requests", 1)
                row = t.with_digest(key=key, body=self._hashed(body), answer=said, request=request)
                db.execute(t.answered.insert().values(row))
                if request % 1000 == 0:
                    db.execute(t.answered.delete().where(t.answered.c.request <= request - KEYS_KEPT))
        self._advance(events=last)
        return Appended(first, last, said)

    def _hashed(self, text: str) -> str:
        key = bytes.fromhex(self.meta["salt"])
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key).hexdigest()

    def answered(self, key: str, body: str) -> str | None:
        """What was answered to a key; None where it is new. KeyReused where the request was another one."""
        with self._read() as db:
            before = db.execute(sa.select(t.answered).where(t.answered.c.key == self._hashed(key))).first()
        if before is None:
            return None
        if before.body != self._hashed(body):
            raise KeyReused("this key came before with another request; give each request its own key")
        return str(self._whole(before).answer)

    def events(self, after: int = 0, most: int | None = None) -> tuple[list[Event], int]:
        """(the events after number ``after`` as they came, the number of the last); ``most``: of the next so many."""
        with self._read() as db:
            last = int(db.execute(COUNTER, {"counter": "events"}).scalar_one())
            if most is not None:
                last = min(last, after + most)
            if last <= after:
                return [], max(last, after)
            rows = db.execute(SELECT_EVENTS, {"after": after, "last": last}).all()
        return [read_event(row) for row in rows], last

    def count(self) -> int:
        """How many events there are."""
        now = self.position()
        return now["events"] - now["deleted"]

    def count_through(self, last: int) -> int:
        """How many of these have numbers up to ``last``."""
        with self._read() as db:
            return int(
                db.execute(sa.select(sa.func.count()).select_from(t.events).where(t.events.c.id <= last)).scalar_one()
            )

    def forget(self, user: Any, *, everywhere: bool = False) -> int:
        """Delete the events of a user, so that nothing of them stays in the file; how many there were. That they went
        is noted under a keyed hash of the id, so that a backup of before is restored without them; ``everywhere``: from
        versions too, which the caller sees to."""

        def which(db: sa.Connection) -> Iterable[Any]:
            rows = list(of_user(db, t.written(user)))
            there = (db.execute(sa.select(t.events.c.id).where(one).limit(1)).first() for one in rows)
            if not everywhere and not any(there):
                return []  # else anybody could fill the table with names that there are not
            name, now = self._erased_name(user), {row.name: row.value for row in db.execute(COUNTERS)}
            before = db.execute(sa.select(t.meta.c.value).where(t.meta.c.name == name)).scalar()
            versions = now["versions"] if everywhere else 0 if before is None else json.loads(before)["versions"]
            put(db, name, json.dumps({"events": now["events"], "versions": versions}))
            return rows

        return self._delete(which)

    def _erased_name(self, user: Any) -> str:
        return f"{_ERASED}{self._hashed(t.written(user))}"

    def erased(self) -> dict[str, Erasure]:
        """Who was forgotten, under the names of :meth:`erasure_of`."""
        with self._read() as db:
            rows = [self._whole(row) for row in db.execute(t.meta.select())]
        return {row.name: Erasure(**json.loads(row.value)) for row in rows if row.name.startswith(_ERASED)}

    def erasure_of(self, user: Any, erased: dict[str, Erasure]) -> Erasure | None:
        """What there is of a user among these."""
        return erased.get(self._erased_name(user))

    def erase_again(self, erased: dict[str, Erasure]) -> int:
        """Delete the events of those who were forgotten after this copy was made; how many there were. They are noted
        as forgotten here too."""
        with self._read() as db:
            texts = db.execute(sa.select(t.events.c.user_id).distinct()).scalars().all()
        there = {text: found for text in texts if (found := self.erasure_of(json.loads(text), erased)) is not None}

        def which(db: sa.Connection) -> Iterator[Any]:
            now = {row.name: row.value for row in db.execute(COUNTERS)}
            for name, one in erased.items():
                events, versions = min(one.events, now["events"]), min(one.versions, now["versions"])
                put(db, name, json.dumps({"events": events, "versions": versions}))
            for text, one in there.items():
                for rows in of_user(db, text):
                    yield sa.and_(rows, t.events.c.id <= one.events)

        return self._delete(which)

    def expire(self, before: int, through: int | None = None) -> int:
        """Delete the events that happened before a time; how many there were. ``through``: of those up to a number."""
        old = t.events.c.time < before
        which = old if through is None else sa.and_(old, t.events.c.id <= through)
        with self._read() as db:
            found = db.execute(sa.select(t.events.c.id).where(which).limit(1)).first()
        return 0 if found is None else self._delete(lambda db: [which])

    def _delete(self, which: Callable[[sa.Connection], Iterable[Any]]) -> int:
        """Delete the events that meet any of some conditions, all at once."""

        def delete() -> int:
            with self._write() as db:
                found = sum(int(db.execute(t.events.delete().where(one)).rowcount) for one in which(db))
                add(db, "deleted", found)
                add(db, "erasures", 1)
                return found

        try:
            found = delete()
        except StoreError as exc:
            if self.folder is None or "full" not in str(exc):
                raise
            self.folder.free_reserve()
            found = delete()
        if self.folder is not None:
            if not self._truncated():
                log.warning("what was deleted is still in the log of the store; it goes at the next chance")
            self.folder.keep_reserve()
        return found

    def _truncated(self) -> bool:
        """Empty the log beside the SQLite file, so that nothing deleted stays there; False where others still read."""
        for _ in range(20):
            try:
                with self._engine.connect().execution_options(plain=True) as db:
                    row = db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").first()
                if row is not None and not row[0]:
                    return True
            except SQLAlchemyError as exc:
                log.warning("the log of the store cannot be emptied: %s", _said(exc))
                return False
            time.sleep(0.05)
        return False

    # ---- versions

    def versions(self, *, candidates: bool = False) -> list[Version]:
        """All that were live, by number; ``candidates``: those too that were kept to be tried beside the live one."""
        least = 0 if candidates else 1
        with self._read() as db:
            which = t.versions.select().where(t.versions.c.activation >= least)
            return [Version(*self._whole(row)[:-1]) for row in db.execute(which.order_by(t.versions.c.version))]

    def add_candidate(self, version: Version) -> None:
        """Keep a version that is not live (its activation is 0)."""
        with self._write() as db:
            self._still_leading(db)
            db.execute(t.versions.insert().values(t.with_digest(**version._asdict())))

    def note(self, name: str) -> str | None:
        """A text that was kept under a name."""
        with self._read() as db:
            row = db.execute(sa.select(t.meta).where(t.meta.c.name == name)).first()
        return None if row is None else str(self._whole(row).value)

    def keep_note(self, name: str, value: str | None) -> None:
        """Keep a text under a name; None: forget it."""
        with self._write() as db:
            if value is None:
                db.execute(t.meta.delete().where(t.meta.c.name == name))
            else:
                put(db, name, value)

    def live(self) -> Version | None:
        """The version that is live: the one that was activated last."""
        return max(self.versions(), key=lambda v: v.activation, default=None)

    def new_number(self) -> int:
        """The number of a version to come."""
        with self._write() as db:
            return add(db, "versions", 1)

    def activate(self, version: Version, *, bundle: str | None = None, erasures: int | None = None) -> int | None:
        """From now on this one is live, also after a restart; the number of the activation. ``bundle``: the digest of
        the manifest of the bundle that is served by default. None, and nothing is done, where ``erasures`` is not how
        often events were deleted."""
        with self._write() as db:
            self._still_leading(db)
            now = int(db.execute(COUNTER, {"counter": "erasures"}).scalar_one())
            if erasures is not None and now != erasures:
                return None
            number = add(db, "activations", 1)
            version = version._replace(activation=number, activated=time.time())
            db.execute(t.versions.delete().where(t.versions.c.version == version.version))
            db.execute(t.versions.insert().values(t.with_digest(**version._asdict())))
            if bundle is not None:
                put(db, "bundle", bundle)
        self._advance(activations=number)
        return number

    def bundle(self) -> str | None:
        """The digest of the manifest of the bundle that was last taken from the place that is served by default."""
        with self._read() as db:
            return db.execute(sa.select(t.meta.c.value).where(t.meta.c.name == "bundle")).scalar()

    def replace_version(self, version: Version) -> None:
        """The same version with other contents (somebody was erased from it). It is counted as an erasure, since a
        process may have looked after the deletion of the events and before this."""
        with self._write() as db:
            self._still_leading(db)
            add(db, "erasures", 1)
            row = t.versions.update().where(t.versions.c.version == version.version)
            db.execute(row.values(t.with_digest(**version._asdict())))

    def drop_version(self, version: int) -> None:
        """Forget one; its number does not come again."""
        with self._write() as db:
            self._still_leading(db)
            db.execute(t.versions.delete().where(t.versions.c.version == version))
            db.execute(t.shown_items.delete().where(t.shown_items.c.version == version))
            db.execute(t.meta.delete().where(t.meta.c.name == f"trial {version}"))

    # ---- one at a time, over all processes

    @contextlib.contextmanager
    def leading(self) -> Iterator[bool]:
        """Whether this is the one process that may change models now; until the end of the block, or of the process."""
        if self.folder is not None:
            place = self.folder.path / REFIT_LOCK
            try:
                fd = open_plain(place, os.O_RDWR | os.O_CREAT)
            except OSError as exc:
                raise StoreError(f"cannot open {place}: {exc.strerror or exc}") from None
            try:
                yield try_lock(fd)
            finally:
                os.close(fd)
            return
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            took = bool(db.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LEADING})").scalar())
            with self._signs(db) if took else contextlib.nullcontext():
                yield took

    @contextlib.contextmanager
    def _signs(self, db: sa.Connection) -> Iterator[None]:
        """Give signs of life over the connection that holds the lock. Where there are none for ``silent`` seconds, the
        database ends the session, and somebody else may lead: a process that was stopped holds nobody up for longer."""
        held, ends = int(db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()), threading.Event()
        limited = (db.dialect.server_version_info or (0,)) >= (14,)

        def give() -> None:
            with contextlib.suppress(SQLAlchemyError):  # the session was ended: see _still_leading
                while not ends.wait(self.silent / 5):
                    db.exec_driver_sql("SELECT 1")

        if limited:
            db.exec_driver_sql(f"SET idle_session_timeout = {max(1, round(1000 * self.silent))}")
        thread = threading.Thread(target=give, name="cofactor-leads", daemon=True)
        thread.start()
        self._leader = held
        try:
            yield
        finally:
            self._leader = None if self._leader == held else self._leader
            ends.set()
            thread.join()
            with contextlib.suppress(SQLAlchemyError):
                db.exec_driver_sql(f"SELECT pg_advisory_unlock({_LEADING})")
                if limited:
                    db.exec_driver_sql("RESET idle_session_timeout")

    def _still_leading(self, db: sa.Connection) -> None:
        """StoreError where this process led, was silent for too long, and does not lead any more."""
        if self._leader is not None:
            which = "locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32) + objid::bigint"
            there = f"SELECT count(*) FROM pg_locks WHERE {which} = {_LEADING} AND pid = {self._leader}"
            if not db.exec_driver_sql(there).scalar():
                raise StoreError("this server was silent for so long that another one may change models; try again")

    # ---- files of versions, where hosts share a database

    def put_files(self, contents: str, files: Iterable[tuple[str, int, bytes]]) -> None:
        """Keep the files of a bundle under the digest of its manifest, all or none."""
        with self._write(number=None) as db:
            if db.execute(sa.select(t.pieces.c.name).where(t.pieces.c.contents == contents).limit(1)).first():
                return
            for name, piece, data in files:
                row = {"contents": contents, "name": name, "piece": piece, "data": data}
                db.execute(t.pieces.insert().values(**row))

    def files(self, contents: str) -> Iterator[tuple[str, bytes]]:
        """(name, next piece) of the files of a bundle, in order."""
        with self._read() as db:
            where = t.pieces.c.contents == contents
            order = t.pieces.c.name, t.pieces.c.piece
            keys = db.execute(sa.select(*order).where(where).order_by(*order)).all()
            for name, piece in keys:
                one = sa.select(t.pieces.c.data).where(where, t.pieces.c.name == name, t.pieces.c.piece == piece)
                yield name, bytes(db.execute(one).scalar_one())

    def drop_files(self) -> None:
        """Delete the files that no version has."""
        with self._write() as db:
            kept = sa.select(t.versions.c.contents)
            db.execute(t.pieces.delete().where(t.pieces.c.contents.not_in(kept)))


def _head(position: dict[str, int]) -> dict[str, int]:
    return {"events": position["events"], "activations": position["activations"]}


def _said(exc: Exception) -> str:
    """What the database said, in one line and without values or addresses."""
    cause = getattr(exc, "orig", None)
    return str(cause or exc).strip().splitlines()[0][:300] if str(cause or exc).strip() else type(exc).__name__
