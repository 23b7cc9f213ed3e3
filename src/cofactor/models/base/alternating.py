"""The two sides (users, items) of a factorisation that is solved row by row, and the variances that go with them.

Variational Bayes with independent factors (Lim & Teh 2007): every number of a table has a value and a variance; the
noise and the prior variance of each column are measured again after each sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.kernels.als import solve_rows
from cofactor.kernels.bias import sweep
from cofactor.kernels.blocks import over_rows
from cofactor.models.base.biased_factors import BiasedFactors

Array = NDArray[Any]

INITIAL_SD = 0.4
"""Standard deviation of the factors to begin with, for ratings whose residuals have a variance of one."""


@dataclass(frozen=True)
class Side:
    """``table`` (n, k + 1): factors, then bias; ``spread``: their variances, ``centre``: what the prior expects of them
    (each with no rows where there is none). float32; ``prior`` float64 (k + 1,): the prior's variances."""

    ratings: CSR
    table: Array
    spread: Array
    prior: Array
    centre: Array

    def ridge(self, noise: float) -> Array:
        """float32 (k + 1,): noise over prior variance."""
        return np.asarray(noise / self.prior, dtype=np.float32)

    def measure(self, floor: float) -> None:
        """Set the prior's variances to the mean squares around the centre, uncertainty included."""
        off = self.table - self.centre if len(self.centre) else self.table
        square = np.einsum("nk,nk->k", off, off, dtype=np.float64) + self.spread.sum(axis=0, dtype=np.float64)
        self.prior[:] = square / max(len(self.table), 1) + floor


def solve_side(
    side: Side,
    mean: float,
    other: Array,
    spread: Array,
    ridge: Array,
    nu: float,
    noise: float,
    *,
    errors: bool = False,
) -> Array:
    """Solve all rows of a side on several threads, ``other`` and ``spread`` being the other side's table and variances.

    Gives float64 (2,), with ``errors``: the sum of squared errors, and what the variances add to its expectation.
    """
    r = side.ratings
    measured = np.zeros((len(side.table) if errors else 0, 2))
    values = r.values - np.float32(mean)
    offsets, factors = other[:, -1].copy(), np.ascontiguousarray(other[:, :-1])
    # arrays of a loaded model are read-only, which would be another type to compile the kernel for
    spread, ridge = np.require(spread, requirements="W"), np.require(ridge, requirements="W")
    given = (r.indptr, r.indices, values, offsets, factors, spread, ridge, nu, noise, side.centre)

    def work(first: int, last: int) -> None:
        solve_rows(first, last, *given, side.table, side.spread, measured)

    over_rows(work, r.indptr, per_row=factors.shape[1])
    return np.asarray(measured.sum(axis=0))


def begin_sides(
    model: BiasedFactors, data: Interactions, rng: np.random.Generator, *, variances: bool, centres: bool
) -> tuple[Side, Side, float]:
    """Users, items, and the variance that biases alone leave: random factors; biases from two sweeps without them."""
    model.begin(data)
    mean, _, users, items = model.tables()
    biases = np.zeros(data.n_users), np.zeros(data.n_items)
    counts = np.bincount(data.users, minlength=data.n_users), np.bincount(data.items, minlength=data.n_items)
    for _ in range(2):
        left = sweep(data.users, data.items, data.values, float(mean), *biases, *counts, 4.0, 2.0)
    start = INITIAL_SD**2 * left**0.5
    sides = []
    for table, bias, ratings, share in (
        (users, biases[0], data.by_user, 1 / 4),
        (items, biases[1], data.by_item, 1 / 2),
    ):
        n, d = table.shape
        table[:, :-1] = rng.standard_normal((n, d - 1), dtype=np.float32) * np.float32(start**0.5)
        table[:, -1] = bias
        spread = np.full((n if variances else 0, d), start / 2, dtype=np.float32)
        spread[:, -1] = 0.0
        prior = np.append(np.full(d - 1, start), left * share) + noise_floor(left)
        sides.append(Side(ratings, table, spread, prior, np.zeros((n if centres else 0, d), dtype=np.float32)))
    return sides[0], sides[1], left


def noise_floor(variance: float) -> float:
    """No variance is taken to be below this, so that ratings without noise can be learned too."""
    return 1e-6 * max(variance, 1e-6)
