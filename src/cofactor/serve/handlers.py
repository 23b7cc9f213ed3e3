"""Request handlers: plain functions whose results the application serialises to JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cofactor._version import __version__
from cofactor.bundle import info as bundle_info
from cofactor.errors import ConfigError, UnknownIdError
from cofactor.explain.explanation import explain_rows
from cofactor.model import Posterior
from cofactor.recommend.options import OPTIONS, list_options
from cofactor.recommend.profiles import find_user, resolve_user
from cofactor.recommend.recommend import Rules, recommend_rows, rules_of
from cofactor.recommend.update import holds
from cofactor.recommend.updates import NO_TIME, trained_on
from cofactor.serve import schemas
from cofactor.serve.experiment import Experiment, Outcome, Reaction, Shown, difference, take
from cofactor.serve.experiment import outcomes as lists_by_version
from cofactor.serve.live import Live
from cofactor.serve.middleware import Refused
from cofactor.serve.present import KnownItems
from cofactor.serve.rows import Event
from cofactor.serve.served import Served
from cofactor.serve.tokens import ADMIN

SHOWN_RATINGS = 500
PAIRS_AT_ONCE = 100
"""Number of predictions with bounds between two checks of the time limit."""
ROWS_AT_ONCE = 500
"""Number of predictions converted to Python objects in one step, during which the interpreter is blocked."""
MOST_SHOWN = 2000
"""Most items in the lists that one request reports as shown."""


class Asked(NamedTuple):
    """A request: its query or body (``what``), the client's scopes, and its id. ``beside`` is a version that answers in
    place of the live one, for a shadow comparison."""

    live: Live
    what: Any
    scopes: frozenset[str]
    request: str
    beside: Served | None = None

    def serving(self, user: Any) -> Served:
        """Return the version that serves a user."""
        return self.live.serving(user) if self.beside is None else self.beside


def within(name: str, count: int, most: int) -> None:
    """Raise ConfigError where one request exceeds a limit of the server's settings."""
    if count > most:
        raise ConfigError(f"{name}: {count:,} in one request; at most {most:,} are allowed: send several requests")


class Clock:
    """The processor time of one request for many lists or predictions."""

    def __init__(self, live: Live) -> None:
        self.most, self.begun = live.settings.work_seconds, time.thread_time()

    def check(self, what: str, done: int) -> None:
        """Raise ConfigError where the time limit is exceeded."""
        if time.thread_time() - self.begun > self.most:
            raise ConfigError(
                f"{what} take more than {self.most:g} s of processor time (the limit was reached after {done}); send"
                " several requests"
            )


def recommend_known(asked: Asked) -> dict[str, Any]:
    """List the best items for a user."""
    what = asked.what
    user = asked.live.now.rec.data.user_ids.parse(what.user)
    served = asked.serving(user)
    return _recommended(served, recommend_rows(served.rec, user, None, None, _rules(served, what)))


def recommend(asked: Asked) -> dict[str, Any]:
    """List the best items for a user or a history."""
    what = asked.what
    within("history", len(what.history or ()), asked.live.settings.max_history)
    served = _serving(asked)
    rules = _rules(served, what)
    return _recommended(served, recommend_rows(served.rec, what.user, what.ratings(), what.features, rules))


def _serving(asked: Asked) -> Served:
    """Return the version that serves the user, or the requested one; loading another version needs the scope admin."""
    version, live = asked.what.version, asked.live
    if version is None:
        return asked.serving(asked.what.user)
    if version != live.now.version and ADMIN not in asked.scopes:
        raise Refused(403, "only tokens with the scope admin may use a version other than the live one")
    return live.at(version)


def recommend_many(asked: Asked) -> dict[str, Any]:
    """List the best items for many users or histories."""
    what, served, settings = asked.what, asked.live.now, asked.live.settings
    many = what.users or what.histories
    within("users" if what.users else "histories", len(many), settings.max_users)
    lists: list[Any] = []
    clock, rules = Clock(asked.live), _rules(served, what)
    for one in many:
        clock.check(f"{len(many)} lists", len(lists))
        user, history = (one, None) if what.users else (None, schemas.ratings_of(one))
        lists.append(recommend_rows(served.rec, user, history, None, rules))
    return {"version": served.version, "lists": lists}


def _rules(served: Served, what: Any) -> Rules:
    """Return the rules for the options in a request."""
    given = {name: getattr(what, name) for name in what.model_fields_set if name in OPTIONS}
    return rules_of(served.rec, list_options(**given))


def _recommended(served: Served, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": served.version, "recommendations": rows}


def predict(asked: Asked) -> dict[str, Any]:
    """Predict ratings (or scores) of pairs."""
    served, what = asked.live.now, asked.what
    within("pairs", len(what.pairs), asked.live.settings.max_pairs)
    pairs = list(zip([p.user for p in what.pairs], by_id(served, [p.item for p in what.pairs]), strict=True))
    options: dict[str, Any] = {"interval": what.interval, "level": what.level, "unknown": what.unknown}
    found: list[Any] = []
    part, clock = PAIRS_AT_ONCE if what.interval else 10 * PAIRS_AT_ONCE, Clock(asked.live)
    for at in range(0, len(pairs), part):
        clock.check(f"{len(pairs)} predictions", at)
        frame = served.rec.predict(pairs[at : at + part], **options)
        for first in range(0, len(frame), ROWS_AT_ONCE):
            found += frame[first : first + ROWS_AT_ONCE].to_dicts()
    return {"version": served.version, "predictions": found}


def similar(asked: Asked) -> dict[str, Any]:
    """List the items most similar to an item."""
    served = asked.live.now
    item = served.rec.data.item_ids.parse(asked.what.item)
    return {"version": served.version, "similar": served.rec.similar_items(item, asked.what.n).to_dicts()}


def similar_users(asked: Asked) -> dict[str, Any]:
    """List the users most similar to a user."""
    served = asked.live.now
    user = served.rec.data.user_ids.parse(asked.what.user)
    return {"version": served.version, "similar": served.rec.similar_users(user, asked.what.n).to_dicts()}


def explain(asked: Asked) -> dict[str, Any]:
    """Explain a prediction."""
    served, what = asked.live.now, asked.what
    within("history", len(what.history or ()), asked.live.settings.max_history)
    rec = served.rec
    who = resolve_user(rec, what.user, what.ratings())
    return {"version": served.version} | explain_rows(rec, who, rec.items.code(what.item), n=what.n)


def what_if(asked: Asked) -> dict[str, Any]:
    """Return how a list changes with other ratings."""
    served, what = asked.live.now, asked.what
    within("history", len(what.history or ()), asked.live.settings.max_history)
    instead = {r.item: served.rec.scale.liked if r.rating is None else r.rating for r in what.instead}
    frame = served.rec.what_if(
        what.user, history=what.ratings(), without=what.without, instead=instead or None, n=what.n
    )
    return {"version": served.version, "changes": frame.to_dicts()}


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
    """Return facts about the served model and its capabilities."""
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
        "kind": data.kind,
        "scale": {"low": scale.low, "high": scale.high, "step": served.catalogue.step, "liked": scale.liked},
        "titles": rec.items.titles is not None,
        "image_column": served.catalogue.image_column if live.settings.images else None,
        "item_columns": [] if table is None else [c for c in table.columns if c != data.columns.item],
        "groups": served.catalogue.groups,
        "group_values": served.catalogue.group_values,
        "ranges": served.catalogue.ranges,
        "user_features": served.catalogue.user_features,
        "orders": served.catalogue.orders,
        "options": [{"name": name, **option._asdict()} for name, option in OPTIONS.items()],
        "id_types": {
            kind: "int" if ids.dtype.is_integer() else "text"
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
        "parameters": {f.name: f.metadata.get("help", "") for f in dataclasses.fields(rec.model.config)},
        "metrics": rec.metrics,
        "figures": [] if rec.figures is None else rec.figures.to_dicts(),
        "loaded": _iso(int(served.loaded)),
        "read_only": live.store is None,
        "cofactor": __version__,
        "last_error": live.last_error,
    }


def versions(live: Live) -> dict[str, Any]:
    """List the stored versions."""
    if live.kept is None:
        facts = bundle_info(live.settings.model)
        only = {"version": live.now.version, "active": True, "model": live.now.rec.name, "created": facts["created"]}
        only |= {"metrics": facts["metrics"], "figures": facts["figures"]}
        return {"versions": [only | {"activated": _iso(int(live.now.loaded)), "source": "given"}], "busy": None}
    rows = [
        {
            "version": v.version,
            "active": v.version == live.now.version,
            "model": v.model,
            "created": v.created,
            "activated": _iso(int(v.activated)) if v.activated else None,
            "source": v.source,
            "events": live.kept.store.count_through(v.through) if v.through else 0,
            "drift": v.drift,
            "trial": None if (text := live.kept.store.note(f"trial {v.version}")) is None else json.loads(text),
        }
        | live.kept.measured(v)
        for v in live.kept.store.versions(candidates=True)
    ]
    return {"versions": rows, "busy": live.busy}


def by_id(served: Served, names: list[Any]) -> list[Any]:
    """Return items, named by id or title, by their ids; unknown items stay as they are."""
    items, ids, found = served.rec.items, served.rec.data.item_ids, list(names)
    one_type = len({type(name) for name in names}) == 1
    for at in np.flatnonzero(ids.encode(names) < 0).tolist() if one_type else range(len(names)):
        if (code := items.find(names[at])) >= 0:
            found[at] = ids.values[code]
    return found


def known_items(served: Served, names: list[Any]) -> tuple[list[Any], list[Any], KnownItems]:
    """(the ids of items that are named by id or title, those among them that the model does not know, the codes of
    all). UnknownIdError for an id of another type (or too large for it), which is a mistake, where an item that is too
    new is none."""
    items, ids = served.rec.items, served.rec.data.item_ids
    found, new = list(names), []
    one_type = len({type(name) for name in names}) == 1
    codes = np.array(ids.encode(names) if one_type else np.full(len(names), -1), dtype=np.int32)
    for at in np.flatnonzero(codes < 0).tolist():
        name = names[at]
        code = codes[at] = items.find(name)
        if code >= 0:
            found[at] = ids.values[code]
        elif isinstance(name, str) != (ids.text == "text") or not holds(ids.values.dtype, name):
            raise UnknownIdError(ids.unknown(name))
        else:
            new.append(name)
    return found, list(dict.fromkeys(new)), KnownItems(ids, codes)


# ---- writing


def tell(asked: Asked) -> dict[str, Any]:
    """Store newer ratings."""
    live, told = asked.live, asked.what
    within("events", len(told.events), live.settings.max_events)
    served, now = live.now, live.time()
    names, new, known = known_items(served, [e.item for e in told.events])
    liked = served.rec.scale.liked
    events = [
        Event(e.user, name, liked if e.rating is None else e.rating, e.time if isinstance(e.time, int) else now)
        for e, name in zip(told.events, names, strict=True)
    ]
    body = told.model_dump_json(exclude={"key"}) if told.key is not None else ""
    return live.tell(events, told.key, body, new[:20], known)


def forget(asked: Asked) -> dict[str, Any]:
    """Delete the newer ratings of a user."""
    live = asked.live
    return {"deleted": live.forget(live.now.rec.data.user_ids.parse(asked.what.user))}


def erase(asked: Asked) -> dict[str, Any]:
    """Erase a user from everything that is stored."""
    live = asked.live
    return live.erase(live.now.rec.data.user_ids.parse(asked.what.user), refit=asked.what.refit)


def reload(asked: Asked) -> dict[str, Any]:
    """Serve a saved model."""
    path = None if asked.what.path is None else Path(asked.what.path)
    return {"version": asked.live.reload(path, force=asked.what.force)}


def rollback(asked: Asked) -> dict[str, Any]:
    """Go back to a version."""
    return {"version": asked.live.rollback(asked.what.version)}


def refit(asked: Asked) -> dict[str, Any]:
    """Train the model again on its data and the newer ratings."""
    asked.live.refit(asked.what.warm, force=asked.what.force)
    return {"started": True}


# ---- experiments


def feedback(asked: Asked) -> dict[str, Any]:
    """Store feedback on lists: shown, clicked and bought items."""
    told = asked.what.events
    within("items", sum(len(one.items) for one in told if one.what == "shown"), MOST_SHOWN)
    live = asked.live
    return take(
        live.writable(),
        live.time(),
        [
            Shown(one.request, one.version, one.items)
            if one.what == "shown"
            else Reaction(one.request, one.item, one.what)
            for one in told
        ],
        lambda item: live.now.rec.items.find(item) >= 0,
    )


def begin_experiment(asked: Asked) -> dict[str, Any]:
    """Start an experiment: a version serves a share of the users."""
    what, live = asked.what, asked.live
    path = None if what.path is None else Path(what.path)
    return {"experiment": described(live.begin_experiment(what.version, path, what.share, what.mode))}


def end_experiment(asked: Asked) -> dict[str, Any]:
    """End the experiment: the live version serves all users again."""
    return {"ended": described(asked.live.end_experiment())}


def described(experiment: Experiment | None) -> dict[str, Any] | None:
    """Return an experiment as values for JSON."""
    if experiment is None:
        return None
    return experiment._asdict() | {"started": _iso(int(experiment.started))}


def outcomes(asked: Asked) -> dict[str, Any]:
    """Return the outcomes of each version's lists, the difference between the two of an experiment, and drift."""
    live = asked.live
    store, served = live.writable(), live.now
    second = live.second
    whole, daily = lists_by_version(store)
    of = {one.version: one for one in whole}
    compared = None
    if second is not None and served.version in of and second.served.version in of:
        compared = difference(of[served.version], of[second.served.version])
    trials = {v.version: store.note(f"trial {v.version}") for v in store.versions(candidates=True)}
    return {
        "live": served.version,
        "experiment": None if second is None else described(second.experiment),
        "versions": [_outcome(one, served.rec.data.n_items) for one in whole],
        "days": [_outcome(one, served.rec.data.n_items) for one in daily],
        "difference": compared,
        "trials": {str(version): json.loads(text) for version, text in trials.items() if text is not None},
        "last_trial": live.last_trial,
        "drift": live.drift()._asdict(),
    }


def _outcome(one: Outcome, n_items: int) -> dict[str, Any]:
    found = {name: getattr(one, name) for name in ("version", "lists", "clicked", "bought", "hit_rate", "ndcg")}
    if one.day is None:
        return found | {"coverage": min(1.0, one.items / n_items)}
    return found | {"day": dt.date.fromordinal(one.day + dt.date(1970, 1, 1).toordinal()).isoformat()}
