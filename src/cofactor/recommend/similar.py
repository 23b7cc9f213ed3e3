"""Which items are like which: by the model's own similarities, its factors, or else by who rated both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.model import HasFactors, HasSimilarity, Model

Array = NDArray[Any]


def item_similarity(model: Model, data: Interactions, items: Array) -> Array:
    """float32 (len(items), n_items). Cosines of factors where the model has them; never NaN."""
    if isinstance(model, HasSimilarity):
        return model.item_similarity(items)
    if isinstance(model, HasFactors):
        factors = model.factors("item")
        if factors.shape[1]:
            return cosine(factors, items)
    return co_ratings(data, items)


def cosine(factors: Array, items: Array) -> Array:
    """Cosines between the rows ``items`` and all rows; 0 for a row of zeros."""
    norms = np.linalg.norm(factors, axis=1, keepdims=True)
    unit = factors / np.where(norms > 0, norms, 1)
    similarity: Array = (unit[items] @ unit.T).astype(np.float32)
    return similarity


def co_ratings(data: Interactions, items: Array) -> Array:
    """Cosines between sets of raters: shared raters over the geometric mean of both counts."""
    counts = data.by_item.counts
    out = np.zeros((len(items), data.n_items), dtype=np.float32)
    for at, item in enumerate(items):
        raters, _ = data.by_item.row(int(item))
        shared = np.bincount(data.by_user.take(raters).indices, minlength=data.n_items)
        out[at] = shared / np.sqrt(np.maximum(counts * max(len(raters), 1), 1))
    return out


def shared_raters(data: Interactions, item: int, others: Array) -> Array:
    """How many users rated both ``item`` and each of ``others``; int64."""
    raters, _ = data.by_item.row(item)
    shared: Array = np.bincount(data.by_user.take(raters).indices, minlength=data.n_items)[others]
    return shared
