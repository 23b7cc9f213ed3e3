"""Filters of the items that may be recommended: allow and deny lists, and predicates over the item table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import ListOptions
from cofactor.recommend.predicates import matching

KEPT = 256
"""Number of predicates whose results a recommender caches."""


def allowed(rec: Fitted, options: ListOptions) -> NDArray[np.bool_] | None:
    """Return a mask, bool (n_items,), of the items that may be recommended, or None where all may.

    Unknown ids in the lists raise UnknownIdError, or are ignored where ``unknown`` is ``skip`` or ``popular``.
    """
    keep = None if options["where"] is None else where_mask(rec, options)
    strict = options["unknown"] == "error"
    if options["allow"] is not None:
        listed = np.zeros(rec.data.n_items, dtype=bool)
        listed[rec.items.codes(options["allow"], strict=strict)] = True
        keep = listed if keep is None else keep & listed
    if options["deny"] is not None:
        keep = np.ones(rec.data.n_items, dtype=bool) if keep is None else keep.copy()
        keep[rec.items.codes(options["deny"], strict=strict)] = False
    return keep


def where_mask(rec: Fitted, options: ListOptions) -> NDArray[np.bool_]:
    """Return a mask, bool (n_items,), of the items that meet ``where``. The result of a text is cached."""
    where = options["where"]
    if not isinstance(where, str):
        return matching(rec.data.item_table, where)  # type: ignore[arg-type]
    masks: dict[str, NDArray[np.bool_]] = rec.remember("masks", dict)
    found = masks.get(where)
    if found is None:
        found = matching(rec.data.item_table, where)
        if len(masks) >= KEPT:
            masks.clear()
        masks[where] = found
    return found
