"""Functions that split a table into a training part and a validation part, public as ``cofactor.split``.

Both parts share the id maps of the whole table, so a code means the same user or item in each. Rows keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from cofactor._validate import check_choice, check_iterable, check_text
from cofactor.data.features.side_tables import align_frame
from cofactor.data.ids.id_map import Array, IdMap
from cofactor.data.interactions import Interactions, Split
from cofactor.data.read import read
from cofactor.data.read_alike import as_text, check_alike, is_file, read_alike
from cofactor.data.rows.repeats import count_repeats, merged
from cofactor.data.times.timestamps import is_order, moment
from cofactor.errors import ConfigError, DataError

__all__ = ["auto", "by_user", "given", "kfold", "leave_last", "random", "rolling", "temporal"]


def __dir__() -> list[str]:
    return __all__


def random(data: Interactions, valid: float = 0.2, seed: int = 42) -> Split:
    """Hold out a random share of the rows, drawn without replacement.

    Rows of the same user and item stay together, so that one part does not leak into the other; a table read with
    ``duplicates="all"`` has such rows. The share is then as close to the requested one as that allows.

    Args:
        data: the rows.
        valid: the share: ``round(n * valid)`` rows, at least one in each part.
        seed: draws the rows.
    """
    share = _share("valid", valid)
    rows, pairs = _rows(data, 2), _pairs(data, 2)
    n = min(max(round(rows * share), 1), rows - 1)
    if pairs is None:
        mask = np.zeros(rows, dtype=np.bool_)
        mask[_rng(seed).permutation(rows)[:n]] = True
    else:
        order = _rng(seed).permutation(int(pairs.max()) + 1)
        size = np.cumsum(np.bincount(pairs)[order])
        held = np.zeros(len(order), dtype=np.bool_)
        held[order[: min(max(int(np.searchsorted(size, n, side="right")), 1), len(order) - 1)]] = True
        mask = held[pairs]
        n = int(mask.sum())
    how = f"random: {n:,} of {rows:,} ratings ({n / rows:.0%}) for validation{_together(pairs)}, seed {seed}"
    return _split(data, mask, how, seed)


def kfold(data: Interactions, k: int = 5, seed: int = 42) -> list[Split]:
    """Make ``k`` splits, so that each row is in the validation part of exactly one.

    The parts differ in size by one row at most. Rows of the same user and item stay together, as in :func:`random`; the
    parts then differ by one such pair.

    Args:
        data: the rows.
        k: how many.
        seed: draws the parts.
    """
    if not isinstance(k, int) or isinstance(k, bool) or k < 2:
        raise ConfigError(f"k={k!r}; the number of folds is a whole number, 2 or more")
    rows, pairs = _rows(data, k), _pairs(data, k)
    n = rows if pairs is None else int(pairs.max()) + 1
    fold = np.empty(n, dtype=np.int32)
    fold[_rng(seed).permutation(n)] = np.arange(n) % k
    fold = fold if pairs is None else fold[pairs]
    how = f"random{_together(pairs)}, seed {seed}"
    return [_split(data, fold == i, f"fold {i + 1} of {k}, {how}", seed) for i in range(k)]


def _pairs(data: Interactions, at_least: int) -> Array | None:
    """Return int64 (n,): a number for each pair of user and item; None if no pair repeats. Raises DataError if there
    are too few pairs."""
    if data.duplicates not in (None, "all") or not count_repeats(data.users, data.items, data.n_users, data.n_items):
        return None
    pairs: Array = np.unique(data.users.astype(np.int64) * data.n_items + data.items, return_inverse=True)[1]
    if int(pairs.max()) + 1 < at_least:
        raise DataError(
            f"{at_least} pairs of a user and an item are needed, because rows of a pair stay together, but there is"
            f" only {int(pairs.max()) + 1}"
        )
    return pairs


def _together(pairs: Array | None) -> str:
    return "" if pairs is None else ", rows of the same user and item together"


def by_user(data: Interactions, users: float | int = 0.2, given: float | int = 0.5, seed: int = 42) -> Split:
    """Hold out whole users, to measure a model on users that are not in training.

    Args:
        data: the rows.
        users: the share (or number) of users held out, of those with two ratings or more.
        given: the share (or number) of each one's ratings that may be used as history (``Split.given``).
            The rest, at least one each, are ``Split.valid``.
        seed: draws users and ratings.
    """
    if isinstance(users, int) and not isinstance(users, bool):
        if users < 1:
            raise ConfigError(f"users={users}; hold out at least one, or give a share between 0 and 1")
    else:
        _share("users", users)
    if isinstance(given, int) and not isinstance(given, bool):
        if given < 1:
            raise ConfigError(f"given={given}; a held-out user needs at least one rating as history")
    else:
        _share("given", given)
    _rows(data, 2)
    pairs = _pairs(data, 2)
    first = np.arange(len(data)) if pairs is None else np.unique(pairs, return_index=True)[1]  # what is drawn
    counts = np.bincount(data.users[first], minlength=data.n_users)
    able = np.flatnonzero(counts >= 2)
    present = int((counts > 0).sum())
    n = users if isinstance(users, int) else max(round(present * users), 1)
    if n >= present or n > len(able):
        raise DataError(
            f"cannot hold out {n} users: there are {present}, {len(able)} of them with two ratings or more;"
            f" hold out fewer"
        )
    rng = _rng(seed)
    held = np.zeros(data.n_users, dtype=np.bool_)
    held[rng.choice(able, n, replace=False)] = True
    of = np.flatnonzero(held[data.users[first]])
    whose = data.users[first[of]]
    rank = _rank(whose, rng.permutation(len(of)))
    size = counts[whose]
    history = np.full(len(of), given) if isinstance(given, int) else np.maximum(np.round(size * given), 1)
    history = np.minimum(history, size - 1)
    drawn = np.zeros(len(first), dtype=np.bool_)
    drawn[of] = rank < history
    out = np.flatnonzero(held[data.users])
    as_given = drawn[out if pairs is None else pairs[out]]
    said = f"{given} ratings" if isinstance(given, int) else f"{given:.0%}"
    return Split(
        train=data.take(np.flatnonzero(~held[data.users])),
        valid=data.take(out[~as_given]),
        given=data.take(out[as_given]),
        how=f"by user: {n:,} of {present:,} users held out, {said} of each one's ratings given as history, seed {seed}",
        seed=seed,
    )


def temporal(data: Interactions, valid: float = 0.2, cutoff: Any = None) -> Split:
    """Train on the past, and validate on the future.

    The unmerged rows are cut, and each part is then merged: a user who bought an item before and after the cutoff has
    bought it in both parts.

    Args:
        data: the rows.
        valid: the share of the rows in the future part. Rows at exactly the cutoff are all held out.
        cutoff: the time instead: seconds, a date, a date-time or ISO text (UTC). Rows from then on are held out.
    """
    _times(data, "temporal")
    times = _times(data.events, "temporal")
    rows = _rows(data.events, 2)
    if cutoff is None:
        share = _share("valid", valid)
        n = min(max(round(rows * share), 1), rows - 1)
        at = int(np.partition(times, rows - n)[rows - n])
    else:
        at = moment(cutoff, in_order=is_order(times))
    mask = times >= at
    order = is_order(times)
    when = _date(at, order)
    if mask.all() or not mask.any():
        raise DataError(
            f"no rating {'before' if mask.all() else 'from'} {when}{'' if mask.all() else ' on'}; the ratings run from"
            f" {_date(int(times.min()), order)} to {_date(int(times.max()), order)}: choose another cutoff"
        )
    return _cut(
        data,
        mask,
        f"temporal: {int(mask.sum()):,} of {rows:,} ratings, from {when}{'' if order else ' UTC'} on, for validation",
    )


def leave_last(data: Interactions, n: int | float = 1) -> Split:
    """Hold out the last ratings of each user, by time.

    The unmerged rows are cut, as in :func:`temporal`.

    Args:
        data: the rows.
        n: how many; users with ``n`` or fewer stay entirely in training. A share such as 0.2 is of each user's ratings,
            at least one.
    """
    if isinstance(n, float):
        _share("n", n)
    elif not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ConfigError(
            f"n={n!r}; give the number of ratings to hold out for each user, 1 or more, or a share such as 0.2"
        )
    _times(data, "leave_last")
    events, times = data.events, _times(data.events, "leave_last")
    _rows(events, 2)
    counts = np.bincount(events.users, minlength=data.n_users)
    position = np.empty(len(events), dtype=np.int64)
    position[np.argsort(times, kind="stable")] = np.arange(len(events))
    rank = _rank(events.users, position)
    held = np.full(len(counts), n) if isinstance(n, int) else np.maximum(np.round(counts * n), 1).astype(np.int64)
    size, out = counts[events.users], held[events.users]
    mask = (rank >= size - out) & (size > out)
    if not mask.any():
        raise DataError(f"no user has more than {n if isinstance(n, int) else 1} ratings; leave out fewer")
    left = int((counts > held).sum())
    said = str(n) if isinstance(n, int) else f"{n:.0%}"
    return _cut(data, mask, f"leave last: the last {said} by time of each of {left:,} users for validation")


def rolling(data: Interactions, k: int = 3, valid: float = 0.1, cutoffs: Sequence[Any] | None = None) -> list[Split]:
    """Make ``k`` splits by time: each trains on the past and validates on the next window.

    The last ``k * valid`` of the rows make ``k`` windows with a share ``valid`` of the rows each. Rows with the same
    time stay together.

    Args:
        data: the rows.
        k: how many windows.
        valid: the share of the rows in each.
        cutoffs: the times instead, ascending, as in :func:`temporal`; the last window then runs to the end.
    """
    _times(data, "rolling")
    times = _times(data.events, "rolling")
    if cutoffs is None:
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise ConfigError(f"k={k!r}; the number of windows is a whole number, 1 or more")
        share = _share("valid", valid)
        if k * share >= 1:
            raise ConfigError(f"{k} windows of {share:.0%} of the rows leave nothing for training; use fewer")
        ordered, n = np.sort(times), len(times)
        moments = [int(ordered[min(n - round(n * share * left), n - 1)]) for left in range(k, 0, -1)]
    else:
        asked = check_iterable("cutoffs", cutoffs, "['2013-06-01', '2013-07-01']")
        moments = [moment(one, in_order=is_order(times)) for one in asked]
        if not moments or sorted(set(moments)) != moments:
            raise ConfigError("cutoffs are moments in ascending order, none of them twice, at least one")
    order = is_order(times)
    utc = "" if order else " UTC"
    found = []
    for at, (start, end) in enumerate(zip(moments, [*moments[1:], None])):
        window = (times >= start) & (True if end is None else times < end)
        before = times < start
        if not before.any() or not window.any():
            raise DataError(
                f"no rating {'from' if before.any() else 'before'} {_date(start, order)}"
                f"{f' to {_date(end, order)}' if before.any() and end is not None else ''}; the ratings run from"
                f" {_date(int(times.min()), order)} to {_date(int(times.max()), order)}: use fewer windows, or other"
                " cutoffs"
            )
        until = "the end" if end is None else f"{_date(end, order)}{utc}"
        which = f"window {at + 1} of {len(moments)}"
        how = f"rolling, {which}: {int(window.sum()):,} ratings, {_date(start, order)}{utc} to {until}"
        found.append(Split(_merged(data, before), _merged(data, window), how))
    return found


KNOWN = 1 / 3
"""A cutoff splits a table usefully if this share of the later rows belongs to users with earlier ones ..."""
ENOUGH = 2000
"""... or if there are this many such users."""


def auto(data: Interactions, valid: float = 0.2, seed: int = 42, last: float | int | None = None) -> Split:
    """Hold out the future if there are times, and random rows if there are none.

    The future is the last share of the rows by time. Each user's last rows are held out instead if hardly any later row
    belongs to a user with earlier ones (users who come once), or if times only number each user's rows. ``Split.how``
    says which way was taken, and why.

    Args:
        data: the rows.
        valid: the share that is held out.
        seed: of random rows.
        last: of each user's last rows, a share or a number; the share ``valid`` unless given.
    """
    share = _share("valid", valid)
    _rows(data, 2)
    if data.times is None:
        return _because(random(data, share, seed), "there are no times")
    if data.times.min() == data.times.max():
        return _because(random(data, share, seed), "all times are the same")
    if not (numbered := _numbered(data)):
        split = temporal(data, share)
        earlier = np.bincount(split.train.users, minlength=data.n_users) > 0
        known = earlier[split.valid.users]
        if known.mean() >= KNOWN or len(np.unique(split.valid.users[known])) >= ENOUGH:
            return split
    if (np.bincount(data.users) > 1).any():
        why = "times number the rows of each user" if numbered else "few users come back later"
        return _because(leave_last(data, share if last is None else last), why)
    return _because(random(data, share, seed), "no user has two rows")


WAYS = ("auto", "random", "temporal", "last")
"""The splits that have a name."""


def split_by(data: Interactions, how: str, valid: float, seed: int) -> Split:
    """Split in a way given by name.

    Args:
        data: the rows.
        how: ``"auto"``, ``"random"``, ``"temporal"`` or ``"last"``.
        valid: the share that is held out.
        seed: of random rows.
    """
    check_choice("how", how, *WAYS)
    if how == "last":
        return leave_last(data, _share("valid", valid))
    if how == "temporal":
        return temporal(data, valid)
    return random(data, valid, seed) if how == "random" else auto(data, valid, seed)


def _numbered(data: Interactions) -> bool:
    """Return whether times are positions within each user's rows: for most users they begin at the same, lowest
    number."""
    assert data.times is not None
    first = np.full(data.n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, data.users, data.times)
    present = np.bincount(data.users, minlength=data.n_users) > 1
    return bool(present.any() and (first[present] == data.times.min()).mean() > 0.5)


def _because(split: Split, why: str) -> Split:
    return replace(split, how=f"{split.how} ({why})")


def given(train: Any, valid: Any, how: str | None = None, **options: Any) -> Split:
    """Use two parts that were split elsewhere, such as ``u1.base`` and ``u1.test``.

    The id maps cover both parts, so that ids of only one part are known.

    Args:
        train: a path, a frame or Interactions.
        valid: the same for the held-out rows.
        how: what ``Split.how`` should say.
        options: those of :func:`cofactor.read`, for both parts.

    Raises:
        DataError: ids or columns do not fit together.
    """
    if how is not None:
        check_text("how", how)
    a = train if isinstance(train, Interactions) else read(train, **options)
    b = valid if isinstance(valid, Interactions) else read_alike(valid, a, **options)
    check_alike(b, a)
    if is_file(train) and is_file(valid):
        a, b = _same_types(a, b)
    if (a.columns.rating is None) != (b.columns.rating is None):
        raise DataError("one part has ratings and the other has none; name the rating column of both")
    user_ids, a_users, b_users = _union(a.user_ids, b.user_ids)
    item_ids, a_items, b_items = _union(a.item_ids, b.item_ids)
    sides = {
        "user_table": _joined(a.user_table, b.user_table, user_ids, a.columns.user),
        "item_table": _joined(a.item_table, b.item_table, item_ids, a.columns.item),
    }
    parts = [
        part.replace(
            users=users[part.users],
            items=items[part.items],
            user_ids=user_ids,
            item_ids=item_ids,
            columns=a.columns,
            kind=a.kind,
            user_features=None,
            item_features=None,
            **sides,
        )
        for part, users, items in ((a, a_users, a_items), (b, b_users, b_items))
    ]
    names = f" ({a.name} and {b.name})" if a.name and b.name else ""
    return Split(parts[0], parts[1], how or f"given: {len(a):,} ratings for training, {len(b):,} for validation{names}")


def _same_types(a: Interactions, b: Interactions) -> tuple[Interactions, Interactions]:
    """Return both parts with text ids, if the ids of one file all look like numbers and those of the other do not."""
    for side in ("user", "item"):
        types = {getattr(part, f"{side}_ids").dtype for part in (a, b)}
        if len(types) > 1 and pl.String in types:
            a, b = as_text(a, side), as_text(b, side)
    return a, b


def _union(a: IdMap, b: IdMap) -> tuple[IdMap, Array, Array]:
    """Return one id map over two, and the new code of each old code of either."""
    if a.values.dtype != b.values.dtype:
        raise DataError(
            f"{a.kind} ids are {a.text} ({a.values.dtype}) in one part and {b.text} ({b.values.dtype}) in the other;"
            f" make them the same type"
        )
    if a == b:
        same = np.arange(len(a), dtype=np.int32)
        return a, same, same
    both = IdMap(pl.concat([a.values, b.values]).unique().sort(), a.kind)
    return both, both.encode(a.values), both.encode(b.values)


def _joined(a: pl.DataFrame | None, b: pl.DataFrame | None, ids: IdMap, column: str) -> pl.DataFrame | None:
    """Return one side table aligned with ``ids``. If both know an id, the first table wins."""
    tables = [t.rename({t.columns[0]: column}) for t in (a, b) if t is not None]
    if not tables:
        return None
    stacked = pl.concat(tables, how="diagonal_relaxed") if len(tables) > 1 else tables[0]
    return align_frame(stacked, column, ids, column)[0]


def _split(data: Interactions, mask: Array, how: str, seed: int | None = None) -> Split:
    return Split(data.take(np.flatnonzero(~mask)), data.take(np.flatnonzero(mask)), how, seed)


def _cut(data: Interactions, mask: Array, how: str) -> Split:
    """Return the split of a table's events at a time, each side merged as the table was."""
    return Split(_merged(data, ~mask), _merged(data, mask), how)


def _merged(data: Interactions, mask: Array) -> Interactions:
    """Return these events of a table, merged as the table was."""
    part = data.events.take(np.flatnonzero(mask))
    return part if data.unmerged is None else merged(part).replace(notes=data.notes)


def _rank(groups: Array, key: Array) -> Array:
    """Return the rank of each row by ``key`` within its group, from 0."""
    order = np.lexsort((key, groups))
    starts = np.zeros(len(groups), dtype=np.int64)
    sorted_groups = groups[order]
    new = np.flatnonzero(np.diff(sorted_groups)) + 1
    starts[new] = new
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - np.maximum.accumulate(starts)
    return rank


def _share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not 0 < value < 1:
        raise ConfigError(f"{name}={value!r}; it is a share of the whole, between 0 and 1 (such as 0.2)")
    return float(value)


def _rng(seed: Any) -> np.random.Generator:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed={seed!r}; it is a whole number, 0 or more")
    return np.random.default_rng(int(seed))


def _rows(data: Any, at_least: int) -> int:
    if not isinstance(data, Interactions):
        raise ConfigError(
            f"a split is made of Interactions, not of a {type(data).__name__}; read it first: cofactor.read(...)"
        )
    if len(data) < at_least:
        raise DataError(f"{len(data)} ratings cannot be split; {at_least} or more are needed")
    return len(data)


def _times(data: Interactions, name: str) -> Array:
    _rows(data, 2)
    if data.times is None:
        raise DataError(
            f"{name} needs the time of each rating, but the table has no times; name the column with time=..."
        )
    return data.times


def _date(seconds: int, order: bool = False) -> str:
    if order:
        return f"{seconds:,}"
    return str(np.datetime64(seconds, "s")).replace("T", " ")
