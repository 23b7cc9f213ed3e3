"""What leaving out an entry does to a user of ``bpr``: Newton steps against fold-ins of each history that remains."""

import numpy as np
import pytest

import cofactor as cf
from cofactor.models import bpr
from cofactor.models.base.pairwise import moved_without
from toys import two_tastes


def minimum(taken, weights, items, bias, reg):
    """The minimum by gradient steps, all pairs counted."""
    u = np.zeros(items.shape[1])
    others = np.setdiff1d(np.arange(len(items)), taken)
    some = weights > 0
    for _ in range(4000):
        gap = (items[taken] @ u + bias[taken])[:, None] - (items[others] @ u + bias[others])[None, :]
        chance = weights[:, None] / (1 + np.exp(gap)) / len(others)
        pull = chance.sum(axis=1) @ items[taken] - chance.sum(axis=0) @ items[others]
        u += 0.5 * (pull - reg * some.sum() * u)
    return u


@pytest.mark.parametrize("n", [8, pytest.param(25, marks=pytest.mark.slow)])
def test_the_steps_lead_to_the_minimum_without_the_entry(n):
    rng = np.random.default_rng(n)
    items, bias = rng.normal(0, 0.5, (40, 4)), rng.normal(0, 0.3, 40)
    taken, weights = np.sort(rng.permutation(40)[:n]), rng.uniform(0.2, 1, n)
    weights[1] = 0.0
    whole = minimum(taken, weights, items, bias, 0.05)
    found = moved_without(np.zeros(4), taken, weights, items, bias, 0.05)
    for at in range(n):
        kept = np.arange(n) != at
        moved = minimum(taken[kept], weights[kept], items, bias, 0.05) - whole
        if weights[at] == 0:
            assert not found[at].any()
        else:
            assert np.linalg.norm(found[at] - moved) < 0.35 * np.linalg.norm(moved)


def test_long_histories_are_explained_as_by_fold_ins(monkeypatch):
    rec = cf.fit(two_tastes(n_items=80), model="bpr", seed=0, n_factors=8, epochs=60)
    model, data = rec.model, rec.data
    history = data.by_user.take(np.array([3]))
    at, items = np.arange(len(history.indices)), np.setdiff1d(np.arange(80), history.indices)[:10]
    assert len(at) > bpr.FOLDED
    fast = model.scores_without(history, at, items)
    monkeypatch.setattr(bpr, "FOLDED", 1000)
    slow = model.scores_without(history, at, items)
    np.testing.assert_allclose(fast[:, 0], slow[:, 0], atol=1e-5)
    a, b = fast[:, :1] - fast[:, 1:], slow[:, :1] - slow[:, 1:]
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.6  # a fold-in draws its pairs by chance
    assert 0.5 < a.std() / b.std() < 2


def test_an_explanation_of_a_long_history():
    rec = cf.fit(two_tastes(n_items=80), model="bpr", seed=0, n_factors=8, epochs=60)
    item = rec.recommend(4, n=1)["item"][0]
    found = rec.explain(4, item)
    assert len(found.rated) == rec.data.by_user.counts[3]
    best = found.rated.sort("contribution", descending=True)["item"][:3]
    assert ((best < 140) == (item < 140)).all()  # what speaks for it is of the same taste
