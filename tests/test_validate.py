"""Arguments that make no sense end in one sentence, never in a message of numpy, polars or torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor._validate import check_int, check_number
from cofactor.errors import CofactorError

NAN = float("nan")


@pytest.fixture(scope="module")
def data() -> cf.Interactions:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 30)) < 0.5)
    ratings = rng.integers(1, 6, len(users))
    return cf.read(pl.DataFrame({"user": users + 1, "item": [f"F{i}" for i in items], "rating": ratings}))


@pytest.fixture(scope="module")
def rec(data: cf.Interactions) -> cf.Recommender:
    return cf.fit(data, model="als", epochs=2, n_factors=3)


def said(call: Any) -> str:
    """The sentence that a call ends in."""
    with pytest.raises(CofactorError) as error:
        call()
    text = str(error.value)
    assert "\n" not in text
    assert not re.search(r"object is not|not supported between|unhashable|invalid literal|broadcast", text)
    return text


def test_numbers() -> None:
    assert check_int("n", np.int64(3)) == 3
    assert check_number("x", np.float32(2)) == 2.0
    for value in ("a", None, 2.5, 64.0, True, NAN, [1]):
        assert "whole number" in said(lambda v=value: check_int("n", v))
    for value in ("a", None, True, NAN, float("inf"), [1]):
        assert "must be a number" in said(lambda v=value: check_number("x", v))


WRONG: list[tuple[str, dict[str, Any], str]] = [
    *(("predict", {"pairs": x}, "tuples") for x in (3, None, NAN)),
    ("predict", {"pairs": [(1, "F1")], "interval": True, "level": "a"}, "level is 'a'"),
    ("predict", {"pairs": [(1, "F1")], "times": "x"}, "times"),
    ("predict", {"pairs": [(1, "F1")], "times": 5}, "times"),
    ("predict", {"pairs": [(1, "F1")], "times": ["a"]}, "times"),
    ("recommend", {"history": 3}, "history is 3"),
    ("recommend", {"history": [["F1"]]}, "history"),
    ("recommend", {"user": 1, "allow": 3}, "allow is 3"),
    ("recommend", {"user": 1, "deny": "F1"}, "deny is 'F1'"),
    ("recommend", {"user": 1, "seed": "a"}, "seed is 'a'"),
    ("recommend", {"user": 1, "seed": -1}, "seed is -1"),
    *((name, {"item": "F1", "n": n}, "n is") for name in ("similar_items",) for n in (None, "a", 2.5, 0)),
    *(("explain", {"user": 1, "item": "F1", "n": n}, "n is") for n in (None, "a", 2.5, -1)),
    *(("approximate", {"n": n}, "n is") for n in (None, "a", 2.5, -1)),
    *(("biases", {"n": n}, "n is") for n in (None, "a", 2.5, -1)),
    ("biases", {"which": "items"}, "which is 'items'"),
    ("embeddings", {"which": None}, "which is None"),
    ("recommend_all", {"out": 3}, "is 3"),
    ("recommend_all", {"out": ""}, "is ''"),
    ("recommend_all", {"out": "/nonexistent/x.parquet"}, "there is no folder"),
    ("what_if", {"user": 1, "instead": 3}, "instead is 3"),
    ("what_if", {"user": 1, "without": 3}, "without is 3"),
    ("what_if", {"user": 1, "without": "F1"}, "without is 'F1'"),
    ("update", {"events": [([1], "F1", 3)]}, "event 1"),
    ("save", {"path": None}, "the path of the model is None"),
    ("save", {"path": 3}, "the path of the model is 3"),
]


@pytest.mark.parametrize(("method", "given", "words"), WRONG, ids=lambda x: str(x)[:50])
def test_what_is_asked_of_a_recommender(rec: cf.Recommender, method: str, given: dict[str, Any], words: str) -> None:
    assert words in said(lambda: getattr(rec, method)(**given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_factors": "a"}, "n_factors is 'a'"),
        ({"n_factors": 50.0}, "n_factors is 50.0"),
        ({"bs": 2.5}, "bs is 2.5"),
        ({"bs": None}, "bs is None"),
        ({"y_range": 4}, "y_range must be two numbers"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"seed": -1}, "seed is -1"),
        ({"callbacks": 3}, "callbacks"),
        ({"callbacks": [3]}, "callbacks"),
        ({"loss": 3}, "loss is 3"),
    ],
    ids=str,
)
def test_collab_learner(data: cf.Interactions, given: dict[str, Any], words: str) -> None:
    assert words in said(lambda: cf.collab_learner(data, verbose=False, **given))


@pytest.mark.parametrize(
    ("args", "given", "words"),
    [
        (("a", 1e-3), {}, "epochs is 'a'"),
        ((2.0, 1e-3), {}, "epochs is 2.0"),
        ((1, "a"), {}, "learning rate is 'a'"),
        ((1, NAN), {}, "learning rate is nan"),
        ((1, 1e-3), {"wd": "a"}, "weight decay is 'a'"),
        ((1, 1e-3), {"callbacks": 3}, "callbacks"),
        ((1, 1e-3), {"checkpoint": 3}, "checkpoint is 3"),
        ((1, 1e-3), {"checkpoint": "/"}, "it is a folder"),
        ((1, 1e-3), {"checkpoint": "/dev/null/x"}, "is not a folder"),
    ],
    ids=str,
)
def test_training(data: cf.Interactions, args: tuple[Any, ...], given: dict[str, Any], words: str) -> None:
    learn = cf.collab_learner(data, n_factors=2, verbose=False)
    assert words in said(lambda: learn.fit_one_cycle(*args, **given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": ["als"]}, "model is ['als']"),
        ({"model": None}, "model is None"),
        ({"budget_seconds": "a"}, "budget_seconds is 'a'"),
        ({"budget_seconds": -1}, "budget_seconds is -1"),
        ({"model": "als", "checkpoint": "/"}, "it is a folder"),
        ({"model": "als", "n_factors": "a"}, "n_factors is 'a'"),
        ({"model": "als", "epochs": None}, "epochs is None"),
        ({"model": "als", "reg": "a"}, "reg is 'a'"),
        ({"model": "als", "reg": NAN}, "reg is nan"),
        ({"model": "bayes-mf", "time": "x"}, "time is 'x'"),
        ({"model": "dot-bias", "y_range": 4}, "y_range is 4; give several values"),
    ],
    ids=str,
)
def test_fit(data: cf.Interactions, given: dict[str, Any], words: str) -> None:
    assert words in said(lambda: cf.fit(data, **given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"metrics": 3}, "metrics is 3"),
        ({"n": "a"}, "n is"),
        ({"n": None}, "n is"),
        ({"relevant": "a"}, "relevant is 'a'"),
        ({"level": "a"}, "level is 'a'"),
        ({"draws": "a"}, "draws is 'a'"),
        ({"draws": -1}, "draws is -1"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=str,
)
def test_measuring(data: cf.Interactions, rec: cf.Recommender, given: dict[str, Any], words: str) -> None:
    split = cf.split.random(data)
    assert words in said(lambda: cf.evaluate(rec, split.valid, **given))
    assert words in said(lambda: cf.compare(split, ["bias"], **given))


def test_comparing_and_tuning(data: cf.Interactions) -> None:
    assert "models is 3" in said(lambda: cf.compare(data, 3))  # type: ignore[arg-type]
    assert "models is 'als'" in said(lambda: cf.compare(data, "als"))
    assert "tune is 'a'" in said(lambda: cf.compare(data, ["bias"], tune="a"))  # type: ignore[arg-type]
    pytest.importorskip("optuna")
    for given, words in (
        ({"trials": "a"}, "trials is 'a'"),
        ({"trials": 1.5}, "trials is 1.5"),
        ({"folds": "a"}, "folds is 'a'"),
        ({"budget_seconds": "a"}, "budget_seconds is 'a'"),
        ({"storage": 3}, "is 3"),
        ({"fixed": 3}, "fixed is 3"),
        ({"seed": "a"}, "seed is 'a'"),
    ):
        assert words in said(lambda g=given: cf.tune(data, "als", **({"trials": 1} | g)))


def test_datasets_and_reports(rec: cf.Recommender, tmp_path: Path) -> None:
    from cofactor.report.report import write_report

    assert "no dataset []" in said(lambda: cf.load_dataset([]))  # type: ignore[arg-type]
    assert "Recommender" in said(lambda: write_report(3, tmp_path / "r.html"))  # type: ignore[arg-type]
    assert "users is 3" in said(lambda: write_report(rec, tmp_path / "r.html", users=3))  # type: ignore[arg-type]
    assert "there is no folder" in said(lambda: write_report(rec, tmp_path / "none" / "r.html"))
    assert "it is a folder" in said(lambda: write_report(rec, tmp_path))
    assert not list(tmp_path.iterdir())
