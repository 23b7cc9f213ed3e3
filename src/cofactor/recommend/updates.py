"""Ratings newer than the model: the whole history of each user that they touch, folded in with the items held fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.data.timestamps import is_order, to_seconds
from cofactor.errors import DataError

Array = NDArray[Any]
_NONE = np.empty(0, dtype=np.int64)


class UpdatedUser(NamedTuple):
    """A user with newer ratings: all ratings by item (codes ascending), and what the model makes of them (d,).

    ``times`` int64, ``NO_TIME`` where none is known; ``new`` is True where a rating is not in the training data;
    ``order`` int64, positions in time: larger is newer, equal where the times are.
    """

    items: Array
    values: Array
    times: Array
    new: Array
    state: Array
    order: Array = _NONE


NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Updates:
    """``users`` by code; users that were not in training have codes from ``n_users`` on, in order of ``new_ids``."""

    users: Mapping[int, UpdatedUser] = field(default_factory=dict)
    new_ids: tuple[Any, ...] = ()
    new_codes: Mapping[Any, int] = field(default_factory=dict)

    @property
    def codes(self) -> Array:
        """int64: the codes of all touched users."""
        return np.fromiter(self.users, dtype=np.int64, count=len(self.users))

    @property
    def n_ratings(self) -> int:
        """How many ratings are newer than the training data."""
        return sum(int(np.count_nonzero(t.new)) for t in self.users.values())


def as_rows(histories: Sequence[tuple[Any, ...]], n_items: int) -> CSR:
    """(codes ascending, values[, order or None]) of each user as sparse rows, in an order where all have one."""
    indptr = np.zeros(len(histories) + 1, dtype=np.int64)
    np.cumsum([len(history[0]) for history in histories], out=indptr[1:])
    items = np.concatenate([np.empty(0, np.int32), *(h[0] for h in histories)]).astype(np.int32)
    values = np.concatenate([np.empty(0, np.float32), *(h[1] for h in histories)]).astype(np.float32)
    orders = [h[2] for h in histories if len(h) > 2 and h[2] is not None]
    order = np.concatenate([_NONE, *orders]) if len(orders) == len(histories) else None
    return CSR(indptr, items, values, _NONE, n_items, order)


def positions_in_time(times: Array, new: Array, arrival: Array) -> Array:
    """int64 (n,): positions by time, equal where the times are. Without a time, a rating of the training data comes
    before all others and a newer one after them, each in order of ``arrival``."""
    timed = times != NO_TIME
    group = np.where(timed, 1, np.where(new, 2, 0))
    key = np.where(timed, times, arrival)
    at = np.lexsort((key, group))
    differs = (np.diff(group[at]) != 0) | (np.diff(key[at]) != 0)
    out = np.empty(len(at), dtype=np.int64)
    out[at] = np.concatenate([[0], np.cumsum(differs)])[: len(at)]
    return out


def trained_on(data: Interactions, code: int) -> UpdatedUser:
    """What a user rated in the training data, nothing of it new; without a state. Nothing at all for a later user."""
    if code >= data.n_users:
        return UpdatedUser(_NONE, _NONE, _NONE, np.zeros(0, dtype=bool), _NONE, _NONE)
    items, values = data.by_user.row(code)
    row = slice(data.by_user.indptr[code], data.by_user.indptr[code + 1])
    times = np.full(len(items), NO_TIME) if data.times is None else data.times[data.by_user.rows[row]]
    new = np.zeros(len(items), dtype=bool)
    order = positions_in_time(times, new, data.by_user.rows[row])
    return UpdatedUser(items, values, times, new, _NONE, order)


def read_times(values: Any, data: Interactions) -> Array:
    """int64: seconds since 1970 of numbers, dates or times, by the rules of :func:`cofactor.read` for a column; where
    the training ``data`` have an order in place of times, that. DataError where one is missing or something else."""
    try:
        series = pl.Series(values=values)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        series = None
    if series is None or series.dtype in (pl.Object, pl.Boolean, pl.Int128) or series.null_count():
        raise DataError("the times of the events must be seconds since 1970 or dates, none missing")
    if series.dtype == pl.Datetime and getattr(series.dtype, "time_zone", None):
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    in_order = data.times is not None and is_order(data.times)
    return to_seconds(series, data.columns.time or "time", in_order=in_order)[0]
