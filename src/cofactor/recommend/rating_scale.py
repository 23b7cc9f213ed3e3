"""The scale of the ratings: what "liked" comes to where no rating is given, and which ratings cannot be meant."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.data.kind import Kind
from cofactor.errors import DataError
from cofactor.model import Task

LEVELS = 24
"""A column with more values than these is not a scale of stars: counts, say, or a slider."""
SAMPLE = 100_000


class Scale(NamedTuple):
    """``low`` and ``high`` of the training ratings; ``liked``: their upper quartile, which stands for an item that was
    liked without a rating (of counts the median); ``slack``: how far outside a rating may be (infinite where values are
    weights or counts); ``kind``: what the values are."""

    low: float
    high: float
    liked: float
    slack: float
    kind: Kind = "ratings"

    @property
    def explicit(self) -> bool:
        """Whether there are ratings: else people chose things, once or several times."""
        return self.kind == "ratings" and self.low < self.high


def scale_of(data: Interactions, task: Task) -> Scale:
    """The scale of the training ratings."""
    low, high = data.range
    values = data.values[:: max(1, len(data) // SAMPLE)]
    if data.kind != "ratings":
        return Scale(low, high, float(np.quantile(values, 0.5, method="higher")), float("inf"), data.kind)
    liked = float(np.quantile(values, 0.75, method="higher"))
    if low < high and len(np.unique(values)) <= LEVELS:
        return Scale(low, high, liked, 0.0)
    return Scale(low, high, liked, (high - low) / 2 if task == "rating" and low < high else float("inf"))


def on_scale(scale: Scale, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which ratings lie on the scale, or within its slack."""
    found: NDArray[np.bool_] = (values >= scale.low - scale.slack) & (values <= scale.high + scale.slack)
    return found


def check_on_scale(scale: Scale, item: Any, value: float) -> None:
    """DataError for a rating that is off the scale of the training ratings."""
    if not scale.low - scale.slack <= value <= scale.high + scale.slack:  # as on_scale, without arrays for one number
        raise DataError(
            f"the rating of {item!r} is {value:g}; the ratings here go from {scale.low:g} to {scale.high:g}"
        )
