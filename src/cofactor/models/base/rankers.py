"""What the rankers share: how much a rating counts, scores from a user's history, scores from factors.

Every ranker gives a user that it knows nothing about (code -1, or an empty history) the popularity of the
items as scores. An item code of -1 scores zero.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, ConfigError, NotFittedError
from cofactor.kernels.products import dots, row_dots
from cofactor.model import Kind, State, Stepper, Task
from cofactor.models.base.arrays import at, fitted, stored
from cofactor.models.base.sparse import times
from cofactor.models.base.strength import strength_of, strengths

Array = NDArray[Any]

_BLOCK = 1024
"""Users scored at a time where pairs are asked for."""


def popularity(data: Interactions) -> Array:
    """float32 (n_items,): rows of each item, over those of the most popular one."""
    return popularity_of(np.bincount(data.items, minlength=data.n_items))


def popularity_of(counts: Array) -> Array:
    """The same from the number of rows of each item."""
    shares = counts.astype(np.float32)
    return shares / max(float(shares.max(initial=0)), 1.0)


def check_min_weight(low: float) -> None:
    """ConfigError unless the weight of the lowest rating is between 0 and 1."""
    if not 0 <= low <= 1:
        raise ConfigError(f"min_rating_weight is {low}; it must be between 0 and 1")


def weighted(rows: CSR, strength: Array, low: float) -> CSR:
    """The same rows with weights for values."""
    return rows._replace(values=strengths(rows.values, strength, low))


def stored_strength(state: Mapping[str, Array]) -> Array:
    """The ``range`` of a state, as :func:`strength_of` gives it; BundleError where it is not one."""
    found = stored(state, "range", np.float32, (None,))
    if len(found) not in (2, 3) or not np.isfinite(found).all():
        raise BundleError("the array 'range' of the saved model does not say what values weigh")
    return found


def scored_pairs(scores: Any, users: Array, items: Array) -> Array:
    """float32 (n,): scores of aligned users and items, by whole rows of ``scores(users)``; 0 for an unknown item."""
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


def stored_csr(state: Mapping[str, Array], prefix: str, n_cols: int) -> CSR:
    """A CSR matrix of a state: ``<prefix>_indptr``, ``_indices``, ``_values``; BundleError where it is not one."""
    indptr = stored(state, f"{prefix}_indptr", np.int64, (None,))
    indices = stored(state, f"{prefix}_indices", np.int32, (None,))
    values = stored(state, f"{prefix}_values", np.float32, (len(indices),))
    whole = len(indptr) > 0 and indptr[0] == 0 and indptr[-1] == len(indices) and bool((np.diff(indptr) >= 0).all())
    if not whole or (len(indices) and (indices.min() < 0 or indices.max() >= n_cols)):
        raise BundleError(f"the arrays '{prefix}_...' of the saved model do not make a sparse matrix")
    return CSR(indptr, indices, values, np.empty(0, dtype=np.int64), n_cols)


def csr_state(matrix: CSR, prefix: str) -> State:
    """The arrays that ``stored_csr`` reads."""
    return {f"{prefix}_indptr": matrix.indptr, f"{prefix}_indices": matrix.indices, f"{prefix}_values": matrix.values}


class HistoryRanker:
    """Base of ``ease``, ``slim`` and ``item-cosine``: the score of an item is what each item of the history adds to it.

    ``weights`` is float32 (n_items, n_items), dense or CSR; row ``i`` says what having item ``i`` adds to each other.
    ``history`` holds the training rows. A user's state is the row of scores itself.
    """

    name: ClassVar[str]
    task: ClassVar[Task] = "ranking"
    kind: ClassVar[Kind] = "solve"

    def __init__(self, config: Any) -> None:
        self.config = config
        self.weights: Array | CSR | None = None
        self.history: CSR | None = None
        self.popularity: Array | None = None
        self.range: Array | None = None

    def begin(self, data: Interactions) -> CSR:
        """Keep what scoring needs of the training data; returns the users' rows with weights for ratings."""
        self.history = data.by_user._replace(rows=np.empty(0, dtype=np.int64))
        self.popularity = popularity(data)
        self.range = strength_of(data)
        return weighted(self.history, self.range, self.config.min_rating_weight)

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """float32 (n,): scores of pairs; only their order within a user means something."""
        return scored_pairs(self.scores, users, items)

    def scores(self, users: Array) -> Array:
        """float32 (len(users), n_items)."""
        return self.user_state(users)

    def user_state(self, users: Array) -> Array:
        """float32 (len(users), n_items): their scores."""
        users = np.asarray(users)
        fitted(self.popularity, self.name)
        assert self.history is not None
        empty = self.history.n_rows  # a row of its own for users never seen
        padded = self.history._replace(indptr=np.append(self.history.indptr, self.history.indptr[-1]))
        return self.fold_in(padded.take(np.where(users < 0, empty, users)))

    def fold_in(self, histories: CSR) -> Array:
        """float32 (n, n_items): the scores of users with these ratings."""
        popular, limits = fitted(self.popularity, self.name), fitted(self.range, self.name)
        rows = weighted(histories, limits, self.config.min_rating_weight)
        if self.weights is None:
            raise NotFittedError(f"{self.name} has not learned anything yet; train it before asking it for a result")
        out = times(rows, self.weights)
        out[~out.any(axis=1)] = popular
        return out

    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """float64 (len(items), 1 + len(positions)): a score is a sum over the history, so that an entry's part is its
        summand. (Where nothing remains of a history, what is compared with is a score of 0, not popularity.)"""
        limits, items = fitted(self.range, self.name), np.asarray(items)
        rows = weighted(history, limits, self.config.min_rating_weight)
        parts = rows.values.astype(np.float64)[:, None] * self._added(rows.indices, items)
        if not parts.any():  # nothing is added to them: popularity, or a score of zero
            same = self.fold_in(history)[0, items].astype(np.float64)
            return np.repeat(same[:, None], 1 + len(positions), axis=1)
        whole = parts.sum(axis=0)
        return np.concatenate([whole[:, None], whole[:, None] - parts[positions].T], axis=1)

    def _added(self, rated: Array, items: Array) -> Array:
        """(len(rated), len(items)): what having each item of a history adds to each of ``items``."""
        if self.weights is None:
            raise NotFittedError(f"{self.name} has not learned anything yet; train it before asking it for a result")
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
        """The state is the scores: a copy."""
        return np.array(user_state, dtype=np.float32)

    def item_similarity(self, items: Array) -> Array:
        """float32 (len(items), n_items): what having each of these adds to every item."""
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
        """The same without the histories of training."""
        made = copy.copy(self)
        assert self.history is not None
        made.history = self.history.take(np.empty(0, dtype=np.int64))
        return made

    def shape(self) -> tuple[int, int]:
        """For how many users and items it was made."""
        assert self.history is not None
        return self.history.n_rows, self.history.n_cols

    def state(self) -> State:
        """``weights`` (dense; or ``weights_...``, CSR), ``history_...`` (CSR), ``popularity`` and ``range``."""
        popular, limits = fitted(self.popularity, self.name), fitted(self.range, self.name)
        assert self.history is not None
        w = self.weights
        named = csr_state(w, "weights") if isinstance(w, CSR) else {"weights": fitted(w, self.name)}
        return {**named, **csr_state(self.history, "history"), "popularity": popular, "range": limits}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Any:
        """The same model again; BundleError where an array does not fit."""
        model = cls(config)
        model.popularity = stored(state, "popularity", np.float32, (None,))
        model.range = stored_strength(state)
        n = len(model.popularity)
        model.history = stored_csr(state, "history", n)
        if "weights" in state:
            model.weights = stored(state, "weights", np.float32, (n, n))
        else:
            model.weights = stored_csr(state, "weights", n)
            if model.weights.n_rows != n:
                raise BundleError(f"the weights of the saved model have {model.weights.n_rows} rows for {n} items")
        return model


class FactorRanker:
    """Base of ``ials``, ``bpr`` and ``warp``: the score is a dot product of factors, plus the item's bias.

    ``user_factors`` (n_users, k), ``item_factors`` (n_items, k), ``item_bias`` (n_items,), all float32. A user's state
    is the row of factors; a row of zeros stands for a user about whom nothing is known.
    """

    name: ClassVar[str]
    task: ClassVar[Task] = "ranking"
    kind: ClassVar[Kind] = "sweep"

    def __init__(self, config: Any) -> None:
        self.config = config
        self.user_factors: Array | None = None
        self.item_factors: Array | None = None
        self.item_bias: Array | None = None
        self.mean_count: Array | None = None
        self.popularity: Array | None = None
        self.range: Array | None = None

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """float32 (n,): scores of pairs; only their order within a user means something."""
        state, items = self.user_state(users), np.asarray(items)
        factors, bias = self.factors("item"), self.bias("item")
        found: Array = np.einsum("nk,nk->n", state, at(factors, items)) + at(bias, items)
        return np.where(state.any(axis=1), found, at(fitted(self.popularity, self.name), items)).astype(np.float32)

    def scores(self, users: Array) -> Array:
        """float32 (len(users), n_items)."""
        return self.scores_from(self.user_state(users))

    def user_state(self, users: Array) -> Array:
        """float32 (len(users), k): their factors."""
        return at(fitted(self.user_factors, self.name), users)

    def scores_from(self, user_state: Array) -> Array:
        """float32 (len(user_state), n_items)."""
        factors, popular = fitted(self.item_factors, self.name), fitted(self.popularity, self.name)
        found = dots(user_state, factors)
        found += self.item_bias
        found[~user_state.any(axis=1)] = popular
        return found

    def query_vectors(self, user_state: Array) -> Array:
        """float32 (n, k + 1): the factors, and 1 for the item's bias; zeros for who gets the popularity."""
        known = np.asarray(user_state).any(axis=1, keepdims=True)
        return np.concatenate([user_state, known], axis=1, dtype=np.float32)

    def item_vectors(self) -> Array:
        """float32 (n_items, k + 1): factors, then the bias."""
        return np.concatenate([self.factors("item"), self.bias("item")[:, None]], axis=1)

    def scores_at(self, user_state: Array, items: Array) -> Array:
        """float32 (n, m): the scores of each row's own items."""
        state = np.asarray(user_state, dtype=np.float32)
        found = row_dots(state, self.factors("item"), items) + self.bias("item")[items]
        known = np.asarray(state.any(axis=1))[:, None]
        return np.where(known, found, fitted(self.popularity, self.name)[items])

    def without_users(self) -> Self:
        """The same without the factors of the users of training."""
        made = copy.copy(self)
        made.user_factors = fitted(self.user_factors, self.name)[:0]
        return made

    def shape(self) -> tuple[int, int]:
        """(users, items) of the training data."""
        return len(fitted(self.user_factors, self.name)), len(fitted(self.item_factors, self.name))

    def factors(self, which: Literal["user", "item"]) -> Array:
        """float32 (n, k)."""
        return fitted(self.user_factors if which == "user" else self.item_factors, self.name)

    def bias(self, which: Literal["user", "item"]) -> Array:
        """float32 (n,); users have none."""
        if which == "item":
            return fitted(self.item_bias, self.name)
        return np.zeros(len(self.factors("user")), dtype=np.float32)

    def state(self) -> State:
        """``user_factors``, ``item_factors``, ``item_bias``, ``popularity``, ``range``, ``mean_count`` (of a user)."""
        names = ("user_factors", "item_factors", "item_bias", "popularity", "range", "mean_count")
        return {name: fitted(getattr(self, name), self.name) for name in names}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Any:
        """The same model again; BundleError where an array does not fit."""
        model = cls(config)
        model.item_factors = stored(state, "item_factors", np.float32, (None, None))
        n, k = model.item_factors.shape
        model.user_factors = stored(state, "user_factors", np.float32, (None, k))
        model.item_bias = stored(state, "item_bias", np.float32, (n,))
        model.popularity = stored(state, "popularity", np.float32, (n,))
        model.range = stored_strength(state)
        model.mean_count = stored(state, "mean_count", np.float64, ())
        return model


class SolveStepper(Stepper):
    """A stepper for models that are solved at once: ``solve`` does it all when first run; there is no training loss."""

    def __init__(self, solve: Any) -> None:
        self.solve = solve
        self.done = False

    def run(self, rows: Array | None, hyper: Any) -> Array:
        """Solve (again); no losses."""
        self.solve()
        self.done = True
        return np.empty(0)

    def snapshot(self) -> State:
        """Whether it has run; solving again returns the same."""
        return {"done": np.array(self.done)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Solve where the snapshot had been solved."""
        if bool(state["done"]) and not self.done:
            self.run(None, None)
