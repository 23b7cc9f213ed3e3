"""What a person sees: tables that fit a terminal of 80 columns, and hold nothing that says nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.cli.common import cell, emit
from cofactor.models import ABOUT, REGISTRY, models


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
    emit(models().select("model", "task", "about"), False)
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

    out, err = run("fit", "r.csv", "--budget", "0")
    assert "inner rmse" in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("bias ")] == ["chosen"]
    assert "no room for als" in " ".join(out.split())
    assert "by which it was chosen" in err
    out, _ = run("info", "model.cofactor")
    assert "What auto tried" in out
    assert "chosen" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    out, _ = run("info", "model.cofactor", "--json")
    kept = json.loads(out)["tried"]
    assert [line["model"] for line in kept if line["chosen"]] == ["bias"]
    tried = cf.load("model.cofactor").tried
    assert tried is not None
    assert tried.to_dicts() == kept
