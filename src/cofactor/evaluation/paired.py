"""Test whether one trained model is better than another: their difference on the same draws of the same users."""

from __future__ import annotations

from typing import Any, NamedTuple

from cofactor.evaluation import bootstrap
from cofactor.evaluation.held_out import held_out_rows
from cofactor.evaluation.measure import measure
from cofactor.evaluation.metric_names import parse
from cofactor.evaluation.protocol import EvaluationProtocol
from cofactor.evaluation.scorer import scorer


class Difference(NamedTuple):
    """The difference of two models: ``first`` and ``second`` are their values, ``difference`` is first minus second,
    with bounds."""

    first: float
    second: float
    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the bounds exclude 0."""
        return self.low > 0 or self.high < 0


def paired_difference(
    first: Any,
    second: Any,
    test: Any,
    metric: str,
    *,
    relevant: float | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Return the difference of two trained models in one metric, with bounds by a paired bootstrap over the test users.

    Both are measured on the same rows and drawn with the same users, so common variation cancels: two models may differ
    clearly even if their intervals overlap. Raises ConfigError for a metric that one of them does not support.
    """
    (wanted,) = parse([metric], (10,))
    choices, cells = EvaluationProtocol(relevant=relevant), []
    for trained in (first, second):
        by = scorer(trained, None)
        cells.append(measure(by, held_out_rows(test, by.train), [wanted], choices).cells[wanted])
    drawn = bootstrap.resample(cells, draws, seed)
    low, high = bootstrap.interval(drawn[:, 0] - drawn[:, 1], confidence)
    a, b = cells[0].point(), cells[1].point()
    return Difference(a, b, a - b, low, high)
