"""Train ``next-item`` in blocks: ordered histories by blocks of users; transitions and neighbours by ranges of
items."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.engines.blocks import history, jobs, names, rows_of, whole
from cofactor.engines.item_gram import Weights, put_gram, put_rows, regress, tiles
from cofactor.engines.prepare import Prepared
from cofactor.engines.values import item_counts, strength
from cofactor.engines.work import Done, Work, put, put_joined, take
from cofactor.errors import ConfigError
from cofactor.models.base.age import popularity_of
from cofactor.models.base.local_ridge import NO_ROWS
from cofactor.models.base.sequences import Sequences
from cofactor.models.base.stored_rows import csr_state
from cofactor.models.base.strength import like_strengths
from cofactor.models.next_item.config import NextItemConfig
from cofactor.models.next_item.counts import (
    SHRINK,
    Settings,
    recent_scores,
    room_of,
    scaled,
    time_unit,
    transition_part,
)
from cofactor.models.next_item.search import choose, some_users

Array = NDArray[Any]

PARTS = ("items", "times", "strength")


def train(work: Work, data: Prepared, config: NextItemConfig, seed: int) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state. There are no losses."""
    if not data.timed:
        raise ConfigError(
            "next-item in blocks of rows needs times, because the order of rows in files is not kept; name the time"
            " column, or train on one machine (cofactor.fit)"
        )
    n = data.size("item")
    limits, counts = strength(work, data), item_counts(work, data)
    shared = {"folder": data.folder, "config": config, "n_items": n}
    work.step("next-a-users", order_task, jobs(data, "user", limits=limits, config=config))
    parts = [names(data, "user", f"seq-{what}") for what in ("counts", *PARTS)]
    work.step("next-b-join", join_task, [{**shared, "parts": parts}], drop=[name for part in parts for name in part])
    drawn = int(np.random.default_rng([seed, 0]).integers(2**63))
    found = work.step("next-c-choose", choose_task, [{**shared, "seed": drawn}])[0]
    s, unit = Settings(**found["settings"]), found["unit"]
    shared |= {"settings": s, "unit": unit, "counts": counts}
    todo = [{**shared, **tile} for tile in tiles(data, room_of(counts, config.steps, config.transitions))]
    work.step("next-d-transitions", transitions_task, todo)
    steps = scaled(_joined(data, [f"tile-{job['at']}-next" for job in todo], n), counts)
    work.step("next-e-recent", recent_task, [shared], drop=[f"seq-{what}" for what in ("starts", *PARTS)])
    near = _neighbours(work, data, config.neighbours if s.share else 0, config, counts)
    constants = np.array([s.decay, s.share if len(near.indices) else 0.0])
    state = csr_state(steps, "weights") | csr_state(history(data), "history") | csr_state(near, "near")
    return state | {
        "history_order": whole(data, "user", "times"),
        "popularity": popularity_of(counts),
        "range": limits,
        "recent": np.array(take(data.folder, "next-recent")),
        "constants": constants,
    }, [[float("nan")] * 2]


def _neighbours(work: Work, data: Prepared, k: int, config: NextItemConfig, counts: Array) -> CSR:
    """Find neighbours as :func:`cofactor.models.next_item.counts.neighbours` does."""
    n = data.size("item")
    empty = CSR(np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), NO_ROWS, n)
    if k == 0:
        return empty
    ones = Weights(None, 1.0, 0.0)
    sizes = put_rows(work, data, "near", ones)
    if 8e-9 * (int(sizes.sum()) + n * k) > config.max_gb:
        return empty
    put_gram(work, data, "near", ones, sizes)
    return scaled(regress(work, data, "near", sizes, k, SHRINK, [(config.reg, 0.0)])[0], counts)


def order_task(job: dict[str, Any]) -> Done:
    """Order the rows of a block of users by time. Rows with the same time keep their table order."""
    folder, block = job["folder"], job["block"]
    rows, need = rows_of(folder, "user", block)
    times, places = (np.asarray(take(folder, f"user-{block}-{what}")) for what in ("times", "places"))
    at = np.lexsort((places, times, np.repeat(np.arange(rows.n_rows), rows.counts)))
    values = like_strengths(rows.values[at], job["limits"], job["config"].min_rating_weight)
    found = {"counts": rows.counts, "items": need[rows.indices[at]], "times": times[at], "strength": values}
    return Done(None, [put(folder, f"user-{block}-seq-{what}", array) for what, array in found.items()])


def join_task(job: dict[str, Any]) -> Done:
    """Join the ordered histories of all users to flat tables."""
    folder, (counts, *others) = job["folder"], job["parts"]
    sizes = np.concatenate([take(folder, name) for name in counts])
    files = [put(folder, "seq-starts", np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))]
    for what, parts in zip(PARTS, others, strict=True):
        files.append(put_joined(folder, f"seq-{what}", parts))
    return Done(None, files)


def sequences(folder: str) -> Sequences:
    """Return the ordered histories of all users, mapped."""
    return Sequences(*(np.asarray(take(folder, f"seq-{what}")) for what in ("starts", *PARTS)))


def choose_task(job: dict[str, Any]) -> Done:
    """Choose the constants on some users, and the unit of time if it is used."""
    c, seqs, rng = job["config"], sequences(job["folder"]), np.random.default_rng([job["seed"], 1])
    s = choose(seqs.take(some_users(seqs.counts, c.max_rows, rng)), job["n_items"], c, True, rng)
    return Done({"settings": dataclasses.asdict(s), "unit": time_unit(seqs) if s.time_power else 1.0}, [])


def transitions_task(job: dict[str, Any]) -> Done:
    """Count the transitions for a range of items."""
    c, (lo, hi) = job["config"], job["tile"]
    seqs = sequences(job["folder"])
    found = transition_part(seqs, job["counts"], c.steps, c.transitions, job["settings"], job["unit"], lo, hi)
    parts = {"counts": found.counts, "indices": found.indices, "values": found.values}
    return Done(None, [put(job["folder"], f"tile-{job['at']}-next-{what}", array) for what, array in parts.items()])


def recent_task(job: dict[str, Any]) -> Done:
    """Compute the recent popularity."""
    found = recent_scores(sequences(job["folder"]), job["n_items"], job["settings"])
    return Done(None, [put(job["folder"], "next-recent", found)])


def _joined(data: Prepared, tiles_of: list[str], n: int) -> CSR:
    counts, indices, values = (
        np.concatenate([take(data.folder, f"{name}-{what}") for name in tiles_of])
        for what in ("counts", "indices", "values")
    )
    return CSR(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), indices, values, NO_ROWS, n)
