"""A map of the items: near on the page where the model thinks them near."""

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
"""Items that are laid out by all pairs; the rest is put among them."""
PULL = 5
"""Landmarks that place an item."""


def neighbours_among(model: Model, data: Interactions, items: Array, n: int) -> tuple[Array, Array]:
    """For each of ``items`` the ``n`` nearest others among them: positions in ``items`` (int32) and similarities.

    Both (len(items), n); position -1 where there are fewer.
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
    """float32 (len(items), 2) in [0, 1]: principal components of the factors, then drawn together by neighbours.

    ``items`` stand most rated first. Of more than ``landmarks`` only these are laid out; each other item is put among
    the landmarks that it is most like, so that a map of 60,000 costs little more, and rarely rated items make no
    islands. A third of a place is its rank among the landmarks along either side, so that crowds far from each other
    have room inside.
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
    """float64 (len(items), 2): each near the middle of the landmarks that it is most like, by how like they are; in the
    middle of all where it is like none."""
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
    """Two principal components, or a cloud where there are no factors; a spread of about 10."""
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
