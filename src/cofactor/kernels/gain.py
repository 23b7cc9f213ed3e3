"""Discounted gain of lists: the one definition that evaluation and every choice inside training go by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def ndcg(hits: Array, relevant: Array) -> Array:
    """float64 (rows,): discounted gain with binary relevance, over that of the best list possible (Järvelin &
    Kekäläinen 2002). A hit at place ``r`` is worth ``1 / log2(r + 1)``; NaN for a row with nothing relevant.

    ``hits`` bool (rows, n): whether the item at each place is relevant, best place first; ``relevant`` int (rows,): how
    many relevant items a row has in all. Sums go place by place, so a value does not depend on the other rows.
    """
    discount = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(relevant, hits.shape[1])]
    gain = np.zeros(len(hits))
    for column, worth in zip(hits.T, discount.tolist(), strict=True):
        gain += column * worth
    return np.where(np.asarray(relevant) > 0, gain / np.maximum(ideal, 1e-300), np.nan)


def ndcg_of_ranks(ranks: Array, n: int) -> Array:
    """float64 (rows,): the same at ``n`` of lists with one relevant item each, which stands at these ranks (from 1)."""
    return np.where(ranks <= n, 1 / np.log2(ranks + 1.0), 0.0)
