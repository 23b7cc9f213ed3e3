"""Models in MLflow: log a model with its figures, load it, or serve it as a pyfunc. Needs mlflow.

The artifact is a bundle in a folder with an ``MLmodel`` file; ``mlflow.pyfunc.load_model`` then predicts a frame.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import warnings
from pathlib import Path
from typing import Any

from cofactor._version import __version__
from cofactor.api import fit as fitting
from cofactor.bundle.manifest import plain
from cofactor.errors import ConfigError, MissingExtraError
from cofactor.recommender import Recommender, load

FLAVOUR, DATA = "cofactor", "model.cofactor"
__all__ = ["autolog", "load_model", "log_model", "save_model"]


def save_model(rec: Recommender, path: str | Path, mlflow_model: Any = None) -> None:
    """Write a model as an MLflow model into the new folder ``path``."""
    place = Path(path)
    if place.exists() and any(place.iterdir()):
        raise ConfigError(f"{path} already exists; name a new folder")
    place.mkdir(parents=True, exist_ok=True)
    rec.save(place / DATA)
    models, pyfunc = _mlflow("models"), _mlflow("pyfunc")
    described = models.Model() if mlflow_model is None else mlflow_model
    requirement = [f"cofactor=={__version__}"]
    (place / "requirements.txt").write_text("\n".join(requirement) + "\n", encoding="utf-8")
    described.add_flavor(FLAVOUR, cofactor_version=__version__, data=DATA, model=rec.name)
    pyfunc.add_to_model(described, loader_module="cofactor.mlflow", data=DATA)
    described.save(str(place / "MLmodel"))


def log_model(rec: Recommender, name: str = "model", **more: Any) -> Any:
    """Log a model with its parameters and figures to the active run of MLflow, and return MLflow's model info.

    ``more`` are options of ``mlflow.models.Model.log``, such as ``registered_model_name``.
    """
    record(rec)
    log = _mlflow("models").Model.log
    later = "name" in inspect.signature(log).parameters  # from MLflow 3 on
    called = {"artifact_path": None, "name": name} if later else {"artifact_path": name}
    return log(**called, flavor=importlib.import_module(__name__), rec=rec, **more)


def load_model(model_uri: str) -> Recommender:
    """Load the Recommender of an MLflow model, such as ``"runs:/<id>/model"``."""
    place = Path(_mlflow("artifacts").download_artifacts(artifact_uri=model_uri))
    return load(place / DATA)


def record(rec: Recommender) -> None:
    """Log parameters, metrics and figures to the active run. A figure and its bounds are logged as ``ndcg_at_10``,
    ``ndcg_at_10_low`` and ``ndcg_at_10_high``."""
    mlflow = _mlflow()
    try:
        mlflow.log_params({"model": rec.name, "seed": rec.seed, **plain(dataclasses.asdict(rec.model.config))})
    except _mlflow("exceptions").MlflowException as exc:
        if "param value" not in str(exc):
            raise
        raise ConfigError(
            "the active run of MLflow has the parameters of another model; start a run for each model"
        ) from None
    found = {name: value for name, value in plain(rec.metrics).items() if value is not None}
    for line in [] if rec.figures is None else rec.figures.to_dicts():
        name = line["metric"].replace("@", "_at_")
        found |= {name + end: line[key] for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))
                  if line[key] is not None}  # fmt: skip
    mlflow.log_metrics({name.replace("@", "_at_"): float(value) for name, value in found.items()})
    for epoch, losses in enumerate(rec.history):
        named = {n: float(x) for n, x in zip(("train_loss", "valid_loss"), losses) if x == x}
        if named:
            mlflow.log_metrics(named, step=epoch)


def autolog(*, disable: bool = False) -> None:
    """Log each model that ``cofactor.fit`` trains to the active run of MLflow; ``disable`` stops that.

    No run is started: without an active run, nothing is logged.
    """
    if not disable:
        _mlflow()
    fitting.when_fitted[:] = [hook for hook in fitting.when_fitted if hook is not _record_if_active]
    if not disable:
        fitting.when_fitted.append(_record_if_active)


def _record_if_active(rec: Recommender) -> None:
    if _mlflow().active_run() is None:
        return
    try:
        record(rec)
    except (ConfigError, _mlflow("exceptions").MlflowException) as exc:
        warnings.warn(f"MLflow did not record this fit of {rec.name}: {exc}", UserWarning, stacklevel=3)


class _Pyfunc:
    """The model behind ``mlflow.pyfunc.load_model``; it predicts frames with the training columns, or user and item."""

    def __init__(self, rec: Recommender) -> None:
        self.rec = rec

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return the predictions in the order of the rows. Unknown users and items are predicted as average ones."""
        columns = self.rec.data.columns
        wanted = {"user": columns.user, "item": columns.item}
        given = set(getattr(model_input, "columns", ()))
        if set(wanted) <= given and not set(wanted.values()) <= given:
            model_input = model_input[list(wanted)].rename(columns=wanted)
        return self.rec.predict(model_input, unknown="popular")["prediction"].to_numpy()


def _load_pyfunc(path: str) -> _Pyfunc:
    """Load the bundle at ``path``, for ``mlflow.pyfunc``."""
    return _Pyfunc(load(path))


def _mlflow(part: str = "") -> Any:
    try:
        return importlib.import_module(f"mlflow.{part}" if part else "mlflow")
    except ImportError:
        raise MissingExtraError("mlflow", "mlflow", "logging to MLflow") from None
