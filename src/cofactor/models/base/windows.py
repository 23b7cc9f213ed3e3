"""The rows by which rankers are chosen inside training: the future if there are times, else random rows of some users.

``auto-ranking`` and ``blend`` hold out the same rows. Where a split made the table, they hold out rows of the kind that
the split held out.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data import splits
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import DataError

Array = NDArray[Any]

ENOUGH, WINDOWS = 5000, 3
"""Total number of users that a choice among rankers should rest on; more windows are used to reach it."""
FUTURE, PART = 0.1, 0.2
"""The share of the rows held out by time, and the share of each user's rows held out without times."""
SCORES = 100_000_000
"""Maximal number of scores (users times items) for measuring one ranker, on at least 500 and at most 5,000 users."""


def measured_users(data: Interactions) -> int:
    """Return the number of users on which rankers are measured when one is chosen or tuned."""
    return min(max(SCORES // max(data.n_items, 1), 500), 5000)


def ranking_windows(
    data: Interactions, seed: int, share: float | None = None, most: int = WINDOWS, future: bool = True
) -> list[Split]:
    """Return splits to choose rankers by, the most informative last. If one has few users, there are several, up to
    ``most``.

    They are by time (:func:`held_out_futures`) if there are times and some user takes a new item in the last window;
    otherwise random rows of some users. ``share``: of the rows; None: a tenth by time, a fifth of each user's.
    ``future=False``: always random rows.
    """
    found = held_out_futures(data, most, FUTURE if share is None else share) if future else []
    if data.unmerged is not None:  # if rows repeat, a future may hold only items that its users had before
        found = [window for window in found if holds_new_items(window)]
    if not found:
        part, n_users = PART if share is None else share, 4 * measured_users(data)
        found = [rows_of_users(data, part, n_users, seed)]
        wanted = min(math.ceil(ENOUGH / max(len(np.unique(found[-1].valid.users)), 1)), most)
        return [rows_of_users(data, part, n_users, seed + k) for k in range(1, wanted)] + found
    users = max(len(np.unique(found[-1].valid.users)), 1)
    return found[-min(math.ceil(ENOUGH / users), len(found)) :]


def holds_new_items(window: Split) -> bool:
    """Return whether some user of the first part takes an item in the second that they do not have in the first."""
    rows, valid = window.train.by_user, window.valid
    had = np.repeat(np.arange(rows.n_rows, dtype=np.int64), rows.counts) * rows.n_cols + rows.indices
    mine = rows.counts[valid.users] > 0
    asked = valid.users[mine].astype(np.int64) * rows.n_cols + valid.items[mine]
    at = np.minimum(np.searchsorted(had, asked), max(len(had) - 1, 0))
    return bool(len(asked)) and bool((had[at] != asked).any())


def comes_next(window: Split) -> bool:
    """Return whether one row of each user is held out, the last. Every such row is relevant, whatever its rating: it is
    what the user took next."""
    return window.how.startswith("leave last") and bool(np.bincount(window.valid.users).max(initial=0) <= 1)


def held_out_futures(data: Interactions, n: int, share: float, last: int | float = 1) -> list[Split]:
    """Return at most ``n`` splits that hold out the future, the latest last.

    They are windows of time with a share of the rows each, or each user's ``last`` rows, then those before them. Empty
    if the data have no future, for example without times, and if random rows were held out of these.
    """
    if data.times is None or data.held_out == "random":
        return []
    newest = _last_rows(data, last) or splits.auto(data, share, 0, last)
    if newest.how.startswith("temporal"):
        if n > 1:
            with suppress(DataError):  # so many rows with the same time that a window would be empty
                return splits.rolling(data, n, share)
        return [newest]
    if not newest.how.startswith("leave last"):
        return []
    found = [newest]
    with suppress(DataError):  # no user has rows left
        while len(found) < n:
            found.insert(0, splits.leave_last(found[0].train, last))
    return found


def _last_rows(data: Interactions, last: int | float) -> Split | None:
    """Return the split of each user's last rows, if such rows were held out of these before."""
    if data.held_out == "last":
        with suppress(DataError):  # no user has rows left
            return splits.leave_last(data, last)
    return None


def rows_of_users(data: Interactions, share: float, n_users: int, seed: int) -> Split:
    """Hold out a random ``share`` of the rows of each of at most ``n_users`` users who have two or more: at least one
    row, and at least one is left. If no user has two rows, random rows are held out."""
    counts = np.bincount(data.users, minlength=data.n_users)
    able = np.flatnonzero(counts >= 2)
    if not len(able):
        return splits.random(data, share, seed)
    rng = np.random.default_rng([seed, 3])
    users = rng.permutation(able)[:n_users]
    quota = np.zeros(data.n_users, dtype=np.int64)
    quota[users] = np.clip(np.round(share * counts[users]), 1, counts[users] - 1)
    order = np.lexsort((rng.random(len(data)), data.users))
    place = np.empty(len(data), dtype=np.int64)
    place[order] = np.arange(len(data)) - np.repeat(np.cumsum(counts) - counts, counts)
    held = place < quota[data.users]
    who = "each user" if len(users) == len(able) else f"each of {len(users):,} users"
    how = f"random: {share:.0%} of the rows of {who}, {int(held.sum()):,} in all, for validation, seed {seed}"
    return Split(data.take(~held), data.take(held), how, seed)
