"""Losses of predictions, as plain functions of arrays; each is a mean over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import ConfigError

Array = NDArray[Any]


def mse(predicted: Array, true: Array) -> float:
    """Mean squared error."""
    return float(np.mean((predicted.astype(np.float64) - true) ** 2))


def mae(predicted: Array, true: Array) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(predicted.astype(np.float64) - true)))


def huber(predicted: Array, true: Array, delta: float = 1.0) -> float:
    """Huber (1964): squared within ``delta``, linear beyond."""
    error = np.abs(predicted.astype(np.float64) - true)
    return float(np.mean(np.where(error <= delta, 0.5 * error**2, delta * (error - 0.5 * delta))))


def bce(predicted: Array, true: Array) -> float:
    """Binary cross-entropy of probabilities (true values 0 or 1)."""
    p = np.clip(predicted.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(true * np.log(p) + (1 - true) * np.log1p(-p)))


LOSSES: dict[str, Callable[[Array, Array], float]] = {"mse": mse, "mae": mae, "huber": huber, "bce": bce}


def loss_function(name: str) -> Callable[[Array, Array], float]:
    """The loss of that name."""
    try:
        return LOSSES[name]
    except KeyError:
        raise ConfigError(f"no loss {name!r}; there are: {', '.join(LOSSES)}") from None
