"""Calibrate intervals for models without a posterior, from residuals on held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from cofactor.models import model_class
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.intervals import residual_quantiles
from cofactor.train.fit_model import fit_model
from cofactor.train.losses import rmse


def calibrate_intervals(fitted: Fitted, config: Any) -> None:
    """Set ``intervals`` from residuals on a random tenth of the rows, and ``random_tenth_rmse`` if there is no valid
    part.

    The residuals are those of a model with this ``config``, trained on the other nine tenths. Rows count by their
    weights, as in training and in ``evaluate``.
    """
    train = fitted.data
    order = np.random.default_rng([fitted.seed, 2]).permutation(len(train))
    cut = len(train) // 10
    held_out = train.take(np.sort(order[:cut]))
    rest = train.take(np.sort(order[cut:]))
    model = model_class(fitted.name)(config)
    inner = fit_model(rest, model, seed=fitted.seed).model
    predicted = inner.predict(held_out.users, held_out.items, held_out.times)
    if "valid_rmse" not in fitted.metrics:
        fitted.metrics["random_tenth_rmse"] = rmse(predicted, held_out.values, held_out.weights)
    fitted.intervals = residual_quantiles(predicted, held_out.values, limits=train.range, weights=held_out.weights)
