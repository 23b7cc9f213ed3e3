"""Train ``ials`` in blocks of rows: the sweeps of ``models/ials.py``, each side a map over blocks."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.engines.blocks import OTHER, first_chunk, gather, jobs, names, rows_of, summed, whole
from cofactor.engines.prepare import Prepared
from cofactor.engines.values import item_counts, strength
from cofactor.engines.work import Done, Work, put, take
from cofactor.kernels.sums import leaves_of, nodes_of
from cofactor.models.base.age import popularity_of
from cofactor.models.base.strength import strengths
from cofactor.models.ials import (
    IalsConfig,
    average_user,
    basis,
    gram_nodes,
    improve,
    padded,
    penalty_nodes,
    ridges,
    start_items,
    started,
    turn_rows,
)

Array = NDArray[Any]


def train(work: Work, data: Prepared, config: IalsConfig, seed: int) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state, and the losses of each sweep."""
    constants = config.for_table(data.rows, data.size("user"), data.size("item"))
    c = dataclasses.replace(config, **constants._asdict())
    limits, counts = strength(work, data), item_counts(work, data)
    begin = {"folder": data.folder, "cuts": data.cuts, "k": c.n_factors, "seed": seed, "counts": counts}
    work.step("ials-000", begin_task, [begin])
    means = {side: data.rows / max(data.size(side), 1) for side in ("user", "item")}
    gram = summed(work.step("ials-000-gram", gram_task, jobs(data, "item")), "gram")
    losses: list[list[float]] = []
    turns: list[Array] = []
    for sweep in range(1, c.epochs + 1):
        for side in ("user", "item"):
            turn, spectrum = basis(gram, constants.n_factors)
            turns = [*turns, turn][-2:]  # the other table has missed this one, the own one that before it too
            shared = {"sweep": sweep, "turns": turns, "spectrum": spectrum, "limits": limits, "mean": means[side]}
            shared["config"] = c
            old = names(data, side, f"table-{sweep - 1}")
            found = work.step(f"ials-{sweep:03d}-{side}", solve_task, jobs(data, side, **shared), drop=old)
            gram = summed(found, "gram")
            if side == "user":
                penalty = summed(found, "penalty")
        losses.append([float((summed(found, "losses") + penalty) / max(data.rows, 1)), float("nan")])
    tables = [whole(data, side, f"table-{c.epochs}") for side in ("user", "item")]
    turn_rows(tables[0], turns[-1])
    rated = np.concatenate([np.diff(take(data.folder, f"user-{at}-indptr")) for at, _, _ in data.blocks("user")])
    average = average_user(tables[0], tables[1], gram, rated, counts, constants, means["user"])[: c.n_factors]
    users, items = (table[:, : c.n_factors] for table in tables)
    state = {
        "user_factors": np.ascontiguousarray(started(users, rated, average)),
        "item_factors": np.ascontiguousarray(items),
        "item_bias": np.zeros(data.size("item"), np.float32),
        "popularity": popularity_of(counts),
        "range": limits,
        "mean_count": np.array(data.rows / max(data.size("user"), 1)),
        "average": average,
    }
    return state, losses


def begin_task(job: dict[str, Any]) -> Done:
    """Draw random factors for all items from one stream, written part by part. Users begin at zero."""
    folder, k = job["folder"], job["k"]
    rng = np.random.default_rng([job["seed"], 0])
    files = []
    for block, (lo, hi) in enumerate(pairwise(job["cuts"]["item"])):
        start = start_items(rng, job["counts"][lo:hi], k)
        files.append(put(folder, f"item-{block}-table-0", padded(start)))
    for block, (lo, hi) in enumerate(pairwise(job["cuts"]["user"])):
        files.append(put(folder, f"user-{block}-table-0", padded(np.zeros((hi - lo, k), np.float32))))
    return Done(None, files)


def gram_task(job: dict[str, Any]) -> Done:
    """Return a block's contribution to the product of the initial item table with itself."""
    table = np.array(take(job["folder"], f"{job['side']}-{job['block']}-table-0"))
    return Done({"gram": gram_nodes(table, first_chunk(job))}, [])


def solve_task(job: dict[str, Any]) -> Done:
    """Improve a block of rows, with the other side's newest table held fixed."""
    folder, side, block, sweep, c = job["folder"], job["side"], job["block"], job["sweep"], job["config"]
    rows, need = rows_of(folder, side, block)
    weighted = rows._replace(values=strengths(rows.values, job["limits"], c.min_rating_weight))
    newest = sweep if side == "item" else sweep - 1
    other = gather(folder, OTHER[side], f"table-{newest}", job["others"], need)
    table = np.array(take(folder, f"{side}-{block}-table-{sweep - 1}"))
    ridge = ridges(rows.counts, job["mean"], c.reg, c.nu)
    turn_rows(other, job["turns"][-1])
    for turn in job["turns"]:
        turn_rows(table, turn)
    losses = improve(weighted, c.alpha, other, job["spectrum"], ridge, table, steps=c.steps)
    value = {
        "gram": gram_nodes(table, first_chunk(job)),
        "penalty": penalty_nodes(table, ridge, first_chunk(job)) if side == "user" else [],
        "losses": nodes_of(leaves_of(losses), first_chunk(job)) if side == "item" else [],
    }
    return Done(value, [put(folder, f"{side}-{block}-table-{sweep}", table)])
