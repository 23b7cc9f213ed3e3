"""Rankers start from the average user, weighted by how little is known of the present user.

For a user with one to three entries, the scores of a ranker are mostly chance: such lists are worse than popularity.
Therefore the scores of the average user are added. They are scaled to the spread of the scores of a single entry, and
weighted by :func:`start_weight`: as much as one entry beside one entry, hardly anything beside fifty. The weight grows
if many users have the most popular items (:func:`trust`), because popularity then tells more than one entry does.
(Found on the training rows of four tables, for five models: with that spread, one weight suits them all.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR

Array = NDArray[Any]

SAMPLE, BLOCK = 400, 2_000_000
"""Number of single entries in the sample, and of scores held at a time."""
MOST = 8.0
"""Maximal scaling of the average: if all items are equally popular, their differences are chance."""
TOP, TRUST = 10, (0.8, 4.0)
"""Number of popular items that measure how similar users are, and the effect of their share of the users on the
weight."""
_NO_ROWS = np.empty(0, dtype=np.int64)


def start_weight(counts: Array) -> Array:
    """Return float32 (n,): the weight of the average user beside this many entries: ``3 / (2 + count)``, 1 beside one
    entry."""
    return (3.0 / (2.0 + np.asarray(counts, dtype=np.float64))).astype(np.float32)


def trust(item_counts: Array, n_users: int) -> float:
    """Return how much more than one entry the average user weighs.

    It is 1 if few users have the ten most popular items, or if as many have every other item; nearly 3 if half of them
    do. ``item_counts``: entries of each item; ``n_users``: users with entries.
    """
    shares = np.sort(np.asarray(item_counts, dtype=np.float64))[-TOP:] / max(n_users, 1)
    others = float(np.mean(item_counts)) / max(n_users, 1) if len(shares) else 0.0
    return max(TRUST[0] + TRUST[1] * float((shares - others).mean()), 1.0) if len(shares) else 1.0


def average_scores(rows: CSR, summed: Callable[[CSR], Array]) -> Array:
    """Return float32 (n_items,): the scores of the mean entry of ``rows``, times :func:`trust`.

    They are scaled to the spread of the scores of a single entry (the median of a sample). ``summed``: rows -> the sums
    of their entries' contributions to each item.
    """
    n, total = rows.n_cols, len(rows.indices)
    if not total:
        return np.zeros(n, dtype=np.float32)
    mean = (np.bincount(rows.indices, rows.values, minlength=n) / total).astype(np.float32)
    average = summed(one_row(np.arange(n, dtype=np.int32), mean, n))[0]
    at = np.unique(np.linspace(0, total - 1, min(SAMPLE, total)).astype(np.int64))
    at = at[rows.values[at] > 0]
    size = max(BLOCK // max(n, 1), 1)
    parts = [at[lo : lo + size] for lo in range(0, len(at), size)]
    single = [summed(alone(rows, part)).std(axis=1, dtype=np.float64) for part in parts]
    singles = np.concatenate([np.empty(0), *single])
    chance = np.sqrt(np.square(singles).sum() / max(len(singles), 1) / max(int((rows.counts > 0).sum()), 1))
    more = trust(np.bincount(rows.indices, minlength=n), int((rows.counts > 0).sum()))
    return np.float32(more) * spread_as(average, singles, float(average.std(dtype=np.float64)), float(chance))


def spread_as(average: Array, singles: Array, spread: float, chance: float) -> Array:
    """Scale ``average``, whose scores deviate by ``spread``, to the median deviation of ``singles`` (those above 0).

    The scale is smaller, the more of ``spread`` is chance: the deviation that as many random users have is ``chance``.
    """
    some = singles[singles > 0]
    factor = min(float(np.median(some)) / spread, MOST) if len(some) and spread > 0 else 0.0
    known = max(1.0 - (chance / spread) ** 2, 0.0) if spread > 0 else 0.0
    return np.asarray(average * (factor * known), dtype=np.float32)


def one_row(indices: Array, values: Array, n_cols: int) -> CSR:
    """Return a history as sparse rows."""
    return CSR(np.array([0, len(indices)], dtype=np.int64), indices, values, _NO_ROWS, n_cols)


def alone(rows: CSR, at: Array) -> CSR:
    """Return some entries, each as a history of its own."""
    return CSR(np.arange(len(at) + 1, dtype=np.int64), rows.indices[at], rows.values[at], _NO_ROWS, rows.n_cols)
