"""Sparse linear methods: one elastic net per column, by coordinate descent on the Gram matrix (Ning & Karypis 2011)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, fastmath={"contract"})
def solve_columns(
    first: int,
    last: int,
    offset: int,
    gram: Array,
    l1: float,
    l2: float,
    positive: bool,
    epochs: int,
    tolerance: float,
    out: Array,
) -> None:
    """Set ``out[c]`` (zeroed before), for c from ``first`` to ``last``, to the weights for column ``offset + c``.

    They minimise ``|x - X w|² / 2 + l2 |w|² / 2 + l1 |w|`` with ``w = 0`` for the column itself, and ``w >= 0`` where
    ``positive``; ``gram`` is the whole of ``X.T @ X``, float32, nothing in it negative. Three passes in four cover only
    the weights that are not zero. The descent ends when, in a pass over all, none changes by more than ``tolerance`` of
    the largest.
    """
    n = len(gram)
    slope = np.zeros(n, dtype=np.float32)  # the product of every item with the residual
    shrink, ridge = np.float32(l1), np.float32(l2)
    for c in range(first, last):
        w, column = out[c], offset + c
        slope[:] = gram[column]
        for epoch in range(epochs):
            whole = epoch % 4 == 0
            moved, largest = np.float32(0.0), np.float32(0.0)
            for i in range(n):
                # Positive weights only lower a slope: items that start below the threshold stay out.
                if i == column or (w[i] == 0.0 and (not whole or (positive and gram[column, i] <= shrink))):
                    continue
                pull = slope[i] + gram[i, i] * w[i]
                new = max(pull - shrink, np.float32(0.0))
                if not positive and pull < -shrink:
                    new = pull + shrink
                if new != 0.0:
                    new /= gram[i, i] + ridge
                step = new - w[i]
                if step != 0.0:
                    w[i] = new
                    row = gram[i]
                    for j in range(n):
                        slope[j] -= step * row[j]
                    moved = max(moved, abs(step))
                largest = max(largest, abs(new))
            if whole and moved <= tolerance * largest:
                break
