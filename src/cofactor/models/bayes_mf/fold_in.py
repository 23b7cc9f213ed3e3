"""Fold in users who were not in training, from the kept samples of ``bayes-mf``.

A user's state is a row of numbers: the posterior mean of the vector in each kept sample, the mean of the bias, the size
of the noise, then a draw of the vector and of the bias in each sample. The means give scores; the draws give
uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.kernels.gibbs.fold_in import draw_user, gather_samples, sum_rows
from cofactor.models.bayes_mf.ordinal import half_way, rescale

Array = NDArray[Any]
F32 = np.float32
ROUNDS = 4
"""Rounds of Gibbs sampling for the size of a user's noise."""


class Regression(NamedTuple):
    """What is solved for a user in each of ``count`` samples.

    ``table`` (count, n, k + 1): vectors and biases of the rated items; ``target`` (n,): standardised ratings;
    ``weight`` (count, n): the precision of each; ``centre`` and ``precision`` (count, k + 1) of the prior.
    """

    table: Array
    target: Array
    weight: Array
    centre: Array
    precision: Array


class Folded(NamedTuple):
    """One user in each of ``count`` samples.

    ``mean`` and ``draw`` (count, k + 1): posterior means and draws of vector and bias; ``noise``: the size of the
    user's noise; ``regression``: what was solved, with the noise that was drawn in each sample.
    """

    mean: Array
    draw: Array
    noise: float
    regression: Regression


def state_width(count: int, k: int) -> int:
    """Return the length of a user's state."""
    return count * (2 * k + 1) + 2


def state_of(user: Folded) -> Array:
    """Return float32 (state_width,): the state of a user."""
    k = user.mean.shape[1] - 1
    rest = np.array([user.mean[:, k].mean(), user.noise], dtype=F32)
    return np.concatenate([user.mean[:, :k].ravel(), rest, user.draw[:, :k].ravel(), user.draw[:, k]])


def fold_one(a: Mapping[str, Array], count: int, k: int, noise_df: float, items: Array, values: Array) -> Folded:
    """Fold in one user. Each sample is a row with its own copy of the items, so one kernel call solves all samples.

    A history has no times here, so both drifts count as noise. The user's noise is drawn in each sample.
    """
    n, width = len(items), k + 1
    told, usual, passing = _told(a, count, k, items, values)
    drawn = noise_df > 0 and n > 0
    rounds = ROUNDS if drawn else 1
    chance = (few_chances if n <= FEW else chances_of)(rounds, count, width, n, noise_df)
    size = np.full(count, 1.0 if noise_df > 0 else a["user_noise"][-1], dtype=F32)
    draw, mean = np.empty((count, width), dtype=F32), np.empty((count, width), dtype=F32)
    prior = told.centre, told.precision
    expected = draw_user(
        told.table, told.target, usual, passing, noise_df, size, *prior, *chance, told.weight, draw, mean
    )
    return Folded(mean, draw, expected if drawn else float(a["user_noise"][-1]), told)


def regression_of(a: Mapping[str, Array], count: int, k: int, noise: float, items: Array, values: Array) -> Regression:
    """That of a user the size of whose ``noise`` is known: nothing is drawn."""
    told, usual, passing = _told(a, count, k, items, values)
    np.divide(1.0, noise * usual + passing, out=told.weight, dtype=F32, casting="same_kind")
    return told


def _told(a: Mapping[str, Array], count: int, k: int, items: Array, values: Array) -> tuple[Regression, Array, float]:
    """(the regression, whose weights are not known yet, the variance of the noise of each item (count, n), that of
    drift)."""
    n, width = len(items), k + 1
    centre = prior_centre(a, count, k, spoken(a, count * width, items), n)
    table = np.empty((count, n, width), dtype=F32)
    gather_samples(a["item_factors"], a["item_bias"], items, table)
    y = (values - a["mean"]) / a["scale"]
    if len(a["cuts"]):
        y = rescale(y, half_way(a["levels"]), a["cuts"])
    passing = sum(float(a[f"{kind}_numbers"][:, 1].sum(dtype=np.float64)) for kind in ("user_drift", "item_drift"))
    usual = a["item_noise"][items] / a["noise_precision"][:count, None]
    weight, precision = np.empty((count, n), dtype=F32), a["user_precision"][:count].copy()
    return Regression(table, y.astype(F32), weight, centre, precision), usual, passing


class Chances(NamedTuple):
    """What :func:`draw_user` takes for chance."""

    vectors: Array
    drifts: Array
    chances: Array


def chances_of(rounds: int, count: int, width: int, n: int, noise_df: float) -> Chances:
    """The same for each user with ``n`` ratings, so that the same history has the same state."""
    rng = np.random.default_rng(0)
    vectors = np.empty((rounds, count, width), dtype=F32)
    drifts, chances = np.empty((rounds - 1, count, n), dtype=F32), np.empty((rounds - 1, count), dtype=F32)
    for turn in range(rounds):
        rng.standard_normal(dtype=F32, out=vectors[turn])
        if turn < rounds - 1:
            rng.standard_normal(dtype=F32, out=drifts[turn])
            rng.standard_gamma(0.5 * (noise_df + n), dtype=F32, out=chances[turn])
    return Chances(vectors, drifts, chances)


FEW = 100
few_chances = lru_cache(maxsize=FEW)(chances_of)
"""Of up to ``FEW`` ratings these are kept, some 30 KB each: they take as long to make as the rest of a fold-in."""


def spoken(a: Mapping[str, Array], wide: int, items: Array) -> Array:
    """Return float32 (wide,): the summed implicit contribution of having rated these items; zeros for a model without
    implicit terms."""
    out = np.zeros(wide, dtype=F32)
    if len(a["implicit"]):
        sum_rows(a["implicit"], items, out)
    return out


def prior_centre(a: Mapping[str, Array], count: int, k: int, said: Array, n: Array | int) -> Array:
    """Return float32 (..., count, k + 1): the prior mean of a user with ``n`` ratings whose items contribute ``said``
    (..., count * (k + 1))."""
    own = np.concatenate([a["user_factors"][-1, : count * k].reshape(count, k), a["user_bias"][-1, :count, None]], 1)
    if not len(a["implicit"]):
        return own
    shift = said / np.sqrt(np.maximum(n, 1)).astype(F32)
    if len(a["implicit"]) == len(a["item_bias"]):  # the last row is that of the average set, for users without ratings
        shift = shift - np.where(np.asarray(n) > 0, a["implicit"][-1, : count * (k + 1)], F32(0.0))
    return np.asarray(own + shift.reshape(*shift.shape[:-1], count, k + 1))
