"""What the rankers share: how much a rating counts, scores from a user's history, scores from factors.

Every ranker gives a user that it knows nothing about (code -1, or an empty history) the popularity of the
items as scores. An item code of -1 scores zero.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, ConfigError, NotFittedError
from cofactor.kernels.products import dots, row_dots
from cofactor.model import Kind, State, Stepper, Task
from cofactor.models.base.arrays import at, fitted, stored
from cofactor.models.base.average import average_scores, start_weight
from cofactor.models.base.config import option
from cofactor.models.base.sparse import times
from cofactor.models.base.strength import strength_of, strengths

Array = NDArray[Any]

_BLOCK = 1024
"""Users scored at a time where pairs are asked for."""
DAY = 86_400


def half_life_option() -> Any:
    """The config field of rankers whose rows may weigh less with age."""
    return option(0.0, "days after which a row counts half; 0: rows of any age count the same")


def half_life_of(config: Any) -> float:
    """The config's half-life in days; 0 (no decay) where it has no such option."""
    return float(getattr(config, "half_life", 0.0))


def check_half_life(half_life: float) -> None:
    """ConfigError unless it is a number of days, or 0."""
    if not half_life >= 0:
        raise ConfigError(f"half_life is {half_life}; it must be 0 or more days")


def check_timed(name: str, half_life: float, data: Interactions) -> None:
    """ConfigError where a half-life is set and the data have no times."""
    if half_life and data.times is None:
        raise ConfigError(f"{name} with a half_life needs times; name the time column, or set half_life=0")


def aged(rows: CSR, half_life: float, newest: int | None = None) -> CSR:
    """The same rows, each entry's value halved with every ``half_life`` days of age: seen from ``newest`` (seconds), or
    from the newest entry of its row. Without a half-life or times nothing changes.

    A user's own list depends on how old the entries are relative to each other; what all users say of an item depends
    on how old they are today.
    """
    if not half_life or rows.order is None or not len(rows.indices):
        return rows
    end: Array | int = newest if newest is not None else 0
    if newest is None:
        some = rows.counts > 0
        last = np.maximum.reduceat(rows.order, rows.indptr[:-1][some])
        end = np.repeat(last, rows.counts[some])
    decay = 0.5 ** (np.maximum(end - rows.order, 0) / (DAY * half_life))
    return rows._replace(values=(rows.values * decay).astype(np.float32))


def popularity(data: Interactions, half_life: float = 0.0) -> Array:
    """float32 (n_items,): rows of each item, over those of the most popular one; rows count less with age where there
    is a half-life."""
    if not half_life or data.times is None or not len(data):
        return popularity_of(np.bincount(data.items, minlength=data.n_items))
    decay = 0.5 ** ((int(data.times.max()) - data.times) / (DAY * half_life))
    return popularity_of(np.bincount(data.items, decay, minlength=data.n_items))


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


LATER = ("average",)
"""Arrays that the states of earlier versions do not have."""


def stored_average(state: Mapping[str, Array], n: int) -> Array:
    """The ``average`` of a state, float32 (n,); zeros for one of an earlier version, which did not start from it."""
    return stored(state, "average", np.float32, (n,)) if "average" in state else np.zeros(n, dtype=np.float32)


def stored_history(state: Mapping[str, Array], n_cols: int, ordered: bool) -> CSR:
    """The training rows of a state; with ``ordered``, their times too."""
    history = stored_csr(state, "history", n_cols)
    if not ordered:
        return history
    return history._replace(order=stored(state, "history_order", np.int64, (len(history.indices),)))


def history_state(history: CSR) -> State:
    """The arrays that ``stored_history`` reads."""
    times = {} if history.order is None else {"history_order": history.order}
    return {**csr_state(history, "history"), **times}


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
    ordered: ClassVar[bool] = False
    """Whether the times of the training rows are kept, with a half-life or without."""
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

    def begin(self, data: Interactions) -> CSR:
        """Keep what scoring needs of the training data; returns the users' rows with weights for ratings.

        ConfigError where a half-life is set and there are no times.
        """
        half_life = half_life_of(self.config)
        check_timed(self.name, half_life, data)
        rows = data.histories if half_life else data.by_user
        self.history = rows._replace(rows=np.empty(0, dtype=np.int64))
        self.popularity = popularity(data, half_life)
        self.range = strength_of(data)
        newest = int(data.times.max()) if half_life and data.times is not None and len(data) else None
        return aged(weighted(self.history, self.range, self.config.min_rating_weight), half_life, newest)

    def solving(self, rows: CSR, solve: Callable[[], None]) -> SolveStepper:
        """A stepper that finds the weights by ``solve``, then what the average user adds; ``rows``: from ``begin``."""

        def work() -> None:
            solve()
            self.average = average_scores(rows, self.summed)

        return SolveStepper(work)

    @classmethod
    def assembled(cls, config: Any, weights: CSR, history: CSR, popularity: Array, limits: Array) -> State:
        """The state of a model whose parts were found elsewhere; what the average user adds comes from them."""
        model = cls(config)
        model.weights, model.history = weights, history._replace(order=None)
        model.popularity, model.range = popularity, limits
        model.average = average_scores(model.rows_of(model.history), model.summed)
        return model.state()

    def rows_of(self, histories: CSR) -> CSR:
        """Histories with weights for ratings, and for their age."""
        limits = fitted(self.range, self.name)
        return aged(weighted(histories, limits, self.config.min_rating_weight), half_life_of(self.config))

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
        popular, rows = fitted(self.popularity, self.name), self.rows_of(histories)
        out = self.summed(rows)
        out += start_weight(histories.counts)[:, None] * fitted(self.average, self.name)
        out[(histories.counts == 0) | ~out.any(axis=1)] = popular
        return out

    def summed(self, rows: CSR) -> Array:
        """float32 (n, n_items): the sums of what the entries of weighted rows add to each item."""
        if self.weights is None:
            raise NotFittedError(f"{self.name} has not learned anything yet; train it before asking it for a result")
        return times(rows, self.weights)

    def average_part(self, history: CSR, items: Array) -> Array:
        """float64 (len(items),): what the average user adds to the scores of the one history."""
        weight = start_weight(history.counts)[0] if len(history.indices) else np.float32(0.0)
        return np.asarray(weight * fitted(self.average, self.name)[np.asarray(items)], dtype=np.float64)

    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """float64 (len(items), 1 + len(positions)): a score is what the average user adds and a sum over the history,
        so that an entry's part is its summand. (What the average user adds stays as it is.)"""
        items, rows = np.asarray(items), self.rows_of(history)
        parts = rows.values.astype(np.float64)[:, None] * self._added(rows.indices, items)
        if not parts.any():  # nothing is added to them: what the average user has, or popularity
            same = self.fold_in(history)[0, items].astype(np.float64)
            return np.repeat(same[:, None], 1 + len(positions), axis=1)
        whole = parts.sum(axis=0) + self.average_part(history, items)
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
        """``weights`` (dense; or ``weights_...``, CSR), ``history_...`` (CSR; with a half-life their
        times, ``history_order``), ``popularity``, ``range`` and ``average``."""
        popular, limits = fitted(self.popularity, self.name), fitted(self.range, self.name)
        assert self.history is not None
        w = self.weights
        named = csr_state(w, "weights") if isinstance(w, CSR) else {"weights": fitted(w, self.name)}
        found = {**named, **history_state(self.history), "popularity": popular, "range": limits}
        return found | {"average": fitted(self.average, self.name)} if self.from_average else found

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Any:
        """The same model again; BundleError where an array does not fit."""
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
