"""Implicit alternating least squares, a block of factors at a time (Hu et al. 2008; Rendle et al. 2021, iALS++).

A row (a user, or an item) with factors ``x`` minimises, the other side's factors ``y`` held fixed,

    sum over its entries of  |weight| * (1 - x.y)²   +   sum over all of the other side of  (x.y)²   +   ridge * |x|²

where an entry of negative weight (a dislike) has 0 in place of 1.

The method is one Newton step in each block of ``width`` factors in turn; with one block that is the exact minimum.
Tables of factors are float32 with a multiple of 16 columns (the spare ones zero), so that every inner loop is one
vector long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.vectors import add_scaled

Array = NDArray[Any]

FAST = {"contract", "reassoc", "nsz"}


@njit(cache=True, nogil=True, fastmath=FAST)
def solve_rows(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    weights: Array,
    other: Array,
    gram: Array,
    ridge: Array,
    width: int,
    factors: Array,
    losses: Array,
) -> None:
    """Improve ``factors`` (n, k) of the rows ``first`` to ``last``; ``losses`` (n,), float64, gets the remaining loss.

    ``gram`` is ``other.T @ other``; ``ridge`` float32 (n,), above zero; ``width`` a multiple of 16 that divides k.
    """
    k = other.shape[1]
    longest = 0
    for row in range(first, last):
        longest = max(longest, indptr[row + 1] - indptr[row])
    guess = np.zeros(longest + 4, dtype=np.float32)
    hessian = np.zeros((width, width), dtype=np.float32)
    step = np.zeros(width, dtype=np.float32)
    one, none = np.float32(1.0), np.float32(0.0)
    for row in range(first, last):
        lo, n = indptr[row], indptr[row + 1] - indptr[row]
        x = factors[row]
        if width == k:
            x[:] = 0.0  # one block: the minimum is found from any start
            guess[:n] = 0.0
        else:
            for j in range(n):
                guess[j] = dot(x, other[indices[lo + j]])
        for left in range(0, k, width):
            right = left + width
            for a in range(width):
                hessian[a] = gram[left + a, left:right]
                step[a] = ridge[row] * x[left + a] + dot(gram[left + a], x)
                hessian[a, a] += ridge[row]
            for at in range(lo, lo + n):
                slope = abs(weights[at]) * (guess[at - lo] - (one if weights[at] > 0.0 else none))
                for b in range(0, width, 16):
                    add_scaled(step, b, other, (indices[at] * k + left + b,), (slope,))
            for at in range(lo, lo + n, 4):
                add_products(hessian, other, left, indices, weights, at, lo + n)
            solve(hessian, step)
            for a in range(width):
                x[left + a] -= step[a]
            for j in range(n):
                guess[j] -= dot(step, other[indices[lo + j], left:right])
        losses[row] = 0.0
        for j in range(n):
            losses[row] += abs(weights[lo + j]) * (guess[j] - (one if weights[lo + j] > 0.0 else none)) ** 2
        for a in range(k):
            losses[row] += x[a] * (dot(gram[a], x) + ridge[row] * x[a])


@njit(cache=True, nogil=True, fastmath=FAST)
def dot(a: Array, b: Array) -> Any:
    total = np.float32(0.0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def add_products(hessian: Array, y: Array, left: int, indices: Array, weights: Array, at: int, end: int) -> None:
    """Add the weighted outer products of four rows of ``y`` (fewer before ``end``): the upper half, and whatever shares
    its vectors."""
    width, k = len(hessian), y.shape[1]
    b, c, d = min(at + 1, end - 1), min(at + 2, end - 1), min(at + 3, end - 1)
    none = np.float32(0.0)
    wa, wb = abs(weights[at]), abs(weights[b]) if b == at + 1 else none
    wc, wd = abs(weights[c]) if c == at + 2 else none, abs(weights[d]) if d == at + 3 else none
    ya, yb, yc, yd = y[indices[at]], y[indices[b]], y[indices[c]], y[indices[d]]
    pa, pb, pc, pd = indices[at] * k + left, indices[b] * k + left, indices[c] * k + left, indices[d] * k + left
    for i in range(width):
        four = (wa * ya[left + i], wb * yb[left + i], wc * yc[left + i], wd * yd[left + i])
        for j in range(i // 16 * 16, width, 16):
            add_scaled(hessian, i * width + j, y, (pa + j, pb + j, pc + j, pd + j), four)


@njit(cache=True, nogil=True, fastmath=FAST)
def solve(matrix: Array, x: Array) -> None:
    """Solve by Cholesky in place: ``x`` is the right side and becomes the solution; the upper half of ``matrix`` is
    overwritten.

    Their length is a multiple of 16. Values to the left of the diagonal are garbage that is never read.
    """
    d = len(x)
    for j in range(d):
        root = np.float32(1.0) / np.sqrt(matrix[j, j])
        x[j] *= root
        for b in range(j, d):
            matrix[j, b] *= root
        xj = x[j]
        for a in range(j + 1, d):
            f = -matrix[j, a]
            x[a] += f * xj
            for b in range(a // 16 * 16, d, 16):
                add_scaled(matrix, a * d + b, matrix, (j * d + b,), (f,))
    for j in range(d - 1, -1, -1):
        total = x[j]
        for b in range(j + 1, d):
            total -= matrix[j, b] * x[b]
        x[j] = total / matrix[j, j]
