"""What Gibbs sampling finds slowly: how the means of the factors and the biases share what they say together.

Shifting the factors of all items by ``d`` and taking ``p_u . d`` off the bias of each user leaves every prediction as
it is, and what governs the rows can go along, so that no rating and hardly any prior resists. Row by row this takes
hundreds of sweeps; here ``d`` is drawn at once: a step along an orbit of a group (Liu & Sabatti 2000), whose density is
a normal one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread

Array = NDArray[Any]
_BLOCK = 1 << 15
"""Rows that are in float64 at a time."""


@one_thread()
def shift(side: Any, other: Any, rng: np.random.Generator) -> None:
    """Draw how far the factors of all rows of ``side`` are shifted; the biases of ``other`` make up for it.

    Both are ``Side``. What explains the rows of ``other`` goes along: the prior then sees of the shift no more than
    what each row's factors have of their own.
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
