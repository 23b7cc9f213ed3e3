"""``als``: matrix factorisation with biases by alternating least squares.

A row's factors and bias are one ridge regression, with the other side held fixed. The ridge is one of two:

- learned from the data (the default): variational Bayes (Lim & Teh 2007) with independent factors. Every number has a
  variance besides its value. A row's ridge is the noise divided by the prior's variance, plus the variances of the
  other side's rows that it has met. Noise and priors are estimated after each sweep, so there is nothing to tune, and
  factors without support in the data shrink to zero.
- ``reg`` above 0: ``reg * count ** nu`` for a row of ``count`` ratings (Zhou et al. 2008, nu = 1; Rendle et al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.kernels.als import solve_without
from cofactor.kernels.bias import weight_of, weights_of
from cofactor.kernels.products import dots
from cofactor.model import Cost, Hyper, State, Stepper, TableSize
from cofactor.models.base.alternating import Side, begin_sides, measured_noise, noise_floor, solve_side
from cofactor.models.base.arrays import at, check_at_least, fitted, stored
from cofactor.models.base.biased_factors import BiasedFactors
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING

Array = NDArray[Any]


@dataclass(frozen=True)
class ALSConfig:
    """Parameters of ``als``. The defaults were chosen on parts of the training rows of ml-100k, ml-1m and
    MovieTweetings."""

    n_factors: int = option(16, "length of the vectors", Search(4, 64, log=True))
    epochs: int = option(30, "sweeps over all items, then all users", Search(10, 40))
    reg: float = option(0.0, "ridge of a row: reg * count ** nu; 0: learned from the data")
    nu: float = option(
        0.5, "power of the count with which the ridge grows (0: constant, 1: proportional), with reg above 0"
    )
    reg_user: float = option(4.0, "pseudo-ratings at the mean added to each user (shrinkage), with reg above 0")
    reg_item: float = option(2.0, "pseudo-ratings at the mean added to each item (shrinkage), with reg above 0")

    def __post_init__(self) -> None:
        check_at_least(self, n_factors=1, epochs=1, reg=0, nu=0, reg_user=1e-6, reg_item=1e-6)


class ALS(BiasedFactors):
    """Biased matrix factorisation by alternating least squares, with count-scaled regularisation.

    ``spread`` holds the variances of the item table (no rows where the ridge is not learned) and ``ridge`` (k + 1,) the
    ridge of a user's row: with them, folding in a user is the same solve as in training.
    """

    name: ClassVar[str] = "als"
    weighs_rows: ClassVar[bool] = True
    Config = ALSConfig

    def __init__(self, config: ALSConfig | None = None) -> None:
        super().__init__(config or ALSConfig())
        self.spread: Array | None = None
        self.ridge: Array | None = None

    @classmethod
    def cost(cls, config: ALSConfig, size: TableSize) -> Cost:
        """Return the cost: the table grouped both ways; the tables of both sides, and of variances if the ridge is
        learned."""
        n, rows, k = size.ratings, size.users + size.items, config.n_factors
        tables = 4 * (k + 1) * rows * (1 if config.reg > 0 else 2)
        kept = 2 * GROUPED * n + 16 * rows + tables
        sweep = kept + 4 * n + 4 * (k + 2) * max(size.users, size.items) + 32 * rows
        memory = max((GROUPED + GROUPING + 6) * n + 80 * rows + 4 * (k + 1) * rows, sweep) + 2e6
        return Cost(memory, kept, 2.0 * config.epochs * n * k**2, f"{config.epochs} sweeps x n x k^2, k={k}", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> ALSStepper:
        """Start from random factors, and biases from two sweeps without factors."""
        return ALSStepper(self, data, rng)

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, k + 1): factors and bias of users with these ratings, by the solve of training."""
        mean, _, _, items = self.tables()
        spread, ridge = fitted(self.spread, self.name), fitted(self.ridge, self.name)
        table = np.zeros((histories.n_rows, len(ridge)), dtype=np.float32)
        side = Side(histories, table, table[:0], np.zeros(0), table[:0])
        solve_side(side, float(mean), items, spread, ridge, self.growth, 1.0)
        return table

    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """Return float64 (len(items), 1 + len(positions)): the scores of the fold-ins without each entry, by one
        kernel."""
        mean, _, _, table = self.tables()
        spread, ridge = fitted(self.spread, self.name), fitted(self.ridge, self.name)
        rated, values = history.row(0)
        rows = np.zeros((1 + len(positions), len(ridge)), dtype=np.float32)
        mine, weights = np.asarray(table[rated], dtype=np.float32), np.array(weights_of(history))
        among = np.arange(len(rated), dtype=np.int32), values - mean, weights, mine[:, -1].copy(), mine[:, :-1].copy()
        met = np.array(spread[rated]) if len(spread) else np.zeros((0, len(ridge)), dtype=np.float32)
        solve_without(*among, met, np.array(ridge), self.growth, np.asarray(positions, dtype=np.int64), rows)
        wanted = at(table, np.asarray(items))
        scores = dots(wanted[:, :-1], rows[:, :-1]) + (wanted[:, -1:] + mean) + rows[:, -1]
        return np.asarray(scores, dtype=np.float64)

    def seconds_without(self, n: int) -> float:
        """Return the time of solving ``n_factors + 1`` equations for each entry."""
        d = self.config.n_factors + 1
        return float(1e-10 * n * d * d * d)

    @property
    def growth(self) -> float:
        """The power of the count with which the ridge grows; 0 if the ridge is learned."""
        return float(self.config.nu) if self.config.reg > 0 else 0.0

    def state(self) -> State:
        """Return the state of :class:`BiasedFactors`, ``spread`` (n_items or 0, k + 1) and ``ridge`` (k + 1,), all
        float32."""
        return super().state() | {"spread": fitted(self.spread, self.name), "ridge": fitted(self.ridge, self.name)}

    @classmethod
    def from_state(cls, config: ALSConfig, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = super().from_state(config, state)
        d = config.n_factors + 1
        model.spread = stored(state, "spread", np.float32, (0 if config.reg > 0 else len(state["items"]), d))
        model.ridge = stored(state, "ridge", np.float32, (d,))
        return model


class ALSStepper(Stepper):
    """One sweep solves all items, then all users. A user's row is thus what a fold-in of the same ratings gives."""

    def __init__(self, model: ALS, data: Interactions, rng: np.random.Generator) -> None:
        self.model, self.n = model, weight_of(data.by_user)
        self.learned = model.config.reg == 0
        self.users, self.items, left = begin_sides(model, data, rng, variances=self.learned, centres=False)
        self.mean, self.floor = float(model.tables()[0]), noise_floor(left)
        self.noise = np.array([left + self.floor])
        self.sweeps = np.zeros(1, dtype=np.int64)
        model.spread, model.ridge = self.items.spread, self._ridge(self.users, model.config.reg_user)

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Run one sweep. Returns the training mean squared error."""
        c, users, items, noise = self.model.config, self.users, self.items, float(self.noise[0])
        growth = self.model.growth
        ridge = self._ridge(items, c.reg_item)
        solve_side(items, self.mean, users.table, users.spread, ridge, growth, noise)
        self.model.ridge = self._ridge(users, c.reg_user)
        error, uncertainty = solve_side(
            users, self.mean, items.table, items.spread, self.model.ridge, growth, noise, errors=True
        )
        self.sweeps += 1
        if self.learned:
            self.noise[0] = measured_noise(error, uncertainty, self.n, self.floor)
            if self.sweeps[0] > 1:
                users.measure(self.floor)
                items.measure(self.floor)
        return np.array([error / self.n])

    def _ridge(self, side: Side, reg_bias: float) -> Array:
        if self.learned:
            return side.ridge(float(self.noise[0]))
        return fixed_ridge(self.model.config, reg_bias)

    def _arrays(self) -> State:
        sides = {"user": self.users, "item": self.items}
        found = {
            f"{s}.{part}": getattr(side, part) for s, side in sides.items() for part in ("table", "spread", "prior")
        }
        return found | {"noise": self.noise, "sweeps": self.sweeps, "ridge": fitted(self.model.ridge, "als")}

    def snapshot(self) -> State:
        """Return copies of both tables, their variances, the priors, the noise and the number of sweeps."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        for name, array in self._arrays().items():
            array[...] = state[name]


def fixed_ridge(config: ALSConfig, reg_bias: float) -> Array:
    """Return float32 (k + 1,): the ridge if it is not learned."""
    return np.append(np.full(config.n_factors, config.reg), reg_bias).astype(np.float32)
