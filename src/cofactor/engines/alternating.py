"""The parts of ``als`` and ``svd++`` in blocks of rows that both share: initial values, solving a block, the noise."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.engines.blocks import OTHER, bias_sweeps, first_chunk, gather, names, summed
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import SIDES, Done, Work, put, take
from cofactor.kernels.als import solve_rows
from cofactor.kernels.bias import weights_of
from cofactor.kernels.sums import leaves_of, nodes_of, total
from cofactor.models.base.alternating import (
    BIAS_PSEUDO_COUNTS,
    first_prior,
    initial_variance,
    measured_noise,
    measured_prior,
    noise_floor,
    square_nodes,
)

Array = NDArray[Any]


class Noise:
    """The residual variance after each sweep, and the prior of each side's rows."""

    def __init__(self, data: Prepared, d: int, left: float) -> None:
        self.data, self.floor = data, noise_floor(left)
        self.left = left + self.floor
        self.prior = {side: first_prior(side, d, left) for side in SIDES}

    def measure(self, error: Any, more: Any, found: dict[str, list[Any]], sweep: int) -> None:
        """Estimate both from the results of a sweep's jobs."""
        self.left = measured_noise(error, more, self.data.rows, self.floor)
        if sweep > 1:
            for side in SIDES:
                squares = summed(found[side], "squares")
                self.prior[side] = measured_prior(squares, self.data.size(side), self.floor)


def begin(work: Work, data: Prepared, name: str, d: int, seed: int, variances: bool) -> tuple[float, Noise]:
    """Fit biases by two sweeps and draw random factors (step ``name``). Returns the mean of the values, and the
    noise."""
    mean = float(np.float32(total(tuple(n) for n in data.value_sum) / data.rows))
    left = bias_sweeps(work, data, mean, 2, *BIAS_PSEUDO_COUNTS)[-1]
    job = {"folder": data.folder, "cuts": data.cuts, "d": d, "seed": seed, "variances": variances}
    job["start"] = initial_variance(left)
    work.step(name, begin_task, [job], drop=[n for side in SIDES for n in names(data, side, "bias-1")])
    return mean, Noise(data, d, left)


def begin_task(job: dict[str, Any]) -> Done:
    """Draw random factors for all rows from one stream, written part by part. The biases stay as the sweeps left
    them."""
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


class Solved(NamedTuple):
    """A block's new rows, their variances (none if they are not learned), and the sums for the driver."""

    table: Array
    spread: Array
    sums: dict[str, Any]


def solve_block(
    job: dict[str, Any], rows: CSR, need: Array, variances: bool, centre: Array | None, nu: float
) -> Solved:
    """Solve a block of rows around ``centre`` (None: around 0), with the other side's newest tables held fixed."""
    folder, side, sweep = job["folder"], job["side"], job["sweep"]
    newest = sweep if side == "user" else sweep - 1
    other = gather(folder, OTHER[side], f"table-{newest}", job["others"], need)
    d, n = other.shape[1], rows.n_rows
    none = np.zeros((0, d), dtype=np.float32)
    others = gather(folder, OTHER[side], f"spread-{newest}", job["others"], need) if variances else none
    around = none if centre is None else centre
    table = np.zeros((n, d), dtype=np.float32)
    spread = np.zeros((n if variances else 0, d), dtype=np.float32)
    errors = np.zeros((n if side == "user" else 0, 2))
    values = rows.values - np.float32(job["mean"])
    offsets, factors = other[:, -1].copy(), np.ascontiguousarray(other[:, :-1])
    matrix = (rows.indptr, rows.indices, values, weights_of(rows))
    given = (*matrix, offsets, factors, others, job["ridge"], nu, job["noise"], around)
    solve_rows(0, n, *given, table, spread, errors)
    sums = {
        "errors": nodes_of(leaves_of(errors), first_chunk(job)) if side == "user" else [],
        "squares": square_nodes(table, spread, around, first_chunk(job)) if variances else [],
    }
    return Solved(table, spread, sums)
