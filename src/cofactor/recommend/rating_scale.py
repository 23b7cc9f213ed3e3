"""The scale of the ratings: the value of an item that was liked without a rating, and the limits of valid ratings."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.data.kind import Kind
from cofactor.errors import DataError
from cofactor.model import Task

LEVELS = 24
"""Most distinct values of a scale of grades; a column with more holds, for example, values of a slider."""
SAMPLE = 100_000


class Scale(NamedTuple):
    """The scale of the training ratings.

    ``low`` and ``high`` are its ends. ``liked`` is the value of an item that was liked without a rating: the upper
    quartile (of counts, the median). ``slack`` is how far outside the ends a rating may lie; it is infinite where
    values are weights or counts. ``kind`` is the kind of the values.
    """

    low: float
    high: float
    liked: float
    slack: float
    kind: Kind = "ratings"

    @property
    def explicit(self) -> bool:
        """Whether the values are ratings, rather than choices or counts of choices."""
        return self.kind == "ratings" and self.low < self.high

    @property
    def unstated(self) -> float:
        """The value of an event that has none: 1 of counts and events, since it happened once; otherwise ``liked``."""
        return self.liked if self.kind == "ratings" else 1.0


def scale_of(data: Interactions, task: Task) -> Scale:
    """Return the scale of the training ratings."""
    low, high = data.range
    values = data.values[:: max(1, len(data) // SAMPLE)]
    if data.kind != "ratings":
        return Scale(low, high, float(np.quantile(values, 0.5, method="higher")), float("inf"), data.kind)
    liked = float(np.quantile(values, 0.75, method="higher"))
    if low < high and len(np.unique(values)) <= LEVELS:
        return Scale(low, high, liked, 0.0)
    return Scale(low, high, liked, (high - low) / 2 if task == "rating" and low < high else float("inf"))


def on_scale(scale: Scale, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the ratings that lie on the scale or within its slack."""
    found: NDArray[np.bool_] = (values >= scale.low - scale.slack) & (values <= scale.high + scale.slack)
    return found


def check_on_scale(scale: Scale, item: Any, value: float) -> None:
    """Raise DataError for a rating that is off the scale of the training ratings."""
    if not scale.low - scale.slack <= value <= scale.high + scale.slack:  # on_scale for one number
        raise DataError(
            f"the rating of {item!r} is {value:g}; the ratings here range from {scale.low:g} to {scale.high:g}"
        )
