"""Leave each entry out of a history that is learned from pairs, all at the cost of a few passes.

The factors ``u`` of a user who is folded in minimise, on average over the draws of other items,

    sum over entries i of  w_i * mean over other items j of log(1 + exp(x_j - x_i)) + reg * n / 2 * |u|²

where ``x`` are scores and the items are fixed. The sum is convex, so a Newton step from its minimum to that without an
entry gives the entry's effect (the approximate leave-one-out of Rad & Maleki 2020), free of the random draws of two
runs of gradient steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread

Array = NDArray[Any]

OTHERS = 1000
"""Number of items that represent all items that a user does not have, evenly spaced in the catalogue."""
_STEPS = 20


@one_thread()
def moved_without(start: Array, taken: Array, weights: Array, items: Array, bias: Array, reg: float) -> Array:
    """Return float64 (len(taken), k): the change of a user's factors when each entry is left out.

    ``start`` (k,): initial factors; ``taken`` (n,): the user's items, with ``weights`` (n,); ``items`` (n_items, k),
    ``bias`` (n_items,). Entries of weight 0 have no effect.
    """
    out = np.zeros((len(taken), items.shape[1]))
    counted = np.flatnonzero(weights > 0)
    others = np.setdiff1d(np.arange(len(items)), taken)
    if not len(counted) or not len(others):
        return out
    some = others[np.unique(np.linspace(0, len(others) - 1, min(OTHERS, len(others))).astype(np.int64))]
    w = weights[counted].astype(np.float64)
    p, q = items[taken[counted]].astype(np.float64), items[some].astype(np.float64)
    a, b = bias[taken[counted]].astype(np.float64), bias[some].astype(np.float64)
    ridge = max(reg, 1e-6) * np.eye(p.shape[1])
    u = start.astype(np.float64)
    for _ in range(_STEPS):
        pull, hessian, _, _ = _parts(u, w, p, q, a, b)
        step = np.linalg.solve(hessian + len(w) * ridge, pull.sum(axis=0) - len(w) * max(reg, 1e-6) * u)
        u = u + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-6:
            break
    pull, hessian, curve, centre = _parts(u, w, p, q, a, b)
    hessian += len(w) * ridge
    # An item that is left out becomes one of those that are drawn.
    share = 1.0 / (len(others) + 1.0)
    mine = p @ u + a
    chance = 1 / (1 + np.exp(np.clip(mine[:, None] - mine[None, :], -60, 60)))  # [k, i]: i ranks before k
    np.fill_diagonal(chance, 0.0)
    drawn = (w[:, None] * chance).T  # [i, k]
    drawn_pull = drawn @ p - drawn.sum(axis=1)[:, None] * p
    rest = pull.sum(axis=0) - pull
    gradient = (1 - share) * rest + share * drawn_pull - (len(w) - 1) * max(reg, 1e-6) * u
    solved = np.linalg.solve(hessian, gradient.T).T
    # Without the entry's own curvature, around its mean difference from the others (Sherman & Morrison 1950).
    apart = (p - centre) * np.sqrt(w * curve)[:, None]
    turned = np.linalg.solve(hessian, apart.T).T
    along = np.minimum((apart * turned).sum(axis=1), 0.9)
    out[counted] = solved + turned * ((apart * solved).sum(axis=1) / (1 - along))[:, None]
    return out


@one_thread()
def _parts(u: Array, w: Array, p: Array, q: Array, a: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    """Return (pull of each entry (n, k), Hessian (k, k) without the ridge, curvature of each entry (n,), mean of the
    others weighted by curvature (n, k))."""
    gap = np.clip((p @ u + a)[:, None] - (q @ u + b)[None, :], -60, 60)
    chance = 1 / (1 + np.exp(gap))  # of ranking the other one first
    curved = chance * (1 - chance) / len(q)
    curve = curved.sum(axis=1)
    centre = (curved @ q) / np.maximum(curve, 1e-30)[:, None]
    pull = w[:, None] * (chance.mean(axis=1)[:, None] * p - (chance @ q) / len(q))
    by_other = w @ curved
    cross = (w * curve)[:, None] * centre
    hessian = (p * (w * curve)[:, None]).T @ p + (q * by_other[:, None]).T @ q - p.T @ cross - cross.T @ p
    return pull, hessian, curve, centre
