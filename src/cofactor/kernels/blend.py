"""Weighted sums of several models' scores: standardised for each user, and how well they rank held-out items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def standardise(first: int, last: int, scores: Array, indptr: Array, indices: Array) -> None:
    """Rows ``first`` to ``last`` of ``scores``, in place: mean 0 and deviation 1 over the items that are not in the
    row's ``indices``; all zeros where those are alike."""
    n_items = scores.shape[1]
    for r in range(first, last):
        row = scores[r]
        mine = indices[indptr[r] : indptr[r + 1]]
        n = n_items - len(mine)
        total = 0.0
        for i in range(n_items):
            total += row[i]
        for i in mine:
            total -= row[i]
        mean = total / max(n, 1)
        square = 0.0
        for i in range(n_items):
            square += (row[i] - mean) ** 2
        for i in mine:
            square -= (row[i] - mean) ** 2
        deviation = np.sqrt(max(square, 0.0) / max(n, 1))
        scale = 1.0 / deviation if deviation > 1e-9 else 0.0
        for i in range(n_items):
            row[i] = np.float32((row[i] - mean) * scale)


@njit(cache=True, nogil=True)
def ndcg_rows(
    first: int,
    last: int,
    scores: Array,
    weights: Array,
    indptr: Array,
    indices: Array,
    wanted_indptr: Array,
    wanted: Array,
    n: int,
    out: Array,
) -> None:
    """``out[r]``, for r from ``first`` to ``last``: NDCG at ``n`` of the items ordered by ``weights @ scores[:, r]``.

    ``scores`` (models, rows, items); ``indices`` are left out; ``wanted`` are the relevant ones, at least one a row.
    """
    models, _, n_items = scores.shape
    row = np.empty(n_items, dtype=np.float32)
    top = np.empty(n, dtype=np.int64)
    for r in range(first, last):
        row[:] = 0.0
        for m in range(models):
            w, part = np.float32(weights[m]), scores[m, r]
            if w != 0.0:
                for i in range(n_items):
                    row[i] += w * part[i]
        for at in range(indptr[r], indptr[r + 1]):
            row[indices[at]] = -np.inf
        held = 0
        for i in range(n_items):  # insertion into a short list, best first
            if row[i] == -np.inf or (held == n and row[i] <= row[top[n - 1]]):
                continue
            held = min(held + 1, n)
            at = held - 1
            while at > 0 and row[top[at - 1]] < row[i]:
                top[at] = top[at - 1]
                at -= 1
            top[at] = i
        good = wanted[wanted_indptr[r] : wanted_indptr[r + 1]]
        gain, best = 0.0, 0.0
        for place in range(held):
            for i in good:
                if i == top[place]:
                    gain += 1.0 / np.log2(place + 2.0)
        for place in range(min(n, len(good))):
            best += 1.0 / np.log2(place + 2.0)
        out[r] = gain / best
