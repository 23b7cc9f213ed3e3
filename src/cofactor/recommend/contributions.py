"""What each rated item does to the score of another: the difference it makes when it is left out of the history.

The list's reason and the explanation both ask here, so that they tell one story. A model that can say what leaving out
costs (``LeavesOut``) is asked; any other folds in the history as it is and once more without each item, all in one
call. Items stay fixed. For models that are linear in the history (EASE, SLIM, item-cosine) the differences add up to
the score; for others a rest remains, which is reported as such. A model whose score is a sum over the history
(``SumsHistory``: ``next-item``) says its terms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.model import (
    GradientSteps,
    HasVectors,
    LeavesOut,
    LeavesOutOfKnown,
    LeavesOutSlowly,
    Model,
    ScoresSome,
    StartsFromAverage,
    SumsHistory,
)

Array = NDArray[Any]
SOLVED, STEPPED = 300, 20
"""Entries of a history that a list's reasons look at, where each of them is a fold-in: of models that solve a user, and
of models that take gradient steps or mix whole rows of scores."""
PATIENCE = 0.25
"""Seconds that the reasons of a list may take of models that leave out ratings by a way of their own."""
EXPLAINED, VISITS = 200, 2_000_000
"""The same for one explanation, which may take longer: of a longer history the entries nearest to the item; of models
that take gradient steps so many at most that these pass over so many entries in all."""


def entries_compared(model: Model, n: int) -> int:
    """How many of ``n`` rated items a list's reasons look at: all of them, or 0 where that would take too long."""
    if isinstance(model, LeavesOutSlowly):
        return n if model.seconds_without(n) <= PATIENCE else 0
    if isinstance(model, (LeavesOut, SumsHistory)):
        return n
    width = model.user_state(np.zeros(1, np.int32)).shape[1]
    stepped = isinstance(model.config, GradientSteps) or width == model.shape()[1]
    return n if n <= (STEPPED if stepped else SOLVED) else 0


def entries_explained(model: Model, n: int) -> int:
    """How many of ``n`` rated items one explanation looks at, where that takes a fold-in for each."""
    if not isinstance(model.config, GradientSteps):
        return min(n, EXPLAINED)
    visits = n * int(getattr(model.config, "epochs", 1))
    return min(n, max(STEPPED, min(EXPLAINED, VISITS // max(visits, 1))))


def contributions(
    model: Model, history: CSR, items: Array, positions: Array | None = None, *, user: int = -1
) -> tuple[Array, Array]:
    """(scores (m,) with the whole history, contributions (m, p) of its entries at ``positions``), both float64.

    ``items`` are m codes, ``history`` has one row; by default all of its entries are left out, one at a time. An item's
    own rating counts as nothing. ``user``: the code of the user of the training data whose history it is.
    """
    at = np.arange(len(history.indices)) if positions is None else np.asarray(positions)
    if not len(at):
        return _scores(model, model.fold_in(history), items)[0].astype(np.float64), np.zeros((len(items), 0))
    if isinstance(model, SumsHistory):
        whole = _scores(model, model.fold_in(history), items)[0].astype(np.float64)
        return whole, np.where(
            np.asarray(items)[:, None] == history.indices[at], 0.0, model.history_terms(history, items)[:, at]
        )
    if user >= 0 and isinstance(model, LeavesOutOfKnown):
        scores = model.scores_without_of(user, history, at, items)
    elif isinstance(model, LeavesOut):
        scores = model.scores_without(history, at, items)
    else:
        scores = _scores(model, model.fold_in(history.without_each(at)), items).astype(np.float64).T
        if len(history.indices) == 1 and isinstance(model, StartsFromAverage):  # the average user is left, not nothing
            scores[:, 1] = model.average_part(history, np.asarray(items))
    difference = scores[:, :1] - scores[:, 1:]
    difference[np.asarray(items)[:, None] == history.indices[at]] = 0.0
    return scores[:, 0], difference


def _scores(model: Model, states: Array, items: Array) -> Array:
    """(len(states), len(items)) scores, without those of all other items where the model allows it."""
    if isinstance(model, ScoresSome):
        return model.scores_among(states, np.asarray(items))
    if isinstance(model, HasVectors):
        return model.scores_at(states, np.broadcast_to(items, (len(states), len(items))))
    return model.scores_from(states)[:, items]
