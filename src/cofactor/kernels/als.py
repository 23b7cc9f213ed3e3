"""Alternating least squares for ratings: each row (a user, or an item) is one small ridge regression.

The unknowns of a row are its ``k`` factors and its bias (``d = k + 1`` numbers); the other side is held fixed. Rows do
not depend on each other. All arrays are float32 unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

FAST = {"contract"}
"""Allow multiply and add to be fused, but nothing to be reordered."""
LANES = 16
"""Number of systems that are solved side by side, one in each SIMD lane."""


@njit(cache=True, nogil=True, fastmath=FAST)
def solve_rows(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    values: Array,
    weights: Array,
    offsets: Array,
    other: Array,
    other_spread: Array,
    ridge: Array,
    nu: float,
    noise: float,
    centre: Array,
    rows: Array,
    spread: Array,
    errors: Array,
) -> None:
    """Solve rows ``first`` to ``last`` of a CSR matrix of ratings for ``rows`` (n, d): the factors, then the bias.

    Minimises the squared error of ``values - offsets[column] - rows . (factors of the column, 1)`` plus a ridge. The
    ridge is ``ridge`` (d,), times ``count ** nu`` for the factors, plus the variances of the factors of all columns of
    the row if ``other_spread`` (n_columns, d) is not empty. ``offsets`` holds the bias of each column, ``other``
    (n_columns, k) their factors. The ridge pulls towards ``centre`` (n, d) if that is not empty, else to zero. Further
    arguments may be empty: ``spread`` (n, d) gets the variances of the solution, ``noise`` times the diagonal of the
    inverse; ``errors`` float64 (n, 2) gets each row's sum of squared errors and the variances' contribution to its
    expectation; ``weights`` float32 (nnz,) says how often each entry counts.
    """
    k = other.shape[1]
    d = k + 1
    room = np.empty(
        (d + 8, d), dtype=np.float32
    )  # a single array, because each kind of array that a kernel creates takes time to compile
    gram, y = room[:d], room[d : d + 4]
    x, met, squares, z = room[d + 4], room[d + 5], room[d + 6], room[d + 7]
    for row in range(first, last):
        lo, hi = indptr[row], indptr[row + 1]
        count = np.float32(0.0)
        for a in range(d):
            x[a] = met[a] = 0.0
            for b in range(a, d):
                gram[a, b] = 0.0
        for start in range(lo, hi, 4):
            for j in range(4):
                if start + j < hi:
                    column = indices[start + j]
                    for a in range(k):
                        y[j, a] = other[column, a]
                    y[j, k] = 1.0
                    r = values[start + j] - offsets[column]
                    if len(weights):
                        weight = weights[start + j]
                        root = np.sqrt(weight)
                        for a in range(d):
                            y[j, a] *= root
                            x[a] += r * root * y[j, a]
                        if len(other_spread):
                            for a in range(d):
                                met[a] += weight * other_spread[column, a]
                        count += weight
                    else:
                        for a in range(d):
                            x[a] += r * y[j, a]
                        if len(other_spread):
                            for a in range(d):
                                met[a] += other_spread[column, a]
                else:
                    for a in range(d):
                        y[j, a] = 0.0
            for a in range(d):
                y0, y1, y2, y3 = y[0, a], y[1, a], y[2, a], y[3, a]
                for b in range(a, d):
                    gram[a, b] += y0 * y[0, b] + y1 * y[1, b] + y2 * y[2, b] + y3 * y[3, b]
        scale = np.float32((max(float(hi - lo), 1.0) if len(weights) == 0 or hi == lo else float(count)) ** nu)
        for a in range(d):
            squares[a] = gram[a, a]
            pull = ridge[a] * scale if a < k else ridge[k]
            gram[a, a] += pull + met[a] if a < k else pull
            if len(centre):
                x[a] += pull * centre[row, a]
        solve(gram, x)
        for a in range(d):
            rows[row, a] = x[a]
        if len(spread):
            inverse_diagonal(gram, noise, z, row, spread)
        if len(errors):
            errors[row, 0] = squared_error(lo, hi, indices, values, weights, offsets, other, x)
            uncertainty = met[k]
            if len(spread):
                for a in range(k):
                    uncertainty += met[a] * (x[a] * x[a] + spread[row, a])
                for a in range(d):
                    uncertainty += squares[a] * spread[row, a]
            errors[row, 1] = uncertainty


@njit(cache=True, nogil=True, fastmath=FAST)
def solve_without(
    indices: Array,
    values: Array,
    weights: Array,
    offsets: Array,
    other: Array,
    other_spread: Array,
    ridge: Array,
    nu: float,
    positions: Array,
    rows: Array,
) -> None:
    """Solve one row of a CSR matrix for ``rows`` (1 + len(positions), d): complete, then without each entry at
    ``positions``.

    The result is that of :func:`solve_rows` for each of these histories, but the sums over them are computed once.
    """
    n, k = len(indices), other.shape[1]
    d = k + 1
    gram, x, met, count = np.zeros((d, d)), np.zeros(d), np.zeros(d), 0.0
    y, weight = np.ones((n, d), dtype=np.float32), np.ones(n, dtype=np.float32)
    if len(weights):
        weight[:] = weights
    for at in range(n):
        column, w = indices[at], weight[at]
        for a in range(k):
            y[at, a] = other[column, a]
        r = w * (values[at] - offsets[column])
        for a in range(d):
            x[a] += r * y[at, a]
            if len(other_spread):
                met[a] += w * other_spread[column, a]
            for b in range(a, d):
                gram[a, b] += w * y[at, a] * y[at, b]
        count += w
    part, right = np.zeros((d, d, LANES), dtype=np.float32), np.zeros((d, LANES), dtype=np.float32)
    gone, mine = np.zeros((d, LANES), dtype=np.float32), np.zeros((d, LANES), dtype=np.float32)
    scale, left = np.zeros(LANES), np.zeros(LANES, dtype=np.float32)
    for first in range(0, len(rows), LANES):
        for lane in range(LANES):
            which = min(first + lane, len(rows) - 1)
            at = max(0, positions[which - 1]) if which else 0
            w = weight[at] if which else np.float32(0.0)  # of the entry that is left out
            left[lane] = w
            scale[lane] = (count - w if (n - 1 if which else n) else 1.0) ** nu
            error = w * (values[at] - offsets[indices[at]]) if which else 0.0
            for a in range(d):
                gone[a, lane] = y[at, a] if which else np.float32(0.0)
                mine[a, lane] = x[a] - error * gone[a, lane]
        for a in range(d):
            for lane in range(LANES):
                right[a, lane] = mine[a, lane]
            for b in range(a, d):
                for lane in range(LANES):
                    part[a, b, lane] = gram[a, b] - left[lane] * gone[a, lane] * gone[b, lane]
            for lane in range(LANES):
                pull = ridge[a] * scale[lane] if a < k else ridge[k]
                if a < k:
                    pull += met[a]
                    which = min(first + lane, len(rows) - 1)
                    if which and len(other_spread):
                        pull -= left[lane] * other_spread[indices[max(0, positions[which - 1])], a]
                part[a, a, lane] += pull
        _solve_lanes(part, right)
        for lane in range(min(LANES, len(rows) - first)):
            for a in range(d):
                rows[first + lane, a] = right[a, lane]


@njit(cache=True, nogil=True, fastmath=FAST)
def _solve_lanes(gram: Array, x: Array) -> None:
    """Do the same as :func:`solve` for ``LANES`` systems side by side: (d, d, LANES) and (d, LANES)."""
    d, root = len(x), np.empty(LANES, dtype=np.float32)
    for j in range(d):
        for lane in range(LANES):
            root[lane] = np.float32(1.0) / np.sqrt(gram[j, j, lane])
        for b in range(j, d):
            for lane in range(LANES):
                gram[j, b, lane] *= root[lane]
        for lane in range(LANES):
            x[j, lane] *= root[lane]
        for a in range(j + 1, d):
            for lane in range(LANES):
                x[a, lane] -= gram[j, a, lane] * x[j, lane]
            for b in range(a, d):
                for lane in range(LANES):
                    gram[a, b, lane] -= gram[j, a, lane] * gram[j, b, lane]
    for j in range(d - 1, -1, -1):
        for b in range(j + 1, d):
            for lane in range(LANES):
                x[j, lane] -= gram[j, b, lane] * x[b, lane]
        for lane in range(LANES):
            x[j, lane] /= gram[j, j, lane]


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def squared_error(
    lo: int, hi: int, indices: Array, values: Array, weights: Array, offsets: Array, other: Array, x: Array
) -> float:
    """Return the sum of squared errors of the entries from ``lo`` to ``hi`` with the solution ``x``, each times its
    weight if there are weights. Its products are summed in the machine's order."""
    k = len(x) - 1
    total = 0.0
    for at in range(lo, hi):
        column = indices[at]
        guess = np.float32(0.0)
        for a in range(k):
            guess += x[a] * other[column, a]
        square = float(values[at] - offsets[column] - x[k] - guess) ** 2
        total += square * float(weights[at]) if len(weights) else square
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def solve(gram: Array, x: Array) -> None:
    """Solve ``gram @ solution = x`` in place of ``x``; the upper half of ``gram`` becomes its Cholesky factor."""
    d = len(x)
    for j in range(d):
        root = np.float32(1.0) / np.sqrt(gram[j, j])
        for b in range(j, d):
            gram[j, b] *= root
        x[j] *= root
        for a in range(j + 1, d):
            f = gram[j, a]
            x[a] -= f * x[j]
            for b in range(a, d):
                gram[a, b] -= f * gram[j, b]
    for j in range(d - 1, -1, -1):
        total = x[j]
        for b in range(j + 1, d):
            total -= gram[j, b] * x[b]
        x[j] = total / gram[j, j]


@njit(cache=True, nogil=True, fastmath=FAST)
def inverse_diagonal(factor: Array, scale: float, z: Array, row: int, out: Array) -> None:
    """Set ``out[row]`` to ``scale`` times the diagonal of the inverse, from the upper Cholesky factor that
    :func:`solve` leaves. ``z`` (d,) is overwritten."""
    d = len(z)
    for c in range(d):
        for a in range(d):
            z[a] = 0.0
        z[c] = 1.0
        total = np.float32(0.0)
        for j in range(c, d):
            f = z[j] / factor[j, j]
            total += f * f
            for b in range(j + 1, d):
                z[b] -= factor[j, b] * f
        out[row, c] = np.float32(scale) * total


@njit(cache=True, nogil=True)
def sum_rows(first: int, last: int, indptr: Array, indices: Array, table: Array, out: Array) -> None:
    """Set ``out[row]`` to the sum of ``table`` at the columns of a CSR row, for rows ``first`` to ``last``."""
    for row in range(first, last):
        for a in range(table.shape[1]):
            out[row, a] = 0.0
        for at in range(indptr[row], indptr[row + 1]):
            column = indices[at]
            for a in range(table.shape[1]):
                out[row, a] += table[column, a]
