"""Apply newer ratings: read events, and add them to the ratings of their users."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_iterable
from cofactor.data.formats.frames import select_columns
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import CSR, Features, Interactions
from cofactor.errors import ConfigError, DataError
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import Unknown, check_policy
from cofactor.recommend.rating_scale import check_on_scale, on_scale
from cofactor.recommend.updates import NEWER, NO_TIME, Recent, UpdatedUser, Updates, adds_up, read_times

Array = NDArray[Any]
_ITEM = NEWER["item"].itemsize  # the first field


class Events(NamedTuple):
    """New ratings in columns; ``times`` int64 or None; ``codes`` int32 of the items (-1: left out), where these are
    known already."""

    users: pl.Series
    items: pl.Series | list[Any]
    values: Array
    times: Array | None
    codes: Array | None = None


def apply_updates(rec: Fitted, events: Any, unknown: Unknown) -> Updates:
    """Return the updates of a recommender after these events (``Events``, or input of :func:`read_events`).

    Implements :meth:`Recommender.update`.
    """
    check_policy(unknown)
    if unknown == "popular":
        raise ConfigError(
            "unknown='popular' does not apply to update(); give 'error', or 'skip' to leave unknown items out"
        )
    columns = events if isinstance(events, Events) else read_events(rec, events)
    for at in np.flatnonzero(~on_scale(rec.scale, columns.values))[:1]:
        check_on_scale(rec.scale, columns.items[int(at)], float(columns.values[at]))
    items = _item_codes(rec, columns.items, unknown) if columns.codes is None else columns.codes
    times = np.full(len(items), NO_TIME) if columns.times is None else columns.times
    values = columns.values
    if rec.data.reading.unit not in (None, 1.0):  # as in training, where a 5 in each row counted 1
        values = np.minimum(values, np.float32(1))
    return with_events(rec, columns.users, items, values, times)


def with_events(rec: Fitted, users: pl.Series, items: Array, values: Array, times: Array) -> Updates:
    """Return the updates of a recommender after events given as columns.

    ``users`` are ids, ``items`` codes (-1: left out), ``times`` seconds since 1970 or ``NO_TIME``. DataError where the
    type of a user's id differs from that of the known ids.
    """
    codes, new_ids, new_codes = _user_codes(rec, users)
    usable = items >= 0
    if len(new_ids) > len(rec.updates.new_ids) and not usable.all():  # a user without a usable event stays unknown
        codes[usable], new_ids, new_codes = _user_codes(rec, users.filter(pl.Series(usable)))
    place = np.argsort(codes, kind="stable")
    place = place[usable[place]]
    log = np.empty(len(place), dtype=NEWER)
    log["item"], log["value"], log["time"] = items[place], values[place], times[place]
    codes = codes[place]
    bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)] if len(codes) else [0]
    old, fresh, more, summed = rec.updates, {}, 0, adds_up(rec.data)
    recent, size, came = rec.remember("recent", Recent), NEWER.itemsize, log.tobytes()  # bytes: small arrays cost more
    for code, begin, end in zip(codes[bounds[:-1]].tolist(), bounds[:-1], bounds[1:], strict=True):
        before, every, known = old.users.get(code), came[begin * size : end * size], 0
        if before is None and end - begin == 1:
            fresh[code] = UpdatedUser(rec.data, rec.model, code, every, recent)
            more += size
            continue
        if before is not None:
            known = len(before.log)
            every = before.log + every
            recent.drop(before)
        if end - begin > 1 or (summed and _place(every, known) >= 0):
            every = _each_once(np.frombuffer(every, NEWER), summed).tobytes()
        elif every.find(every[known : known + _ITEM], 0, known) >= 0 and (at := _place(every, known)) >= 0:
            every = every[:at] + every[at + size :]
        fresh[code] = UpdatedUser(rec.data, rec.model, code, every, recent)
        more += len(every) - known
    return Updates(old.users.over(fresh), new_ids, new_codes, old.n_ratings + more // size)


def _place(log: bytes, begin: int) -> int:
    """Return the offset, in bytes, of a record before ``begin`` with the same item as the record at ``begin``; or
    -1."""
    item = log[begin : begin + _ITEM]
    at = log.find(item, 0, begin)
    while at % NEWER.itemsize and at >= 0:  # the same bytes in another field
        at = log.find(item, at + 1, begin)
    return at


def _each_once(log: Array, summed: bool) -> Array:
    """Return each item once, in the order of their last events, with the sum of the values or the last value."""
    items = log["item"].tolist()
    last = {item: at for at, item in enumerate(items)}
    if len(last) == len(items):
        return log
    kept = np.array(sorted(last.values()))
    found: Array = log[kept]
    if summed:
        names, which = np.unique(log["item"], return_inverse=True)
        found["value"] = np.bincount(which, weights=log["value"])[np.searchsorted(names, found["item"])]
    return found


def read_events(rec: Fitted, events: Any) -> Events:
    """Return events from a frame with the training table's column names, or from (user, item[, rating[, time]])
    tuples."""
    scale, names = rec.scale, rec.data.columns
    rating, time = names.rating or "rating", names.time
    rated = [rating] if scale.explicit else []
    table = select_columns(events, [names.user, names.item], rated, [rating, *([time] if time else [])], "the events")
    if table is not None:
        given = table[rating] if rating in table.columns else pl.Series(np.full(len(table), scale.unstated))
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
    users = one_type([e[0] for e in tuples], "user")
    items = [e[1] for e in tuples]
    timed = [len(e) == 4 for e in tuples]
    if any(timed) and not all(timed):
        raise DataError(
            f"event {timed.index(False) + 1} has no time, but others have one; give a time to all events or to none"
        )
    values = _values([e[2] if len(e) > 2 else scale.unstated for e in tuples], items)
    return Events(users, items, values, read_times([e[3] for e in tuples], rec.data) if any(timed) else None)


def one_type(values: list[Any], what: str) -> pl.Series:
    """Return ids as a series; DataError where they mix types."""
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


def _user_codes(rec: Fitted, users: pl.Series) -> tuple[Array, tuple[Any, ...], Mapping[Any, int]]:
    """Return (codes, new ids, codes by new id) of the users. New users get the next codes. DataError where their ids
    are of another type."""
    ids, old = rec.data.user_ids, rec.updates
    if users.null_count():
        raise DataError(f"the user in event {int(users.is_null().arg_max() or 0) + 1} is missing")
    codes = np.array(ids.encode(users), dtype=np.int64)
    unknown = np.flatnonzero(codes < 0)
    if not len(unknown):
        return codes, old.new_ids, old.new_codes
    new_ids, new_codes = list(old.new_ids), dict(old.new_codes)
    for at in unknown:
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
    """Return whether a column of ids of this type can hold ``value``."""
    if isinstance(value, bool):
        return False
    try:
        return len(pl.Series([value], dtype=dtype)) == 1
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return False


def _item_codes(rec: Fitted, items: pl.Series | list[Any], unknown: Unknown) -> Array:
    find = rec.items.code if unknown == "error" else rec.items.find
    if isinstance(items, list) and len({type(item) for item in items}) > 1:  # some by id, some by title
        return np.array([find(item) for item in items], dtype=np.int32)
    codes = np.array(rec.data.item_ids.encode(items), dtype=np.int32)
    for at in np.flatnonzero(codes < 0).tolist():
        codes[at] = find(items[at])
    return codes


def enlarged(rec: Fitted) -> Interactions:
    """Return the training data with the newer ratings. A newer rating replaces an older one of the same pair."""
    data, updates = rec.data, rec.updates
    if not updates.users:
        return data
    newer = []
    for code, user in updates.users.items():
        rated = user.rated
        newer.append((code, rated.items[rated.new], rated.values[rated.new], rated.times[rated.new]))
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
        weights=None if data.weights is None else np.concatenate([data.weights[kept], np.ones(len(items), np.float32)]),
        user_ids=IdMap(all_ids, ids.kind),
        user_table=_longer(data.user_table, all_ids),
        user_features=_more_rows(data.user_features, len(new)),
    )


def _longer(table: pl.DataFrame | None, ids: pl.Series) -> pl.DataFrame | None:
    """Return the side table with rows of nulls for users that it does not have."""
    if table is None:
        return None
    return pl.DataFrame({table.columns[0]: ids}).join(table, on=table.columns[0], how="left", maintain_order="left")


def _more_rows(features: Features | None, n: int) -> Features | None:
    """Return the features with ``n`` empty rows at the end."""
    if features is None or n == 0:
        return features
    m = features.matrix
    indptr = np.concatenate([m.indptr, np.full(n, m.indptr[-1])])
    return Features(CSR(indptr, m.indices, m.values, m.rows, m.n_cols), features.names)
