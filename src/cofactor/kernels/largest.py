"""Find a row's largest values, with one rule for ties."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def edge_of(values: Array, k: int) -> tuple[Any, int]:
    """Return (edge, room): the ``k`` largest of ``values`` (float32, none below 0) are those above ``edge`` and, in
    their order, ``room`` of those equal to it. (0, all) if there are no more than ``k``."""
    n = len(values)
    if n <= k:
        return np.float32(0.0), n
    edge = np.partition(values, n - k)[n - k]
    return edge, k - np.sum(values > edge)


@njit(cache=True, nogil=True)
def best_places(row: Array, top: Array) -> int:
    """Set ``top`` int64 (n,) to the positions of the largest values of ``row``, best first. Of equal ones the first
    position comes first; -inf is left out. Returns how many there are."""
    n, held = len(top), 0
    for i in range(len(row)):  # insertion into a short list
        if row[i] == -np.inf or (held == n and row[i] <= row[top[n - 1]]):
            continue
        held = min(held + 1, n)
        at = held - 1
        while at > 0 and row[top[at - 1]] < row[i]:
            top[at] = top[at - 1]
            at -= 1
        top[at] = i
    return held
