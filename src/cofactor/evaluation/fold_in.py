"""Measure users who were not in training but have a history at test time (``Split.given``): by fold-in, without
retraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError, DataError
from cofactor.evaluation.scorer import Scorer

Array = NDArray[Any]


def folded(by: Scorer, model: Any, given: Interactions) -> Scorer:
    """Return a scorer of the same model that also knows the users of ``given``, by these ratings.

    Their predictions are scores of the folded-in user, clipped to the range of the training ratings, without intervals.
    Their histories count as seen.
    """
    if given.user_ids is not by.train.user_ids or given.item_ids is not by.train.item_ids:
        raise DataError("the given ratings of a split must share the id maps of its training part")
    if not hasattr(model, "fold_in"):
        raise ConfigError(f"{by.name} cannot fold in users who were not in training, so it cannot be measured on them")
    known = np.unique(given.users)
    place = np.full(by.train.n_users, -1, dtype=np.int64)
    place[known] = np.arange(len(known))
    state = model.fold_in(given.histories.take(known))
    scores = _scores(by, model.scores_from, state, place)
    return replace(by, train=joined(by.train, given), scores=scores, predict=_predict(by, scores, place), interval=None)


def _scores(by: Scorer, scores_from: Callable[[Array], Array], state: Array, place: Array) -> Callable[[Array], Array]:
    def scores(users: Array) -> Array:
        at = place[users]
        out = np.empty((len(users), by.train.n_items), dtype=np.float32)
        if (at >= 0).any():
            out[at >= 0] = scores_from(state[at[at >= 0]])
        if (at < 0).any():
            out[at < 0] = by.scores(users[at < 0])
        return out

    return scores


def _predict(
    by: Scorer, scores: Callable[[Array], Array], place: Array
) -> Callable[[Array, Array, Array | None], Array]:
    low, high = by.train.range

    def predict(users: Array, items: Array, times: Array | None) -> Array:
        mine = (users >= 0) & (items >= 0)
        mine &= place[np.where(users < 0, 0, users)] >= 0
        out = np.empty(len(users), dtype=np.float32)
        if not mine.all():
            out[~mine] = by.predict(users[~mine], items[~mine], None if times is None else times[~mine])
        rows = np.flatnonzero(mine)
        rows = rows[np.argsort(users[rows], kind="stable")]
        each, first = np.unique(users[rows], return_index=True)
        ends = np.append(first, len(rows))
        size = max(1, (1 << 22) // by.train.n_items)
        for lo in range(0, len(each), size):
            part = each[lo : lo + size]
            at = rows[ends[lo] : ends[min(lo + size, len(each))]]
            out[at] = scores(part)[np.searchsorted(part, users[at]), items[at]]
        out[rows] = np.clip(out[rows], low, high)
        return out

    return predict


def joined(train: Interactions, given: Interactions) -> Interactions:
    """Return the rows of both."""
    times = None
    if train.times is not None and given.times is not None:
        times = np.concatenate([train.times, given.times])
    return train.replace(
        users=np.concatenate([train.users, given.users]),
        items=np.concatenate([train.items, given.items]),
        values=np.concatenate([train.values, given.values]),
        times=times,
    )
