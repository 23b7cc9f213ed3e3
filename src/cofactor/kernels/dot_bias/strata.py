"""An epoch of dot-bias in strata: blocks of users by blocks of items. The strata of a round have no rows in common.

A batch takes a share of every stratum of the round, and the rows of these shares are disjoint. Each stratum can
therefore be trained separately, at the same time as the others, and the weights are those of the batches in sequence.

A rating is stored as one number: the user and the item (both counted from the first of their blocks) and a mark, each
starting at its bit of ``shifts``. The mark is the position of the rating in ``levels``, in a uint32. If that does not
fit, it is the bits of the float32, in a uint64 with the shifts 0, 16 and 32 (a word). For an epoch, a stratum is
shuffled into words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.dot_bias.epoch import advance, batch, begin, is_full, settle_all, unpacked
from cofactor.kernels.dot_bias.loss import FAST

Array = NDArray[Any]
Real = Any


@njit(cache=True, nogil=True)
def coded(bits: Array, marks: Array, levels: Array) -> int:
    """Set ``marks`` (uint8) of uint32 ``bits`` to their positions in ``levels``, which is filled (256 at most). Returns
    the number of levels, or -1 if there are more."""
    slots = np.full(1024, -1, np.int16)
    n = 0
    for r in range(len(bits)):
        at = np.int64(np.uint32(bits[r] * np.uint32(2654435761)) >> np.uint32(22))
        while slots[at] >= 0 and levels[slots[at]] != bits[r]:
            at = (at + 1) % 1024
        if slots[at] < 0:
            if n == len(levels):
                return -1
            slots[at], levels[n] = n, bits[r]
            n += 1
        marks[r] = slots[at]
    return n


@njit(cache=True, nogil=True)
def group(
    users: Array,
    items: Array,
    marks: Array,
    user_block: Array,
    item_block: Array,
    user_cuts: Array,
    item_cuts: Array,
    shifts: Any,
    starts: Array,
    out: Array,
) -> None:
    """Write the ratings by stratum (user block times item blocks plus item block), in their order, into ``out``.

    ``starts`` int64 (strata + 1,) becomes where each stratum begins.
    """
    blocks = len(item_cuts) - 1
    starts[:] = 0
    for r in range(len(users)):
        starts[user_block[users[r]] * blocks + item_block[items[r]] + 1] += 1
    for s in range(1, len(starts)):
        starts[s] += starts[s - 1]
    cursor = starts[:-1].copy()
    for r in range(len(users)):
        u, i = user_block[users[r]], item_block[items[r]]
        mine = u * blocks + i
        user, item = np.uint64(users[r] - user_cuts[u]), np.uint64(items[r] - item_cuts[i])
        out[cursor[mine]] = user | (item << np.uint64(shifts[1])) | (np.uint64(marks[r]) << np.uint64(shifts[2]))
        cursor[mine] += 1


@njit(cache=True, nogil=True)
def shuffled(packed: Array, shifts: Any, levels: Array | None, key: Any, upto: int) -> Array:
    """Return the ratings of a stratum as words. The first ``upto`` are in the order that ``key`` (uint64) gives.

    Fisher & Yates from the front, with numbers from SplitMix64 (Steele, Lea & Flood, 2014).
    """
    n = len(packed)
    words = np.empty(n, np.uint64)
    if levels is None:
        words[:] = packed
    else:
        low, high = np.uint32(shifts[1]), np.uint32(shifts[2])
        users, items = np.uint32((1 << shifts[1]) - 1), np.uint32((1 << (shifts[2] - shifts[1])) - 1)
        for r in range(n):
            one = packed[r]
            user, item, bits = one & users, (one >> low) & items, levels[one >> high]
            words[r] = np.uint64(user) | (np.uint64(item) << np.uint64(16)) | (np.uint64(bits) << np.uint64(32))
    for r in range(upto):
        key += np.uint64(0x9E3779B97F4A7C15)
        z = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        other = r + np.int64(((z >> np.uint64(32)) * np.uint64(n - r)) >> np.uint64(32))
        words[r], words[other] = words[other], words[r]
    return words


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def train_stratum(
    words: Array,
    user_rows: Any,
    item_rows: Any,
    whole: Array,
    plan: Array,
    fade: Array,
    w: Array,
    ms: Array,
    last: Array,
    first: Array,
    mask: Array,
    b2: Real,
    eps: Real,
    loss: int,
    lo: Real,
    hi: Real,
    ranged: bool,
    losses: Array,
    lanes: int,
    space: Any,
) -> None:
    """Train a stratum for a round: of its ``words``, step t of T takes those from n t / T to n (t + 1) / T.

    ``whole`` int64 (T,) counts the ratings of the batches over all strata; ``losses`` (T,) gets this stratum's share.
    ``user_rows`` and ``item_rows`` are the (first, last) of its rows of ``w``, which are up to date before and after,
    and which no other thread uses meanwhile. ``space`` is scratch for a step (``epoch.scratch``).
    """
    n, steps = len(words), len(whole)
    past, clock = np.empty((5, min(steps, len(fade) - 1) + 1)), np.zeros(3, np.int64)
    base, tiny = (np.int32(user_rows[0]), np.int32(item_rows[0])), np.float32(eps)
    y, row = space[1], space[3]
    begin(past, clock)
    for t in range(steps):
        if is_full(past, clock):
            settle_all(user_rows[0], user_rows[1], 0, clock[1], past, fade, w, ms, last, mask, tiny, lanes)
            settle_all(item_rows[0], item_rows[1], 1, clock[1], past, fade, w, ms, last, mask, tiny, lanes)
            begin(past, clock)
        clock[1] += 1
        now = clock[1]
        b1, rate, root, decay = plan[0, t], plan[1, t], plan[2, t], plan[3, t]
        start, end = n * t // steps, n * (t + 1) // steps
        if end > start:
            for b in range(end - start):
                row[b, 0], row[b, 1], y[b] = unpacked(words[start + b], base)
            losses[t] = batch(
                words,
                start,
                end - start,
                whole[t],
                base,
                now,
                past[4, now - 1],
                past,
                fade,
                w,
                ms,
                last,
                first,
                mask,
                b1,
                b2,
                rate,
                root,
                decay,
                eps,
                loss,
                lo,
                hi,
                ranged,
                space,
                lanes,
            )
        advance(past, clock, now, b1, b2, rate, root, decay)
    settle_all(user_rows[0], user_rows[1], 0, clock[1], past, fade, w, ms, last, mask, tiny, lanes)
    settle_all(item_rows[0], item_rows[1], 1, clock[1], past, fade, w, ms, last, mask, tiny, lanes)
