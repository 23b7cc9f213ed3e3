"""``ials`` without each entry of a history: exact, whatever the weights, the ages and the ridges are."""

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.models.base.left_out import FEW, minima_without
from cofactor.recommend.contributions import entries_compared
from toys import two_tastes


def minimum(vectors, weights, gram, ridge):
    """By its definition: the normal equations."""
    matrix = gram + ridge * np.eye(len(gram)) + sum(abs(w) * np.outer(y, y) for w, y in zip(weights, vectors))
    right = sum((w * y for w, y in zip(weights, vectors) if w > 0), np.zeros(len(gram)))
    return np.linalg.solve(matrix, right)


@pytest.mark.parametrize("different", [1, FEW, FEW + 1, 12])
@pytest.mark.parametrize(("n", "k"), [(1, 3), (12, 3), (12, 40)])
def test_each_minimum_is_that_of_the_rest(n, k, different):
    rng = np.random.default_rng(n + k)
    items = rng.normal(size=(60, k))
    weights = rng.uniform(0.1, 9.0, n) * np.where(np.arange(n) % 4 == 3, -1.0, 1.0)
    weights[n // 2] *= n > 1 and 0.0
    gram, ridges = items.T @ items, 0.5 + np.arange(n + 1) % different
    positions = rng.permutation(n)
    found = minima_without(items[:n], weights, gram, ridges, positions)
    np.testing.assert_allclose(found[0], minimum(items[:n], weights, gram, ridges[0]), rtol=1e-6, atol=1e-9)
    for row, at in enumerate(positions, 1):
        kept = np.arange(n) != at
        expected = minimum(items[:n][kept], weights[kept], gram, ridges[row])
        np.testing.assert_allclose(found[row], expected, rtol=1e-6, atol=1e-9)


def test_an_item_that_determines_its_direction_alone():
    """Nothing but this entry speaks of its direction: the denominator is smallest."""
    items = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = minima_without(items, np.array([30.0, 1.0]), items.T @ items, np.full(3, 1e-12), np.array([0, 1]))
    np.testing.assert_allclose(found, [[30 / 31, 0.5], [0, 0.5], [30 / 31, 0]], atol=1e-9)


SETTINGS = [
    {},
    {"nu": 0.0},
    {"min_rating_weight": 1.0},
    {"min_rating_weight": -0.5},
    {"half_life": 30.0},
    {"propensity": 0.5, "reg": 0.01},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_scores_are_those_of_the_fold_ins(settings):
    data = two_tastes(n_items=60)
    frame = pl.DataFrame({"user": data.users, "item": data.items, "rating": data.values})
    when = np.random.default_rng(0).integers(0, 86_400 * 90, len(frame))
    timed = cf.read(frame.with_columns(time=when), user="user", item="item", rating="rating", time="time")
    chosen = {"n_factors": 5, "epochs": 4, "reg": 1.0} | settings
    model = cf.fit(timed, model="ials", seed=0, verbose=False, **chosen).model
    items, moves = np.arange(60), 0.0
    for user in range(8):
        history = timed.histories.take(np.array([user]))
        at = np.arange(len(history.indices))[::-1]
        found, rest = model.scores_without(history, at, items), history.without_each(at)
        expected = model.scores_from(model.fold_in(rest)).astype(np.float64).T
        parts = np.array([model.average_part(rest.take(np.array([row])), items) for row in range(rest.n_rows)]).T
        np.testing.assert_allclose(found, expected + parts[:, :1] - parts, atol=1e-5)
        moves = max(moves, np.abs(found[:, :1] - found[:, 1:]).max())
    assert moves > 1e-2


def test_long_histories_have_reasons_by_each_entry():
    rng = np.random.default_rng(0)
    users = np.concatenate([np.repeat(np.arange(40), 20), np.full(900, 40)])
    items = np.concatenate([rng.integers(0, 1000, 800), rng.permutation(1000)[:900]])
    data = cf.read(pl.DataFrame({"user": users, "item": items}), user="user", item="item", rating=False)
    rec = cf.fit(data, model="ials", seed=0, n_factors=8, epochs=2, verbose=False)
    assert entries_compared(rec.model, 900) == 900
    item = rec.recommend(40, n=1)["item"][0]
    account = rec.explain(40, item)
    assert len(account.rated) == 900
    assert account.rest_is == "everything else"  # entries interact: what is left is no part of the average user's
    assert account.rest + account.rated["contribution"].sum() == pytest.approx(account.prediction, abs=1e-6)
