"""A map of the items in two dimensions: similar items are near each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import Interactions
from cofactor.model import HasFactors, Model
from cofactor.recommend.similar import neighbour_similarity, similarity_among
from cofactor.recommend.topn import top_n

Array = NDArray[Any]
LANDMARKS = 3000
"""Most items that are laid out by all pairs; the others are placed among them."""
PULL = 5
"""Number of landmarks that determine the place of another item."""


def neighbours_among(model: Model, data: Interactions, items: Array, n: int) -> tuple[Array, Array]:
    """Return the ``n`` most similar other items for each of ``items``: positions in ``items`` (int32), similarities.

    Both are (len(items), n); the position is -1 where there are fewer.
    """
    near = np.full((len(items), n), -1, dtype=np.int32)
    similarity = np.zeros((len(items), n), dtype=np.float32)
    for first in range(0, len(items), 256):
        rows = items[first : first + 256]
        block = np.array(neighbour_similarity(model, data, rows, items), dtype=np.float32)
        block[np.arange(len(rows)), first + np.arange(len(rows))] = -np.inf
        codes, values = top_n(block, n)
        near[first : first + len(rows), : codes.shape[1]] = codes
        similarity[first : first + len(rows), : codes.shape[1]] = np.where(codes >= 0, values, 0)
    return near, similarity


def item_map(
    model: Model, data: Interactions, items: Array, *, n_neighbours: int = 12, landmarks: int = LANDMARKS, seed: int = 0
) -> Array:
    """Return places on the map, float32 (len(items), 2) in [0, 1].

    The layout starts from the principal components of the factors and moves neighbours together. ``items`` must be
    sorted by their number of ratings, most rated first. The first ``landmarks`` items are laid out; each other item is
    placed among the landmarks most similar to it, so that a map of 60,000 items costs little more and rarely rated
    items form no islands. A third of each coordinate is its rank among the landmarks, so that dense areas spread out.
    """
    from cofactor.kernels.layout import layout

    first = items[:landmarks]
    near, similarity = neighbours_among(model, data, first, min(n_neighbours, max(len(first) - 1, 1)))
    xy = _start(model, first, seed)
    kept = near >= 0
    heads = np.repeat(np.arange(len(first), dtype=np.int32), kept.sum(axis=1))
    if len(heads):
        top = np.maximum(similarity.max(axis=1, keepdims=True), 1e-9)
        weights = np.clip(similarity / top, 0.05, 1.0)[kept].astype(np.float64)
        layout(xy, heads, near[kept], weights, 150, 4, seed)
    low, high = np.quantile(xy, 0.005, axis=0), np.quantile(xy, 0.995, axis=0)
    ordered = np.sort(xy, axis=0)
    if len(items) > len(first):
        xy = np.concatenate([xy, _among(model, data, items[len(first) :], first, xy, seed)])
    apart = np.clip((xy - low) / np.maximum(high - low, 1e-9), -0.02, 1.02)
    ranks = np.arange(len(ordered)) / max(len(ordered) - 1, 1)
    rank = np.stack([np.interp(xy[:, side], ordered[:, side], ranks) for side in range(2)], axis=1)
    placed: Array = ((2 * apart + rank) / 3).astype(np.float32)
    return placed


def _among(model: Model, data: Interactions, items: Array, landmarks: Array, xy: Array, seed: int) -> Array:
    """Return places, float64 (len(items), 2): each near the mean of the most similar landmarks, weighted by squared
    similarity; near the median of all landmarks where none is similar."""
    rng = np.random.default_rng([seed, 1])
    out = np.empty((len(items), 2))
    middle, spread = np.median(xy, axis=0), np.std(xy, axis=0)
    for at in range(0, len(items), 256):
        block = similarity_among(model, data, items[at : at + 256], landmarks)
        near, values = top_n(np.array(block, dtype=np.float32), min(PULL, len(landmarks)))
        weights = np.where(near >= 0, np.maximum(values, 0.0), 0.0).astype(np.float64) ** 2
        total = weights.sum(axis=1, keepdims=True)
        mean = np.einsum("np,npd->nd", weights, xy[np.maximum(near, 0)]) / np.maximum(total, 1e-30)
        out[at : at + 256] = np.where(total > 0, mean, middle)
    found: Array = out + rng.normal(0, 0.02, out.shape) * spread
    return found


@one_thread()
def _start(model: Model, items: Array, seed: int) -> Array:
    """Return the initial layout, scaled to 10: two principal components, or random places without factors."""
    rng = np.random.default_rng(seed)
    xy = rng.normal(0, 1e-2, (len(items), 2))
    if isinstance(model, HasFactors):
        vectors = model.factors("item")[items].astype(np.float64)
        if vectors.shape[1] >= 2 and len(items) > 2:
            centred = vectors - vectors.mean(axis=0)
            _, axes = np.linalg.eigh(centred.T @ centred)
            axes = axes[:, ::-1][:, :2]
            axes *= np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
            xy += centred @ axes
    else:
        xy = rng.normal(0, 1, (len(items), 2))
    scaled: Array = xy * (10 / max(float(np.abs(xy).max()), 1e-9))
    return scaled
