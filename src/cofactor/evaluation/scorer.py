"""The view of a model that evaluation needs, whatever the model is wrapped in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.data.items_only import ItemsOnly, refuse
from cofactor.errors import ConfigError
from cofactor.model import Interval, Posterior, Task
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.predict import predict_codes, predict_interval

Array = NDArray[Any]


Rank = Callable[[Array, CSR, int, bool, Any], tuple[Array, Array]]


@dataclass(frozen=True)
class Scorer:
    """A trained model and the rows it was trained on."""

    name: str
    task: Task
    train: Interactions
    predict: Callable[[Array, Array, Array | None], Array]
    """(users, items, times) -> float32 (n,); code -1 is an unknown id."""
    scores: Callable[[Array], Array]
    """users -> float32 (len(users), n_items)."""
    interval: Callable[[Array, Array, float, Array | None], Interval] | None
    """(users, items, level, times) -> mean, low, high; None if the model has no intervals."""
    rank: Rank | None = None
    """A function that makes lists elsewhere, if any; see :func:`cofactor.evaluation.measure.rank_users`."""


@runtime_checkable
class Scores(Protocol):
    """The methods that evaluation needs of a bare model: predictions of pairs, and scores of all items."""

    name: str
    task: Any

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array: ...

    def scores(self, users: Array) -> Array: ...


@runtime_checkable
class Bounds(Protocol):
    """The method that evaluation needs to measure the intervals of a bare model."""

    def predict_interval(self, users: Array, items: Array, level: float, times: Array | None = None) -> Interval: ...


def scorer(trained: Any, train: Interactions | None = None, name: str | None = None) -> Scorer:
    """Return a Scorer of a Recommender (it knows its training rows), or of a bare model and ``train``."""
    if isinstance(trained, Scorer):
        return trained
    model = getattr(trained, "model", trained)
    if not isinstance(model, Scores):
        raise ConfigError(
            f"{type(trained).__name__} is not a model that can be evaluated; give a Recommender or a Model"
        )
    if train is not None and not isinstance(train, Interactions):
        raise ConfigError(
            f"train is a {type(train).__name__}; give Interactions (cofactor.read makes them, split.train holds them)"
        )
    data = train if train is not None else getattr(trained, "data", None)
    if data is None:
        raise ConfigError("a bare model does not know its training rows; give them as train=, or give a Recommender")
    if isinstance(data, ItemsOnly):
        refuse()
    interval: Callable[[Array, Array, float, Array | None], Interval] | None = None
    predict = model.predict
    if isinstance(trained, Fitted):
        predict = functools.partial(predict_codes, trained)
        if model.task == "rating" and (isinstance(model, Posterior) or trained.intervals):
            interval = functools.partial(predict_interval, trained)
    elif model.task == "rating" and isinstance(model, Bounds):
        interval = model.predict_interval
    return Scorer(name or model.name, model.task, data, predict, model.scores, interval)


def predict_blocks(by: Scorer, users: Array, items: Array, times: Array | None, block: int = 1 << 20) -> Array:
    """Return float32 predictions, computed a block of rows at a time."""
    out = np.empty(len(users), dtype=np.float32)
    for lo in range(0, len(users), block):
        rows = slice(lo, lo + block)
        out[rows] = by.predict(users[rows], items[rows], None if times is None else times[rows])
    return out


def interval_blocks(
    by: Scorer, users: Array, items: Array, times: Array | None, level: float, block: int = 1 << 18
) -> Interval:
    """Return intervals at one level, computed a block of rows at a time."""
    if by.interval is None:
        raise ConfigError(f"{by.name} has no intervals")
    out = np.empty((3, len(users)), dtype=np.float32)
    for lo in range(0, len(users), block):
        rows = slice(lo, lo + block)
        part = by.interval(users[rows], items[rows], level, None if times is None else times[rows])
        out[0, rows], out[1, rows], out[2, rows] = part
    return Interval(*out)
