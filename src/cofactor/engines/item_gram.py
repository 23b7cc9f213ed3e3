"""The sparse Gram matrix of the items in parts, and ridge regressions of each item on its nearest items.

The kernels of ``models/base/local_ridge.py`` read whole tables. Here these tables are files that a job maps: the rows
of all users, then the Gram matrix. A job writes the part for a range of items that fits its memory. The matrix may thus
be larger than memory, and its numbers are the same as on one machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.engines.blocks import jobs, names, rows_of, whole
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import Done, Work, put, put_joined, take
from cofactor.kernels.blocks import over_rows
from cofactor.models.base.inner import kept_entries
from cofactor.models.base.local_ridge import (
    NO_ROWS,
    by_neighbour,
    gram_row_sizes,
    gram_rows,
    heads_of,
    nearest_items,
    ridge_weights,
    width_of,
)
from cofactor.models.base.strength import like_strengths
from cofactor.models.ease import penalties

Array = NDArray[Any]

TILE = 16_000_000
"""Approximate number of entries of the Gram matrix in a job."""


class Weights(NamedTuple):
    """The weight of an entry: its strength (``limits`` None: 1), times its user's number of entries to the power
    ``-power / 2``.

    ``without``: the file of the entries that are left out (see ``held_out_pairs``), or None.
    """

    limits: Array | None
    lowest: float
    power: float
    without: str | None = None


# ---- rows


def put_rows(work: Work, data: Prepared, tag: str, weights: Weights) -> Array:
    """Write the rows of all users as one table. Returns the number of entries in each row of their Gram matrix, int64
    (n_items,)."""
    work.step(f"{tag}-a-users", users_task, jobs(data, "user", tag=tag, weights=weights))
    parts = [names(data, "user", f"{tag}-{part}") for part in ("counts", "indices", "values")]
    join = {"folder": data.folder, "tag": tag, "parts": parts}
    work.step(f"{tag}-b-join", join_rows, [join], drop=[name for part in parts for name in part])
    work.step(f"{tag}-c-sizes", sizes_task, jobs(data, "item", tag=tag, weights=weights, n_items=data.size("item")))
    return whole(data, "item", f"{tag}-sizes")


def users_task(job: dict[str, Any]) -> Done:
    """Write the rows of a block of users, with weights and the codes of all items."""
    folder, block, weights = job["folder"], job["block"], job["weights"]
    rows, need = rows_of(folder, "user", block)
    rows = rows._replace(values=_strength(rows.values, weights))
    if weights.without is not None:
        at = take(folder, f"{weights.without}-{block}")
        keep = np.ones(len(rows.indices), dtype=np.bool_)
        keep[at] = False
        rows = kept_entries(rows, keep)
    each = np.repeat(_of_user(rows.counts, weights), rows.counts)
    name = f"user-{block}-{job['tag']}"
    return Done(
        None,
        [
            put(folder, f"{name}-counts", rows.counts),
            put(folder, f"{name}-indices", need[rows.indices].astype(np.int32)),
            put(folder, f"{name}-values", (rows.values * each).astype(np.float32)),
        ],
    )


def _strength(values: Array, weights: Weights) -> Array:
    if weights.limits is None:
        return np.ones(len(values), dtype=np.float32)
    return like_strengths(values, weights.limits, weights.lowest)


def _of_user(counts: Array, weights: Weights) -> Array:
    return np.asarray(np.maximum(counts, 1) ** (-weights.power / 2))


def join_rows(job: dict[str, Any]) -> Done:
    """Join the rows of all blocks of users to one table."""
    folder, tag, (counts, *others) = job["folder"], job["tag"], job["parts"]
    sizes = np.concatenate([take(folder, name) for name in counts])
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    files = [put(folder, f"{tag}-indptr", indptr)]
    for what, parts in zip(("indices", "values"), others, strict=True):
        files.append(put_joined(folder, f"{tag}-{what}", parts))
    return Done(None, files)


def all_rows(folder: str, tag: str, n_cols: int) -> CSR:
    """Return a joined table of rows, mapped."""
    indptr, indices, values = (np.asarray(take(folder, f"{tag}-{what}")) for what in ("indptr", "indices", "values"))
    return CSR(indptr, indices, values, NO_ROWS, n_cols)


def item_rows(job: dict[str, Any], users: CSR) -> CSR:
    """Return the rows of a block of items, whose columns are users, with the weights of the table ``users``."""
    folder, block, weights, (lo, hi) = job["folder"], job["block"], job["weights"], job["range"]
    rows, need = rows_of(folder, "item", block)
    rows = rows._replace(indices=need[rows.indices], values=_strength(rows.values, weights), n_cols=users.n_rows)
    if weights.without is not None:
        keep = np.ones(len(rows.indices), dtype=np.bool_)
        pairs = take(folder, f"{weights.without}-pairs")
        mine = pairs[(pairs[:, 0] >= lo) & (pairs[:, 0] < hi)]
        keys = np.repeat(np.arange(hi - lo, dtype=np.int64), rows.counts) * users.n_rows + rows.indices
        keep[np.searchsorted(keys, (mine[:, 0] - lo) * users.n_rows + mine[:, 1]) + mine[:, 2]] = False
        rows = kept_entries(rows, keep)
    each = _of_user(users.counts, weights)[rows.indices]
    return rows._replace(values=(rows.values * each).astype(np.float32))


def held_out_pairs(rows: CSR, users: Array, held: Array) -> Array:
    """Return int64 (n, 3): item, user and rank among equal pairs, for the entries ``held`` (bool) of rows whose items
    ascend.

    ``users``: the code of each entry's user.
    """
    keys = np.repeat(np.arange(rows.n_rows), rows.counts) * rows.n_cols + rows.indices
    at = np.flatnonzero(held)
    return np.stack([rows.indices[at], users[at], at - np.searchsorted(keys, keys[at])], axis=1).astype(np.int64)


# ---- the matrix


def sizes_task(job: dict[str, Any]) -> Done:
    """Count the entries of each row of the Gram matrix for a block of items."""
    users = all_rows(job["folder"], job["tag"], job["n_items"])
    sizes = gram_row_sizes(item_rows(job, users), users)
    return Done(None, [put(job["folder"], f"item-{job['block']}-{job['tag']}-sizes", sizes)])


def tiles(data: Prepared, sizes: Array) -> list[dict[str, Any]]:
    """Return ranges of items within blocks, each of about ``TILE`` entries of the matrix at most."""
    ends = np.concatenate([[0], np.cumsum(sizes)])
    found: list[dict[str, Any]] = []
    for block, lo, hi in data.blocks("item"):
        while lo < hi:
            end = min(max(int(np.searchsorted(ends, ends[lo] + TILE, side="right")) - 1, lo + 1), hi)
            found.append({"block": block, "range": data.blocks("item")[block][1:], "tile": (lo, end), "at": len(found)})
            lo = end
    return found


def put_gram(work: Work, data: Prepared, tag: str, weights: Weights, sizes: Array) -> None:
    """Write the Gram matrix and its diagonal as one table, and delete the rows that it is made from."""
    shared = {"folder": data.folder, "tag": tag, "weights": weights, "n_items": data.size("item")}
    todo = [{**shared, **tile, "sizes": sizes[slice(*tile["tile"])]} for tile in tiles(data, sizes)]
    rows = [f"{tag}-{what}" for what in ("indptr", "indices", "values")]
    work.step(f"{tag}-d-gram", gram_task, todo, drop=rows)
    parts = [[f"tile-{job['at']}-{tag}-{what}" for job in todo] for what in ("indices", "values", "diagonal")]
    join = {"folder": data.folder, "tag": tag, "parts": parts, "sizes": sizes}
    work.step(f"{tag}-e-join", join_gram, [join], drop=[name for part in parts for name in part])


def gram_task(job: dict[str, Any]) -> Done:
    """Write the rows of the Gram matrix for a range of items."""
    folder, tag, (lo, hi), first = job["folder"], job["tag"], job["tile"], job["range"][0]
    users = all_rows(folder, tag, job["n_items"])
    mine = item_rows(job, users).take(np.arange(lo - first, hi - first))
    gram = gram_rows(mine, users, job["sizes"])
    row = np.repeat(np.arange(lo, hi), gram.counts)
    diagonal = np.zeros(hi - lo, dtype=np.float32)
    on = row == gram.indices
    diagonal[row[on] - lo] = gram.values[on]
    name = f"tile-{job['at']}-{tag}"
    return Done(
        None,
        [
            put(folder, f"{name}-indices", gram.indices),
            put(folder, f"{name}-values", gram.values),
            put(folder, f"{name}-diagonal", diagonal),
        ],
    )


def join_gram(job: dict[str, Any]) -> Done:
    """Join the parts of the Gram matrix to one table."""
    folder, tag = job["folder"], job["tag"]
    indptr = np.concatenate([[0], np.cumsum(job["sizes"])]).astype(np.int64)
    files = [put(folder, f"{tag}-gram-indptr", indptr)]
    for what, parts in zip(("indices", "values", "diagonal"), job["parts"], strict=True):
        files.append(put_joined(folder, f"{tag}-gram-{what}", parts))
    return Done(None, files)


# ---- regressions


def regress(
    work: Work,
    data: Prepared,
    tag: str,
    sizes: Array,
    k: int,
    shrink: float,
    regs: Sequence[tuple[float, float]],
    some: Array | None = None,
) -> list[CSR]:
    """Return the ridge weights of each item on its ``k`` nearest: one matrix for each penalty and dropout in ``regs``
    (see :func:`cofactor.models.ease.penalties`).

    ``some``: regress only these items (codes, ascending). The Gram matrix is deleted, but not its diagonal.
    """
    n = data.size("item")
    shared = {"folder": data.folder, "tag": tag, "n_items": n, "k": k, "shrink": shrink, "some": some}
    todo = [{**shared, "regs": list(regs), **tile} for tile in tiles(data, sizes)]
    gram = [f"{tag}-gram-{what}" for what in ("indptr", "indices", "values")]
    work.step(f"{tag}-f-ridge", ridge_task, todo, drop=gram)
    parts = {
        what: np.concatenate([take(data.folder, f"tile-{job['at']}-{tag}-{what}") for job in todo])
        for what in ("near", "count", *(f"weights-{at}" for at in range(len(regs))))
    }
    given = parts["near"], parts["count"]
    return [by_neighbour(*given, parts[f"weights-{at}"], some, n) for at in range(len(regs))]


def ridge_task(job: dict[str, Any]) -> Done:
    """Find the nearest items for a range of items, and their weights under each penalty."""
    folder, tag, n, (lo, hi), some = job["folder"], job["tag"], job["n_items"], job["tile"], job["some"]
    gram, diagonal = all_rows(folder, f"{tag}-gram", n), np.asarray(take(folder, f"{tag}-gram-diagonal"))
    width = width_of(job["k"], n)
    near, count = np.zeros((n, width), dtype=np.int32), np.zeros(n, dtype=np.int64)  # only a range of it is used
    begins = gram.indptr[lo : hi + 1]
    given = gram, diagonal, job["shrink"], near, count
    over_rows(lambda a, b: nearest_items(lo + a, lo + b, *given), begins - begins[0])
    mine = np.arange(lo, hi) if some is None else some[slice(*np.searchsorted(some, (lo, hi)))]
    left_out = np.ones(hi - lo, dtype=np.bool_)
    left_out[mine - lo] = False
    count[lo:hi][left_out] = 0
    cost, heads = np.concatenate([[0], np.cumsum(count[lo:hi])]), heads_of(gram)
    name = f"tile-{job['at']}-{tag}"
    files = [put(folder, f"{name}-near", near[mine]), put(folder, f"{name}-count", count[mine])]
    for at, (reg, dropout) in enumerate(job["regs"]):
        penalty, out = penalties(diagonal, reg, dropout), np.zeros((n, width), dtype=np.float32)

        def solve(a: int, b: int, penalty: Array = penalty, out: Array = out) -> None:
            ridge_weights(lo + a, lo + b, gram, heads, near, count, penalty, out)

        over_rows(solve, cost, per_row=width)
        files.append(put(folder, f"{name}-weights-{at}", out[mine]))
    return Done(None, files)
