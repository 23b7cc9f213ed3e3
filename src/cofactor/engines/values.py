"""Figures of the values of all rows that models ask for, found in passes over the blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.engines.blocks import jobs
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import Done, Work, put, take

Array = NDArray[Any]


def item_counts(work: Work, data: Prepared) -> Array:
    """int64 (n_items,): rows of each item."""
    work.step("counts", _count_task, [{"folder": data.folder, "blocks": len(data.blocks("item"))}])
    return np.array(take(data.folder, "item-counts"))


def _count_task(job: dict[str, Any]) -> Done:
    counts = [np.diff(take(job["folder"], f"item-{at}-indptr")) for at in range(job["blocks"])]
    return Done(None, [put(job["folder"], "item-counts", np.concatenate(counts))])


def rating_limits(work: Work, data: Prepared) -> Array:
    """float32 (2,): what :func:`cofactor.models.base.strength.strength_of` gives, from counts of distinct values."""
    files = work.step("values", _distinct_task, jobs(data, "user"))
    job = {"folder": data.folder, "blocks": len(files)}
    return np.array(work.step("values-all", _percentiles_task, [job])[0], dtype=np.float32)


def _distinct_task(job: dict[str, Any]) -> Done:
    values, counts = np.unique(take(job["folder"], f"user-{job['block']}-values"), return_counts=True)
    folder, block = job["folder"], job["block"]
    return Done(None, [put(folder, f"distinct-{block}", values), put(folder, f"distinct-{block}-counts", counts)])


def _percentiles_task(job: dict[str, Any]) -> Done:
    """The 1st and 99th percentile, as NumPy has them: linear between the two nearest."""
    values = np.concatenate([take(job["folder"], f"distinct-{at}") for at in range(job["blocks"])])
    counts = np.concatenate([take(job["folder"], f"distinct-{at}-counts") for at in range(job["blocks"])])
    order = np.argsort(values, kind="stable")
    values, ends = values[order], np.cumsum(counts[order])
    return Done(percentiles(values, ends, (1, 99)), [])


def percentiles(values: Array, ends: Array, wanted: tuple[float, ...]) -> Array:
    """``np.percentile`` of a sample that is given as ascending values and, for each, how many are at or below it."""
    n = int(ends[-1])
    found = []
    for percent in wanted:
        at = (n - 1) * (percent / 100)
        share = at - int(at)
        low, high = values[np.searchsorted(ends, [int(at), min(int(at) + 1, n - 1)], side="right")]
        step = float(high - low)  # as np.percentile goes between two values: from the nearer one
        found.append(float(low) + step * share if share < 0.5 else float(high) - step * (1 - share))
    return np.asarray(found, dtype=np.float32)
