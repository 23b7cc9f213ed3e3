"""The two sides (users, items) of a factorisation that is solved row by row, and their variances.

Variational Bayes with independent factors (Lim & Teh 2007): every number of a table has a value and a variance. The
noise and the prior variance of each column are estimated after each sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.kernels.als import solve_rows
from cofactor.kernels.bias import frozen, sweep, weights_of
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.sums import Node, chunks, nodes_of, row_sum, total
from cofactor.models.base.biased_factors import BiasedFactors

Array = NDArray[Any]

INITIAL_SD = 0.4
"""Initial standard deviation of the factors, for residuals of variance 1."""
FIRST_BIAS = {"user": 1 / 4, "item": 1 / 2}
"""Initial variances of the biases, as shares of the residual variance."""
BIAS_PSEUDO_COUNTS = (4.0, 2.0)
"""Pseudo-ratings at the mean added to each user and item, for the initial biases."""


@dataclass(frozen=True)
class Side:
    """One side. ``table`` (n, k + 1): factors, then bias; ``spread``: their variances; ``centre``: their prior means
    (``spread`` and ``centre`` have no rows if unused). float32; ``prior`` float64 (k + 1,): the prior variances."""

    ratings: CSR
    table: Array
    spread: Array
    prior: Array
    centre: Array

    def ridge(self, noise: float) -> Array:
        """Return float32 (k + 1,): noise divided by prior variance."""
        return ridge_of(noise, self.prior)

    def measure(self, floor: float) -> None:
        """Set the prior variances to the mean squares around the centre, uncertainty included."""
        squares = total(square_nodes(self.table, self.spread, self.centre))
        self.prior[:] = measured_prior(squares, len(self.table), floor)


def ridge_of(noise: float, prior: Array) -> Array:
    """Return float32 (k + 1,): noise divided by prior variance."""
    return np.asarray(noise / prior, dtype=np.float32)


def square_nodes(table: Array, spread: Array, centre: Array, first: int = 0) -> list[Node]:
    """Return sums over rows, float64 (k + 1,), of the squares around the centre plus the variances, as in
    ``kernels/sums.py``.

    ``first``: the number of the first chunk, if the table is a block of a larger one.
    """

    def of(part: slice) -> Array:
        off = table[part] - centre[part] if len(centre) else table[part]
        squares = np.einsum("nk,nk->k", off, off, dtype=np.float64)
        return np.asarray(squares + spread[part].sum(axis=0, dtype=np.float64))

    return nodes_of((of(part) for part in chunks(len(table))), first)


def measured_prior(squares: Array | None, n: int, floor: float) -> Array:
    """Return float64 (k + 1,): the prior variances, from the sums of squares of ``n`` rows."""
    if squares is None:
        return np.asarray(floor)
    return np.asarray(squares / max(n, 1) + prior_floor(len(squares), floor))


def prior_floor(d: int, floor: float) -> Array:
    """Return float64 (d,): the floor of the prior variances, for the factors and then for the bias.

    A bias has the unit of the ratings, and factors its square root, so learning does not depend on the unit of the
    ratings.
    """
    return np.append(np.full(d - 1, 1e-3 * floor**0.5), floor)


def measured_noise(error: float, uncertainty: float, n: float, floor: float) -> float:
    """Return the noise variance, from the squared errors of ratings of total weight ``n`` and their posterior
    uncertainty."""
    return float((error + uncertainty) / n + floor)


def initial_variance(left: float) -> float:
    """Return the initial variance of the factors, if biases leave a variance of ``left``."""
    return float(INITIAL_SD**2 * left**0.5)


def first_prior(side: str, d: int, left: float) -> Array:
    """Return float64 (d,): the prior variances before anything is estimated."""
    return np.append(np.full(d - 1, initial_variance(left)), left * FIRST_BIAS[side]) + prior_floor(
        d, noise_floor(left)
    )


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
    """Solve all rows of a side on several threads. ``other`` and ``spread`` are the other side's table and variances.

    Returns float64 (2,) if ``errors``: the sum of squared errors, and the variances' contribution to its expectation.
    """
    r = side.ratings
    measured = np.zeros((len(side.table) if errors else 0, 2))
    values = r.values - np.float32(mean)
    offsets, factors = other[:, -1].copy(), np.ascontiguousarray(other[:, :-1])
    # arrays of a loaded model are read-only: a second type, for which the kernel would be compiled again
    spread, ridge = np.require(spread, requirements="W"), np.require(ridge, requirements="W")
    given = (
        r.indptr,
        r.indices,
        values,
        frozen(weights_of(r))[0],
        offsets,
        factors,
        spread,
        ridge,
        nu,
        noise,
        side.centre,
    )

    def work(first: int, last: int) -> None:
        solve_rows(first, last, *given, side.table, side.spread, measured)

    over_rows(work, r.indptr, per_row=factors.shape[1])
    return np.asarray(row_sum(measured))


def begin_sides(
    model: BiasedFactors, data: Interactions, rng: np.random.Generator, *, variances: bool, centres: bool
) -> tuple[Side, Side, float]:
    """Return users, items, and the residual variance of biases alone. Factors are random; biases come from two sweeps
    without factors."""
    model.begin(data)
    mean, _, users, items = model.tables()
    biases = {"user": np.zeros(data.n_users), "item": np.zeros(data.n_items)}
    for _ in range(2):
        left = sweep(data.by_user, data.by_item, float(mean), biases["user"], biases["item"], *BIAS_PSEUDO_COUNTS)
    start = initial_variance(left)
    sides = []
    for side, table, ratings in (("user", users, data.by_user), ("item", items, data.by_item)):
        n, d = table.shape
        table[:, :-1] = rng.standard_normal((n, d - 1), dtype=np.float32) * np.float32(start**0.5)
        table[:, -1] = biases[side]
        spread = np.full((n if variances else 0, d), start / 2, dtype=np.float32)
        spread[:, -1] = 0.0
        centre = np.zeros((n if centres else 0, d), dtype=np.float32)
        sides.append(Side(ratings, table, spread, first_prior(side, d, left), centre))
    return sides[0], sides[1], left


def noise_floor(variance: float) -> float:
    """Return the least value of a variance, so that ratings without noise can be learned too."""
    return 1e-6 * max(variance, 1e-20)
