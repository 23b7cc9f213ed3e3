"""The table of weights: aligned rows of factors, bias and one (``kernels/dot_bias/epoch.py`` has the layout)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

INIT_SD = 0.01


def stride_of(n_factors: int) -> int:
    """Return the number of floats in a row: factors, bias, one, and zeros up to a multiple of 16."""
    return (n_factors + 2 + 15) // 16 * 16


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Return zeros that begin at a multiple of 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    found: Array = raw[start : start + size].view(dtype).reshape(shape)
    return found


def initial_table(n_users: int, n_items: int, k: int, rng: np.random.Generator) -> Array:
    """Draw rows from a normal of sd 0.01, folded at two sd (``fmod``, as the notebook's initialiser does).

    Order of drawing: user factors, item factors, user biases, item biases.
    """
    stride = stride_of(k)
    table = aligned((n_users + n_items, stride))
    users, items = table[:n_users], table[n_users:]
    for part in (users[:, :k], items[:, :k], users[:, k : k + 1], items[:, k + 1 : k + 2]):
        part[:] = np.fmod(rng.standard_normal(part.shape, dtype=np.float32), np.float32(2)) * np.float32(INIT_SD)
    users[:, k + 1] = 1
    items[:, k] = 1
    return table


def lanes(table: Array) -> int:
    """Return the number of vectors of 16 floats in a row."""
    return int(table.shape[1]) // 16
