"""Posterior mean and spread of predictions, from kept samples that lie side by side in a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def pair_dots(left: Array, right: Array, users: Array, items: Array, width: int, out: Array) -> None:
    """Compute the dot product of the first ``width`` columns for each pair. Code -1 is the last row."""
    for n in range(len(users)):
        a, b = left[users[n]], right[items[n]]
        total = np.float32(0.0)
        for j in range(width):
            total += a[j] * b[j]
        out[n] = total


@njit(cache=True, nogil=True, error_model="numpy")
def pair_variances(
    left: Array,
    left_bias: Array,
    right: Array,
    right_bias: Array,
    users: Array,
    items: Array,
    count: int,
    k: int,
    out: Array,
) -> None:
    """Compute the variance over ``count`` samples of factors times factors plus biases, for each pair."""
    for n in range(len(users)):
        u, i = users[n], items[n]
        mean, squares = 0.0, 0.0
        for s in range(count):
            value = np.float64(left_bias[u, s]) + np.float64(right_bias[i, s])
            for f in range(s * k, s * k + k):
                value += left[u, f] * right[i, f]
            step = value - mean
            mean += step / (s + 1)
            squares += step * (value - mean)
        out[n] = squares / max(count - 1, 1)
