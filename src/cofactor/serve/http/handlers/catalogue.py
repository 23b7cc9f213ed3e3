"""Handlers that show what the model was trained on: items, users and their ratings."""

from __future__ import annotations

from typing import Any

import numpy as np

from cofactor.recommend.profiles import find_user
from cofactor.recommend.updates import NO_TIME, trained_on
from cofactor.serve.http.handlers.asked import Asked, iso

SHOWN_RATINGS = 500


def biases(asked: Asked) -> dict[str, Any]:
    """List the items with the lowest and the highest biases."""
    served = asked.live.now
    return {"version": served.version, "biases": served.rec.biases(asked.what.n).to_dicts()}


def item_map(asked: Asked) -> bytes:
    """Return the most rated items with their places on the map."""
    return asked.live.now.catalogue.map(asked.what.limit)


def items(asked: Asked) -> dict[str, Any]:
    """Search items by words in their titles or ids."""
    served, what = asked.live.now, asked.what
    codes, total = served.catalogue.browse(what.q, what.where, what.order, what.limit, what.offset)
    return {"items": served.catalogue.facts(codes), "total": total}


def item(asked: Asked) -> dict[str, Any]:
    """Return all facts about one item."""
    served = asked.live.now
    name = served.rec.data.item_ids.parse(asked.what.item)
    rec, catalogue = served.rec, served.catalogue
    code = rec.items.code(name)
    facts = catalogue.facts(np.array([code]))[0]
    values = rec.data.by_item.row(code)[1]
    ratings, counts = np.unique(values, return_counts=True)
    if len(ratings) > 24:
        counts, edges = np.histogram(values, bins=12)
        ratings = (edges[:-1] + edges[1:]) / 2
    table = rec.data.item_table
    row = {} if table is None else table.row(code, named=True)
    bias = float(rec.model.bias("item")[code]) if catalogue.has_biases else None  # type: ignore[attr-defined]
    return facts | {
        "bias": bias,
        "histogram": [{"rating": r, "count": c} for r, c in zip(ratings.tolist(), counts.tolist(), strict=True)],
        "table": {k: v for k, v in row.items() if k not in (rec.data.columns.item, "title") and v is not None},
        "neighbours": rec.similar_items(facts["item"], 10).to_dicts(),
    }


def users(asked: Asked) -> dict[str, Any]:
    """Search users by a part of their id."""
    served, text, limit, offset = asked.live.now, asked.what.q, asked.what.limit, asked.what.offset
    codes, total = served.catalogue.search_users(text, limit, offset)
    rec, part = served.rec, text.strip().lower()
    rows = zip(rec.data.user_ids.decode(codes).to_list(), rec.data.by_user.counts[codes].tolist(), strict=True)
    newer = [
        (user, len(rec.updates.users[code].newer))
        for user, code in rec.updates.new_codes.items()
        if part in str(user).lower() and code in rec.updates.users
    ]
    found = [*newer[offset : offset + limit], *rows]  # users that came after training are few, and come first
    return {"users": [{"user": u, "ratings": n} for u, n in found[:limit]], "total": total + len(newer)}


def user(asked: Asked) -> dict[str, Any]:
    """List a user's ratings, the latest first if there are times, otherwise the highest first."""
    rec = asked.live.now.rec
    name = rec.data.user_ids.parse(asked.what.user)
    who = find_user(rec, name, "error")
    assert who is not None
    touched = rec.updates.users.get(who.code)
    rated = trained_on(rec.data, who.code) if touched is None else touched.rated
    timed = bool((rated.times > NO_TIME).any())
    order = np.argsort(-rated.times.astype(np.float64) if timed else -rated.values, kind="stable")
    order = order[asked.what.offset : asked.what.offset + SHOWN_RATINGS]
    shown = rec.data.item_ids.decode(rated.items[order]).to_list()
    titles = rec.items.titles
    labels = [None] * len(shown) if titles is None else titles.gather(rated.items[order]).to_list()
    when = [iso(time) for time in rated.times[order].tolist()]
    columns = zip(shown, labels, rated.values[order].tolist(), when, rated.new[order].tolist(), strict=True)
    return {
        "user": name,
        "ratings": [dict(zip(("item", "title", "rating", "time", "newer"), row, strict=True)) for row in columns],
        "total": len(who.items),
        "mean": float(who.values.mean()) if len(who.values) else None,
        "status": who.status,
    }
