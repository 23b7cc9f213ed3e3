"""Train ``item-cosine`` in blocks: each block of items meets the rows of all users, a block of users at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.engines.blocks import first_chunk, gather, history, items_of, jobs, rows_of, summed, whole
from cofactor.engines.prepare import Prepared
from cofactor.engines.values import item_counts, strength
from cofactor.engines.work import Done, Work, put, take
from cofactor.kernels.similarity import add_dots, keep_nearest
from cofactor.kernels.sums import leaves_of, nodes_of
from cofactor.models.base.age import popularity_of
from cofactor.models.base.local_ridge import NO_ROWS
from cofactor.models.base.strength import like_strengths
from cofactor.models.item_cosine import ItemCosine, ItemCosineConfig, entry_weights, item_norms, item_sums, user_idf

Array = NDArray[Any]

TILE = 64 << 20
"""Memory for products with all items in a job, in bytes."""


def train(
    work: Work, data: Prepared, config: ItemCosineConfig, seed: int
) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state. There are no losses."""
    limits, counts = strength(work, data), item_counts(work, data)
    shared = {"limits": limits, "config": config, "n_items": data.size("item")}
    work.step("cosine-a-users", count_task, jobs(data, "user", **shared))
    sums = work.step("cosine-b-items", sum_task, jobs(data, "item", **shared))
    shared["mean"] = float(summed(sums, "sum")) / max(data.size("item"), 1)
    work.step("cosine-c-items", weigh_task, jobs(data, "item", **shared))
    work.step("cosine-d-users", weigh_task, jobs(data, "user", **shared))
    near = work.step("cosine-e", nearest_task, jobs(data, "item", **shared))
    kept = whole(data, "item", "near-count")
    assert sum(near) == int(kept.sum())
    indptr = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    found = CSR(indptr, whole(data, "item", "near"), whole(data, "item", "near-weight"), NO_ROWS, data.size("item"))
    return ItemCosine.assembled(config, found, history(data), popularity_of(counts), limits), [[float("nan")] * 2]


def count_task(job: dict[str, Any]) -> Done:
    """Return the number of items of each user of a block."""
    counts = np.diff(take(job["folder"], f"user-{job['block']}-indptr"))
    return Done(None, [put(job["folder"], f"user-{job['block']}-counts", counts)])


def _entries(job: dict[str, Any]) -> tuple[Any, Array, Array]:
    """Return a block's rows with weights instead of ratings, the codes of their columns, and the idf of each entry's
    user."""
    rows, need = rows_of(job["folder"], job["side"], job["block"])
    rows = rows._replace(values=like_strengths(rows.values, job["limits"], job["config"].min_rating_weight))
    if job["side"] == "item":
        counts = gather(job["folder"], "user", "counts", job["others"], need)[rows.indices]
    else:
        counts = np.repeat(rows.counts, rows.counts)
    return rows, need, user_idf(counts, job["n_items"])


def sum_task(job: dict[str, Any]) -> Done:
    """Sum the rows of a block of items."""
    rows, _, idf = _entries(job)
    sums = item_sums(rows.indptr, rows.values, idf, job["config"])
    value = {"sum": nodes_of(leaves_of(sums), first_chunk(job))}
    return Done(value, [put(job["folder"], f"item-{job['block']}-sums", sums)])


def weigh_task(job: dict[str, Any]) -> Done:
    """Compute the weights of all entries of a block of items or users."""
    folder, side, block, c = job["folder"], job["side"], job["block"], job["config"]
    rows, need, idf = _entries(job)
    if side == "item":
        sums = np.asarray(take(folder, f"item-{block}-sums"))
        norms = np.repeat(item_norms(sums, job["mean"], c), rows.counts)
    else:
        norms = item_norms(gather(folder, "item", "sums", job["others"], need), job["mean"], c)[rows.indices]
    return Done(None, [put(folder, f"{side}-{block}-weights", entry_weights(rows.values, idf, norms, c))])


def nearest_task(job: dict[str, Any]) -> Done:
    """Find the nearest items of each item of a block. Users ascend, as on one machine."""
    folder, block, (lo, hi), n = job["folder"], job["block"], job["range"], job["n_items"]
    rows, need = rows_of(folder, "item", block)
    values = np.asarray(take(folder, f"item-{block}-weights"))
    users = need[rows.indices]
    k = min(job["config"].neighbours, max(n - 1, 1))
    tile = max(1, min(hi - lo, TILE // (4 * n)))
    near, weight = np.empty((tile, k), np.int32), np.empty((tile, k), np.float32)
    count = np.zeros(hi - lo, np.int64)
    found: list[tuple[Array, Array]] = []
    for top in range(0, hi - lo, tile):
        end = min(top + tile, hi - lo)
        dots = np.zeros((end - top, n), np.float32)
        for other, (first, last) in enumerate(pairwise(job["others"])):
            a, b = rows.indptr[top], rows.indptr[end]
            mine = np.flatnonzero((users[a:b] >= first) & (users[a:b] < last)) + a
            if not len(mine):
                continue
            starts = np.searchsorted(mine, rows.indptr[top : end + 1]).astype(np.int64)
            who = (users[mine] - np.int32(first)).astype(np.int32)
            name = f"user-{other}"
            indptr, x = (np.asarray(take(folder, f"{name}-{part}")) for part in ("indptr", "weights"))
            items = items_of(folder, other)
            add_dots(0, end - top, starts, who, values[mine], indptr, items, x, dots)
        for row in range(end - top):
            dots[row, lo + top + row] = 0.0
            count[top + row] = size = keep_nearest(dots[row], near[row], weight[row])
            found.append((near[row, :size].copy(), weight[row, :size].copy()))
    name = f"item-{block}"
    files = [
        put(folder, f"{name}-near", np.concatenate([items for items, _ in found])),
        put(folder, f"{name}-near-weight", np.concatenate([values for _, values in found])),
        put(folder, f"{name}-near-count", count),
    ]
    return Done(int(count.sum()), files)
