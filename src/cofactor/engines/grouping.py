"""Group rows by user, with repeats merged, and by item: a block in each job."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import CSR, Interactions, csr
from cofactor.data.rows.repeats import count_repeats, merged
from cofactor.engines.cuts import by_block, needed
from cofactor.engines.work import Done, put, take
from cofactor.errors import DataError
from cofactor.kernels.sums import CHUNK, leaves_of, nodes_of

Array = NDArray[Any]


def group_users(job: dict[str, Any]) -> Done:
    """Merge repeats in a block of users, and write its rows grouped by user, and again sorted by block of items."""
    folder, block, (lo, hi) = job["folder"], job["block"], job["range"]
    pieces: dict[str, list[Array]] = {"user": [], "item": [], "value": [], "time": []}
    for number in job["parts"]:
        a, b = take(folder, f"rows/{number}-ends")[block : block + 2]
        for name, found in pieces.items():
            if name != "time" or job["timed"]:
                found.append(np.asarray(take(folder, f"rows/{number}-{name}")[a:b]))
    users, items, values = (np.concatenate(pieces[name]) for name in ("user", "item", "value"))
    times = np.concatenate(pieces["time"]) if job["timed"] else None
    data = Interactions(
        users - np.int32(lo),
        items,
        values,
        times,
        numbered(hi - lo, "user"),
        numbered(job["items"], "item"),
        kind=job["kind"],
    )
    before, policy = len(data), job["duplicates"]
    repeated = 0 if policy == "all" else count_repeats(data.users, data.items, hi - lo, job["items"])
    try:
        data = merged(data, policy, repeated)
    except DataError:
        raise DataError(
            "some rows repeat a user and item; remove them or choose duplicates='last', 'first' or 'mean'"
        ) from None
    rows = csr(data.users, data.items, data.values, hi - lo, job["items"])
    files = _block_files(folder, f"user-{block}", rows, data.times)
    if job["ordered"]:
        files.append(put(folder, f"user-{block}-places", rows.rows.astype(np.int32)))
    # for the blocks of items: ordered by item block, then by user
    who = np.repeat(np.arange(lo, hi, dtype=np.int32), rows.counts)
    order, ends = by_block(rows.indices, job["item_cuts"])
    files += [
        put(folder, f"turned/{block}-user", who[order]),
        put(folder, f"turned/{block}-item", rows.indices[order]),
        put(folder, f"turned/{block}-value", rows.values[order]),
        put(folder, f"turned/{block}-ends", ends),
    ]
    if data.times is not None:
        files.append(put(folder, f"turned/{block}-time", data.times[rows.rows][order]))
    per_row = np.bincount(np.repeat(np.arange(hi - lo), rows.counts), rows.values, minlength=hi - lo)
    return Done(
        {
            "rows": len(data),
            "merged": repeated,
            "left_out": before - repeated - len(data),
            "low": float(data.values.min()) if len(data) else None,
            "high": float(data.values.max()) if len(data) else None,
            "sum": nodes_of(leaves_of(per_row), lo // CHUNK),
        },
        files,
    )


def numbered(n: int, kind: str) -> IdMap:
    """Return ids that are equal to their codes."""
    return IdMap(pl.Series(np.arange(n)), kind)


def group_items(job: dict[str, Any]) -> Done:
    """Write the rows of a block of items, grouped by item, users ascending."""
    folder, block, (lo, hi) = job["folder"], job["block"], job["range"]
    pieces: dict[str, list[Array]] = {"user": [], "item": [], "value": [], "time": []}
    for number in range(job["user_blocks"]):
        a, b = take(folder, f"turned/{number}-ends")[block : block + 2]
        for name, found in pieces.items():
            if name != "time" or job["timed"]:
                found.append(np.asarray(take(folder, f"turned/{number}-{name}")[a:b]))
    users, items, values = (np.concatenate(pieces[name]) for name in ("user", "item", "value"))
    rows = csr(items - np.int32(lo), users, values, hi - lo, job["users"])
    return Done(
        None, _block_files(folder, f"item-{block}", rows, np.concatenate(pieces["time"]) if job["timed"] else None)
    )


def _block_files(folder: str, name: str, rows: CSR, times: Array | None) -> list[tuple[str, int, str]]:
    """Write a block's rows, with columns renumbered among those that occur."""
    need, local = needed(rows.indices, rows.n_cols)
    files = [
        put(folder, f"{name}-indptr", rows.indptr),
        put(folder, f"{name}-indices", local),
        put(folder, f"{name}-values", rows.values),
        put(folder, f"{name}-need", need),
    ]
    if times is not None:
        files.append(put(folder, f"{name}-times", times[rows.rows]))
    return files
