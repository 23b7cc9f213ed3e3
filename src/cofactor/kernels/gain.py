"""Discounted gain of lists: the single definition for evaluation and for every choice inside training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def ndcg(hits: Array, relevant: Array) -> Array:
    """Return float64 (rows,): discounted gain with binary relevance, divided by that of the best possible list
    (Järvelin & Kekäläinen 2002). A hit at position ``r`` is worth ``1 / log2(r + 1)``; NaN for a row with nothing
    relevant.

    ``hits`` bool (rows, n): whether the item at each position is relevant, best position first; ``relevant`` int
    (rows,): the number of relevant items of each row. Sums go position by position, so a value does not depend on the
    other rows.
    """
    discount = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(relevant, hits.shape[1])]
    gain = np.zeros(len(hits))
    for column, worth in zip(hits.T, discount.tolist(), strict=True):
        gain += column * worth
    return np.where(np.asarray(relevant) > 0, gain / np.maximum(ideal, 1e-300), np.nan)


def ndcg_of_ranks(ranks: Array, n: int) -> Array:
    """Return float64 (rows,): the same at ``n`` for lists with one relevant item each, at these ranks (from 1)."""
    return np.where(ranks <= n, 1 / np.log2(ranks + 1.0), 0.0)
