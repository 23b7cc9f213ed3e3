"""``als`` in blocks of rows: the sweeps of :class:`cofactor.models.als.ALSStepper`, each side a map over its blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.engines.blocks import OTHER, bias_sweeps, first_chunk, gather, jobs, names, rows_of, summed, whole
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import SIDES, Done, Work, put, take
from cofactor.kernels.als import solve_rows
from cofactor.kernels.sums import leaves_of, nodes_of, total
from cofactor.models.als import ALSConfig, fixed_ridge
from cofactor.models.base.alternating import (
    BIAS_PSEUDO_COUNTS,
    first_prior,
    initial_variance,
    measured_noise,
    measured_prior,
    noise_floor,
    ridge_of,
    square_nodes,
)

Array = NDArray[Any]


def train(work: Work, data: Prepared, config: ALSConfig, seed: int) -> tuple[dict[str, Array], list[list[float]]]:
    """The model's state, and the losses of each sweep."""
    learned, d = config.reg == 0, config.n_factors + 1
    growth = 0.0 if learned else float(config.nu)
    mean = float(np.float32(total(tuple(n) for n in data.value_sum) / data.rows))
    left = bias_sweeps(work, data, mean, 2, *BIAS_PSEUDO_COUNTS)[-1]
    start, floor = initial_variance(left), noise_floor(left)
    begin = {"folder": data.folder, "cuts": data.cuts, "d": d, "start": start, "seed": seed, "variances": learned}
    work.step("als-000", begin_task, [begin], drop=[n for side in SIDES for n in names(data, side, "bias-1")])
    noise = left + floor
    prior = {side: first_prior(side, d, left) for side in SIDES}
    losses, ridge = [], np.zeros(0, np.float32)
    for sweep in range(1, config.epochs + 1):
        found = {}
        for side, reg_bias in (("item", config.reg_item), ("user", config.reg_user)):
            ridge = ridge_of(noise, prior[side]) if learned else fixed_ridge(config, reg_bias)
            shared = {"sweep": sweep, "mean": mean, "ridge": ridge, "noise": noise, "nu": growth, "variances": learned}
            old = names(data, side, *(f"{what}-{sweep - 1}" for what in ("table", *(["spread"] if learned else []))))
            found[side] = work.step(f"als-{sweep:03d}-{side}", solve_task, jobs(data, side, **shared), drop=old)
        error, more = summed(found["user"], "errors")
        losses.append([float(error / data.rows), float("nan")])
        if learned:
            noise = measured_noise(error, more, data.rows, floor)
            if sweep > 1:
                prior = {side: measured_prior(summed(found[side], "squares"), data.size(side), floor) for side in SIDES}
    last = config.epochs
    items = whole(data, "item", f"table-{last}")
    spread = whole(data, "item", f"spread-{last}") if learned else np.zeros((0, d), np.float32)
    users = whole(data, "user", f"table-{last}")
    limits = np.array(data.limits, np.float32)
    state = {"mean": np.array(mean, np.float32), "range": limits, "users": users, "items": items, "spread": spread}
    return state | {"ridge": ridge}, losses


def begin_task(job: dict[str, Any]) -> Done:
    """Random factors for all rows, from one stream that is written part by part; biases as the sweeps left them."""
    folder, d, start = job["folder"], job["d"], job["start"]
    rng = np.random.default_rng([job["seed"], 0])
    files = []
    for side in SIDES:
        cuts = job["cuts"][side]
        for block, (lo, hi) in enumerate(pairwise(cuts)):
            table = np.zeros((hi - lo, d), dtype=np.float32)
            table[:, :-1] = rng.standard_normal((hi - lo, d - 1), dtype=np.float32) * np.float32(start**0.5)
            table[:, -1] = take(folder, f"{side}-{block}-bias-1")
            files.append(put(folder, f"{side}-{block}-table-0", table))
            if job["variances"]:
                spread = np.full((hi - lo, d), start / 2, dtype=np.float32)
                spread[:, -1] = 0.0
                files.append(put(folder, f"{side}-{block}-spread-0", spread))
    return Done(None, files)


def solve_task(job: dict[str, Any]) -> Done:
    """Solve a block of rows, the other side's newest tables held fixed."""
    folder, side, block, sweep = job["folder"], job["side"], job["block"], job["sweep"]
    rows, need = rows_of(folder, side, block)
    newest = sweep if side == "user" else sweep - 1
    other = gather(folder, OTHER[side], f"table-{newest}", job["others"], need)
    d, n = other.shape[1], rows.n_rows
    none = np.zeros((0, d), dtype=np.float32)
    others = gather(folder, OTHER[side], f"spread-{newest}", job["others"], need) if job["variances"] else none
    table = np.zeros((n, d), dtype=np.float32)
    spread = np.zeros((n if job["variances"] else 0, d), dtype=np.float32)
    errors = np.zeros((n if side == "user" else 0, 2))
    values = rows.values - np.float32(job["mean"])
    offsets, factors = other[:, -1].copy(), np.ascontiguousarray(other[:, :-1])
    given = (rows.indptr, rows.indices, values, offsets, factors, others, job["ridge"], job["nu"], job["noise"], none)
    solve_rows(0, n, *given, table, spread, errors)
    files = [put(folder, f"{side}-{block}-table-{sweep}", table)]
    if job["variances"]:
        files.append(put(folder, f"{side}-{block}-spread-{sweep}", spread))
    value = {
        "errors": nodes_of(leaves_of(errors), first_chunk(job)) if side == "user" else [],
        "squares": square_nodes(table, spread, none, first_chunk(job)) if job["variances"] else [],
    }
    return Done(value, files)
