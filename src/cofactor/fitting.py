"""From a table to a trained Recommender in one call."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._checks import number, truth
from cofactor._outputs import check_file
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError, DataError
from cofactor.model import Posterior, Task
from cofactor.models import model_class
from cofactor.models.config import make_config
from cofactor.recommend import Recommender
from cofactor.recommend.warm import warm_start
from cofactor.train import Learner

Array = NDArray[Any]
AUTO: dict[str, Task] = {"auto": "rating", "auto-ranking": "ranking"}


def fit(
    ratings: Any,
    model: str = "auto",
    *,
    seed: int = 42,
    valid: Interactions | None = None,
    user_features: Any = None,
    item_features: Any = None,
    calibrate: bool = True,
    budget_seconds: float = 60.0,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Recommender | None = None,
    verbose: bool = False,
    **config: Any,
) -> Recommender:
    """Train a model on a table of ratings.

    ``ratings``: Interactions, a Split (its ``valid`` part is watched and gives the metrics), or anything that
    :func:`cofactor.read` takes. ``model`` is a name from :func:`cofactor.models`; ``auto`` tries rating models on an
    inner validation part of the rows within ``budget_seconds`` and takes the best, never one worse than ``bias``;
    ``auto-ranking`` does the same among rankers, and so does ``auto`` where all values are alike (clicks). What was
    tried stands in ``Recommender.tried``, what the best reached there in ``metrics["inner_rmse"]`` (or
    ``"inner_ndcg@10"``). The choice depends on the data and the seed alone, unless the budget left something out.
    ``config`` are the fields of the model's config.
    ``user_features``/``item_features``: names of side-table columns, or a frame with an id column. ``warm_from`` is an
    earlier Recommender of the same model, with whose vectors training begins where it goes in sweeps.
    With ``calibrate`` a rating model without a posterior is also fitted on nine tenths of the training rows, and the
    residuals on the last tenth make its intervals (and, where nothing is watched, its ``valid_rmse``).
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed is {seed!r}; it is a whole number, 0 or more")
    if not isinstance(model, str):
        raise ConfigError(f"model is {model!r}; give a name, such as 'als' (cofactor.models() lists them)")
    for name, value in (("resume", resume), ("calibrate", calibrate), ("verbose", verbose)):
        truth(name, value)
    if (
        not (isinstance(budget_seconds, float) and budget_seconds == float("inf"))
        and number("budget_seconds", budget_seconds) < 0
    ):
        raise ConfigError(f"budget_seconds is {budget_seconds}; it must be 0 or more")
    if valid is not None and not isinstance(valid, Interactions):
        raise ConfigError(
            f"valid is {valid!r}; give Interactions, or a Split (cofactor.split.random) in place of ratings"
        )
    if warm_from is not None and not isinstance(warm_from, Recommender):
        raise ConfigError(f"warm_from is a {type(warm_from).__name__}; give a Recommender (cofactor.load reads one)")
    if resume and checkpoint is None:
        raise ConfigError("resume needs the checkpoint to go on from; give checkpoint=FILE (--checkpoint FILE)")
    if checkpoint is not None:
        check_file(checkpoint, "the checkpoint", makes_folders=True)
    data = _prepared(ratings, user_features, item_features)
    train, watched = (data.train, data.valid) if isinstance(data, Split) else (data, valid)
    alike = train.range[0] == train.range[1]
    if model == "auto" and alike:
        model = "auto-ranking"
        if verbose:
            print(f"every value is {train.range[0]:g}: there are no ratings to predict, so rankers are tried")
    tried = None
    if model in AUTO:
        from cofactor.evaluate.auto import choose

        choice = choose(train, task=AUTO[model], seed=seed, budget_seconds=budget_seconds, verbose=verbose)
        model, config, tried = choice.model, {**choice.config, **config}, choice
    if alike and model_class(model).task == "rating":
        raise DataError(
            f"every value is {train.range[0]:g}: there are no ratings for {model} to predict; "
            "take a ranker, or model='auto-ranking'"
        )
    learn, warm = _trained(train, watched, model, config, seed, checkpoint, resume, verbose, warm_from)
    rec = Recommender.of_learner(learn)
    if warm_from is not None:
        rec.metrics["warm_start"] = float(warm)
    if tried is not None:
        rec.metrics.update(tried.metrics)
        rec.tried = tried.frame
    if watched is not None and rec.model.task == "rating":
        predicted = rec.model.predict(watched.users, watched.items, watched.times)
        rec.metrics["valid_rmse"] = _rmse(predicted, watched.values)
    calibrate = calibrate and not learn.interrupted  # who pressed Ctrl-C will not wait for a second training
    if calibrate and rec.model.task == "rating" and not isinstance(rec.model, Posterior) and len(train) >= 100:
        _calibrate(rec, train, model, config, seed)
    return rec


def _prepared(ratings: Any, user_features: Any, item_features: Any) -> Interactions | Split:
    from cofactor.data.features import with_features
    from cofactor.data.read import check_trainable, read

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


def _trained(
    train: Interactions,
    valid: Interactions | None,
    model: str,
    config: dict[str, Any],
    seed: int,
    checkpoint: str | Path | None,
    resume: bool,
    verbose: bool,
    warm_from: Recommender | None = None,
) -> tuple[Learner, bool]:
    cls = model_class(model)
    settings = make_config(cls.Config, config)
    data = train if valid is None else Split(train, valid, "given", None)
    learn = Learner(data, cls(settings), seed=seed, bs=getattr(settings, "bs", 64), verbose=verbose)
    epochs = getattr(settings, "epochs", 1)
    warm = warm_from is not None and warm_start(learn, warm_from)
    if learn.stepper.kind == "batch":
        learn.fit_one_cycle(epochs, settings.lr, wd=settings.wd, checkpoint=checkpoint, resume=resume)
    else:
        learn.fit(epochs, checkpoint=checkpoint, resume=resume)
    return learn, warm


def _calibrate(rec: Recommender, train: Interactions, model: str, config: dict[str, Any], seed: int) -> None:
    """Residuals on a tenth of the rows, of a model fitted to the rest, give intervals and an honest error."""
    from cofactor.recommend.intervals import residual_quantiles

    order = np.random.default_rng([seed, 2]).permutation(len(train))
    cut = len(train) // 10
    held_out = train.take(np.sort(order[:cut]))
    learn, _ = _trained(train.take(np.sort(order[cut:])), None, model, config, seed, None, False, False)
    inner = learn.model
    predicted = inner.predict(held_out.users, held_out.items, held_out.times)
    rec.metrics.setdefault("valid_rmse", _rmse(predicted, held_out.values))
    rec.intervals = residual_quantiles(predicted, held_out.values, limits=train.range)


def _rmse(predicted: Array, values: Array) -> float:
    return float(np.sqrt(np.mean((values - predicted.astype(np.float64)) ** 2)))
