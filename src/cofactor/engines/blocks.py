"""Shared parts of the training tasks: a block's rows, and the rows of the other side that it needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.data.parts import Parts
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import Done, Work, put, take
from cofactor.kernels.bias import solve_biases, weights_of
from cofactor.kernels.sums import CHUNK, leaves_of, nodes_of, total

Array = NDArray[Any]

OTHER = {"user": "item", "item": "user"}


def rows_of(folder: str, side: str, block: int) -> tuple[CSR, Array]:
    """Return a block's rows and the codes of the columns that occur. The columns of the rows are positions in these
    codes."""
    parts = {part: take(folder, f"{side}-{block}-{part}") for part in ("indptr", "indices", "values", "need")}
    need = np.asarray(parts["need"])
    indptr, indices, values = (np.asarray(parts[x]) for x in ("indptr", "indices", "values"))
    rows = CSR(indptr, indices, values, np.empty(0, dtype=np.int64), len(need))
    return rows, need


def gather(folder: str, side: str, what: str, cuts: list[int], codes: Array) -> Array:
    """Return the rows ``codes`` (ascending) of a table whose parts are the files ``SIDE-BLOCK-WHAT``."""
    found: Array | None = None
    at = 0
    for block, end in enumerate(cuts[1:]):
        upto = int(np.searchsorted(codes, end))
        if upto > at or found is None:
            part = take(folder, f"{side}-{block}-{what}")
            if found is None:
                found = np.empty((len(codes), *part.shape[1:]), dtype=part.dtype)
            found[at:upto] = part[codes[at:upto] - cuts[block]]
        at = upto
    assert found is not None
    return found


def jobs(data: Prepared, side: str, **more: Any) -> list[dict[str, Any]]:
    """Return a job for each block of a side."""
    shared = {"folder": data.folder, "side": side, "others": data.cuts[OTHER[side]], **more}
    return [{**shared, "block": at, "range": (lo, hi)} for at, lo, hi in data.blocks(side)]


def first_chunk(job: dict[str, Any]) -> int:
    """Return the number of a block's first chunk."""
    return int(job["range"][0]) // CHUNK


def names(data: Prepared, side: str, *what: str) -> list[str]:
    """Return the file names of the parts of tables."""
    return [f"{side}-{at}-{w}" for at, _, _ in data.blocks(side) for w in what]


def summed(values: list[Any], at: str) -> Any:
    """Return the sum of what a side's jobs returned as nodes, over all blocks."""
    return total(tuple(node) for value in values for node in value[at])


def whole(data: Prepared, side: str, what: str) -> Array:
    """Return a table assembled from its parts, in memory."""
    return np.concatenate([take(data.folder, name) for name in names(data, side, what)])


def of_users(data: Prepared, what: str) -> Array:
    """Return a table of the users whose parts stay in the work folder until they are asked for."""
    first = take(data.folder, f"user-0-{what}")
    parts = Parts(data.cuts["user"], lambda at: take(data.folder, f"user-{at}-{what}"), first.dtype, first.shape[1:])
    return parts  # type: ignore[return-value]


def history(data: Prepared) -> CSR:
    """Return the rows of all users with their unchanged values, in memory."""
    blocks = [at for at, _, _ in data.blocks("user")]
    counts = np.concatenate([np.diff(take(data.folder, f"user-{at}-indptr")) for at in blocks])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = np.concatenate([items_of(data.folder, at) for at in blocks])
    return CSR(indptr, indices, whole(data, "user", "values"), np.empty(0, np.int64), data.size("item"))


def items_of(folder: str, block: int) -> Array:
    """Return the items of a block of users, row by row, int32."""
    return np.asarray(take(folder, f"user-{block}-need")[take(folder, f"user-{block}-indices")])


# ---- biases


def bias_task(job: dict[str, Any]) -> Done:
    """Solve the biases of a block (see :func:`cofactor.kernels.bias.sweep`)."""
    folder, side, n = job["folder"], job["side"], job["sweep"]
    rows, need = rows_of(folder, side, job["block"])
    if side == "item" and n == 0:
        other = np.zeros(len(need))
    else:
        before = n if side == "user" else n - 1
        other = gather(folder, OTHER[side], f"bias-{before}", job["others"], need)
    bias, errors = np.zeros(rows.n_rows), np.zeros(rows.n_rows)
    matrix = (rows.indptr, rows.indices, rows.values, weights_of(rows))
    solve_biases(0, rows.n_rows, *matrix, job["mean"], other, job["reg"], bias, errors)
    files = [put(folder, f"{side}-{job['block']}-bias-{n}", bias)]
    return Done({"errors": nodes_of(leaves_of(errors), first_chunk(job))}, files)


def bias_sweeps(work: Work, data: Prepared, mean: float, sweeps: int, reg_user: float, reg_item: float) -> list[float]:
    """Sweep over all biases. Returns the mean squared error after each sweep. The last biases stay in the folder."""
    losses = []
    for n in range(sweeps):
        for side, reg in (("item", reg_item), ("user", reg_user)):
            drop = names(data, side, f"bias-{n - 1}") if n else []
            todo = jobs(data, side, sweep=n, mean=mean, reg=reg)
            values = work.step(f"bias-{n:03d}-{side}", bias_task, todo, drop=drop)
        losses.append(float(summed(values, "errors")) / max(data.rows, 1))
    return losses
