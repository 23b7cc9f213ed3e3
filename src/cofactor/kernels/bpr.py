"""Ranking from pairs: an item that the user has should score above one that the user does not have.

BPR (Rendle et al. 2009) draws the other item at random. WARP (Weston, Bengio & Usunier 2011) draws until it finds one
that scores too high; the fewer draws it took, the larger the step. One thread visits the entries in the given order, so
the result is always the same. Random numbers come from a 64-bit state that is passed in and returned (splitmix64,
Steele et al. 2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

FAST = {"contract", "reassoc", "nsz"}


@njit(cache=True, nogil=True)
def draw(state: Array, n: int) -> Any:
    """Return a number below ``n`` (below 2^32), and advance ``state`` uint64 (1,)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.int64(((z >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def has(indices: Array, weights: Array, lo: int, hi: int, item: int) -> bool:
    """Return whether ``item`` is among the ascending ``indices[lo:hi]``, with a weight above 0."""
    end = hi
    while lo < hi:
        middle = (lo + hi) // 2
        if indices[middle] < item:
            lo = middle + 1
        else:
            hi = middle
    return bool(lo < end and indices[lo] == item and weights[lo] > 0.0)


@njit(cache=True, nogil=True, fastmath=FAST)
def epoch(
    order: Array,
    owner: Array,
    indptr: Array,
    indices: Array,
    weights: Array,
    users: Array,
    items: Array,
    bias: Array,
    lr: float,
    reg: float,
    trials: int,
    margin: float,
    state: Array,
    learn_items: bool,
) -> float:
    """Visit the entries of a CSR matrix (users over items) in ``order``; returns the mean loss of a visit.

    ``owner`` int32 (nnz,) is the user of each entry, ``weights`` float32 (nnz,) its weight. ``trials`` is 0 for BPR,
    and for WARP the maximal number of other items drawn. Factors float32 (n, k) and ``bias`` (n_items,) are changed in
    place; those of items only if ``learn_items``.
    """
    n_items, k = items.shape
    most = np.log(np.float64(max(n_items, 2)))
    total = 0.0
    for entry in order:
        user, item = owner[entry], indices[entry]
        lo, hi = indptr[user], indptr[user + 1]
        if hi - lo >= n_items or weights[entry] == 0.0:
            continue
        u, p = users[user], items[item]
        score = bias[item]
        for f in range(k):
            score += u[f] * p[f]
        rate, other = np.float32(0.0), 0
        if trials == 0:
            other = draw_other(state, n_items, indices, weights, lo, hi)
            gap = score - bias[other]
            q = items[other]
            for f in range(k):
                gap -= u[f] * q[f]
            rate = np.float32(1.0 / (1.0 + np.exp(np.float64(gap))))
            total -= np.log1p(-np.float64(rate)) if rate < 1.0 else np.float64(gap)
        else:
            for trial in range(1, trials + 1):
                other = draw_other(state, n_items, indices, weights, lo, hi)
                gap = score - bias[other]
                q = items[other]
                for f in range(k):
                    gap -= u[f] * q[f]
                if gap < margin:
                    rate = np.float32(np.log(np.float64(max((n_items - 1) // trial, 1))) / most)
                    total += np.float64(rate) * (margin - np.float64(gap))
                    break
            if rate == 0.0:
                continue
        rate *= np.float32(lr) * weights[entry]
        shrink = np.float32(1.0 - lr * reg)
        q = items[other]
        if learn_items:
            for f in range(k):
                uf, pf, qf = u[f], p[f], q[f]
                u[f] = shrink * uf + rate * (pf - qf)
                p[f] = shrink * pf + rate * uf
                q[f] = shrink * qf - rate * uf
            bias[item] = shrink * bias[item] + rate
            bias[other] = shrink * bias[other] - rate
        else:
            for f in range(k):
                u[f] = shrink * u[f] + rate * (p[f] - q[f])
    return total / max(len(order), 1)


@njit(cache=True, nogil=True)
def draw_other(state: Array, n_items: int, indices: Array, weights: Array, lo: int, hi: int) -> Any:
    """Return an item that is not among ``indices[lo:hi]`` (there must be one), or that has no weight there."""
    other = draw(state, n_items)
    while has(indices, weights, lo, hi, other):
        other = draw(state, n_items)
    return other


@njit(cache=True, nogil=True)
def fold_rows(
    first: int,
    last: int,
    epochs: int,
    owner: Array,
    indptr: Array,
    indices: Array,
    weights: Array,
    users: Array,
    items: Array,
    bias: Array,
    lr: float,
    reg: float,
    trials: int,
    margin: float,
) -> None:
    """Learn the rows ``first`` to ``last`` of ``users`` with items held fixed, each with its own random numbers."""
    for row in range(first, last):
        state = np.ones(1, dtype=np.uint64)
        order = np.arange(indptr[row], indptr[row + 1])
        for _ in range(epochs):
            epoch(order, owner, indptr, indices, weights, users, items, bias, lr, reg, trials, margin, state, False)
