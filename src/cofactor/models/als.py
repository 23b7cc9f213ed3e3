"""``als``: matrix factorisation with biases by alternating least squares.

A row's factors and bias are one ridge regression with the other side held fixed. How strong the ridge is:

- learned from the data (the default): variational Bayes (Lim & Teh 2007) with independent factors. Every number has a
  variance besides its value; a row's ridge is the noise over the prior's variance, plus the variances of all that
  the row has met. Noise and priors are measured again after each sweep, so there is nothing to tune, and factors that
  the data do not support shrink to nothing.
- ``reg`` above 0: ``reg * count ** nu`` for a row of ``count`` ratings (Zhou et al. 2008, nu = 1; Rendle et al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.kernels.als import solve_rows
from cofactor.kernels.bias import sweep
from cofactor.kernels.blocks import over_rows
from cofactor.model import Hyper, Kind, State
from cofactor.models.arrays import check_at_least, fitted, stored
from cofactor.models.biased_factors import BiasedFactors
from cofactor.models.config import Search, option

Array = NDArray[Any]

INITIAL_SD = 0.4
"""Standard deviation of the factors to begin with, for ratings whose residuals have a variance of one."""


@dataclass(frozen=True)
class ALSConfig:
    """Parameters of ``als``; defaults chosen on parts of the training rows of ml-100k, ml-1m and MovieTweetings."""

    n_factors: int = option(16, "length of the vectors", Search(4, 64, log=True))
    epochs: int = option(30, "sweeps over all items, then all users", Search(10, 40))
    reg: float = option(0.0, "ridge of a row: reg * count ** nu; 0: learned from the data")
    nu: float = option(
        0.5, "how the ridge grows with the ratings of a row (0: not, 1: in proportion), with reg above 0"
    )
    reg_user: float = option(4.0, "made-up average ratings added to each user's bias, with reg above 0")
    reg_item: float = option(2.0, "made-up average ratings added to each item's bias, with reg above 0")

    def __post_init__(self) -> None:
        check_at_least(self, n_factors=1, epochs=1, reg=0, nu=0, reg_user=1e-6, reg_item=1e-6)


class ALS(BiasedFactors):
    """See the module. ``spread`` holds the variances of the item table (no rows where the ridge is not learned) and
    ``ridge`` (k + 1,) the ridge of a user's row: with them, folding a user in is the same solve as in training."""

    name: ClassVar[str] = "als"
    Config = ALSConfig

    def __init__(self, config: ALSConfig | None = None) -> None:
        super().__init__(config or ALSConfig())
        self.spread: Array | None = None
        self.ridge: Array | None = None

    def stepper(self, data: Interactions, rng: np.random.Generator) -> ALSStepper:
        """Begin with random factors, and biases from two sweeps without them."""
        return ALSStepper(self, data, rng)

    def fold_in(self, histories: CSR) -> Array:
        """float32 (n, k + 1): factors and bias of users with these ratings, by the solve of training."""
        mean, _, _, items = self.tables()
        n, d = histories.n_rows, self.config.n_factors + 1
        spread, ridge = fitted(self.spread, self.name), fitted(self.ridge, self.name)
        rows = np.zeros((n, d), dtype=np.float32)
        solve_side(histories, float(mean), items, spread, ridge, self.config, 1.0, rows, np.zeros_like(rows[:0]))
        return rows

    def state(self) -> State:
        """That of :class:`BiasedFactors`, ``spread`` (n_items or 0, k + 1) and ``ridge`` (k + 1,), all float32."""
        return super().state() | {"spread": fitted(self.spread, self.name), "ridge": fitted(self.ridge, self.name)}

    @classmethod
    def from_state(cls, config: ALSConfig, state: Mapping[str, Array]) -> Self:
        """The same model again; BundleError where an array does not fit."""
        model = super().from_state(config, state)
        d = config.n_factors + 1
        model.spread = stored(state, "spread", np.float32, (0 if config.reg > 0 else len(state["items"]), d))
        model.ridge = stored(state, "ridge", np.float32, (d,))
        return model


def solve_side(
    ratings: CSR,
    mean: float,
    other: Array,
    other_spread: Array,
    ridge: Array,
    config: ALSConfig,
    noise: float,
    rows: Array,
    spread: Array,
) -> Array:
    """Solve all rows of a side, on several threads. Gives float64 (2,): squared errors, and what the variances add."""
    errors = np.zeros((len(rows), 2))
    values = ratings.values - np.float32(mean)
    offsets, factors = other[:, -1].copy(), np.ascontiguousarray(other[:, :-1])
    nu = config.nu if config.reg > 0 else 0.0

    def work(first: int, last: int) -> None:
        solve_rows(
            first,
            last,
            ratings.indptr,
            ratings.indices,
            values,
            offsets,
            factors,
            other_spread,
            ridge,
            nu,
            noise,
            rows,
            spread,
            errors,
        )

    over_rows(work, ratings.indptr, per_row=config.n_factors)
    return np.asarray(errors.sum(axis=0))


class ALSStepper:
    """One sweep solves all items, then all users: these are then what a fold-in of the same ratings gives."""

    kind: Kind = "sweep"

    def __init__(self, model: ALS, data: Interactions, rng: np.random.Generator) -> None:
        model.begin(data)
        self.model, self.data = model, data
        self.mean, _, self.users, self.items = model.tables()
        c = model.config
        self.learned = c.reg == 0
        variance = self._begin_biases()
        start = INITIAL_SD**2 * variance**0.5
        for table in (self.users, self.items):
            table[:, :-1] = rng.standard_normal(table[:, :-1].shape, dtype=np.float32) * np.float32(start**0.5)
        rows = len if self.learned else (lambda table: 0)
        self.user_spread = np.full((rows(self.users), c.n_factors + 1), start / 2, dtype=np.float32)
        self.item_spread = np.full((rows(self.items), c.n_factors + 1), start / 2, dtype=np.float32)
        self.user_spread[:, -1] = self.item_spread[:, -1] = 0.0
        self.floor = 1e-6 * max(variance, 1e-6)
        self.noise = np.array([max(variance, self.floor)])
        self.user_prior = np.append(np.full(c.n_factors, start), variance / 4) + self.floor
        self.item_prior = np.append(np.full(c.n_factors, start), variance / 2) + self.floor
        self.sweeps = np.zeros(1, dtype=np.int64)
        self._write()

    def _begin_biases(self) -> float:
        """Biases without factors; gives the variance of what they leave."""
        d, c = self.data, self.model.config
        user_bias, item_bias = np.zeros(d.n_users), np.zeros(d.n_items)
        counts = np.bincount(d.users, minlength=d.n_users), np.bincount(d.items, minlength=d.n_items)
        left = 0.0
        for _ in range(2):
            args = (d.users, d.items, d.values, float(self.mean), user_bias, item_bias, *counts)
            left = sweep(*args, c.reg_user, c.reg_item)
        self.users[:, -1], self.items[:, -1] = user_bias, item_bias
        return left

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """One sweep; gives the training mean squared error."""
        d, c, mean = self.data, self.model.config, float(self.mean)
        noise = float(self.noise[0])
        of_item, of_user = self._ridge(self.item_prior, c.reg_item), self._ridge(self.user_prior, c.reg_user)
        solve_side(d.by_item, mean, self.users, self.user_spread, of_item, c, noise, self.items, self.item_spread)
        error, doubt = solve_side(
            d.by_user, mean, self.items, self.item_spread, of_user, c, noise, self.users, self.user_spread
        )
        self._write()
        self.sweeps += 1
        if self.learned:
            self.noise[0] = max((error + doubt) / len(d), self.floor)
            if self.sweeps[0] > 1:
                self.user_prior[:] = prior(self.users, self.user_spread, self.floor)
                self.item_prior[:] = prior(self.items, self.item_spread, self.floor)
        return np.array([error / len(d)])

    def _ridge(self, prior_variance: Array, reg_bias: float) -> Array:
        c = self.model.config
        if self.learned:
            return np.asarray(self.noise[0] / prior_variance, dtype=np.float32)
        return np.append(np.full(c.n_factors, c.reg), reg_bias).astype(np.float32)

    def _write(self) -> None:
        """The ridge that the users were solved with, and the spread of the items, belong to the model."""
        self.model.spread = self.item_spread
        self.model.ridge = self._ridge(self.user_prior, self.model.config.reg_user)

    def _arrays(self) -> State:
        names = ("users", "items", "user_spread", "item_spread", "user_prior", "item_prior", "noise", "sweeps")
        return {name: getattr(self, name) for name in names} | {"ridge": fitted(self.model.ridge, "als")}

    def snapshot(self) -> State:
        """Copies of both tables, their variances, the priors, the noise and the number of sweeps."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Put a snapshot back."""
        for name, array in self._arrays().items():
            array[...] = state[name]


def prior(table: Array, spread: Array, floor: float) -> Array:
    """The mean square of each column, uncertainty included: float64 (k + 1,)."""
    square = np.einsum("nk,nk->k", table, table, dtype=np.float64) + spread.sum(axis=0, dtype=np.float64)
    return np.asarray(square / max(len(table), 1) + floor)
