"""Exact minima of a history without each of its entries, for models of weighted least squares over all items.

Leaving out an entry takes a term of rank one from the matrix of the normal equations and changes its ridge. So one
factorisation for each different ridge is enough (Sherman & Morrison 1950), or the eigenvectors of the matrix, which
serve any ridge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread

Array = NDArray[Any]

FEW = 4
"""Up to how many different ridges a solve each takes less time than the eigenvectors."""


@one_thread()
def minima_without(vectors: Array, weights: Array, gram: Array, ridges: Array, positions: Array) -> Array:
    """Return float64 (1 + len(positions), k): the minimum for all entries, then without each entry at ``positions``.

    A history with ``vectors`` (n, k) and ``weights`` (n,) has its minimum over x of

        sum of |weight| * (target - x.vector)²  +  x' gram x  +  ridge * |x|²

    where the target is 1, or 0 for an entry of negative weight. ``ridges`` (1 + len(positions),), above zero: with all
    entries, then without each. ``gram`` (k, k) is a sum over vectors that include these, so no denominator is near 0.
    """
    y, size = np.asarray(vectors, dtype=np.float64), np.abs(np.asarray(weights, dtype=np.float64))
    liked = np.where(np.asarray(weights) > 0, size, 0.0)
    matrix, right = gram.astype(np.float64) + (y.T * size) @ y, y.T @ liked
    gone = np.concatenate([np.zeros((1, y.shape[1])), y[positions]])
    weight, lost = (np.concatenate([[0.0], each[positions]]) for each in (size, liked))
    whole, each = _solved(matrix, right, gone, np.asarray(ridges, dtype=np.float64))
    kept = whole - lost[:, None] * each
    bent = 1.0 - weight * (gone * each).sum(axis=1)
    return np.asarray(kept + (weight * (gone * kept).sum(axis=1) / bent)[:, None] * each)


@one_thread()
def _solved(matrix: Array, right: Array, rows: Array, ridges: Array) -> tuple[Array, Array]:
    """Return two arrays like ``rows``: for each of its rows the solutions of ``matrix + ridge`` for ``right`` and for
    that row."""
    different, which = np.unique(ridges, return_inverse=True)
    if len(different) > FEW:
        values, turn = np.linalg.eigh(matrix)
        scale = np.maximum(values, 0.0) + ridges[:, None]
        return ((right @ turn) / scale) @ turn.T, ((rows @ turn) / scale) @ turn.T
    whole, each = np.empty_like(rows), np.empty_like(rows)
    for at, ridge in enumerate(different):
        mine = which == at
        sides = np.concatenate([right[:, None], rows[mine].T], axis=1)
        solved = np.linalg.solve(matrix + ridge * np.eye(len(matrix)), sides).T
        whole[mine], each[mine] = solved[0], solved[1:]
    return whole, each
