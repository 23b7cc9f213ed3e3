"""Short vectors for approximate search with ``bayes-mf``, in place of those of all kept samples.

A score is a dot product of as many numbers as all samples have factors. Most of the order of items lies in a few
directions, the leading ones over the trained users. They select candidates, which are then scored exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.models.bayes_mf.terms import leading_factors

Array = NDArray[Any]


class Directions(NamedTuple):
    """``items`` float32 (n_items, r + 1), the bias last; ``turn`` (count * k, r): from a state's vectors to a query."""

    items: Array
    turn: Array


@one_thread()
def directions(a: Mapping[str, Array], count: int, k: int) -> Directions:
    """Return twice as many directions as factors, and the direction in which the mean user likes items."""
    users, items = a["user_factors"][:-1, : count * k], a["item_factors"][:-1, : count * k]
    user_mean, item_mean = users.mean(axis=0), items.mean(axis=0)
    _, leading = leading_factors(users, items, user_mean, item_mean, 2 * k)
    common = items @ user_mean - item_mean @ user_mean
    basis, _ = np.linalg.qr(np.column_stack([leading, common]).astype(np.float64))
    turn = (items - item_mean).T @ basis / count
    bias = a["item_bias"][:-1, :count].mean(axis=1, dtype=np.float64)
    return Directions(np.column_stack([basis, bias]).astype(np.float32), turn.astype(np.float32))
