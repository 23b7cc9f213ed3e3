"""Ratings that came after training: the whole history of each user they touch, folded in with the items held fixed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._checks import several
from cofactor.data.frames import columns_of
from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError, DataError
from cofactor.model import FoldIn
from cofactor.recommend.options import Unknown, check_policy
from cofactor.recommend.scale import check_on_scale, on_scale

if TYPE_CHECKING:
    from cofactor.recommend.recommender import Recommender

Array = NDArray[Any]
_NONE = np.empty(0, dtype=np.int64)


class Touched(NamedTuple):
    """A user with newer ratings: all ratings by item (codes ascending), and what the model makes of them (d,).

    ``times`` int64, ``NO_TIME`` where none is known; ``new`` is True where a rating is not in the training data.
    """

    items: Array
    values: Array
    times: Array
    new: Array
    state: Array


NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Overlay:
    """``users`` by code; users that were not in training have codes from ``n_users`` on, in order of ``new_ids``."""

    users: Mapping[int, Touched] = field(default_factory=dict)
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


class Events(NamedTuple):
    """New ratings in columns; ``times`` int64 or None."""

    users: pl.Series
    items: pl.Series | list[Any]
    values: Array
    times: Array | None


def overlaid(rec: Recommender, events: Any, unknown: Unknown) -> Overlay:
    """The overlay of a recommender after these events; the work of :meth:`Recommender.update`."""
    check_policy(unknown)
    if unknown == "popular":
        raise ConfigError(
            "update() learns from ratings, so an unknown item can only be an 'error' or be left out ('skip')"
        )
    if not isinstance(rec.model, FoldIn):
        raise ConfigError(f"{rec.name} cannot take in ratings after its training; use refit()")
    columns = read_events(rec, events)
    for at in np.flatnonzero(~on_scale(rec, columns.values))[:1]:
        check_on_scale(rec, columns.items[int(at)], float(columns.values[at]))
    codes, new_ids, new_codes = _user_codes(rec, columns.users)
    items = _item_codes(rec, columns.items, unknown)
    if len(new_ids) > len(rec.overlay.new_ids) and (items < 0).any():  # of whom nothing is taken in stays unknown
        codes[items < 0] = -1
        codes[items >= 0], new_ids, new_codes = _user_codes(rec, columns.users.filter(pl.Series(items >= 0)))
    times = np.full(len(codes), NO_TIME) if columns.times is None else columns.times
    old, fresh = rec.overlay, {}
    for mine in _by_user(codes, items >= 0):
        code = int(codes[mine[0]])
        fresh[code] = _merged(rec, code, items[mine], columns.values[mine], times[mine])
    rows = list(fresh.values())
    states: Array | list[Array] = (
        rec.model.fold_in(as_rows([(r.items, r.values) for r in rows], rec.data.n_items)) if rows else []
    )
    users = dict(old.users) | {
        c: r._replace(state=np.array(s)) for (c, r), s in zip(fresh.items(), states, strict=True)
    }
    return Overlay(users, new_ids, new_codes)


def _by_user(codes: Array, usable: NDArray[np.bool_]) -> list[Array]:
    """The places of each user's usable events, in the order they came."""
    order = np.argsort(codes, kind="stable")
    order = order[usable[order]]
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []


def as_rows(histories: list[tuple[Array, Array]], n_items: int) -> CSR:
    """(codes ascending, values) of each user as sparse rows."""
    indptr = np.zeros(len(histories) + 1, dtype=np.int64)
    np.cumsum([len(items) for items, _ in histories], out=indptr[1:])
    items = np.concatenate([np.empty(0, np.int32), *(i for i, _ in histories)]).astype(np.int32)
    values = np.concatenate([np.empty(0, np.float32), *(v for _, v in histories)]).astype(np.float32)
    return CSR(indptr, items, values, _NONE, n_items)


def seen_by(rec: Recommender, users: Array) -> CSR:
    """What these users (codes) rated, newer ratings included, a row each."""
    rows = []
    for code in np.asarray(users).tolist():
        touched = rec.overlay.users.get(code)
        rows.append(rec.data.by_user.row(code) if touched is None else (touched.items, touched.values))
    return as_rows(rows, rec.data.n_items)


def read_events(rec: Recommender, events: Any) -> Events:
    """Events from a frame with the training table's column names, or from (user, item[, rating[, time]]) tuples."""
    scale, names = rec.scale, rec.data.columns
    rating, time = names.rating or "rating", names.time
    rated = [rating] if scale.explicit else []
    table = columns_of(events, [names.user, names.item], rated, [rating, *([time] if time else [])], "the events")
    if table is not None:
        given = table[rating] if rating in table.columns else pl.Series(np.full(len(table), scale.liked))
        times = table[time] if time in table.columns else None
        return Events(table[names.user], table[names.item], _values(given, table[names.item]), _times(times))
    if isinstance(events, (str, Mapping)) or not isinstance(events, Iterable):
        raise DataError("give events as a frame, or as a list of tuples such as (196, 'Kolya (1996)', 5)")
    tuples = list(several("events", events, "(196, 'Kolya (1996)', 5)"))
    for at, event in enumerate(tuples):
        if isinstance(event, str) or not hasattr(event, "__len__") or not 2 <= len(event) <= 4:
            raise DataError(f"event {at + 1} is {event!r}; give (user, item, rating) or (user, item, rating, time)")
    users = _one_type([e[0] for e in tuples], "user")
    items = [e[1] for e in tuples]
    timed = [len(e) == 4 for e in tuples]
    if any(timed) and not all(timed):
        raise DataError(
            f"event {timed.index(False) + 1} has no time, but others have one; give times to all or to none"
        )
    values = _values([e[2] if len(e) > 2 else scale.liked for e in tuples], items)
    return Events(users, items, values, _times([e[3] for e in tuples]) if any(timed) else None)


def _one_type(values: list[Any], what: str) -> pl.Series:
    try:
        return pl.Series(values=values)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        kinds = ", ".join(sorted({type(v).__name__ for v in values}))
        raise DataError(f"the {what} ids mix types ({kinds}); give ids of one type") from None


def _values(values: Iterable[Any], items: Any) -> Array:
    out = np.empty(len(items), dtype=np.float32)
    for at, value in enumerate(values):
        try:
            out[at] = float("" if isinstance(value, (bool, np.bool_)) else value)
        except (TypeError, ValueError):
            raise DataError(f"the rating in event {at + 1} is {value!r}; it must be a number") from None
        if not np.isfinite(out[at]):
            raise DataError(f"the rating in event {at + 1} is {value!r}; it must be a finite number")
    return out


def _times(values: Any) -> Array | None:
    if values is None:
        return None
    try:
        series = pl.Series(values=values)
        if series.dtype.is_temporal():
            series = series.cast(pl.Datetime("ms")).dt.epoch("s")
        if series.dtype.is_numeric() and not series.null_count():
            found: Array = series.cast(pl.Int64).to_numpy()
            return found
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        pass
    raise DataError("the times of the events must be seconds since 1970 or dates, none missing")


def _user_codes(rec: Recommender, users: pl.Series) -> tuple[Array, tuple[Any, ...], dict[Any, int]]:
    """Codes of the users, those that are new given the next ones; DataError where their ids are of another type."""
    ids, old = rec.data.user_ids, rec.overlay
    if users.null_count():
        raise DataError(f"the user in event {int(users.is_null().arg_max() or 0) + 1} is missing")
    codes = np.array(ids.encode(users), dtype=np.int64)
    new_ids, new_codes = list(old.new_ids), dict(old.new_codes)
    for at in np.flatnonzero(codes < 0):
        user = users[int(at)]
        if not isinstance(user, Hashable) or isinstance(user, pl.Series):
            raise DataError(f"event {at + 1}: the user is {user!r}; give one id")
        if user not in new_codes:
            alike = isinstance(user, str) == (ids.text == "text") and (ids.text != "numbers" or isinstance(user, int))
            if (
                not alike
                or not holds(ids.values.dtype, user)
                or ids.values.dtype.is_temporal() != users.dtype.is_temporal()
            ):
                raise DataError(f"event {at + 1}: {ids.unknown(user)} A new user must have an id of the same type.")
            new_codes[user] = len(ids) + len(new_ids)
            new_ids.append(user)
        codes[at] = new_codes[user]
    return codes, tuple(new_ids), new_codes


def holds(dtype: pl.DataType, value: Any) -> bool:
    """Whether a column of ids can hold this one too."""
    if isinstance(value, bool):
        return False
    try:
        return len(pl.Series([value], dtype=dtype)) == 1
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return False


def _item_codes(rec: Recommender, items: pl.Series | list[Any], unknown: Unknown) -> Array:
    listed = items.to_list() if isinstance(items, pl.Series) else items
    find = rec.items.code if unknown == "error" else rec.items.find
    return np.array([find(item) for item in listed], dtype=np.int32)


def trained_on(data: Interactions, code: int) -> Touched:
    """What a user rated in the training data, nothing of it new; without a state. Nothing at all for a later user."""
    if code >= data.n_users:
        return Touched(_NONE, _NONE, _NONE, np.zeros(0, dtype=bool), _NONE)
    items, values = data.by_user.row(code)
    row = slice(data.by_user.indptr[code], data.by_user.indptr[code + 1])
    times = np.full(len(items), NO_TIME) if data.times is None else data.times[data.by_user.rows[row]]
    return Touched(items, values, times, np.zeros(len(items), dtype=bool), _NONE)


def _merged(rec: Recommender, code: int, items: Array, values: Array, times: Array) -> Touched:
    """Old and new ratings of one user; of two for the same item the later one counts. Without a state yet."""
    before = rec.overlay.users.get(code) or trained_on(rec.data, code)
    every = [np.concatenate(pair) for pair in zip(before[:4], (items, values, times, np.ones(len(items), dtype=bool)))]
    last = len(every[0]) - 1 - np.unique(every[0][::-1], return_index=True)[1]  # items ascending, the last of each
    found = [column[last] for column in every]
    return Touched(found[0].astype(np.int32), found[1].astype(np.float32), found[2], found[3], _NONE)
