"""An epoch of dot-bias in strata: blocks of users by blocks of items, of which those in a round share no row.

The batches of a round's strata are interleaved to one sequence of steps. A stratum is trained by itself all the same:
what the steps of others do to its rows (momentum and decay go on) depends on the schedule alone, and the lazy update
makes up for it. So the strata of a round may run at the same time, and the weights are those of the sequence.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.dot_bias import FAINT, GONE, batch, catch_up, scratch, step_sizes
from cofactor.kernels.dot_bias_loss import FAST

Array = NDArray[Any]
Real = Any


@njit(cache=True)
def strata_of(users: Array, items: Array, user_block: Array, item_block: Array, blocks: int) -> Array:
    """The stratum of each rating, user block * ``blocks`` + item block, uint8."""
    out = np.empty(len(users), np.uint8)
    for r in range(len(users)):
        out[r] = user_block[users[r]] * blocks + item_block[items[r]]
    return out


@njit(cache=True)
def partition(rows: Array, stratum: Array, starts: Array) -> Array:
    """``rows`` grouped by stratum, in their order; ``starts`` becomes where each begins."""
    starts[:] = 0
    for r in rows:
        starts[np.int64(stratum[r]) + 1] += 1
    for s in range(1, len(starts)):
        starts[s] += starts[s - 1]
    cursor = starts[:-1].copy()
    out = np.empty_like(rows)
    for r in rows:
        mine = np.int64(stratum[r])
        out[cursor[mine]] = r
        cursor[mine] += 1
    return out


@njit(cache=True)
def interleave(counts: Array, owner: Array) -> None:
    """Whose turn each step of a round is, int8: batch j of n falls at (j + 1/2) / n of the round."""
    done = np.zeros(len(counts), np.int64)
    for t in range(len(owner)):
        best, first = 2.0, 0
        for s in range(len(counts)):
            at = (done[s] + 0.5) / counts[s] if done[s] < counts[s] else 2.0
            if at < best:
                best, first = at, s
        owner[t] = first
        done[first] += 1


@njit(cache=True, fastmath=FAST, error_model="numpy")
def schedule(lr: Array, mom: Array, wd: Real, b2: Real, t: int, longest: int, plan: Array, fresh: Array) -> None:
    """Of the steps after step ``t``, the columns of ``plan`` (6, n): momentum, rate, root, decay, decay before it, and
    the rate over the decay after it. ``fresh``: the step is preceded by a flush (at most ``longest`` apart)."""
    so_far, since = 1.0, 0
    for k in range(len(lr)):
        fresh[k] = k > 0 and (since >= longest or abs(so_far) < FAINT)
        if fresh[k]:
            so_far, since = 1.0, 0
        b1, rate, root, decay = step_sizes(lr[k], mom[k], wd, b2, t + k + 1)
        plan[0, k], plan[1, k], plan[2, k], plan[3, k], plan[4, k] = b1, rate, root, decay, so_far
        so_far = so_far * decay
        since += 1
        plan[5, k] = rate / so_far


@njit(error_model="numpy", fastmath=FAST)
def _advance(past: Array, live: int, columns: int, b1: Real, b2: Real, c0: Real, root: Real) -> int:
    """Add a step to the sums of the columns so far; the first column that still changes."""
    while live < columns and abs(past[1, live]) < GONE:
        live += 1
    ratio = b1 / math.sqrt(b2)
    c1 = c0 / root
    for i in range(live, columns):
        past[0, i] *= b1
        past[1, i] *= ratio
        past[2, i] += c0 * past[0, i]
        past[3, i] += c1 * past[1, i]
    return live


@njit(error_model="numpy", fastmath=FAST)
def _begin(past: Array, when: Array, column: int, step: int, so_far: Real) -> None:
    when[column] = step
    past[0, column], past[1, column], past[2, column], past[3, column] = 1.0, 1.0, 0.0, 0.0
    past[4, column] = so_far


@njit(error_model="numpy", fastmath=FAST)
def _settle_all(
    span: Any,
    side: int,
    now: int,
    so_far: Real,
    when: Array,
    past: Array,
    fade: Array,
    w: Array,
    ms: Array,
    last: Array,
    mask: Array,
    tiny: Real,
    lanes: Any,
) -> None:
    """Bring the rows of ``span`` (first, last) up to step ``now``, and their clock back to 0 (as ``flush`` does)."""
    for row in range(span[0], span[1]):
        then = last[row]
        last[row] = 0
        gap = now - when[then]
        if gap == 0:
            continue
        catch_up(w, ms, mask, row, side, past, then, fade[gap], so_far, tiny, lanes)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def train_stratum(
    me: int,
    owner: Array,
    plan: Array,
    fresh: Array,
    user_rows: Any,
    item_rows: Any,
    bs: int,
    rows: Array,
    users: Array,
    items: Array,
    values: Array,
    fade: Array,
    w: Array,
    ms: Array,
    last: Array,
    first: Array,
    mask: Array,
    n_users: int,
    b2: Real,
    eps: Real,
    loss: int,
    lo: Real,
    hi: Real,
    ranged: bool,
    losses: Array,
    lanes: Any,
) -> None:
    """Train the batches of stratum ``me`` of a round, the last of them short; ``rows`` are its ratings.

    ``owner``, ``plan``, ``fresh`` and ``losses`` go by steps of the round. ``user_rows`` and ``item_rows`` are the
    (first, last) of its rows of ``w``, up to date before and after, and nobody else's meanwhile. ``past`` has a column
    for the start of the round and one for each batch of this stratum.
    """
    batches = (len(rows) + bs - 1) // bs
    past = np.zeros((5, batches + 1))
    when = np.zeros(batches + 1, np.int32)
    space = scratch(bs, lanes)
    tiny = np.float32(eps)
    _begin(past, when, 0, 0, 1.0)
    columns, live, start, now, so_far = 1, 0, 0, 0, 1.0
    for t in range(len(owner)):
        if fresh[t]:
            _settle_all(user_rows, 0, now, so_far, when, past, fade, w, ms, last, mask, tiny, lanes)
            _settle_all(item_rows, 1, now, so_far, when, past, fade, w, ms, last, mask, tiny, lanes)
            _begin(past, when, 0, 0, 1.0)
            columns, live, now = 1, 0, 0
        now += 1
        b1, rate, root, decay, so_far, c0 = plan[0, t], plan[1, t], plan[2, t], plan[3, t], plan[4, t], plan[5, t]
        mine = owner[t] == me
        if mine:
            size = min(bs, len(rows) - start)
            losses[t] = batch(
                rows,
                start,
                size,
                users,
                items,
                values,
                columns,
                now,
                when,
                so_far,
                past,
                fade,
                w,
                ms,
                last,
                first,
                mask,
                n_users,
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
            start += size
        live = _advance(past, live, columns, b1, b2, c0, root)
        so_far = so_far * decay
        if mine:
            _begin(past, when, columns, now, so_far)
            columns += 1
    _settle_all(user_rows, 0, now, so_far, when, past, fade, w, ms, last, mask, tiny, lanes)
    _settle_all(item_rows, 1, now, so_far, when, past, fade, w, ms, last, mask, tiny, lanes)
