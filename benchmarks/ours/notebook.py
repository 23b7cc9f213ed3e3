"""cofactor's side of the notebook's job, and the dense update in numba, on the same rows; warm, taking turns."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import dot_bias_dense as dense
from dot_bias import BS, EPOCHS, LR, WD, K, Y, mse, orders
from factorise import part

import cofactor as cf
from cofactor.data.interactions import Interactions, Split
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.train.schedules import one_cycle_plan


def ours(split: Split, seed: int) -> dict[str, float]:
    """All that the user waits for: first values, five epochs, the valid loss after each."""
    return fitted(cf.collab_learner(split, n_factors=K, y_range=Y, seed=seed, verbose=False))


def network(split: Split, seed: int) -> dict[str, float]:
    """The same of the network."""
    given = {"use_nn": True, "layers": [100, 50], "y_range": Y, "device": "cpu"}
    return fitted(cf.collab_learner(split, seed=seed, verbose=False, **given))


def fitted(learn: cf.Learner) -> dict[str, float]:
    start, busy = time.perf_counter(), time.process_time()
    learn.fit_one_cycle(EPOCHS, LR, wd=WD)
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    return {"seconds": seconds, "cpu": cpu, "mse": learn.recorder.values[-1][1]}


def densely(split: Split, seed: int, kernel: object) -> dict[str, float]:
    """The same: first values, five epochs, the valid loss after each."""
    train = split.train
    start, busy = time.perf_counter(), time.process_time()
    table = DotBias(DotBiasConfig(n_factors=K, y_range=Y)).stepper(train, np.random.default_rng([seed, 0])).table
    u, i = dense.tables(table, train.n_users, K)
    plan, n = one_cycle_plan(EPOCHS, LR, WD), len(train) // BS
    each = np.empty(n)
    for epoch, rows in enumerate(orders(len(train), seed)):
        lr, mom = plan.arrays(epoch, 0, n, n)
        kernel(rows, train.users, train.items, train.values, u, i, lr, mom, WD, 0.99, 1e-5, *Y, epoch * n, BS, each)
        loss = mse(u[0], i[0], split.valid)
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - busy, "mse": loss}


def short(data: Interactions) -> Split:
    return Split(data.take(np.arange(2000)), data.take(np.arange(2000, 3000)), "a few rows to warm up")


def main() -> None:
    asked = json.loads(sys.argv[1])
    arrays = np.load(asked["file"])
    split = Split(part(arrays, "train"), part(arrays, "valid"), "given")
    warm = short(split.train)
    sides = (
        {"network": network}
        if asked["network"]
        else {
            "ours": ours,
            "tuned": lambda s, k: densely(s, k, dense.tuned),
            "plain": lambda s, k: densely(s, k, dense.plain),
        }
    )
    for side in sides.values():
        side(warm, 0)
    runs = [{name: side(split, asked["seed"] + r) for name, side in sides.items()} for r in range(asked["runs"])]
    print(json.dumps({name: [run[name] for run in runs] for name in sides}))


if __name__ == "__main__":
    main()
