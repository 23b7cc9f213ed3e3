"""Request handlers: plain functions whose results the application serialises to JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from cofactor._version import __version__
from cofactor.bundle import info as bundle_info
from cofactor.errors import UnknownIdError
from cofactor.model import Posterior
from cofactor.recommend.profiles import find_user
from cofactor.recommend.update import holds
from cofactor.recommend.updates import NO_TIME, trained_on
from cofactor.serve import schemas
from cofactor.serve.live import Live, Served

if TYPE_CHECKING:
    pass

SHOWN_RATINGS = 500


def recommend(served: Served, asked: schemas.Recommend) -> dict[str, Any]:
    """The best items for a user or a history."""
    options = asked.model_dump(exclude={"user", "history"}, exclude_defaults=True)
    frame = served.rec.recommend(asked.user, history=asked.ratings(), **options)
    return {"version": served.version, "recommendations": frame.to_dicts()}


def predict(served: Served, asked: schemas.Predict) -> dict[str, Any]:
    """Ratings (or scores) of pairs."""
    items = served.rec.items
    codes = [items.find(p.item) for p in asked.pairs]  # some by id, some by title
    pairs = [(p.user, p.item if c < 0 else items.ids.values[c]) for p, c in zip(asked.pairs, codes, strict=True)]
    options: dict[str, Any] = {"interval": asked.interval, "level": asked.level, "unknown": asked.unknown}
    return {"version": served.version, "predictions": served.rec.predict(pairs, **options).to_dicts()}


def similar(served: Served, item: Any, n: int) -> dict[str, Any]:
    """The items nearest to one."""
    return {"version": served.version, "similar": served.rec.similar_items(item, n).to_dicts()}


def explain(served: Served, asked: schemas.Explain) -> dict[str, Any]:
    """Why somebody gets a prediction."""
    found = served.rec.explain(asked.user, asked.item, history=asked.ratings(), n=asked.n)
    return {"version": served.version, "label": found.label} | found.to_dict() | {"because": found.because()}


def what_if(served: Served, asked: schemas.WhatIf) -> dict[str, Any]:
    """How the list of somebody changes without some ratings, or with others."""
    instead = {r.item: served.rec.scale.liked if r.rating is None else r.rating for r in asked.instead}
    frame = served.rec.what_if(
        asked.user, history=asked.ratings(), without=asked.without, instead=instead or None, n=asked.n
    )
    return {"version": served.version, "changes": frame.to_dicts()}


def biases(served: Served, n: int) -> dict[str, Any]:
    """The items with the lowest and the highest biases."""
    return {"version": served.version, "biases": served.rec.biases(n).to_dicts()}


def items(served: Served, text: str, limit: int, offset: int) -> dict[str, Any]:
    """Items by words of their titles or ids."""
    codes, total = served.catalogue.search_items(text, limit, offset)
    return {"items": served.catalogue.facts(codes), "total": total}


def item(served: Served, name: Any) -> dict[str, Any]:
    """Everything about one item."""
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


def users(served: Served, text: str, limit: int, offset: int) -> dict[str, Any]:
    """Users by a part of their id."""
    codes, total = served.catalogue.search_users(text, limit, offset)
    rec, part = served.rec, text.strip().lower()
    rows = zip(rec.data.user_ids.decode(codes).to_list(), rec.data.by_user.counts[codes].tolist(), strict=True)
    newer = [
        (user, len(rec.updates.users[code].items))
        for user, code in rec.updates.new_codes.items()
        if part in str(user).lower() and code in rec.updates.users
    ]
    found = [*newer[offset : offset + limit], *rows]  # those that came after training first: they are few
    return {"users": [{"user": u, "ratings": n} for u, n in found[:limit]], "total": total + len(newer)}


def user(served: Served, name: Any, offset: int = 0) -> dict[str, Any]:
    """What a user rated, the latest first where there are times, else the best first."""
    rec = served.rec
    who = find_user(rec, name, "error")
    assert who is not None
    rated = rec.updates.users.get(who.code) or trained_on(rec.data, who.code)
    timed = bool((rated.times > NO_TIME).any())
    order = np.argsort(-rated.times.astype(np.float64) if timed else -rated.values, kind="stable")
    order = order[offset : offset + SHOWN_RATINGS]
    shown = rec.data.item_ids.decode(rated.items[order]).to_list()
    titles = rec.items.titles
    labels = [None] * len(shown) if titles is None else titles.gather(rated.items[order]).to_list()
    when = [_iso(time) for time in rated.times[order].tolist()]
    columns = zip(shown, labels, rated.values[order].tolist(), when, rated.new[order].tolist(), strict=True)
    return {
        "user": name,
        "ratings": [dict(zip(("item", "title", "rating", "time", "newer"), row, strict=True)) for row in columns],
        "total": len(who.items),
        "mean": float(who.values.mean()) if len(who.values) else None,
        "status": who.status,
    }


def _iso(seconds: int) -> str | None:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds") if seconds >= 0 else None
    except (OverflowError, ValueError, OSError):
        return None


def about(live: Live) -> dict[str, Any]:
    """What is served, and what it can do."""
    served = live.now
    rec, data = served.rec, served.rec.data
    rating = rec.model.task == "rating"
    table = data.item_table
    scale = rec.scale
    return {
        "version": served.version,
        "model": rec.name,
        "task": rec.model.task,
        "users": data.n_users + len(rec.updates.new_ids),
        "items": data.n_items,
        "ratings": len(data),
        "newer_ratings": rec.updates.n_ratings,
        "scale": {"low": scale.low, "high": scale.high, "step": served.catalogue.step, "liked": scale.liked},
        "titles": rec.items.titles is not None,
        "item_columns": [] if table is None else [c for c in table.columns if c != data.columns.item],
        "groups": served.catalogue.groups,
        "group_values": served.catalogue.group_values,
        "ranges": served.catalogue.ranges,
        "id_types": {
            kind: "int" if ids.values.dtype.is_integer() else "text"
            for kind, ids in (("user", data.user_ids), ("item", data.item_ids))
        },
        "can": {
            "fold_in": True,
            "explain": True,
            "intervals": rating and (rec.intervals is not None or isinstance(rec.model, Posterior)),
            "map": int((data.by_item.counts > 0).sum()) >= 3,
            "update": live.store is not None,
        },
        "config": dataclasses.asdict(rec.model.config),
        "metrics": rec.metrics,
        "loaded": _iso(int(served.loaded)),
        "read_only": live.store is None,
        "cofactor": __version__,
        "last_error": live.last_error,
    }


def versions(live: Live) -> dict[str, Any]:
    """The models that were live."""
    if live.store is None:
        facts = bundle_info(live.settings.model)
        only = {"version": live.now.version, "active": True, "model": live.now.rec.name, "created": facts["created"]}
        return {"versions": [only | {"activated": _iso(int(live.now.loaded)), "source": "given"}], "busy": None}
    rows = [
        {
            "version": v.version,
            "active": bool(v.active),
            "model": v.model,
            "created": v.created,
            "activated": _iso(int(v.activated)) if v.activated else None,
            "source": v.source,
            "events": live.store.count_through(v.through) if v.through else 0,
            "drift": v.drift,
        }
        for v in live.store.versions()
    ]
    return {"versions": rows, "busy": live.busy}


def known_items(served: Served, names: list[Any]) -> list[Any]:
    """The ids of items that are known by id or title; others as they are. UnknownIdError for an id of another type (or
    too large for it), which is a mistake, where an item that is too new is none."""
    rec, found = served.rec, []
    ids = rec.data.item_ids
    for name in names:
        code = rec.items.find(name)
        if code < 0 and (isinstance(name, str) != (ids.text == "text") or not holds(ids.values.dtype, name)):
            raise UnknownIdError(ids.unknown(name))
        found.append(name if code < 0 else ids.values[code])
    return found
