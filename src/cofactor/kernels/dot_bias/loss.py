"""The losses of dot-bias over one batch, and a sigmoid that vectorises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Real = Any

MSE, MAE, HUBER, BCE = 0, 1, 2, 3
FAST = {"contract", "reassoc", "nsz", "arcp"}


@njit(inline="always")
def sigmoid(x: Real) -> Real:
    """1 / (1 + exp(-x)) in float32 by a polynomial (error of exp 2e-7) and without calls, so that loops vectorise."""
    x = min(max(-x, np.float32(-87.0)), np.float32(87.0))
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    two_n = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.float32(1.0) / (np.float32(1.0) + p * two_n)


@njit(inline="always")
def batch_loss(z: Array, y: Array, e: Array, whole: int, loss: int, lo: Real, hi: Real, ranged: bool) -> Real:
    """Their share of the mean loss of a batch of ``whole``; ``e`` becomes its gradient by ``z``."""
    n = len(z)
    width = np.float32(hi - lo)
    scale = np.float32(1.0 / whole)
    total = np.float32(0.0)
    if loss == BCE or ranged:
        for b in range(n):
            e[b] = sigmoid(z[b])
    if loss == BCE:
        for b in range(n):
            t = (y[b] - lo) / width
            e[b] = (e[b] - t) * scale
            total += max(z[b], np.float32(0.0)) - z[b] * t + np.float32(math.log1p(math.exp(-abs(z[b]))))
        return float(total) / whole
    if ranged:
        for b in range(n):
            s = e[b]
            e[b] = width * s * (np.float32(1.0) - s) * scale
            z[b] = lo + width * s - y[b]
    else:
        for b in range(n):
            e[b] = scale
            z[b] -= y[b]
    if loss == MSE:
        for b in range(n):
            total += z[b] * z[b]
            e[b] *= np.float32(2.0) * z[b]
    elif loss == MAE:
        for b in range(n):
            total += abs(z[b])
            e[b] *= np.sign(z[b])
    else:
        for b in range(n):
            d = min(max(z[b], np.float32(-1.0)), np.float32(1.0))
            total += d * (z[b] - np.float32(0.5) * d)
            e[b] *= d
    return float(total) / whole
