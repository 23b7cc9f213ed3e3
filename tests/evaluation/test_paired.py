"""The difference of two trained models: that of ``compare``, and one that overlapping intervals would hide."""

from __future__ import annotations

import numpy as np
import pytest

import cofactor as cf
from cofactor.errors import ConfigError
from cofactor.evaluation import bootstrap
from cofactor.evaluation.bootstrap import UserSums
from cofactor.evaluation.held_out import held_out_rows
from cofactor.evaluation.paired import paired_difference
from toys import two_tastes


@pytest.fixture(scope="module")
def split():
    return cf.split.random(two_tastes(), valid=0.3, seed=0)


@pytest.fixture(scope="module")
def models(split):
    return {name: cf.fit(split.train, model=name, seed=0) for name in ("als", "bias", "popular")}


@pytest.mark.parametrize(("first", "second", "metric"), [("als", "bias", "rmse"), ("als", "popular", "ndcg")])
def test_it_is_the_difference_that_compare_finds(split, models, first, second, metric):
    found = paired_difference(models[first], models[second], split.valid, metric, seed=42)
    table = cf.compare(
        split, [(name, lambda train, seed, name=name: models[name]) for name in (first, second)],
        metrics=[metric], baselines=False, quiet=True,
    )  # fmt: skip
    pair = table.pairs.row(0, named=True)
    sign = 1 if pair["better"] == first else -1
    assert found.difference == pytest.approx(sign * pair["difference"])
    assert sorted((found.low, found.high)) == pytest.approx(sorted((sign * pair["low"], sign * pair["high"])))
    means = dict(zip(table.frame["model"], table.frame["mean"], strict=True))
    assert (found.first, found.second) == pytest.approx((means[first], means[second]))


def test_a_model_does_not_differ_from_itself(split, models):
    found = paired_difference(models["als"], models["als"], split.valid, "rmse")
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert not found.clear


def test_what_users_share_cancels(split, models):
    """A model that is a little worse for everybody is clearly worse, though the intervals of the two overlap."""
    als = models["als"]

    rows = split.valid
    better = als.predict_codes(rows.users, rows.items, rows.times).astype(np.float64)
    error = better - rows.values
    worse = rows.values + error + 0.02 * np.sign(error)
    a, b = (np.sqrt(np.mean((p - rows.values) ** 2)) for p in (better, worse))
    assert b > a
    single = cf.evaluate(als, rows, metrics=["rmse"]).row(0, named=True)
    assert single["high"] > b  # its interval holds the other's value

    held = held_out_rows(rows, als.data)
    count = np.bincount(held.cluster, minlength=held.n_clusters)[:, None].astype(float)
    cells = [
        UserSums(np.bincount(held.cluster, (p - held.values) ** 2, held.n_clusters)[:, None], count, "root")
        for p in (better, worse)
    ]
    drawn = bootstrap.resample(cells, 500, 0)
    assert bootstrap.interval(drawn[:, 0] - drawn[:, 1])[1] < 0


def test_a_metric_that_one_cannot_give_is_refused(split, models):
    with pytest.raises(ConfigError, match="does not predict ratings"):
        paired_difference(models["als"], models["popular"], split.valid, "rmse")
