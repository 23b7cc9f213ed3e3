"""Arguments that cannot be meant end in one sentence, whatever they are: never in another error, never in nonsense."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cofactor as cf
from cofactor import export
from cofactor.api.diff import diff
from cofactor.bundle import info
from cofactor.data.doctor.doctor import check
from cofactor.errors import BundleError, CofactorError, ConfigError, DataError, UnknownIdError
from cofactor.models import REGISTRY, model_class
from cofactor.models.base.config import make_config
from cofactor.report.report import write_report


class Weird:
    def __repr__(self) -> str:
        return "<weird\nthing>"


JUNK: list[Any] = [
    *(None, True, "", "é\ud800", "x" * 5000, b"x", 1.5, -1, 10**30, float("nan"), float("inf"), 1 + 2j),
    *([], (), {}, [1, 2], [[1, [2]]], {"a": [1]}, {1: {2: 3}}, np.array([1, 2]), np.array(3), np.int8(3)),
    *(np.float32(3), pl.DataFrame(), pl.Series([1]), pd.DataFrame(), pd.NA, pd.NaT, np.datetime64("2020-01-01")),
    *(dt.datetime(2020, 1, 1), dt.date(2020, 1, 1), object, len, Weird()),
]
"""What somebody may pass by mistake: wrong types and shapes, numbers that are none, texts that no file can hold."""


@pytest.fixture(scope="module", params=["als", "ease"])
def rec(request: Any, toy: Any) -> cf.Recommender:
    return cf.fit(toy, model=request.param, seed=1, **({"epochs": 2} if request.param == "als" else {}))


def one_sentence(act: Callable[[Any], Any]) -> None:
    """Every piece of junk is taken or refused in one line."""
    for value in JUNK:
        said = "this was taken"
        try:
            act(value)
        except CofactorError as exc:
            said = str(exc)
        except Exception as exc:
            pytest.fail(f"{type(value).__name__} {value!r}: {type(exc).__name__}: {exc}")
        assert "\n" not in said
        assert 10 < len(said) < 4_100


FILM = "Film 03 (1983)"
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "recommend user": lambda r, x: r.recommend(x),
    "recommend an unknown user": lambda r, x: r.recommend(x, unknown="skip"),
    "recommend history": lambda r, x: r.recommend(history=x),
    "recommend a rating": lambda r, x: r.recommend(history={FILM: x}),
    "recommend several": lambda r, x: r.recommend(history=[FILM, x], unknown="popular"),
    "recommend_all n": lambda r, x: r.recommend_all(x),
    "similar_items": lambda r, x: r.similar_items(x),
    "similar_items n": lambda r, x: r.similar_items(FILM, x),
    "explain user": lambda r, x: r.explain(x, FILM),
    "explain item": lambda r, x: r.explain(1, x),
    "explain n": lambda r, x: r.explain(1, FILM, n=x),
    "explain history": lambda r, x: r.explain(history=x, item=FILM),
    "what_if without": lambda r, x: r.what_if(1, without=x),
    "what_if instead": lambda r, x: r.what_if(1, instead=x),
    "what_if a rating": lambda r, x: r.what_if(1, instead={FILM: x}),
    "what_if n": lambda r, x: r.what_if(1, instead={FILM: 1}, n=x),
    "biases": lambda r, x: r.biases(x),
    "embeddings": lambda r, x: r.embeddings(x),
    "predict": lambda r, x: r.predict(x),
    "predict user": lambda r, x: r.predict([(x, FILM)]),
    "predict item": lambda r, x: r.predict([(1, x)], unknown="popular"),
    "predict times": lambda r, x: r.predict([(1, FILM)], times=x),
    "predict a time": lambda r, x: r.predict([(1, FILM)], times=[x]),
    "predict level": lambda r, x: r.predict([(1, FILM)], interval=True, level=x),
    "predict interval": lambda r, x: r.predict([(1, FILM)], interval=x),
    "update": lambda r, x: r.update(x),
    "update user": lambda r, x: r.update([(x, FILM, 3.0)]).recommend_all(2),
    "update item": lambda r, x: r.update([(1, x, 3.0)], unknown="skip"),
    "update rating": lambda r, x: r.update([(1, FILM, x)]),
    "update time": lambda r, x: r.update([(1, FILM, 3.0, x)]),
    "refit warm": lambda r, x: r.refit(warm=x) if x is not None and x is not True else None,
    "diff": lambda r, x: diff(r, x),
    "diff n": lambda r, x: diff(r, r, n=x),
    "save": lambda r, x: r.save(x),
    "load": lambda r, x: cf.load(x),
    "info": lambda r, x: info(x),
    "check": lambda r, x: check(x),
    "evaluate": lambda r, x: cf.evaluate(r, x),
    "report": lambda r, x: write_report(r, x),
    "report title": lambda r, x: write_report(r, "r.html", title=x),
    "export_vectors": lambda r, x: export.export_vectors(r, x),
    "export_vectors format": lambda r, x: export.export_vectors(r, "v", x),
    "export_vectors which": lambda r, x: export.export_vectors(r, "v", which=x),
    "export_hf": lambda r, x: export.export_hf(r, x),
    "export_onnx": lambda r, x: export.export_onnx(r, x),
} | {
    f"recommend {name}": lambda r, x, name=name: r.recommend(1, **{name: x})
    for name in ("n", "seen", "allow", "deny", "where", "per_group", "diversity", "calibration", "sure", "explore")
}


@pytest.mark.parametrize("call", CALLS)
def test_junk_is_refused_in_one_sentence(
    rec: cf.Recommender, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one_sentence(lambda x: CALLS[call](rec, x))


@pytest.mark.parametrize("name", [n for n in REGISTRY if n != "blend"])
def test_junk_for_parameters(name: str, toy: Any) -> None:
    """Of every parameter of every model, before anything is trained."""
    cls = model_class(name).Config
    for field in dataclasses.fields(cls):
        one_sentence(lambda x, field=field: make_config(cls, {field.name: x}))  # type: ignore[misc]
    for keyword in ("seed", "calibrate", "budget_seconds", "resume", "verbose", "valid"):
        one_sentence(lambda x, keyword=keyword: cf.fit(toy.take(np.arange(0)), "bias", **{keyword: x}))  # type: ignore[misc]


def test_infinite_parameters(toy: Any) -> None:
    with pytest.raises(ConfigError, match="shrink is inf; it must be a number"):
        cf.fit(toy, model="item-knn", shrink=float("inf"))
    cf.fit(toy, model="ease", max_gb=float("inf"))  # no limit


@pytest.mark.parametrize("keywords", [{"use_nn": True}, {"loss": len}])
@pytest.mark.parametrize("device", ["gpu", "cuda:77", "meta", "", "é\ud800", 3.5, [1]])
def test_devices_that_are_not_here(toy: Any, keywords: dict[str, Any], device: Any) -> None:
    pytest.importorskip("torch")
    with pytest.raises(ConfigError, match="which is not available here; give 'cpu'"):
        cf.collab_learner(toy, 4, device=device, verbose=False, **keywords)


def test_junk_for_the_notebook(toy: Any) -> None:
    pytest.importorskip("torch")
    import torch

    from cofactor import notebook as nb

    one_sentence(nb.get_emb_sz)
    one_sentence(lambda x: nb.sigmoid_range(x, 0, 5))
    for low in (None, "", [], object, dt.date(2020, 1, 1)):
        with pytest.raises(ConfigError, match="a tensor and two numbers"):
            nb.sigmoid_range(torch.zeros(3), low, 5)
    one_sentence(lambda x: nb.one_hot(x, 5))
    one_sentence(nb.CollabDataLoaders.from_df)
    one_sentence(nb.L)


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda r: r.what_if(1, instead={FILM: 50}), DataError, "from 1 to 5"),
        (lambda r: r.recommend(history={FILM: True}), DataError, "must be a number"),
        (lambda r: r.update([(1, FILM, True)]), DataError, "must be a number"),
        (lambda r: r.update([(True, FILM, 3.0)]), DataError, "same type"),
        (lambda r: r.update([(10**30, FILM, 3.0)]), DataError, "same type"),
        (lambda r: r.predict([(1, FILM)], interval=True, level=1.5), ConfigError, "between 0 and 1"),
        (lambda r: r.recommend(1, calibration=()), ConfigError, "a column and a strength"),
        (lambda r: r.recommend("a\nb" * 3000), UnknownIdError, " ... "),
        (lambda r: r.save("\0"), BundleError, "not a valid file name"),
        (lambda r: check("x" * 5000), DataError, "File name too long"),
        (lambda r: export.export_vectors(r, "x" * 5000), BundleError, "File name too long"),
        (lambda r: write_report(r, "x" * 5000), ConfigError, "File name too long"),
        (lambda r: diff(r, 3), ConfigError, "compare recommenders"),
    ],
)
def test_what_is_said(toy: Any, act: Callable[[Any], Any], error: type[Exception], words: str) -> None:
    rec = cf.fit(toy, model="als", epochs=2)
    with pytest.raises(error, match=words):
        act(rec)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, typed: Any, tmp_path: Path, toy: Any) -> Any:
    """``run("recommend", ...)`` -> (exit code, stdout, stderr), in a folder with a table and a model of it."""
    monkeypatch.chdir(tmp_path)
    toy.to_frame().write_csv("r.csv")
    cf.fit(toy, model="bias").save("m.cofactor")
    return typed


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("recommend", "m.cofactor", "--user", 1, "--out", "/dev/null"), "a device or a pipe"),
        (("recommend", "m.cofactor", "--user", 1, "--out", "x.xlsx"), "not as .xlsx"),
        (("recommend", "m.cofactor", "--all", "--out", "x.json"), "not as .json"),
        (("split", "r.csv", "--out-test", "x.json"), "not as .json"),
        (("recommend", "m.cofactor", "--liked", f"{FILM}=5", "--liked", FILM), "names 'Film 03 (1983)' twice"),
        (("recommend", "m.cofactor", "--user", "\udcff\udcfe", "--json"), r"unknown user '\udcff\udcfe'"),
        (("recommend", "\udcff", "--user", 1), "no such folder"),
        (("export", "m.cofactor", "m.cofactor", "--format", "hf"), "is a saved model"),
        (("export", "m.cofactor", "m.cofactor", "--format", "npy"), "is a saved model"),
        (("report", "m.cofactor", "--test", "r.csv", "--out", "r.csv"), "r.csv already exists and is not an HTML page"),
        (("report", "m.cofactor", "--test", "m.cofactor"), "m.cofactor is a saved model, not a table of ratings"),
        (("fit", "r.csv", "--model", "bias", "--checkpoint", "./r.csv"), "is the table of ratings; choose"),
        (("fit", "r.csv", "--model", "als", "--n-factors", 2**31), "must be below"),
        (("info", "r.csv"), "it is a file, and a saved model is a directory"),
        (("diff", "m.cofactor", "r.csv"), "it is a file, and a saved model is a directory"),
        (("check", "m.cofactor"), "m.cofactor is a saved model, not a table of ratings"),
    ],
)
def test_nothing_is_overwritten_or_guessed(run: Any, args: tuple[Any, ...], words: str) -> None:
    before = {p: p.read_bytes() for p in sorted(Path().rglob("*")) if p.is_file()}
    code, _, err = run(*args)
    assert code == 2
    assert words in err.splitlines()[-1]
    assert {p: p.read_bytes() for p in sorted(Path().rglob("*")) if p.is_file()} == before


def test_too_little_memory_is_said(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: Any, **__: Any) -> None:
        raise MemoryError("Unable to allocate 149. GiB")

    monkeypatch.setattr("cofactor.cli.fit.fit", greedy)
    code, _, err = run("fit", "r.csv", "--model", "als")
    assert code == 2
    assert "not enough memory (Unable to allocate 149. GiB); use fewer factors" in err.splitlines()[-1]


@pytest.mark.parametrize(
    "args",
    [
        ("recommend", "m.cofactor", "--user", 1),
        ("similar", "m.cofactor", FILM),
        ("explain", "m.cofactor", "--user", 1, "--item", FILM),
        ("info", "m.cofactor"),
        ("check", "r.csv"),
        ("models",),
        ("models", "bayes-mf"),
        ("diff", "m.cofactor", "m.cofactor"),
    ],
)
def test_narrow_terminals_lose_nothing(run: Any, args: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every letter that a wide terminal shows is there, folded; no colour is written to what is not a terminal."""
    monkeypatch.setenv("COLUMNS", "400")
    _, wide, _ = run(*args)
    monkeypatch.setenv("COLUMNS", "40")
    code, narrow, _ = run(*args)
    assert code == 0
    assert "\x1b" not in narrow
    assert sorted("".join(narrow.split())) == sorted("".join(wide.split()))
