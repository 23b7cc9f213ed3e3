"""Handlers that ask the model: lists, predictions, explanations."""

from __future__ import annotations

from typing import Any

import numpy as np

from cofactor.explain.explanation import explain_rows
from cofactor.recommend.options import OPTIONS, list_options
from cofactor.recommend.profiles import resolve_user
from cofactor.recommend.recommend import Rules, recommend_rows, rules_of
from cofactor.serve.guard.refused import Refused
from cofactor.serve.guard.tokens import ADMIN
from cofactor.serve.http import schemas
from cofactor.serve.http.handlers.asked import Asked, Clock, within
from cofactor.serve.models.served import Served

PAIRS_AT_ONCE = 100
"""Number of predictions with bounds between two checks of the time limit."""
ROWS_AT_ONCE = 500
"""Number of predictions converted to Python objects in one step, during which the interpreter is blocked."""


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


def by_id(served: Served, names: list[Any]) -> list[Any]:
    """Return items, named by id or title, by their ids; unknown items stay as they are."""
    items, ids, found = served.rec.items, served.rec.data.item_ids, list(names)
    one_type = len({type(name) for name in names}) == 1
    for at in np.flatnonzero(ids.encode(names) < 0).tolist() if one_type else range(len(names)):
        if (code := items.find(names[at])) >= 0:
            found[at] = ids.values[code]
    return found
