"""What a person sees: tables that fit a terminal of 80 columns, and hold nothing that says nothing."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.cli.printing import cell, emit
from cofactor.models import ABOUT, REGISTRY, list_models
from cofactor.selection.choose import ChoiceWarning


def test_no_number_that_is_not_zero_is_shown_as_zero() -> None:
    assert [cell(x, "p") for x in (0.0, 0.0004, 0.0123, 1.0, None)] == ["< 0.001", "< 0.001", "0.012", "1.000", "-"]
    assert [cell(x, "fit_seconds") for x in (0.0016, 2.0959)] == ["< 0.01", "2.10"]
    assert [cell(x) for x in (-0.0, 0.00001, 1.23456, float("nan"))] == ["0.0000", "1.0e-05", "1.2346", "-"]


def test_a_status_that_says_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    fine = pl.DataFrame({"item": ["a", "b"], "status": ["known", "known"]})
    emit(fine, False)
    assert "status" not in capsys.readouterr().out
    emit(fine, True)
    assert capsys.readouterr().out.count("known") == 2
    emit(pl.DataFrame({"item": ["a", "b"], "status": ["known", "unknown user"]}), False)
    assert "unknown user" in capsys.readouterr().out


def test_every_model_is_described_in_a_line_of_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(ABOUT) == set(REGISTRY)
    monkeypatch.setenv("COLUMNS", "80")
    emit(list_models().select("model", "task", "about"), False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(REGISTRY)
    assert all(line.split()[1] in ("rating", "ranking") for line in lines[1:])


def test_what_auto_tried_is_shown_by_fit_and_info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 20)) < 0.6)
    pl.DataFrame({"user": users, "item": items, "rating": rng.integers(1, 6, len(users))}).write_csv("r.csv")

    def run(*args: str) -> tuple[str, str]:
        code, out, err = typed(*args)
        assert not code
        return out, err

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChoiceWarning)
        out, err = run("fit", "r.csv", "--budget", "0")
    assert "inner rmse" in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("bias ")] == ["chosen"]
    assert "no room for als" in " ".join(out.split())
    assert "Chosen on held-out rows: random" in " ".join(out.split())
    assert "used to select the model" in err
    assert f"training bias, which was chosen, on all {len(users):,} rows" in out + err  # whose epochs come next
    out, _ = run("info", "model.cofactor")
    assert "Trials of auto" in out
    assert "chosen" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    out, _ = run("info", "model.cofactor", "--json")
    kept = json.loads(out)["trials"]
    assert [line["model"] for line in kept if line["chosen"]] == ["bias"]
    tried = cf.load("model.cofactor").trials
    assert tried is not None
    assert tried.to_dicts() == kept


def test_numbers_have_the_digits_that_a_person_reads(capsys: pytest.CaptureFixture[str]) -> None:
    emit(pl.DataFrame({"item": [12345], "ratings": [12345], "score": [4.56789], "similarity": [0.12345]}), False)
    assert capsys.readouterr().out.split()[4:] == ["12345", "12,345", "4.57", "0.123"]
    emit(pl.DataFrame({"item": ["a"], "score": [0.0123456]}), False)  # a ranker's
    assert capsys.readouterr().out.split()[2:] == ["a", "0.0123"]
    emit(pl.DataFrame({"prediction": [4.56789], "low": [3.21], "high": [5.0]}), False)
    assert capsys.readouterr().out.split()[3:] == ["4.57", "3.21", "5.00"]
    emit(pl.DataFrame({"value": [1.23456], "low": [1.2], "high": [1.3]}), False)
    assert capsys.readouterr().out.split()[3:] == ["1.2346", "1.2000", "1.3000"]


def test_datasets_and_check_fit_a_terminal(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = typed("datasets")
    assert not code
    names = [line.split()[0] for line in out.split("\n\n")[0].splitlines()[1:]]
    assert names == cf.list_datasets()["name"].to_list()
    assert "GroupLens" in out.split("\n\n")[1]
    code, out, _ = typed("check", "movietweetings-demo")
    assert not code
    assert "68,055" in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_info_says_sizes_and_columns_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Any) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = typed("fit", "movietweetings-demo", "--model", "popular", "--out", "p.cofactor")
    assert not code
    assert "solved in" in out
    assert "epoch" not in out
    _, out, _ = typed("info", "p.cofactor")
    assert "movietweetings-demo: 68,055 rows, 4,333 users, 2,414 items" in " ".join(out.split())
    assert "{" not in out
    assert "sizes only" in out
    _, out, _ = typed("info", "p.cofactor", "--verify")
    assert "every byte, against" in " ".join(out.split())


def test_test_tables_are_read_as_the_training_table_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 20)) < 0.6)
    frame = pl.DataFrame(
        {"user": users, "item": items, "rating": rng.integers(1, 6, len(users)), "time": 10**9 + items}
    )
    frame = frame.sample(fraction=1.0, shuffle=True, seed=0)
    frame[40:].write_csv("u.base", include_header=False, separator="\t")
    frame[:40].write_csv("u.test", include_header=False, separator="\t")
    assert typed("fit", "u.base", "--model", "bias", "--out", "b.cofactor")[0] == 0
    code, out, _ = typed("evaluate", "b.cofactor", "u.test", "--json")
    assert code == 0
    mine = cf.evaluate(cf.load("b.cofactor"), "u.test")
    assert [line["value"] for line in json.loads(out)] == pytest.approx(mine["value"].to_list())
    frame[40:].select("user", "item").write_csv("clicks.csv")  # then the ratings of a test table are none either
    frame[:40].write_csv("rated.csv")
    assert typed("fit", "clicks.csv", "--model", "popular", "--out", "p.cofactor")[0] == 0
    code, out, _ = typed("evaluate", "p.cofactor", "rated.csv", "--json")
    assert code == 0
    assert json.loads(out)[0]["note"].startswith("relevant: every test row")
    mine = cf.evaluate(cf.load("p.cofactor"), "rated.csv")
    assert [line["value"] for line in json.loads(out)] == pytest.approx(mine["value"].to_list(), nan_ok=True)
