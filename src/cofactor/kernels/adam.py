"""Adam with decoupled decay on one flat array: every element, in one pass.

Loshchilov & Hutter (2019). ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``, then
``p = keep p - rate m / (sqrt(v) root + eps)`` where the caller gives ``keep = 1 - lr wd``, ``rate = lr / (1 - b1^t)``
and ``root = 1 / sqrt(1 - b2^t)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Real = Any


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")
def step(
    p: Array, g: Array, m: Array, v: Array, b1: Real, b2: Real, rate: Real, root: Real, eps: Real, keep: Real
) -> None:
    """Make one step in place. Every array is float32 (n,)."""
    b1, b2, rate, root = np.float32(b1), np.float32(b2), np.float32(rate), np.float32(root)
    eps, keep = np.float32(eps), np.float32(keep)
    new_m, new_v = np.float32(1) - b1, np.float32(1) - b2
    for i in range(len(p)):
        gi = g[i]
        mi = b1 * m[i] + new_m * gi
        vi = b2 * v[i] + new_v * gi * gi
        m[i] = mi
        v[i] = vi
        p[i] = p[i] * keep - rate * mi / (np.sqrt(vi) * root + eps)
