"""evaluate: figures against plain loops, choices, leaks, unknown ids, bootstrap."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import cofactor as cf
import cofactor.evaluation
from cofactor.data.interactions import Columns, Interactions, Split
from cofactor.errors import BundleError, ConfigError, DataError
from cofactor.evaluation import CustomMetric, LeakWarning, RelevanceWarning, calibration, evaluate, metrics
from cofactor.evaluation.bootstrap import UserSums, holm, interval, paired_p, pool_folds, resample
from cofactor.evaluation.evaluate import lists
from cofactor.evaluation.metric_names import parse
from cofactor.model import Interval
from cofactor.recommend.intervals import residual_interval, residual_quantiles
from toys import TableModel as Table
from toys import random_ratings as ratings


class Sure(Table):
    """A Table that gives intervals: normal with standard deviation 1."""

    def predict_interval(self, users: NDArray, items: NDArray, level: float, times: NDArray | None = None) -> Interval:
        from scipy.special import ndtri

        mean = self.predict(users, items)
        return Interval(mean, mean - ndtri((1 + level) / 2), mean + ndtri((1 + level) / 2))


def halves(data: Interactions) -> tuple[Interactions, Interactions]:
    mid = len(data) // 2
    return data.take(np.arange(mid)), data.take(np.arange(mid, len(data)))


@pytest.fixture
def parts() -> tuple[Interactions, Interactions]:
    return halves(ratings())


@pytest.fixture
def table() -> NDArray:
    return np.random.default_rng(9).normal(3, 1, (40, 30))


def value(frame: pl.DataFrame, metric: str, column: str = "value") -> Any:
    return frame.row(by_predicate=pl.col("metric") == metric, named=True)[column]


def test_ratings_against_plain_numpy(parts: Any, table: NDArray) -> None:
    train, test = parts
    frame = evaluate(Table(table), test, train=train)
    assert frame.columns == ["metric", "value", "low", "high", "n_users", "n_rows", "note"]
    assert frame["metric"].to_list() == ["rmse", "mse", "mae"]
    predicted = table[test.users, test.items].astype(np.float32)
    for name in ("rmse", "mse", "mae"):
        assert value(frame, name) == pytest.approx(getattr(metrics, name)(test.values, predicted))
        assert value(frame, name, "low") < value(frame, name) < value(frame, name, "high")
    assert value(frame, "rmse", "n_rows") == len(test)


@pytest.mark.parametrize("exclude", ["seen", None])
@pytest.mark.parametrize("without", ["skip", "zero"])
def test_ranking_against_plain_loops(parts: Any, table: NDArray, exclude: Any, without: Any) -> None:
    train, test = parts
    test = test.take(test.users != 7)  # user 7 has no test row: does not count at all
    test = test.take(~((test.users == 3) & (test.values >= 4)))  # user 3 has no relevant one
    n, seen = 5, {(int(u), int(i)) for u, i in zip(train.users, train.items)}
    expected: dict[str, list[float]] = {name: [] for name in (*metrics.RANKING, "auc")}
    for u in np.unique(test.users):
        good = {int(i) for i, v in zip(test.items[test.users == u], test.values[test.users == u]) if v >= 4}
        candidates = [i for i in range(30) if exclude is None or (u, i) not in seen]
        order = sorted(candidates, key=lambda i: -table[u, i])
        hits = [i in good for i in order]
        if not good:
            if without == "zero":
                for values in expected.values():
                    values.append(0.0)
            continue
        dcg = sum(h / np.log2(k + 2) for k, h in enumerate(hits[:n]))
        expected["ndcg"].append(dcg / sum(1 / np.log2(k + 2) for k in range(min(n, len(good)))))
        expected["recall"].append(sum(hits[:n]) / len(good))
        expected["precision"].append(sum(hits[:n]) / n)
        expected["map"].append(
            sum(sum(hits[: k + 1]) / (k + 1) for k in range(n) if k < len(hits) and hits[k]) / len(good)
        )
        expected["mrr"].append(next((1 / (k + 1) for k, h in enumerate(hits[:n]) if h), 0.0))
        expected["hit_rate"].append(float(any(hits[:n])))
        wins = [a < b for a, h in enumerate(hits) if h for b, g in enumerate(hits) if not g]
        expected["auc"].append(float(np.mean(wins)))
    frame = evaluate(
        Table(table, "ranking"), test, "ranking", train=train, n=n, relevant=4, exclude=exclude, users_without=without
    )
    for name, values in expected.items():
        label = name if name == "auc" else f"{name}@5"
        assert value(frame, label) == pytest.approx(np.mean(values)), name
        assert value(frame, label, "n_users") == len(values)
    assert "1 users without a relevant item" in value(frame, "ndcg@5", "note")


def test_blocks_do_not_change_figures(parts: Any, table: NDArray, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = parts
    whole = evaluate(Table(table), test, "all", train=train)
    from cofactor.evaluation import measure as module

    plain = module.masked_scores
    monkeypatch.setattr(module, "masked_scores", lambda by, users, exclude: plain(by, users, exclude, block=90))
    model = Table(table)
    assert evaluate(model, test, "all", train=train).equals(whole)
    assert max(model.asked) == 3


def test_default_threshold_is_three_quarters_up_the_scale(parts: Any, table: NDArray) -> None:
    train, test = parts
    model = Table(table, "ranking")
    assert evaluate(model, test, train=train).equals(evaluate(model, test, train=train, relevant=4.0))
    clicks = Interactions(
        train.users, train.items, np.ones(len(train), np.float32), None, train.user_ids, train.item_ids
    )
    assert "relevant: every test row" in evaluate(model, test, train=clicks)["note"][0]


def test_novelty_knows_the_users_with_training_rows_alone(parts: Any, table: NDArray) -> None:
    train, test = parts
    few = train.take(train.users < 20)
    seen = evaluate(Table(table), test, "novelty@4", train=few)
    top = lists(Table(table), np.unique(test.users[test.users < 20]), 4, train=few)
    assert few.n_users == 40
    bits = -np.log2(np.maximum(np.bincount(few.items, minlength=30), 1)[top] / 20)
    assert value(seen, "novelty@4") == pytest.approx(bits.mean())


def test_beyond_accuracy(parts: Any, table: NDArray) -> None:
    train, test = parts
    frame = evaluate(Table(table), test, "beyond", train=train, n=4)
    top = lists(Table(table), np.unique(test.users), 4, train=train)
    counts = np.bincount(train.items, minlength=30)
    assert value(frame, "item_coverage@4") == len(np.unique(top)) / 30
    assert value(frame, "gini@4") == pytest.approx(metrics.gini(top, 30))
    assert value(frame, "popularity@4") == pytest.approx(counts[top].mean())
    assert value(frame, "novelty@4") == pytest.approx(-np.log2(counts[top] / 40).mean())
    raters = np.zeros((30, 40))
    raters[train.items, train.users] = 1
    assert value(frame, "diversity@4") == pytest.approx(metrics.diversity(top, raters).mean())
    assert value(frame, "gini@4", "low") is None
    assert value(frame, "novelty@4", "low") < value(frame, "novelty@4") < value(frame, "novelty@4", "high")


def test_diversity_of_many_users_is_measured_on_some(
    parts: Any, table: NDArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cofactor.evaluation.measure as module

    train, test = parts
    monkeypatch.setattr(module, "MANY", 9)
    assert value(evaluate(Table(table), test, "diversity", train=train), "diversity@10", "n_users") == 9


def test_one_row_and_clicks_as_test_rows(parts: Any, table: NDArray) -> None:
    train, _ = parts
    one = evaluate(
        Table(table), pl.DataFrame({"user": ["u001"], "item": [100], "rating": [4.0], "time": [5]}), train=train
    )
    assert value(one, "mae") == pytest.approx(abs(table[1, 0] - 4))
    ones = np.ones(len(train), np.float32)
    clicks = train.replace(values=ones, times=None, columns=Columns("user", "item", None, None))
    unseen = next(i for i in range(30) if not ((train.users == 1) & (train.items == i)).any())
    frame = pl.DataFrame({"user": ["u001"], "item": [100 + unseen], "score": [-3.0], "when": [7]})
    found = evaluate(Table(table, "ranking"), frame, ["recall@30", "auc"], train=clicks)
    assert value(found, "recall@30") == 1


def test_intervals_and_calibration() -> None:
    train, _ = halves(ratings())
    rng = np.random.default_rng(3)
    users, items = (a.ravel().astype(np.int32) for a in np.indices((40, 30)))
    truth = rng.normal(3, 1, 1200).astype(np.float32)
    test = Interactions(users, items, truth, None, train.user_ids, train.item_ids)
    model = Sure(np.full((40, 30), 3.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        frame = evaluate(model, test, train=train, level=0.8)
        assert value(frame, "interval_coverage") == pytest.approx(0.8, abs=0.03)
        assert value(frame, "interval_width") == pytest.approx(2 * 1.2816, abs=1e-3)
        curve = calibration(model, test, train=train)
        off = value(evaluate(model, test, "calibration_error", train=train), "calibration_error")
        narrow = value(
            evaluate(Sure(np.full((40, 30), 4.0)), test, "calibration_error", train=train), "calibration_error"
        )
    assert off == pytest.approx((curve["observed"] - curve["level"]).abs().mean())
    assert off < 0.03 < 0.1 < narrow


def test_leaks_are_warned_of_and_counted(parts: Any, table: NDArray) -> None:
    train, test = parts
    both = ratings().take(np.arange(len(train) - 5, len(train) + len(test)))
    with pytest.warns(LeakWarning, match="^5 of "):
        frame = evaluate(Table(table), both, "all", train=train)
    assert "5 rows are also in training" in frame["note"][0]
    # Leaked rows are no candidates and so are not counted as misses.
    assert value(frame, "recall@10") == value(evaluate(Table(table), test, "recall", train=train), "recall@10")


def test_time_travel_is_noted(parts: Any, table: NDArray) -> None:
    train, test = parts
    late, early = Split(train, test, "temporal"), Split(test, train, "temporal")
    assert "older" not in evaluate(Table(table), late, train=train)["note"][0]
    assert f"{len(train):,} rows are older" in evaluate(Table(table), early, train=test)["note"][0]


def test_other_id_maps_and_unknown_ids(parts: Any, table: NDArray, tmp_path: Any) -> None:
    train, test = parts
    model = Table(table)
    frame = test.to_frame().sample(fraction=1.0, shuffle=True, seed=1)
    path = tmp_path / "test.csv"
    frame.write_csv(path)
    same = evaluate(model, test, "all", train=train, draws=0)
    for given in (frame, path):
        again = evaluate(model, given, "all", train=train, draws=0)
        np.testing.assert_allclose(again["value"].to_numpy(), same["value"].to_numpy(), rtol=1e-9)
    strange = pl.DataFrame(
        {"user": ["zz", "zz", "u001"], "item": [100, 101, 999], "rating": [5.0, 5.0, 5.0], "time": [1, 2, 3]}
    )
    strange = pl.concat([frame, strange.cast({"rating": pl.Float32})], how="vertical_relaxed")
    known = model.predict(test.users, test.items)
    expected = np.mean(np.concatenate([(known - test.values) ** 2, [4.0] * 3]))
    got = evaluate(model, strange, ["mse", "recall"], train=train)
    assert value(got, "mse") == pytest.approx(expected)
    assert value(got, "mse", "n_users") == value(same, "mse", "n_users") + 1
    assert "2 rows of users that are not in training; 1 rows of items that are not in training" in value(
        got, "mse", "note"
    )
    assert "1 users are not in training, so they are not ranked" in value(got, "recall@10", "note")
    assert value(got, "recall@10") < value(same, "recall@10")  # the unknown item is a miss


def test_ids_without_training_rows_are_never_seen_even_in_the_id_map(parts: Any, table: NDArray) -> None:
    train, test = parts
    gone = np.isin(train.users, np.unique(test.users)[:3])
    less = train.take(~gone)
    left = test.take(~np.isin(test.users, np.unique(test.users)[:3]))
    for metric in ("ndcg@10", "auc", "novelty@10", "gini@10"):
        got = evaluate(Table(table), test, metric, train=less, draws=0)
        assert value(got, metric) == pytest.approx(
            value(evaluate(Table(table), left, metric, train=less, draws=0), metric)
        )
        assert "3 users are not in training, so they are not ranked" in value(got, metric, "note")
    rows = int(np.isin(test.users, np.unique(test.users)[:3]).sum())
    assert f"{rows} rows of users that are not in training" in value(
        evaluate(Table(table), test, "mse", train=less), "mse", "note"
    )


def test_files_without_names_of_columns_go_together(tmp_path: Any) -> None:
    frame = ratings().to_frame().with_row_index().sample(fraction=1.0, shuffle=True, seed=0)
    for name, part in {"u.base": frame[50:], "u.test": frame[:50]}.items():
        part.select("user", "item", "rating", "time").write_csv(tmp_path / name, include_header=False, separator="\t")
    rec = cf.fit(cf.read(tmp_path / "u.base"), model="bias")
    split = cf.split.given(tmp_path / "u.base", tmp_path / "u.test")
    assert value(evaluate(rec, tmp_path / "u.test"), "rmse") == pytest.approx(value(evaluate(rec, split), "rmse"))


def test_bad_input_is_said_clearly(parts: Any, table: NDArray) -> None:
    train, test = parts
    model = Table(table)
    numbers = test.to_frame().with_columns(user=pl.arange(pl.len()))
    for match, call in {
        r"no metric 'rsme'.*Did you mean 'rmse'": lambda: evaluate(model, test, ["rsme"], train=train),
        "@ and a number": lambda: evaluate(model, test, ["rmse@5"], train=train),
        "at least 1": lambda: evaluate(model, test, ["ndcg"], n=0, train=train),
        "does not predict ratings": lambda: evaluate(Table(table, "ranking"), test, ["rmse"], train=train),
        "has no intervals": lambda: evaluate(model, test, ["interval_width"], train=train),
        "training rows": lambda: evaluate(model, test),
        "not a model": lambda: evaluate(3, test),
        "users_without": lambda: evaluate(model, test, train=train, users_without="drop"),  # type: ignore[arg-type]
        "exclude": lambda: evaluate(model, test, train=train, exclude="all"),  # type: ignore[arg-type]
        "between 0 and 1": lambda: evaluate(model, test, train=train, level=90),
    }.items():
        with pytest.raises(ConfigError, match=match):
            call()
    for match, call in {
        "no test row": lambda: evaluate(model, test.take(np.zeros(0, dtype=int)), train=train),
        "no user of the test rows is in the training data": lambda: evaluate(model, numbers, train=train),
        "not int": lambda: evaluate(model, 7, train=train),
    }.items():
        with pytest.raises(DataError, match=match):
            call()


def test_the_package_can_be_called(parts: Any, table: NDArray) -> None:
    train, test = parts
    frame = cofactor.evaluate(Table(table), test, train=train)  # type: ignore[operator]
    assert frame.equals(evaluate(Table(table), test, train=train))


def test_metric_names() -> None:
    assert [str(x) for x in parse(["ndcg", "rmse", "recall@3", "ndcg@5"], (5, 10))] == [
        "ndcg@5",
        "ndcg@10",
        "rmse",
        "recall@3",
    ]
    assert parse("ndcg", (3,))[0].lower_is_better is False
    assert parse("rmse", (3,))[0].lower_is_better is True


# The bootstrap


def test_bootstrap_intervals_match_theory_and_cover() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        x = rng.exponential(1.0, (100, 1))
        low, high = interval(resample([UserSums(x, np.ones_like(x))], 400, seed)[:, 0])
        held += low <= 1.0 <= high
    assert 0.88 <= held / 200 <= 0.98


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(50), 20)
    values = (rng.normal(size=50)[users] + 0.1 * rng.normal(size=1000))[:, None]

    def width(top: NDArray, bottom: NDArray) -> float:
        low, high = interval(resample([UserSums(top, bottom)], 1000, 0)[:, 0])
        return high - low

    by_user = width(np.bincount(users, values[:, 0])[:, None], np.full((50, 1), 20.0))
    by_row = width(values, np.ones_like(values))
    assert by_user > 3 * by_row
    assert by_user == pytest.approx(2 * 1.96 / np.sqrt(50), rel=0.25)


def test_bootstrap_is_seeded_paired_and_blocked() -> None:
    rng = np.random.default_rng(2)
    a = UserSums(rng.random((60, 1)), np.ones((60, 1)))
    b = UserSums(a.top + 0.1, a.bottom)
    one, two = resample([a, b], 50, 3), resample([b], 50, 3)
    np.testing.assert_allclose(one[:, 1] - one[:, 0], 0.1)
    np.testing.assert_allclose(one[:, 1:], two, rtol=1e-13)  # other shapes sum in another order
    np.testing.assert_array_equal(resample([a, b], 50, 3), one)
    assert not (resample([b], 50, 4) == two).any()
    from cofactor.evaluation import bootstrap

    blocked = np.concatenate(list(bootstrap._counts(60, 50, 3, block=60 * 7)))
    np.testing.assert_array_equal(blocked, np.concatenate(list(bootstrap._counts(60, 50, 3))))
    assert (blocked.sum(axis=1) == 60).all()


def test_folds_average() -> None:
    a, b = (
        UserSums(np.array([[1.0], [3.0]]), np.ones((2, 1)), "root"),
        UserSums(np.array([[4.0]]), np.ones((1, 1)), "root"),
    )
    both = pool_folds([(a, np.array([0, 2])), (b, np.array([1]))], 3)
    assert both.point() == pytest.approx((np.sqrt(2) + 2) / 2)
    assert both.n_users == 3


def test_paired_p_and_holm() -> None:
    rng = np.random.default_rng(5)
    draws = rng.normal(0.2, 0.1, 100_000)
    assert paired_p(0.2, draws) == pytest.approx(0.0455, abs=0.002)
    assert paired_p(0.0, np.zeros(10)) == 1.0
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_p_values_are_uniform_when_nothing_differs() -> None:
    rng = np.random.default_rng(6)
    p = []
    for seed in range(300):
        x, y = rng.random((2, 80, 1))
        one = np.ones((80, 1))
        drawn = resample([UserSums(x, one), UserSums(y, one)], 200, seed)
        p.append(paired_p(float(x.mean() - y.mean()), drawn[:, 0] - drawn[:, 1]))
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09


# Residual intervals


def test_residual_intervals_hold_their_level() -> None:
    rng = np.random.default_rng(7)

    def draw(n: int) -> tuple[NDArray, NDArray]:
        predicted = rng.uniform(1, 5, n)
        truth = predicted + rng.exponential(0.2 + 0.3 * (predicted - 1), n)
        return truth, predicted.astype(np.float32)

    found = residual_quantiles(*draw(6000)[::-1])
    truth, predicted = draw(20_000)
    for level in (0.5, 0.9, 0.95):
        mean, low, high = residual_interval(found, predicted, level)
        assert low.dtype == high.dtype == mean.dtype == np.float32
        inside = (truth >= low) & (truth <= high)
        assert inside.mean() == pytest.approx(level, abs=0.02)
        assert inside[predicted > 4].mean() == pytest.approx(level, abs=0.05)
    narrow, wide = predicted < 2, predicted > 4
    assert 2 * (high - low)[narrow].mean() < (high - low)[wide].mean()


def test_an_interval_holds_a_prediction_beyond_the_scale() -> None:
    truth = np.random.default_rng(0).integers(1, 6, 1000).astype(np.float32)
    found = residual_quantiles(np.full(1000, 3.0), truth)
    mean, low, high = residual_interval(found, np.array([0.8, 3.0, 5.2]), 0.9)  # of a y_range from 0.5 to 5.5
    assert ((low <= mean) & (mean <= high)).all()
    assert (low[0], high[2]) == (mean[0], mean[2])
    assert (low[1], high[1]) == (1, 5)


def test_residual_intervals_with_few_or_equal_predictions() -> None:
    rng = np.random.default_rng(8)
    truth = rng.integers(1, 6, 1000).astype(np.float32)
    mean, low, high = residual_interval(residual_quantiles(np.full(1000, 3.0), truth), np.array([3.0]), 0.9)
    assert (low[0], mean[0], high[0]) == (1, 3, 5)
    with pytest.raises(DataError, match="held-out ratings"):
        residual_quantiles(truth[:0], truth[:0])
    few = residual_quantiles(np.full(5, 3.0), np.full(5, 3.0), limits=(1, 5))
    assert [float(b[0]) for b in residual_interval(few, np.array([3.0]), 0.9)] == [3, 1, 5]  # 5 cannot show 90 %
    assert [float(b[0]) for b in residual_interval(few, np.array([3.0]), 0.5)] == [3, 3, 3]
    with pytest.raises(ConfigError, match="between 0 and 1"):
        residual_interval(residual_quantiles(truth, truth), truth, 1.0)
    good = residual_quantiles(truth, truth)
    for bad in ({}, good | {"range": np.zeros(3)}, good | {"residuals": good["residuals"] * np.nan}):
        with pytest.raises(BundleError):
            residual_interval(bad, truth)


@pytest.mark.clock
def test_speed_of_the_bootstrap() -> None:
    cells = [UserSums(np.random.default_rng(i).random((6040, 1)), np.ones((6040, 1))) for i in range(10)]
    start = time.perf_counter()
    resample(cells, 1000, 0)
    assert time.perf_counter() - start < 5


def test_metrics_of_ones_own_agree_with_the_built_in_ones(parts: Any, table: NDArray) -> None:
    train, test = parts

    def recall_of(recommended: list[Any], relevant: set[Any]) -> float:
        return len(relevant.intersection(recommended)) / len(relevant)

    def off(truth: NDArray, predicted: NDArray) -> NDArray:
        return np.abs(truth - predicted)

    own = [recall_of, CustomMetric(off, needs="rating", lower_is_better=True)]
    frame = evaluate(Table(table), test, [*own, "recall", "mae"], n=(3, 7), train=train)
    for n in (3, 7):
        assert value(frame, f"recall_of@{n}") == pytest.approx(value(frame, f"recall@{n}"))
    assert value(frame, "off") == pytest.approx(value(frame, "mae"), rel=1e-6)
    one, two = (frame.row(by_predicate=pl.col("metric") == m, named=True) for m in ("recall_of@3", "recall@3"))
    assert (one["low"], one["high"]) == pytest.approx((two["low"], two["high"]))


def test_metrics_of_ones_own_that_make_no_sense(parts: Any, table: NDArray) -> None:
    train, test = parts
    for bad, says in (
        (lambda recommended, relevant: "much", "must give a number for each user"),
        (CustomMetric(lambda t, p: t[:2], needs="rating", name="short"), "one finite number for each of"),
        (CustomMetric(lambda t, p: t * np.nan, needs="rating", name="nan"), "not finite"),
    ):
        with pytest.raises(ConfigError, match=says):
            evaluate(Table(table), test, [bad], train=train)

    def ndcg(recommended: Any, relevant: Any) -> float:
        return 0.0

    with pytest.raises(ConfigError, match="cannot be called 'ndcg'"):
        evaluate(Table(table), test, [ndcg], train=train)
    with pytest.raises(ConfigError, match="two metrics are called a@10"):
        parse([CustomMetric(lambda r, s: 0.0, "a"), CustomMetric(lambda r, s: 1.0, "a")], (10,))
    with pytest.raises(ConfigError, match="needs is 'items'"):
        CustomMetric(ndcg, "a", needs="items")  # type: ignore[arg-type]
    for other in (lambda: 0.0, lambda one: 0.0, lambda a, b, c: 0.0):
        with pytest.raises(ConfigError, match="gets two arguments"):
            evaluate(Table(table), test, [other], train=train)


def test_users_without_training_rows_get_the_most_popular_items(table: NDArray) -> None:
    data = ratings()
    new = np.isin(data.users, (3, 7, 11))
    train, test = data.take(np.flatnonzero(~new)), data.take(np.flatnonzero(new))
    frame = evaluate(Table(table), test, ["recall", "ndcg"], train=train, new_users="popular", relevant=0)
    assert frame["n_users"].to_list() == [3, 3]
    top = np.argsort(-np.bincount(train.items, minlength=30), kind="stable")[:10]
    recalls = []
    for user in (3, 7, 11):
        mine = set(test.items[test.users == user].tolist())
        recalls.append(len(mine & set(top.tolist())) / len(mine))
    assert value(frame, "recall@10") == pytest.approx(np.mean(recalls))
    assert "3 users without training rows get the most popular items" in frame["note"][0]
    with pytest.raises(DataError, match="no test user has training rows; new_users='popular'"):
        evaluate(Table(table), test, ["recall"], train=train, relevant=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        both = evaluate(Table(table), data, ["recall"], train=train, new_users="popular", relevant=0, exclude=None)
    assert both["n_users"][0] == len(np.unique(data.users))


def test_ids_that_training_never_saw_get_popular_items_too(table: NDArray) -> None:
    train = ratings()
    test = pl.DataFrame({"user": ["u001", "new", "new"], "item": [100, 101, 999], "rating": [5.0] * 3, "time": [1] * 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        frame = evaluate(Table(table), test, ["recall"], train=train, new_users="popular", relevant=0, n=30)
    assert frame["n_users"][0] in (1, 2)
    assert value(frame, "recall@30") <= 1


def test_few_relevant_rows_are_warned_of_and_none_are_an_error(parts: Any, table: NDArray) -> None:
    train, test = parts
    rare = test.replace(values=np.where(np.arange(len(test)) == 5, 9.0, test.values).astype(np.float32))
    with pytest.warns(RelevanceWarning, match="only 1 of .* test users have a relevant row"):
        evaluate(Table(table), rare, ["ndcg"], train=train, relevant=9)
    with pytest.raises(DataError, match=r"none of the .* has a rating of 10 or more.*; set relevant= lower"):
        evaluate(Table(table), rare, ["ndcg"], train=train, relevant=10)
    alone = evaluate(Table(table), test, ["diversity", "ndcg"], n=1, train=train, relevant=0)
    assert alone["value"][0] is None  # a list of one item has no pairs
    assert alone["value"][1] is not None


@pytest.mark.filterwarnings("ignore:ONLY")
def test_a_model_that_was_chosen_by_other_rows_is_said(demo: Interactions) -> None:
    random, future = cf.split.random(demo), cf.split.temporal(demo)
    said = "the model was chosen by the latest training rows"
    for split, held_out, warned in ((random, "future", True), (random, "random", False), (future, "future", False)):
        rec = cf.fit(split.train, model="auto-ranking", held_out=held_out, budget=1)
        note = evaluate(rec, split, "ndcg@10", draws=0)["note"][0]
        assert (said in note) == warned
