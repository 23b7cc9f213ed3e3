"""``cf.fit``: train a Recommender on a table in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from cofactor._fork import check_threads
from cofactor._paths import check_file
from cofactor._progress import say
from cofactor._validate import check_bool, check_budget, check_choice, check_int
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError
from cofactor.fitting.fit import fit_named, prepared
from cofactor.model import Task
from cofactor.models import model_class
from cofactor.recommend.fitted import Fitted
from cofactor.recommender import Recommender

when_fitted: list[Callable[[Recommender], None]] = []
"""Called with each model that :func:`fit` has trained (``cofactor.mlflow.autolog`` is one)."""
_READING = frozenset(("user", "item", "rating", "time", "count", "behaviour", "title", "items", "users"))
"""Keywords that users may pass to :func:`fit`, but that belong to :func:`cofactor.read`."""
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
    budget_seconds: float | None = None,
    budget: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    warm_from: Fitted | None = None,
    verbose: bool = False,
    **config: Any,
) -> Recommender:
    """Train a model on a table of ratings, counts or events.

    ``"auto"`` tries rating models on an inner validation part of the rows and chooses the best, never one worse than
    ``bias``. ``"auto-ranking"`` does the same with rankers and blends of them, on the latest rows if there are times.
    Where the values are counts or events, ``"auto"`` tries rankers too. ``Recommender.trials`` holds the trials, and
    ``metrics["inner_rmse"]`` (or ``"inner_ndcg@10"``) the best result.

    Args:
        ratings: Interactions; a Split, whose ``valid`` part is used for validation and metrics; or input of
            :func:`cofactor.read`.
        model: ``"auto"``, ``"auto-ranking"``, or a name from :func:`cofactor.list_models`.
        seed: the random seed. The same seed gives the same result, bit for bit, at any number of threads.
        valid: validation rows, where ``ratings`` is not a Split.
        user_features: names of columns of the user table, or a frame with an id column.
        item_features: names of columns of the item table, or a frame with an id column.
        calibrate: learn intervals for a rating model without a posterior. The model is trained once more, on a random
            nine tenths of the rows. The residuals on the other tenth give the intervals and, without validation rows,
            the metric ``random_tenth_rmse``. This metric says nothing about future ratings; for those, evaluate on a
            split by time.
        budget_seconds: for ``auto``: seconds of *estimated* work on one ordinary core (60 unless given, more on tables
            that need it). The choice depends on the data, the seed and the budget, not on the load of the machine.
        budget: for ``auto``: the number of models to try, in place of seconds.
        checkpoint: a file that is written after every epoch.
        resume: continue from ``checkpoint``; the result equals that of an uninterrupted run.
        warm_from: an earlier Recommender of the same model. Models that train in sweeps start from its vectors.
        verbose: show the progress.
        config: fields of the model's config, such as ``n_factors``. For ``auto-ranking``: ``held_out``, the rows by
            which it chooses: ``"random"`` ones, each user's ``"last"``, or the ``"future"``. By default they are as the
            split held them out that made the table, else the future where there are times.

    Returns:
        The trained Recommender.

    Raises:
        ConfigError: an argument makes no sense, or training would not fit in memory.
        DataError: the table cannot be used.
    """
    check_threads()
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed is {seed!r}; it must be a whole number, 0 or more")
    if not isinstance(model, str):
        raise ConfigError(f"model is {model!r}; give a name, such as 'als' (cofactor.list_models() lists them)")
    for name, value in (("resume", resume), ("calibrate", calibrate), ("verbose", verbose)):
        check_bool(name, value)
    check_budget("budget_seconds", budget_seconds)
    if budget is not None:
        check_int("budget", budget)
    if valid is not None and not isinstance(valid, Interactions):
        raise ConfigError(
            f"valid is {valid!r}; give Interactions, or a Split (cofactor.split.random) in place of ratings"
        )
    if warm_from is not None and not isinstance(warm_from, Fitted):
        raise ConfigError(f"warm_from is a {type(warm_from).__name__}; give a Recommender (cofactor.load reads one)")
    if resume and checkpoint is None:
        raise ConfigError("resume needs a checkpoint; give checkpoint=FILE (--checkpoint FILE)")
    if checkpoint is not None:
        check_file(checkpoint, "the checkpoint", makes_folders=True)
    own = {f.name for f in fields(model_class(model).Config)} if model not in AUTO else set()
    if columns := _READING & config.keys() - own:
        name = min(columns)
        raise ConfigError(
            f"{name} is an option of read(): write fit(cofactor.read(ratings, {name}={config[name]!r}), ...)"
        )
    data = prepared(ratings, user_features, item_features)
    train, watched = (data.train, data.valid) if isinstance(data, Split) else (data, valid)
    if model == "auto" and (train.kind != "ratings" or train.range[0] == train.range[1]):
        model = "auto-ranking"
        if verbose:
            say(f"the values are {train.kind}, not ratings, so rankers are tried")
    choice = None
    if model in AUTO:
        from cofactor.selection.choose import choose

        if "held_out" in config and AUTO[model] == "rating":
            raise ConfigError("held_out is an option of auto-ranking; rating models are chosen by random rows")
        held_out = config.pop("held_out", train.held_out)
        if held_out is not None:
            train = train.replace(held_out=check_choice("held_out", held_out, "random", "last", "future"))
        choice = choose(
            train, task=AUTO[model], seed=seed, budget_seconds=budget_seconds, trials=budget, verbose=verbose
        )
        model, config = choice.model, {**choice.config, **config}
        if verbose:
            say(f"training {model}, which was chosen, on all {len(train):,} rows")
    fitted = fit_named(
        train,
        model,
        seed=seed,
        valid=watched,
        calibrate=calibrate,
        checkpoint=checkpoint,
        resume=resume,
        warm_from=warm_from,
        verbose=verbose,
        **config,
    )
    if choice is not None:
        fitted.metrics.update(choice.metrics)
        fitted.trials = choice.frame
    rec = Recommender.of(fitted)
    for hook in when_fitted:
        hook(rec)
    return rec
