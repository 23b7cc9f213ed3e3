"""Train large epochs of dot-bias on several threads, with the same weights at any number of threads
(kernels/dot_bias/strata.py).

Users and items are cut into blocks of about equal size, such that a stratum's rows of the tables fit into the cache. A
round takes as many strata without common rows as the shorter side has blocks, and a batch takes a share of each. Every
stratum is visited TURNS times per epoch, each time with other ratings. The number of blocks depends on the data only.

The strata are those of Gemulla et al. (2011). Batches across them, and hence the exact sequential meaning, are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import config
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.kernels.dot_bias import strata as kernel
from cofactor.kernels.dot_bias.epoch import schedule, scratch
from cofactor.model import Hyper

Array = NDArray[Any]

AUTO_ROWS = 500_000
"""From this many ratings on, an epoch with ``parallel="auto"`` goes by strata."""
CACHE = 8 << 20
"""Maximal bytes of tables in a stratum."""
WIDTH = 4
"""Strata in a round: the number of threads that can work on it."""
TURNS = 2
"""How often an epoch visits each stratum."""
CHUNK = 1 << 20


def n_blocks(n_users: int, n_items: int, stride: int) -> tuple[int, int]:
    """Return the numbers of blocks of users and of items.

    The shorter side has WIDTH blocks (one per row if it has fewer rows). The longer side has a multiple of that, such
    that the tables of a stratum (weights and both moments) fit into CACHE. No block exceeds 65,536.
    """
    short, long = sorted((n_users, n_items))
    width = min(WIDTH, short)
    while short > width * (1 << 15):
        width *= 2
    blocks = width
    while (short / width + long / blocks) * stride * 12 > CACHE and long / blocks > short / width:
        blocks *= 2
    blocks = min(blocks, long // width * width)
    while long > blocks * (1 << 15):
        blocks *= 2
    return (width, blocks) if n_users < n_items else (blocks, width)


def counts_of(codes: Array, n: int) -> Array:
    """Count how often each code occurs, in pieces, because ``bincount`` copies its input to int64."""
    found = np.zeros(n, np.int64)
    for lo in range(0, len(codes), CHUNK):
        found += np.bincount(codes[lo : lo + CHUNK], minlength=n)
    return found


def cuts_of(codes: Array, n: int, blocks: int) -> Array:
    """Return where blocks of consecutive codes begin and end: int64 (blocks + 1,). No block has more than twice its
    share of the ratings or of the codes."""
    weight = counts_of(codes, n) / max(len(codes), 1) + 1 / n
    total = np.concatenate([[0], np.cumsum(weight)])
    cuts: Array = np.searchsorted(total, np.arange(blocks + 1) * (total[-1] / blocks))
    cuts[0], cuts[-1] = 0, n
    return cuts.astype(np.int64)


def coded(values: Array) -> tuple[Array, Array | None]:
    """Return ratings as uint8 positions among the distinct values; or as bits (uint32), if there are over 256."""
    bits, marks, levels = values.view(np.uint32), np.empty(len(values), np.uint8), np.empty(256, np.uint32)
    n = kernel.coded(bits, marks, levels)
    return (bits, None) if n < 0 else (marks, levels[:n])


class Turn(NamedTuple):
    """One round: its strata as (user block, item block), the piece of each (of TURNS), the number of ratings of each in
    it, and the number of its batches."""

    pairs: list[tuple[int, int]]
    piece: int
    sizes: list[int]
    steps: int

    def whole(self) -> Array:
        """Return the number of ratings in each batch; of a stratum of n, batch t takes those from n t / steps to
        n (t + 1) / steps."""
        t = np.arange(self.steps + 1)
        return np.diff(sum((n * t // max(self.steps, 1) for n in self.sizes), np.zeros_like(t)))


class Strata:
    """The ratings by stratum, and the blocks."""

    def __init__(self, data: Interactions, values: Array, stride: int) -> None:
        self.blocks = n_blocks(data.n_users, data.n_items, stride)
        sides = ((data.users, data.n_users), (data.items, data.n_items))
        self.user_cuts, self.item_cuts = cuts = [cuts_of(c, n, b) for (c, n), b in zip(sides, self.blocks)]
        user_block, item_block = (np.repeat(np.arange(len(c) - 1, dtype=np.uint16), np.diff(c)) for c in cuts)
        marks, self.levels = coded(values)
        user_bits, item_bits = (int(np.diff(c).max() - 1).bit_length() for c in cuts)
        self.shifts = (0, user_bits, user_bits + item_bits)
        if self.levels is None or len(self.levels).bit_length() + self.shifts[2] > 32:
            marks, self.levels, self.shifts = values.view(np.uint32), None, (0, 16, 32)
        self.starts = np.zeros(self.blocks[0] * self.blocks[1] + 1, np.int64)
        self.packed = np.empty(len(data), np.uint64 if self.levels is None else np.uint32)
        kernel.group(
            data.users,
            data.items,
            marks,
            user_block,
            item_block,
            self.user_cuts,
            self.item_cuts,
            self.shifts,
            self.starts,
            self.packed,
        )

    def stratum(self, pair: tuple[int, int]) -> int:
        return pair[0] * self.blocks[1] + pair[1]

    def words(self, pair: tuple[int, int], piece: int, keys: Array) -> Array:
        """Return one piece of a stratum, shuffled by its key."""
        s = self.stratum(pair)
        packed = self.packed[self.starts[s] : self.starts[s + 1]]
        lo, hi = piece_of(len(packed), piece)
        words: Array = kernel.shuffled(packed, self.shifts, self.levels, keys[s], hi)[lo:hi]
        return words

    def turns(self, seed: Sequence[int], bs: int) -> list[Turn]:
        """Return the rounds of an epoch. WIDTH blocks of the longer side meet all of the shorter side, TURNS times,
        before the next are taken. The order is random."""
        width, long = sorted(self.blocks)
        rng, found = np.random.default_rng(seed), []
        for group in rng.permutation(long // width).tolist():
            for piece in range(TURNS):
                for shift in rng.permutation(width).tolist():
                    ones = [(group * width + b, (b + shift) % width) for b in range(width)]
                    pairs = ones if self.blocks[0] == long else [(u, i) for i, u in ones]
                    ends = [piece_of(int(np.diff(self.starts)[self.stratum(pair)]), piece) for pair in pairs]
                    sizes = [hi - lo for lo, hi in ends]
                    found.append(Turn(pairs, piece, sizes, -(-sum(sizes) // bs)))
        return found

    def keys(self, seed: Sequence[int]) -> Array:
        """Return a number for each stratum from which its order is drawn."""
        return np.random.SeedSequence(list(seed)).generate_state(len(self.starts) - 1, np.uint64)


def piece_of(n: int, piece: int) -> tuple[int, int]:
    """Return where a piece of ``n`` ratings begins and ends."""
    return n * piece // TURNS, n * (piece + 1) // TURNS


def run_epoch(
    stepper: Any, strata: Strata, seed: Sequence[int], hyper: Hyper, b2: float, eps: float, loss: int
) -> Array:
    """Train an epoch in the order that ``seed`` gives.

    Rates and losses refer to the batches of the plain order: a step uses those of the batch at the same fraction of the
    epoch, and the loss of a batch is the mean of the steps that used it.
    """
    s, keys, turns = stepper, strata.keys(seed), strata.turns(seed, hyper.batch_size)
    steps = sum(turn.steps for turn in turns)
    losses = np.zeros(steps)
    lr, mom = np.asarray(hyper.lr, np.float64), np.asarray(hyper.momentum, np.float64)
    s.flush()
    width = min(strata.blocks)
    done = 0
    with ThreadPoolExecutor(min(int(config.NUMBA_NUM_THREADS), width)) as pool:  # type: ignore[attr-defined]
        for turn in turns:
            n, whole = turn.steps, turn.whole()
            shares, at = np.zeros((width, n)), batch_of(done + np.arange(n), hyper, steps)
            plan = schedule(lr[at], mom[at], hyper.weight_decay, b2, int(s.clock[0]))
            rest = (b2, eps, loss, *s.limits)
            tasks = [
                pool.submit(_train, s, strata, keys, turn, pair, whole, plan, rest, share)
                for pair, share in zip(turn.pairs, shares)
            ]
            for task in tasks:
                task.result()
            losses[done : done + n] = shares.sum(0)
            s.clock[0] += n
            done += n
    first = -(-np.arange(len(hyper.lr)) * steps // len(hyper.lr))
    return np.add.reduceat(losses, first) / np.diff(np.append(first, steps))


def batch_of(step: Array, hyper: Hyper, steps: int) -> Array:
    """Return the batch of the plain order at the same fraction of the epoch as a step of ``steps``."""
    return step * len(hyper.lr) // max(steps, 1)


def _train(
    s: Any,
    strata: Strata,
    keys: Array,
    turn: Turn,
    pair: tuple[int, int],
    whole: Array,
    plan: Array,
    rest: Any,
    share: Array,
) -> None:
    """Train one stratum of a round."""
    b2, eps, loss, lo, hi, ranged = rest
    (u, i), user_cuts, item_cuts = pair, strata.user_cuts, strata.item_cuts + s.data.n_users
    words = strata.words(pair, turn.piece, keys)
    kernel.train_stratum(
        words,
        (int(user_cuts[u]), int(user_cuts[u + 1])),
        (int(item_cuts[i]), int(item_cuts[i + 1])),
        whole,
        plan,
        s.fade,
        s.table,
        s.ms,
        s.last,
        s.first,
        s.mask,
        b2,
        eps,
        loss,
        lo,
        hi,
        ranged,
        share,
        s.lanes,
        scratch(len(words) // len(whole) + 1, s.lanes),
    )
