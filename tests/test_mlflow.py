"""MLflow, stood in for by a few objects: what is logged, what comes back, and what autolog records."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import cofactor as cf
from cofactor import mlflow as flavour
from cofactor.errors import ConfigError, MissingExtraError
from cofactor.evaluation import evaluate, with_figures
from toys import two_tastes


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A run that keeps what it is told."""
    kept = SimpleNamespace(params={}, metrics={}, steps=[], run=object(), root=tmp_path / "artifacts")

    class Model:
        def __init__(self):
            self.flavors = {}

        def add_flavor(self, name, **facts):
            self.flavors[name] = facts

        def save(self, path):
            Path(path).write_text(json.dumps(self.flavors), encoding="utf-8")

        @staticmethod
        def log(artifact_path, flavor, **more):
            kept.root.mkdir(exist_ok=True)
            flavor.save_model(path=str(kept.root / artifact_path), mlflow_model=Model(), **more)
            return SimpleNamespace(model_uri=f"runs:/1/{artifact_path}")

    def log_metrics(found, step=None):
        kept.metrics |= found
        kept.steps += [] if step is None else [step]

    def add_to_model(model, loader_module, data):
        model.add_flavor("python_function", loader_module=loader_module, data=data)

    class MlflowException(Exception):
        """MLflow's own."""

    def log_params(found):
        changed = [name for name, value in found.items() if kept.params.get(name, value) != value]
        if changed:
            raise MlflowException(f"Changing param values is not allowed. Params {changed} were already logged")
        kept.params |= found

    parts = {
        "mlflow.exceptions": {"MlflowException": MlflowException},
        "mlflow": {"log_params": log_params, "log_metrics": log_metrics, "active_run": lambda: kept.run},
        "mlflow.models": {"Model": Model},
        "mlflow.pyfunc": {"add_to_model": add_to_model},
        "mlflow.artifacts": {
            "download_artifacts": lambda artifact_uri: str(kept.root / artifact_uri.rpartition("/")[2])
        },
    }
    for name, held in parts.items():
        module = ModuleType(name)
        vars(module).update(held)
        monkeypatch.setitem(sys.modules, name, module)
    yield kept
    flavour.autolog(disable=True)


@pytest.fixture(scope="module")
def rec():
    split = cf.split.random(two_tastes(), valid=0.2, seed=0)
    rec = cf.fit(split, model="als", n_factors=3, seed=0)
    return with_figures(rec, evaluate(rec, split, metrics=["rmse", "ndcg"]), "a fifth, at random")


def test_a_logged_model_comes_back_with_its_figures(store, rec):
    found = flavour.log_model(rec, "films")
    assert store.params["model"] == "als"
    assert store.params["n_factors"] == 3
    rows = {line["metric"]: line for line in rec.figures.to_dicts()}
    assert store.metrics["ndcg_at_10"] == rows["ndcg@10"]["value"]
    assert store.metrics["rmse_low"] == rows["rmse"]["low"]
    assert store.steps == list(range(len(rec.history)))
    back = flavour.load_model(found.model_uri)
    user = rec.data.user_ids.values[0]
    assert back.recommend(user).equals(rec.recommend(user))
    described = json.loads((store.root / "films" / "MLmodel").read_text("utf-8"))
    assert described["python_function"]["loader_module"] == "cofactor.mlflow"
    with pytest.raises(ConfigError, match="already exists"):
        flavour.save_model(rec, store.root / "films")


def test_the_pyfunc_predicts_a_frame(store, rec, tmp_path):
    pandas = pytest.importorskip("pandas")
    flavour.save_model(rec, tmp_path / "m")
    model = flavour._load_pyfunc(str(tmp_path / "m" / "model.cofactor"))
    frame = pandas.DataFrame(
        {"user": rec.data.user_ids.values[:3].to_list(), "item": rec.data.item_ids.values[:3].to_list()}
    )
    np.testing.assert_array_equal(model.predict(frame), rec.predict(frame)["prediction"].to_numpy())


def test_the_pyfunc_takes_user_and_item_whatever_training_called_them(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = two_tastes().to_frame().rename({"user": "customer", "item": "product"})
    rec = cf.fit(cf.read(frame, "customer", "product", "rating"), model="bias", seed=0)
    model = flavour._Pyfunc(rec)
    own = frame.select("customer", "product").head(4).to_dict(as_series=False)
    expected = rec.predict(frame.select("customer", "product").head(4))["prediction"].to_numpy()
    np.testing.assert_array_equal(model.predict(pandas.DataFrame(own)), expected)
    plain = pandas.DataFrame({"item": own["product"], "user": own["customer"]})
    np.testing.assert_array_equal(model.predict(plain), expected)


def test_autolog_records_what_fit_trains_in_an_active_run(store):
    flavour.autolog()
    flavour.autolog()  # once
    cf.fit(two_tastes(), model="bias", seed=3, calibrate=False)
    assert store.params["model"] == "bias"
    assert store.params["seed"] == 3
    store.params.clear()
    store.run = None
    cf.fit(two_tastes(), model="bias", calibrate=False)
    assert store.params == {}
    store.run = object()
    flavour.autolog(disable=True)
    cf.fit(two_tastes(), model="bias", calibrate=False)
    assert store.params == {}


def test_a_second_model_in_one_run_is_said_and_not_lost(store, rec):
    flavour.autolog()
    cf.fit(two_tastes(), model="bias", calibrate=False)
    with pytest.warns(UserWarning, match="did not record this fit of popular: .* start a run for each model"):
        assert cf.fit(two_tastes(), model="popular").name == "popular"
    assert store.params["model"] == "bias"
    with pytest.raises(ConfigError, match="start a run for each model"):
        flavour.log_model(rec)


def test_the_package_is_named_where_it_is_missing(rec, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match="mlflow"):
        flavour.record(rec)
