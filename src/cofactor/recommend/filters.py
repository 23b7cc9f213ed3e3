"""What may be recommended at all: allow and deny lists, and predicates over the table of items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import ListOptions
from cofactor.recommend.predicates import matching

KEPT = 256
"""How many predicates a recommender remembers the answers of."""


def allowed(rec: Fitted, options: ListOptions) -> NDArray[np.bool_] | None:
    """bool (n_items,): which items may come up; None where all may. Unknown ids in the lists are an error, or else
    (``unknown`` is ``skip`` or ``popular``) not looked at."""
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
    """Which items meet ``where``; the answer to a text is remembered."""
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
