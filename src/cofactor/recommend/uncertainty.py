"""Scores with uncertainty: lower confidence bounds (LCB, safe choices), upper ones (UCB) or posterior draws (Thompson
sampling) for exploration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import ConfigError
from cofactor.model import Interval, Posterior
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import ListOptions
from cofactor.recommend.predict import predict_interval, residual_bounds
from cofactor.recommend.profiles import UserProfile

Array = NDArray[Any]


def confidence_bound_scores(rec: Fitted, who: UserProfile, scores: Array, options: ListOptions) -> Array:
    """Return the scores to rank by, float32 (n_items,), with ``sure`` (a lower bound) or ``explore`` (an upper bound or
    a draw).

    A bound is the score minus or plus the larger half of the interval. Bounds clipped to the scale would be tied at its
    ends.
    """
    if who.code < 0 and who.state is None and who.shift is None:
        return scores  # an unknown user: the scores are popularity, without uncertainty
    if options["explore"] == "draw":
        return drawn(rec, who, options["seed"])
    level = options["sure"] if options["sure"] is not None else float(options["explore"] or 0)
    found = interval_of(rec, who, scores, level)
    half = np.maximum(found.mean - found.low, found.high - found.mean)
    bound: Array = scores - half if options["sure"] is not None else scores + half
    return bound.astype(np.float32)


def interval_of(rec: Fitted, who: UserProfile, scores: Array, level: float) -> Interval:
    """Return the interval of each item: three arrays (n_items,)."""
    every = np.arange(rec.data.n_items, dtype=np.int32)
    if who.state is None and (who.shift is None or isinstance(rec.model, Posterior)):
        found = predict_interval(rec, np.full(len(every), who.code, dtype=np.int32), every, level, None)
        return found if who.shift is None else shifted(rec, found, scores - found.mean)
    if who.state is not None and isinstance(rec.model, Posterior):
        found = Interval(*(a[0] for a in rec.model.interval_from(who.state, level)))
        return found if who.shift is None else shifted(rec, found, who.shift)
    return residual_bounds(rec, np.clip(scores, *rec.data.range), level)


def drawn(rec: Fitted, who: UserProfile, seed: int) -> Array:
    """Return the scores of one posterior draw, float32 (n_items,) (Thompson 1933)."""
    model = rec.model
    if not isinstance(model, Posterior):
        raise ConfigError(
            f"explore='draw' needs a posterior, and {rec.name} has none; give a level, such as explore=0.9, or use"
            " bayes-mf"
        )
    state = model.user_state(np.array([who.code], dtype=np.int32)) if who.state is None else who.state
    scores = np.array(model.draw_from(state, np.random.default_rng([seed, 5]))[0], dtype=np.float32)
    return scores if who.shift is None else scores + who.shift


def shifted(rec: Fitted, found: Interval, shift: Array) -> Interval:
    """Return bounds shifted by the effect of features. A bound clipped to an end of the scale stays there, since its
    unclipped value is not known."""
    (bottom, top), (mean, low, high) = rec.data.range, (rec.on_scale(a + shift) for a in found)
    return Interval(
        mean,
        np.where(found.low <= bottom, np.float32(bottom), low),
        np.where(found.high >= top, np.float32(top), high),
    )
