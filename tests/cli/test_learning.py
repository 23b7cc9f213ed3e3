"""tune, predict, update, refit and the options of compare, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 25)) < 0.5)
    rows = pl.DataFrame({"user": users, "item": items, "rating": rng.integers(1, 6, len(users))})
    rows.with_columns(time=pl.Series(rng.permutation(len(users)) + 1_500_000_000)).write_csv("r.csv")
    cf.fit(cf.read("r.csv"), model="als", epochs=3).save("m.cofactor")
    return tmp_path


def ok(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert not code, err
    return json.loads(out)


def test_compare_takes_settings_ways_to_hold_out_metrics_and_lengths(folder: Path, typed: Any) -> None:
    found = ok(
        typed("compare", "r.csv", "--models", "bias,als:epochs=2:n-factors=4", "--how", "temporal", "--metrics",
              "rmse,recall", "--n", "3,5", "--relevant", "2", "--new-users", "popular", "--json")
    )  # fmt: skip
    assert found["how"][0].startswith("temporal")
    assert {row["metric"] for row in found["rows"]} == {"rmse", "recall@3", "recall@5"}
    assert {row["model"] for row in found["rows"]} == {"popular", "bias", "als:epochs=2:n-factors=4"}
    for how, word in (("random", "random"), ("last", "leave last"), ("auto", "temporal")):
        assert ok(typed("compare", "r.csv", "--models", "bias", "--how", how, "--json"))["how"][0].startswith(word)
    assert len(ok(typed("compare", "r.csv", "--models", "bias", "--folds", "2", "--json"))["how"]) == 2
    rolling = ok(typed("compare", "r.csv", "--models", "bias", "--how", "temporal", "--folds", "2", "--json"))["how"]
    assert ["window 1 of 2" in rolling[0], "window 2 of 2" in rolling[1]] == [True, True]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--models", "als:epoch=2"], "no parameter 'epoch'"),
        (["--how", "past"], "how is 'past'"),
        (["--n", "many"], "--n is 'many'; give a whole number"),
        (["--metrics", "ndgc"], "no metric 'ndgc'"),
        (["--relevant", "9"], "no list can be measured"),
        (["--new-users", "all"], "new_users is 'all'"),
        (["--folds", "2", "--how", "last"], "--folds goes with"),
    ],
)
def test_wrong_options_of_compare_are_one_line(args: list[str], says: str, folder: Path, typed: Any) -> None:
    more = ["--metrics", "ndcg"] if args[0] == "--relevant" else []
    code, _, err = typed("compare", "r.csv", "--models", "bias", *args, *more)
    assert code == 2
    assert says in err
    assert err.strip().count("\n") == sum(line.startswith("note:") for line in err.splitlines())


def test_tune_and_train_the_best(folder: Path, typed: Any) -> None:
    pytest.importorskip("optuna")
    found = ok(
        typed("tune", "r.csv", "-m", "als", "--trials", "3", "--epochs", "2", "--out", "best.cofactor", "--json")
    )
    assert found["model"] == "als"
    assert found["best"]["epochs"] == 2
    assert found["held_out"].startswith("temporal")
    assert len(found["trials"]) == 3
    best = cf.load("best.cofactor").model.config
    assert {name: getattr(best, name) for name in found["best"]} == found["best"]
    code, out, err = typed("tune", "r.csv", "-m", "als", "--trials", "1", "--how", "random")
    assert not code
    assert "Measured on fold 1 of 5" in " ".join(out.split())
    assert "best: als:" in err
    assert typed("tune", "r.csv", "-m", "als", "--nope", "1")[0] == 2


def test_predict(folder: Path, typed: Any) -> None:
    rec = cf.load("m.cofactor")
    found = ok(
        typed("predict", "m.cofactor", "--user", "3", "--item", "4", "--item", "7", "--interval", "0.8", "--json")
    )
    expected = rec.predict([(3, 4), (3, 7)], interval=True, level=0.8)
    assert [row["prediction"] for row in found] == pytest.approx(expected["prediction"].to_list())
    assert [row["low"] for row in found] == pytest.approx(expected["low"].to_list())
    pl.DataFrame({"user": [1, 2, 3], "item": [4, 5, 6]}).write_csv("pairs.csv")
    assert ok(typed("predict", "m.cofactor", "--pairs", "pairs.csv", "--out", "p.csv", "--json"))["predictions"] == 3
    written = pl.read_csv("p.csv")
    assert written["prediction"].to_list() == pytest.approx(
        rec.predict([(1, 4), (2, 5), (3, 6)])["prediction"].to_list(), abs=1e-5
    )
    for args, says in (
        ([], "give --user ID and --item ID"),
        (["--user", "1"], "go together"),
        (["--user", "999", "--item", "4"], "999"),
        (["--user", "1", "--item", "4", "--pairs", "pairs.csv"], "give --user"),
    ):
        code, _, err = typed("predict", "m.cofactor", *args)
        assert code == 2
        assert says in err


def test_update_lists_for_the_users_of_newer_ratings(folder: Path, typed: Any) -> None:
    pl.DataFrame({"user": [1, 777], "item": [4, 5], "rating": [5, 1], "time": [1_600_000_000] * 2}).write_csv("new.csv")
    before = sorted(path.stat().st_mtime_ns for path in Path("m.cofactor").iterdir())
    found = ok(typed("update", "m.cofactor", "new.csv", "-n", "3", "--json"))
    assert [row["user"] for row in found] == [1] * 3 + [777] * 3
    rec = cf.load("m.cofactor").update([(1, 4, 5.0), (777, 5, 1.0)])
    expected = rec.recommend_all(3, users=[1, 777])
    assert expected is not None
    assert [row["item"] for row in found] == expected["item"].to_list()
    assert sorted(path.stat().st_mtime_ns for path in Path("m.cofactor").iterdir()) == before
    pl.DataFrame({"user": [1], "item": [999], "rating": [5], "time": [1]}).write_csv("odd.csv")
    code, _, err = typed("update", "m.cofactor", "odd.csv")
    assert code == 2
    assert "999" in err


def test_refit_adds_rows_users_and_items(folder: Path, typed: Any) -> None:
    old = cf.load("m.cofactor")
    again = old.data.to_frame().row(0, named=True)
    rows = [(777, 5, 1, 1_600_000_000), (1, 888, 5, 1_600_000_001), (again["user"], again["item"], 3, 1_600_000_002)]
    pl.DataFrame(rows, schema=["user", "item", "rating", "time"], orient="row").write_csv("new.csv")
    found = ok(typed("refit", "m.cofactor", "new.csv", "--out", "n.cofactor", "--epochs", "2", "--json"))
    new = cf.load("n.cofactor")
    assert found["rows"] == len(new.data) == len(old.data) + 2
    assert new.model.config.epochs == 2
    assert {777} == set(new.data.user_ids.values) - set(old.data.user_ids.values)
    assert {888} == set(new.data.item_ids.values) - set(old.data.item_ids.values)
    table = new.data.to_frame().filter(pl.col("user") == again["user"], pl.col("item") == again["item"])
    assert table["rating"].to_list() == [3.0]
    whole = ok(typed("refit", "m.cofactor", "new.csv", "--whole", "--out", "w.cofactor", "--json"))
    assert whole["rows"] == 3
    assert typed("refit", "m.cofactor", "new.csv", "--out", "x.cofactor", "--nope", "1")[0] == 2


def test_a_budget_may_be_a_number_of_models(folder: Path, typed: Any) -> None:
    found = ok(typed("fit", "r.csv", "--model", "auto-ranking", "--budget", "3 trials", "--json"))
    assert sum(line["status"] == "tried" for line in found["trials"]) in (3, 4)
    assert any("the budget is 3 trials" in line["status"] for line in found["trials"])
    for bad in ("soon", "3 tries", "1.5 trials"):
        code, _, err = typed("fit", "r.csv", "--model", "auto", "--budget", bad)
        assert code == 2
        assert "--budget is" in err
