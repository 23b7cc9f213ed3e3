"""Implicit alternating least squares by a few steps of conjugate gradients a row (Takács, Pilászy & Tikk 2011).

The problem of a row is that of ``kernels/ials.py``. Its matrix ``gram + ridge + sum of weight * y y'`` is never made:
a step multiplies by it, going over the row's entries once. Much less work than a solve, and as good over the sweeps,
since each begins where the last one ended.
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
def improve_rows(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    weights: Array,
    other: Array,
    gram: Array,
    ridge: Array,
    steps: int,
    factors: Array,
    losses: Array,
) -> None:
    """Improve ``factors`` (n, k) of the rows ``first`` to ``last``; ``losses`` (n,), float64, gets what is left.

    ``gram`` is ``other.T @ other``; ``ridge`` float32 (n,), above zero; k a multiple of 16.
    """
    k = other.shape[1]
    longest = 0
    for row in range(first, last):
        longest = max(longest, indptr[row + 1] - indptr[row])
    guess = np.zeros(longest + 4, dtype=np.float32)  # x.y of every entry
    turn = np.zeros(longest + 4, dtype=np.float32)  # p.y of every entry
    x_gram, p_gram = np.zeros(k, dtype=np.float32), np.zeros(k, dtype=np.float32)
    r, p, q = np.zeros(k, dtype=np.float32), np.zeros(k, dtype=np.float32), np.zeros(k, dtype=np.float32)
    one = np.float32(1.0)
    for row in range(first, last):
        lo, hi, keep = indptr[row], indptr[row + 1], ridge[row]
        x = factors[row]
        times(gram, x, x_gram)
        for f in range(k):
            r[f] = -x_gram[f] - keep * x[f]
        over_entries(lo, hi, indices, weights, other, x, guess, one, r)
        size = np.float32(0.0)
        for f in range(k):
            p[f] = r[f]
            size += r[f] * r[f]
        for _ in range(steps):
            if size < 1e-20:
                break
            times(gram, p, p_gram)
            for f in range(k):
                q[f] = -p_gram[f] - keep * p[f]
            over_entries(lo, hi, indices, weights, other, p, turn, np.float32(0.0), q)  # q = -(matrix @ p)
            bend = np.float32(0.0)
            for f in range(k):
                bend -= p[f] * q[f]
            step, before, size = size / bend, size, np.float32(0.0)
            for f in range(k):
                x[f] += step * p[f]
                x_gram[f] += step * p_gram[f]
                r[f] += step * q[f]
                size += r[f] * r[f]
            for j in range(hi - lo):
                guess[j] += step * turn[j]
            ratio = size / before
            for f in range(k):
                p[f] = r[f] + ratio * p[f]
        total = np.float32(0.0)
        for f in range(k):
            total += x[f] * (x_gram[f] + keep * x[f])
        for j in range(hi - lo):
            total += weights[lo + j] * (one - guess[j]) * (one - guess[j])
        losses[row] = total


@njit(cache=True, nogil=True, fastmath=FAST)
def times(matrix: Array, x: Array, out: Array) -> None:
    """``out = matrix @ x`` for a symmetric matrix; the length is a multiple of 16."""
    k = len(x)
    out[:] = 0.0
    for a in range(0, k, 8):
        eight = (x[a], x[a + 1], x[a + 2], x[a + 3], x[a + 4], x[a + 5], x[a + 6], x[a + 7])
        p = a * k
        for b in range(0, k, 16):
            c = p + b
            d = c + 4 * k
            rows = (c, c + k, c + 2 * k, c + 3 * k, d, d + k, d + 2 * k, d + 3 * k)
            add_scaled(out, b, matrix, rows, eight)


@njit(cache=True, nogil=True, fastmath=FAST)
def over_entries(
    lo: int, hi: int, indices: Array, weights: Array, other: Array, x: Array, dots: Array, target: Any, out: Array
) -> None:
    """``dots[j] = x.y`` for the entries from ``lo`` to ``hi``, and ``out += weight * (target - x.y) * y``."""
    k = len(x)
    none = np.float32(0.0)
    for at in range(lo, hi, 4):
        b, c, d = min(at + 1, hi - 1), min(at + 2, hi - 1), min(at + 3, hi - 1)
        ia, ib, ic, id = indices[at], indices[b], indices[c], indices[d]
        sa, sb, sc, sd = none, none, none, none
        for f in range(k):
            sa += x[f] * other[ia, f]
            sb += x[f] * other[ib, f]
            sc += x[f] * other[ic, f]
            sd += x[f] * other[id, f]
        j = at - lo
        dots[j], dots[j + 1], dots[j + 2], dots[j + 3] = sa, sb, sc, sd
        wa = weights[at] * (target - sa)
        wb = weights[b] * (target - sb) if b == at + 1 else none
        wc = weights[c] * (target - sc) if c == at + 2 else none
        wd = weights[d] * (target - sd) if d == at + 3 else none
        four = (wa, wb, wc, wd)
        pa, pb, pc, pd = ia * k, ib * k, ic * k, id * k
        for f in range(0, k, 16):
            add_scaled(out, f, other, (pa + f, pb + f, pc + f, pd + f), four)
