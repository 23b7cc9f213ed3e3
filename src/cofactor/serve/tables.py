"""Tables of the store and their migrations, the same for SQLite and PostgreSQL (SQLAlchemy Core).

Ids are kept as JSON texts, so that 1 and "1" stay two. Order comes from counters, never from a clock: ``at`` columns
are for people. ``digest`` columns hold a checksum of their row.
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
"""Application id of SQLite files, so that no other database is taken for one of ours."""

metadata = MetaData()


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _whole(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, autoincrement=False, nullable=False)


def _real(name: str, *, null: bool = False) -> Column[float]:
    return Column(name, Double, nullable=null)


def _table(name: str, *columns: Column[Any]) -> Table:
    """A table whose rows have a checksum."""
    return Table(f"{PREFIX}{name}", metadata, *columns, _whole("digest"))


meta = _table("meta", _text("name", key=True), _text("value"))
counters = _table("counters", _text("name", key=True), _whole("value"))
"""``events``: the number of the last event; ``deleted``: how many events are gone; ``erasures``: how often any were
deleted; ``activations``: how often a version went live; ``versions``: the number of the last version; ``requests``: how
many requests with a key there were; ``lists``: the number of the last list that was shown."""
COUNTERS = ("events", "deleted", "erasures", "activations", "versions", "requests", "lists")

_number = BigInteger().with_variant(Integer, "sqlite")  # there the number of the row itself
events = _table(
    "events",
    Column("id", _number, primary_key=True, autoincrement=False, nullable=False),
    _text("user_id"),
    _text("item_id"),
    _real("rating"),
    _whole("time"),
)
PART = 4096
"""Events are indexed by user within parts of so many: new ones touch the pages of one part alone, which are few."""
part = events.c.id // literal_column(str(PART), BigInteger)
_by_part = Index(f"{PREFIX}events_by_part", part, events.c.user_id)

answered = _table("answered", _text("key", key=True), _text("body"), _text("answer"), _whole("request"))
"""``key`` is a keyed hash, since a key may name a person; so is ``body``."""
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
"""Lists that were shown, by a keyed hash of the id of their request, without their users. ``liked``: the places of
items that were clicked or bought, as {"place": "clicked"}."""
Index(f"{PREFIX}lists_number", lists.c.number)

outcomes = _table(
    "outcomes",
    *(_whole(name, key=True) for name in ("version", "day")),
    *map(_whole, ("lists", "hits", "clicked", "bought")),
    *map(_real, ("gain", "squares")),
)
"""What came of the lists of a version on a day (since 1970): how many lists, those with a hit, items clicked and
bought, the NDCG of the lists added up, and its squares."""

shown_items = Table(f"{PREFIX}shown_items", metadata, _whole("version", key=True), _text("item", key=True))
"""Items that were in a list of a version: its coverage."""

pieces = Table(
    f"{PREFIX}pieces",
    metadata,
    *(_text(name, key=True) for name in ("contents", "name")),
    _whole("piece", key=True),
    Column("data", LargeBinary, nullable=False),
)
"""The files of versions where hosts share a database; with SQLite versions are folders."""

ALL = (meta, counters, events, answered, versions, lists, outcomes, shown_items)
"""What a copy of a store holds; ``pieces`` are copied with the versions."""


def written(value: Any) -> str:
    """An id as it is stored."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)  # what json.dumps comes to, ten times as fast
    if type(value) is int:
        return str(value)
    return json.dumps(value, ensure_ascii=True)


def row_digest(*values: Any) -> int:
    """Checksum of a row as it is stored, in the range of a signed 64-bit integer."""
    return int.from_bytes(blake2b(repr(values).encode(), digest_size=8).digest(), "little", signed=True)


def row_digests(rows: Iterable[tuple[Any, ...]]) -> list[int]:
    """Those of many rows, whose values stand in the order of the names of their columns."""
    found = b"".join([blake2b(repr(row).encode(), digest_size=8).digest() for row in rows])
    return list(unpack(f"<{len(found) // 8}q", found))


def with_digest(**row: Any) -> dict[str, Any]:
    """A row with the checksum of its columns."""
    return row | {"digest": row_digest(*(row[name] for name in sorted(row)))}


def is_whole(row: Any) -> bool:
    """Whether the checksum of a row that was read is that of its columns."""
    values = dict(row._mapping)
    return bool(values.pop("digest") == row_digest(*(values[name] for name in sorted(values))))


# ---- migrations


def format_of(db: Connection) -> int:
    """The format of the store in a database; 0 where there is none."""
    if not inspect(db).has_table(meta.name):
        return 1 if _is_first_format(db) else 0
    found = db.execute(meta.select().where(meta.c.name == "format")).first()
    return int(found.value) if found else 0


def migrate(db: Connection, begin: int, facts: dict[str, str]) -> None:
    """From format ``begin`` to the present one; ``facts`` go into ``meta`` of a new store."""
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
    """Format 1 (SQLite only) had untyped columns, no counters, and ordered versions by a clock."""
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
    """Format 2 had no tables of what came of the lists."""
    metadata.create_all(db)
    if not db.execute(counters.select().where(counters.c.name == "lists")).first():
        db.execute(counters.insert().values(with_digest(name="lists", value=0)))


def _from_third(db: Connection, facts: dict[str, str]) -> None:
    """Format 3 had one index of users over all events, of which each new event touched a page of its own, and with
    SQLite another one of their numbers."""
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
        db.execute(text("SET LOCAL statement_timeout = 0"))  # of many events it takes a while
        _by_part.create(db, checkfirst=False)


MIGRATIONS: dict[int, Callable[[Connection, dict[str, str]], None]] = {
    1: _from_first,
    2: _from_second,
    3: _from_third,
}
"""What leads from a format to the next."""
