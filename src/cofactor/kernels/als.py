"""Alternating least squares for ratings: each row (a user, or an item) is one small ridge regression.

The unknowns of a row are its ``k`` factors and its bias (``d = k + 1`` numbers); the other side is held fixed. Rows do
not depend on each other. All arrays are float32 unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.vectors import LANES, add_scaled, inverse_root, minus_product, times

Array = NDArray[Any]

FAST = {"contract"}
"""Allow multiply and add to be fused, but nothing to be reordered."""


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
    width = (d + LANES - 1) // LANES * LANES
    room = max(n, 1)  # an empty history has no entry 0 to read
    y, near = np.zeros((room, width), dtype=np.float32), np.zeros((room, width), dtype=np.float32)
    gram, sums, count = np.zeros((d, width), dtype=np.float32), np.zeros((2, width), dtype=np.float32), 0.0
    weight, error = np.ones(room, dtype=np.float32), np.zeros(room, dtype=np.float32)
    if len(weights):
        weight[:] = weights
    for at in range(n):
        column = indices[at]
        y[at, k] = 1.0
        for a in range(k):
            y[at, a] = other[column, a]
        if len(other_spread):
            for a in range(k):
                near[at, a] = other_spread[column, a]
        error[at] = weight[at] * (values[at] - offsets[column])
        count += weight[at]
    for e0 in range(0, n, 4):
        e1, e2, e3 = min(e0 + 1, n - 1), min(e0 + 2, n - 1), min(e0 + 3, n - 1)
        s1, s2, s3 = np.float32(e0 + 1 < n), np.float32(e0 + 2 < n), np.float32(e0 + 3 < n)
        w0, w1, w2, w3 = weight[e0], s1 * weight[e1], s2 * weight[e2], s3 * weight[e3]
        for b in range(0, d, LANES):
            places = e0 * width + b, e1 * width + b, e2 * width + b, e3 * width + b
            add_scaled(sums, b, y, places, (error[e0], s1 * error[e1], s2 * error[e2], s3 * error[e3]))
            add_scaled(sums, width + b, near, places, (w0, w1, w2, w3))
            for a in range(min(b + LANES, d)):
                f = w0 * y[e0, a], w1 * y[e1, a], w2 * y[e2, a], w3 * y[e3, a]
                add_scaled(gram, a * width + b, y, places, f)
    part, right = np.zeros((d, d, LANES), dtype=np.float32), np.zeros((d, LANES), dtype=np.float32)
    gone, lost = np.zeros((d, LANES), dtype=np.float32), np.zeros((d, LANES), dtype=np.float32)
    root = np.zeros((d, LANES), dtype=np.float32)
    for first in range(0, len(rows), LANES):
        for lane in range(LANES):
            which = min(first + lane, len(rows) - 1)
            at = max(0, positions[which - 1]) if which else 0
            left = np.float32(which > 0)  # the first row leaves nothing out
            w, e = left * weight[at], left * error[at]
            scale = np.float32((count - w if (n - 1 if which else n) else 1.0) ** nu)
            for a in range(d):
                out = left * y[at, a]
                gone[a, lane], lost[a, lane] = out, w * out
                right[a, lane] = sums[0, a] - e * out
                root[a, lane] = ridge[a] * scale + (sums[1, a] - w * near[at, a]) if a < k else ridge[k]
        for a in range(d):
            for b in range(a, d):
                whole, o = gram[a, b], (a * d + b) * LANES
                for lane in range(LANES):
                    part[a, b, lane] = whole
                minus_product(part, o, lost, a * LANES, gone, b * LANES)
            for lane in range(LANES):
                part[a, a, lane] += root[a, lane]
        _solve_lanes(part, right, root)
        for lane in range(min(LANES, len(rows) - first)):
            for a in range(d):
                rows[first + lane, a] = right[a, lane]


@njit(cache=True, nogil=True)
def _solve_lanes(gram: Array, x: Array, root: Array) -> None:
    """Do the same as :func:`solve` for ``LANES`` systems side by side: (d, d, LANES) and (d, LANES).

    ``root`` (d, LANES) is overwritten. All are float32 and C-contiguous.
    """
    d = len(x)
    for j in range(d):
        row = j * d  # the places of this row in gram, and the places of a right-hand side, are those times LANES
        inverse_root(root, j * LANES, gram, (row + j) * LANES)
        for b in range(j + 1, d):
            times(gram, (row + b) * LANES, root, j * LANES)
        times(x, j * LANES, root, j * LANES)
        for a in range(j + 1, d):
            minus_product(x, a * LANES, gram, (row + a) * LANES, x, j * LANES)
            for b in range(a, d):
                minus_product(gram, (a * d + b) * LANES, gram, (row + a) * LANES, gram, (row + b) * LANES)
    for j in range(d - 1, -1, -1):
        for b in range(j + 1, d):
            minus_product(x, j * LANES, gram, (j * d + b) * LANES, x, b * LANES)
        times(x, j * LANES, root, j * LANES)


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
