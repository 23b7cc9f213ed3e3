"""``item-knn`` and ``user-knn``: the ratings of the nearest neighbours, beyond the biases (Koren 2008, section 2.2).

A residual is a rating minus its biases. The similarity of two items (or users) is the correlation of their residuals
around zero over their ``n`` common users (items), shrunk by ``n / (n + shrink)``; its ``power`` is the weight. A
prediction adds to the biases the weighted mean of the residuals of those of the ``k`` nearest neighbours that have one.
``damping`` in the sum of weights pulls it to zero if the neighbours are few or distant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.knn import item_rows, pair_means, user_rows
from cofactor.model import Cost, Hyper, Kind, State, Stepper, TableSize, Task, Terms
from cofactor.models.base.arrays import at, check_at_least, clipped_terms, fitted, stored
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING, TURNED, WORK
from cofactor.models.base.sparse import frozen, transposed
from cofactor.models.bias import Bias, BiasConfig
from cofactor.models.knn.rows import NO_ROWS, check_codes, list_rows, merged, narrowed, nearest, stored_rows

Array = NDArray[Any]

TINY = np.float32(1e-30)
"""Replaces a residual of exactly zero, since zero means not rated."""


@dataclass(frozen=True)
class ItemKNNConfig:
    """Parameters of ``item-knn``. The defaults were chosen on parts of the training rows of ml-100k and
    MovieTweetings."""

    k: int = option(300, "neighbours kept of each item", Search(50, 500, log=True))
    shrink: float = option(100.0, "shared raters at which a correlation counts half", Search(10.0, 300.0, log=True))
    power: float = option(2.0, "the weight is the correlation to this power", Search(1.0, 3.0))
    damping: float = option(
        0.05, "weight of the biases alone, which pulls predictions to them", Search(0.01, 1.0, log=True)
    )

    def __post_init__(self) -> None:
        check_at_least(self, k=1, shrink=0, power=0.01, damping=0)


@dataclass(frozen=True)
class UserKNNConfig:
    """Parameters of ``user-knn``. The defaults were chosen on parts of the training rows of ml-100k and
    MovieTweetings."""

    k: int = option(500, "neighbours kept of each user", Search(100, 1000, log=True))
    shrink: float = option(100.0, "shared items at which a correlation counts half", Search(10.0, 300.0, log=True))
    power: float = option(1.5, "the weight is the correlation to this power", Search(1.0, 3.0))
    damping: float = option(
        0.1, "weight of the biases alone, which pulls predictions to them", Search(0.01, 3.0, log=True)
    )

    def __post_init__(self) -> None:
        check_at_least(self, k=1, shrink=0, power=0.01, damping=0)


class _KNN:
    """The shared base: biases, the training residuals by user, and a list of neighbours for each item or user.

    ``predict`` clips to the range of the training ratings; ``scores`` does not, so that the order is kept.
    """

    name: ClassVar[str]
    task: ClassVar[Task] = "rating"
    kind: ClassVar[Kind] = "solve"
    of_items: ClassVar[bool]
    """Whether items (not users) have neighbours."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.base = Bias()
        self.by_user: CSR | None = None
        self.by_item: CSR | None = None
        self.neighbours: Array | None = None
        self.weights: Array | None = None
        self._all: CSR | None = None
        self._some: tuple[Array, CSR] | None = None
        """The summed matrix for all items, and for those of the last request."""

    @classmethod
    def cost(cls, config: Any, size: TableSize) -> Cost:
        """Return the cost: the table by user and by item, the residuals of both, and the lists of neighbours."""
        n, rows = size.ratings, size.items if cls.of_items else size.users
        lists = 8 * rows * min(config.k, rows)
        kept = (GROUPED + TURNED) * n + 2 * lists
        memory = (GROUPED + TURNED + GROUPING + 14) * n + 2 * lists + WORK
        pairs, each = (size.pairs_by_user, "user") if cls.of_items else (size.pairs_by_item, "item")
        return Cost(memory, kept, 20 * pairs, f"sum over {each}s of (ratings of the {each})^2", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> KNNStepper:
        """Start without neighbours. A single run computes everything."""
        return KNNStepper(self, data, rng)

    def learn(self, by_user: CSR, by_item: CSR) -> None:
        """Find neighbours among these residuals, and keep both."""
        self.by_user, self.by_item, self._all, self._some = by_user, by_item, None, None
        rows, base = (by_item, by_user) if self.of_items else (by_user, by_item)
        self.neighbours, self.weights = nearest(rows, base, rows.counts, self.config)

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """Return float32 (n,), within the range of the training ratings. A code of -1 counts as average."""
        users, items = np.asarray(users), np.asarray(items)
        plain = (
            at(self.base.bias("item"), items) + fitted(self.base.mean, self.name) + at(self.base.bias("user"), users)
        )
        low, high = fitted(self.base.range, self.name)
        return np.asarray(np.clip(plain + self._parts(users, items), low, high))

    def _parts(self, users: Array, items: Array) -> Array:
        lists, look = (items, self._rows()) if self.of_items else (users, self._columns())
        rows = users if self.of_items else items
        out = np.empty(len(rows), dtype=np.float32)
        neighbours, weights = fitted(self.neighbours, self.name), fitted(self.weights, self.name)
        codes = (np.ascontiguousarray(lists, np.int32), np.ascontiguousarray(rows, np.int32))
        pair_means(
            codes[0],
            neighbours,
            weights,
            codes[1],
            look.indptr,
            look.indices,
            look.values,
            self.config.damping,
            out,
        )
        return out

    def _rows(self) -> CSR:
        if self.by_user is None:
            fitted(None, self.name)
        assert self.by_user is not None
        return self.by_user

    def _columns(self) -> CSR:
        """Return the residuals by item, computed when first needed."""
        if self.by_item is None:
            self.by_item = transposed(self._rows())
        return self.by_item

    def scores(self, users: Array) -> Array:
        """Return float32 (len(users), n_items), not clipped."""
        return self.scores_from(self.user_state(users))

    def user_state(self, users: Array) -> Array:
        raise NotImplementedError

    def scores_from(self, user_state: Array) -> Array:
        """Return float32 (len(user_state), n_items), not clipped."""
        if self._all is None:
            self._all = self.summed(None)
        return self._scored(user_state, self._all, self.base.bias("item"))

    def scores_among(self, user_state: Array, items: Array) -> Array:
        """Return float32 (len(user_state), len(items)): these columns of ``scores_from``."""
        items = np.asarray(items)
        some = self._some
        if some is None or not np.array_equal(some[0], items):
            some = (items.copy(), self.summed(items))
            if len(items) > 1:  # one item is requested only once, to explain it
                self._some = some
        return self._scored(user_state, some[1], self.base.bias("item")[items])

    def summed(self, items: Array | None) -> CSR:
        """Return the matrix that is summed for these items (None: all), one column each: the lists by neighbour, or the
        residuals."""
        raise NotImplementedError

    def _scored(self, user_state: Array, rows: CSR, bias: Array) -> Array:
        states = np.ascontiguousarray(user_state, dtype=np.float32)
        plain = bias + fitted(self.base.mean, self.name)
        damping, out = np.float32(self.config.damping), np.empty((len(states), rows.n_cols), dtype=np.float32)
        given = (*frozen(states, rows.indptr, rows.indices, rows.values, plain), damping, out)
        kernel = item_rows if self.of_items else user_rows
        over_rows(lambda a, b: kernel(a, b, *given), np.arange(len(states) + 1) * (8 * rows.n_cols))
        return out

    def residuals(self, histories: CSR) -> tuple[Array, CSR]:
        """Return the biases of users with these ratings, float32 (n,), and the residuals; the mean of them if a user
        rated an item more than once."""
        bias = self.base.fold_in(histories)[:, 0]
        who = np.repeat(np.arange(histories.n_rows), histories.counts)
        plain = self.base.bias("item")[histories.indices] + fitted(self.base.mean, self.name) + bias[who]
        return bias, merged(histories._replace(values=(histories.values - plain).astype(np.float32), rows=NO_ROWS))

    def terms(self, user: int, item: int, time: int | None = None) -> Terms:
        """Return global mean, user, item, a term for each neighbour by its code, and the clip if they leave the
        scale."""
        bias = float(at(self.base.bias("user"), np.array([user]))[0])
        if user < 0 or item < 0:
            return self._account(bias, item, NO_ROWS, NO_ROWS, NO_ROWS, NO_ROWS)
        mine, row, look = (item, user, self._rows()) if self.of_items else (user, item, self._columns())
        neighbours, weights = fitted(self.neighbours, self.name)[mine], fitted(self.weights, self.name)[mine]
        return self._account(bias, item, neighbours, weights, *look.row(row))

    def _account(self, bias: float, item: int, neighbours: Array, weights: Array, codes: Array, values: Array) -> Terms:
        """Return the terms. The residuals of the neighbours are looked up in ``codes`` (ascending) and ``values``."""
        named = {"global": float(fitted(self.base.mean, self.name)), "user": bias}
        named["item"] = float(at(self.base.bias("item"), np.array([item]))[0])
        used = np.isin(neighbours, codes)
        total = float(weights[used].sum(dtype=np.float64)) + self.config.damping
        for other, weight in zip(neighbours[used].tolist(), weights[used].tolist(), strict=True):
            named[f"neighbour {other}"] = weight * float(values[np.searchsorted(codes, other)]) / total
        return clipped_terms(named, fitted(self.base.range, self.name))

    def factors(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n, 0): there are none."""
        return self.base.factors(which)

    def bias(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n,)."""
        return self.base.bias(which)

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        return len(self.bias("user")), len(self.bias("item"))

    def state(self) -> State:
        """Return the state of ``bias``; the residuals by user as CSR (``indptr`` int64, ``indices`` int32,
        ``residuals`` float32); ``neighbours`` int32 (n, k), nearest first, -1 if there are no more; their ``weights``
        float32 (n, k)."""
        rows = self._rows()
        lists = {"neighbours": fitted(self.neighbours, self.name), "weights": fitted(self.weights, self.name)}
        parts = {"indptr": rows.indptr, "indices": rows.indices, "residuals": rows.values}
        return self.base.state() | parts | lists

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = cls(config)
        model.base = Bias.from_state(BiasConfig(), state)
        n_users, n_items = len(model.bias("user")), len(model.bias("item"))
        model.by_user = stored_rows(state, n_users, n_items)
        n = n_items if cls.of_items else n_users
        model.neighbours = stored(state, "neighbours", np.int32, (n, min(config.k, n)))
        model.weights = stored(state, "weights", np.float32, model.neighbours.shape)
        check_codes("neighbours", model.neighbours, -1, n)
        return model


class ItemKNN(_KNN):
    """Neighbours of items: a user's own residuals on the items most similar to the one in question."""

    name: ClassVar[str] = "item-knn"
    of_items: ClassVar[bool] = True
    Config = ItemKNNConfig

    def __init__(self, config: ItemKNNConfig | None = None) -> None:
        super().__init__(config or ItemKNNConfig())

    def item_similarity(self, items: Array) -> Array:
        """Return float32 (len(items), n_items): shrunk correlations; 1 with itself, 0 for those that are not kept."""
        items = np.asarray(items)
        near, weights = fitted(self.neighbours, self.name)[items], fitted(self.weights, self.name)[items]
        out = np.zeros((len(items), len(self.base.bias("item"))), dtype=np.float32)
        who, place = np.nonzero(near >= 0)
        out[who, near[who, place]] = weights[who, place] ** np.float32(1 / self.config.power)
        out[np.arange(len(items)), items] = 1.0
        return out

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, 1 + n_items): biases, then residuals (0: not rated)."""
        bias, rows = self.residuals(histories)
        return self._spread_out(bias, rows)

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), 1 + n_items): biases, then residuals (0: not rated)."""
        users = np.asarray(users)
        rows = self._rows().take(np.maximum(users, 0))
        state = self._spread_out(at(self.base.bias("user"), users), rows)
        state[users < 0] = 0.0
        return state

    def _spread_out(self, bias: Array, rows: CSR) -> Array:
        state = np.zeros((rows.n_rows, 1 + rows.n_cols), dtype=np.float32)
        state[:, 0] = bias
        who = np.repeat(np.arange(rows.n_rows), rows.counts)
        state[who, 1 + rows.indices] = np.where(rows.values == 0, TINY, rows.values)
        return state

    def terms_from(self, user_state: Array, item: int) -> Terms:
        """Return the terms, for a user with this bias and these residuals (1 + n_items,)."""
        neighbours, weights = fitted(self.neighbours, self.name)[item], fitted(self.weights, self.name)[item]
        codes = np.flatnonzero(user_state[1:])
        return self._account(float(user_state[0]), item, neighbours, weights, codes, user_state[1 + codes])

    def summed(self, items: Array | None) -> CSR:
        """Return the weight of each item as a neighbour of these items (None: all)."""
        neighbours, weights = fitted(self.neighbours, self.name), fitted(self.weights, self.name)
        some = slice(None) if items is None else items
        return transposed(list_rows(neighbours[some], weights[some], len(neighbours)))


class UserKNN(_KNN):
    """Neighbours of users: the residuals of the users with the most similar taste on the item in question."""

    name: ClassVar[str] = "user-knn"
    of_items: ClassVar[bool] = False
    Config = UserKNNConfig

    def __init__(self, config: UserKNNConfig | None = None) -> None:
        super().__init__(config or UserKNNConfig())

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, 1 + 2 k): biases, then the codes of neighbours (-1: no more), then their weights."""
        bias, rows = self.residuals(histories)
        neighbours, weights = nearest(rows, self._columns(), self._rows().counts, self.config)
        return np.concatenate([bias[:, None], neighbours.astype(np.float32), weights], axis=1)

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), 1 + 2 k): biases, then the codes of neighbours (-1: no more), then their
        weights."""
        users = np.asarray(users)
        neighbours = fitted(self.neighbours, self.name)[np.maximum(users, 0)].astype(np.float32)
        neighbours[users < 0] = -1
        bias, weights = at(self.base.bias("user"), users), at(fitted(self.weights, self.name), users)
        return np.concatenate([bias[:, None], neighbours, weights], axis=1)

    def terms_from(self, user_state: Array, item: int) -> Terms:
        """Return the terms, for a user with this bias and these neighbours (1 + 2 k,)."""
        bias, (neighbours, weights) = float(user_state[0]), np.split(user_state[1:], 2)
        return self._account(bias, item, neighbours.astype(np.int32), weights, *self._columns().row(item))

    def summed(self, items: Array | None) -> CSR:
        """Return the residuals of all users on these items (None: all)."""
        return self._rows() if items is None else narrowed(self._rows(), items)


class KNNStepper(Stepper):
    """Biases, residuals and neighbours, all in one run."""

    def __init__(self, model: _KNN, data: Interactions, rng: np.random.Generator) -> None:
        self.model, self.data = model, data
        self.biases = model.base.stepper(data, rng)
        blank = data.by_user
        model.by_user = blank._replace(values=np.zeros_like(blank.values), rows=NO_ROWS)
        model.by_item = None
        n = data.n_items if model.of_items else data.n_users
        model.neighbours = np.full((n, min(model.config.k, n)), -1, dtype=np.int32)
        model.weights = np.zeros(model.neighbours.shape, dtype=np.float32)

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Compute everything. There is no training loss."""
        for _ in range(self.model.base.config.epochs):
            self.biases.run(None, None)
        self._residuals()
        return np.zeros(0)

    def _residuals(self) -> None:
        _, by_user = self.model.residuals(self.data.by_user)
        self.model.learn(by_user, transposed(by_user))

    def snapshot(self) -> State:
        """Return the biases, from which the rest follows."""
        return self.biases.snapshot()

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        self.biases.restore(state)
        self._residuals()
