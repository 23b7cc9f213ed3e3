"""Compute a layout in the plane that keeps near neighbours near (the scheme of UMAP: McInnes, Healy & Melville,
2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def _next(state: np.uint64) -> np.uint64:
    """Make one step of SplitMix64: return the next state, whose mixed bits are the random number."""
    return state + np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def _mixed(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def layout(xy: Array, heads: Array, tails: Array, weights: Array, epochs: int, negatives: int, seed: int) -> None:
    """Move the points of ``xy`` (n, 2) float64, in place.

    Edges ``heads[e]`` - ``tails[e]`` (int32) pull with ``weights[e]`` in [0, 1]; after each pull, ``negatives`` random
    points push. The loop is serial, so one seed gives one picture.
    """
    n = len(xy)
    state = np.uint64(seed)
    for epoch in range(epochs):
        rate = 1.0 - epoch / epochs
        for e in range(len(heads)):
            i, j = heads[e], tails[e]
            dx, dy = xy[i, 0] - xy[j, 0], xy[i, 1] - xy[j, 1]
            d2 = dx * dx + dy * dy
            pull = -2.0 * weights[e] / (1.0 + d2) * rate
            gx, gy = _clipped(pull * dx), _clipped(pull * dy)
            xy[i, 0] += gx
            xy[i, 1] += gy
            xy[j, 0] -= gx
            xy[j, 1] -= gy
            for _ in range(negatives):
                state = _next(state)
                k = int(_mixed(state) % np.uint64(n))
                if k == i:
                    continue
                dx, dy = xy[i, 0] - xy[k, 0], xy[i, 1] - xy[k, 1]
                d2 = dx * dx + dy * dy
                push = 2.0 * weights[e] / ((0.01 + d2) * (1.0 + d2)) * rate
                xy[i, 0] += _clipped(push * dx)
                xy[i, 1] += _clipped(push * dy)


@njit(cache=True, nogil=True)
def _clipped(x: float) -> float:
    return min(4.0, max(-4.0, x))
