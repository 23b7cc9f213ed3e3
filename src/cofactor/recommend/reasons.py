"""One short sentence for each recommended item: which of the rated items it is nearest to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cofactor.recommend.lookup import item_labels
from cofactor.recommend.similar import item_similarity

if TYPE_CHECKING:
    from cofactor.recommend.recommender import Recommender

Array = NDArray[Any]


def reasons(rec: Recommender, rated: Array, values: Array, items: Array) -> list[str]:
    """A reason for each of ``items``, from the items rated at least as high as the user's own mean."""
    if len(items) == 0:
        return []
    liked = rated[values >= values.mean()] if len(rated) else rated
    if len(liked) == 0:
        return ["liked by many"] * len(items)
    similarity = item_similarity(rec.model, rec.data, items)[:, liked]
    nearest = similarity.argmax(axis=1)
    rating = dict(zip(rated.tolist(), values.tolist(), strict=True))
    explicit = rec.data.range[0] < rec.data.range[1]
    out = []
    for row, at in enumerate(nearest):
        code = int(liked[at])
        if similarity[row, at] <= 0:
            out.append("liked by many")
            continue
        label = item_labels(rec.data, np.array([code]))[0]
        out.append(f"you rated {label} {rating[code]:g}" if explicit else f"you chose {label}")
    return out
