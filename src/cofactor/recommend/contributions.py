"""Contributions of rated items to a score: the change of the score when an item is left out of the history.

Reasons of lists and explanations both use this module, so they agree. A model with ``LeavesOut`` computes the
contributions itself. Any other model folds in the whole history and, in the same call, the history without each item.
Item parameters stay fixed. For models that are linear in the history (EASE, SLIM, item-cosine) the contributions add up
to the score; for others a remainder is left, which explanations show. A model whose score is a sum over the history
(``SumsHistory``: ``next-item``) returns the terms of the sum.
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
"""Longest histories for which a list's reasons fold in once per entry: for models that solve a user's vector, and for
models that take gradient steps or mix whole rows of scores."""
PATIENCE = 0.25
"""Most seconds for the reasons of a list, for models with ``LeavesOutSlowly``."""
EXPLAINED, VISITS = 200, 2_000_000
"""Limits of one explanation, which may take longer: the number of entries (of a longer history, those most similar to
the item), and, for models that take gradient steps, the total number of entries that the steps visit."""


def entries_compared(model: Model, n: int) -> int:
    """Return how many of ``n`` rated items a list's reasons consider: all, or 0 where that would take too long."""
    if isinstance(model, LeavesOutSlowly):
        return n if model.seconds_without(n) <= PATIENCE else 0
    if isinstance(model, (LeavesOut, SumsHistory)):
        return n
    width = model.user_state(np.zeros(1, np.int32)).shape[1]
    stepped = isinstance(model.config, GradientSteps) or width == model.shape()[1]
    return n if n <= (STEPPED if stepped else SOLVED) else 0


def entries_explained(model: Model, n: int) -> int:
    """Return how many of ``n`` rated items an explanation considers, where each needs a fold-in."""
    if not isinstance(model.config, GradientSteps):
        return min(n, EXPLAINED)
    visits = n * int(getattr(model.config, "epochs", 1))
    return min(n, max(STEPPED, min(EXPLAINED, VISITS // max(visits, 1))))


def contributions(
    model: Model, history: CSR, items: Array, positions: Array | None = None, *, user: int = -1
) -> tuple[Array, Array]:
    """Return (scores (m,) with the whole history, contributions (m, p) of its entries at ``positions``), both float64.

    ``items`` are m codes; ``history`` has one row. By default each of its entries is left out in turn. The contribution
    of an item to its own score is 0. ``user``: the code of the user of the training data whose history it is.
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
        if len(history.indices) == 1 and isinstance(
            model, StartsFromAverage
        ):  # without any rating, such models score the average user
            scores[:, 1] = model.average_part(history, np.asarray(items))
    difference = scores[:, :1] - scores[:, 1:]
    difference[np.asarray(items)[:, None] == history.indices[at]] = 0.0
    return scores[:, 0], difference


def _scores(model: Model, states: Array, items: Array) -> Array:
    """Return scores (len(states), len(items)); models that can score single items compute no others."""
    if isinstance(model, ScoresSome):
        return model.scores_among(states, np.asarray(items))
    if isinstance(model, HasVectors):
        return model.scores_at(states, np.broadcast_to(items, (len(states), len(items))))
    return model.scores_from(states)[:, items]
