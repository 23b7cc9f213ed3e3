"""The users most similar to one or several users, as a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_int, check_number
from cofactor.errors import ConfigError
from cofactor.model import HasFactors
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import Unknown, check_policy
from cofactor.recommend.similar import cosine
from cofactor.recommend.similar_items import is_several, under_each_other
from cofactor.recommend.topn import top_n

Array = NDArray[Any]


def similar_users_frame(rec: Fitted, user: Any, n: int, shrink: float, unknown: Unknown) -> pl.DataFrame:
    """Implement :meth:`Recommender.similar_users`."""
    if is_several(user):
        return under_each_other(user, lambda one: similar_users_frame(rec, one, n, shrink, unknown))
    check_policy(unknown)
    check_int("n", n)
    shrink = check_number("shrink", shrink)
    if shrink < 0:
        raise ConfigError(f"shrink is {shrink}; it must be 0 or more")
    if unknown == "popular":
        raise ConfigError("unknown='popular' does not apply to similar users; give 'error' or 'skip'")
    ids = rec.data.user_ids
    code = ids.index(user) if unknown == "error" else ids.code(user)
    if code < 0:
        codes, values = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        shared = np.zeros(rec.data.n_users, dtype=np.int64)
    else:
        shared = shared_items(rec, code)
        row = _similarity(rec, code, shared, shrink)
        row[code] = -np.inf
        found = top_n(row[None], n)
        codes, values = found[0][0][found[0][0] >= 0], found[1][0]
    return pl.DataFrame(
        [
            pl.Series("rank", np.arange(1, len(codes) + 1, dtype=np.int32)),
            ids.decode(codes).alias("user"),
            pl.Series("similarity", values[: len(codes)]),
            pl.Series("shared_items", shared[codes]),
        ]
    )


def shared_items(rec: Fitted, code: int) -> Array:
    """Return the number of items, int64 (n_users,), that each user has in common with this one."""
    items, _ = rec.data.by_user.row(code)
    found: Array = np.bincount(rec.data.by_item.take(items).indices, minlength=rec.data.n_users)
    return found


def _similarity(rec: Fitted, code: int, shared: Array, shrink: float) -> Array:
    """Return similarities, float32 (n_users,): cosines of vectors times shared / (shared + shrink), or cosines of the
    sets of items where there are no vectors."""
    factors = rec.model.factors("user") if isinstance(rec.model, HasFactors) else None
    if factors is None or not factors.shape[1]:
        counts = rec.data.by_user.counts.astype(np.float64)
        sets: Array = (shared / np.sqrt(np.maximum(counts * max(counts[code], 1), 1))).astype(np.float32)
        return sets
    row = cosine(factors, np.array([code]))[0]
    found: Array = np.array(row * (shared / (shared + shrink)) if shrink else row, dtype=np.float32)
    return found
