"""A model's quality on held-out ratings, for the report: figures with intervals, and two calibration curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import ConfigError, DataError
from cofactor.evaluation import evaluate
from cofactor.evaluation.held_out import HeldOut, held_out_rows
from cofactor.model import Posterior
from cofactor.recommender import Recommender

Array = NDArray[Any]
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def quality(rec: Recommender, test: Any) -> dict[str, Any]:
    """Return the quality on held-out ratings ``test`` (Interactions, a Split, a path or a frame).

    ``figures``: rows of :func:`cofactor.evaluate`. ``plain``: the errors when the mean of the training ratings is
    always predicted. ``reliability``: (mean predicted, mean observed) by tenths of the predictions. ``coverage``:
    (level of the interval, share of ratings inside).
    """
    try:
        found = evaluate(rec, test).iter_rows(named=True)
    except DataError:  # no list can be measured on these rows; the verdict says why
        found = iter(())
    figures = [
        {key: row[key] for key in ("metric", "value", "low", "high", "note")}
        for row in found
        if row["value"] is not None and np.isfinite(row["value"])
    ]
    rows = held_out_rows(test, rec.data)
    out: dict[str, Any] = {"figures": figures, "rows": len(rows), "reliability": [], "coverage": []}
    if rec.model.task != "rating":
        return out
    out["plain"] = plain(rec.data.values, rows.values)
    predicted = rec.predict_codes(rows.users, rows.items, rows.times).astype(np.float64)
    out["reliability"] = reliability(predicted, rows.values)
    if isinstance(rec.model, Posterior) or rec.intervals is not None:
        out["coverage"] = [[level, _covered(rec, rows, level)] for level in LEVELS]
    return out


def plain(train: Array, observed: Array) -> dict[str, float]:
    """Return the errors when the mean of the training ratings is always predicted."""
    off = observed.astype(np.float64) - train.mean(dtype=np.float64)
    mse = float(np.mean(off**2))
    return {"rmse": mse**0.5, "mse": mse, "mae": float(np.abs(off).mean())}


def reliability(predicted: Array, observed: Array, bins: int = 10) -> list[list[float]]:
    """Return the mean predicted and mean observed value in each of ``bins`` equal parts of the sorted predictions."""
    if len(predicted) < bins:
        raise ConfigError(f"{len(predicted)} held-out ratings are too few; give at least {bins}")
    order = np.argsort(predicted, kind="stable")
    return [
        [float(predicted[part].mean()), float(observed[part].mean(dtype=np.float64))]
        for part in np.array_split(order, bins)
    ]


def _covered(rec: Recommender, test: HeldOut, level: float) -> float:
    _, low, high = rec.predict_interval(test.users, test.items, level, test.times)
    return float(np.mean((test.values >= low) & (test.values <= high)))
