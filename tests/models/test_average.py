"""Rankers start from the average user, weighed by how little is known."""

from __future__ import annotations

import numpy as np
import pytest

from cofactor.data.interactions import CSR, Interactions
from cofactor.models.base.average import start_weight, trust
from cofactor.models.base.strength import weighted
from toys import interactions, noise
from toys import trained_ranker as fitted

HISTORIES = ("ease", "slim", "item-cosine", "graph-filter")


def skewed(seed: int = 0) -> Interactions:
    """Chance alone, but item ``i`` is taken more than item ``i + 1``."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((200, 30)) < np.linspace(0.6, 0.02, 30))
    return interactions(users, items, np.ones(len(users)), 200, 30)


def test_the_weight_falls_with_what_is_known() -> None:
    np.testing.assert_allclose(start_weight(np.array([1, 4, 58])), [1.0, 0.5, 0.05])


def test_popular_items_of_which_everybody_has_some_are_trusted() -> None:
    counts = np.array([50] * 10 + [1] * 990)
    assert trust(counts, 100) == pytest.approx(0.8 + 4 * (0.5 - 0.0149))
    assert trust(np.full(1000, 50), 100) == 1  # all alike
    assert trust(counts, 100_000) == 1  # few have any
    assert trust(np.array([], dtype=int), 0) == 1


@pytest.mark.parametrize("name", HISTORIES)
def test_it_is_the_mean_entry_spread_as_single_ones(name: str) -> None:
    data = skewed()
    model = fitted(name, data)
    entries = weighted(data.by_user, model.range, model.config.min_rating_weight)
    alone = CSR(np.arange(len(data) + 1), entries.indices, entries.values, entries.rows, data.n_items)
    each = model.summed(alone).astype(np.float64)
    spreads = each.std(axis=1)
    mean = each.mean(axis=0)
    chance = np.square(spreads).mean() / data.n_users / mean.var()
    shares = np.bincount(data.items, minlength=30) / 200
    more = 0.8 + 4.0 * (np.sort(shares)[-10:].mean() - shares.mean())
    wanted = more * mean * (1 - chance) * np.median(spreads[spreads > 0]) / mean.std()
    assert np.corrcoef(model.average, wanted)[0, 1] > 0.9999
    assert model.average.std() / wanted.std() == pytest.approx(1, abs=0.05)  # a sample of the entries
    rows = data.by_user.take(np.arange(7))
    summed = model.summed(model.rows_of(rows))
    np.testing.assert_allclose(
        model.fold_in(rows), summed + start_weight(rows.counts)[:, None] * model.average, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", [*HISTORIES, "ials"])
def test_with_one_entry_popular_items_come_first(name: str) -> None:
    """Where items have nothing to do with each other, one entry says nothing."""
    data = skewed()
    settings = {"n_factors": 16, "reg": 5.0} if name == "ials" else {}
    model = fitted(name, data, **settings)
    ones = np.arange(20, 30, dtype=np.int32)
    rows = CSR(np.arange(11), ones, np.ones(10, np.float32), np.empty(0, np.int64), 30)
    found = taken(model.scores_from(model.fold_in(rows)), data)
    model.average = np.zeros_like(model.average)
    before = taken(model.scores_from(model.fold_in(rows)), data)
    assert found > 1.05 * before


def taken(scores: np.ndarray, data: Interactions) -> float:
    """How many took an item of the best five, on average."""
    best = np.argsort(-scores, axis=1)[:, :5]
    return float(np.bincount(data.items, minlength=data.n_items)[best].mean())


@pytest.mark.parametrize("name", [*HISTORIES, "ials"])
def test_where_items_are_alike_popular_the_average_says_little(name: str) -> None:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((400, 30)) < 0.2)
    data = interactions(users, items, np.ones(len(users)), 400, 30)
    model = fitted(name, data, **({"n_factors": 16, "reg": 5.0} if name == "ials" else {}))
    rows = data.by_user.take(np.arange(50))
    found = model.scores_from(model.fold_in(rows))
    model.average = np.zeros_like(model.average)
    before = model.scores_from(model.fold_in(rows))
    assert np.corrcoef(found.ravel(), before.ravel())[0, 1] > 0.85


@pytest.mark.parametrize("name", [*HISTORIES, "ials"])
def test_states_of_earlier_versions_have_no_average(name: str) -> None:
    model = fitted(name, noise())
    state = {k: v for k, v in model.state().items() if k != "average"}
    again = type(model).from_state(model.config, state)
    assert not again.average.any()
    assert np.isfinite(again.scores(np.arange(-1, 5))).all()
