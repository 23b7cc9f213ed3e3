"""Train ``svd++`` in blocks of rows: the sweeps of ``models/svdpp.py``; each product with all rows is a map over
blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.engines.alternating import begin, solve_block
from cofactor.engines.blocks import OTHER, first_chunk, gather, jobs, names, of_users, rows_of, summed, whole
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import SIDES, Done, Work, put, take
from cofactor.models.base.alternating import ridge_of
from cofactor.models.svdpp import STEPS, SVDppConfig, expected, product_nodes, quotient, row_sums, weights

Array = NDArray[Any]


def train(work: Work, data: Prepared, config: SVDppConfig, seed: int) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state, and the losses of each sweep."""
    d = config.n_factors + 1
    mean, noise = begin(work, data, "svd-000", d, seed, variances=True)
    for side in SIDES:
        work.step(f"svd-000-{side}", zeros_task, jobs(data, side, d=d))
    losses, ridge = [], np.zeros(0, np.float32)
    for sweep in range(1, config.epochs + 1):
        found = {}
        for side in ("item", "user"):
            learns = sweep > 1 and (side == "user" or config.flipped)
            if learns:
                _regress(work, data, side, sweep, config.reg)
            centred = sweep if learns else 0
            ridge = ridge_of(noise.left, noise.prior[side])
            shared = {"sweep": sweep, "mean": mean, "ridge": ridge, "noise": noise.left, "summed": centred, "d": d}
            old = names(data, side, f"table-{sweep - 1}", f"spread-{sweep - 1}")
            found[side] = work.step(f"svd-{sweep:03d}-{side}", solve_task, jobs(data, side, **shared), drop=old)
        error, more = summed(found["user"], "errors")
        losses.append([float(error / data.rows), float("nan")])
        noise.measure(error, more, found, sweep)
    last = config.epochs
    state = {
        "mean": np.array(mean, np.float32),
        "range": np.array(data.limits, np.float32),
        "users": of_users(data, f"table-{last}"),
        "items": whole(data, "item", f"table-{last}"),
        "spread": whole(data, "item", f"spread-{last}"),
        "summed": whole(data, "item", f"summed-{last if last > 1 else 0}"),
        "ridge": ridge,
    }
    return state, losses


def _regress(work: Work, data: Prepared, side: str, sweep: int, reg: float) -> None:
    """Fit the vectors whose sums predict ``side`` (see :func:`cofactor.models.svdpp.regress`). They belong to the other
    side, and are written there as ``summed-SWEEP``."""
    of, name = OTHER[side], f"svd-{sweep:03d}-{side}-sums"
    before = sweep - 1 if sweep > 2 else 0
    shared = {"sweep": sweep, "before": before, "ridge": np.float32(reg)}
    work.step(f"{name}-a", residual_task, jobs(data, side, **shared))
    found = work.step(f"{name}-b", gradient_task, jobs(data, of, **shared))
    size = summed(found, "size")
    for at in range(STEPS):
        work.step(f"{name}-{at}-a", forward_task, jobs(data, side, **shared))
        far = quotient(size, summed(work.step(f"{name}-{at}-b", backward_task, jobs(data, of, **shared)), "size"))
        previous, moved = size, jobs(data, of, far=far, first=at == 0, last=at == STEPS - 1, **shared)
        size = summed(work.step(f"{name}-{at}-c", move_task, moved), "size")
        if at < STEPS - 1:
            ratio = quotient(size, previous)
            work.step(f"{name}-{at}-d", turn_task, jobs(data, of, ratio=ratio, **shared))
    gone = [n for what in ("left", "step", "moved") for n in names(data, of, what)]
    old = [*names(data, side, "back"), *gone, *names(data, of, f"summed-{before}")]
    work.step(f"{name}-z", nothing_task, [{}], drop=old)


def nothing_task(job: dict[str, Any]) -> Done:
    """Do nothing: the step only deletes files."""
    return Done(None, [])


def zeros_task(job: dict[str, Any]) -> Done:
    """Write zeros as the initial summed vectors."""
    lo, hi = job["range"]
    zeros = np.zeros((hi - lo, job["d"]), dtype=np.float32)
    return Done(None, [put(job["folder"], f"{job['side']}-{job['block']}-summed-0", zeros)])


def _mine(job: dict[str, Any], what: str) -> Array:
    return np.array(take(job["folder"], f"{job['side']}-{job['block']}-{what}"))


def _put(job: dict[str, Any], what: str, table: Array) -> tuple[str, int, str]:
    return put(job["folder"], f"{job['side']}-{job['block']}-{what}", table)


def residual_task(job: dict[str, Any]) -> Done:
    """Return the difference between a block's vectors and their prediction from the sums, weighted for the transposed
    product."""
    rows, need = rows_of(job["folder"], job["side"], job["block"])
    table = _mine(job, f"table-{job['sweep'] - 1}")
    others = gather(job["folder"], OTHER[job["side"]], f"summed-{job['before']}", job["others"], need)
    return Done(None, [_put(job, "back", np.ascontiguousarray(weights(rows) * (table - expected(rows, others))))])


def gradient_task(job: dict[str, Any]) -> Done:
    """Compute the first direction."""
    left = _back(job) - job["ridge"] * _mine(job, f"summed-{job['before']}")
    files = [_put(job, "left", left), _put(job, "step", left)]
    return Done({"size": product_nodes(left, left, first_chunk(job))}, files)


def _back(job: dict[str, Any]) -> Array:
    rows, need = rows_of(job["folder"], job["side"], job["block"])
    return row_sums(rows, gather(job["folder"], OTHER[job["side"]], "back", job["others"], need))


def forward_task(job: dict[str, Any]) -> Done:
    """Multiply a block of rows by the direction, weighted for the transposed product."""
    rows, need = rows_of(job["folder"], job["side"], job["block"])
    others = gather(job["folder"], OTHER[job["side"]], "step", job["others"], need)
    return Done(None, [_put(job, "back", np.ascontiguousarray(weights(rows) * expected(rows, others)))])


def backward_task(job: dict[str, Any]) -> Done:
    """Multiply the system's matrix by the direction."""
    step = _mine(job, "step")
    moved = _back(job) + job["ridge"] * step
    return Done({"size": product_nodes(step, moved, first_chunk(job))}, [_put(job, "moved", moved)])


def move_task(job: dict[str, Any]) -> Done:
    """Take a step along the direction."""
    far, before = job["far"], job["before"] if job["first"] else job["sweep"]
    table = _mine(job, f"summed-{before}") + far * _mine(job, "step")
    left = _mine(job, "left") - far * _mine(job, "moved")
    files = [_put(job, f"summed-{job['sweep']}", table), _put(job, "left", left)]
    return Done({"size": product_nodes(left, left, first_chunk(job))}, files)


def turn_task(job: dict[str, Any]) -> Done:
    """Compute the next direction."""
    return Done(None, [_put(job, "step", _mine(job, "left") + job["ratio"] * _mine(job, "step"))])


def solve_task(job: dict[str, Any]) -> Done:
    """Solve a block of rows around their prediction from the sums, with the other side's newest tables held fixed."""
    folder, side, sweep = job["folder"], job["side"], job["sweep"]
    rows, need = rows_of(folder, side, job["block"])
    centre = np.zeros((rows.n_rows, job["d"]), dtype=np.float32)
    if job["summed"]:
        centre[:] = expected(rows, gather(folder, OTHER[side], f"summed-{job['summed']}", job["others"], need))
    found = solve_block(job, rows, need, True, centre, 0.0)
    return Done(found.sums, [_put(job, f"table-{sweep}", found.table), _put(job, f"spread-{sweep}", found.spread)])
