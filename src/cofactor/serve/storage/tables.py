"""Tables of the store and their migrations, the same for SQLite and PostgreSQL (SQLAlchemy Core).

Ids are stored as JSON text, so that 1 and "1" stay different. Order comes from counters, never from a clock; columns
with times are for display. ``digest`` columns hold a checksum of their row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from struct import unpack
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    inspect,
    literal_column,
    text,
)

FORMAT = 4
PREFIX = "cofactor_"
OURS = 0xC0FAC70
"""Application id of SQLite files, which tells ours from other databases."""

metadata = MetaData()


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _whole(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, autoincrement=False, nullable=False)


def _real(name: str, *, null: bool = False) -> Column[float]:
    return Column(name, Double, nullable=null)


def _table(name: str, *columns: Column[Any]) -> Table:
    """Return a table whose rows have a checksum."""
    return Table(f"{PREFIX}{name}", metadata, *columns, _whole("digest"))


meta = _table("meta", _text("name", key=True), _text("value"))
counters = _table("counters", _text("name", key=True), _whole("value"))
"""``events``: number of the last event; ``deleted``: count of deleted events; ``erasures``: count of deletions;
``activations``: count of model swaps; ``versions``: number of the last version; ``requests``: count of requests with a
key; ``lists``: number of the last shown list."""
COUNTERS = ("events", "deleted", "erasures", "activations", "versions", "requests", "lists")

_number = BigInteger().with_variant(Integer, "sqlite")  # in SQLite the row id
events = _table(
    "events",
    Column("id", _number, primary_key=True, autoincrement=False, nullable=False),
    _text("user_id"),
    _text("item_id"),
    _real("rating"),
    _whole("time"),
)
PART = 4096
"""Size of the parts of the events. The index is by part and user, so new events touch only the few pages of one
part."""
part = events.c.id // literal_column(str(PART), BigInteger)
_by_part = Index(f"{PREFIX}events_by_part", part, events.c.user_id)

answered = _table("answered", _text("key", key=True), _text("body"), _text("answer"), _whole("request"))
"""``key`` and ``body`` are keyed hashes, since they may contain user ids."""
Index(f"{PREFIX}answered_request", answered.c.request)

versions = _table(
    "versions",
    _whole("version", key=True),
    *map(_text, ("source", "origin", "folder", "contents", "model", "created")),
    _whole("through"),
    _real("drift", null=True),
    _whole("activation"),
    _real("activated", null=True),
)

lists = _table(
    "lists",
    _text("request", key=True),
    *map(_whole, ("number", "version", "day")),
    *map(_text, ("items", "liked")),
)
"""Shown lists, by a keyed hash of the id of their request, without users. ``liked`` holds the places of clicked or
bought items, as {"place": "clicked"}."""
Index(f"{PREFIX}lists_number", lists.c.number)

outcomes = _table(
    "outcomes",
    *(_whole(name, key=True) for name in ("version", "day")),
    *map(_whole, ("lists", "hits", "clicked", "bought")),
    *map(_real, ("gain", "squares")),
)
"""Outcomes of a version's lists on a day (since 1970): the number of lists, of lists with a hit, of clicked and of
bought items, the sum of the lists' NDCG, and the sum of its squares."""

shown_items = Table(f"{PREFIX}shown_items", metadata, _whole("version", key=True), _text("item", key=True))
"""Items in the shown lists of a version, for its coverage."""

pieces = Table(
    f"{PREFIX}pieces",
    metadata,
    *(_text(name, key=True) for name in ("contents", "name")),
    _whole("piece", key=True),
    Column("data", LargeBinary, nullable=False),
)
"""The files of versions where hosts share a database. With SQLite, versions are folders."""

ALL = (meta, counters, events, answered, versions, lists, outcomes, shown_items)
"""The tables in a copy of a store; ``pieces`` are copied with the versions."""


def written(value: Any) -> str:
    """Return an id as it is stored."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)  # equals json.dumps, ten times as fast
    if type(value) is int:
        return str(value)
    return json.dumps(value, ensure_ascii=True)


def row_digest(*values: Any) -> int:
    """Return the checksum of a row, a signed 64-bit integer."""
    return int.from_bytes(blake2b(repr(values).encode(), digest_size=8).digest(), "little", signed=True)


def row_digests(rows: Iterable[tuple[Any, ...]]) -> list[int]:
    """Those of many rows, whose values stand in the order of the names of their columns."""
    found = b"".join([blake2b(repr(row).encode(), digest_size=8).digest() for row in rows])
    return list(unpack(f"<{len(found) // 8}q", found))


def with_digest(**row: Any) -> dict[str, Any]:
    """Return a row with the checksum of its columns added."""
    return row | {"digest": row_digest(*(row[name] for name in sorted(row)))}


def is_whole(row: Any) -> bool:
    """Return whether the checksum of a row matches its columns."""
    values = dict(row._mapping)
    return bool(values.pop("digest") == row_digest(*(values[name] for name in sorted(values))))


# ---- migrations


def format_of(db: Connection) -> int:
    """Return the format of the store in a database; 0 where there is no store."""
    if not inspect(db).has_table(meta.name):
        return 1 if _is_first_format(db) else 0
    found = db.execute(meta.select().where(meta.c.name == "format")).first()
    return int(found.value) if found else 0


def migrate(db: Connection, begin: int, facts: dict[str, str]) -> None:
    """Migrate from format ``begin`` to the current one; ``facts`` are written to ``meta`` of a new store."""
    if begin == 0:
        metadata.create_all(db)
        _begin(db, facts, {})
    for number in range(max(begin, 1), FORMAT if begin else 0):
        MIGRATIONS[number](db, facts)
    db.execute(meta.delete().where(meta.c.name == "format"))
    db.execute(meta.insert().values(with_digest(name="format", value=str(FORMAT))))
    if db.dialect.name == "sqlite":
        db.exec_driver_sql(f"PRAGMA application_id = {OURS}")
        db.exec_driver_sql(f"PRAGMA user_version = {FORMAT}")


def _begin(db: Connection, facts: dict[str, str], counts: dict[str, int]) -> None:
    db.execute(meta.insert(), [with_digest(name=k, value=v) for k, v in facts.items()])
    db.execute(counters.insert(), [with_digest(name=name, value=counts.get(name, 0)) for name in COUNTERS])


def _is_first_format(db: Connection) -> bool:
    return db.dialect.name == "sqlite" and db.exec_driver_sql("PRAGMA user_version").scalar() == 1


def _from_first(db: Connection, facts: dict[str, str]) -> None:
    """Migrate from format 1 (SQLite only): untyped columns, no counters, versions ordered by a clock."""
    old_events = db.exec_driver_sql("SELECT id, user, item, rating, time FROM events ORDER BY id").fetchall()
    last = db.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'events'").scalar() or 0
    old = db.exec_driver_sql(
        "SELECT version, source, origin, folder, model, created, through, drift, activated, active FROM versions"
        " WHERE activated IS NOT NULL ORDER BY active, activated"
    ).fetchall()
    newest = db.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'versions'").scalar() or 0
    for name in ("events", "answered", "versions"):
        db.execute(text(f"DROP TABLE {name}"))
    metadata.create_all(db)
    given = [row for row in sorted(old) if row[1] in ("given", "reload")]
    if given:
        facts = facts | {"bundle": given[-1][2]}
    counts = {
        "events": last, "deleted": last - len(old_events), "activations": len(old), "versions": newest
    }  # fmt: skip
    _begin(db, facts, counts)
    rows = [(number, written(user), written(item), float(r), int(t)) for number, user, item, r, t in old_events]
    if rows:
        names = ("id", "user_id", "item_id", "rating", "time")
        db.execute(events.insert(), [with_digest(**dict(zip(names, row, strict=True))) for row in rows])
    for order, row in enumerate(old, 1):
        columns = ("version", "source", "origin", "folder", "model", "created", "through", "drift", "activated")
        values = dict(zip(columns, row[:9], strict=True))
        db.execute(versions.insert().values(with_digest(**values, contents="", activation=order)))


def _from_second(db: Connection, facts: dict[str, str]) -> None:
    """Migrate from format 2, which had no tables of lists and outcomes."""
    metadata.create_all(db)
    if not db.execute(counters.select().where(counters.c.name == "lists")).first():
        db.execute(counters.insert().values(with_digest(name="lists", value=0)))


def _from_third(db: Connection, facts: dict[str, str]) -> None:
    """Migrate from format 3: one index by user over all events, of which each new event touched another page, and with
    SQLite a second index of event numbers."""
    name = events.name
    for index in (f"{PREFIX}events_of_user", _by_part.name):
        db.execute(text(f"DROP INDEX IF EXISTS {index}"))
    if db.dialect.name == "sqlite":
        names = ", ".join(column.name for column in events.columns)
        db.execute(text(f"ALTER TABLE {name} RENAME TO {name}_before"))
        events.create(db, checkfirst=False)
        db.execute(text(f"INSERT INTO {name} ({names}) SELECT {names} FROM {name}_before ORDER BY id"))
        db.execute(text(f"DROP TABLE {name}_before"))
    else:
        db.execute(text("SET LOCAL statement_timeout = 0"))  # slow with many events
        _by_part.create(db, checkfirst=False)


MIGRATIONS: dict[int, Callable[[Connection, dict[str, str]], None]] = {
    1: _from_first,
    2: _from_second,
    3: _from_third,
}
"""Map each format to its migration to the next one."""
