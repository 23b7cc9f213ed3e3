"""Shared base of trained models of the form ``mean + user bias + item bias + user factors . item factors``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.kernels.bias import mean_value
from cofactor.kernels.products import dots, row_dots
from cofactor.model import Kind, State, Task, Terms
from cofactor.models.base.arrays import at, clipped_terms, fitted, stored, stored_range

Array = NDArray[Any]


class BiasedFactors:
    """Predicts, explains and stores. A subclass learns the tables.

    ``users`` and ``items`` are float32 (n, k + 1): the factors, then the bias. ``predict`` clips to the range of the
    training ratings; ``scores`` does not, so that the order is kept.
    """

    name: ClassVar[str]
    task: ClassVar[Task] = "rating"
    kind: ClassVar[Kind] = "sweep"

    def __init__(self, config: Any) -> None:
        self.config = config
        self.mean: Array | None = None
        self.range: Array | None = None
        self.users: Array | None = None
        self.items: Array | None = None

    def begin(self, data: Interactions) -> None:
        """Set the mean and range of the data, and tables of zeros."""
        d = self.config.n_factors + 1
        self.mean = np.array(mean_value(data.by_user), dtype=np.float32)
        self.range = np.array(data.range, dtype=np.float32)
        self.users = np.zeros((data.n_users, d), dtype=np.float32)
        self.items = np.zeros((data.n_items, d), dtype=np.float32)

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """Return float32 (n,), within the range of the training ratings. A code of -1 counts as average."""
        mean, limits, user_table, item_table = self.tables()
        users, items = np.asarray(users), np.asarray(items)
        out = np.empty(len(users), dtype=np.float32)
        for lo in range(0, len(users), 1 << 16):
            part = slice(lo, lo + (1 << 16))
            u, i = at(user_table, users[part]), at(item_table, items[part])
            out[part] = np.einsum("nk,nk->n", u[:, :-1], i[:, :-1]) + (i[:, -1] + mean) + u[:, -1]
        return np.clip(out, limits[0], limits[1], out=out)

    def scores(self, users: Array) -> Array:
        """Return float32 (len(users), n_items), not clipped."""
        return self.scores_from(self.user_state(users))

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), k + 1): factors, then bias."""
        return at(self.tables()[2], users)

    def scores_from(self, user_state: Array) -> Array:
        """Return float32 (len(user_state), n_items), not clipped."""
        mean, _, _, item_table = self.tables()
        scores = dots(user_state[:, :-1], item_table[:, :-1])
        scores += item_table[:, -1] + mean
        scores += user_state[:, -1:]
        return scores

    def query_vectors(self, user_state: Array) -> Array:
        """Return float32 (n, k + 1): the factors, and 1 for the item's bias."""
        queries = np.array(user_state, dtype=np.float32)
        queries[:, -1] = 1
        return queries

    def item_vectors(self) -> Array:
        """Return float32 (n_items, k + 1): factors, then bias."""
        return self.tables()[3]

    def scores_at(self, user_state: Array, items: Array) -> Array:
        """Return float32 (n, m): the scores of each row's own items, not clipped."""
        mean, _, _, item_table = self.tables()
        found = row_dots(user_state[:, :-1], item_table[:, :-1], items)
        found += (item_table[:, -1] + mean)[items]
        found += user_state[:, -1:]
        return found

    def terms(self, user: int, item: int, time: int | None = None) -> Terms:
        """Return global mean, user, item, each factor, and the clip if their sum leaves the scale."""
        return self.terms_from(at(self.tables()[2], np.array([user]))[0], item)

    def terms_from(self, user_state: Array, item: int) -> Terms:
        """Return the same for a user with these factors and bias (k + 1,)."""
        mean, limits, _, item_table = self.tables()
        u, i = user_state.astype(np.float64), at(item_table, np.array([item]))[0].astype(np.float64)
        named = {"global": float(mean), "user": float(u[-1]), "item": float(i[-1])}
        named |= {f"factor {f}": float(v) for f, v in enumerate(u[:-1] * i[:-1])}
        return clipped_terms(named, limits)

    def factors(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n, k)."""
        return self.tables()[2 if which == "user" else 3][:, :-1]

    def bias(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n,)."""
        return self.tables()[2 if which == "user" else 3][:, -1]

    def without_users(self) -> Self:
        """Return the model without the vectors of the training users."""
        made = copy.copy(self)
        made.users = self.tables()[2][:0]
        return made

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        return len(self.tables()[2]), len(self.tables()[3])

    def state(self) -> State:
        """Return ``mean`` (), ``range`` (2,), ``users`` (n_users, k + 1), ``items`` (n_items, k + 1), all float32."""
        mean, limits, user_table, item_table = self.tables()
        return {"mean": mean, "range": limits, "users": user_table, "items": item_table}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = cls(config)
        d = config.n_factors + 1
        model.mean = stored(state, "mean", np.float32, ())
        model.range = stored_range(state)
        model.users = stored(state, "users", np.float32, (None, d))
        model.items = stored(state, "items", np.float32, (None, d))
        return model

    def tables(self) -> tuple[Array, Array, Array, Array]:
        """Return mean, range, users, items. Raises NotFittedError before training."""
        mean, limits, users, items = (fitted(a, self.name) for a in (self.mean, self.range, self.users, self.items))
        return mean, limits, users, items
