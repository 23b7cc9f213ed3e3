"""Rerank a list: cap the items of a group, diversify, and calibrate to the user's history.

A greedy loop fills the places from first to last. Without a cap, diversity or calibration it returns the best items by
score.

- Diversity is maximal marginal relevance (Carbonell & Goldstein 1998): relevance minus the similarity to the most
  similar item already in the list.
- Calibration (Steck 2018): relevance minus the Kullback-Leibler divergence of the list's groups from those of the
  user's history.

Relevance is the score scaled to 0 (the worst candidate) to 1 (the best); similarity is scaled likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SMOOTH = 0.01
"""Share of the user's distribution mixed into the list's, so that the divergence is finite (Steck 2018)."""


@dataclass(frozen=True)
class RerankSpec:
    """The data for reranking c candidates: ``similarity`` (c, c) for ``diversity``; ``capped`` bool (c, groups) for
    ``cap``; ``shares`` (c, groups) and the user's distribution ``target`` (groups,) for ``calibration``."""

    diversity: float = 0.0
    similarity: Array | None = None
    cap: int = 0
    capped: Array | None = None
    calibration: float = 0.0
    shares: Array | None = None
    target: Array | None = None


def rerank(scores: Array, n: int, shape: RerankSpec) -> Array:
    """Return the positions of up to n candidates, in list order; ``scores`` (c,) must be finite and descending."""
    low, high = float(scores.min(initial=np.inf)), float(scores.max(initial=-np.inf))
    relevance = (scores.astype(np.float64) - low) / (high - low) if high > low else np.ones(len(scores))
    free = np.ones(len(scores), dtype=bool)
    near = np.zeros(len(scores))
    used = np.zeros(0 if shape.capped is None else shape.capped.shape[1], dtype=np.int64)
    mix = np.zeros(0 if shape.shares is None else shape.shares.shape[1])
    chosen: list[int] = []
    for place in range(1, min(n, len(scores)) + 1):
        value = (1 - shape.diversity) * relevance - shape.diversity * near
        if shape.shares is not None and shape.target is not None:
            miss = divergence(shape.target, mix + shape.shares)
            value = (1 - shape.calibration) * value / place - shape.calibration * miss
        open_ = free if shape.capped is None else free & ~(shape.capped & (used >= shape.cap)).any(axis=1)
        if not open_.any():
            break
        best = int(np.where(open_, value, -np.inf).argmax())
        chosen.append(best)
        free[best] = False
        if shape.similarity is not None:
            near = np.maximum(near, shape.similarity[best]) if place > 1 else shape.similarity[best]
        if shape.capped is not None:
            used += shape.capped[best]
        if shape.shares is not None:
            mix = mix + shape.shares[best]
    return np.array(chosen, dtype=np.int64)


def divergence(target: Array, lists: Array) -> Array:
    """Return the Kullback-Leibler divergence (rows,) of each row of ``lists`` (summed group shares) from ``target``."""
    total = lists.sum(axis=-1, keepdims=True)
    q = (1 - SMOOTH) * lists / np.where(total > 0, total, 1) + SMOOTH * target
    here = target > 0
    found: Array = (target[here] * np.log(target[here] / q[..., here])).sum(axis=-1)
    return found


def scaled_similarity(similarity: Array) -> Array:
    """Return similarities of candidates (c, c), scaled to at most 1, with negative values and the diagonal at 0."""
    found = np.maximum(similarity, 0).astype(np.float64)
    np.fill_diagonal(found, 0)
    top = found.max(initial=0)
    return found / top if top > 0 else found
