"""A map of the items: near on the page where the model thinks them near."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import Interactions
from cofactor.model import HasFactors, Model
from cofactor.recommend.similar import neighbour_similarity
from cofactor.recommend.topn import top_n

Array = NDArray[Any]


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


def item_map(model: Model, data: Interactions, items: Array, *, n_neighbours: int = 12, seed: int = 0) -> Array:
    """float32 (len(items), 2) in [0, 1]: principal components of the factors, then drawn together by neighbours.

    A third of a place is its rank along either side, so that crowds far from each other have room inside.
    """
    from cofactor.kernels.layout import layout

    near, similarity = neighbours_among(model, data, items, min(n_neighbours, max(len(items) - 1, 1)))
    xy = _start(model, items, seed)
    kept = near >= 0
    heads = np.repeat(np.arange(len(items), dtype=np.int32), kept.sum(axis=1))
    if len(heads):
        top = np.maximum(similarity.max(axis=1, keepdims=True), 1e-9)
        weights = np.clip(similarity / top, 0.05, 1.0)[kept].astype(np.float64)
        layout(xy, heads, near[kept], weights, 150, 4, seed)
    low, high = np.quantile(xy, 0.005, axis=0), np.quantile(xy, 0.995, axis=0)
    apart = np.clip((xy - low) / np.maximum(high - low, 1e-9), -0.02, 1.02)
    rank = np.argsort(np.argsort(xy, axis=0, kind="stable"), axis=0, kind="stable") / max(len(xy) - 1, 1)
    placed: Array = ((2 * apart + rank) / 3).astype(np.float32)
    return placed


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
