"""Train one named model on a table."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.features.with_features import with_features
from cofactor.data.interactions import Columns, Interactions, Split
from cofactor.data.kind import Kind
from cofactor.data.read import read
from cofactor.data.trainable import check_trainable
from cofactor.errors import DataError
from cofactor.fitting.calibrate import calibrate_intervals
from cofactor.fitting.estimate import refuse_what_does_not_fit
from cofactor.fitting.warm import warm_start
from cofactor.model import Posterior, Task, TriesParts
from cofactor.models import model_class
from cofactor.models.base.config import make_config
from cofactor.recommend.fitted import TRIALS, Fitted
from cofactor.train.fit_model import fit_model
from cofactor.train.learner import Learner
from cofactor.train.losses import rmse


def fit_named(
    train: Interactions,
    model: str,
    *,
    seed: int,
    valid: Interactions | None = None,
    calibrate: bool = True,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Any,
) -> Fitted:
    """Train a model of the registry. ``config`` holds the fields of its config; other arguments are as in
    :func:`cofactor.fit`.

    Raises DataError for a rating model if all values are equal.
    """
    cls = model_class(model)
    check_values(model, cls.task, train.kind, train.range, train.columns)
    made = cls(make_config(cls.Config, config))
    refuse_what_does_not_fit(model, made.config, train, calibrate=calibrate)
    data = train if valid is None else Split(train, valid, "given", None)
    warm = False

    def begin(learn: Learner) -> None:
        nonlocal warm
        warm = warm_from is not None and warm_start(learn, warm_from)

    learn = fit_model(data, made, seed=seed, checkpoint=checkpoint, resume=resume, verbose=verbose, begin=begin)
    fitted = from_learner(learn)
    if warm_from is not None:
        fitted.metrics["warm_start"] = float(warm)
    if valid is not None and cls.task == "rating":
        predicted = fitted.model.predict(valid.users, valid.items, valid.times)
        fitted.metrics["valid_rmse"] = rmse(predicted, valid.values, valid.weights)
    calibrate = calibrate and not learn.interrupted  # no second training after Ctrl-C
    if calibrate and cls.task == "rating" and not isinstance(fitted.model, Posterior) and len(train) >= 100:
        calibrate_intervals(fitted, made.config)
    return fitted


def check_values(model: str, task: Task, kind: Kind, limits: tuple[float, float], columns: Columns) -> None:
    """Raise DataError if a rating model is to learn from counts or events, or from values that are all equal."""
    low, high = limits
    if task == "rating" and kind == "counts":
        column = f" of column {columns.rating!r}" if columns.rating else ""
        raise DataError(
            f"the values{column} are counts, from {low:g} to {high:g}, and {model} predicts ratings; use a ranker such"
            " as 'ials', or model='auto-ranking'; if they are grades, read them with"
            " kind='ratings' (on the command line --kind ratings)"
        )
    if task == "rating" and kind == "events" and low != high:
        raise DataError(
            f"the rows are events, and {model} predicts ratings; use a ranker such as 'ials', or model='auto-ranking'"
        )
    if task == "rating" and low == high:
        raise DataError(
            f"all values are equal, so there are no ratings for {model} to predict; use a ranker, or"
            " model='auto-ranking'"
        )


def from_learner(learn: Learner) -> Fitted:
    """Return the state around the model of a Learner, with the losses that it recorded."""
    history = learn.recorder.values
    loss = getattr(learn.model.config, "loss", "mse")
    metrics = {f"valid_{loss}": history[-1][1]} if history and np.isfinite(history[-1][1]) else {}
    tried = learn.model.tried() if isinstance(learn.model, TriesParts) else []
    trials = pl.DataFrame(tried, schema=TRIALS) if tried else None
    return Fitted(learn.model, learn.train, seed=learn.seed, history=history, metrics=metrics, trials=trials)


def prepared(ratings: Any, user_features: Any, item_features: Any) -> Interactions | Split:
    """Return rows to train on from anything that :func:`cofactor.read` takes, with the requested features."""
    data = ratings if isinstance(ratings, (Interactions, Split)) else read(ratings)
    check_trainable(data.train if isinstance(data, Split) else data)
    if user_features is None and item_features is None:
        return data
    if isinstance(data, Split):
        return dataclasses.replace(
            data,
            train=with_features(data.train, user=user_features, item=item_features),
            valid=with_features(data.valid, user=user_features, item=item_features),
        )
    return with_features(data, user=user_features, item=item_features)
