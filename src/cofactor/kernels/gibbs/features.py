"""Gibbs sampling of the regression that gives each row its prior mean: from side features, and from the set of rated
items.

Rows have ``width`` targets at once (the factors and the bias), independent of each other, one in each SIMD lane.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, error_model="numpy")
def draw_weights(
    indptr: Array,
    rows: Array,
    values: Array,
    squares: Array,
    row_precision: Array,
    prior_precision: Array,
    block: Array,
    noise: Array,
    weights: Array,
    left: Array,
) -> None:
    """Make one pass over the columns of a sparse design. Each column's weights are drawn given all the others.

    The design by columns: ``indptr``, ``rows``, ``values``; ``squares``: the sum of squares of each column. ``left``
    (n_rows, width) is the residual of the present weights, and is kept up to date. ``prior_precision`` (n_blocks,
    width); ``block``: the block of each column. float32 except ``indptr``.
    """
    n_columns, width = weights.shape
    total = np.empty(width, np.float32)
    for j in range(n_columns):
        prior = prior_precision[block[j]]
        total[:] = 0.0
        for n in range(indptr[j], indptr[j + 1]):
            x = values[n]
            row = left[rows[n]]
            for f in range(width):
                total[f] += x * row[f]
        for f in range(width):
            old = weights[j, f]
            precision = prior[f] + row_precision[f] * squares[j]
            mean = row_precision[f] * (total[f] + squares[j] * old) / precision
            weights[j, f] = mean + noise[j, f] / math.sqrt(precision)
            total[f] = weights[j, f] - old
        for n in range(indptr[j], indptr[j + 1]):
            x = values[n]
            row = left[rows[n]]
            for f in range(width):
                row[f] -= x * total[f]
