"""Weighted sums of several models' scores: standardised for each user, and how well they rank held-out items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.largest import best_places

Array = NDArray[Any]

ROUNDING = 1e-14
"""Part of a sum of squares that may be rounding."""


@njit(inline="never")
def _moments(row: Array, left_out: Array) -> tuple[float, float]:
    """Return (the mean, 1 / the deviation) of the items that are not in ``left_out``. The latter is 0 if all are equal,
    up to the rounding of the sums over all items.

    Four sums run side by side, since each addition waits for the one before it.
    """
    n_items = len(row)
    n = n_items - len(left_out)
    whole = n_items - n_items % 4
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(0, whole, 4):
        a += row[i]
        b += row[i + 1]
        c += row[i + 2]
        d += row[i + 3]
    for i in range(whole, n_items):
        a += row[i]
    total = (a + b) + (c + d)
    for i in left_out:
        total -= row[i]
    mean = total / max(n, 1)
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(0, whole, 4):
        a += (row[i] - mean) ** 2
        b += (row[i + 1] - mean) ** 2
        c += (row[i + 2] - mean) ** 2
        d += (row[i + 3] - mean) ** 2
    for i in range(whole, n_items):
        a += (row[i] - mean) ** 2
    square = (a + b) + (c + d)
    rounding = ROUNDING * square
    for i in left_out:
        square -= (row[i] - mean) ** 2
    deviation = np.sqrt(max(square, 0.0) / max(n, 1))
    return mean, 1.0 / deviation if n > 1 and square > rounding and deviation > 1e-9 else 0.0


@njit(cache=True, nogil=True)
def add_standardised(
    first: int, last: int, scores: Array, indptr: Array, indices: Array, weight: float, out: Array
) -> None:
    """Add ``weight`` times rows ``first`` to ``last`` of ``scores`` to those of ``out``, standardised to mean 0 and
    deviation 1 over the items that are not in the row's ``indices``; zeros if those are all equal."""
    for r in range(first, last):
        row, mixed = scores[r], out[r]
        mean, scale = _moments(row, indices[indptr[r] : indptr[r + 1]])
        for i in range(len(row)):
            mixed[i] += weight * np.float32((row[i] - mean) * scale)


@njit(cache=True, nogil=True)
def list_hits(
    first: int,
    last: int,
    scores: Array,
    weights: Array,
    indptr: Array,
    indices: Array,
    wanted_indptr: Array,
    wanted: Array,
    out: Array,
) -> None:
    """Set ``out[r]``, bool (n,), for r from ``first`` to ``last``: which of the best ``n`` items by ``weights @
    scores[:, r]`` are in ``wanted``.

    ``scores`` (models, rows, items); ``indices`` are left out; ``wanted`` ascend within a row.
    """
    row = np.empty(scores.shape[2], dtype=np.float32)
    top = np.empty(out.shape[1], dtype=np.int64)
    for r in range(first, last):
        _mixed(scores[:, r], weights, row)
        for at in range(indptr[r], indptr[r + 1]):
            row[indices[at]] = -np.inf
        good = wanted[wanted_indptr[r] : wanted_indptr[r + 1]]
        out[r] = False
        for place in range(best_places(row, top)):
            at = np.searchsorted(good, top[place])
            out[r, place] = at < len(good) and good[at] == top[place]


@njit(cache=True, nogil=True)
def column_hits(first: int, last: int, scores: Array, weights: Array, hits: Array, out: Array) -> None:
    """Set ``out[r]``, bool (n,), for r from ``first`` to ``last``: ``hits`` of the best ``n`` columns by ``weights @
    scores[:, r]``.

    ``scores`` (models, rows, columns), -inf where there is no column; ``hits`` bool (rows, columns).
    """
    row = np.empty(scores.shape[2], dtype=np.float32)
    top = np.empty(out.shape[1], dtype=np.int64)
    for r in range(first, last):
        _mixed(scores[:, r], weights, row)
        out[r] = False
        for place in range(best_places(row, top)):
            out[r, place] = hits[r, top[place]]


@njit(inline="never")
def _mixed(scores: Array, weights: Array, row: Array) -> None:
    """Set ``row`` to ``weights @ scores``. A model of weight 0 is skipped."""
    row[:] = 0.0
    for m in range(len(scores)):
        w, part = np.float32(weights[m]), scores[m]
        if w != 0.0:
            for i in range(len(row)):
                row[i] += w * part[i]
