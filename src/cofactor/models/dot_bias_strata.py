"""Large epochs of dot-bias on several threads, the same weights at any number of them (kernels/dot_bias_strata.py).

Users and items are cut into B blocks each, of about equal ratings. A round takes B strata that share no row; B rounds
see every rating. B depends on the size of the data only, so that a stratum's rows of the tables fit the cache.

Gemulla et al. (2011) for the strata; interleaving their steps, and so the exact sequential meaning, is our own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config
from numpy.typing import NDArray

from cofactor.kernels import dot_bias_strata as kernel
from cofactor.model import Hyper

if TYPE_CHECKING:
    from cofactor.data.interactions import Interactions

Array = NDArray[Any]

AUTO_ROWS = 500_000
"""From how many ratings an epoch on ``parallel="auto"`` goes by strata."""
CACHE = 8 << 20
"""Bytes of tables that a stratum should have at most."""
CHUNK = 1 << 20


def n_blocks(n_users: int, n_items: int, stride: int) -> int:
    """4, 8 or 16: so many that the tables of a stratum (weights and both moments) are 8 MB, if that is enough."""
    blocks = 4
    while blocks < 16 and (n_users + n_items) * stride * 12 > blocks * CACHE:
        blocks *= 2
    return min(blocks, n_users, n_items)


def counts_of(codes: Array, n: int) -> Array:
    """How often each code is there; in pieces, as ``bincount`` makes int64 of all it gets."""
    found = np.zeros(n, np.int64)
    for lo in range(0, len(codes), CHUNK):
        found += np.bincount(codes[lo : lo + CHUNK], minlength=n)
    return found


def cuts_of(codes: Array, n: int, blocks: int) -> Array:
    """Where blocks of consecutive codes with about equal ratings begin and end: int64 (blocks + 1,)."""
    total = np.concatenate([[0], np.cumsum(counts_of(codes, n))])
    cuts: Array = np.searchsorted(total, np.arange(blocks + 1) * (total[-1] / blocks))
    cuts[0], cuts[-1] = 0, n
    return cuts.astype(np.int64)


class Strata:
    """The blocks of one table of ratings."""

    def __init__(self, data: Interactions, stride: int) -> None:
        self.blocks = n_blocks(data.n_users, data.n_items, stride)
        self.user_cuts = cuts_of(data.users, data.n_users, self.blocks)
        self.item_cuts = cuts_of(data.items, data.n_items, self.blocks)
        sides = [(c, np.arange(self.blocks, dtype=np.uint8)) for c in (self.user_cuts, self.item_cuts)]
        user_block, item_block = (np.repeat(names, np.diff(cuts)) for cuts, names in sides)
        self.stratum = kernel.strata_of(data.users, data.items, user_block, item_block, self.blocks)

    def rounds(self, rows: Array, bs: int) -> list[tuple[list[tuple[int, int]], list[Array], Array]]:
        """The rounds of an epoch: the strata as (user block, item block), their rows, and whose turn each step is.

        Every one of ``rows`` is in one stratum, in its order. The order of rounds follows from that of the rows.
        """
        blocks = self.blocks
        starts = np.zeros(blocks * blocks + 1, np.int64)
        grouped = kernel.partition(rows, self.stratum, starts)
        found = []
        for shift in np.random.default_rng(rows[:4].astype(np.int64)).permutation(blocks).tolist():
            pairs = [(b, (b + shift) % blocks) for b in range(blocks)]
            parts = [grouped[starts[u * blocks + i] : starts[u * blocks + i + 1]] for u, i in pairs]
            counts = np.array([-(-len(part) // bs) for part in parts], np.int64)
            owner = np.empty(int(counts.sum()), np.int8)
            kernel.interleave(counts, owner)
            found.append((pairs, parts, owner))
        return found


def stretched(hyper: Hyper, steps: int) -> tuple[Array, Array, Array]:
    """Which batch of the plain order each of ``steps`` steps goes by, and its learning rates and momenta."""
    at = np.arange(steps) * len(hyper.lr) // max(steps, 1)
    return at, np.asarray(hyper.lr, np.float64)[at], np.asarray(hyper.mom, np.float64)[at]


def run_epoch(stepper: Any, rows: Array, hyper: Hyper, b2: float, eps: float, loss: int) -> Array:
    """Train an epoch; losses by the batches of the plain order (the mean of the steps that went by it)."""
    strata: Strata = stepper.strata
    s = stepper
    rounds = strata.rounds(rows, hyper.bs)
    steps = sum(len(owner) for _, _, owner in rounds)
    at, lr, mom = stretched(hyper, steps)
    losses = np.zeros(steps)
    s.flush()
    threads = min(int(config.NUMBA_NUM_THREADS), strata.blocks)  # type: ignore[attr-defined]
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        for pairs, parts, owner in rounds:
            n = len(owner)
            plan, fresh = np.empty((6, n)), np.zeros(n, np.bool_)
            here = slice(done, done + n)
            kernel.schedule(lr[here], mom[here], hyper.wd, b2, int(s.clock[0]), len(s.fade) - 1, plan, fresh)

            shared = (hyper.bs, owner, plan, fresh, losses[here], b2, eps, loss, *s.model._range())
            tasks = [pool.submit(_train, s, strata, shared, b, *pairs[b], parts[b]) for b in range(strata.blocks)]
            for task in tasks:
                task.result()
            s.clock[0] += n
            done += n
    first = np.searchsorted(at, np.arange(len(hyper.lr)))
    return np.add.reduceat(losses, first) / np.diff(np.append(first, steps))


def _train(s: Any, strata: Strata, shared: tuple[Any, ...], me: int, u: int, i: int, rows: Array) -> None:
    """One stratum, user block ``u`` by item block ``i``, as number ``me`` of its round."""
    bs, owner, plan, fresh, losses, b2, eps, loss, lo, hi, ranged = shared
    d, user_cuts, item_cuts = s.data, strata.user_cuts, strata.item_cuts + s.data.n_users
    kernel.train_stratum(
        me,
        owner,
        plan,
        fresh,
        (int(user_cuts[u]), int(user_cuts[u + 1])),
        (int(item_cuts[i]), int(item_cuts[i + 1])),
        bs,
        rows,
        d.users,
        d.items,
        d.values,
        s.fade,
        s.table,
        s.ms,
        s.last,
        s.first,
        s.mask,
        d.n_users,
        b2,
        eps,
        loss,
        lo,
        hi,
        ranged,
        losses,
        s.lanes,
    )
