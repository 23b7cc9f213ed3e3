"""The automatic choice: best on inner validation, never worse than the simplest, within its budget."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
import pytest

from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError, DataError
from cofactor.evaluation import evaluate
from cofactor.selection.budget import forecast_passes
from cofactor.selection.choose import _extrapolated, choose
from cofactor.selection.subsamples import few_users, held_out, smaller
from toys import TableModel as Table
from toys import random_ratings as ratings

TRUTH = np.random.default_rng(11).normal(3, 1, (200, 150))


def data(seed: int = 0) -> Interactions:
    base = ratings(200, 150, seed, density=0.3)
    values = TRUTH[base.users, base.items].astype(np.float32)
    return base.replace(values=values)


class Fits:
    """A fit whose models miss the truth by a given error, and which takes a given time per row."""

    def __init__(self, errors: dict[str, float], cost: dict[str, float] | None = None, task: str = "rating") -> None:
        self.errors, self.cost, self.task = errors, cost or {}, task
        self.trained: list[tuple[str, int]] = []

    def __call__(self, train: Interactions, *, model: str, seed: int, **config: Any) -> Table:
        self.trained.append((model, len(train)))
        time.sleep(self.cost.get(model, 0.0) * len(train))
        if self.errors[model] < 0:
            raise DataError("it needs times")
        noise = np.random.default_rng(seed).normal(0, self.errors[model], TRUTH.shape)
        rows = np.array([int(u[1:]) for u in train.user_ids.values])
        cols = train.item_ids.values.to_numpy() - 100
        return Table((TRUTH + noise)[rows][:, cols], self.task)


def test_the_best_is_taken() -> None:
    fits = Fits({"bias": 0.5, "als": 0.3, "dot-bias": 0.4})
    found = choose(data(), candidates=["bias", "als", "dot-bias"], fit=fits, budget_seconds=float("inf"))
    assert found.model == "als"
    assert found.frame["status"].to_list() == ["trials"] * 3
    assert found.metrics == {"inner_rmse": pytest.approx(0.3, rel=0.1)}
    assert [rows for _, rows in fits.trained] == [round(0.9 * len(data()))] * 3


def test_never_worse_than_the_simplest_and_ties_go_to_the_simpler() -> None:
    pool = ["bias", "als", "dot-bias"]

    def taken(*errors: float) -> str:
        fits = Fits(dict(zip(pool, errors)))
        return choose(data(), candidates=pool, fit=fits, budget_seconds=float("inf")).model

    assert taken(0.3, 0.4, 0.5) == "bias"
    assert taken(0.3, 0.29999, 0.4) == "bias"
    assert taken(0.5, 0.3, 0.29999) == "als"
    assert taken(0.5, 0.3, 0.29) == "dot-bias"
    assert taken(0.3, -1, 0.2) == "dot-bias"  # als cannot be trained here
    with pytest.raises(DataError, match="needs times"):
        taken(-1, 0.1, 0.1)


def test_rankers() -> None:
    fits = Fits({"popular": 2.0, "ease": 0.2}, task="ranking")
    found = choose(data(), "ranking", candidates=["popular", ("ease", {"reg": 9.0})], fit=fits)
    assert (found.model, found.config) == ("ease", {"reg": 9.0})
    assert list(found.metrics) == ["inner_ndcg@10"]


def test_the_budget_is_kept_by_forecast() -> None:
    cost = {"als": 1e-3, "dot-bias": 1e-6}  # als: 8 s in all
    fits = Fits({"bias": 0.5, "als": 0.1, "dot-bias": 0.4}, cost)
    start = time.perf_counter()
    found = choose(data(), candidates=["bias", "als", "dot-bias"], fit=fits, budget_seconds=3)
    assert time.perf_counter() - start < 6
    assert found.model == "dot-bias"
    status = dict(found.frame.select("model", "status").rows())
    assert status["als"].startswith("skipped: would take some ")
    assert 2 < float(status["als"].split()[-2]) < 40
    assert max(rows for name, rows in fits.trained if name == "als") < len(data()) / 4
    none = choose(data(), candidates=["bias", "als"], fit=fits, budget_seconds=0)
    assert none.model == "bias"
    assert none.frame["status"].to_list() == ["trials", "skipped: no time left"]


def test_less_effort_is_tried_where_more_does_not_fit() -> None:
    pool: list[Any] = ["bias", ("als", {"epochs": 1}), ("als", {"epochs": 9})]

    class ByEffort(Fits):
        def __call__(self, train: Interactions, *, model: str, seed: int, **config: Any) -> Table:
            time.sleep(2e-4 * len(train) if config.get("epochs") == 9 else 0)
            return super().__call__(train, model=model, seed=seed)

    fits = ByEffort({"bias": 0.5, "als": 0.1})
    status = choose(data(), candidates=pool, fit=fits, budget_seconds=1).frame["status"].to_list()
    assert status[:2] == ["trials", "trials"]
    assert "would take" in status[2]
    status = choose(data(), candidates=pool, fit=fits, budget_seconds=float("inf")).frame["status"].to_list()
    assert status == ["trials", "skipped: tried with more effort", "trials"]


def test_the_choice_is_deterministic() -> None:
    first, again = (choose(data(), candidates=["bias"], seed=3) for _ in range(2))
    assert first.frame.drop("seconds").equals(again.frame.drop("seconds"))
    assert first.frame["value"][0] != choose(data(), candidates=["bias"], seed=4).frame["value"][0]


def test_the_budget_decides_only_where_it_is_reached() -> None:
    pool = ["bias", "als", "dot-bias"]
    frames = [
        choose(data(), candidates=pool, fit=Fits({"bias": 0.5, "als": 0.3, "dot-bias": 0.4}), budget_seconds=budget)
        for budget in (600, 6000, float("inf"))
    ]
    assert {found.note for found in frames} == {""}
    first = frames[0].frame.drop("seconds")
    assert all(found.frame.drop("seconds").equals(first) for found in frames)
    assert first.filter("chosen")["model"].to_list() == ["als"]
    late = choose(data(), candidates=pool, fit=Fits({"bias": 0.5, "als": 0.3, "dot-bias": 0.4}), budget_seconds=0)
    assert "no room for als, dot-bias" in late.note
    assert "--budget" in late.note
    assert late.frame.filter("chosen")["model"].to_list() == ["bias"]


def test_inner_validation_is_a_part_of_the_rows() -> None:
    whole = data()
    split = held_out(whole, 0.1, 0)
    keys = [set(zip(p.users.tolist(), p.items.tolist())) for p in (split.train, split.valid)]
    assert not keys[0] & keys[1]
    assert len(keys[0] | keys[1]) == len(whole)
    assert len(held_out(whole, 0.1, 0, at_most=50).valid) == 50
    with pytest.raises(DataError, match="too few"):
        held_out(whole.take(np.arange(9)), 0.1, 0)


def test_smaller_tables_keep_ids_values_and_side_tables() -> None:
    whole = data()
    whole = whole.replace(
        item_table=pl.DataFrame({"item": whole.item_ids.values, "title": [f"t{i}" for i in whole.item_ids.values]})
    )
    small = smaller(held_out(whole, 0.1, 0), 0.4, 1)
    assert small is not None
    assert small.train.n_users == 80
    assert small.train.n_items == 60
    assert small.train.item_table is not None
    assert small.train.item_table["title"].to_list() == [f"t{i}" for i in small.train.item_ids.values]
    rows = small.train.to_frame().join(whole.to_frame(), on=["user", "item", "rating", "time"], how="semi")
    assert len(rows) == len(small.train)
    assert 0.6 < len(small.train) / (0.9 * 0.16 * len(whole)) < 1.6
    assert smaller(held_out(whole, 0.1, 0), 0.01, 1) is None


def test_few_users() -> None:
    split = held_out(data(), 0.2, 0)
    few = few_users(split, 20, 1)
    assert len(np.unique(few.valid.users)) == 20
    assert few.train is split.train
    for user in np.unique(few.valid.users):
        assert (few.valid.users == user).sum() == (split.valid.users == user).sum()
    assert few_users(split, 1000, 1) is split


def test_extrapolation_recovers_planted_costs() -> None:
    for a, b, p in ((0.0, 10.0, 2.0), (1.0, 10.0, 2.0), (0.2, 10.0, 3.0), (0.5, 10.0, 1.5)):
        seen = [(f, a + b * f**p) for f in (0.1, 0.2, 0.4)]
        assert _extrapolated(seen) == pytest.approx(1.1 * (a + b), rel=1e-6)
        assert (a + b) / 3 < _extrapolated(seen[:2]) < 6 * (a + b)
    assert _extrapolated([(0.1, 1.0), (0.2, 1.0), (0.4, 1.0)]) == pytest.approx(1.1)


@pytest.mark.parametrize("model", ["bias", "dot-bias"])
def test_the_forecast_from_passes_is_about_right(model: str) -> None:
    import cofactor

    whole = data()
    forecast_passes(whole, model, {"epochs": 2}, 0, 60)
    config = {"epochs": 400 if model == "bias" else 20}
    guess = forecast_passes(whole, model, config, 0, 60)
    start = time.perf_counter()
    cofactor.fit(whole, model=model, calibrate=False, **config)
    real = time.perf_counter() - start
    assert guess is not None
    assert real / 8 < guess < real * 8
    assert forecast_passes(whole, "popular", {}, 0, 60) is None


def test_the_usual_winner_is_tried_before_the_rest() -> None:
    fits = Fits({"bias": 0.5, "als": 0.4, "dot-bias": 0.3})
    found = choose(data(), candidates=["bias", "als", "dot-bias"], fit=fits, budget_seconds=float("inf"))
    assert [name for name, _ in fits.trained] == ["bias", "dot-bias", "als"]
    assert found.frame["model"].to_list() == ["bias", "als", "dot-bias"]


def test_bad_input() -> None:
    with pytest.raises(ConfigError, match="must be 'rating' or 'ranking'"):
        choose(data(), "both")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no candidate"):
        choose(data(), candidates=[])


@pytest.mark.slow
def test_on_the_demo_auto_is_no_worse_than_bias(demo: Interactions) -> None:
    import cofactor
    from cofactor.data import splits

    split: Split = splits.random(demo, 0.2, seed=1)
    auto = cofactor.fit(split.train, seed=1, calibrate=False, budget_seconds=float("inf"))
    bias = cofactor.fit(split.train, model="bias", seed=1, calibrate=False)
    got, base = (evaluate(rec, split, ["rmse"], draws=0)["value"][0] for rec in (auto, bias))
    assert got <= base
