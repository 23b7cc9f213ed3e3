"""One short sentence for each recommended item: which of the rated items it is nearest to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.recommend.fitted import Fitted
from cofactor.recommend.profiles import UserProfile
from cofactor.recommend.similar import similarity_among

Array = NDArray[Any]
BY_MANY = "liked by many"
MOST_RATED = "rated by most; nothing is known of this user"
LOOKED_AT = 20
"""Of the items that a user liked, so many of the best rated are looked at."""


def liked(who: UserProfile) -> Array:
    """Positions in ``who.items`` of the items rated at least as high as the user's own mean."""
    if not len(who.values):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(who.values >= who.values.mean(dtype=np.float64) - 1e-6)


def reasons(rec: Fitted, who: UserProfile, items: Array) -> list[str]:
    """A reason for each of ``items``, from the items rated at least as high as the user's own mean."""
    if len(items) == 0:
        return []
    if who.described is not None and len(who.items) == 0:
        return who.described.reasons(items)
    if who.code < 0 and who.state is None:
        return [MOST_RATED] * len(items)
    at = liked(who)
    if len(at) == 0 or not rec.is_personalised:
        return [BY_MANY] * len(items)
    at = at[np.argsort(-who.values[at], kind="stable")[:LOOKED_AT]]
    similarity = similarity_among(rec.model, rec.data, items, who.items[at])
    nearest = similarity.argmax(axis=1)
    labels = rec.items.labels(who.items[at[nearest]])
    return [
        BY_MANY
        if similarity[row, near] <= 0
        else f"you rated {label} {who.values[at[near]]:g}"
        if rec.scale.explicit
        else f"you chose {label}"
        for row, (near, label) in enumerate(zip(nearest, labels, strict=True))
    ]
