"""Block Gibbs for the rows of one side of a factorisation: every row's vector and bias drawn together.

A table has ``k`` factors and a bias in its last column. Given the other side, the rows are independent normals. Sixteen
rows at a time go through the Cholesky factorisation side by side, one in each SIMD lane. All random numbers come in as
``noise``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
FAST = {"reassoc", "contract", "nsz", "arcp"}
LANES = 16
CHUNK = 256
STRIDE = 32
"""Sums of products run in vectors of this many numbers, without a remainder."""


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def draw_rows(
    indptr: Array,
    cols: Array,
    target: Array,
    other: Array,
    col_root: Array,
    row_precision: Array,
    prior_mean: Array,
    prior_precision: Array,
    noise: Array,
    draw: Array,
    mean: Array,
) -> None:
    """Draw each row of ``draw`` from its posterior given ``other``; ``mean`` gets the posterior means.

    CSR ``indptr``, ``cols``; ``target`` float32 (nnz,); tables float32 (n, k + 1); the precision of an entry is
    ``row_precision[row] * col_root[col] ** 2``; ``prior_precision`` float32 (n_rows, k + 1), or (1, k + 1) for
    all rows; ``noise`` standard normal.
    """
    n_rows, width = draw.shape
    buffer = np.zeros((width + 4, CHUNK), np.float32)
    gram = np.empty((width, width, LANES), np.float32)
    rhs = np.empty((width, LANES), np.float32)
    shaken = np.empty((width, LANES), np.float32)
    for first in range(0, n_rows, LANES):
        lanes = min(LANES, n_rows - first)
        for a in range(width):
            gram[a] = 0.0
            gram[a, a] = 1.0
            rhs[a] = 0.0
            shaken[a] = 0.0
        for lane in range(lanes):
            r = first + lane
            prior = prior_precision[r if len(prior_precision) > 1 else 0]
            for a in range(width):
                gram[a, a, lane] = prior[a]
                rhs[a, lane] = prior[a] * prior_mean[r, a]
            for lo in range(indptr[r], indptr[r + 1], CHUNK):
                n = min(CHUNK, indptr[r + 1] - lo)
                padded = _gather(cols, target, other, col_root, lo, n, buffer)
                _add_products(buffer, padded, row_precision[r], gram, rhs, lane)
        _cholesky(gram, rhs)
        for lane in range(lanes):
            for a in range(width):
                shaken[a, lane] = rhs[a, lane] + noise[first + lane, a]
        _back(gram, rhs)
        _back(gram, shaken)
        for lane in range(lanes):
            for a in range(width):
                draw[first + lane, a] = shaken[a, lane]
                mean[first + lane, a] = rhs[a, lane]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _gather(cols: Array, target: Array, other: Array, col_root: Array, lo: int, n: int, buffer: Array) -> int:
    """Write rows of ``other``, then 1, then the target minus the other's bias, as columns of ``buffer``, times
    ``col_root``.

    Zeros fill up to a multiple of ``STRIDE`` columns, which is the returned number of columns.
    """
    k = other.shape[1] - 1
    for j in range(n):
        c = cols[lo + j]
        root = col_root[c]
        for f in range(k):
            buffer[f, j] = root * other[c, f]
        buffer[k, j] = root
        buffer[k + 1, j] = root * (target[lo + j] - other[c, k])
    padded = (n + STRIDE - 1) // STRIDE * STRIDE
    buffer[:, n:padded] = 0.0
    return padded


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _add_products(buffer: Array, n: int, weight: float, gram: Array, rhs: Array, lane: int) -> None:
    """Add the products of all pairs of rows of ``buffer``, four at a time, so that they share their loads."""
    width = rhs.shape[0]
    sums = np.empty(width + 4, np.float32)
    for b in range(width):
        left = buffer[b]
        for a in range(b, width + 1, 4):
            right0, right1, right2, right3 = buffer[a], buffer[a + 1], buffer[a + 2], buffer[a + 3]
            sum0, sum1, sum2, sum3 = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for j in range(n):
                x = left[j]
                sum0 += x * right0[j]
                sum1 += x * right1[j]
                sum2 += x * right2[j]
                sum3 += x * right3[j]
            sums[a], sums[a + 1], sums[a + 2], sums[a + 3] = sum0, sum1, sum2, sum3
        for a in range(b, width):
            gram[a, b, lane] += weight * sums[a]
        rhs[b, lane] += weight * sums[width]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _cholesky(gram: Array, rhs: Array) -> None:
    """Factor each lane in place (the diagonal inverted) and solve the lower triangle for ``rhs``."""
    width = rhs.shape[0]
    for j in range(width):
        for p in range(j):
            for i in range(j, width):
                for lane in range(LANES):
                    gram[i, j, lane] -= gram[i, p, lane] * gram[j, p, lane]
            for lane in range(LANES):
                rhs[j, lane] -= gram[j, p, lane] * rhs[p, lane]
        for lane in range(LANES):
            gram[j, j, lane] = np.float32(1.0) / math.sqrt(gram[j, j, lane])
            rhs[j, lane] *= gram[j, j, lane]
        for i in range(j + 1, width):
            for lane in range(LANES):
                gram[i, j, lane] *= gram[j, j, lane]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _back(gram: Array, values: Array) -> None:
    """Solve the transposed triangle in place."""
    width = values.shape[0]
    for i in range(width - 1, -1, -1):
        for p in range(i + 1, width):
            for lane in range(LANES):
                values[i, lane] -= gram[p, i, lane] * values[p, lane]
        for lane in range(LANES):
            values[i, lane] *= gram[i, i, lane]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def residuals(indptr: Array, cols: Array, target: Array, rows: Array, other: Array, out: Array) -> None:
    """Set ``out`` (nnz,) to the target minus the model, for CSR entries."""
    n_rows, width = rows.shape
    k = width - 1
    for r in range(n_rows):
        for n in range(indptr[r], indptr[r + 1]):
            c = cols[n]
            total = rows[r, k] + other[c, k]
            for f in range(k):
                total += rows[r, f] * other[c, f]
            out[n] = target[n] - total


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def weighted_squares(
    indptr: Array, cols: Array, errors: Array, row_weight: Array, col_weight: Array, by_row: Array, by_col: Array
) -> None:
    """Sum ``col_weight * error ** 2`` for each row, and ``row_weight * error ** 2`` for each column (both float64)."""
    by_col[:] = 0.0
    for r in range(len(indptr) - 1):
        total = 0.0
        for n in range(indptr[r], indptr[r + 1]):
            square = np.float64(errors[n]) * np.float64(errors[n])
            total += col_weight[cols[n]] * square
            by_col[cols[n]] += row_weight[r] * square
        by_row[r] = total
