"""Every parameter of every public function takes a thing that cannot be meant, or refuses it in one sentence."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.test_hostile import JUNK

import cofactor as cf
from cofactor.errors import CofactorError

METHODS = [
    *("predict", "recommend", "recommend_all", "approximate", "recommend_new", "update", "forget", "refit", "biases"),
    *("similar_items", "similar_users", "embeddings", "explain", "what_if"),
]
FUNCTIONS = ["read", "evaluate", "compare", "tune", "check", "diff", "load", "load_dataset", "folds", "set_frames"]
TABLE = pl.DataFrame({"user": [1, 1, 2, 2, 3], "item": [1, 2, 2, 3, 1], "rating": [1.0, 2.0, 3.0, 4.0, 5.0]})
MORE = [
    TABLE,
    TABLE.to_pandas(),
    TABLE["user"],
    TABLE.to_pandas()["user"],
    TABLE.to_numpy(),
    ["als", "ease"],
    [[1]],
    1e300,
]
CALLED = {("tune", "fit"), ("compare", "fit"), ("tune", "metric"), ("compare", "metrics"), ("evaluate", "metrics")}
"""Functions of the user's own go here, and what they raise is theirs."""

LONG = {("tune", "trials"), ("tune", "budget_seconds"), ("compare", "tune")}
"""How long a search goes on: numbers are taken there, and None stands for a minute."""


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = {"user": rng.integers(0, 12, 90), "item": rng.integers(0, 9, 90), "rating": rng.integers(1, 6, 90)}
    return pl.DataFrame(rows | {"time": rng.integers(1_400_000_000, 1_500_000_000, 90)})


@pytest.fixture(scope="module", params=["als", "item-cosine"])
def rec(request: Any, table: pl.DataFrame) -> cf.Recommender:
    return cf.fit(cf.read(table), request.param, seed=1, **({"epochs": 2} if request.param == "als" else {}))


def check_call(function: Any, plain: dict[str, Any], name: str, junk: Any) -> None:
    said = "this was taken"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = function(**plain | {name: junk})
            if inspect.isgenerator(found):
                list(found)
    except CofactorError as exc:
        said = str(exc)
    except BaseException as exc:
        pytest.fail(f"{name}={junk!r}: {type(exc).__name__}: {exc}")
    assert "\n" not in said
    assert 10 < len(said) < 4_100


def number(junk: Any) -> bool:
    return isinstance(junk, (int, float, np.number)) and not isinstance(junk, bool)


def parameters(function: Any) -> list[inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    return [p for p in found if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "self"]


@pytest.mark.parametrize("method", METHODS)
def test_junk_for_every_parameter_of_a_method(
    rec: cf.Recommender, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    known = {"user": 1, "item": 1, "items": [1, 2], "pairs": [(1, 1)], "events": [(1, 1, 3.0)], "ratings": None}
    function = getattr(rec, method)
    plain = {p.name: known[p.name] for p in parameters(function) if p.default is p.empty}
    for parameter in parameters(function):
        for junk in (*JUNK, *MORE):
            if method != "refit" or parameter.name not in ("ratings", "warm") or isinstance(junk, (str, float, list)):
                check_call(function, plain, parameter.name, junk)


@pytest.mark.parametrize("called", [*FUNCTIONS, *(f"split.{name}" for name in cf.split.__all__)])
def test_junk_for_every_parameter_of_a_function(
    table: pl.DataFrame, called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = cf.read(table)
    rec = cf.fit(data, "bias")
    split = cf.split.random(data, 0.3)
    rec.save("m.cofactor")
    usual = {
        "compare": {"ratings": data, "models": ["bias"], "draws": 0, "baselines": False},
        "tune": {"data": data, "model": "bias", "trials": 1},
        "evaluate": {"trained": rec, "test": split.valid},
        "diff": {"a": rec, "b": rec},
        "load": {"path": "m.cofactor"},
        "read": {"source": table},
        "check": {"source": table},
        "load_dataset": {"name": "movietweetings-demo", "download": False},
        "folds": {"name": "ml-100k", "download": False},
        "set_frames": {"library": "polars"},
        "split.given": {"train": split.train, "valid": split.valid},
    }
    function = getattr(cf.split, called.removeprefix("split.")) if called.startswith("split.") else getattr(cf, called)
    plain: dict[str, Any] = usual.get(called, {"data": data})
    for parameter in parameters(function):
        if parameter.name == "download":  # no address is asked here
            continue
        for junk in (*JUNK, *MORE):
            takes = (called, parameter.name)
            if not (callable(junk) and takes in CALLED) and not ((junk is None or number(junk)) and takes in LONG):
                check_call(function, plain, parameter.name, junk)
