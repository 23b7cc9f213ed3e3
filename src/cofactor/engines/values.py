"""Statistics of the values of all rows that models need, computed in passes over the blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.engines.blocks import jobs, rows_of
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import Done, Work, put, take
from cofactor.models.base.strength import best_floor

Array = NDArray[Any]


def item_counts(work: Work, data: Prepared) -> Array:
    """Return the number of rows of each item, int64 (n_items,)."""
    work.step("counts", _count_task, [{"folder": data.folder, "blocks": len(data.blocks("item"))}])
    return np.array(take(data.folder, "item-counts"))


def _count_task(job: dict[str, Any]) -> Done:
    counts = [np.diff(take(job["folder"], f"item-{at}-indptr")) for at in range(job["blocks"])]
    return Done(None, [put(job["folder"], "item-counts", np.concatenate(counts))])


def strength(work: Work, data: Prepared) -> Array:
    """Return the result of :func:`cofactor.models.base.strength.strength_of`, without the whole table in memory."""
    files = work.step("values", _distinct_task, jobs(data, "user"))
    job = {"folder": data.folder, "blocks": len(files), "kind": data.kind, "cuts": data.cuts, "limits": data.limits}
    return np.array(work.step("strength", _strength_task, [job])[0], dtype=np.float32)


def _distinct_task(job: dict[str, Any]) -> Done:
    values, counts = np.unique(take(job["folder"], f"user-{job['block']}-values"), return_counts=True)
    folder, block = job["folder"], job["block"]
    return Done(None, [put(folder, f"distinct-{block}", values), put(folder, f"distinct-{block}-counts", counts)])


def _strength_task(job: dict[str, Any]) -> Done:
    if job["kind"] != "ratings" and job["limits"][0] == job["limits"][1]:
        return Done(np.ones(3, dtype=np.float32), [])
    values = np.concatenate([take(job["folder"], f"distinct-{at}") for at in range(job["blocks"])])
    counts = np.concatenate([take(job["folder"], f"distinct-{at}-counts") for at in range(job["blocks"])])
    order = np.argsort(values, kind="stable")
    values, ends = values[order], np.cumsum(counts[order])
    if job["kind"] == "ratings":
        return Done(percentiles(values, ends, (1, 99)).astype(np.float32), [])
    median, high = percentiles(values, ends, (50, 99)).tolist()
    rows = UserRows(job["folder"], job["cuts"]["user"])
    floor = best_floor(rows, job["cuts"]["item"][-1], median, high)
    return Done(np.array([median, high, floor], dtype=np.float32), [])


class UserRows:
    """The rows of users, taken from the blocks when needed."""

    def __init__(self, folder: str, cuts: list[int]) -> None:
        self.folder, self.cuts = folder, cuts
        parts = [np.diff(take(folder, f"user-{at}-indptr")) for at in range(len(cuts) - 1)]
        self.counts = np.concatenate(parts)

    def take(self, users: Array) -> CSR:
        """Return the rows of some users, whose codes ascend."""
        indices, values = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.float32)]
        for block, (lo, hi) in enumerate(pairwise(self.cuts)):
            mine = users[(users >= lo) & (users < hi)] - lo
            if len(mine):
                rows, need = rows_of(self.folder, "user", block)
                found = rows.take(mine)
                indices.append(need[found.indices])
                values.append(found.values)
        indptr = np.concatenate([[0], np.cumsum(self.counts[users])]).astype(np.int64)
        return CSR(indptr, np.concatenate(indices), np.concatenate(values), np.empty(0, dtype=np.int64), 0)


def percentiles(values: Array, ends: Array, wanted: tuple[float, ...]) -> Array:
    """Return ``np.percentile`` (float64) of a sample that is given as ascending values and their cumulative counts."""
    n = int(ends[-1])
    found = []
    for percent in wanted:
        at = (n - 1) * (percent / 100)
        share = at - int(at)
        low, high = values[np.searchsorted(ends, [int(at), min(int(at) + 1, n - 1)], side="right")]
        step = float(high - low)  # np.percentile interpolates from the nearer value
        found.append(float(low) + step * share if share < 0.5 else float(high) - step * (1 - share))
    return np.asarray(found, dtype=np.float64)
