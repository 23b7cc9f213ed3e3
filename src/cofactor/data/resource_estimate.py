"""A forecast of memory and time for each model, from the size of the data alone. Rough: orders of magnitude."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from cofactor.data.interactions import Interactions


class Size(NamedTuple):
    """What costs depend on: ratings, users, items, the sums of squared counts by user and by item, whether times are
    known."""

    n: int
    users: int
    items: int
    pairs_by_user: float
    pairs_by_item: float
    timed: bool


class Cost(NamedTuple):
    """Bytes held besides the ratings, nanoseconds, the formula in words (n ratings, U users, I items, k factors)."""

    memory: float
    work: float
    formula: str


def costs(s: Size) -> dict[str, Cost]:
    """For the default settings of each model. The constants are nanoseconds on one core of a laptop-like machine, from
    timings on ML-100k and ML-1M."""
    n, rows = float(s.n), float(s.users + s.items)
    k, wide, long = 16, 64, 50  # of als, svd++ and bayes-mf; of ials, bpr and warp; of dot-bias
    table = 4.0 * rows
    pairs, items = s.pairs_by_user, float(s.items)
    return {
        "popular": Cost(8 * items, 80 * n, "n"),
        "bias": Cost(8 * rows, 10 * 150 * n, "10 passes x n"),
        "dot-bias": Cost(3 * table * (long + 1), 5 * 15 * n * long, "5 epochs x n x k=50"),
        "als": Cost(2 * table * (k + 1), 30 * 2 * n * k**2, "30 sweeps x n x k^2, k=16"),
        "svd++": Cost(4 * table * (k + 1), 40 * 3.5 * n * k**2, "40 sweeps x n x k^2, k=16"),
        "bayes-mf": Cost(
            60 * 2 * table * (k + 1),
            300 * ((18 if s.timed else 8) * n * k + 0.2 * rows * k**3),
            "300 sweeps x (n k + (U+I) k^3), 60 samples kept",
        ),
        "ials": Cost(table * wide, 15 * (6 * n * wide + rows * wide**2), "15 sweeps x (n k + (U+I) k^2), k=64"),
        "bpr": Cost(table * wide, 150 * 8 * n * wide, "150 epochs x n x k=64"),
        "warp": Cost(table * wide, 40 * 18 * n * wide, "40 epochs x n x k=64, more as it gets better"),
        "item-cosine": Cost(8 * items * min(200, items), 8 * pairs, "sum over users of (ratings of the user)^2"),
        "item-knn": Cost(12 * items * min(300, items), 20 * pairs, "sum over users of (ratings of the user)^2"),
        "user-knn": Cost(
            12.0 * s.users * min(500, s.users), 20 * s.pairs_by_item, "sum over items of (ratings of the item)^2"
        ),
        "ease": Cost(4 * items**2, 0.05 * items**3 + 5 * pairs, "I^3; I x I matrix in memory"),
        "slim": Cost(8 * items**2, 900 * items**2 + 5 * pairs, "I^2 x passes; I x I matrix in memory"),
    }


def forecast(data: Interactions) -> pl.DataFrame:
    """model, memory_mb, seconds, formula: what training would take on one core with default settings.

    A forecast from formulae, not a measurement: right to within a factor of five or so. ``memory_mb`` counts the arrays
    that hold the ratings, both groupings of them, and the model.
    """
    by_user, by_item = np.bincount(data.users).astype(float), np.bincount(data.items).astype(float)
    pairs = float((by_user**2).sum()), float((by_item**2).sum())
    size = Size(len(data), data.n_users, data.n_items, *pairs, data.times is not None)
    table = (12 + (8 if data.times is not None else 0) + 2 * 16) * size.n
    rows = [
        (name, round((table + cost.memory) / 2**20, 1), float(f"{cost.work / 1e9 + 0.01:.2g}"), cost.formula)
        for name, cost in costs(size).items()
    ]
    return pl.DataFrame(rows, schema=["model", "memory_mb", "seconds", "formula"], orient="row")
