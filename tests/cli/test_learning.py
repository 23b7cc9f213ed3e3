"""tune, predict, update, refit and the options of compare, as they are typed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.cli.printing import show
from cofactor.cli.trials import show_trials


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
    late = ok(typed("compare", "r.csv", "--models", "bias", "--cutoff", "2017-07-14T02:44:00", "--json"))["how"]
    assert "from 2017-07-14 02:44:00 UTC on" in late[0]
    rolling = ok(typed("compare", "r.csv", "--models", "bias", "--how", "temporal", "--folds", "2", "--json"))["how"]
    assert ["window 1 of 2" in rolling[0], "window 2 of 2" in rolling[1]] == [True, True]


def test_compare_writes_the_best_with_its_figures(folder: Path, typed: Any) -> None:
    found = ok(
        typed("compare", "r.csv", "--models", "bias,als:epochs=2:n-factors=4", "--metrics", "rmse", "-o",
              "best.cofactor", "--json")
    )  # fmt: skip
    best = min(found["rows"], key=lambda row: row["mean"])
    rec = cf.load("best.cofactor")
    assert len(rec.data) == len(cf.read("r.csv"))
    assert best["model"].startswith(rec.name)
    line = rec.figures.to_dicts()[0]
    assert [line[k] for k in ("metric", "value", "low", "high")] == [best[k] for k in ("metric", "mean", "low", "high")]
    assert "learned from all of them" in line["rows"]
    code, out, _ = typed("info", "best.cofactor")
    assert not code
    assert "Quality on temporal" in out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--models", "als:epoch=2"], "no parameter 'epoch'"),
        (["--how", "past"], "how is 'past'"),
        (["--n", "many"], "--n is 'many'; give whole numbers"),
        (["--metrics", "ndgc"], "no metric 'ndgc'"),
        (["--relevant", "9"], "no list can be measured"),
        (["--new-users", "all"], "new_users is 'all'"),
        (["--folds", "2", "--how", "last"], "--folds goes with"),
        (["--cutoff", "2017-07-14", "--how", "random"], "--cutoff makes one split by time"),
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
        (["--user", "1"], "give both"),
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
    pl.DataFrame({"user": [1], "item": [999], "rating": [5], "time": [1_600_000_000]}).write_csv("odd.csv")
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


def test_refit_measures_both_models_on_held_out_rows(folder: Path, typed: Any) -> None:
    rows = pl.read_csv("r.csv").sample(fraction=1, shuffle=True, seed=1)
    for name, first, last in (("old", 0, 0.5), ("new", 0.5, 0.8), ("held", 0.8, 1)):
        rows[int(first * len(rows)) : int(last * len(rows))].write_csv(f"{name}.csv")
    cf.fit(cf.read("old.csv"), model="als", epochs=3).save("m.cofactor")
    found = ok(typed("refit", "m.cofactor", "new.csv", "--test", "held.csv", "--out", "n.cofactor", "--json"))
    old, new = cf.load("m.cofactor"), cf.load("n.cofactor")
    after, before = (cf.evaluate(rec, "held.csv")["value"][0] for rec in (new, old))
    assert new.figures is not None
    assert new.figures.row(0, named=True)["value"] == pytest.approx(after)
    assert set(new.figures["rows"]) == {"held.csv"}
    (line,) = found["against_the_old"]
    assert (line["first"], line["second"]) == (pytest.approx(after), pytest.approx(before))
    assert line["difference"] == pytest.approx(after - before)
    assert line["low"] <= line["difference"] <= line["high"]
    code, out, err = typed("refit", "m.cofactor", "new.csv", "--test", "held.csv", "--out", "n.cofactor")
    assert code == 0
    assert "on the same users" in out + err


def test_a_budget_may_be_a_number_of_models(folder: Path, typed: Any) -> None:
    found = ok(typed("fit", "r.csv", "--model", "auto-ranking", "--budget", "3 trials", "--json"))
    assert sum(line["status"] == "tried" for line in found["trials"]) in (3, 4)
    assert any("the budget is 3 trials" in line["status"] for line in found["trials"])
    for bad in ("soon", "3 tries", "1.5 trials"):
        code, _, err = typed("fit", "r.csv", "--model", "auto", "--budget", bad)
        assert code == 2
        assert "--budget is" in err


def test_fit_with_valid_says_what_it_measured_and_what_it_learned_from(folder: Path, typed: Any) -> None:
    for model, metric in (("popular", "ndcg@10"), ("bias", "rmse")):
        code, _, err = typed("fit", "r.csv", "-m", model, "--valid", "0.2", "-o", "v.cofactor")
        assert code == 0
        rows = len(cf.read("r.csv"))
        assert f"{metric}: " in err
        assert f" of {rows:,} rows; fit without --valid to train on all of them" in err
        figures = cf.load("v.cofactor").figures
        assert figures is not None
        assert metric in figures["metric"]


def test_a_figure_that_cannot_be_computed_is_said(folder: Path, typed: Any) -> None:
    rows = [f"u{u},B{i},{1 + (u + i) % 3},{(u * 37 + i * 11) % 400}" for u in range(12) for i in range(2) if u % 4 or i]
    Path("two.csv").write_text("\n".join(["user_id,item_id,plays,date", *rows]) + "\n")
    for more in ([], ["--json"]):
        code, out, err = typed("fit", "two.csv", "-m", "item-cosine", "--valid", "0.2", "-o", "v.cofactor", *more)
        assert code == 0, err
        assert "nan" not in (out + err).lower()
    code, _, err = typed("fit", "two.csv", "-m", "item-cosine", "--valid", "0.2", "-o", "v.cofactor")
    assert "diversity@10: - (not computable from the held-out rows)" in err
    figures = cf.load("v.cofactor").figures
    assert figures is not None
    assert figures.filter(metric="diversity@10")["value"].to_list() == [None]


def test_predict_answers_each_row_and_reads_as_fit_does(folder: Path, typed: Any) -> None:
    Path("p.csv").write_text("1;2\n3;4\n1;2\n")
    found = ok(typed("predict", "m.cofactor", "--pairs", "p.csv", "--no-header", "--json"))
    assert [(row["user"], row["item"]) for row in found] == [(1, 2), (3, 4), (1, 2)]
    Path("p.csv").write_text("user;item\n 1; 2\n3;4\n1;2\n", encoding="utf-16")
    assert ok(typed("predict", "m.cofactor", "--pairs", "p.csv", "--json")) == found


def test_a_small_test_table_of_counts_is_one_of_counts(folder: Path, typed: Any) -> None:
    rng = np.random.default_rng(1)
    plays = pl.read_csv("r.csv")
    plays = plays.with_columns(rating=pl.Series(np.exp(rng.normal(2, 1.5, len(plays))).round() + 1))
    plays = plays.rename({"rating": "plays"}).sample(fraction=1, shuffle=True, seed=1)
    plays.head(-60).write_csv("train.csv")
    plays.tail(60).filter(pl.col("plays") < 6).write_csv("test.csv")
    assert typed("fit", "train.csv", "-m", "item-cosine", "-o", "c.cofactor")[0] == 0
    found = ok(typed("evaluate", "c.cofactor", "test.csv", "--json"))
    assert {row["n_rows"] for row in found if row["metric"] == "ndcg@10"} == {len(pl.read_csv("test.csv"))}


def test_nothing_is_cut_at_eighty_columns(
    folder: Path, typed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = typed("tune", "r.csv", "-m", "als", "--trials", "2")
    assert re.search(r"trial +state +value +seconds +settings", out)
    assert re.search(r" \d\.\d{4} ", out)
    assert "n_factors=" in out
    show(pl.DataFrame({f"a_long_name_{at}": [1234567.1234] for at in range(9)}))  # a long line, and every digit
    shown = capsys.readouterr().out
    assert shown.count("1234567.1234") == 9
    assert "a_long_name_8" in shown
    few = pl.read_csv("r.csv").with_columns(rating=1 + 4 * (pl.int_range(pl.len()) % 40 < 2).cast(pl.Int64))
    few.write_csv("few.csv")  # few users have a relevant row
    args = ("compare", "few.csv", "--models", "popular", "--how", "random")
    verdict = ok(typed(*args, "--json"))["verdict"]
    _, out, _ = typed(*args)
    assert " ".join(verdict.split()) in " ".join(out.split())


def test_a_value_that_is_the_same_in_each_row_is_not_a_number_of_times(folder: Path) -> None:
    pl.read_csv("r.csv").with_columns(rating=5).write_csv("fives.csv")
    data = cf.read("fives.csv")
    assert data.kind == "events"
    assert (data.values == 1).all()
    assert "each row counts 1" in data.notes
    rec = cf.fit(data, model="item-cosine")
    assert "times" not in str(rec.explain(0, int(data.item_ids.values[0])))


def test_pairs_have_the_types_of_the_model(tmp_path: Path, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that are text in training, and look like numbers in a table of few pairs; what happened does not matter."""
    monkeypatch.chdir(tmp_path)
    users = [str(n) if n else "x1" for n in range(8)]
    frame = pl.DataFrame({"user": users * 6, "item": [f"{n:02d}" for n in range(6) for _ in users]})
    frame = frame.with_columns(event=pl.Series(["view", "buy", "buy"] * 16))
    train = cf.read(frame, behaviour="event", weights={"view": 0, "buy": 2})
    cf.fit(train, model="item-cosine", calibrate=False).save("m.cofactor")
    pl.DataFrame({"user": ["3", "4"], "item": ["02", "04"], "event": ["view", "view"]}).write_csv("pairs.csv")
    found = ok(typed("predict", "m.cofactor", "--pairs", "pairs.csv", "--json"))
    assert [(row["user"], row["item"]) for row in found] == [("3", "02"), ("4", "04")]


def test_counts_are_not_called_ratings(typed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "\n".join(f"u{u},i{(u * k) % 7},{1 + u * k % 40}" for u in range(40) for k in (1, 2, 3))
    (tmp_path / "plays.csv").write_text(f"user,item,plays\n{rows}\n")
    code, out, err = typed("fit", tmp_path / "plays.csv", "--model", "popular", "--out", tmp_path / "m.cofactor")
    assert code == 0
    assert "rows by 40 users of 7 items" in out + err
    assert "ratings by" not in out + err
    data = cf.read(tmp_path / "plays.csv")
    assert "rows" in cf.split.random(data).how
    assert "ratings" not in cf.split.random(data).how + cf.split.by_user(data, users=0.2, given=1).how


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ("models=('ease', 'popular:half_life=1'), weights=(0.25, 0.75)", "blend: 25% ease, 75% popular:half_life=1"),
        ("models=('ease',", "blend (models=('ease',)"),
    ],
)
def test_a_blend_that_was_tried_is_shown_by_its_shares(
    config: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    tried = {"model": ["blend"], "config": [config], "metric": ["ndcg@10"], "value": [0.5], "seconds": [1.0]}
    show_trials(pl.DataFrame({**tried, "status": ["tried"], "chosen": [True], "held_out": [""]}))
    assert shown in capsys.readouterr().out
