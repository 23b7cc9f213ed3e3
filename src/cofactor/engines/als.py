"""Train ``als`` in blocks of rows: the sweeps of :class:`cofactor.models.als.ALSStepper`, each side a map over
blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.engines.alternating import begin, solve_block
from cofactor.engines.blocks import jobs, names, of_users, rows_of, summed, whole
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import Done, Work, put
from cofactor.models.als import ALSConfig, fixed_ridge
from cofactor.models.base.alternating import ridge_of

Array = NDArray[Any]


def train(work: Work, data: Prepared, config: ALSConfig, seed: int) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state, and the losses of each sweep."""
    learned, d = config.reg == 0, config.n_factors + 1
    growth = 0.0 if learned else float(config.nu)
    mean, noise = begin(work, data, "als-000", d, seed, learned)
    losses, ridge = [], np.zeros(0, np.float32)
    for sweep in range(1, config.epochs + 1):
        found = {}
        for side, reg_bias in (("item", config.reg_item), ("user", config.reg_user)):
            ridge = ridge_of(noise.left, noise.prior[side]) if learned else fixed_ridge(config, reg_bias)
            shared = {"sweep": sweep, "mean": mean, "ridge": ridge, "noise": noise.left, "nu": growth}
            old = names(data, side, *(f"{what}-{sweep - 1}" for what in ("table", *(["spread"] if learned else []))))
            todo = jobs(data, side, variances=learned, **shared)
            found[side] = work.step(f"als-{sweep:03d}-{side}", solve_task, todo, drop=old)
        error, more = summed(found["user"], "errors")
        losses.append([float(error / data.rows), float("nan")])
        if learned:
            noise.measure(error, more, found, sweep)
    last = config.epochs
    state = {
        "mean": np.array(mean, np.float32),
        "range": np.array(data.limits, np.float32),
        "users": of_users(data, f"table-{last}"),
        "items": whole(data, "item", f"table-{last}"),
        "spread": whole(data, "item", f"spread-{last}") if learned else np.zeros((0, d), np.float32),
        "ridge": ridge,
    }
    return state, losses


def solve_task(job: dict[str, Any]) -> Done:
    """Solve a block of rows, with the other side's newest tables held fixed."""
    folder, side, block, sweep = job["folder"], job["side"], job["block"], job["sweep"]
    rows, need = rows_of(folder, side, block)
    found = solve_block(job, rows, need, job["variances"], None, job["nu"])
    files = [put(folder, f"{side}-{block}-table-{sweep}", found.table)]
    if job["variances"]:
        files.append(put(folder, f"{side}-{block}-spread-{sweep}", found.spread))
    return Done(found.sums, files)
