"""A move that Gibbs sampling makes only slowly: how the means of the factors and the biases share their common
contribution.

Adding ``d`` to the factors of all items and subtracting ``p_u . d`` from the bias of each user leaves every prediction
unchanged, and the hyper-parameters can move along, so that neither ratings nor priors oppose it. Row by row this takes
hundreds of sweeps. Here ``d`` is drawn at once: a step along an orbit of a group (Liu & Sabatti 2000), whose density is
normal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread

Array = NDArray[Any]
_BLOCK = 1 << 15
"""Number of rows in float64 at a time."""


@one_thread()
def shift(side: Any, other: Any, rng: np.random.Generator) -> None:
    """Draw the shift of the factors of all rows of ``side``; the biases of ``other`` compensate for it.

    Both are ``Side``. The design weights of ``other`` move along, so that the prior sees only the part of the shift
    that comes from each row's own factors.
    """
    k = side.draw.shape[1] - 1
    mu, weights = other.mu, other.weights.astype(np.float64)
    precision = np.eye(k) + np.outer(mu[:k], mu[:k])
    pull = mu[:k] * mu[k] - side.mu[:k]
    if len(weights):
        block = other.layout.design.block
        each = other.weight_precision[block, k][:, None] * weights[:, :k]
        precision += weights[:, :k].T @ each
        pull += each.T @ weights[:, k]
    for lo in range(0, len(other.draw), _BLOCK):
        part = slice(lo, lo + _BLOCK)
        own = other.draw[part].astype(np.float64) - other.explained[part] - mu
        precision += other.precision[k] * (own[:, :k].T @ own[:, :k])
        pull += other.precision[k] * (own[:, :k].T @ own[:, k])
    root = np.linalg.cholesky(precision)
    d = np.linalg.solve(root.T, np.linalg.solve(root, pull) + rng.standard_normal(k))
    for table in (side.draw, side.mean):
        table[:, :k] += d.astype(np.float32)
    side.mu[:k] += d
    for table in (other.draw, other.mean, other.explained, other.weights):
        table[:, k] -= (table[:, :k].astype(np.float64) @ d).astype(np.float32)
    other.mu[k] -= mu[:k] @ d
