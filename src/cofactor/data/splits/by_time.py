"""Splits by time: the past for training and the future for validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cofactor._validate import check_iterable
from cofactor.data.ids.id_map import Array
from cofactor.data.interactions import HeldOut, Interactions, Split
from cofactor.data.kind import rows_of
from cofactor.data.rows.repeats import merged
from cofactor.data.splits.parts import check_rows, check_share, rank_in
from cofactor.data.times.timestamps import is_order, moment
from cofactor.errors import ConfigError, DataError


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
    rows = check_rows(data.events, 2)
    if cutoff is None:
        share = check_share("valid", valid)
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
        "future",
        f"temporal: {int(mask.sum()):,} of {rows:,} {rows_of(data.kind)}, from {when}{'' if order else ' UTC'} on,"
        " for validation",
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
        check_share("n", n)
    elif not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ConfigError(
            f"n={n!r}; give the number of ratings to hold out for each user, 1 or more, or a share such as 0.2"
        )
    _times(data, "leave_last")
    events, times = data.events, _times(data.events, "leave_last")
    check_rows(events, 2)
    counts = np.bincount(events.users, minlength=data.n_users)
    position = np.empty(len(events), dtype=np.int64)
    position[np.argsort(times, kind="stable")] = np.arange(len(events))
    rank = rank_in(events.users, position)
    held = np.full(len(counts), n) if isinstance(n, int) else np.maximum(np.round(counts * n), 1).astype(np.int64)
    size, out = counts[events.users], held[events.users]
    mask = (rank >= size - out) & (size > out)
    if not mask.any():
        raise DataError(f"no user has more than {n if isinstance(n, int) else 1} ratings; leave out fewer")
    left = int((counts > held).sum())
    said = str(n) if isinstance(n, int) else f"{n:.0%}"
    return _cut(data, mask, "last", f"leave last: the last {said} by time of each of {left:,} users for validation")


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
        share = check_share("valid", valid)
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
        how = f"rolling, {which}: {int(window.sum()):,} {rows_of(data.kind)}, {_date(start, order)}{utc} to {until}"
        found.append(Split(_merged(data, before).replace(held_out="future"), _merged(data, window), how))
    return found


def _cut(data: Interactions, mask: Array, held_out: HeldOut, how: str) -> Split:
    """Return the split of a table's events at a time, each side merged as the table was."""
    return Split(_merged(data, ~mask).replace(held_out=held_out), _merged(data, mask), how)


def _merged(data: Interactions, mask: Array) -> Interactions:
    """Return these events of a table, merged as the table was."""
    part = data.events.take(np.flatnonzero(mask))
    return part if data.unmerged is None else merged(part).replace(notes=data.notes)


def _times(data: Interactions, name: str) -> Array:
    check_rows(data, 2)
    if data.times is None:
        raise DataError(
            f"{name} needs the time of each rating, but the table has no times; name the column with time=..."
        )
    return data.times


def _date(seconds: int, order: bool = False) -> str:
    if order:
        return f"{seconds:,}"
    return str(np.datetime64(seconds, "s")).replace("T", " ")
