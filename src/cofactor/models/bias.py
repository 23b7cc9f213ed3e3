"""``bias``: the mean, plus a bias for each user and each item (Koren 2009, "baseline predictors").

The baseline that every other model has to beat. It has two regularisations, each a number of pseudo-ratings at the
mean.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.kernels.bias import mean_value, shrunk_mean, sweep
from cofactor.model import Cost, Hyper, Kind, State, Stepper, TableSize, Task, Terms
from cofactor.models.base.arrays import at, check_at_least, clipped_terms, fitted, stored, stored_range
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING

Array = NDArray[Any]


@dataclass(frozen=True)
class BiasConfig:
    """Parameters of ``bias``. The defaults were chosen on parts of the training rows of ml-100k and MovieTweetings."""

    epochs: int = option(10, "sweeps over the biases (they converge within ten)")
    reg_user: float = option(4.0, "pseudo-ratings at the mean added to each user", Search(0.5, 30.0, log=True))
    reg_item: float = option(2.0, "pseudo-ratings at the mean added to each item", Search(0.5, 30.0, log=True))

    def __post_init__(self) -> None:
        check_at_least(self, epochs=1, reg_user=0, reg_item=0)


class Bias:
    """Global mean plus a bias for each user and item, shrunk towards zero by alternating ridge regression.

    ``predict`` clips to the range of the training ratings; ``scores`` does not, so that the order is kept.
    """

    name: ClassVar[str] = "bias"
    task: ClassVar[Task] = "rating"
    kind: ClassVar[Kind] = "sweep"
    weighs_rows: ClassVar[bool] = True
    Config = BiasConfig

    def __init__(self, config: BiasConfig | None = None) -> None:
        self.config = config or BiasConfig()
        self.mean: Array | None = None
        self.range: Array | None = None
        self.user_bias: Array | None = None
        self.item_bias: Array | None = None

    @classmethod
    def cost(cls, config: BiasConfig, size: TableSize) -> Cost:
        """Return the cost: the table grouped both ways, and the residuals."""
        n, rows, sweeps = size.ratings, size.users + size.items, config.epochs
        memory, kept = (GROUPED + GROUPING + 6) * n + 64 * rows, 2 * GROUPED * n + 32 * rows
        return Cost(memory, kept, 15.0 * sweeps * n, f"{sweeps} passes x n", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> BiasStepper:
        """Start with all biases at zero."""
        return BiasStepper(self, data)

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """Return float32 (n,), within the range of the training ratings. A code of -1 counts as average."""
        mean, item_bias, user_bias, (low, high) = self._arrays()
        predictions: Array = np.clip(at(item_bias, items) + mean + at(user_bias, users), low, high)
        return predictions

    def scores(self, users: Array) -> Array:
        """Return float32 (len(users), n_items), not clipped."""
        return self.scores_from(self.user_state(users))

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, 1): the biases of users with these ratings."""
        mean, item_bias, _, _ = self._arrays()
        who = np.repeat(np.arange(histories.n_rows), histories.counts)
        left = histories.values.astype(np.float64) - mean - item_bias[histories.indices]
        if histories.weights is not None:
            left = left * histories.weights
        return shrunk_mean(who, left, histories.totals, self.config.reg_user).astype(np.float32)[:, None]

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), 1): their biases."""
        return at(self._arrays()[2], users)[:, None]

    def scores_from(self, user_state: Array) -> Array:
        """Return float32 (len(user_state), n_items), not clipped."""
        mean, item_bias, _, _ = self._arrays()
        scores: Array = (item_bias + mean)[None, :] + user_state[:, :1]
        return scores

    def terms(self, user: int, item: int, time: int | None = None) -> Terms:
        """Return global mean, user, item, and the clip if the sum leaves the scale."""
        return self.terms_from(at(self._arrays()[2], np.array([user])), item)

    def terms_from(self, user_state: Array, item: int) -> Terms:
        """Return the same for a user with this bias (1,)."""
        mean, item_bias, _, limits = self._arrays()
        of_item = float(at(item_bias, np.array([item]))[0])
        return clipped_terms({"global": float(mean), "user": float(user_state[0]), "item": of_item}, limits)

    def factors(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n, 0): there are none."""
        return np.zeros((len(self.bias(which)), 0), dtype=np.float32)

    def bias(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n,)."""
        _, item_bias, user_bias, _ = self._arrays()
        return user_bias if which == "user" else item_bias

    def without_users(self) -> Self:
        """Return the model without the biases of the training users."""
        made = copy.copy(self)
        made.user_bias = self._arrays()[2][:0]
        return made

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        return len(self.bias("user")), len(self.bias("item"))

    def state(self) -> State:
        """Return ``mean`` (), ``range`` (2,), ``user_bias`` (n_users,), ``item_bias`` (n_items,), all float32."""
        mean, item_bias, user_bias, limits = self._arrays()
        return {"mean": mean, "range": limits, "user_bias": user_bias, "item_bias": item_bias}

    @classmethod
    def from_state(cls, config: BiasConfig, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = cls(config)
        model.mean = stored(state, "mean", np.float32, ())
        model.range = stored_range(state)
        model.user_bias = stored(state, "user_bias", np.float32, (None,))
        model.item_bias = stored(state, "item_bias", np.float32, (None,))
        return model

    def _arrays(self) -> tuple[Array, Array, Array, Array]:
        mean, item, user = (fitted(a, self.name) for a in (self.mean, self.item_bias, self.user_bias))
        return mean, item, user, fitted(self.range, self.name)


class BiasStepper(Stepper):
    """Sweeps in float64. The model's float32 arrays are written after each sweep."""

    def __init__(self, model: Bias, data: Interactions) -> None:
        self.model, self.by_user, self.by_item = model, data.by_user, data.by_item
        self.user_bias = np.zeros(data.n_users)
        self.item_bias = np.zeros(data.n_items)
        self.mean = mean_value(data.by_user)
        model.mean = np.array(self.mean, dtype=np.float32)
        model.range = np.array(data.range if len(data) else (0.0, 0.0), dtype=np.float32)
        model.user_bias = np.zeros(data.n_users, dtype=np.float32)
        model.item_bias = np.zeros(data.n_items, dtype=np.float32)

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Run one sweep. Returns the training mean squared error."""
        c = self.model.config
        loss = sweep(self.by_user, self.by_item, self.mean, self.user_bias, self.item_bias, c.reg_user, c.reg_item)
        self._write()
        return np.array([loss])

    def snapshot(self) -> State:
        """Return copies of both tables of biases."""
        return {"user_bias": self.user_bias.copy(), "item_bias": self.item_bias.copy()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        self.user_bias[:] = state["user_bias"]
        self.item_bias[:] = state["item_bias"]
        self._write()

    def _write(self) -> None:
        fitted(self.model.user_bias, "bias")[:] = self.user_bias
        fitted(self.model.item_bias, "bias")[:] = self.item_bias
