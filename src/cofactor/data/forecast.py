"""A forecast of memory and time for each model, from the size of the data alone. Rough: orders of magnitude."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from cofactor.data.interactions import Interactions

_GFLOPS = 4.0
"""What one laptop core is taken to do in these loops, 10^9 operations a second."""

_BLAS = 8.0
"""How much faster than that BLAS is."""


class Size(NamedTuple):
    """What costs depend on: ratings, users, items, and the sums of squared counts by user and by item."""

    n: int
    users: int
    items: int
    pairs_by_user: float
    pairs_by_item: float


class Cost(NamedTuple):
    """Bytes held besides the ratings, operations, and the formula in words (n ratings, U users, I items, k factors)."""

    memory: float
    work: float
    formula: str


def costs(s: Size) -> dict[str, Cost]:
    """For the default settings of each model."""
    k, rank, sweeps = 50, 32, 200
    vectors = 4.0 * (s.users + s.items)
    wide = 64
    return {
        "popular": Cost(8.0 * s.items, 4.0 * s.n, "n"),
        "bias": Cost(8.0 * (s.users + s.items), 20.0 * 10 * s.n, "10 passes x n"),
        "dot-bias": Cost(3 * vectors * (k + 1), 5 * s.n * 30.0 * k, "5 epochs x n x k=50"),
        "als": Cost(
            vectors * k, 15 * (2.0 * s.n * k * k + (s.users + s.items) * k**3 / 3), "15 sweeps x (n k^2 + (U+I) k^3/3)"
        ),
        "bayes-mf": Cost(vectors * rank * 3, sweeps * 2.0 * s.n * rank * 6, f"{sweeps} sweeps x n x k={rank}"),
        "ials": Cost(
            vectors * wide,
            15 * (2.0 * s.n * wide**2 + (s.users + s.items) * wide**3 / 3),
            "15 sweeps x (n k^2 + (U+I) k^3/3)",
        ),
        "bpr": Cost(vectors * wide, 50 * s.n * 12.0 * wide, "50 epochs x n x k=64"),
        "item-knn": Cost(12.0 * s.items * 100, 6.0 * s.pairs_by_user, "sum over users of (ratings of the user)^2"),
        "user-knn": Cost(12.0 * s.users * 100, 6.0 * s.pairs_by_item, "sum over items of (ratings of the item)^2"),
        "ease": Cost(
            16.0 * s.items**2, 2.0 * s.items**3 / _BLAS + 2.0 * s.pairs_by_user, "I^3; I x I matrix in memory"
        ),
        "slim": Cost(8.0 * s.items**2, 40.0 * s.items * s.items * 50, "I^2 x passes; I x I matrix in memory"),
    }


def forecast(data: Interactions) -> pl.DataFrame:
    """model, memory_mb, seconds, formula: what training would take on one core with default settings.

    A forecast from formulae, not a measurement: right to within a factor of five or so. ``memory_mb`` counts the arrays
    that hold the ratings, both groupings of them, and the model.
    """
    by_user, by_item = np.bincount(data.users).astype(float), np.bincount(data.items).astype(float)
    size = Size(len(data), data.n_users, data.n_items, float((by_user**2).sum()), float((by_item**2).sum()))
    table = (12 + (8 if data.times is not None else 0) + 2 * 16) * size.n
    rows = [
        (name, round((table + cost.memory) / 2**20, 1), float(f"{cost.work / _GFLOPS / 1e9 + 0.01:.2g}"), cost.formula)
        for name, cost in costs(size).items()
    ]
    return pl.DataFrame(rows, schema=["model", "memory_mb", "seconds", "formula"], orient="row")
