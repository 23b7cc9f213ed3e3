"""Solve a user's ridge regression in each kept sample again without each of its rows, by a rank-one change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy")
def invert(matrix: Array, out: Array) -> None:
    """Set ``out`` to the inverse of a symmetric positive definite matrix, whose lower half is read and then holds its
    Cholesky factor."""
    d = len(matrix)
    for j in range(d):
        for p in range(j):
            for i in range(j, d):
                matrix[i, j] -= matrix[i, p] * matrix[j, p]
        root = math.sqrt(matrix[j, j])
        for i in range(j, d):
            matrix[i, j] /= root
    for c in range(d):
        column = out[c]  # the inverse is symmetric
        for a in range(d):
            column[a] = 1.0 if a == c else 0.0
        for a in range(c, d):
            column[a] /= matrix[a, a]
            for b in range(a + 1, d):
                column[b] -= matrix[b, a] * column[a]
        for a in range(d - 1, -1, -1):
            for b in range(a + 1, d):
                column[a] -= matrix[b, a] * column[b]
            column[a] /= matrix[a, a]


@njit(fastmath=FAST, error_model="numpy")
def _add_rows(factors: Array, rows: Array, out: Array) -> None:
    """Add the sum of ``factors[a] * rows[a]`` to ``out``, four rows at a time."""
    whole = len(factors) // 4 * 4
    for a in range(0, whole, 4):
        f0, f1, f2, f3 = factors[a], factors[a + 1], factors[a + 2], factors[a + 3]
        r0, r1, r2, r3 = rows[a], rows[a + 1], rows[a + 2], rows[a + 3]
        for j in range(len(out)):
            out[j] += f0 * r0[j] + f1 * r1[j] + f2 * r2[j] + f3 * r3[j]
    for a in range(whole, len(factors)):
        f, row = factors[a], rows[a]
        for j in range(len(out)):
            out[j] += f * row[j]


@njit(fastmath=FAST, error_model="numpy")
def _products(left: Array, rows: Array, n: int, out: Array) -> None:
    """Set ``out[b]``, for b up to ``n``, to the dot product of ``left`` and ``rows[b]``, four at a time."""
    whole = n // 4 * 4
    for b in range(0, whole, 4):
        r0, r1, r2, r3 = rows[b], rows[b + 1], rows[b + 2], rows[b + 3]
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for j in range(len(left)):
            x = left[j]
            s0 += x * r0[j]
            s1 += x * r1[j]
            s2 += x * r2[j]
            s3 += x * r3[j]
        out[b], out[b + 1], out[b + 2], out[b + 3] = s0, s1, s2, s3
    for b in range(whole, n):
        row, total = rows[b], 0.0
        for j in range(len(left)):
            total += left[j] * row[j]
        out[b] = total


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def leave_out(
    table: Array,
    target: Array,
    weight: Array,
    precision: Array,
    centre: Array,
    rest: Array,
    said: Array,
    share: float,
    positions: Array,
    goals: Array,
    out: Array,
) -> None:
    """Fill ``out`` float64 (len(goals), 1 + len(positions)) with the scores of items, averaged over the samples, with
    all rows, then without each of the rows at ``positions``.

    ``table`` float32 (count, n, k + 1): vector and bias of each row; ``target`` float32 (n,); ``weight`` float32
    (count, n); the prior's ``precision`` and ``centre`` float32 (count, k + 1). Without row ``positions[p]`` its centre
    is ``rest - share * said[p]``, float32 (count, k + 1) and (len(positions), count * (k + 1)), or ``rest`` if ``said``
    has no rows. ``goals`` float32 (items, count * k): the items' vectors.
    """
    count, n, width = table.shape
    k, n_goals, n_left = width - 1, len(goals), len(positions)
    x, scaled, gone = np.ones((width, n)), np.empty((width, n)), np.empty(n)
    gram, inverse, data = np.zeros((width, width)), np.empty((width, width)), np.empty((1, width))
    turned, whole = np.empty(width), np.empty(width)
    mine, solved, right = np.empty((width, n_left)), np.empty((width, n_left)), np.empty((width, n_left))
    push, own, scores = np.empty(n_left), np.empty(n_left), np.empty(n_left)
    out[:] = 0.0
    for s in range(count):
        for j in range(n):
            for a in range(k):
                x[a, j] = table[s, j, a]
            gone[j] = np.float64(target[j]) - np.float64(table[s, j, k])
        for a in range(width):
            for j in range(n):
                scaled[a, j] = x[a, j] * weight[s, j]
            _products(scaled[a], x, a + 1, gram[a])
            gram[a, a] += precision[s, a]
        _products(gone, scaled, width, data[0])
        invert(gram, inverse)
        for a in range(width):
            strength, begin = np.float64(precision[s, a]), data[0, a]
            whole[a] = strength * np.float64(centre[s, a]) + begin
            begin += strength * np.float64(rest[s, a])
            for p in range(n_left):
                j = positions[p]
                mine[a, p] = scaled[a, j]
                solved[a, p] = 0.0
                right[a, p] = begin - scaled[a, j] * gone[j]
            if len(said):
                for p in range(n_left):
                    right[a, p] -= strength * share * np.float64(said[p, s * width + a])
        for p in range(n_left):
            push[p] = own[p] = 0.0
            scores[p] = 1.0 / np.float64(weight[s, positions[p]])
        for a in range(width):
            _add_rows(inverse[a], mine, solved[a])  # times the weight of each row
            for p in range(n_left):
                push[p] += solved[a, p] * right[a, p]
                own[p] += solved[a, p] * mine[a, p]
        for p in range(n_left):
            push[p] *= scores[p] / (1.0 - own[p] * scores[p])
        for a in range(width):
            for p in range(n_left):
                right[a, p] += push[p] * mine[a, p]
        for m in range(n_goals):
            for a in range(width):
                total = inverse[a, k]
                for f in range(k):
                    total += inverse[a, f] * np.float64(goals[m, s * k + f])
                turned[a] = total
            for a in range(width):
                out[m, 0] += turned[a] * whole[a]
            _add_rows(turned, right, out[m, 1:])
    for m in range(n_goals):
        for p in range(1 + n_left):
            out[m, p] /= count
