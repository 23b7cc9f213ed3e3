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

from cofactor.kernels.products import tile
from cofactor.kernels.vectors import LANES, add_scaled

Array = NDArray[Any]

FAST = {"contract", "reassoc", "nsz"}


TOGETHER = 4
"""Rows that go side by side, so that the shared matrix is read once for all of them."""


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

    ``gram`` is ``other.T @ other`` as :func:`panels` lays it out; ``ridge`` float32 (n,), above zero; k a multiple of
    16. What becomes of a row does not depend on the rows beside it.
    """
    k = other.shape[1]
    longest = 0
    for row in range(first, last):
        longest = max(longest, indptr[row + 1] - indptr[row])
    guess = np.zeros((TOGETHER, longest + 4), dtype=np.float32)  # x.y of every entry
    turn = np.zeros(longest + 4, dtype=np.float32)  # p.y of every entry
    x_gram, p_gram = np.zeros((TOGETHER, k), dtype=np.float32), np.zeros((TOGETHER, k), dtype=np.float32)
    residual, direction = np.zeros((TOGETHER, k), dtype=np.float32), np.zeros((TOGETHER, k), dtype=np.float32)
    q, size = np.zeros(k, dtype=np.float32), np.zeros(TOGETHER, dtype=np.float32)
    one = np.float32(1.0)
    for base in range(first, last, TOGETHER):
        many = min(TOGETHER, last - base)
        times(gram, factors, base, min(base + 1, last - 1), min(base + 2, last - 1), min(base + 3, last - 1), x_gram)
        for i in range(many):
            row = base + i
            x, r, p, keep = factors[row], residual[i], direction[i], ridge[row]
            for f in range(k):
                r[f] = -x_gram[i, f] - keep * x[f]
            over_entries(indptr[row], indptr[row + 1], indices, weights, other, x, guess[i], one, r)
            total = np.float32(0.0)
            for f in range(k):
                p[f] = r[f]
                total += r[f] * r[f]
            size[i] = total
        for _ in range(steps):
            times(gram, direction, 0, 1, 2, 3, p_gram)
            for i in range(many):
                if size[i] < 1e-20:
                    continue
                row = base + i
                lo, hi = indptr[row], indptr[row + 1]
                x, r, p, keep = factors[row], residual[i], direction[i], ridge[row]
                for f in range(k):
                    q[f] = -p_gram[i, f] - keep * p[f]
                over_entries(lo, hi, indices, weights, other, p, turn, np.float32(0.0), q)  # q = -(matrix @ p)
                bend = np.float32(0.0)
                for f in range(k):
                    bend -= p[f] * q[f]
                step, before, total = size[i] / bend, size[i], np.float32(0.0)
                for f in range(k):
                    x[f] += step * p[f]
                    x_gram[i, f] += step * p_gram[i, f]
                    r[f] += step * q[f]
                    total += r[f] * r[f]
                for j in range(hi - lo):
                    guess[i, j] += step * turn[j]
                ratio, size[i] = total / before, total
                for f in range(k):
                    p[f] = r[f] + ratio * p[f]
        for i in range(many):
            row = base + i
            lo, x, keep = indptr[row], factors[row], ridge[row]
            total = np.float32(0.0)
            for f in range(k):
                total += x[f] * (x_gram[i, f] + keep * x[f])
            for j in range(indptr[row + 1] - lo):
                miss = guess[i, j] - (one if weights[lo + j] > 0.0 else np.float32(0.0))
                total += abs(weights[lo + j]) * miss * miss
            losses[row] = total


def panels(matrix: Array) -> Array:
    """float32 (k * k,): a symmetric matrix (k, k), sixteen columns after the other, as :func:`times` reads it."""
    k = len(matrix)
    return np.ascontiguousarray(matrix.reshape(k, k // LANES, LANES).transpose(1, 0, 2)).reshape(-1)


@njit(cache=True, nogil=True)
def times(packed: Array, table: Array, a: int, b: int, c: int, d: int, out: Array) -> None:
    """``out[:4]``: the rows ``a``, ``b``, ``c`` and ``d`` of ``table`` times a matrix that is laid out by
    :func:`panels`; each sum goes from the first column to the last."""
    k = table.shape[1]
    rows = (a * k, b * k, c * k, d * k)
    for f in range(0, k, LANES):
        tile(out, (f, k + f, 2 * k + f, 3 * k + f), table, rows, k, packed, f * k)


@njit(cache=True, nogil=True)
def pull(weight: Any, target: Any, score: Any) -> Any:
    """``|weight| * (target - score)``, with 0 for the target where the weight is negative."""
    return weight * (target - score) if weight > 0.0 else weight * score


@njit(cache=True, nogil=True, fastmath=FAST)
def over_entries(
    lo: int, hi: int, indices: Array, weights: Array, other: Array, x: Array, dots: Array, target: Any, out: Array
) -> None:
    """``dots[j] = x.y`` for the entries from ``lo`` to ``hi``, and ``out += |weight| * (target - x.y) * y``; the target
    of entries of negative weight is 0."""
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
        wa = pull(weights[at], target, sa)
        wb = pull(weights[b], target, sb) if b == at + 1 else none
        wc = pull(weights[c], target, sc) if c == at + 2 else none
        wd = pull(weights[d], target, sd) if d == at + 3 else none
        four = (wa, wb, wc, wd)
        pa, pb, pc, pd = ia * k, ib * k, ic * k, id * k
        for f in range(0, k, 16):
            add_scaled(out, f, other, (pa + f, pb + f, pc + f, pd + f), four)
