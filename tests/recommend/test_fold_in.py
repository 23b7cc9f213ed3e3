"""A user who is folded in loses next to nothing against one who was trained.

Half of the ratings of a fifth of ml-100k's users are histories; the same model trained with these is the measure.
``benchmarks/fold_in.py`` measures every model at its defaults; here the slow ones train for fewer epochs.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

import cofactor as cf
from cofactor.data.interactions import Interactions, Split
from cofactor.evaluation.metrics import ndcg
from cofactor.models import REGISTRY
from cofactor.recommend.topn import mask_rows, top_n

QUICK = {
    "svd++": {"epochs": 10},
    "bayes-mf": {"epochs": 40, "burn_in": 10},
    "bpr": {"epochs": 20},
    "warp": {"epochs": 20},
    "neural": {"epochs": 2},
    "blend": {"models": ("ease", "item-cosine"), "weights": (0.6, 0.4)},
}


@pytest.fixture(scope="module")
def split(ml100k) -> Split:
    return cf.split.by_user(ml100k, users=0.2, given=0.5, seed=0)


def joined(a: Interactions, b: Interactions) -> Interactions:
    rows = {
        name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in ("users", "items", "values", "times")
    }
    return a.replace(**rows)


def loss(scores, who, split, task):
    """RMSE, or 1 / NDCG@10 of unseen items (relevant: rated 4 or more)."""
    if task == "rating":
        predicted = np.clip(scores[np.searchsorted(who, split.valid.users), split.valid.items], *split.train.range)
        return float(np.sqrt(np.mean((predicted - split.valid.values) ** 2)))
    scores = np.array(scores)
    mask_rows(scores, split.given.by_user.take(who))
    top, _ = top_n(scores, 10)
    wanted = split.valid.take(split.valid.values >= 4).by_user.take(who)
    hits = np.array([np.isin(top[r], wanted.row(r)[0]) for r in range(len(who))])
    has = wanted.counts > 0
    return 1 / float(ndcg(hits[has], wanted.counts[has]).mean())


@pytest.mark.movielens
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if n in ("next-item", "bayes-mf") else ())
        for n in REGISTRY
        if n not in ("neural", "warp")
    ],
)
def test_folding_in_is_within_two_percent_of_training(split, name):
    config = QUICK.get(name, {})
    who = np.unique(split.given.users)
    without = cf.fit(split.train, model=name, seed=0, calibrate=False, **config).model
    trained = cf.fit(joined(split.train, split.given), model=name, seed=0, calibrate=False, **config).model
    folded = without.scores_from(without.fold_in(split.given.by_user.take(who)))
    found, measure = (loss(s, who, split, without.task) for s in (folded, trained.scores(who)))
    assert found < 1.02 * measure
    nothing = split.given.take(np.arange(0)).by_user.take(who)
    strangers = without.scores_from(without.fold_in(nothing))
    if name not in ("popular", "repeat-buy"):  # the histories are what makes the difference among new items
        assert found < loss(strangers, who, split, without.task)


@pytest.mark.movielens
@pytest.mark.parametrize("name", ["als", "ease", "ials", "item-knn"])
@pytest.mark.clock
def test_a_list_from_a_history_takes_milliseconds(split, name):
    rec = cf.fit(split.train, model=name, seed=0, calibrate=False, **({"epochs": 3} if name in ("als", "ials") else {}))
    history = dict(zip(split.train.item_ids.values[:50].to_list(), [5.0, 3.0] * 25, strict=True))
    rec.recommend(history=history)
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        rec.recommend(history=history, where="year >= 1990")
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.005
