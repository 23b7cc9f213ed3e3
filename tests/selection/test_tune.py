"""tune: finds planted optima, is deterministic, resumes, prunes, stays inside the training rows."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.data import splits
from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError, DataError, MissingExtraError
from cofactor.models.base.config import Search, option
from cofactor.selection import compare, search_space, tune
from cofactor.selection import tune as tune_function
from cofactor.selection.budget import train_watched
from toys import TableModel as Table
from toys import random_ratings as ratings

pytest.importorskip("optuna")
TRUTH = np.random.default_rng(11).normal(3, 1, (40, 30))


@pytest.fixture
def data() -> Interactions:
    base = ratings()
    values = TRUTH[base.users, base.items].astype(np.float32)
    return Interactions(base.users, base.items, values, base.times, base.user_ids, base.item_ids, base.columns)


def bowl(train: Interactions, *, model: str, seed: int, reg_user: float, reg_item: float) -> Table:
    """Best at reg_user = 10, reg_item = 1."""
    off = np.log(reg_user / 10) ** 2 + np.log(reg_item) ** 2
    return Table(TRUTH + off)


def test_it_finds_a_planted_optimum_and_starts_from_the_defaults(data: Interactions) -> None:
    found = tune(data, "bias", trials=40, fit=bowl)
    assert found.frame["trial"].to_list() == list(range(40))
    first = found.frame.row(0, named=True)
    assert (first["reg_user"], first["reg_item"]) == (4.0, 2.0)
    assert found.value < first["value"] / 5
    assert 6 < found.best["reg_user"] < 16
    assert 0.6 < found.best["reg_item"] < 1.6
    assert found.value == found.frame.filter(pl.col("state") == "complete")["value"].min()
    assert found.metric == "rmse"


def test_the_same_seed_and_number_of_trials_give_the_same_result(data: Interactions) -> None:
    def once(seed: int) -> pl.DataFrame:
        return tune(data, "bias", trials=12, seed=seed).frame.drop("seconds")

    assert once(3).equals(once(3))
    assert not once(3).equals(once(4))


@pytest.mark.parametrize("name", ["trials.db", "trials.log"])
def test_resuming_gives_what_an_uninterrupted_search_gives(data: Interactions, tmp_path: Any, name: str) -> None:
    whole = tune(data, "bias", trials=10, seed=1)
    for trials in (2, 5, 10):
        part = tune(data, "bias", trials=trials, seed=1, storage=tmp_path / name)
        assert len(part.frame) == trials
    assert part.frame.drop("seconds").equals(whole.frame.drop("seconds"))
    assert part.best == whole.best
    other = tune(data, "bias", trials=2, seed=2, storage=tmp_path / name)
    assert len(other.frame) == 2  # another search in the same file


def test_a_trial_that_was_cut_off_is_done_again(data: Interactions, tmp_path: Any) -> None:
    whole = tune(data, "bias", trials=10, fit=bowl)
    calls = 0

    def crash(*args: Any, **given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return bowl(*args, **given)

    with pytest.raises(KeyboardInterrupt):
        tune(data, "bias", trials=10, fit=crash, storage=tmp_path / "t.db")
    resumed = tune(data, "bias", trials=10, fit=bowl, storage=tmp_path / "t.db")
    assert resumed.frame.drop("seconds").equals(whole.frame.drop("seconds"))


@pytest.mark.clock
def test_the_budget_is_kept(data: Interactions) -> None:
    def slow(*args: Any, **given: Any) -> Any:
        time.sleep(0.05)
        return bowl(*args, **given)

    start = time.perf_counter()
    found = tune(data, "bias", budget_seconds=0.6, fit=slow)
    assert time.perf_counter() - start < 4
    assert 2 <= len(found.frame) <= 12
    assert len(tune(data, "bias", budget_seconds=0.0, fit=slow).frame) == 1


def test_a_trial_that_runs_out_of_time_does_not_count(
    data: Interactions, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune(data, "bias", trials=8, seed=1)
    plain = train_watched
    calls = 0

    def slow(split: Any, model: str, config: Any, seed: int, report: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:  # the first only compiles
            time.sleep(1.1)
        return plain(split, model, config, seed, report)

    monkeypatch.setattr(sys.modules["cofactor.selection.tune"], "train_watched", slow)
    cut = tune(data, "bias", trials=8, seed=1, budget_seconds=1.0, storage=tmp_path / "t.log")
    assert 1 <= len(cut.frame) <= 4
    again = tune(data, "bias", trials=8, seed=1, storage=tmp_path / "t.log")
    assert again.frame.drop("seconds").equals(whole.frame.drop("seconds"))


def test_it_never_sees_the_rows_it_is_measured_on(data: Interactions) -> None:
    split = splits.random(data, 0.25, seed=5)
    seen: list[Interactions] = []

    def spy(train: Interactions, **given: Any) -> Any:
        seen.append(train)
        return bowl(train, **given)

    found = tune(split, "bias", trials=3, folds=2, how="random", fit=spy)
    assert found.data is split.train
    allowed = set(zip(split.train.users.tolist(), split.train.items.tolist()))
    for part in seen:
        assert set(zip(part.users.tolist(), part.items.tolist())) < allowed
        assert len(part) == pytest.approx(0.8 * len(split.train), abs=1)


def test_bad_trials_are_pruned(data: Interactions) -> None:
    calls: dict[float, int] = {}

    def count(train: Interactions, **given: Any) -> Any:
        calls[given["reg_user"]] = calls.get(given["reg_user"], 0) + 1
        return bowl(train, **given)

    found = tune(data, "bias", trials=25, folds=5, fit=count)
    states = found.frame["state"].value_counts()
    pruned = states.filter(pl.col("state") == "pruned")["count"].sum()
    assert 3 < pruned < 25
    assert sum(calls.values()) < 25 * 5


def test_pruning_between_epochs(data: Interactions) -> None:
    long = tune(data, "bias", trials=6, fixed={"epochs": 37})
    assert long.best["epochs"] == 37
    found = tune(data, "bias", trials=20)
    assert "pruned" in found.frame["state"].to_list()
    assert np.isfinite(found.value)


def test_failing_trials_are_said_and_passed_over(data: Interactions) -> None:
    def fussy(train: Interactions, **given: Any) -> Any:
        if given["reg_user"] > 12:
            raise DataError("too strong")
        return bowl(train, **given)

    found = tune(data, "bias", trials=20, fit=fussy)
    assert "failed" in found.frame["state"].to_list() or "fail" in found.frame["state"].to_list()
    assert found.best["reg_user"] <= 12

    def always(train: Interactions, **given: Any) -> Any:
        raise DataError("never")

    with pytest.raises(DataError, match="never"):
        tune(data, "bias", trials=2, fit=always)


def test_fixed_parameters_stay(data: Interactions) -> None:
    found = tune(data, "bias", trials=6, fixed={"reg_user": 7.0}, fit=bowl)
    assert found.best["reg_user"] == 7.0
    assert "reg_user" not in found.frame.columns
    with pytest.raises(ConfigError, match="no parameter left"):
        tune(data, "bias", trials=2, fixed={"reg_user": 7.0, "reg_item": 1.0})


def test_search_spaces() -> None:
    @dataclass(frozen=True)
    class Config:
        k: int = option(8, "int", Search(2, 64, log=True))
        reg: float = option(100.0, "outside its own range", Search(0.1, 10.0))
        kind: Any = option(None, "choices", Search(choices=("a", (0, 5.5))))  # noqa: RUF009
        wait: float = option(0.0, "nought is apart from a logarithmic range", Search(1.0, 9.0, log=True))
        other: int = option(3, "not searched")

    class Trial:
        def __init__(self, last: bool) -> None:
            self.last = last
            self.params: dict[str, Any] = {}

        def keep(self, name: str, value: Any) -> Any:
            self.params[name] = value
            return value

        def suggest_int(self, name: str, low: int, high: int, log: bool) -> Any:
            return self.keep(name, ("int", low, high, log))

        def suggest_float(self, name: str, low: float, high: float, log: bool) -> Any:
            return self.keep(name, ("float", low, high, log))

        def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
            return self.keep(name, choices[-1 if self.last else 0])

    found = search_space.ranges(Config, set())
    assert [r.name for r in found] == ["k", "reg", "kind", "wait"]
    trial = Trial(last=True)
    values = [r.suggest(trial) for r in found]
    assert values == [("int", 2, 64, True), ("float", 0.1, 100.0, False), (0, 5.5), ("float", 1.0, 9.0, True)]
    assert [r.read(trial.params) for r in found] == values
    trial = Trial(last=False)
    assert [r.suggest(trial) for r in found][2:] == [None, 0.0]
    assert [r.read(trial.params) for r in found][2:] == [None, 0.0]
    assert [r.read(r.first()) for r in found] == [8, 100.0, None, 0.0]
    assert [r.name for r in search_space.ranges(Config, {"k"})] == ["reg", "kind", "wait"]


def test_bad_input(data: Interactions, tmp_path: Any) -> None:
    for match, given in {
        "Did you mean 'bias'": {"model": "biass"},
        "at least 1": {"model": "bias", "trials": 0},
        "from 1 to 5": {"model": "bias", "folds": 6},
        "there is no folder": {"model": "bias", "storage": tmp_path / "none" / "t.db"},
        "no metric": {"model": "bias", "metric": "rsme"},
    }.items():
        with pytest.raises(ConfigError, match=match):
            tune(data, **given)


REFUSED: dict[str, dict[str, Any]] = {
    "are counts, from": {"kind": "counts"},
    "rows are events": {"kind": "events"},
    "only one user": {"users": np.zeros(40, dtype=np.int32)},
    "only one item": {"items": np.zeros(40, dtype=np.int32)},
    "all values are equal": {"values": np.full(40, 4, dtype=np.float32), "kind": "events"},
    "values reach": {"values": np.linspace(1, 5e30, 40, dtype=np.float32)},
}


@pytest.mark.parametrize("match", REFUSED)
def test_what_fit_refuses_is_not_tuned(data: Interactions, match: str) -> None:
    rows = data.take(np.arange(40)).replace(**REFUSED[match])
    with pytest.raises(DataError, match=match):
        tune(rows, "bias", trials=1)
    with pytest.raises(DataError, match=match):
        cf.fit(rows, "bias")


def test_without_optuna(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"cofactor\[tune\]"):
        tune_function(data, "bias", trials=1)


def test_importing_does_not_load_optuna() -> None:
    code = "import sys, cofactor.evaluation; print('optuna' in sys.modules, 'matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False"]


def test_it_is_silent(data: Interactions, capfd: pytest.CaptureFixture[str]) -> None:
    tune(data, "bias", trials=2)
    out, err = capfd.readouterr()
    assert out == err == ""


def test_compare_tunes_inside_the_training_rows_of_each_fold(data: Interactions) -> None:
    folds = splits.kfold(data, 2, seed=1)
    parts: list[set[tuple[int, int]]] = []

    def spy(train: Interactions, **given: Any) -> Any:
        parts.append(set(zip(train.users.tolist(), train.items.tolist())))
        given = {"reg_user": 4.0, "reg_item": 2.0, **{k: v for k, v in given.items() if k != "epochs"}}
        return bowl(train, **given)

    found = compare(split=folds, models=["bias"], metrics=["rmse"], tune=0.5, fit=spy)
    trains = [set(zip(f.train.users.tolist(), f.train.items.tolist())) for f in folds]
    # Whatever was trained on lies within the training rows of one fold, in the order of the folds.
    within = [next(k for k, t in enumerate(trains) if p <= t) for p in parts if not all(p <= t for t in trains)]
    assert within == sorted(within)
    assert set(within) == {0, 1}
    assert "reg_user" in found.frame["config"][0]


def test_the_future_is_held_out_where_there_are_times(data: Interactions) -> None:
    assert data.times is not None
    for how, word in (
        ("auto", "temporal"),
        ("random", "fold 1 of 5"),
        ("temporal", "temporal"),
        ("last", "leave last"),
    ):
        assert tune(data, "bias", trials=1, how=how).how.startswith(word)
    assert tune(data.replace(times=None), "bias", trials=1).how.startswith("fold 1 of 5")
    seen: list[tuple[int, int]] = []

    def spy(train: Interactions, *, model: str, seed: int, **config: Any) -> Table:
        assert train.times is not None
        seen.append((len(train), int(train.times.max())))
        return Table(TRUTH)

    assert tune(data, "bias", trials=1, folds=3, fit=spy).how.startswith("rolling, window 3 of 3")
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 3
    with pytest.raises(ConfigError, match="how is 'past'"):
        tune(data, "bias", trials=1, how="past")
