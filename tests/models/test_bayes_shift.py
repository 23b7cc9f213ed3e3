"""Shifts of the factors' means: predictions stay as they are, and the draw has the density of what governs the rows."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from cofactor.models.bayes_mf.config import BayesMFConfig
from cofactor.models.bayes_mf.model import BayesMF
from cofactor.models.bayes_mf.shift import shift
from toys import planted_factors


class Fixed:
    """Random numbers that are given."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, dtype=np.float64)

    def standard_normal(self, n: int) -> Any:
        assert n == len(self.values)
        return self.values


@pytest.fixture(scope="module", params=[True, False])
def chain(request: pytest.FixtureRequest) -> Any:
    model = BayesMF(BayesMFConfig(n_factors=3, epochs=4, burn_in=2, implicit=request.param, time=False))
    stepper = model.stepper(planted_factors(n=2000), np.random.default_rng(0))
    for _ in range(3):
        stepper.run(None, None)
    return stepper.chains[0]


def predictions(users: Any, items: Any) -> Any:
    p, q = users.draw.astype(np.float64), items.draw.astype(np.float64)
    return p[:, :-1] @ q[:, :-1].T + p[:, -1:] + q[:, -1]


def log_density(side: Any) -> float:
    """Of rows, their weights and means, given the precisions."""
    own = side.draw.astype(np.float64) - side.explained - side.mu
    found = -0.5 * (side.precision * own**2).sum() - 0.5 * (side.mu**2).sum()
    if len(side.weights):
        precision = side.weight_precision[side.layout.design.block]
        found -= 0.5 * (precision * side.weights.astype(np.float64) ** 2).sum()
    return float(found)


@pytest.mark.parametrize("of_items", [True, False])
def test_predictions_stay_and_the_density_is_normal(chain: Any, of_items: bool) -> None:
    found, places = [], []
    lots = [np.zeros(3), *(3 * np.eye(3)), *(-3 * np.eye(3)), np.array([1.0, -2.0, 2.0])]
    for lot in lots:
        users, items = copy.deepcopy(chain.users), copy.deepcopy(chain.items)
        before = predictions(users, items)
        side, other = (items, users) if of_items else (users, items)
        mean = side.draw[:, :-1].copy()
        shift(side, other, Fixed(lot))
        assert np.allclose(predictions(users, items), before, atol=2e-5)
        assert np.allclose(other.explained, chain_explained(other), atol=1e-5)
        places.append((side.draw[:, :-1] - mean).mean(0))
        found.append(log_density(users) + log_density(items))
    best = found[0]
    for lot, value in zip(lots, found, strict=True):  # a standard normal lot away from the best, in any direction
        assert value - best == pytest.approx(-0.5 * float(lot @ lot), abs=0.02)
    assert np.ptp(np.array(places), axis=0).min() > 0


def chain_explained(side: Any) -> Any:
    """What the weights explain, from the design alone."""
    d = side.layout.design
    out = np.zeros_like(side.draw, dtype=np.float64)
    if d is not None:
        for j in range(len(side.weights)):
            at = slice(d.indptr[j], d.indptr[j + 1])
            np.add.at(out, d.rows[at], d.values[at].astype(np.float64)[:, None] * side.weights[j])
    return out
