"""Train ``ease`` with neighbours in blocks: the items' Gram matrix, then the regressions, a range of items in each
job."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.engines.blocks import history, jobs, rows_of
from cofactor.engines.item_gram import Weights, held_out_pairs, put_gram, put_rows, regress
from cofactor.engines.prepare import Prepared
from cofactor.engines.values import item_counts, strength
from cofactor.engines.work import Done, Work, put, take
from cofactor.errors import ConfigError
from cofactor.models.base.age import popularity_of
from cofactor.models.base.inner import InnerSplit, entries_of, held_entries, kept_entries, some_users
from cofactor.models.base.local_ridge import NO_ROWS
from cofactor.models.base.strength import like_strengths
from cofactor.models.ease import (
    HELD,
    SHRINK,
    USER_POWER,
    USERS,
    Ease,
    EaseConfig,
    best_reg,
    check_entries,
    near_of,
    part_of,
    regs_of,
)

Array = NDArray[Any]


def train(work: Work, data: Prepared, config: EaseConfig, seed: int) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state. There are no losses."""
    n = data.size("item")
    k = near_of(config, n)
    if not k:
        raise ConfigError(
            "ease with all items in one regression trains on one machine (cofactor.fit); in blocks of rows it needs a"
            " number of neighbours, such as neighbours=150"
        )
    limits, counts = strength(work, data), item_counts(work, data)
    weights = Weights(limits, config.min_rating_weight, USER_POWER)
    sizes = put_rows(work, data, "gram", weights)
    check_entries(int(sizes.sum()), config.max_gb)
    reg = config.local_reg
    if reg is None:
        chosen = int(np.random.default_rng([seed, 0]).integers(2**63))
        reg = _local_reg(work, data, weights, k, config, chosen)
    put_gram(work, data, "gram", weights, sizes)
    found = regress(work, data, "gram", sizes, k, SHRINK, [(reg, config.dropout)])[0]
    return Ease.assembled(config, found, history(data), popularity_of(counts), limits), [[float("nan")] * 2]


def _local_reg(work: Work, data: Prepared, weights: Weights, k: int, c: EaseConfig, seed: int) -> float:
    """Return the penalty that ranks held-out entries best (see :func:`cofactor.models.ease.best_reg`)."""
    n = data.size("item")
    highest = max(work.step("ease-a-highest", highest_task, jobs(data, "user", weights=weights)))
    blocks = [pair for _, *pair in data.blocks("user")]
    hold = {"folder": data.folder, "blocks": blocks, "seed": seed, "weights": weights, "highest": highest, "n_items": n}
    work.step("ease-b-hold", hold_task, [hold])
    left = weights._replace(without="held")
    sizes = put_rows(work, data, "inner", left)
    put_gram(work, data, "inner", left, sizes)
    regs = regs_of(np.array(take(data.folder, "inner-gram-diagonal")))
    part = np.array(take(data.folder, "held-part"))
    trials = dict(zip(regs, regress(work, data, "inner", sizes, k, SHRINK, [(reg, c.dropout) for reg in regs], part)))
    users, seen, wanted = np.array(take(data.folder, "held-users")), *(_csr(data, n, w) for w in ("seen", "wanted"))
    split = InnerSplit(seen, users, seen, wanted)
    return best_reg(split, part, n, regs, lambda some: [trials[reg] for reg in some])


def _csr(data: Prepared, n_cols: int, what: str) -> CSR:
    names = ("indptr", "indices", "values")
    indptr, indices, values = (np.array(take(data.folder, f"held-{what}-{part}")) for part in names)
    return CSR(indptr, indices, values, NO_ROWS, n_cols)


def highest_task(job: dict[str, Any]) -> Done:
    """Return the largest strength in a block of users."""
    values = np.asarray(take(job["folder"], f"user-{job['block']}-values"))
    return Done(float(like_strengths(values, job["weights"].limits, job["weights"].lowest).max(initial=0.0)), [])


def hold_task(job: dict[str, Any]) -> Done:
    """Hold out entries of some users, like :func:`cofactor.models.base.inner.hold_entries`, from one stream of random
    numbers, a block of users at a time."""
    folder, weights, n = job["folder"], job["weights"], job["n_items"]
    rng = np.random.default_rng([job["seed"], 1])
    counts = np.concatenate([np.diff(take(folder, f"user-{at}-indptr")) for at in range(len(job["blocks"]))])
    users = some_users(counts, USERS, rng)
    files, pairs, able = [], [], []
    kept: dict[str, list[CSR]] = {"seen": [], "wanted": []}
    for block, (lo, hi) in enumerate(job["blocks"]):
        rows, need = rows_of(folder, "user", block)
        lot = rng.random(len(rows.indices))
        mine = users[(users >= lo) & (users < hi)] - lo
        places = entries_of(rows.indptr, mine)
        some = rows.take(mine)
        some = some._replace(
            indices=need[some.indices], n_cols=n, values=like_strengths(some.values, weights.limits, weights.lowest)
        )
        held, good = held_entries(some, lot[places], HELD, job["highest"])
        files.append(put(folder, f"held-{block}", places[held]))
        who = np.repeat(mine + lo, some.counts)
        pairs.append(held_out_pairs(some, who, held))
        wanted = kept_entries(some, good)
        at = np.flatnonzero(wanted.counts > 0)
        able.append(mine[at] + lo)
        kept["seen"].append(kept_entries(some, ~held).take(at))
        kept["wanted"].append(wanted.take(at))
    files.append(put(folder, "held-pairs", np.concatenate(pairs)))
    files.append(put(folder, "held-users", np.concatenate(able).astype(np.int64)))
    files.append(put(folder, "held-part", part_of(n, rng)))
    for what, parts in kept.items():
        counts = np.concatenate([part.counts for part in parts])
        files.append(put(folder, f"held-{what}-indptr", np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)))
        files.append(put(folder, f"held-{what}-indices", np.concatenate([part.indices for part in parts])))
        files.append(put(folder, f"held-{what}-values", np.concatenate([part.values for part in parts])))
    return Done(None, files)
