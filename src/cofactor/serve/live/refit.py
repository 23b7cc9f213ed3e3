"""The training data of a refit, with the items that only newer ratings contain."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from cofactor.data.interactions import Interactions
from cofactor.data.read import read
from cofactor.recommender import Recommender
from cofactor.serve.storage.rows import Event


def grown(rec: Recommender, missed: Sequence[Event]) -> Interactions:
    """Return the ratings of a recommender, newer ones included, with the ``missed`` events of unknown items added."""
    data = rec.ratings()
    if not missed:
        return data
    names, ids = data.columns, (data.user_ids.values, data.item_ids.values)
    old = {"user": ids[0].gather(data.users), "item": ids[1].gather(data.items), "rating": pl.Series(data.values)}
    new = {name: [getattr(e, name) for e in missed] for name in ("user", "item", "rating", "time")}
    if data.times is not None:
        old["time"] = pl.Series(data.times)
    schema = {name: column.dtype for name, column in old.items()}
    table = pl.concat([pl.DataFrame(old), pl.DataFrame({k: new[k] for k in schema}, schema=schema)])
    user, item, rating = names.user, names.item, names.rating or "rating"
    time = (names.time or "time") if data.times is not None else None
    table.columns = [user, item, rating] + ([time] if time is not None else [])
    return read(table, user, item, rating, time or False, items=data.item_table, users=data.user_table, name=data.name)
