"""Data drift: population stability indices (PSI) of the latest events against the training data, with alarms.

PSI is the sum over bins of ``(p - q) ln(p / q)``. By convention a value above 0.1 is a shift, above 0.25 a large one
(Siddiqi 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.recommender import Recommender
from cofactor.serve.storage.rows import Event

Array = NDArray[Any]
LATEST = 2000
"""Number of latest events that are compared."""
LEAST = 200
"""Least number of events for an alarm."""
LARGE = 0.25
MANY_UNKNOWN = 0.2
_BINS = 10
_SAMPLE = 100_000


class Drift(NamedTuple):
    """The drift of ``events`` events: ``items`` and ``ratings``, the PSI of the popularity of items and of the ratings;
    ``unknown``, the share of events with items that the model does not know; ``alarms``, sentences."""

    items: float
    ratings: float
    unknown: float
    events: int
    alarms: list[str]


def drift(rec: Recommender, events: Sequence[Event]) -> Drift:
    """Return the drift of the latest events from a model's training data."""
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
            alarms.append(f"the items of {last} differ from those of the training data (PSI {items:.2f}); refit")
        if ratings > LARGE:
            what = "ratings" if rec.data.kind == "ratings" else "values"
            alarms.append(f"the {what} of {last} differ from those of the training data (PSI {ratings:.2f}); refit")
        if unknown > MANY_UNKNOWN:
            alarms.append(f"{unknown:.0%} of {last} are about items that the model does not know; refit")
    return Drift(items, ratings, unknown, len(events), alarms)


def _reference(rec: Recommender) -> tuple[Array, Array, Array, Array]:
    """Return (the bin of each item by popularity, the number of ratings in each of these bins, the edges of the bins of
    rating values, the number of ratings in each of those)."""
    counts = rec.data.item_counts
    order = np.argsort(-counts, kind="stable")
    mass = np.cumsum(counts[order]) / max(int(counts.sum()), 1)
    decile = np.empty(len(counts), dtype=np.int64)
    decile[order] = np.minimum((mass - 1e-9) * _BINS, _BINS - 1).astype(np.int64)
    some = rec.data.values[:: max(1, len(rec.data) // _SAMPLE)]
    edges = np.unique(np.quantile(some, np.linspace(0, 1, _BINS + 1)[1:-1]))
    trained = np.bincount(np.searchsorted(edges, some), minlength=len(edges) + 1)
    return decile, np.bincount(decile, weights=counts, minlength=_BINS), edges, trained


def psi(expected: Array, found: Array) -> float:
    """Return the population stability index of two histograms, with half an observation added to each bin."""
    p = (expected + 0.5) / (expected.sum() + 0.5 * len(expected))
    q = (found + 0.5) / (found.sum() + 0.5 * len(found))
    return float(((q - p) * np.log(q / p)).sum()) if found.sum() else 0.0
