"""Base of rankers whose score is a sum over the history: each of its items contributes.

Every ranker gives a user without any information (code -1, or an empty history) the items' popularity as scores. An
item code of -1 scores zero.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, NotFittedError
from cofactor.model import Kind, State, Task
from cofactor.models.base.age import aged, check_timed, faded, half_life_of, popularity
from cofactor.models.base.arrays import at, fitted, stored
from cofactor.models.base.average import average_scores, start_weight
from cofactor.models.base.propensity import debiased, item_worth, propensity_of
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.sparse import times
from cofactor.models.base.stored_rows import (
    LATER,
    csr_state,
    history_state,
    stored_average,
    stored_csr,
    stored_history,
    stored_strength,
)
from cofactor.models.base.strength import strength_of, weighted

Array = NDArray[Any]

_BLOCK = 1024
"""Number of users scored at a time for pairs."""


def scored_pairs(scores: Any, users: Array, items: Array) -> Array:
    """Return float32 (n,): scores of aligned users and items, from whole rows of ``scores(users)``; 0 for an unknown
    item."""
    users, items = np.asarray(users), np.asarray(items)
    out = np.zeros(len(users), dtype=np.float32)
    who, row = np.unique(users, return_inverse=True)
    order = np.argsort(row, kind="stable")
    starts = np.searchsorted(row[order], np.arange(0, len(who) + _BLOCK, _BLOCK))
    for block, (lo, hi) in enumerate(pairwise(starts)):
        first = block * _BLOCK
        table = scores(who[first : first + _BLOCK])
        pairs = order[lo:hi]
        out[pairs] = np.where(items[pairs] >= 0, table[row[pairs] - first, np.maximum(items[pairs], 0)], 0)
    return out


class ScoresAsState:
    """A ranker whose user state is the row of scores itself."""

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), n_items): their scores."""
        raise NotImplementedError

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """Return float32 (n,): scores of pairs. They are comparable only within a user."""
        return scored_pairs(self.scores, users, items)

    def scores(self, users: Array) -> Array:
        """Return float32 (len(users), n_items)."""
        return self.user_state(users)


class HistoryRanker(ScoresAsState):
    """Base of ``ease``, ``slim`` and ``item-cosine``: the score of an item is the sum of the contributions of the
    history's items.

    ``weights`` is float32 (n_items, n_items), dense or CSR. Row ``i`` holds the contributions of item ``i`` to each
    other item. ``history`` holds the training rows. A user's state is the row of scores itself.
    """

    name: ClassVar[str]
    task: ClassVar[Task] = "ranking"
    kind: ClassVar[Kind] = "solve"
    ordered: ClassVar[bool] = False
    """Whether the times of the training rows are always kept, even without a half-life."""
    weighs_rows: ClassVar[bool] = True
    from_average: ClassVar[bool] = True
    """Whether scores start from the average user (``base/average.py``)."""
    later: ClassVar[tuple[str, ...]] = LATER

    def __init__(self, config: Any) -> None:
        self.config = config
        self.weights: Array | CSR | None = None
        self.history: CSR | None = None
        self.popularity: Array | None = None
        self.range: Array | None = None
        self.average: Array | None = None
        self._worth: Array | None = None

    @property
    def worth(self) -> Array | None:
        """float32 (n_items,): the weight of a row of each item (``base/propensity.py``); None: all 1."""
        power = propensity_of(self.config)
        if power and self._worth is None:
            self._worth = item_worth(fitted(self.popularity, self.name), power)
        return self._worth

    def begin(self, data: Interactions) -> CSR:
        """Keep the training data that scoring needs. Returns the users' rows with weights instead of ratings.

        Raises ConfigError if a half-life is set and there are no times.
        """
        half_life = half_life_of(self.config)
        check_timed(self.name, half_life, data)
        rows = data.histories if half_life else data.by_user
        self.history = rows._replace(rows=np.empty(0, dtype=np.int64))
        self.popularity = popularity(data, half_life)
        self.range = strength_of(data)
        newest = int(data.times.max()) if half_life and data.times is not None and len(data) else None
        self._worth = None
        recent = faded(data, half_life)
        rows = self.history if recent is data else recent.histories
        rows = debiased(weighted(rows, self.range, self.config.min_rating_weight), self.worth)
        return aged(rows, half_life, newest)

    def solving(self, rows: CSR, solve: Callable[[], None]) -> SolveStepper:
        """Return a stepper that finds the weights by ``solve``, then the scores of the average user. ``rows``: from
        ``begin``."""

        def work() -> None:
            solve()
            self.average = average_scores(rows, self.summed)

        return SolveStepper(work)

    @classmethod
    def assembled(cls, config: Any, weights: CSR, history: CSR, popularity: Array, limits: Array) -> State:
        """Return the state of a model whose parts were computed elsewhere. The scores of the average user are computed
        from them."""
        model = cls(config)
        model.weights, model.history = weights, history._replace(order=None)
        model.popularity, model.range = popularity, limits
        model.average = average_scores(model.rows_of(model.history), model.summed)
        return model.state()

    def rows_of(self, histories: CSR) -> CSR:
        """Return histories with weights instead of ratings, and weights for their age."""
        limits = fitted(self.range, self.name)
        rows = debiased(weighted(histories, limits, self.config.min_rating_weight), self.worth)
        return aged(rows, half_life_of(self.config))

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), n_items): their scores."""
        users = np.asarray(users)
        fitted(self.popularity, self.name)
        assert self.history is not None
        empty = self.history.n_rows  # an extra row for unknown users
        padded = self.history._replace(indptr=np.append(self.history.indptr, self.history.indptr[-1]))
        return self.fold_in(padded.take(np.where(users < 0, empty, users)))

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, n_items): the scores of users with these ratings."""
        popular, rows = fitted(self.popularity, self.name), self.rows_of(histories)
        out = self.summed(rows)
        out += start_weight(histories.counts)[:, None] * fitted(self.average, self.name)
        out[(histories.counts == 0) | ~out.any(axis=1)] = popular
        return out

    def summed(self, rows: CSR) -> Array:
        """Return float32 (n, n_items): the sums of the contributions of weighted rows to each item."""
        if self.weights is None:
            raise NotFittedError(f"{self.name} is not trained yet; train it first")
        return times(rows, self.weights)

    def average_part(self, history: CSR, items: Array) -> Array:
        """Return float64 (len(items),): the average user's contribution to the scores of one history."""
        weight = start_weight(history.counts)[0] if len(history.indices) else np.float32(0.0)
        return np.asarray(weight * fitted(self.average, self.name)[np.asarray(items)], dtype=np.float64)

    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """Return float64 (len(items), 1 + len(positions)).

        A score is the average user's contribution plus a sum over the history, so an entry's part is its summand. The
        average user's contribution is kept unchanged.
        """
        items, rows = np.asarray(items), self.rows_of(history)
        parts = rows.values.astype(np.float64)[:, None] * self._added(rows.indices, items)
        if not parts.any():  # nothing can be subtracted from the average user's scores or from popularity
            same = self.fold_in(history)[0, items].astype(np.float64)
            return np.repeat(same[:, None], 1 + len(positions), axis=1)
        whole = parts.sum(axis=0) + self.average_part(history, items)
        return np.concatenate([whole[:, None], whole[:, None] - parts[positions].T], axis=1)

    def _added(self, rated: Array, items: Array) -> Array:
        """Return (len(rated), len(items)): the contribution of each item of a history to each of ``items``."""
        if self.weights is None:
            raise NotFittedError(f"{self.name} is not trained yet; train it first")
        if not isinstance(self.weights, CSR):
            return np.asarray(self.weights[rated[:, None], items])
        out = np.zeros((len(rated), len(items)), dtype=np.float32)
        order = np.argsort(items, kind="stable")
        for row, code in enumerate(rated.tolist()):
            others, values = self.weights.row(code)
            at = np.searchsorted(items[order], others)
            hit = np.flatnonzero((at < len(items)) & (items[order][np.minimum(at, len(items) - 1)] == others))
            out[row, order[at[hit]]] = values[hit]
        return out

    def scores_from(self, user_state: Array) -> Array:
        """Return a copy: the state is the scores."""
        return np.array(user_state, dtype=np.float32)

    def item_similarity(self, items: Array) -> Array:
        """Return float32 (len(items), n_items): the contribution of each of these to every item."""
        popular = fitted(self.popularity, self.name)
        items = np.asarray(items)
        if not isinstance(self.weights, CSR):
            return at(fitted(self.weights, self.name), items)
        out = np.zeros((len(items), len(popular)), dtype=np.float32)
        for row, item in enumerate(items):
            if item >= 0:
                others, values = self.weights.row(int(item))
                out[row, others] = values
        return out

    def without_users(self) -> Self:
        """Return the model without the training histories."""
        made = copy.copy(self)
        assert self.history is not None
        made.history = self.history.take(np.empty(0, dtype=np.int64))
        return made

    def shape(self) -> tuple[int, int]:
        """Return the numbers of users and items that it was trained for."""
        assert self.history is not None
        return self.history.n_rows, self.history.n_cols

    def state(self) -> State:
        """Return ``weights`` (dense; or ``weights_...``, CSR), ``history_...`` (CSR; with a half-life also
        ``history_order``, the times), ``popularity``, ``range`` and ``average``."""
        popular, limits = fitted(self.popularity, self.name), fitted(self.range, self.name)
        assert self.history is not None
        w = self.weights
        named = csr_state(w, "weights") if isinstance(w, CSR) else {"weights": fitted(w, self.name)}
        found = {**named, **history_state(self.history), "popularity": popular, "range": limits}
        return found | {"average": fitted(self.average, self.name)} if self.from_average else found

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Any:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = cls(config)
        model.popularity = stored(state, "popularity", np.float32, (None,))
        model.range = stored_strength(state)
        n = len(model.popularity)
        model.history = stored_history(state, n, cls.ordered or bool(half_life_of(config)))
        if cls.from_average:
            model.average = stored_average(state, n)
        if "weights" in state:
            model.weights = stored(state, "weights", np.float32, (n, n))
        else:
            model.weights = stored_csr(state, "weights", n)
            if model.weights.n_rows != n:
                raise BundleError(f"the weights of the saved model have {model.weights.n_rows} rows for {n} items")
        return model
