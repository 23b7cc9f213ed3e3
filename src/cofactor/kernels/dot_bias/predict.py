"""Predictions of dot-bias."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.dot_bias.loss import FAST, sigmoid

Array = NDArray[Any]
Real = Any


@njit(cache=True, fastmath=FAST, error_model="numpy")
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
    lanes: Any,
) -> None:
    """Predictions of pairs into ``out`` float32 (n,). Code -1 takes its side of ``unknown`` (2, stride)."""
    low, width = np.float32(lo), np.float32(hi - lo)
    for n in range(len(users)):
        u, i = users[n], items[n]
        total = np.float32(0.0)
        if u >= 0 and i >= 0:
            for j in range(16 * len(lanes)):
                total += u_w[u, j] * i_w[i, j]
        else:
            for j in range(16 * len(lanes)):
                total += (u_w[u, j] if u >= 0 else unknown[0, j]) * (i_w[i, j] if i >= 0 else unknown[1, j])
        out[n] = total
    if ranged:
        for n in range(len(out)):
            out[n] = low + width * sigmoid(out[n])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def squash(z: Array, lo: Real, hi: Real) -> None:
    """``lo + (hi - lo) * sigmoid(z)`` in place; ``z`` float32 (n,)."""
    low, width = np.float32(lo), np.float32(hi - lo)
    for n in range(len(z)):
        z[n] = low + width * sigmoid(z[n])
