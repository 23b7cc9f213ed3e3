"""Item similarity: by the model's own similarities, by its factors, or by the users who rated both items."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.model import HasFactors, HasSimilarity, Model

Array = NDArray[Any]
SHRINK = 20.0
"""Number of shared raters at which a cosine is halved. On held-out rows this gives most of the possible gain; larger
values rank by the number of shared raters (benchmarks/similar.py)."""


def item_similarity(model: Model, data: Interactions, items: Array) -> Array:
    """Return similarities, float32 (len(items), n_items): cosines of factors where the model has them; never NaN."""
    if isinstance(model, HasSimilarity):
        return model.item_similarity(items)
    factors = _factors(model)
    return co_ratings(data, items) if factors is None else cosine(factors, items)


def similarity_among(model: Model, data: Interactions, items: Array, others: Array) -> Array:
    """Return the columns ``others`` of :func:`item_similarity`, float32 (len(items), len(others)), without computing
    the rest."""
    if isinstance(model, HasSimilarity):
        return model.item_similarity(items)[:, others]
    factors = _factors(model)
    if factors is None:
        return co_ratings_among(data, items, others)
    return _dots(unit(factors[items]), unit(factors[others]))


def neighbour_similarity(
    model: Model, data: Interactions, items: Array, others: Array, shrink: float = SHRINK
) -> Array:
    """Return the similarities that rank neighbours, float32 (len(items), len(others)); see :func:`supported`."""
    found = similarity_among(model, data, items, others)
    return supported(model, found, shared_among(data, items, others), shrink) if shrink else found


def supported(model: Model, similarity: Array, shared: Array, shrink: float) -> Array:
    """Return cosines of vectors times shared / (shared + shrink); return other similarities unchanged.

    Vectors of items with few ratings are similar by chance (Bell & Koren 2007). Other similarities already depend on
    the number of raters.
    """
    if isinstance(model, HasSimilarity) or _factors(model) is None or not shrink:
        return similarity
    found: Array = (similarity * (shared / (shared + shrink))).astype(np.float32)
    return found


def _factors(model: Model) -> Array | None:
    """Return the item factors, or None where the model has none."""
    if not isinstance(model, HasFactors):
        return None
    factors = model.factors("item")
    return factors if factors.shape[1] else None


def unit(rows: Array) -> Array:
    """Return the rows scaled to length 1; rows of zeros stay zero."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Array = (rows / np.where(norms > 0, norms, 1)).astype(np.float32)
    return scaled


def cosine(factors: Array, items: Array) -> Array:
    """Return cosines between the rows ``items`` and all rows; 0 for a row of zeros."""
    every = unit(factors)
    return _dots(every[items], every)


def _kernels() -> ModuleType:
    from cofactor.kernels import similarity

    return similarity


def _dots(left: Array, right: Array) -> Array:
    from cofactor.kernels.products import dots

    return dots(left, right)


def co_ratings(data: Interactions, items: Array) -> Array:
    """Return cosines between sets of raters: shared raters over the geometric mean of both counts."""
    counts = data.item_counts
    out = np.zeros((len(items), data.n_items), dtype=np.float32)
    for at, item in enumerate(items):
        raters, _ = data.by_item.row(int(item))
        shared = np.bincount(data.by_user.take(raters).indices, minlength=data.n_items)
        out[at] = shared / np.sqrt(np.maximum(counts * max(len(raters), 1), 1))
    return out


def co_ratings_among(data: Interactions, items: Array, others: Array) -> Array:
    """Return the columns ``others`` of :func:`co_ratings`."""
    counts = data.item_counts
    out = shared_among(data, items, others).astype(np.float32)
    out /= np.sqrt(np.maximum(counts[items][:, None] * counts[others].astype(np.float64), 1))
    return out


def shared_among(data: Interactions, items: Array, others: Array) -> Array:
    """Return the number of users who rated both items, int64 (len(items), len(others))."""
    out = np.empty((-(-len(items) // 8) * 8, len(others)), dtype=np.int64)
    marks = np.zeros(data.n_users, dtype=np.uint8)
    columns, others = data.by_item, np.ascontiguousarray(others, dtype=np.int32)
    for first in range(0, len(items), 8):  # one bit for each of eight items, so that raters are looked up once
        marks[:] = 0
        for bit, item in enumerate(items[first : first + 8].tolist()):
            marks[columns.row(item)[0]] |= 1 << bit
        _kernels().count_shared(columns.indptr, columns.indices, others, marks, out[first : first + 8])
    return out[: len(items)]


def shared_raters(data: Interactions, item: int, others: Array) -> Array:
    """Return the number of users, int64, who rated both ``item`` and each of ``others``."""
    columns, rows = data.by_item, data.by_user
    found = np.empty(len(others), dtype=np.int64)
    wanted = np.ascontiguousarray(others, dtype=np.int32)
    _kernels().count_shared_with(
        columns.indptr, columns.indices, rows.indptr, np.asarray(rows.indices), int(item), wanted, data.n_users, found
    )
    return found
