"""Predictions for pairs of ids, with a status for unknown ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_bool, check_fraction, check_iterable
from cofactor.data.formats.frames import select_columns
from cofactor.errors import ConfigError, DataError
from cofactor.model import Interval, Posterior
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.intervals import residual_interval
from cofactor.recommend.options import Unknown, check_policy

Array = NDArray[Any]
HOW_KNOWN = ("", "unknown", "without ratings")


def predict_frame(
    rec: Fitted,
    pairs: Any,
    *,
    interval: bool,
    level: float,
    times: Sequence[int] | None,
    unknown: Unknown,
) -> pl.DataFrame:
    """Implement :meth:`Recommender.predict`."""
    check_policy(unknown)
    check_bool("interval", interval)
    check_fraction("level", level)
    users, items = _columns(rec, pairs)
    user_codes = rec.users.codes(users)
    item_codes = np.array(rec.data.item_ids.encode(items), dtype=np.int32)
    for at in np.flatnonzero(item_codes < 0):
        item_codes[at] = rec.items.find(items[int(at)])
    if unknown == "error":
        for at in np.flatnonzero(user_codes < 0)[:1]:
            rec.data.user_ids.index(users[int(at)])
        for at in np.flatnonzero(item_codes < 0)[:1]:
            rec.items.code(items[int(at)])
    when = None if times is None else _seconds(times)
    if when is not None and len(when) != len(users):
        raise DataError(f"there are {len(users)} pairs and {len(when)} times; give one time for each pair")
    columns = [users.alias("user"), items.alias("item")]
    if interval:
        mean, low, high = predict_interval(rec, user_codes, item_codes, level, when)
        columns += [pl.Series("prediction", mean), pl.Series("low", low), pl.Series("high", high)]
    else:
        columns.append(pl.Series("prediction", predict_codes(rec, user_codes, item_codes, when)))
    columns.append(_status(rec, user_codes, item_codes))
    frame = pl.DataFrame(columns)
    return frame.filter(pl.Series((user_codes >= 0) & (item_codes >= 0))) if unknown == "skip" else frame


def _status(rec: Fitted, users: Array, items: Array) -> pl.Series:
    """Return the column ``status``: ``known``, or which id is unknown or has no training ratings."""
    touched = rec.updates.among(users)
    of_user = _how_known(np.where(touched, 0, users), rec.data.by_user.counts) * ~touched
    of_item = _how_known(items, rec.data.item_counts)
    words = np.array([_words(u, i) for u in range(3) for i in range(3)], dtype=object)
    return pl.Series("status", words[3 * of_user + of_item].tolist(), dtype=pl.String)


def _how_known(codes: Array, counts: Array) -> Array:
    """Return for each code, int64 (n,): 0 known, 1 unknown, 2 without training ratings."""
    few = counts[np.maximum(codes, 0)] == 0 if len(counts) else np.ones(len(codes), dtype=bool)
    return np.where(codes < 0, 1, 2 * few).astype(np.int64)


def _words(user: int, item: int) -> str:
    if user == item == 0:
        return "known"
    if user == item:
        return "unknown user and item" if user == 1 else "user and item without ratings"
    said = [
        ("unknown " + what if how == 1 else what + " without ratings")
        for what, how in (("user", user), ("item", item))
        if how
    ]
    return " and ".join(said)


def predict_codes(rec: Fitted, users: Array, items: Array, times: Array | None) -> Array:
    """Implement :meth:`Recommender.predict_codes`."""
    users = np.asarray(users)
    if not rec.updates.users:
        return rec.model.predict(users, items, times)
    items = np.asarray(items)
    out = np.array(rec.model.predict(_trained(rec, users), items, times), dtype=np.float32)
    for code, rows in _touched(rec, users, items):
        scores = rec.model.scores_from(rec.updates.users[code].state[None])[0, items[rows]]
        out[rows] = np.clip(scores, *rec.data.range) if rec.model.task == "rating" else scores
    return out


def predict_interval(rec: Fitted, users: Array, items: Array, level: float, times: Array | None) -> Interval:
    """Implement :meth:`Recommender.predict_interval`."""
    if not isinstance(rec.model, Posterior):
        return residual_bounds(rec, predict_codes(rec, users, items, times), level)
    if not rec.updates.users:
        return rec.model.predict_interval(users, items, level, times)
    users, items = np.asarray(users), np.asarray(items)
    out = np.array(rec.model.predict_interval(_trained(rec, users), items, level, times))
    for code, rows in _touched(rec, users, items):
        bounds = rec.model.interval_from(rec.updates.users[code].state[None], level)
        out[:, rows] = np.array([bound[0, items[rows]] for bound in bounds])
    return Interval(*out)


def residual_bounds(rec: Fitted, predicted: Array, level: float) -> Interval:
    """Return bounds of predictions from held-out residuals; ConfigError where there are no residuals."""
    if rec.model.task == "ranking":
        raise ConfigError(f"{rec.name} ranks items; its scores are not ratings and have no interval")
    if rec.intervals is None:
        raise ConfigError(
            "intervals need a model with a posterior or held-out residuals; "
            "fit this model with cofactor.fit(..., calibrate=True) on 100 ratings or more"
        )
    return residual_interval(rec.intervals, predicted, level)


def _trained(rec: Fitted, users: Array) -> Array:
    """Return the codes as int32, with -1 for users that came after training."""
    return np.where(users < rec.data.n_users, users, -1).astype(np.int32)


def _touched(rec: Fitted, users: Array, items: Array) -> Iterable[tuple[int, Array]]:
    """Yield (code, rows) for each user with newer ratings; rows with unknown items are left out."""
    codes = np.unique(users)
    for code in codes[rec.updates.among(codes)].tolist():
        yield code, np.flatnonzero((users == code) & (items >= 0))


def _seconds(times: Any) -> Array:
    check_iterable("times", times, "[881250949], seconds since 1970")
    try:
        found = np.array(times, dtype=np.int64, ndmin=1)
    except (TypeError, ValueError, OverflowError):
        found = np.empty((0, 0), np.int64)
    if found.ndim != 1:
        raise DataError("times must be whole numbers (seconds since 1970), one for each pair")
    return found


def _columns(rec: Fitted, pairs: Any) -> tuple[pl.Series, pl.Series]:
    names = rec.data.columns
    table = select_columns(pairs, [names.user, names.item], [], [], "the pairs")
    if table is not None:
        return table[names.user], table[names.item]
    pairs = list(check_iterable("pairs", pairs, "(user, item) tuples: [(196, 'Kolya (1996)')]"))
    for at, pair in enumerate(pairs):
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise DataError(f"pair {at + 1} is {pair!r}; give (user, item) tuples, such as [(196, 'Kolya (1996)')]")
    return _series([p[0] for p in pairs], "user"), _series([p[1] for p in pairs], "item")


def _series(values: list[Any], what: str) -> pl.Series:
    try:
        return pl.Series(values=values)
    except UnicodeEncodeError:
        raise DataError(f"the {what} ids hold invalid Unicode (lone surrogates); correct their encoding") from None
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        kinds = ", ".join(sorted({type(v).__name__ for v in values}))
        raise DataError(f"the {what} ids mix types ({kinds}); give ids of one type") from None
