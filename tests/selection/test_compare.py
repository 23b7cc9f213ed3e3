"""compare: planted differences, pairing, folds, leaks, what it shows."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor
import cofactor.evaluation
from cofactor.data import splits
from cofactor.data.interactions import Columns, Interactions, Split
from cofactor.errors import ConfigError, DataError
from cofactor.evaluation import LeakWarning
from cofactor.selection import compare as compare_all
from cofactor.selection.candidates import candidate
from cofactor.selection.tune import Tuned
from toys import TableModel as Table
from toys import random_ratings as ratings

compare = functools.partial(compare_all, baselines=False)
TRUTH = np.random.default_rng(11).normal(3, 1, (40, 30))


@pytest.fixture
def data() -> Interactions:
    base = ratings()
    values = TRUTH[base.users, base.items] + np.random.default_rng(1).normal(0, 0.5, len(base))
    return Interactions(
        base.users, base.items, values.astype(np.float32), base.times, base.user_ids, base.item_ids, base.columns
    )


def noisy(error: float, seed: int = 0, task: str = "rating") -> Any:
    """A contender that knows the truth up to an error."""
    table = TRUTH + np.random.default_rng(seed).normal(0, error, TRUTH.shape) if error else TRUTH

    def train(rows: Interactions, seed: int) -> Table:
        return Table(table, task)

    return train


def row(frame: pl.DataFrame, **wanted: str) -> dict[str, Any]:
    return frame.filter(*(pl.col(k) == v for k, v in wanted.items())).row(0, named=True)


def test_planted_differences_are_found_and_noise_is_not(data: Interactions) -> None:
    models = [("bad", noisy(1.0)), ("good", noisy(0.1, 1)), ("good too", noisy(0.1, 2)), ("middling", noisy(0.5, 3))]
    found = compare(data, models, metrics=["rmse", "ndcg@5"])
    assert found.best in ("good", "good too")
    assert [set(tier) for tier in found.tiers()] == [{"good", "good too"}, {"middling"}, {"bad"}]
    first = found.verdict.split("\n")[0]
    assert first.startswith("rmse: good")
    assert "not told apart; then middling (" in first
    assert "all 12 comparisons" in found.verdict
    worst = row(found.frame, model="bad", metric="rmse")
    assert worst["low"] < worst["mean"] < worst["high"]
    assert worst["p"] < 0.001
    assert worst["worse_by"] > 0.3
    assert row(found.frame, model=found.best, metric="rmse")["worse_by"] == 0


def test_pairing_sees_what_single_intervals_cannot(data: Interactions) -> None:
    # Both share most of their error, so that the difference is small and steady.
    table = TRUTH + np.random.default_rng(0).normal(0, 0.5, TRUTH.shape)
    one = ("one", lambda rows, seed: Table(table))
    two = ("two", lambda rows, seed: Table(table + 0.05 * (table - TRUTH)))
    found = compare(data, [one, two], metrics=["mse"], draws=500)
    a, b = row(found.frame, model="one"), row(found.frame, model="two")
    assert a["high"] > b["low"]
    assert found.tiers() == [["one"], ["two"]]
    pair = found.pairs.row(0, named=True)
    assert pair["low"] <= pair["difference"] <= pair["high"] < 0


def test_agrees_with_evaluate_and_averages_folds(data: Interactions) -> None:
    folds = splits.kfold(data, 3, seed=1)
    found = compare(split=folds, models=[("m", noisy(0.3))], metrics=["rmse", "recall@5", "gini@5"], relevant=3)
    for metric in ("rmse", "recall@5", "gini@5"):
        each = []
        for fold in folds:
            frame = cofactor.evaluate(noisy(0.3)(fold.train, 0), fold, [metric], relevant=3, train=fold.train)
            each.append(frame["value"][0])
        assert row(found.frame, metric=metric)["mean"] == pytest.approx(np.mean(each))
        assert row(found.frame, metric=metric)["folds"] == 3
    assert row(found.frame, metric="rmse")["n_users"] == 40
    single = compare(split=folds[0], models=[("m", noisy(0.3))], metrics=["rmse"])
    frame = cofactor.evaluate(noisy(0.3)(folds[0].train, 0), folds[0], ["rmse"], train=folds[0].train, seed=42)
    np.testing.assert_allclose(single.frame.select("mean", "low", "high").row(0), frame.row(0)[1:4], rtol=1e-12)


def test_rankers_have_no_rmse_and_the_rest_goes_on(data: Interactions) -> None:
    found = compare(data, [("ranker", noisy(0.1, 0, "ranking")), ("rater", noisy(0.1, 1))], metrics=["rmse", "ndcg"])
    assert found.frame.select("model", "metric").rows() == [
        ("rater", "rmse"),
        ("ranker", "ndcg@10"),
        ("rater", "ndcg@10"),
    ]
    assert found.table().filter(pl.col("model") == "ranker")["rmse"].to_list() == ["–"]
    assert "rmse: rater (" in found.verdict
    with pytest.raises(ConfigError, match="no model could be compared"):
        compare(data, [("ranker", noisy(0.1, 0, "ranking"))], metrics=["rmse"])


def test_the_same_seed_gives_the_same_figures(data: Interactions) -> None:
    models = [("a", noisy(0.1)), ("b", noisy(0.2))]
    columns = pl.exclude("fit_seconds", "predict_seconds")
    assert compare(data, models).frame.select(columns).equals(compare(data, models).frame.select(columns))
    other = compare(data, models, seed=1).frame.select(columns)
    assert not compare(data, models).frame.select(columns).equals(other)


def test_leaks_are_warned_of_and_tuning_on_test_is_refused(data: Interactions) -> None:
    split = splits.random(data, 0.2, seed=0)
    leaky = Split(data, split.valid, "by hand")
    with pytest.warns(LeakWarning):
        found = compare(split=leaky, models=[("m", noisy(0.1))])
    assert "rows are also in training" in found.verdict
    tuned = Tuned("bias", "rmse", {"reg_user": 2.0}, 0.9, pl.DataFrame(), data)
    with pytest.raises(ConfigError, match=r"bias \(tuned\) was tuned on .* test rows"):
        compare(split=split, models=[tuned])
    inside = Tuned("bias", "rmse", {"reg_user": 2.0}, 0.9, pl.DataFrame(), split.train)
    found = compare(split=split, models=[inside], metrics=["rmse"])
    assert "'reg_user': 2.0" in found.frame["config"][0]


def test_time_travel_is_noted(data: Interactions) -> None:
    good = splits.temporal(data, 0.2)
    assert "older" not in compare(split=good, models=[("m", noisy(0.1))]).verdict
    bad = Split(good.valid, good.train, "temporal, turned round")
    assert "older than the newest training row" in compare(split=bad, models=[("m", noisy(0.1))]).verdict


def test_what_fails_is_left_out_and_said(data: Interactions) -> None:
    def fails(rows: Interactions, seed: int) -> Any:
        raise DataError("there are no times")

    found = compare(data, [("needs times", fails), ("m", noisy(0.1))])
    assert found.skipped == {"needs times": "there are no times"}
    assert "needs times was left out: there are no times" in found.verdict


def test_specs() -> None:
    from cofactor.models.bias import Bias, BiasConfig

    assert candidate("bias").label == "bias"
    assert candidate(("bias", {"reg_user": 9.0})).label == "bias (reg_user=9.0)"
    assert candidate(("strong", "bias", {"reg_user": 9.0})).label == "strong"
    assert candidate(Bias(BiasConfig(reg_item=9.0))).config == {"reg_item": 9.0}
    for bad, match in (("biass", "Did you mean 'bias'"), (("bias", {"reg": 1}), "no parameter"), (3, "cannot compare")):
        with pytest.raises(ConfigError, match=match):
            candidate(bad)


def test_bad_input(data: Interactions) -> None:
    with pytest.raises(ConfigError, match="given twice"):
        compare(data, ["bias", "bias"])
    with pytest.raises(ConfigError, match="nothing to compare"):
        compare(data, [])
    with pytest.raises(ConfigError, match="give ratings"):
        compare()
    with pytest.raises(ConfigError, match="list of them"):
        compare(data, ["bias"], split=[1])  # type: ignore[list-item]


def test_registered_models_through_fit(data: Interactions) -> None:
    others = ["bias", ("no bias", "bias", {"reg_user": 1e6, "reg_item": 1e6}), "bias:reg_user=1e6:reg-item=1e6"]
    found = compare(data, others, split="random", metrics=["rmse"])
    rec = cofactor.fit(splits.random(data, 0.2, seed=42).train, model="bias", seed=42)
    expected = cofactor.evaluate(rec, splits.random(data, 0.2, seed=42), ["rmse"])["value"][0]
    assert row(found.frame, model="bias")["mean"] == expected
    same = [row(found.frame, model=name)["mean"] for name in ("no bias", "bias:reg_user=1e6:reg-item=1e6")]
    assert same[0] == same[1] != expected
    assert (found.frame["fit_seconds"] > 0).all()


def test_an_injected_fit_gets_seed_and_settings(data: Interactions) -> None:
    calls: list[dict[str, Any]] = []

    def fit(train: Interactions, **given: Any) -> Table:
        calls.append(given)
        return Table(TRUTH)

    compare(data, [("bias", {"reg_user": 3.0})], seed=7, fit=fit)
    assert calls[-1] == {"model": "bias", "seed": 7, "reg_user": 3.0}


def test_intervals_are_compared_where_there_are_some(data: Interactions) -> None:
    metrics = ["interval_coverage", "interval_width", "calibration_error", "gini@5"]
    found = compare(data, ["bias", ("weak", "bias", {"reg_user": 100.0})], metrics=metrics)
    assert 0.8 < row(found.frame, model="bias", metric="interval_coverage")["mean"] < 0.97
    assert "interval_coverage" not in found.pairs["metric"].to_list()
    assert "; not tested." in found.verdict


def test_it_shows_itself(data: Interactions) -> None:
    found = compare(data, [("<b>", noisy(0.1)), ("b", noisy(0.9))], metrics=["rmse", "ndcg"])
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<td><b></td>" not in found._repr_html_()
    text = str(found).split("\n")
    assert text[0].startswith("Split: temporal: ")
    assert text[2].split() == ["model", "rmse", "ndcg@10", "fit", "s", "predict", "s"]
    assert text[3].startswith("<b>")
    again = json.loads(json.dumps(found.to_dict()))
    assert again["tiers"]["rmse"] == [["<b>"], ["b"]]
    assert repr(found).startswith("<Comparison of 2 models by rmse, ndcg@10; best: <b>")
    with pytest.raises(ConfigError, match="was not compared"):
        found.tiers("mae")


def test_plot(data: Interactions) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    ax = compare(data, [("a", noisy(0.1)), ("b", noisy(0.9))], metrics=["rmse"]).plot()
    assert ax.get_xscale() == "log"
    assert sorted(t.get_text() for t in ax.texts) == ["a", "b"]
    assert "lower is better" in ax.get_ylabel()
    plt.close(ax.figure)


def test_no_difference_is_rarely_called_one(data: Interactions) -> None:
    wrong = 0
    split = splits.random(data, 0.3, seed=3)
    for k in range(40):
        models: list[Any] = [(str(j), noisy(0.5, 100 + 4 * k + j)) for j in range(4)]
        wrong += len(compare(split=split, models=models, metrics=["mse"], draws=200).tiers()) > 1
    assert wrong <= 8


def test_the_foot_of_the_ladder_is_always_there(data: Interactions) -> None:
    both = compare_all(data, [("m", noisy(0.3))], draws=100)
    assert both.frame["model"].unique(maintain_order=True).to_list()[:2] == ["bias", "m"]
    assert set(both.frame.filter(pl.col("metric") == "ndcg@10")["model"]) == {"popular", "bias", "m"}
    assert "popular and bias were added" in both.verdict
    lists = compare_all(data, ["popular", ("m", noisy(0.3, task="ranking"))], metrics=["ndcg"], draws=100)
    assert set(lists.frame["model"]) == {"popular", "m"}
    assert "added, as" not in lists.verdict
    errors = compare_all(data, [("m", noisy(0.3))], metrics=["rmse"], draws=100)
    assert set(errors.frame["model"]) == {"bias", "m"}
    clicks = data.replace(values=np.ones(len(data), dtype=np.float32), columns=Columns(rating=None))
    assert set(compare_all(clicks, ["item-cosine"], draws=100).frame["model"]) == {"popular", "item-cosine"}


def test_nothing_small_is_shown_as_nothing() -> None:
    from cofactor.selection.comparison import figure

    assert [figure(x) for x in (1.0398, -0.0, 0.0087771, 0.00001234, -0.00001)] == [
        "1.0398",
        "0.0000",
        "0.0088",
        "1.2e-05",
        "-1e-05",
    ]


def test_lists_that_nobody_can_be_measured_by_are_an_error_or_a_note(data: Interactions) -> None:
    split = splits.random(data, 0.2, seed=1)
    with pytest.raises(DataError, match="none of the 37 test users with training rows has a rating of 99 or more"):
        compare(split=split, models=[("a", noisy(0.1))], metrics=["ndcg"], relevant=99)
    found = compare(split=split, models=[("a", noisy(0.1))], relevant=99)
    assert set(found.frame["metric"]) == {"rmse", "mae"}
    assert found.frame["mean"].is_finite().all()
    assert "Lists were not measured" in found.verdict
    few = float(np.sort(split.valid.values)[-2])
    with pytest.warns(cofactor.evaluation.RelevanceWarning, match="only [12] of 37 test users have a relevant row"):
        compare(split=split, models=[("a", noisy(0.1))], metrics=["ndcg"], relevant=few)


def test_ways_to_hold_out_and_metrics_of_ones_own(data: Interactions) -> None:
    def first_hit(recommended: list[Any], relevant: set[Any]) -> float:
        return float(recommended[0] in relevant)

    for how, word in (("auto", "temporal"), ("random", "random"), ("last", "leave last"), ("temporal", "temporal")):
        found = compare(data, [("a", noisy(0.1)), ("b", noisy(0.9))], split=how, metrics=[first_hit, "hit_rate"], n=1)
        assert found.how[0].startswith(word)
        for model in ("a", "b"):
            own, theirs = (row(found.frame, model=model, metric=f"{m}@1")["mean"] for m in ("first_hit", "hit_rate"))
            assert own == theirs
    with pytest.raises(ConfigError, match="split is 'past'; give one of auto, random, temporal, last"):
        compare(data, ["bias"], split="past")
