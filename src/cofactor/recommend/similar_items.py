"""The items most similar to one or several items, as a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl

from cofactor._validate import check_int, check_number
from cofactor.errors import ConfigError
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import Unknown, check_policy
from cofactor.recommend.profiles import popularity
from cofactor.recommend.similar import item_similarity, shared_raters, supported
from cofactor.recommend.topn import top_n


def similar_frame(rec: Fitted, item: Any, n: int, shrink: float, unknown: Unknown) -> pl.DataFrame:
    """Implement :meth:`Recommender.similar_items`."""
    if is_several(item):
        return under_each_other(item, lambda one: similar_frame(rec, one, n, shrink, unknown))
    check_policy(unknown)
    check_int("n", n)
    shrink = check_number("shrink", shrink)
    if shrink < 0:
        raise ConfigError(f"shrink is {shrink}; it must be 0 or more")
    shared = np.zeros(rec.data.n_items, dtype=np.int64)
    code = rec.items.code(item) if unknown == "error" else rec.items.find(item)
    if code >= 0:
        shared = shared_raters(rec.data, code, np.arange(rec.data.n_items))
        row = item_similarity(rec.model, rec.data, np.array([code]))
        row = np.array(supported(rec.model, row, shared, shrink), dtype=np.float32)
        row[0, code] = -np.inf
        status = "known" if rec.data.item_counts[code] else "item without ratings"
    else:
        row, status = popularity(rec)[None], "unknown item: most rated"
    codes, values = top_n(row, 0 if code < 0 and unknown == "skip" else n)
    found = codes[0][codes[0] >= 0]
    similarity = pl.Series("similarity", values[0][: len(found)])
    return pl.DataFrame(
        [
            pl.Series("rank", np.arange(1, len(found) + 1, dtype=np.int32)),
            *rec.item_columns(found),
            similarity if code >= 0 else pl.Series("similarity", [None] * len(found), dtype=pl.Float32),
            pl.Series("shared_raters", shared[found]),
            pl.Series("status", [status] * len(found), dtype=pl.String),
        ]
    )


def is_several(ids: Any) -> bool:
    """Return whether ``ids`` is a list of ids, rather than one id."""
    return isinstance(ids, (list, tuple, set, frozenset, pl.Series)) or getattr(ids, "ndim", 0) > 0


def under_each_other(ids: Iterable[Any], frame_of: Callable[[Any], pl.DataFrame]) -> pl.DataFrame:
    """Return the frames of these ids in one frame, with the id in the first column, ``of``."""
    frames = []
    for one in ids:
        if is_several(one):
            raise ConfigError(f"{one!r} is a list inside a list; give ids as one list")
        found = frame_of(one)
        frames.append(found.insert_column(0, pl.Series("of", [one] * len(found))))
    if not frames:
        raise ConfigError("the list of ids is empty; give one or several ids")
    try:
        return pl.concat(frames, how="vertical_relaxed")
    except pl.exceptions.PolarsError:  # some by number, some by title
        return pl.concat([frame.with_columns(pl.col("of").cast(pl.String)) for frame in frames])
