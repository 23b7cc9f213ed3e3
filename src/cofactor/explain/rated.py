"""What each rated item does to a prediction: the difference it makes when it is left out of the history.

The model folds in the history as it is and once more without each item, all in one call; items stay fixed. For models
that are linear in the history (EASE, SLIM, neighbours) the differences add up to the score; for the others a rest
remains, which is reported as such.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.model import HasVectors, LeavesOut, Model, ScoresSome

Array = NDArray[Any]
MOST = 200
"""Of a longer history only the entries nearest to the item are left out one by one."""


def contributions(model: Model, history: CSR, item: int, order: Array | None = None) -> tuple[float, Array, Array]:
    """(score with the whole history, positions in it, contribution of each of them in units of the score).

    ``order`` gives the positions by how near they are to the item; the first ``MOST`` of them are looked at.
    """
    n = len(history.indices)
    looked_at = np.arange(n) if order is None else np.sort(order[:MOST])
    looked_at = looked_at[history.indices[looked_at] != item]
    if isinstance(model, LeavesOut):
        scores = model.scores_without(history, looked_at, item)
    else:
        scores = _of_item(model, model.fold_in(left_out(history, looked_at)), item).astype(np.float64)
    return float(scores[0]), looked_at, scores[0] - scores[1:]


def _of_item(model: Model, states: Array, item: int) -> Array:
    """The score of one item for each state, without those of all other items where the model allows it."""
    if isinstance(model, ScoresSome):
        return model.scores_among(states, np.array([item]))[:, 0]
    if isinstance(model, HasVectors):
        return model.scores_at(states, np.full((len(states), 1), item))[:, 0]
    return model.scores_from(states)[:, item]


def left_out(history: CSR, positions: Array) -> CSR:
    """Row 0: the one history of ``history``; row 1 + k: the same without its entry ``positions[k]``."""
    n = len(history.indices)
    keep = np.ones((len(positions) + 1, n), dtype=bool)
    keep[np.arange(1, len(positions) + 1), positions] = False
    indptr = np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype(np.int64)
    indices = np.broadcast_to(history.indices, keep.shape)[keep]
    values = np.broadcast_to(history.values, keep.shape)[keep]
    return CSR(indptr, indices, values, np.empty(0, dtype=np.int64), history.n_cols)
