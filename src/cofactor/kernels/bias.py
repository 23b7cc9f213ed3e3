"""Regularised user and item biases: one sweep of block descent, as two weighted counts in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def shrunk_mean(codes: Array, residuals: Array, counts: Array, reg: float) -> Array:
    """The sum of each code's residuals over ``counts + reg``: float64 (len(counts),); 0 where it has none."""
    sums = np.bincount(codes, weights=residuals, minlength=len(counts))
    return np.asarray(sums / np.maximum(counts + reg, 1e-12))


def sweep(
    users: Array,
    items: Array,
    values: Array,
    mean: float,
    user_bias: Array,
    item_bias: Array,
    user_counts: Array,
    item_counts: Array,
    reg_user: float,
    reg_item: float,
) -> float:
    """Solve all item biases, then all user biases, in place (float64). Gives the mean squared error then.

    Users come last: their biases are then what a fold-in of the same ratings gives.
    """
    centred = values.astype(np.float64) - mean
    item_bias[:] = shrunk_mean(items, centred - user_bias[users], item_counts, reg_item)
    left = centred - item_bias[items]
    user_bias[:] = shrunk_mean(users, left, user_counts, reg_user)
    left -= user_bias[users]
    return float(np.einsum("n,n->", left, left)) / max(len(left), 1)
