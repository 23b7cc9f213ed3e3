"""Whether the latest events still look like the training data: population stability indices, and an alarm.

PSI: the sum over bins of ``(p - q) ln(p / q)``; by custom above 0.1 is a shift, above 0.25 a large one (Siddiqi 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.recommender import Recommender
from cofactor.serve.rows import Event

Array = NDArray[Any]
LATEST = 2000
"""Events that are looked at, the latest ones."""
LEAST = 200
"""Fewer say nothing."""
LARGE = 0.25
MANY_UNKNOWN = 0.2
_BINS = 10
_SAMPLE = 100_000


class Drift(NamedTuple):
    """PSI of the popularity of items and of the ratings; the share of events with items that the model does not know;
    of so many events. ``alarms`` in sentences."""

    items: float
    ratings: float
    unknown: float
    events: int
    alarms: list[str]


def drift(rec: Recommender, events: Sequence[Event]) -> Drift:
    """How far the latest events are from what a model learned from."""
    events = events[-LATEST:]
    codes = np.array([rec.items.find(e.item) for e in events], dtype=np.int64)
    unknown = float(np.mean(codes < 0)) if len(codes) else 0.0
    values = np.array([e.rating for e in events], dtype=np.float32)
    decile, expected, edges, trained = rec.remember("drift", lambda: _reference(rec))
    items = psi(expected, np.bincount(decile[codes[codes >= 0]], minlength=_BINS))
    ratings = psi(trained, np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1))
    alarms = []
    if len(events) >= LEAST:
        last = f"the last {len(events):,} events"
        if items > LARGE:
            alarms.append(f"{last} are about other items than the training data (PSI {items:.2f}); refit")
        if ratings > LARGE:
            alarms.append(f"the ratings of {last} are other ones than in the training data (PSI {ratings:.2f}); refit")
        if unknown > MANY_UNKNOWN:
            alarms.append(f"the model does not know the items of {unknown:.0%} of {last}; refit")
    return Drift(items, ratings, unknown, len(events), alarms)


def _reference(rec: Recommender) -> tuple[Array, Array, Array, Array]:
    """(the bin of each item, by popularity; the ratings in each of these bins; the edges of bins of ratings, and how
    many ratings are in each)."""
    counts = rec.data.by_item.counts
    order = np.argsort(-counts, kind="stable")
    mass = np.cumsum(counts[order]) / max(int(counts.sum()), 1)
    decile = np.empty(len(counts), dtype=np.int64)
    decile[order] = np.minimum((mass - 1e-9) * _BINS, _BINS - 1).astype(np.int64)
    some = rec.data.values[:: max(1, len(rec.data) // _SAMPLE)]
    edges = np.unique(np.quantile(some, np.linspace(0, 1, _BINS + 1)[1:-1]))
    trained = np.bincount(np.searchsorted(edges, some), minlength=len(edges) + 1)
    return decile, np.bincount(decile, weights=counts, minlength=_BINS), edges, trained


def psi(expected: Array, found: Array) -> float:
    """The population stability index of two histograms, with half an observation added to each bin."""
    p = (expected + 0.5) / (expected.sum() + 0.5 * len(expected))
    q = (found + 0.5) / (found.sum() + 0.5 * len(found))
    return float(((q - p) * np.log(q / p)).sum()) if found.sum() else 0.0
