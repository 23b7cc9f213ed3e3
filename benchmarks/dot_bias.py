"""dot-bias against the dense update in numba: the notebook's job on ML-100k (50 factors, batches of 64).

    python benchmarks/dot_bias.py [--seeds 10] [--repeats 7]

One core. Speed: medians of CPU time of five epochs, both warm, taking turns. Error: the largest difference of a train
or valid loss at any epoch over the seeds, from the same start and the same batches. Writes results/dot_bias.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import dot_bias_dense as dense
import numba
import numpy as np

from cofactor import split
from cofactor.data.datasets import load_dataset
from cofactor.data.interactions import Interactions
from cofactor.model import Hyper
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.train.schedules import one_cycle_plan

K, BS, EPOCHS, LR, WD, Y = 50, 64, 5, 5e-3, 0.1, (0.0, 5.5)
Array = Any


def orders(n: int, seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(n)[: n // BS * BS] for _ in range(EPOCHS)]


def lazily(train: Interactions, seed: int) -> tuple[float, list[float], list[Array], Any]:
    """CPU seconds, train loss and tables after every epoch."""
    model = DotBias(DotBiasConfig(n_factors=K, y_range=Y))
    stepper = model.stepper(train, np.random.default_rng(seed))
    plan, n = one_cycle_plan(EPOCHS, LR, WD), len(train) // BS
    seconds, losses, predictors = 0.0, [], []
    for epoch, rows in enumerate(orders(len(train), seed)):
        lr, mom = plan.arrays(epoch, 0, n, n)
        start = time.process_time()
        each = stepper.run(rows, Hyper(lr, mom, WD, BS))
        stepper.flush()
        seconds += time.process_time() - start
        losses.append(float(each.mean()))
        predictors.append(stepper.table.copy())
    return seconds, losses, predictors, model


def densely(train: Interactions, seed: int, kernel: Any) -> tuple[float, list[float], list[Any]]:
    start_model = DotBias(DotBiasConfig(n_factors=K, y_range=Y))
    table = start_model.stepper(train, np.random.default_rng(seed)).table
    u, i = dense.tables(table, train.n_users, K)
    plan, n = one_cycle_plan(EPOCHS, LR, WD), len(train) // BS
    seconds, losses, tables = 0.0, [], []
    for epoch, rows in enumerate(orders(len(train), seed)):
        lr, mom = plan.arrays(epoch, 0, n, n)
        each = np.empty(n)
        start = time.process_time()
        kernel(rows, train.users, train.items, train.values, u, i, lr, mom, WD, 0.99, 1e-5, *Y, epoch * n, BS, each)
        seconds += time.process_time() - start
        losses.append(float(each.mean()))
        tables.append((u[0].copy(), i[0].copy()))
    return seconds, losses, tables


def mse(u: Array, i: Array, data: Interactions) -> float:
    """``u`` and ``i`` with the bias in column K."""
    x, y = u[data.users].astype(np.float64), i[data.items].astype(np.float64)
    z = (x[:, :K] * y[:, :K]).sum(1) + x[:, K] + y[:, K]
    return float(np.mean((Y[0] + (Y[1] - Y[0]) / (1 + np.exp(-z)) - data.values) ** 2))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    ratings = load_dataset("ml-100k", item="title", download=False)
    worst, final = 0.0, []
    for seed in range(args.seeds):
        cut = split.random(ratings, valid=0.2, seed=seed)
        _, losses, predictors, _ = lazily(cut.train, seed)
        _, want, tables = densely(cut.train, seed, dense.tuned)
        for table, (u, i), a, b in zip(predictors, tables, losses, want):
            n = cut.train.n_users
            items = np.concatenate([table[n:, :K], table[n:, K + 1 : K + 2]], axis=1)
            valid, valid_want = mse(table[:n], items, cut.valid), mse(u, i, cut.valid)
            worst = max(worst, abs(a - b), abs(valid - valid_want))
        final.append((valid, valid_want))
    means = np.mean(final, axis=0)
    cut = split.random(ratings, valid=0.2, seed=0)
    densely(cut.train, 0, dense.plain)
    runs = np.array(
        [
            (lazily(cut.train, 0)[0], densely(cut.train, 0, dense.tuned)[0], densely(cut.train, 0, dense.plain)[0])
            for _ in range(args.repeats)
        ]
    )
    ours, tuned, plain = np.median(runs, axis=0)
    lines = [
        "# dot-bias and the dense update in numba",
        "",
        f"ML-100k by title, {len(cut.train):,} ratings, {K} factors, batches of {BS}, {EPOCHS} epochs, one core;",
        f"medians of {args.repeats} runs of CPU time.",
        f"numba {numba.__version__}, numpy {np.__version__}, {platform.machine()}.",
        "",
        "| | seconds | ms an epoch | times dot-bias |",
        "|---|---|---|---|",
        *(
            f"| {name} | {s:.3f} | {1000 * s / EPOCHS:.1f} | {s / ours:.1f} |"
            for name, s in (("dot-bias", ours), ("dense, vectorised", tuned), ("dense, bare @njit", plain))
        ),
        "",
        f"Largest difference of a loss at any epoch over {args.seeds} seeds: {worst:.1e}.",
        f"Mean valid MSE at the end: {means[0]:.5f} (dense: {means[1]:.5f}).",
        "",
    ]
    out = Path(__file__).parent / "results" / "dot_bias.md"
    out.parent.mkdir(exist_ok=True)
    out.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
