"""Implicit alternating least squares by a few steps of conjugate gradients per row (Takács, Pilászy & Tikk 2011).

The problem of a row is that of ``kernels/ials/blocks.py``. Its matrix ``gram + ridge + sum of weight * y y'`` is never
formed: a step multiplies by it in one pass over the row's entries. Both tables of factors are in the basis of the
eigenvectors of ``gram``, so that its part is diagonal, and that diagonal preconditions the steps. This is much less
work than a solve, and as good over the sweeps, since each starts from the last one.
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
    spectrum: Array,
    ridge: Array,
    steps: int,
    factors: Array,
    losses: Array,
) -> None:
    """Improve ``factors`` (n, k) of the rows ``first`` to ``last``; ``losses`` (n,), float64, gets the remaining loss.

    ``spectrum`` float32 (k,): the diagonal ``other.T @ other``; ``ridge`` float32 (n,), above zero; k a multiple of 16.
    """
    k = other.shape[1]
    longest = 0
    for row in range(first, last):
        longest = max(longest, indptr[row + 1] - indptr[row])
    entries, room = np.empty((2, longest + 4), dtype=np.float32), np.empty((5, k), dtype=np.float32)
    guess, turn = entries[0], entries[1]  # x.y and p.y of every entry
    scale, inverse, p, r, q = room[0], room[1], room[2], room[3], room[4]
    one, none = np.float32(1.0), np.float32(0.0)
    for row in range(first, last):
        lo, hi = indptr[row], indptr[row + 1]
        x = factors[row]
        for f in range(k):
            scale[f] = spectrum[f] + ridge[row]
        for f in range(k):
            inverse[f] = one / scale[f]
        minus_product(r, scale, x)
        over_entries(lo, hi, indices, weights, other, x, guess, one, r)
        product(p, inverse, r)
        size = dot(p, r)  # of the residual, by the preconditioner
        for at in range(steps):
            if size < 1e-20:
                break
            minus_product(q, scale, p)
            over_entries(lo, hi, indices, weights, other, p, turn, none, q)  # q = -(matrix @ p)
            step = -size / dot(p, q)
            add(x, step, p)
            add(guess[: hi - lo], step, turn)
            if at + 1 < steps:
                add(r, step, q)
                product(q, inverse, r)
                before, size = size, dot(q, r)
                ratio = size / before
                for f in range(k):
                    p[f] = q[f] + ratio * p[f]
        minus_product(q, scale, x)
        left = -dot(x, q)
        for j in range(hi - lo):
            miss = guess[j] - (one if weights[lo + j] > 0.0 else none)
            left += abs(weights[lo + j]) * miss * miss
        losses[row] = left


@njit(cache=True, nogil=True, fastmath=FAST)
def dot(a: Array, b: Array) -> Any:
    total = np.float32(0.0)
    for f in range(len(a)):
        total += a[f] * b[f]
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def product(out: Array, a: Array, b: Array) -> None:
    for f in range(len(out)):
        out[f] = a[f] * b[f]


@njit(cache=True, nogil=True, fastmath=FAST)
def minus_product(out: Array, a: Array, b: Array) -> None:
    for f in range(len(out)):
        out[f] = -a[f] * b[f]


@njit(cache=True, nogil=True, fastmath=FAST)
def add(out: Array, step: Any, b: Array) -> None:
    for f in range(len(out)):
        out[f] += step * b[f]


@njit(cache=True, nogil=True)
def pull(weight: Any, target: Any, score: Any) -> Any:
    """Return ``|weight| * (target - score)``, with 0 for the target if the weight is negative."""
    return weight * (target - score) if weight > 0.0 else weight * score


@njit(cache=True, nogil=True, fastmath=FAST)
def over_entries(
    lo: int, hi: int, indices: Array, weights: Array, other: Array, x: Array, dots: Array, target: Any, out: Array
) -> None:
    """Set ``dots[j] = x.y`` for the entries from ``lo`` to ``hi``, and ``out += |weight| * (target - x.y) * y``; the
    target of entries of negative weight is 0."""
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
