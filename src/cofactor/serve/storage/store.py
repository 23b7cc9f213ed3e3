"""The store of newer ratings and model versions, in SQLite or PostgreSQL. A change is on disk before it is confirmed.

Several processes may share a store. Writers take turns (a transaction begins by locking the row of a counter), so
events become visible in the order of their numbers, and a process that polls misses none. No order or expiry depends on
a clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from cofactor.errors import CofactorError
from cofactor.serve.storage import tables as t
from cofactor.serve.storage.leading import Leading
from cofactor.serve.storage.rows import (
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
from cofactor.serve.storage.transactions import StoreError, Transactions

log = logging.getLogger("cofactor.serve")
KEYS_KEPT = 1_000_000
"""Number of the latest requests whose keys are stored."""
_ERASED = "erased "
"""Prefix of the names of the notes on erased users."""
_DELETED, _DELETIONS_KEPT = "deleted ", 100
"""Prefix of the names of the notes on the latest deletions of one user's events, and their number."""


class Version(NamedTuple):
    """A stored version of the model.

    ``origin`` is the digest of the manifest of its source, ``contents`` that of its own manifest ("": stored by an
    earlier version of cofactor). Events up to ``through`` are in its training data. The version with the highest
    ``activation`` is live (0: never live). ``activated`` is for display only, in seconds since 1970.
    """

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
    """Numbers of the first and last event, and the answer; ``first`` is 0 for a repeated key."""

    first: int
    last: int
    answer: str


class Erasure(NamedTuple):
    """The note on an erased user.

    Their events up to number ``events`` were deleted, and their rows in versions up to ``versions``. ``bundles`` are
    the origins of these versions (digests of manifests).
    """

    events: int
    versions: int
    bundles: Sequence[str] = ()


class KeyReused(CofactorError):
    """A key was reused with another request."""


class Store(Transactions):
    """The store of a state: newer ratings, versions, notes.

    ``silent`` is the time in seconds without a sign of life after which another process may lead (PostgreSQL). The
    other arguments are those of ``Transactions``.
    """

    def __init__(self, where: Path | str, *, lock: bool = True, silent: float = 30.0, copies: bool = False) -> None:
        super().__init__(where, lock=lock, copies=copies)
        self._leading = Leading(self._engine, self.folder, silent)

    # ---- newer ratings

    def append(
        self,
        events: Sequence[Event],
        key: str | None = None,
        body: str = "",
        answer: Callable[[int], dict[str, Any]] | None = None,
    ) -> Appended:
        """Store these events, all or none.

        A repeated ``key`` returns the earlier answer; KeyReused where its ``body`` was another. ``answer`` makes the
        answer from the number of all events.
        """
        with self._write() as db:
            if key is not None:
                key = self._hashed(key)
                before = db.execute(sa.select(t.answered).where(t.answered.c.key == key)).first()
                if before is not None:
                    if before.body != self._hashed(body):
                        raise KeyReused("this key was used with another request; give each request its own key")
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
        """Return the answer to a key; None for a new key. KeyReused where the request was another one."""
        with self._read() as db:
            before = db.execute(sa.select(t.answered).where(t.answered.c.key == self._hashed(key))).first()
        if before is None:
            return None
        if before.body != self._hashed(body):
            raise KeyReused("this key was used with another request; give each request its own key")
        return str(self._whole(before).answer)

    def events(self, after: int = 0, most: int | None = None) -> tuple[list[Event], int]:
        """Return (the events after number ``after``, the number of the last one). ``most`` limits them to the next
        ``most`` numbers."""
        with self._read() as db:
            last = int(db.execute(COUNTER, {"counter": "events"}).scalar_one())
            if most is not None:
                last = min(last, after + most)
            if last <= after:
                return [], max(last, after)
            rows = db.execute(SELECT_EVENTS, {"after": after, "last": last}).all()
        return [read_event(row) for row in rows], last

    def count(self) -> int:
        """Return the number of events."""
        now = self.position()
        return now["events"] - now["deleted"]

    def count_through(self, last: int) -> int:
        """Return how many events have numbers up to ``last``."""
        with self._read() as db:
            return int(
                db.execute(sa.select(sa.func.count()).select_from(t.events).where(t.events.c.id <= last)).scalar_one()
            )

    def forget(self, user: Any, *, everywhere: bool = False, bundles: Iterable[str] = ()) -> int:
        """Delete the events of a user, also from the pages of the file, and return their number.

        The erasure is noted under a keyed hash of the id, so that an earlier backup is restored without the user. With
        ``everywhere`` it covers the versions too, which the caller rewrites; ``bundles`` are their origins.
        """

        def which(db: sa.Connection) -> Iterable[Any]:
            rows = list(of_user(db, t.written(user)))
            there = (db.execute(sa.select(t.events.c.id).where(one).limit(1)).first() for one in rows)
            if not everywhere and not any(there):
                return []  # otherwise a client could fill the table with unknown ids
            name, now = self.erased_name(user), {row.name: row.value for row in db.execute(COUNTERS)}
            before = db.execute(sa.select(t.meta.c.value).where(t.meta.c.name == name)).scalar()
            noted = Erasure(0, 0) if before is None else Erasure(**json.loads(before))
            versions = now["versions"] if everywhere else noted.versions
            from_ = sorted({*noted.bundles, *bundles})
            put(db, name, json.dumps(Erasure(now["events"], versions, from_)._asdict()))
            number = now["erasures"] + 1
            put(db, f"{_DELETED}{number}", json.dumps([name, now["events"]]))
            db.execute(t.meta.delete().where(t.meta.c.name == f"{_DELETED}{number - _DELETIONS_KEPT}"))
            return rows

        return self._delete(which)

    def erased_name(self, user: Any) -> str:
        """Return the name of the note on a user, as in :meth:`erased`."""
        return f"{_ERASED}{self._hashed(t.written(user))}"

    def erased(self) -> dict[str, Erasure]:
        """Return the notes on erased users, by :meth:`erased_name`."""
        with self._read() as db:
            rows = [self._whole(row) for row in db.execute(t.meta.select())]
        return {row.name: Erasure(**json.loads(row.value)) for row in rows if row.name.startswith(_ERASED)}

    def deleted(self, after: int, last: int) -> dict[str, int] | None:
        """Return what the deletions with numbers above ``after`` up to ``last`` deleted, if that was all events of some
        users: the number of the last event at that time, by :meth:`erased_name`. None where it was something else."""
        if not 0 < last - after <= _DELETIONS_KEPT:
            return None
        names = [f"{_DELETED}{number}" for number in range(after + 1, last + 1)]
        with self._read() as db:
            rows = [self._whole(row) for row in db.execute(t.meta.select().where(t.meta.c.name.in_(names)))]
        return dict(map(json.loads, (row.value for row in rows))) if len(rows) == len(names) else None

    def erasure_of(self, user: Any, erased: dict[str, Erasure]) -> Erasure | None:
        """Return the erasure of a user among these, or None."""
        return erased.get(self.erased_name(user))

    def erase_again(self, erased: dict[str, Erasure]) -> int:
        """Delete the events of users who were erased after this copy was made, and return their number. The erasures
        are noted here too."""
        with self._read() as db:
            texts = db.execute(sa.select(t.events.c.user_id).distinct()).scalars().all()
        there = {text: found for text in texts if (found := self.erasure_of(json.loads(text), erased)) is not None}

        def which(db: sa.Connection) -> Iterator[Any]:
            now = {row.name: row.value for row in db.execute(COUNTERS)}
            for name, one in erased.items():
                events, versions = min(one.events, now["events"]), min(one.versions, now["versions"])
                put(db, name, json.dumps(Erasure(events, versions, one.bundles)._asdict()))
            for text, one in there.items():
                for rows in of_user(db, text):
                    yield sa.and_(rows, t.events.c.id <= one.events)

        return self._delete(which)

    def expire(self, before: int, through: int | None = None) -> int:
        """Delete the events before a time, and return their number. ``through``: only those up to this number."""
        old = t.events.c.time < before
        which = old if through is None else sa.and_(old, t.events.c.id <= through)
        with self._read() as db:
            found = db.execute(sa.select(t.events.c.id).where(which).limit(1)).first()
        return 0 if found is None else self._delete(lambda db: [which])

    def _delete(self, which: Callable[[sa.Connection], Iterable[Any]]) -> int:
        """Delete the events that meet any of the conditions, in one transaction, and return their number."""

        def delete() -> int:
            with self._write() as db:
                conditions = list(which(db))
                if not conditions:
                    return 0
                found = sum(int(db.execute(t.events.delete().where(one)).rowcount) for one in conditions)
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
                log.warning("deleted rows are still in the write-ahead log of the store; they are removed later")
            self.folder.keep_reserve()
        return found

    # ---- versions

    def versions(self, *, candidates: bool = False) -> list[Version]:
        """Return the versions that were live, by number; with ``candidates`` also those that were never live."""
        least = 0 if candidates else 1
        with self._read() as db:
            which = t.versions.select().where(t.versions.c.activation >= least)
            return [Version(*self._whole(row)[:-1]) for row in db.execute(which.order_by(t.versions.c.version))]

    def add_candidate(self, version: Version) -> None:
        """Store a version that is not live (its activation is 0)."""
        with self._write() as db:
            self._still_leading(db)
            db.execute(t.versions.insert().values(t.with_digest(**version._asdict())))

    def note(self, name: str) -> str | None:
        """Return the note of a name, or None."""
        with self._read() as db:
            row = db.execute(sa.select(t.meta).where(t.meta.c.name == name)).first()
        return None if row is None else str(self._whole(row).value)

    def keep_note(self, name: str, value: str | None) -> None:
        """Store a note under a name; None deletes it."""
        with self._write() as db:
            if value is None:
                db.execute(t.meta.delete().where(t.meta.c.name == name))
            else:
                put(db, name, value)

    def live(self) -> Version | None:
        """Return the live version, which was activated last, or None."""
        return max(self.versions(), key=lambda v: v.activation, default=None)

    def new_number(self) -> int:
        """Return the number for a new version."""
        with self._write() as db:
            return add(db, "versions", 1)

    def activate(self, version: Version, *, bundle: str | None = None, erasures: int | None = None) -> int | None:
        """Make a version live, for restarts too, and return the number of the activation.

        ``bundle`` is the digest of the manifest of the default bundle. Where ``erasures`` differs from the number of
        deletions so far, nothing is changed, and None is returned.
        """
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
        """Return the digest of the manifest of the default bundle when it was last loaded."""
        with self._read() as db:
            return db.execute(sa.select(t.meta.c.value).where(t.meta.c.name == "bundle")).scalar()

    def replace_version(self, version: Version) -> None:
        """Replace the contents of a version from which a user was erased.

        This counts as an erasure, since another process may have polled between the deletion of the events and this.
        """
        with self._write() as db:
            self._still_leading(db)
            add(db, "erasures", 1)
            row = t.versions.update().where(t.versions.c.version == version.version)
            db.execute(row.values(t.with_digest(**version._asdict())))

    def drop_version(self, version: int) -> None:
        """Delete the record of a version; its number is not reused."""
        with self._write() as db:
            self._still_leading(db)
            db.execute(t.versions.delete().where(t.versions.c.version == version))
            db.execute(t.shown_items.delete().where(t.shown_items.c.version == version))
            db.execute(t.meta.delete().where(t.meta.c.name == f"trial {version}"))

    # ---- one leader among all processes

    def leading(self) -> contextlib.AbstractContextManager[bool]:
        """Try to become the one process that may change models, until the end of the block; yield whether it worked."""
        return self._leading.begun()

    def _still_leading(self, db: sa.Connection) -> None:
        self._leading.check(db)

    # ---- files of versions, where hosts share a database

    def put_files(self, contents: str, files: Iterable[tuple[str, int, bytes]]) -> None:
        """Store the files of a bundle under the digest of its manifest, all or none."""
        with self._write(number=None) as db:
            if db.execute(sa.select(t.pieces.c.name).where(t.pieces.c.contents == contents).limit(1)).first():
                return
            for name, piece, data in files:
                row = {"contents": contents, "name": name, "piece": piece, "data": data}
                db.execute(t.pieces.insert().values(**row))

    def files(self, contents: str) -> Iterator[tuple[str, bytes]]:
        """Yield (name, next piece) of the files of a bundle, in order."""
        with self._read() as db:
            where = t.pieces.c.contents == contents
            order = t.pieces.c.name, t.pieces.c.piece
            keys = db.execute(sa.select(*order).where(where).order_by(*order)).all()
            for name, piece in keys:
                one = sa.select(t.pieces.c.data).where(where, t.pieces.c.name == name, t.pieces.c.piece == piece)
                yield name, bytes(db.execute(one).scalar_one())

    def drop_files(self) -> None:
        """Delete the files that belong to no version."""
        with self._write() as db:
            kept = sa.select(t.versions.c.contents)
            db.execute(t.pieces.delete().where(t.pieces.c.contents.not_in(kept)))
