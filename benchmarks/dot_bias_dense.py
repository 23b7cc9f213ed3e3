"""The notebook's update as one would write it in numba: every row of every table, at every step.

``plain`` is compiled by a bare ``@njit``; ``tuned`` lets LLVM vectorise its loops (no check for division by zero).
They compute the same thing, in float32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


def _train(rows, users, items, values, u, i, lr, mom, wd, b2, eps, lo, hi, start, bs, losses):  # type: ignore[no-untyped-def]
    """``u`` and ``i`` are (weights, m, v, gradient), float32 (n, k + 1), bias last; ``start`` steps were made."""
    u_w, u_m, u_v, u_g = u
    i_w, i_m, i_v, i_g = i
    k = u_w.shape[1] - 1
    one, width = np.float32(1.0), np.float32(hi - lo)
    for s in range(len(lr)):
        u_g[:] = 0
        i_g[:] = 0
        total = 0.0
        for b in range(bs):
            r = rows[s * bs + b]
            x, y = users[r], items[r]
            z = u_w[x, k] + i_w[y, k]
            for j in range(k):
                z += u_w[x, j] * i_w[y, j]
            p = one / (one + np.float32(math.exp(-z)))
            d = np.float32(lo) + width * p - values[r]
            total += d * d
            e = np.float32(2.0 / bs) * d * width * p * (one - p)
            for j in range(k):
                u_g[x, j] += e * i_w[y, j]
                i_g[y, j] += e * u_w[x, j]
            u_g[x, k] += e
            i_g[y, k] += e
        losses[s] = total / bs
        t = start + s + 1
        b1, c1 = np.float32(mom[s]), np.float32(1.0 - mom[s])
        d2, c2 = np.float32(b2), np.float32(1.0 - b2)
        rate, root = np.float32(lr[s] / (1.0 - mom[s] ** t)), np.float32(1.0 / math.sqrt(1.0 - b2**t))
        decay, tiny = np.float32(1.0 - lr[s] * wd), np.float32(eps)
        for w, m, v, g in ((u_w, u_m, u_v, u_g), (i_w, i_m, i_v, i_g)):
            for a in range(w.shape[0]):
                for j in range(k + 1):
                    m[a, j] = b1 * m[a, j] + c1 * g[a, j]
                    v[a, j] = d2 * v[a, j] + c2 * g[a, j] * g[a, j]
                    w[a, j] = w[a, j] * decay - rate * m[a, j] / (np.sqrt(v[a, j]) * root + tiny)


plain = njit(_train)
tuned = njit(_train, error_model="numpy")


def tables(table: Array, n_users: int, k: int) -> tuple[Any, Any]:
    """Weights of a dot-bias table (see its kernel) with zeroed optimizer state."""
    columns = [[*range(k), k], [*range(k), k + 1]]
    sides = []
    for part, wanted in zip((table[:n_users], table[n_users:]), columns):
        w = np.ascontiguousarray(part[:, wanted])
        sides.append((w, np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)))
    return sides[0], sides[1]
