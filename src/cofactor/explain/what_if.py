"""The change of a list when some of the ratings change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from cofactor._validate import check_int, check_iterable
from cofactor.errors import ConfigError, DataError
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.profiles import fold_in, rating_of, resolve_user
from cofactor.recommend.topn import top_n
from cofactor.recommend.updates import as_rows


def what_if(
    rec: Fitted,
    user: Any,
    history: Mapping[Any, float] | Iterable[Any] | None,
    without: Iterable[Any],
    instead: Mapping[Any, float] | None,
    n: int,
) -> pl.DataFrame:
    """Implement :meth:`Recommender.what_if`. Both lists are made by fold-ins, so that only the ratings differ."""
    if instead is not None and not isinstance(instead, Mapping):
        raise ConfigError(f"instead is {instead!r}; give items with other ratings, such as {{'Fargo (1996)': 1}}")
    gone, changed = list(check_iterable("without", without, "a list of items")), dict(instead or {})
    if not gone and not changed:
        raise ConfigError("give ratings to leave out (without=[...]) or to change (instead={item: rating})")
    check_int("n", n)
    who = resolve_user(rec, user, history)
    ratings = dict(zip(who.items.tolist(), who.values.tolist(), strict=True))
    for item in gone:
        code = rec.items.code(item)
        if code not in ratings:
            raise DataError(f"{item!r} is not among the rated items, so it cannot be left out")
        del ratings[code]
    for item, value in changed.items():
        ratings[rec.items.code(item)] = rating_of(rec.scale, item, value)
    codes = np.array(sorted(ratings), dtype=np.int32)
    order = None
    if who.order is not None:  # new ratings are the newest
        places = dict(zip(who.items.tolist(), who.order.tolist(), strict=True))
        newest = max(places.values(), default=-1) + 1
        order = np.array([places.get(c, newest) for c in codes.tolist()], dtype=np.int64)
    weights = None
    if who.weights is not None:
        known = dict(zip(who.items.tolist(), who.weights.tolist(), strict=True))
        weights = np.array([known.get(c, 1.0) for c in codes.tolist()], dtype=np.float32)
    other = codes, np.array([ratings[c] for c in codes.tolist()], dtype=np.float32), order, weights
    histories = as_rows([who.history, other], rec.data.n_items)
    scores = rec.model.scores_from(fold_in(rec, histories)).astype(np.float32, copy=True)
    shown = scores.copy()
    shown[:, np.union1d(who.items, codes)] = -np.inf
    before, after = top_n(shown, n)[0]
    found = np.array(list(dict.fromkeys([*after[after >= 0].tolist(), *before[before >= 0].tolist()])), dtype=np.int64)
    place = [{int(c): r + 1 for r, c in enumerate(row) if c >= 0} for row in (before, after)]
    return pl.DataFrame(
        [
            *rec.item_columns(found),
            pl.Series("rank_before", [place[0].get(int(c)) for c in found], dtype=pl.Int32),
            pl.Series("rank_after", [place[1].get(int(c)) for c in found], dtype=pl.Int32),
            pl.Series("score_before", scores[0, found]),
            pl.Series("score_after", scores[1, found]),
        ]
    )
