"""Predictions for pairs of ids, with an open account of what was not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.errors import ConfigError, DataError
from cofactor.recommend.lookup import find_item, item_code

if TYPE_CHECKING:
    from cofactor.recommend.recommender import Recommender

Array = NDArray[Any]
Unknown = Literal["error", "skip", "popular"]
STATUS = ("known", "unknown user", "unknown item", "unknown user and item")


def check_policy(unknown: str) -> None:
    """ConfigError for a policy that does not exist."""
    if unknown not in ("error", "skip", "popular"):
        raise ConfigError(f"unknown={unknown!r}; it is one of 'error', 'skip' and 'popular'")


def predict_frame(
    rec: Recommender,
    pairs: Iterable[tuple[Any, Any]] | pl.DataFrame,
    *,
    interval: bool,
    level: float,
    times: Sequence[int] | None,
    unknown: Unknown,
) -> pl.DataFrame:
    """The work of :meth:`Recommender.predict`."""
    check_policy(unknown)
    users, items = _columns(rec, pairs)
    user_codes = np.array(rec.data.user_ids.encode(users), dtype=np.int32)
    item_codes = np.array(rec.data.item_ids.encode(items), dtype=np.int32)
    for at in np.flatnonzero(item_codes < 0):
        item_codes[at] = find_item(rec.data, items[int(at)])
    if unknown == "error":
        for at in np.flatnonzero(user_codes < 0)[:1]:
            rec.data.user_ids.index(users[int(at)])
        for at in np.flatnonzero(item_codes < 0)[:1]:
            item_code(rec.data, items[int(at)])
    status = (user_codes < 0).astype(np.int8) + 2 * (item_codes < 0)
    when = None if times is None else np.asarray(times, dtype=np.int64)
    if when is not None and len(when) != len(users):
        raise DataError(f"there are {len(users)} pairs and {len(when)} times; give one time for each pair")
    columns = [users.alias("user"), items.alias("item")]
    if interval:
        mean, low, high = rec.predict_interval(user_codes, item_codes, level, when)
        columns += [pl.Series("prediction", mean), pl.Series("low", low), pl.Series("high", high)]
    else:
        columns.append(pl.Series("prediction", rec.predict_codes(user_codes, item_codes, when)))
    columns.append(pl.Series("status", [STATUS[s] for s in status], dtype=pl.String))
    frame = pl.DataFrame(columns)
    return frame.filter(pl.Series(status == 0)) if unknown == "skip" else frame


def _columns(rec: Recommender, pairs: Iterable[tuple[Any, Any]] | pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    if isinstance(pairs, pl.DataFrame):
        names = rec.data.columns
        for wanted in (names.user, names.item):
            if wanted not in pairs.columns:
                raise DataError(f"no column {wanted!r}; there are: {', '.join(pairs.columns)}")
        return pairs[names.user], pairs[names.item]
    pairs = list(pairs)
    for at, pair in enumerate(pairs):
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise DataError(f"pair {at + 1} is {pair!r}; give (user, item) tuples, such as [(196, 'Kolya (1996)')]")
    return _series([p[0] for p in pairs], "user"), _series([p[1] for p in pairs], "item")


def _series(values: list[Any], what: str) -> pl.Series:
    try:
        return pl.Series(values=values)
    except (TypeError, pl.exceptions.PolarsError):
        kinds = ", ".join(sorted({type(v).__name__ for v in values}))
        raise DataError(f"the {what} ids mix types ({kinds}); give ids of one type") from None
