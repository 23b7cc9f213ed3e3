"""``cf.set_frames``: frames in the user's own library, wherever one is handed out, and nowhere inside."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor import _frames, vectors
from cofactor.errors import ConfigError
from cofactor.testing import toy_blocks

pd = pytest.importorskip("pandas")


@pytest.fixture
def pandas():
    with cf.set_frames("pandas"):
        yield


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 30)) < 0.4)
    frame = pl.DataFrame(
        {"user": users, "item": items, "rating": 1.0 + (users + items) % 5, "time": np.arange(len(users)) * 86400}
    )
    names = pl.DataFrame(
        {"item": np.arange(30), "title": [f"Film {k}" for k in range(30)], "genres": ["a|b", "c"] * 15}
    )
    return cf.read(frame, "user", "item", "rating", "time", items=names)


@pytest.fixture(scope="module")
def rec(data):
    return cf.fit(data, model="als", n_factors=4, epochs=2, seed=0)


def public():
    """Every public function and class, once."""
    spec = importlib.util.spec_from_file_location("public_list", Path(__file__).parent / "test_public.py")
    listed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(listed)
    found = {}
    for name in [*listed.PUBLIC, *listed.WHOLE]:
        if name in ("cofactor.engines.spark", "cofactor.notebook", "cofactor.mlflow", "cofactor.hub"):
            continue  # frames of Spark, of fastai's way (pandas), and none
        module = importlib.import_module({"cofactor.split": "cofactor.data.splits"}.get(name, name))
        for each in listed.PUBLIC.get(name) or [n for n in dir(module) if not n.startswith("_")]:
            one = getattr(module, each)
            if getattr(one, "__module__", "").startswith("cofactor") and not inspect.ismodule(one):
                found[id(one)] = one
    return list(found.values())


def test_every_public_frame_is_handed_out():
    looked_at = 0
    for one in public():
        members = [(one.__qualname__, one)] if inspect.isfunction(one) else []
        if inspect.isclass(one):
            members = [(f"{one.__qualname__}.{n}", m) for n, m in vars(one).items() if not n.startswith("_")]
            for name, annotation in inspect.get_annotations(one).items():
                if _frames._is_frame(annotation) and not getattr(one, "_is_protocol", False):
                    looked_at += 1
                    assert isinstance(vars(one).get(name), _frames._Field), f"{one.__qualname__}.{name}"
        for name, member in members:
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function) and _frames._is_frame(function.__annotations__.get("return")):
                looked_at += 1
                assert getattr(function, "hands_out_frames", False), name
    assert looked_at > 25


def test_each_verb_gives_the_same_in_pandas(rec, data):
    asked = {
        "predict": lambda: rec.predict([(0, 1), (2, 3)]),
        "recommend": lambda: rec.recommend(user=0, n=3),
        "a history": lambda: rec.recommend(history={1: 5.0}, n=3),
        "several": lambda: rec.recommend(users=[0, 1], n=2),
        "all": lambda: rec.recommend_all(n=2),
        "similar_items": lambda: rec.similar_items(1, n=3),
        "similar_users": lambda: rec.similar_users(1, n=3),
        "biases": lambda: rec.biases(n=2),
        "what_if": lambda: rec.what_if(user=0, without=[int(data.to_frame()["item"][0])]),
        "explanation": lambda: rec.explain(user=0, item=1).rated,
        "evaluate": lambda: cf.evaluate(rec, data, metrics=["rmse", "ndcg"], exclude=None),
        "diff": lambda: cf.diff(rec, rec).facts,
        "models": cf.list_models,
        "datasets": cf.list_datasets,
        "rows": data.to_frame,
        "items": lambda: data.item_table,
        "findings": lambda: cf.check(data).frame,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # evaluated on its own rows
        polars = {name: ask() for name, ask in asked.items()}
        with cf.set_frames("pandas"):
            pandas = {name: ask() for name, ask in asked.items()}
        with cf.set_frames("pyarrow"):
            arrow = {name: ask() for name, ask in asked.items()}
    for name, frame in polars.items():
        assert isinstance(frame, pl.DataFrame), name
        assert isinstance(pandas[name], pd.DataFrame), name
        assert list(pandas[name].columns) == frame.columns
        back = [
            {key: None if isinstance(v, float) and np.isnan(v) else v for key, v in row.items()}
            for row in pandas[name].to_dict("records")
        ]
        assert back == [{k: None if v != v else v for k, v in row.items()} for row in frame.to_dicts()], name
        assert pl.from_arrow(arrow[name]).equals(frame), name


def test_columns_of_every_kind():
    frame = pl.DataFrame(
        {
            "whole": [1, 2],
            "holes": [1, None],
            "number": [0.5, None],
            "text": ["a", None],
            "flag": [True, False],
            "maybe": [True, None],
            "many": [["a"], []],
            "day": [date(2020, 1, 2), None],
            "moment": [datetime(2020, 1, 2, 3), None],
            "kind": pl.Series(["a", "b"], dtype=pl.Categorical),
            "vector": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2)),
            "nothing": pl.Series([None, None], dtype=pl.String),
        }
    )
    found = _frames._pandas(frame)
    assert found["whole"].dtype == np.int64
    assert found["holes"].tolist()[0] == 1.0
    assert np.isnan(found["holes"][1])
    assert found["text"].isna().tolist() == [False, True]
    assert found["flag"].dtype == bool
    assert found["maybe"].tolist() == [True, None]
    assert found["many"].tolist() == [["a"], []]
    assert str(found["moment"].dtype).startswith("datetime64")
    assert found["vector"][1].tolist() == [3.0, 4.0]
    assert found["vector"][1].dtype == np.float32
    assert found["kind"].tolist() == ["a", "b"]
    found.loc[0, "whole"] = 7  # it is the user's own
    assert frame["whole"][0] == 1
    empty = _frames._pandas(frame.clear())
    assert list(empty.columns) == frame.columns
    assert len(empty) == 0
    assert empty["text"].dtype == found["text"].dtype == found["nothing"].dtype


def test_what_comes_out_goes_in(pandas, data):
    rows = data.to_frame()
    again = cf.read(rows, "user", "item", "rating", "time", items=data.item_table)
    rec = cf.fit(again, model="ease")
    found = rec.recommend(user=0, n=3)
    assert rec.predict(pd.DataFrame({"user": 0, "item": found["item"]}))["prediction"].tolist() == pytest.approx(
        found["score"].tolist()
    )
    assert rec.update(rows.head(5).assign(user=777)).recommend(user=777, n=2)["rank"].tolist() == [1, 2]
    assert isinstance(cf.fit(again, model="auto", budget_seconds=1, seed=0).trials, pd.DataFrame)


def test_nothing_inside_sees_the_setting(pandas, rec, data, tmp_path):
    """What computes with frames gets polars ones: comparing, tuning, reports, writers, explanations, copies."""
    compared = cf.compare(data, split=cf.split.kfold(data, 2), models=["bias", "popular"], metrics=["ndcg"], quiet=True)
    assert compared.verdict
    assert str(compared)
    assert isinstance(compared.frame, pd.DataFrame)
    assert isinstance(compared.figures(), pd.DataFrame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the rows are training rows
        assert importlib.import_module("cofactor.report").write_report(rec, tmp_path / "r.html", test=data)
    vectors.write_pgvector(rec, tmp_path / "v.sql")
    assert str(rec.explain(user=0, item=1))
    assert str(cf.diff(rec, rec))
    assert str(cf.check(data))
    assert repr(rec)
    assert isinstance(dataclasses.replace(compared, alpha=0.1).pairs, pd.DataFrame)
    rec.save(tmp_path / "m.cofactor")
    assert isinstance(cf.load(tmp_path / "m.cofactor").recommend(user=0, n=1), pd.DataFrame)
    with ThreadPoolExecutor(2) as pool:
        assert all(isinstance(f, pd.DataFrame) for f in pool.map(rec.recommend, [0, 1]))


def test_the_server_beside_it_answers(pandas, rec, tmp_path):
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    from cofactor.serve import Settings, create_app

    rec.save(tmp_path / "m.cofactor")
    with TestClient(create_app(Settings(tmp_path / "m.cofactor", read_only=True)), "http://127.0.0.1") as client:
        for path in ("/v1/recommend?user=0", "/v1/similar?item=1", "/v1/biases", "/v1/item?item=1", "/v1/user?user=0"):
            assert client.get(path).status_code == 200, path


def test_blocks_nest_and_end():
    data = toy_blocks().train
    assert isinstance(data.to_frame(), pl.DataFrame)
    with cf.set_frames("pandas"):
        with cf.set_frames("polars"):
            assert isinstance(data.to_frame(), pl.DataFrame)
        assert isinstance(data.to_frame(), pd.DataFrame)
        with pytest.raises(ZeroDivisionError), cf.set_frames("pyarrow"):
            1 / 0  # noqa: B018
        assert isinstance(data.to_frame(), pd.DataFrame)
    assert isinstance(data.to_frame(), pl.DataFrame)


def test_another_library_is_refused_in_a_sentence(monkeypatch):
    with pytest.raises(ConfigError, match="the library of frames is 'dask'; give one of polars, pandas, pyarrow"):
        cf.set_frames("dask")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs pandas; install it"):
        cf.set_frames("pandas")
    assert _frames._library == "polars"
