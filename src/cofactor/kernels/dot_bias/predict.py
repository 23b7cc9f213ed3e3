"""Predictions of dot-bias."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.dot_bias.loss import LEAN, sigmoid
from cofactor.kernels.row_vectors import dot_of_known

Array = NDArray[Any]
Real = Any


@njit(cache=True, nogil=True, **LEAN)
def predict(
    users: Array,
    items: Array,
    u_w: Array,
    i_w: Array,
    unknown: Array,
    lo: Real,
    hi: Real,
    ranged: bool,
    out: Array,
    lanes: int,
) -> None:
    """Write predictions of pairs into ``out`` float32 (n,). Code -1 uses its side of ``unknown`` (2, stride)."""
    low, width = np.float32(lo), np.float32(hi - lo)
    for n in range(len(users)):
        out[n] = dot_of_known(u_w, np.int64(users[n]), i_w, np.int64(items[n]), unknown, lanes)
    if ranged:
        for n in range(len(out)):
            out[n] = low + width * sigmoid(out[n])


@njit(cache=True, nogil=True, **LEAN)
def squash(z: Array, lo: Real, hi: Real) -> None:
    """Apply ``lo + (hi - lo) * sigmoid(z)`` in place; ``z`` float32 (n,)."""
    low, width = np.float32(lo), np.float32(hi - lo)
    for n in range(len(z)):
        z[n] = low + width * sigmoid(z[n])
