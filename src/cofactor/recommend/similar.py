"""Which items are like which: by the model's own similarities, its factors, or else by who rated both."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.model import HasFactors, HasSimilarity, Model

Array = NDArray[Any]
SHRINK = 20.0
"""How many shared raters it takes for half of a cosine to count: most of the gain that there is on held-out rows, where
more than that ranks by how many rated both (benchmarks/similar.py)."""


def item_similarity(model: Model, data: Interactions, items: Array) -> Array:
    """float32 (len(items), n_items). Cosines of factors where the model has them; never NaN."""
    if isinstance(model, HasSimilarity):
        return model.item_similarity(items)
    factors = _factors(model)
    return co_ratings(data, items) if factors is None else cosine(factors, items)


def similarity_among(model: Model, data: Interactions, items: Array, others: Array) -> Array:
    """float32 (len(items), len(others)): the same for a few items only, at what these few cost."""
    if isinstance(model, HasSimilarity):
        return model.item_similarity(items)[:, others]
    factors = _factors(model)
    if factors is None:
        return co_ratings_among(data, items, others)
    return _dots(unit(factors[items]), unit(factors[others]))


def neighbour_similarity(
    model: Model, data: Interactions, items: Array, others: Array, shrink: float = SHRINK
) -> Array:
    """float32 (len(items), len(others)): what neighbours are ranked by; see :func:`supported`."""
    found = similarity_among(model, data, items, others)
    return supported(model, found, shared_among(data, items, others), shrink) if shrink else found


def supported(model: Model, similarity: Array, shared: Array, shrink: float) -> Array:
    """Cosines of vectors times shared / (shared + shrink), since vectors of items that few rated are alike by chance
    (Bell & Koren 2007); other similarities, which know of the raters, as they are."""
    if isinstance(model, HasSimilarity) or _factors(model) is None or not shrink:
        return similarity
    found: Array = (similarity * (shared / (shared + shrink))).astype(np.float32)
    return found


def _factors(model: Model) -> Array | None:
    """The items' factors, where the model has any."""
    if not isinstance(model, HasFactors):
        return None
    factors = model.factors("item")
    return factors if factors.shape[1] else None


def unit(rows: Array) -> Array:
    """The rows at length 1; rows of zeros stay as they are."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Array = (rows / np.where(norms > 0, norms, 1)).astype(np.float32)
    return scaled


def cosine(factors: Array, items: Array) -> Array:
    """Cosines between the rows ``items`` and all rows; 0 for a row of zeros."""
    every = unit(factors)
    return _dots(every[items], every)


def _kernels() -> ModuleType:
    from cofactor.kernels import similarity

    return similarity


def _dots(left: Array, right: Array) -> Array:
    from cofactor.kernels.products import dots

    return dots(left, right)


def co_ratings(data: Interactions, items: Array) -> Array:
    """Cosines between sets of raters: shared raters over the geometric mean of both counts."""
    counts = data.by_item.counts
    out = np.zeros((len(items), data.n_items), dtype=np.float32)
    for at, item in enumerate(items):
        raters, _ = data.by_item.row(int(item))
        shared = np.bincount(data.by_user.take(raters).indices, minlength=data.n_items)
        out[at] = shared / np.sqrt(np.maximum(counts * max(len(raters), 1), 1))
    return out


def co_ratings_among(data: Interactions, items: Array, others: Array) -> Array:
    """The columns ``others`` of :func:`co_ratings`."""
    counts = data.by_item.counts
    out = shared_among(data, items, others).astype(np.float32)
    out /= np.sqrt(np.maximum(counts[items][:, None] * counts[others].astype(np.float64), 1))
    return out


def shared_among(data: Interactions, items: Array, others: Array) -> Array:
    """int64 (len(items), len(others)): how many users rated both."""
    out = np.empty((-(-len(items) // 8) * 8, len(others)), dtype=np.int64)
    marks = np.zeros(data.n_users, dtype=np.uint8)
    columns, others = data.by_item, np.ascontiguousarray(others, dtype=np.int32)
    for first in range(0, len(items), 8):  # a bit for each of eight items, so that raters are looked up once for all
        marks[:] = 0
        for bit, item in enumerate(items[first : first + 8].tolist()):
            marks[columns.row(item)[0]] |= 1 << bit
        _kernels().count_shared(columns.indptr, columns.indices, others, marks, out[first : first + 8])
    return out[: len(items)]


def shared_raters(data: Interactions, item: int, others: Array) -> Array:
    """How many users rated both ``item`` and each of ``others``; int64."""
    columns, rows = data.by_item, data.by_user
    found = np.empty(len(others), dtype=np.int64)
    wanted = np.ascontiguousarray(others, dtype=np.int32)
    _kernels().count_shared_with(
        columns.indptr, columns.indices, rows.indptr, rows.indices, int(item), wanted, data.n_users, found
    )
    return found
