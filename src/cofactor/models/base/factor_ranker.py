"""Base of rankers whose score is a dot product of factors.

A user without any information (code -1, or a row of zeros) gets the items' popularity as scores.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.kernels.products import dots, row_dots
from cofactor.model import Kind, State, Task
from cofactor.models.base.arrays import at, fitted, stored
from cofactor.models.base.stored_rows import stored_strength

Array = NDArray[Any]


class FactorRanker:
    """Base of ``ials``, ``bpr`` and ``warp``: the score is a dot product of factors, plus the item's bias.

    ``user_factors`` (n_users, k), ``item_factors`` (n_items, k), ``item_bias`` (n_items,), all float32. A user's state
    is the row of factors; a row of zeros means that nothing is known of the user.
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
        """Return float32 (n,): scores of pairs. They are comparable only within a user."""
        state, items = self.user_state(users), np.asarray(items)
        factors, bias = self.factors("item"), self.bias("item")
        found: Array = np.einsum("nk,nk->n", state, at(factors, items)) + at(bias, items)
        return np.where(state.any(axis=1), found, at(fitted(self.popularity, self.name), items)).astype(np.float32)

    def scores(self, users: Array) -> Array:
        """Return float32 (len(users), n_items)."""
        return self.scores_from(self.user_state(users))

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), k): their factors."""
        return at(fitted(self.user_factors, self.name), users)

    def scores_from(self, user_state: Array) -> Array:
        """Return float32 (len(user_state), n_items)."""
        factors, popular = fitted(self.item_factors, self.name), fitted(self.popularity, self.name)
        found = dots(user_state, factors)
        found += self.item_bias
        found[~user_state.any(axis=1)] = popular
        return found

    def query_vectors(self, user_state: Array) -> Array:
        """Return float32 (n, k + 1): the factors, and 1 for the item's bias; zeros for users who get the popularity."""
        known = np.asarray(user_state).any(axis=1, keepdims=True)
        return np.concatenate([user_state, known], axis=1, dtype=np.float32)

    def item_vectors(self) -> Array:
        """Return float32 (n_items, k + 1): factors, then the bias."""
        return np.concatenate([self.factors("item"), self.bias("item")[:, None]], axis=1)

    def scores_at(self, user_state: Array, items: Array) -> Array:
        """Return float32 (n, m): the scores of each row's own items."""
        state = np.asarray(user_state, dtype=np.float32)
        found = row_dots(state, self.factors("item"), items) + self.bias("item")[items]
        known = np.asarray(state.any(axis=1))[:, None]
        return np.where(known, found, fitted(self.popularity, self.name)[items])

    def without_users(self) -> Self:
        """Return the model without the factors of the training users."""
        made = copy.copy(self)
        made.user_factors = fitted(self.user_factors, self.name)[:0]
        return made

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        return len(fitted(self.user_factors, self.name)), len(fitted(self.item_factors, self.name))

    def factors(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n, k)."""
        return fitted(self.user_factors if which == "user" else self.item_factors, self.name)

    def bias(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n,); users have none."""
        if which == "item":
            return fitted(self.item_bias, self.name)
        return np.zeros(len(self.factors("user")), dtype=np.float32)

    def state(self) -> State:
        """Return ``user_factors``, ``item_factors``, ``item_bias``, ``popularity``, ``range``, and ``mean_count`` (of a
        user)."""
        names = ("user_factors", "item_factors", "item_bias", "popularity", "range", "mean_count")
        return {name: fitted(getattr(self, name), self.name) for name in names}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Any:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = cls(config)
        model.item_factors = stored(state, "item_factors", np.float32, (None, None))
        n, k = model.item_factors.shape
        model.user_factors = stored(state, "user_factors", np.float32, (None, k))
        model.item_bias = stored(state, "item_bias", np.float32, (n,))
        model.popularity = stored(state, "popularity", np.float32, (n,))
        model.range = stored_strength(state)
        model.mean_count = stored(state, "mean_count", np.float64, ())
        return model
