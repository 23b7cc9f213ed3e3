"""Intervals for models without a posterior: split conformal prediction from held-out residuals.

Vovk, Gammerman & Shafer 2005; Lei et al. 2018. Residuals are sorted into bins by the prediction (Mondrian
conformal), since a prediction near an end of the scale leaves less room for errors than one in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import BundleError, ConfigError, DataError
from cofactor.model import Interval

Array = NDArray[Any]
_STEPS = 400
_BIN = 200


def residual_quantiles(
    predicted: Array,
    truth: Array,
    bins: int = 8,
    limits: tuple[float, float] | None = None,
    weights: Array | None = None,
) -> dict[str, Array]:
    """Return the arrays for :func:`residual_interval`, from predictions of held-out ratings and the ratings themselves.

    float32 arrays: ``edges`` (b - 1,) between bins of the prediction; ``residuals`` (b, 401), their quantiles at 0,
    1/400, ... 1; ``range`` (2,) of the true ratings (or ``limits``). There are at most ``bins`` bins, each of about 200
    residuals or more. The rows must not have been used in training. ``weights`` (n,), above 0, weigh the rows; the
    coverage then holds for a row of the mean weight (Tibshirani et al. 2019). DataError where there are no ratings.
    """
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if len(truth) == 0 or len(truth) != len(predicted):
        raise DataError(
            f"intervals need held-out ratings with a prediction for each; there are {len(truth)} ratings and"
            f" {len(predicted)} predictions"
        )
    span = np.array(limits or (truth.min(), truth.max()), dtype=np.float32)
    wanted = max(1, min(bins, len(truth) // _BIN))
    edges = np.unique(np.quantile(predicted, np.arange(1, wanted) / wanted)).astype(np.float32)
    place = np.searchsorted(edges, predicted.astype(np.float32), side="right")
    table, off = [], truth - predicted
    each = np.ones(len(off)) if weights is None else np.asarray(weights, dtype=np.float64)
    for b in range(len(edges) + 1):
        mine = np.flatnonzero(place == b)
        # Where equal predictions leave too few residuals in a bin, use those of all bins.
        at = mine if len(mine) >= min(_BIN // 2, len(truth)) else np.arange(len(off))
        table.append(_quantiles(off[at], each[at], float(span[1] - span[0])))
    return {"edges": edges, "residuals": np.array(table, dtype=np.float32), "range": span}


def _quantiles(residuals: Array, weights: Array, widest: float) -> Array:
    # With n residuals of equal weight, rank ceil((n + 1) p) for upper quantiles and floor for lower ones gives the
    # coverage for finite n (Lei et al. 2018). Where that rank does not exist there are too few residuals, and the bound
    # is the whole range. Weights are summed from the nearer end, in units of their mean.
    n, order = len(residuals), np.argsort(residuals, kind="stable")
    reach = max(widest, float(np.abs(residuals).max()))
    ordered, p = np.concatenate([[-reach], residuals[order], [reach]]), np.arange(_STEPS + 1) / _STEPS
    each = weights[order] / weights.mean()
    upper = np.searchsorted(np.cumsum(each), (n + 1) * p - 1e-9) + 1
    lower = n - np.searchsorted(np.cumsum(each[::-1]), (n + 1) * (1 - p) - 1e-9)
    found: Array = ordered[np.where(p < 0.5, lower, upper)]
    return found


def residual_interval(quantiles: Mapping[str, Array], predicted: Array, level: float = 0.9) -> Interval:
    """Return predictions with bounds that contained ``level`` of the held-out ratings.

    Bounds are clipped to the range of the ratings, widened to the prediction. ``quantiles`` come from
    :func:`residual_quantiles`; ``predicted`` is float32 (n,). ConfigError for a level that is not between 0 and 1,
    BundleError where the arrays do not fit together.
    """
    if not 0 < level < 1:
        raise ConfigError(f"the level is {level}; it must be between 0 and 1, such as 0.9")
    edges, table, span = _checked(quantiles)
    mean = np.asarray(predicted, dtype=np.float32)
    place = np.searchsorted(edges, mean, side="right")
    tail = (1 - level) / 2 * _STEPS
    at = np.arange(_STEPS + 1)
    bounds = np.array([[np.interp(t, at, row) for t in (tail, _STEPS - tail)] for row in table], dtype=np.float32)
    low, high = mean + bounds[place, 0], mean + bounds[place, 1]
    least, most = np.minimum(span[0], mean), np.maximum(span[1], mean)  # a y_range may be wider than the scale
    low, high = (np.clip(bound, least, most).astype(np.float32) for bound in (low, high))
    return Interval(mean, low, high)


def _checked(quantiles: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    missing = [name for name in ("edges", "residuals", "range") if name not in quantiles]
    if missing:
        raise BundleError(f"the quantiles of held-out residuals lack {', '.join(missing)}")
    edges, table, span = (np.asarray(quantiles[name]) for name in ("edges", "residuals", "range"))
    if edges.ndim != 1 or table.shape != (len(edges) + 1, _STEPS + 1) or span.shape != (2,):
        raise BundleError("the quantiles of held-out residuals have shapes that do not fit together")
    if not all(np.isfinite(a).all() for a in (edges, table, span)) or (np.diff(edges) < 0).any():
        raise BundleError("the quantiles of held-out residuals are not finite and ascending")
    return edges, table, span
