"""Adam with decoupled decay on the rows of one table, lazily: rows that a batch does not read move when they are next
read.

``dot_bias/epoch.py`` explains the rule and keeps its clock: ``past`` float64 (5, columns), ``clock`` int64 (3,) and
``fade``. Here each table has its own clock, since a batch need not read every table. ``w`` float32 (n, stride) with a
stride that is a multiple of 16 and zeros beyond the width, ``ms`` float32 (n, 2, stride) m and the root of v, ``last``
int32 (n,) the step that a row is at, ``mask`` float32 (2, stride) of ones.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels import row_vectors as vectors
from cofactor.kernels.dot_bias.epoch import advance, begin, settle_all

Array = NDArray[Any]
Real = Any


@njit(cache=True, nogil=True, error_model="numpy")
def read(
    rows: Array,
    w: Array,
    ms: Array,
    last: Array,
    mask: Array,
    past: Array,
    fade: Array,
    clock: Array,
    eps: Real,
    out: Array,
) -> bool:
    """Bring ``rows`` int64 (m,) up to date and copy them to ``out`` float32 (m, width). Returns False, and does
    nothing, if a row is not in the table."""
    now, tiny, lanes = clock[1], np.float32(eps), np.int64(w.shape[1] // 16)
    for b in range(len(rows)):
        if rows[b] < 0 or rows[b] >= len(w):
            return False
    for b in range(len(rows)):
        row = rows[b]
        then = last[row]
        if then != now:
            last[row] = now
            so_far = past[4, now]
            q = np.float32(past[2, then] / past[3, then]) if past[3, then] > 0.0 else np.float32(1.0)
            shrink, s0 = np.float32(so_far / past[4, then] - 1.0), np.float32(past[2, then] * so_far)
            km, ks = np.float32(past[0, then]), np.float32(math.sqrt(fade[now - then]))
            vectors.catch_up(w, ms, mask, row, 0, shrink, s0, q, tiny, km, ks, lanes)
        for j in range(out.shape[1]):
            out[b, j] = w[row, j]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def step(
    rows: Array,
    grads: Array,
    w: Array,
    ms: Array,
    last: Array,
    first: Array,
    mask: Array,
    past: Array,
    clock: Array,
    b1: Real,
    b2: Real,
    rate: Real,
    root: Real,
    eps: Real,
    decay: Real,
    space: Array,
) -> None:
    """Make one step by the gradients ``grads`` float32 (m, width) of ``rows``, all of which were read before. Gradients
    of a repeated row are added.

    ``rate`` and ``root`` include the bias corrections; ``space`` float32 (m, stride) and ``first`` int32 (n,) are
    scratch.
    """
    now, lanes, width = clock[1] + 1, np.int64(w.shape[1] // 16), grads.shape[1]
    clock[0] += 1
    clock[1] = now
    for b in range(len(rows)):
        row = rows[b]
        if last[row] == now:
            for j in range(width):
                space[first[row], j] += grads[b, j]
            continue
        last[row] = now
        first[row] = b
        for j in range(width):
            space[b, j] = grads[b, j]
        for j in range(width, w.shape[1]):
            space[b, j] = np.float32(0)
    kept = (np.float32(b1), np.float32(b2))
    scalars = (
        np.float32(1.0 - b1),
        np.float32(1.0 - b2),
        np.float32(rate),
        np.float32(root),
        np.float32(eps),
        np.float32(decay - 1.0),
    )
    for b in range(len(rows)):
        if first[rows[b]] == b:
            vectors.step(w, ms, mask, rows[b], 0, space, b, kept, scalars, lanes)
    advance(past, clock, now, b1, b2, rate, root, decay)


@njit(cache=True, nogil=True, error_model="numpy")
def flush(w: Array, ms: Array, last: Array, mask: Array, past: Array, fade: Array, clock: Array, eps: Real) -> None:
    """Bring every row up to date and start a new ``past``."""
    lanes: Any = np.int64(w.shape[1] // 16)
    if clock[1] > 0:
        settle_all(0, len(w), 0, clock[1], past, fade, w, ms, last, mask, np.float32(eps), lanes)
    begin(past, clock)
