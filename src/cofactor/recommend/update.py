"""Applying newer ratings: read events, merge them with each user's history, fold the histories in."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_iterable
from cofactor.data.frames import select_columns
from cofactor.data.ids import IdMap
from cofactor.data.interactions import CSR, Features, Interactions
from cofactor.data.repeats import usual_policy
from cofactor.errors import ConfigError, DataError
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import Unknown, check_policy
from cofactor.recommend.rating_scale import check_on_scale, on_scale
from cofactor.recommend.updates import NO_TIME, UpdatedUser, Updates, as_rows, positions_in_time, read_times, trained_on

Array = NDArray[Any]
_NONE = np.empty(0, dtype=np.int64)


class Events(NamedTuple):
    """New ratings in columns; ``times`` int64 or None."""

    users: pl.Series
    items: pl.Series | list[Any]
    values: Array
    times: Array | None


def apply_updates(rec: Fitted, events: Any, unknown: Unknown) -> Updates:
    """The updates of a recommender after these events; the work of :meth:`Recommender.update`."""
    check_policy(unknown)
    if unknown == "popular":
        raise ConfigError(
            "update() learns from ratings, so an unknown item can only be an 'error' or be left out ('skip')"
        )
    columns = read_events(rec, events)
    for at in np.flatnonzero(~on_scale(rec.scale, columns.values))[:1]:
        check_on_scale(rec.scale, columns.items[int(at)], float(columns.values[at]))
    codes, new_ids, new_codes = _user_codes(rec, columns.users)
    items = _item_codes(rec, columns.items, unknown)
    if len(new_ids) > len(rec.updates.new_ids) and (items < 0).any():  # a user without a usable event stays unknown
        codes[items < 0] = -1
        codes[items >= 0], new_ids, new_codes = _user_codes(rec, columns.users.filter(pl.Series(items >= 0)))
    times = np.full(len(codes), NO_TIME) if columns.times is None else columns.times
    old, fresh = rec.updates, {}
    for mine in _by_user(codes, items >= 0):
        code = int(codes[mine[0]])
        fresh[code] = _merged(rec, code, items[mine], columns.values[mine], times[mine])
    rows = list(fresh.values())
    states: Array | list[Array] = (
        rec.model.fold_in(as_rows([(r.items, r.values, r.order) for r in rows], rec.data.n_items)) if rows else []
    )
    users = dict(old.users) | {
        c: r._replace(state=np.array(s)) for (c, r), s in zip(fresh.items(), states, strict=True)
    }
    return Updates(users, new_ids, new_codes)


def _by_user(codes: Array, usable: NDArray[np.bool_]) -> list[Array]:
    """The places of each user's usable events, in the order they came."""
    order = np.argsort(codes, kind="stable")
    order = order[usable[order]]
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []


def read_events(rec: Fitted, events: Any) -> Events:
    """Events from a frame with the training table's column names, or from (user, item[, rating[, time]]) tuples."""
    scale, names = rec.scale, rec.data.columns
    rating, time = names.rating or "rating", names.time
    rated = [rating] if scale.explicit else []
    table = select_columns(events, [names.user, names.item], rated, [rating, *([time] if time else [])], "the events")
    if table is not None:
        given = table[rating] if rating in table.columns else pl.Series(np.full(len(table), scale.liked))
        times = table[time] if time in table.columns else None
        return Events(
            table[names.user],
            table[names.item],
            _values(given, table[names.item]),
            None if times is None else read_times(times, rec.data),
        )
    if isinstance(events, (str, Mapping)) or not isinstance(events, Iterable):
        raise DataError("give events as a frame, or as a list of tuples such as (196, 'Kolya (1996)', 5)")
    tuples = list(check_iterable("events", events, "(196, 'Kolya (1996)', 5)"))
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
    return Events(users, items, values, read_times([e[3] for e in tuples], rec.data) if any(timed) else None)


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


def _user_codes(rec: Fitted, users: pl.Series) -> tuple[Array, tuple[Any, ...], dict[Any, int]]:
    """Codes of the users, those that are new given the next ones; DataError where their ids are of another type."""
    ids, old = rec.data.user_ids, rec.updates
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


def _item_codes(rec: Fitted, items: pl.Series | list[Any], unknown: Unknown) -> Array:
    listed = items.to_list() if isinstance(items, pl.Series) else items
    find = rec.items.code if unknown == "error" else rec.items.find
    return np.array([find(item) for item in listed], dtype=np.int32)


def _merged(rec: Fitted, code: int, items: Array, values: Array, times: Array) -> UpdatedUser:
    """Old and new ratings of one user; of two for the same item the later one counts, or their sum where the training
    table adds them up (counts, events). Without a state yet."""
    before = rec.updates.users.get(code) or trained_on(rec.data, code)
    every = [np.concatenate(pair) for pair in zip(before[:4], (items, values, times, np.ones(len(items), dtype=bool)))]
    last = len(every[0]) - 1 - np.unique(every[0][::-1], return_index=True)[1]  # items ascending, the last of each
    found = [column[last] for column in every]
    if (rec.data.duplicates or usual_policy(rec.data.kind)) in ("sum", "count"):
        found[1] = np.bincount(np.unique(every[0], return_inverse=True)[1], weights=every[1])
    newest = len(before.order) and int(before.order.max()) + 1
    arrival = np.concatenate([before.order, newest + np.arange(len(items))])[last]
    order = positions_in_time(found[2], found[3], arrival)
    return UpdatedUser(found[0].astype(np.int32), found[1].astype(np.float32), found[2], found[3], _NONE, order)


def enlarged(rec: Fitted) -> Interactions:
    """The training data with the newer ratings: those of a pair that was rated before take its place."""
    data, updates = rec.data, rec.updates
    if not updates.users:
        return data
    newer = [(code, t.items[t.new], t.values[t.new], t.times[t.new]) for code, t in updates.users.items()]
    users = np.concatenate([np.full(len(items), code, np.int32) for code, items, _, _ in newer])
    items, values, times = (np.concatenate([n[at] for n in newer]) for at in (1, 2, 3))
    pair = data.users.astype(np.int64) * data.n_items + data.items
    kept = ~np.isin(pair, users.astype(np.int64) * data.n_items + items)
    ids, new = data.user_ids, list(updates.new_ids)
    all_ids = pl.concat([ids.values, pl.Series(ids.values.name, new, dtype=ids.values.dtype)])
    when = None
    if data.times is not None:  # a rating without a time counts as the latest
        latest = max(int(data.times.max(initial=0)), int(times.max(initial=0)))
        when = np.concatenate([data.times[kept], np.where(times < 0, latest, times)])
    return data.replace(
        users=np.concatenate([data.users[kept], users]),
        items=np.concatenate([data.items[kept], items]),
        values=np.concatenate([data.values[kept], values]),
        times=when,
        user_ids=IdMap(all_ids, ids.kind),
        user_table=_longer(data.user_table, all_ids),
        user_features=_more_rows(data.user_features, len(new)),
    )


def _longer(table: pl.DataFrame | None, ids: pl.Series) -> pl.DataFrame | None:
    """The same side table with rows of nulls for users that it does not have."""
    if table is None:
        return None
    return pl.DataFrame({table.columns[0]: ids}).join(table, on=table.columns[0], how="left", maintain_order="left")


def _more_rows(features: Features | None, n: int) -> Features | None:
    """The same features with ``n`` empty rows at the end."""
    if features is None or n == 0:
        return features
    m = features.matrix
    indptr = np.concatenate([m.indptr, np.full(n, m.indptr[-1])])
    return Features(CSR(indptr, m.indices, m.values, m.rows, m.n_cols), features.names)
