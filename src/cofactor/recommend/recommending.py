"""The best items for one user, known or not, with what may and may not be recommended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.errors import ConfigError, DataError
from cofactor.model import FoldIn
from cofactor.recommend.lookup import item_code, item_codes
from cofactor.recommend.predicting import Unknown, check_policy
from cofactor.recommend.reasons import reasons
from cofactor.recommend.topn import top_n

if TYPE_CHECKING:
    from cofactor.recommend.recommender import Recommender

Array = NDArray[Any]


def recommend_frame(
    rec: Recommender,
    user: Any,
    *,
    history: Mapping[Any, float] | Iterable[Any] | None,
    n: int,
    seen: bool,
    allow: Iterable[Any] | None,
    deny: Iterable[Any] | None,
    unknown: Unknown,
) -> pl.DataFrame:
    """The work of :meth:`Recommender.recommend`."""
    check_policy(unknown)
    if n < 1:
        raise ConfigError(f"n is {n}; it must be at least 1")
    if (user is None) == (history is None):
        raise ConfigError("give either a user of the training data, or a history of items, and not both")
    if history is not None:
        rated = history_row(rec, history)
        scores = scores_of_history(rec, rated)[0]
    else:
        code = rec.data.user_ids.code(user)
        if code < 0 and unknown == "error":
            rec.data.user_ids.index(user)
        if code < 0 and unknown == "skip":
            n = 0
        rated = rec.seen_by(np.array([code])) if code >= 0 else _empty_row(rec)
        scores = rec.model.scores(np.array([code]))[0] if code >= 0 else popularity(rec)
    scores = scores.astype(np.float32, copy=True)
    if not seen:
        scores[rated.indices] = -np.inf
    if allow is not None:
        outside = np.ones(len(scores), dtype=bool)
        outside[item_codes(rec.data, allow)] = False
        scores[outside] = -np.inf
    if deny is not None:
        scores[item_codes(rec.data, deny)] = -np.inf
    codes, best = top_n(scores[None], n)
    kept = codes[0] >= 0
    found = codes[0][kept]
    return pl.DataFrame({"rank": np.arange(1, len(found) + 1, dtype=np.int32)}).with_columns(
        *rec.item_columns(found),
        pl.Series("score", best[0][kept]),
        pl.Series("reason", reasons(rec, rated.indices, rated.values, found), dtype=pl.String),
    )


def history_row(rec: Recommender, history: Mapping[Any, float] | Iterable[Any]) -> CSR:
    """A history as one sparse row; a plain list of items counts as liked (the highest value of the training data)."""
    if isinstance(history, str):
        raise DataError(f"the history is the text {history!r}; give items with ratings, such as {{{history!r}: 5}}")
    top = rec.data.range[1]
    pairs = dict(history.items()) if isinstance(history, Mapping) else dict.fromkeys(history, top)
    values = np.empty(len(pairs), dtype=np.float32)
    for at, (item, value) in enumerate(pairs.items()):
        try:
            values[at] = float(value)
        except (TypeError, ValueError):
            raise DataError(f"the rating of {item!r} is {value!r}; it must be a number") from None
        if not np.isfinite(values[at]):
            raise DataError(f"the rating of {item!r} is {value!r}; it must be a finite number")
    codes = np.array([item_code(rec.data, item) for item in pairs], dtype=np.int32)
    order = np.argsort(codes, kind="stable")
    if len(np.unique(codes)) < len(codes):
        raise DataError("the history names an item twice (once by its id, once by its title?); name each item once")
    none = np.empty(0, dtype=np.int64)
    return CSR(np.array([0, len(codes)], dtype=np.int64), codes[order], values[order], none, rec.data.n_items)


def _empty_row(rec: Recommender) -> CSR:
    none = np.empty(0, dtype=np.int64)
    return CSR(np.zeros(2, dtype=np.int64), np.empty(0, np.int32), np.empty(0, np.float32), none, rec.data.n_items)


def scores_of_history(rec: Recommender, histories: CSR) -> Array:
    """Scores of all items for users that were not in training (float32, a row a history)."""
    if not isinstance(rec.model, FoldIn):
        raise ConfigError(
            f"{rec.name} cannot take in a user it has not seen; fit another model (see cofactor.models())"
        )
    try:
        return rec.model.scores_from(rec.model.fold_in(histories))
    except np.linalg.LinAlgError as exc:
        raise ConfigError(f"the model cannot be solved for this history ({exc}); its weights are of no use") from exc


def popularity(rec: Recommender) -> Array:
    """What to rank by for somebody of whom nothing is known: how many rated an item."""
    return rec.data.by_item.counts.astype(np.float32)
