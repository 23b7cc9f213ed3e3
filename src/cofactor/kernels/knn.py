"""Shrunk correlations between rows of residuals, and means over neighbours: for single pairs, and for whole rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def correlate(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    residuals: Array,
    base_indptr: Array,
    base_indices: Array,
    base_residuals: Array,
    base_counts: Array,
    shrink: float,
    power: float,
    out: Array,
) -> None:
    """``out`` float32 (last - first, n_base): the weight of each base row as a neighbour of rows ``first`` to ``last``.

    Rows and the base are rows of residuals over the same columns: the rows as a CSR, the base (``base_counts`` entries
    a row) transposed. The weight is the correlation around zero over the ``n`` shared columns, times ``n / (n +
    shrink)``, to the ``power``; 0 if it is negative, and for a base row with exactly the same entries (such as the row
    itself).
    """
    n_base = len(base_counts)
    shared, sums = np.empty(n_base, dtype=np.int64), np.empty((n_base, 3))
    shared[:] = 0
    sums[:] = 0.0
    for row in range(first, last):
        for at in range(indptr[row], indptr[row + 1]):
            column, d = indices[at], float(residuals[at])
            for b in range(base_indptr[column], base_indptr[column + 1]):
                other, e = base_indices[b], float(base_residuals[b])
                shared[other] += 1
                sums[other, 0] += d * e
                sums[other, 1] += d * d
                sums[other, 2] += e * e
        own = indptr[row + 1] - indptr[row]
        for other in range(n_base):
            n, xy, xx, yy = shared[other], sums[other, 0], sums[other, 1], sums[other, 2]
            shared[other] = 0
            sums[other, 0] = sums[other, 1] = sums[other, 2] = 0.0
            twin = n == own and n == base_counts[other] and xy == xx and xy == yy
            weight = 0.0 if xy <= 0.0 or twin else (xy / np.sqrt(xx * yy) * n / (n + shrink)) ** power
            out[row - first, other] = weight


@njit(cache=True, nogil=True)
def pair_means(
    list_rows: Array,
    neighbours: Array,
    weights: Array,
    rows: Array,
    indptr: Array,
    indices: Array,
    residuals: Array,
    damping: float,
    out: Array,
) -> None:
    """Set ``out[n]`` to the weighted mean of the residuals in row ``rows[n]`` of a CSR at the neighbours in a list.

    The list is row ``list_rows[n]`` of ``neighbours`` and ``weights``.

    Lists are int32 (m, k) with -1 where there are no more. ``damping`` counts as weight of a residual of zero. A row of
    -1 on either side gives 0.
    """
    for n in range(len(rows)):
        total, weight = 0.0, 0.0
        if rows[n] >= 0 and list_rows[n] >= 0:
            lo, hi = indptr[rows[n]], indptr[rows[n] + 1]
            for r in range(neighbours.shape[1]):
                wanted = neighbours[list_rows[n], r]
                if wanted < 0:
                    break
                left, right = lo, hi
                while left < right:
                    middle = (left + right) // 2
                    if indices[middle] < wanted:
                        left = middle + 1
                    else:
                        right = middle
                if left < hi and indices[left] == wanted:
                    w = float(weights[list_rows[n], r])
                    total += w * float(residuals[left])
                    weight += w
        out[n] = total / (weight + damping) if weight > 0.0 else 0.0


@njit(cache=True, nogil=True)
def item_rows(
    first: int,
    last: int,
    states: Array,
    indptr: Array,
    items: Array,
    weights: Array,
    plain: Array,
    damping: float,
    out: Array,
) -> None:
    """Set rows ``first`` to ``last`` of ``out`` float32 (n, m) to means over the rated neighbours of each item, plus
    biases.

    ``states`` float32 (n, 1 + items): a bias, then residuals (0: not rated). The CSR has the weight of a rated item for
    each of the m, whose own biases are ``plain``. ``damping`` float32 counts as weight of a residual of zero.
    """
    sums, total = np.empty(len(plain), dtype=np.float32), np.empty(len(plain), dtype=np.float32)
    for r in range(first, last):
        sums[:] = 0.0
        total[:] = 0.0
        for item in range(states.shape[1] - 1):
            x = states[r, 1 + item]
            if x != 0.0:
                for at in range(indptr[item], indptr[item + 1]):
                    j, w = np.uint64(items[at]), weights[at]  # unsigned: no check for negative positions
                    sums[j] += x * w
                    total[j] += w
        _finish(states[r, 0], plain, sums, total, damping, out[r])


@njit(cache=True, nogil=True)
def user_rows(
    first: int,
    last: int,
    states: Array,
    indptr: Array,
    items: Array,
    residuals: Array,
    plain: Array,
    damping: float,
    out: Array,
) -> None:
    """Do the same over the neighbours of each user who rated the item.

    ``states`` float32 (n, 1 + 2 k): a bias, then codes of neighbours (-1: no more), then their weights. The CSR has the
    residuals of these users, one row each, on the m items.
    """
    sums, total = np.empty(len(plain), dtype=np.float32), np.empty(len(plain), dtype=np.float32)
    k = states.shape[1] // 2
    for r in range(first, last):
        sums[:] = 0.0
        total[:] = 0.0
        for place in range(1, 1 + k):
            user, w = int(states[r, place]), states[r, k + place]
            if user >= 0:
                for at in range(indptr[user], indptr[user + 1]):
                    j = np.uint64(items[at])
                    sums[j] += w * residuals[at]
                    total[j] += w
        _finish(states[r, 0], plain, sums, total, damping, out[r])


@njit(error_model="numpy")
def _finish(bias: float, plain: Array, sums: Array, total: Array, damping: float, out: Array) -> None:
    """Convert sums to means, and add biases."""
    for j in range(len(out)):
        mean = sums[j] / (total[j] + damping) if total[j] > 0.0 else np.float32(0.0)
        out[j] = mean + plain[j] + bias
