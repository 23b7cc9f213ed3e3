"""Losses of predictions, as plain functions of arrays. Each is a mean over rows, weighted if weights are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import ConfigError

Array = NDArray[Any]


def mean(values: Array, weights: Array | None = None) -> float:
    """Return the mean of float64 values, weighted if weights are given."""
    return float(np.mean(values) if weights is None else np.average(values, weights=weights))


def mse(predicted: Array, true: Array, weights: Array | None = None) -> float:
    """Return the mean squared error."""
    return mean((predicted.astype(np.float64) - true) ** 2, weights)


def rmse(predicted: Array, true: Array, weights: Array | None = None) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(mse(predicted, true, weights)))


def mae(predicted: Array, true: Array, weights: Array | None = None) -> float:
    """Return the mean absolute error."""
    return mean(np.abs(predicted.astype(np.float64) - true), weights)


def huber(predicted: Array, true: Array, weights: Array | None = None, delta: float = 1.0) -> float:
    """Return the Huber loss (1964): squared within ``delta``, linear beyond."""
    error = np.abs(predicted.astype(np.float64) - true)
    return mean(np.where(error <= delta, 0.5 * error**2, delta * (error - 0.5 * delta)), weights)


def bce(predicted: Array, true: Array, weights: Array | None = None) -> float:
    """Return the binary cross-entropy of probabilities (true values 0 or 1)."""
    p = np.clip(predicted.astype(np.float64), 1e-7, 1 - 1e-7)
    return -mean(true * np.log(p) + (1 - true) * np.log1p(-p), weights)


Loss = Callable[[Array, Array, Array | None], float]
"""A function of predictions, true values, and row weights (None: all equal)."""
LOSSES: dict[str, Loss] = {"mse": mse, "mae": mae, "huber": huber, "bce": bce}


def loss_function(name: str) -> Loss:
    """Return the loss of that name."""
    try:
        return LOSSES[name]
    except KeyError:
        raise ConfigError(f"no loss {name!r}; there are: {', '.join(LOSSES)}") from None
