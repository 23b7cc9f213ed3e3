"""``svd++``: matrix factorisation that also learns from the set of rated items, whatever the ratings (Koren 2008).

As in Koren's model, a user's vector is a sum over the items that the user rated, divided by the square root of their
number, plus the user's own part. Here that sum is the prior mean of the vector (and the bias), and the own part is how
far the user's ratings pull it away. With ``flipped``, items are treated likewise, by the users who rated them (Rendle,
Zhang & Koren 2019). The model is learned like ``als``, by variational Bayes row by row. The summed vectors come from a
ridge regression on all users (items) once a sweep, by a few steps of conjugate gradients. There is no learning rate,
and only the initial values are random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.kernels.als import sum_rows
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.sums import Node, chunks, nodes_of, total
from cofactor.model import Cost, Hyper, State, Stepper, TableSize
from cofactor.models.base.alternating import Side, begin_sides, noise_floor, solve_side
from cofactor.models.base.arrays import check_at_least, fitted, stored
from cofactor.models.base.biased_factors import BiasedFactors
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING

Array = NDArray[Any]

STEPS = 3
"""Steps of conjugate gradients per sweep, continued from the last sweep."""


@dataclass(frozen=True)
class SVDppConfig:
    """Parameters of ``svd++``. The defaults were chosen on parts of the training rows of ml-100k, ml-1m and
    MovieTweetings."""

    n_factors: int = option(16, "length of the vectors", Search(4, 64, log=True))
    epochs: int = option(40, "sweeps over all items, then all users", Search(10, 60))
    reg: float = option(2.0, "ridge of the summed vectors, in rows", Search(0.5, 20.0, log=True))
    flipped: bool = option(True, "also learn from the users who rated an item")

    def __post_init__(self) -> None:
        check_at_least(self, n_factors=1, epochs=1, reg=1e-6)


class SVDpp(BiasedFactors):
    """SVD++ (Koren, 2008): matrix factorisation with implicit feedback from the items that a user rated.

    ``users`` and ``items`` hold complete vectors, sums included. ``summed`` (n_items, k + 1) is the contribution of a
    rated item to a user; ``spread`` and ``ridge`` are as in ``als``: a fold-in is the solve of training.
    """

    name: ClassVar[str] = "svd++"
    Config = SVDppConfig

    def __init__(self, config: SVDppConfig | None = None) -> None:
        super().__init__(config or SVDppConfig())
        self.spread: Array | None = None
        self.ridge: Array | None = None
        self.summed: Array | None = None

    @classmethod
    def cost(cls, config: SVDppConfig, size: TableSize) -> Cost:
        """Return the cost of ``als``, with two more tables of each side, and six of one side while sums are
        regressed."""
        n, rows, k = size.ratings, size.users + size.items, config.n_factors
        kept = 2 * GROUPED * n + 16 * rows + 16 * (k + 1) * rows
        larger = max(size.users, size.items) if config.flipped else size.items
        sweep = kept + 4 * n + 4 * (k + 2) * 6 * larger
        memory = max((GROUPED + GROUPING + 6) * n + 80 * rows + 4 * (k + 1) * rows, sweep)
        work = 3.5 * config.epochs * n * k**2
        return Cost(memory, kept, work, f"{config.epochs} sweeps x n x k^2, k={k}", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SVDppStepper:
        """Start as ``als`` does, with sums of zero."""
        return SVDppStepper(self, data, rng)

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, k + 1): factors and bias of users with these ratings, by the solve of training."""
        mean, _, _, items = self.tables()
        spread, ridge, summed = (fitted(a, self.name) for a in (self.spread, self.ridge, self.summed))
        table = np.zeros((histories.n_rows, len(ridge)), dtype=np.float32)
        side = Side(histories, table, table[:0], np.zeros(0), expected(histories, summed))
        solve_side(side, float(mean), items, spread, ridge, 0.0, 1.0)
        return table

    def state(self) -> State:
        """Return the state of :class:`BiasedFactors`; ``spread``, ``summed`` (n_items, k + 1), ``ridge`` (k + 1,), all
        float32."""
        return super().state() | {n: fitted(getattr(self, n), self.name) for n in ("spread", "ridge", "summed")}

    @classmethod
    def from_state(cls, config: SVDppConfig, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = super().from_state(config, state)
        n, d = state["items"].shape
        model.spread = stored(state, "spread", np.float32, (n, d))
        model.summed = stored(state, "summed", np.float32, (n, d))
        model.ridge = stored(state, "ridge", np.float32, (d,))
        return model


def row_sums(rows: CSR, table: Array) -> Array:
    """Return float32 (n_rows, width): the sum of the rows of ``table`` at each row's columns."""
    table = np.require(table, requirements="W")  # a read-only array would be a second type to compile for
    out = np.zeros((rows.n_rows, table.shape[1]), dtype=np.float32)
    over_rows(lambda lo, hi: sum_rows(lo, hi, rows.indptr, rows.indices, table, out), rows.indptr)
    return out


def weights(rows: CSR) -> Array:
    """Return float32 (n_rows, 1): one over the root of the number of entries."""
    return (1.0 / np.sqrt(np.maximum(rows.counts, 1))).astype(np.float32)[:, None]


def expected(rows: CSR, summed: Array) -> Array:
    """Return the prior mean of rows: the sum of ``summed`` over their columns, divided by the root of their number."""
    return np.asarray(weights(rows) * row_sums(rows, summed))


def regress(rows: CSR, columns: CSR, target: Array, summed: Array, reg: float, steps: int = STEPS) -> Array:
    """Move ``summed`` closer to the ridge regression of ``target`` (n_rows, width) on it, by some conjugate-gradient
    steps.

    ``columns`` is the transpose of ``rows``. The steps minimise ``|target - expected(rows, summed)|² + reg *
    |summed|²``.
    """
    scale = weights(rows)

    def back(table: Array) -> Array:
        return row_sums(columns, np.ascontiguousarray(scale * table))

    ridge = np.float32(reg)
    left = back(target - expected(rows, summed)) - ridge * summed
    step, size = left, total(product_nodes(left, left))
    for _ in range(steps):
        moved = back(expected(rows, step)) + ridge * step
        far = quotient(size, total(product_nodes(step, moved)))
        summed = summed + far * step
        left = left - far * moved
        before, size = size, total(product_nodes(left, left))
        step = left + quotient(size, before) * step
    return summed


def product_nodes(a: Array, b: Array, first: int = 0) -> list[Node]:
    """Return sums over rows, float64 (width,), of the products of two tables, as in ``kernels/sums.py``. ``first``: the
    number of the first chunk, if these are blocks of larger tables."""
    return nodes_of((np.einsum("nk,nk->k", a[part], b[part], dtype=np.float64) for part in chunks(len(a))), first)


def quotient(above: Array, below: Array) -> Array:
    """Return float32 (width,): the length of a step."""
    return np.asarray((above / np.maximum(below, 1e-30)).astype(np.float32))


class SVDppStepper(Stepper):
    """One sweep: the items' sums and the items, then the users' sums and the users."""

    def __init__(self, model: SVDpp, data: Interactions, rng: np.random.Generator) -> None:
        self.model, self.n = model, len(data)
        self.users, self.items, left = begin_sides(model, data, rng, variances=True, centres=True)
        self.mean, self.floor = float(model.tables()[0]), noise_floor(left)
        self.noise = np.array([left + self.floor])
        self.sweeps = np.zeros(1, dtype=np.int64)
        self.of_items = np.zeros_like(self.items.table)
        self.of_users = np.zeros_like(self.users.table)
        model.spread, model.ridge = self.items.spread, self.users.ridge(float(self.noise[0]))
        model.summed = self.of_items

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Run one sweep. Returns the training mean squared error."""
        users, items, noise, reg = self.users, self.items, float(self.noise[0]), self.model.config.reg
        if self.sweeps[0] > 0 and self.model.config.flipped:
            self.of_users[:] = regress(items.ratings, users.ratings, items.table, self.of_users, reg)
            items.centre[:] = expected(items.ratings, self.of_users)
        solve_side(items, self.mean, users.table, users.spread, items.ridge(noise), 0.0, noise)
        if self.sweeps[0] > 0:
            self.of_items[:] = regress(users.ratings, items.ratings, users.table, self.of_items, reg)
            users.centre[:] = expected(users.ratings, self.of_items)
        self.model.ridge = users.ridge(noise)
        error, uncertainty = solve_side(
            users, self.mean, items.table, items.spread, self.model.ridge, 0.0, noise, errors=True
        )
        self.sweeps += 1
        self.noise[0] = (error + uncertainty) / self.n + self.floor
        if self.sweeps[0] > 1:
            users.measure(self.floor)
            items.measure(self.floor)
        return np.array([error / self.n])

    def _arrays(self) -> State:
        parts = ("table", "spread", "prior", "centre")
        sides = {"user": self.users, "item": self.items}
        found = {f"{s}.{part}": getattr(side, part) for s, side in sides.items() for part in parts}
        found |= {name: getattr(self, name) for name in ("of_items", "of_users", "noise", "sweeps")}
        return found | {"ridge": fitted(self.model.ridge, "svd++")}

    def snapshot(self) -> State:
        """Return copies of both sides, the summed vectors, the noise and the number of sweeps."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        for name, array in self._arrays().items():
            array[...] = state[name]
