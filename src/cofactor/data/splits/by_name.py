"""The split that suits a table, and splits that are called by a name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cofactor._validate import check_choice
from cofactor.data.interactions import Interactions, Split
from cofactor.data.splits.at_random import random
from cofactor.data.splits.by_time import leave_last, temporal
from cofactor.data.splits.parts import check_rows, check_share

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
    share = check_share("valid", valid)
    check_rows(data, 2)
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
        return leave_last(data, check_share("valid", valid))
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
