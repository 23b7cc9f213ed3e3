"""Feedback on lists: which were shown, and which of their items were clicked or bought.

The id of its request (``X-Request-Id``) identifies a list. Nothing about the user is stored, and of the id only a keyed
hash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cofactor.errors import UnknownIdError
from cofactor.serve.storage import tables as t
from cofactor.serve.storage.rows import add
from cofactor.serve.storage.store import Store

Verdict = Literal["clicked", "bought"]
LISTS_KEPT = 1_000_000
"""Number of latest shown lists that can still receive clicks."""
DAY = 86_400


class Shown(NamedTuple):
    """A list that was shown: the id of its request, the version that made it, and its items in order."""

    request: str
    version: int
    items: Sequence[Any]


class Reaction(NamedTuple):
    """A user's reaction to an item of a list."""

    request: str
    item: Any
    what: Verdict


def take(
    store: Store, now: int, feedback: Iterable[Shown | Reaction], known: Callable[[Any], bool] = lambda item: True
) -> dict[str, int]:
    """Store the feedback of time ``now`` (seconds since 1970), all or none, and return the number of new entries.

    Items that are not ``known`` do not count for coverage. UnknownIdError for a reaction to a list that was not shown,
    or to an item that is not in it.
    """
    new = 0
    with store._write() as db:
        for one in feedback:
            new += _show(store, db, one, now // DAY, known) if isinstance(one, Shown) else _react(store, db, one)
    return {"accepted": new}


def _show(store: Store, db: sa.Connection, shown: Shown, day: int, known: Callable[[Any], bool]) -> int:
    key = store._hashed(shown.request)
    if db.execute(sa.select(t.lists.c.number).where(t.lists.c.request == key)).first():
        return 0
    if not db.execute(sa.select(t.versions.c.version).where(t.versions.c.version == shown.version)).first():
        raise UnknownIdError(f"there is no version {shown.version}")
    number, items = add(db, "lists", 1), [t.written(item) for item in shown.items]
    row = {"request": key, "number": number, "version": shown.version, "day": day, "items": json.dumps(items)}
    db.execute(t.lists.insert().values(t.with_digest(**row, liked="{}")))
    insert = sqlite.insert if db.dialect.name == "sqlite" else postgresql.insert
    covered = [item for item, name in zip(items, shown.items, strict=True) if known(name)]
    rows = [{"version": shown.version, "item": item} for item in covered]
    if rows:
        db.execute(insert(t.shown_items).on_conflict_do_nothing(), rows)
    if number % 1000 == 0:
        db.execute(t.lists.delete().where(t.lists.c.number <= number - LISTS_KEPT))
    _count(db, shown.version, day, lists=1)
    return 1


def _react(store: Store, db: sa.Connection, reaction: Reaction) -> int:
    key = store._hashed(reaction.request)
    row = db.execute(t.lists.select().where(t.lists.c.request == key)).first()
    if row is None:
        raise UnknownIdError(f"no list of the request {reaction.request!r} was reported as shown; report it first")
    items, liked = json.loads(store._whole(row).items), json.loads(row.liked)
    if (item := t.written(reaction.item)) not in items:
        raise UnknownIdError(f"the item {reaction.item!r} is not in the list of the request {reaction.request!r}")
    place = str(items.index(item))
    if liked.get(place) in (reaction.what, "bought"):
        return 0
    before = _gain(liked, len(items))
    counts = {reaction.what: 1, "hits": int(not liked)}
    if place in liked:  # a click that became a purchase
        counts["clicked"] = -1
    liked[place] = reaction.what
    after = _gain(liked, len(items))
    found = dict(row._mapping) | {"liked": json.dumps(liked)}
    found.pop("digest")
    db.execute(t.lists.update().where(t.lists.c.request == key).values(t.with_digest(**found)))
    _count(db, row.version, row.day, **counts, gain=after - before, squares=after**2 - before**2)
    return 1


def _gain(liked: dict[str, str], n: int) -> float:
    """Return the NDCG of a list with hits at these places, relative to the same number of hits at the top."""
    best = sum(1 / math.log2(r + 2) for r in range(len(liked)))
    return sum(1 / math.log2(int(place) + 2) for place in liked) / best if best else 0.0


def _count(db: sa.Connection, version: int, day: int, **more: float) -> None:
    names = ("lists", "hits", "clicked", "bought", "gain", "squares")
    which = t.outcomes.c.version == version, t.outcomes.c.day == day
    row = db.execute(t.outcomes.select().where(*which)).first()
    values: dict[str, Any] = {name: 0 if row is None else row._mapping[name] for name in names}
    values = {name: value + more.get(name, 0) for name, value in values.items()}
    values |= {"version": version, "day": day, "gain": float(values["gain"]), "squares": float(values["squares"])}
    if row is None:
        db.execute(t.outcomes.insert().values(t.with_digest(**values)))
    else:
        db.execute(t.outcomes.update().where(*which).values(t.with_digest(**values)))
