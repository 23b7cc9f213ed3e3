"""Splits by chance: of rows, of folds, of users."""

from __future__ import annotations

import numpy as np

from cofactor.data.ids.id_map import Array
from cofactor.data.interactions import Interactions, Split
from cofactor.data.kind import rows_of
from cofactor.data.rows.repeats import count_repeats
from cofactor.data.splits.parts import check_rows, check_seed, check_share, masked, rank_in
from cofactor.errors import ConfigError, DataError


def random(data: Interactions, valid: float = 0.2, seed: int = 42) -> Split:
    """Hold out a random share of the rows, drawn without replacement.

    Rows of the same user and item stay together, so that one part does not leak into the other; a table read with
    ``duplicates="all"`` has such rows. The share is then as close to the requested one as that allows.

    Args:
        data: the rows.
        valid: the share: ``round(n * valid)`` rows, at least one in each part.
        seed: draws the rows.
    """
    share = check_share("valid", valid)
    rows, pairs = check_rows(data, 2), _pairs(data, 2)
    n = min(max(round(rows * share), 1), rows - 1)
    if pairs is None:
        mask = np.zeros(rows, dtype=np.bool_)
        mask[check_seed(seed).permutation(rows)[:n]] = True
    else:
        order = check_seed(seed).permutation(int(pairs.max()) + 1)
        size = np.cumsum(np.bincount(pairs)[order])
        held = np.zeros(len(order), dtype=np.bool_)
        held[order[: min(max(int(np.searchsorted(size, n, side="right")), 1), len(order) - 1)]] = True
        mask = held[pairs]
        n = int(mask.sum())
    how = (
        f"random: {n:,} of {rows:,} {rows_of(data.kind)} ({n / rows:.0%}) for validation{_together(pairs)}, seed {seed}"
    )
    return masked(data, mask, how, seed)


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
    rows, pairs = check_rows(data, k), _pairs(data, k)
    n = rows if pairs is None else int(pairs.max()) + 1
    fold = np.empty(n, dtype=np.int32)
    fold[check_seed(seed).permutation(n)] = np.arange(n) % k
    fold = fold if pairs is None else fold[pairs]
    how = f"random{_together(pairs)}, seed {seed}"
    return [masked(data, fold == i, f"fold {i + 1} of {k}, {how}", seed) for i in range(k)]


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
        check_share("users", users)
    if isinstance(given, int) and not isinstance(given, bool):
        if given < 1:
            raise ConfigError(f"given={given}; a held-out user needs at least one rating as history")
    else:
        check_share("given", given)
    check_rows(data, 2)
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
    rng = check_seed(seed)
    held = np.zeros(data.n_users, dtype=np.bool_)
    held[rng.choice(able, n, replace=False)] = True
    of = np.flatnonzero(held[data.users[first]])
    whose = data.users[first[of]]
    rank = rank_in(whose, rng.permutation(len(of)))
    size = counts[whose]
    history = np.full(len(of), given) if isinstance(given, int) else np.maximum(np.round(size * given), 1)
    history = np.minimum(history, size - 1)
    drawn = np.zeros(len(first), dtype=np.bool_)
    drawn[of] = rank < history
    out = np.flatnonzero(held[data.users])
    as_given = drawn[out if pairs is None else pairs[out]]
    rows = rows_of(data.kind)
    said = f"{given} {rows}" if isinstance(given, int) else f"{given:.0%}"
    return Split(
        train=data.take(np.flatnonzero(~held[data.users])),
        valid=data.take(out[~as_given]),
        given=data.take(out[as_given]),
        how=f"by user: {n:,} of {present:,} users held out, {said} of each one's {rows} given as history, seed {seed}",
        seed=seed,
    )


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
