"""Rows of the store: newer ratings and counters, written and read in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from cofactor.serve.storage import tables as t
from cofactor.serve.storage.state_folder import StateError


class Event(NamedTuple):
    """One newer rating; ``time`` in seconds since 1970."""

    user: Any
    item: Any
    rating: float
    time: int


COUNTERS = sa.select(t.counters.c.name, t.counters.c.value)
COUNTER = sa.select(t.counters.c.value).where(t.counters.c.name == sa.bindparam("counter"))
_SET = (
    t.counters.update()
    .where(t.counters.c.name == sa.bindparam("counter"))
    .values(value=sa.bindparam("next"), digest=sa.bindparam("sum"))
)
_NAMES = ", ".join(column.name for column in t.events.columns)
_PLAIN = {
    dialect: (
        f"SELECT value FROM {t.counters.name} WHERE name IN ('events', 'deleted') ORDER BY name",
        f"UPDATE {t.counters.name} SET value = {mark}, digest = {mark} WHERE name = 'events'",
        f"INSERT INTO {t.events.name} ({_NAMES}) VALUES ({', '.join([mark] * len(t.events.columns))})",
    )
    for dialect, mark in (("sqlite", "?"), ("postgresql", "%s"))
}
"""Plain SQL for each event, since SQLAlchemy takes longer to build a statement than SQLite to run it."""
_PARTS = 1000
"""Number of parts of the events that one statement covers."""
SELECT_EVENTS = (
    sa.select(t.events)
    .where(t.events.c.id > sa.bindparam("after"), t.events.c.id <= sa.bindparam("last"))
    .order_by(t.events.c.id)
)


def add(db: sa.Connection, counter: str, by: int) -> int:
    """Increase a counter (the caller holds the turn), and return the new value."""
    value = int(db.execute(COUNTER, {"counter": counter}).scalar_one()) + by
    db.execute(_SET, {"counter": counter, "next": value, "sum": t.with_digest(name=counter, value=value)["digest"]})
    return value


def insert_events(db: sa.Connection, events: Sequence[Event]) -> tuple[int, int, int]:
    """Insert events (the caller holds the turn), and return (first number, last number, count of all events)."""
    look, count, insert = _PLAIN[db.dialect.name]
    cursor = db.connection.cursor()
    try:
        cursor.execute(look)
        (deleted,), (before,) = cursor.fetchall()
        last = before + len(events)
        cursor.execute(count, (last, t.with_digest(name="events", value=last)["digest"]))
        if events:
            cursor.executemany(insert, as_rows(before + 1, events))
    finally:
        cursor.close()
    return before + 1, last, last - deleted


def of_user(db: sa.Connection, user: str) -> Iterator[Any]:
    """Yield conditions that together match all events of a user; each covers some parts of the events."""
    least, most = db.execute(sa.select(sa.func.min(t.events.c.id), sa.func.max(t.events.c.id))).one()
    if least is not None:
        for begin in range(least // t.PART, most // t.PART + 1, _PARTS):
            parts = range(begin, min(begin + _PARTS, most // t.PART + 1))
            yield sa.and_(t.part.in_(parts), t.events.c.user_id == user)


def put(db: sa.Connection, name: str, value: str) -> None:
    db.execute(t.meta.delete().where(t.meta.c.name == name))
    db.execute(t.meta.insert().values(t.with_digest(name=name, value=value)))


def as_rows(first: int, events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """Return events as rows with numbers from ``first``, in the order of the columns."""
    written, rows = t.written, []
    for number, (user, item, rating, time) in enumerate(events, first):
        user = str(user) if type(user) is int else written(user)
        rows.append((number, user, str(item) if type(item) is int else written(item), float(rating), int(time)))
    sums = t.row_digests([(number, item, rating, time, user) for number, user, item, rating, time in rows])
    return [(*row, digest) for row, digest in zip(rows, sums, strict=True)]


def read_event(row: Any) -> Event:
    number, user, item, rating, time, digest = row
    if digest != t.row_digest(number, item, rating, time, user):  # sorted by column name
        raise StateError(f"newer rating {number} was changed outside the server; run `cofactor state check`")
    return Event(json.loads(user), json.loads(item), rating, time)
