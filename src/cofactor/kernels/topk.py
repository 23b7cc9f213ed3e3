"""The best n columns of every row of a block of scores, and the masks that keep columns out.

A row is read once. A heap holds the best so far, with its worst entry on top. 16 scores at a time are compared with
that entry (vector instructions), and examined one by one only if some score beats it. Ties go to the lower code. Scores
that are -inf or NaN are never chosen. The kernels are serial and release the GIL, so threads may divide the rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

TILE = 16


@njit(cache=True, nogil=True)
def mask_seen(scores: Array, indptr: Array, indices: Array) -> None:
    """Set row r's entries ``indices[indptr[r]:indptr[r + 1]]`` to -inf, in place."""
    for r in range(len(scores)):
        for k in range(indptr[r], indptr[r + 1]):
            scores[r, indices[k]] = -np.inf


@njit(cache=True, nogil=True)
def mask_columns(scores: Array, keep: Array) -> None:
    """Set every column where ``keep`` (bool) is False to -inf, in place."""
    for r in range(len(scores)):
        for c in range(len(keep)):
            if not keep[c]:
                scores[r, c] = -np.inf


@njit(inline="always")
def _below(a: float, a_code: int, b: float, b_code: int) -> bool:
    """Return whether entry a ranks after entry b."""
    return a < b or (a == b and a_code > b_code)


@njit(inline="never")
def sink(values: Array, codes: Array, size: int, value: float, code: Any) -> None:
    """Replace the top of the heap by an entry."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _below(values[child + 1], codes[child + 1], values[child], codes[child]):
            child += 1
        if not _below(values[child], codes[child], value, code):
            break
        values[at], codes[at] = values[child], codes[child]
        at = child
    values[at], codes[at] = value, code


@njit(inline="never")
def _scan(scores: Array, r: int, start: int, stop: int, values: Array, codes: Array, worst: float) -> float:
    """Put entries that beat the worst entry of the heap into it. Returns the new worst value."""
    for j in range(start, stop):
        if scores[r, j] > worst:
            sink(values, codes, len(codes), scores[r, j], j)
            worst = values[0]
    return worst


@njit(cache=True, nogil=True)
def select(scores: Array, codes: Array, values: Array) -> None:
    """Write the best ``codes.shape[1]`` columns of each row, best first, into ``codes`` int32 and ``values`` float32.

    ``scores`` float32 (rows, columns), C-contiguous. Places for which there is no column get code -1 and value -inf.
    """
    n, columns = codes.shape[1], scores.shape[1]
    for r in range(len(scores)):
        v, c = values[r], codes[r]
        v[:] = -np.inf
        c[:] = -1
        if n == 0:
            continue
        worst = v[0]
        for start in range(0, columns - TILE + 1, TILE):
            better = 0
            for j in range(TILE):
                better += 1 if scores[r, start + j] > worst else 0
            if better > 0:
                worst = _scan(scores, r, start, start + TILE, v, c, worst)
        _scan(scores, r, columns - columns % TILE, columns, v, c, worst)
        for size in range(n - 1, 0, -1):  # heap sort: the worst goes last
            last_value, last_code = v[size], np.int64(c[size])  # the type of a column above: sink is compiled once
            v[size], c[size] = v[0], c[0]
            sink(v, c, size, last_value, last_code)


def topk(scores: Array, n: int) -> tuple[Array, Array]:
    """Return (codes int32, values float32), both (rows, min(n, columns)), best first; see :func:`select`."""
    scores = np.ascontiguousarray(scores, np.float32)
    shape = (scores.shape[0], min(n, scores.shape[1]))
    codes, values = np.empty(shape, np.int32), np.empty(shape, np.float32)
    select(scores, codes, values)
    return codes, values
