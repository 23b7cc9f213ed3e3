"""Weighted sums of several models' scores: standardised for each user, and how well they rank held-out items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(inline="never")
def _moments(row: Array, left_out: Array) -> tuple[float, float]:
    """(the mean, 1 / the deviation) of the items that are not in ``left_out``; 0 for the latter where they are alike.

    Four sums side by side, since each addition waits for the one before it.
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
    for i in left_out:
        square -= (row[i] - mean) ** 2
    deviation = np.sqrt(max(square, 0.0) / max(n, 1))
    return mean, 1.0 / deviation if deviation > 1e-9 else 0.0


@njit(cache=True, nogil=True)
def add_standardised(
    first: int, last: int, scores: Array, indptr: Array, indices: Array, weight: float, out: Array
) -> None:
    """Add to rows ``first`` to ``last`` of ``out`` those of ``scores``, ``weight`` times: with mean 0 and deviation 1
    over the items that are not in the row's ``indices``; all zeros where those are alike."""
    for r in range(first, last):
        row, mixed = scores[r], out[r]
        mean, scale = _moments(row, indices[indptr[r] : indptr[r + 1]])
        for i in range(len(row)):
            mixed[i] += weight * np.float32((row[i] - mean) * scale)


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


@njit(cache=True, nogil=True)
def listed_ndcg(
    first: int, last: int, scores: Array, weights: Array, hits: Array, relevant: Array, n: int, out: Array
) -> None:
    """``out[r]``, for r from ``first`` to ``last``: NDCG at ``n`` of the columns by ``weights @ scores[:, r]``.

    ``scores`` (models, rows, columns), -inf where there is no column; ``hits`` bool (rows, columns); ``relevant``: how
    many relevant items a row has in all. Of equal sums the first column is taken; NaN for a row with none relevant.
    """
    models, _, width = scores.shape
    row = np.empty(width, dtype=np.float32)
    top = np.empty(n, dtype=np.int64)
    for r in range(first, last):
        row[:] = 0.0
        for m in range(models):
            w, part = np.float32(weights[m]), scores[m, r]
            if w != 0.0:
                for i in range(width):
                    row[i] += w * part[i]
        held = 0
        for i in range(width):
            if row[i] == -np.inf or (held == n and row[i] <= row[top[n - 1]]):
                continue
            held = min(held + 1, n)
            at = held - 1
            while at > 0 and row[top[at - 1]] < row[i]:
                top[at] = top[at - 1]
                at -= 1
            top[at] = i
        gain, best = 0.0, 0.0
        for place in range(held):
            if hits[r, top[place]]:
                gain += 1.0 / np.log2(place + 2.0)
        for place in range(min(n, relevant[r])):
            best += 1.0 / np.log2(place + 2.0)
        out[r] = gain / best if best > 0.0 else np.nan
