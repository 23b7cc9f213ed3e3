"""Handlers that change something: newer ratings, erasure, models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cofactor.errors import UnknownIdError
from cofactor.recommend.update import holds
from cofactor.serve.http.handlers.asked import Asked, within
from cofactor.serve.models.present import KnownItems
from cofactor.serve.models.served import Served
from cofactor.serve.storage.rows import Event


def known_items(served: Served, names: list[Any]) -> tuple[list[Any], list[Any], KnownItems]:
    """Return (ids of items named by id or title, those that the model does not know, codes of all items).

    UnknownIdError for an id of another type, or too large for it: that is a mistake, whereas a new item is not.
    """
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


def tell(asked: Asked) -> dict[str, Any]:
    """Store newer ratings."""
    live, told = asked.live, asked.what
    within("events", len(told.events), live.settings.max_events)
    served, now = live.now, live.time()
    names, new, known = known_items(served, [e.item for e in told.events])
    unstated = served.rec.scale.unstated
    events = [
        Event(e.user, name, unstated if e.rating is None else e.rating, e.time if isinstance(e.time, int) else now)
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
