"""Popularity debiasing: in training, rows of popular items weigh less; in evaluation, they count less."""

import numpy as np
import pytest

import cofactor as cf
from cofactor.errors import ConfigError
from cofactor.evaluation.metrics import Sought, debiased_ndcg, debiased_recall, ndcg, recall
from cofactor.models.base.propensity import item_worth
from toys import planted_factors, random_ratings, trained_ranker

NAMES = ("item-cosine", "ease", "slim", "graph-filter", "ials")


def test_the_mean_row_weighs_1():
    counts = np.array([100.0, 10.0, 1.0, 0.0])
    worth = item_worth(counts, 0.5)
    assert (counts * worth).sum() == pytest.approx(counts.sum())
    assert worth[1] / worth[0] == pytest.approx(10**0.5)
    assert worth[3] == worth[2]
    assert (item_worth(counts, 0.0) == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_lists_hold_less_popular_items(name):
    data = planted_factors(n=4000, power=2.0)
    data = data.replace(values=np.ones(len(data), dtype=np.float32), kind="events")
    counts, found = data.item_counts, []
    for power in (0.0, 0.8):
        model = trained_ranker(name, data, propensity=power)
        scores = model.scores(np.arange(data.n_users))
        scores[data.users, data.items] = -np.inf
        found.append(counts[np.argsort(-scores, axis=1)[:, :5]].mean())
        again = type(model).from_state(model.config, model.state())  # fold-ins weigh as training did, after opening too
        assert np.array_equal(again.fold_in(data.by_user), model.fold_in(data.by_user))
    assert found[1] < found[0]


def test_a_power_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"propensity is 1\.5"):
        cf.fit(planted_factors(), model="ease", propensity=1.5)


def test_debiased_figures_are_those_of_plain_python():
    rng = np.random.default_rng(0)
    n_items, n = 30, 6
    worth = rng.uniform(0.1, 2, n_items)
    top = np.array([rng.permutation(n_items)[:n] for _ in range(20)], dtype=np.int32)
    top[3, 4:] = -1
    relevant = [np.sort(rng.permutation(n_items)[: rng.integers(0, 9)]) for _ in range(20)]
    missing = rng.integers(0, 3, 20)
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in relevant])])
    indices = np.concatenate(relevant).astype(np.int64)
    hits = np.array([np.isin(row, good) for row, good in zip(top, relevant, strict=True)])
    given = Sought(worth, indptr, indices, missing)
    for u in range(20):
        gains = [worth[i] if i in relevant[u] else 0.0 for i in top[u]]
        every = sorted([*worth[relevant[u]], *np.ones(missing[u])], reverse=True)
        best = sum(w / np.log2(r + 2) for r, w in enumerate(every[:n]))
        wanted = sum(g / np.log2(r + 2) for r, g in enumerate(gains)) / best if every else np.nan
        assert debiased_ndcg(hits, top, given)[u] == pytest.approx(wanted, nan_ok=True)
        wanted = sum(gains) / sum(every) if every else np.nan
        assert debiased_recall(hits, top, given)[u] == pytest.approx(wanted, nan_ok=True)
    same, counts = given._replace(worth=np.ones(n_items)), np.diff(indptr) + missing
    assert np.allclose(debiased_ndcg(hits, top, same), ndcg(hits, counts), equal_nan=True)
    assert np.allclose(debiased_recall(hits, top, same), recall(hits, counts), equal_nan=True)


def test_evaluate_says_what_it_weighs():
    split = cf.split.random(random_ratings(), 0.2)
    rec = cf.fit(split.train, model="popular")
    plain, weighed = (cf.evaluate(rec, split, ["ndcg", "recall", "mrr"], propensity=p) for p in (0.0, 0.5))
    assert weighed["value"][1] < plain["value"][1]  # popularity lists what many have
    assert weighed["value"][2] == plain["value"][2]
    assert "counts n to the power -0.5" in weighed["note"][0]
    with pytest.raises(ConfigError, match="propensity"):
        cf.evaluate(rec, split, propensity=-1)
