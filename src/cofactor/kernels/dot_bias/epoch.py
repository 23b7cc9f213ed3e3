"""Dot product with biases, trained by Adam with decoupled decay, sparse in time.

The rule of the notebook is dense: momentum and decay move every row of every table at every step. Between two
touches, though, a row sees no gradient, so ``m`` and ``v`` shrink by factors that depend on the two steps alone,
and the row moves by

    w -> w * D - sum_s rate_s * D_s * B_s * m / (sqrt(v) * Q_s + eps)

with ``D`` the decay over the gap and ``D_s`` that after step s, ``B_s`` the product of the momenta since the last
touch and ``Q_s`` that of ``sqrt(b2)`` (over the bias correction of ``v``). The sum is taken here as
``S0 * m / (sqrt(v) * q + eps)``, ``S0`` and ``S1`` being the sums of the weights and of the weights over ``Q_s``, and
``q = S0 / S1``. That is exact where ``eps`` is small beside ``sqrt(v)`` and where it is large, and within some 0.2 % of
the move in between (``Q_s`` hardly changes before ``B_s`` has vanished). A row is brought up to date when next read.

The sums are kept for every possible last step, in ``past`` (float64, one column a step since the last flush):

    0 the product of the momenta since; 1 the same over the product of sqrt(b2);
    2 and 3 the sums S0 and S1 over the decay so far; 4 the decay from the flush to that step.

A step adds to the columns that still change (from ``clock[2]`` on). ``clock`` (int64): steps ever made, steps since
the flush, first live column. ``fade[g]`` is ``b2 ** g``, as long as ``past`` has columns.

A row holds ``factors, bias, 1`` (users) or ``factors, 1, bias`` (items) and zeros up to a multiple of 16 floats, so
that one dot product includes both biases. ``w`` float32 (n, stride) holds the users, then the items; ``ms`` float32
(n, 2, stride) ``m`` and the root of ``v``; ``last`` int32 (n,) the step of the last touch; ``mask`` (2, stride) is 1 in
the columns that learn, for users and for items. ``lanes`` is ``stride / 16``: a number, so that one compiled function
serves every width.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.dot_bias.loss import INNER, LEAN, batch_loss
from cofactor.kernels.row_vectors import catch_up, dot_of, gather_gradient, prefetch, settle, step, step_pair

Array = NDArray[Any]
Real = Any

GONE = 1e-7
"""A column of ``past`` whose momenta have shrunk to this no longer changes."""
FAINT = 1e-60
"""When the decay since the flush falls below this, the next flush is due."""


AHEAD = 8
"""How many ratings ahead the rows of a stratum are prefetched."""


@njit(nogil=True, **INNER)
def unpacked(word: Any, base: Any) -> Any:
    """Return the row of the user, the row of the item and the rating of one word (kernels/dot_bias/strata.py packs
    them)."""
    rating = np.int32(word >> np.uint64(32)).view(np.float32)
    return (
        np.int32(word & np.uint64(0xFFFF)) + base[0],
        np.int32((word >> np.uint64(16)) & np.uint64(0xFFFF)) + base[1],
        rating,
    )


@njit(nogil=True, **INNER)
def _ask(words: Array, at: int, base: Any, w: Array, ms: Array) -> None:
    """Prefetch the rows of the tables that the rating a little after ``at`` of a stratum needs."""
    if at + AHEAD < len(words):
        u, i, _ = unpacked(words[at + AHEAD], base)
        for one in (np.int64(u), np.int64(i)):
            for j in range(0, w.shape[1], 16):
                prefetch(w, one * w.shape[1] + j)
            for j in range(0, 2 * w.shape[1], 16):
                prefetch(ms, one * 2 * w.shape[1] + j)


def schedule(lr: Array, mom: Array, wd: float, b2: float, t: int) -> Array:
    """Return float64 (4, n) for the steps after step ``t`` (1 is the first ever): momentum, rate divided by its bias
    correction, root of that of v, decay."""
    steps, lr, mom = t + 1.0 + np.arange(len(lr)), np.asarray(lr, np.float64), np.asarray(mom, np.float64)
    decay = 1 - lr * wd
    decay[np.abs(decay) < 1e-30] = 1e-30
    return np.stack([mom, lr / (1 - mom**steps), 1 / np.sqrt(1 - b2**steps), decay])


@njit(nogil=True, **INNER)
def advance(past: Array, clock: Array, now: int, b1: Real, b2: Real, rate: Real, root: Real, decay: Real) -> None:
    """Add step ``now`` to the sums of every earlier step."""
    lo = clock[2]
    while lo < now and abs(past[1, lo]) < GONE:
        lo += 1
    clock[2] = lo
    past[4, now] = past[4, now - 1] * decay
    ratio = b1 / math.sqrt(b2)
    c0 = rate / past[4, now]
    c1 = c0 / root
    for i in range(lo, now):
        past[0, i] *= b1
        past[1, i] *= ratio
        past[2, i] += c0 * past[0, i]
        past[3, i] += c1 * past[1, i]
    past[0, now] = 1.0
    past[1, now] = 1.0
    past[2, now] = 0.0
    past[3, now] = 0.0


@njit(cache=True, nogil=True, **LEAN)
def settle_all(
    lo: int,
    hi: int,
    side: int,
    now: int,
    past: Array,
    fade: Array,
    w: Array,
    ms: Array,
    last: Array,
    mask: Array,
    tiny: Real,
    lanes: int,
) -> None:
    """Bring the rows from ``lo`` to ``hi`` up to step ``now``, and reset their clock to 0."""
    for row in range(lo, hi):
        then = last[row]
        last[row] = 0
        if then != now:
            so_far = past[4, now]
            q = np.float32(past[2, then] / past[3, then]) if past[3, then] > 0.0 else np.float32(1.0)
            shrink, s0 = np.float32(so_far / past[4, then] - 1.0), np.float32(past[2, then] * so_far)
            km, ks = np.float32(past[0, then]), np.float32(math.sqrt(fade[now - then]))
            catch_up(w, ms, mask, row, side, shrink, s0, q, tiny, km, ks, lanes)


@njit(nogil=True, **INNER)
def begin(past: Array, clock: Array) -> None:
    """Start a new ``past``, when every row is up to date."""
    clock[1] = 0
    clock[2] = 0
    past[0, 0] = 1.0
    past[1, 0] = 1.0
    past[2, 0] = 0.0
    past[3, 0] = 0.0
    past[4, 0] = 1.0


@njit(nogil=True, **INNER)
def is_full(past: Array, clock: Array) -> bool:
    """Return whether the next step must start a new ``past``."""
    return bool(clock[1] >= past.shape[1] - 1 or abs(past[4, clock[1]]) < FAINT)


def flush(
    clock: Array,
    past: Array,
    fade: Array,
    w: Array,
    ms: Array,
    last: Array,
    mask: Array,
    n_users: int,
    eps: float,
    lanes: int,
) -> None:
    """Bring every row up to date and start a new ``past``."""
    if clock[1] > 0:
        now, tiny = int(clock[1]), np.float32(eps)
        settle_all(0, n_users, 0, now, past, fade, w, ms, last, mask, tiny, lanes)
        settle_all(n_users, len(w), 1, now, past, fade, w, ms, last, mask, tiny, lanes)
    clock[1:], past[:, 0] = 0, (1, 1, 0, 0, 1)


def scratch(bs: int, lanes: int) -> Any:
    """Return scratch for one batch: outputs, ratings, gradients by output, rows, ``at``, ``left``, ``keep``,
    gradients."""
    room = (bs + 15) // 16 * 16
    return (
        np.zeros(room, np.float32),
        np.zeros(room, np.float32),
        np.zeros(room, np.float32),
        np.empty((bs, 2), np.int32),
        np.empty((bs, 2), np.int32),
        np.zeros((bs, 2), np.int32),
        np.empty((bs, 2, 2), np.float32),
        np.empty((bs, 2, 16 * lanes), np.float32),
    )


@njit(nogil=True, **INNER)
def batch(
    words: Array | None,
    start: int,
    bs: int,
    whole: int,
    base: Any,
    now: int,
    so_far: Real,
    past: Array,
    fade: Array,
    w: Array,
    ms: Array,
    last: Array,
    first: Array,
    mask: Array,
    b1: Real,
    b2: Real,
    rate: Real,
    root: Real,
    decay: Real,
    eps: Real,
    loss: int,
    lo: Real,
    hi: Real,
    ranged: bool,
    space: Any,
    lanes: int,
) -> Real:
    """Train ``bs`` ratings of a batch of ``whole`` as step ``now`` (since the flush). Their table rows and values are
    in ``space``.

    ``so_far`` is the decay before this step. For a stratum, ``words`` are the ratings, these from ``start`` on, and
    ``base`` its first rows. Returns their share of the mean loss of the batch.
    """
    z, y, e, row, at, left, keep, g = space
    tiny = np.float32(eps)
    for b in range(bs):
        u, i = np.int64(row[b, 0]), np.int64(row[b, 1])
        for side in range(2):
            one = i if side else u
            then = last[one]
            if then == now:
                p = first[one]
                at[b, side] = p
                left[p, side] += 1
                continue
            last[one] = now
            first[one] = b
            at[b, side] = b
            left[b, side] = 1
            gap = now - then
            keep[b, side, 0] = past[0, then] * b1
            keep[b, side, 1] = fade[gap]
            if gap > 1:
                q = np.float32(past[2, then] / past[3, then]) if past[3, then] > 0.0 else np.float32(1.0)
                shrink, s0 = np.float32(so_far / past[4, then] - 1.0), np.float32(past[2, then] * so_far)
                settle(w, ms, mask, one, side, shrink, s0, q, tiny, lanes)
        z[b] = dot_of(w, u, w, i, lanes)
        if words is not None:
            _ask(words, start + b, base, w, ms)
    mean = batch_loss(z, y, e, bs, whole, loss, lo, hi, ranged)
    scalars = (
        np.float32(1.0 - b1),
        np.float32(1.0 - b2),
        np.float32(rate),
        np.float32(root),
        tiny,
        np.float32(decay - 1.0),
    )
    for b in range(bs):
        eb = e[b]
        u, i = np.int64(row[b, 0]), np.int64(row[b, 1])
        if at[b, 0] == b and at[b, 1] == b and left[b, 0] == 1 and left[b, 1] == 1:
            keep_u, keep_i = (keep[b, 0, 0], keep[b, 0, 1]), (keep[b, 1, 0], keep[b, 1, 1])
            step_pair(w, ms, mask, u, i, eb, keep_u, keep_i, scalars, lanes)
            continue
        for side in range(2):
            p = at[b, side]
            gather_gradient(g, 2 * np.int64(p) + side, eb, w, np.int64(row[b, 1 - side]), p == b, lanes)
        for side in range(2):
            p = np.int64(at[b, side])
            left[p, side] -= 1
            if left[p, side] == 0:
                kept = (keep[p, side, 0], keep[p, side, 1])
                step(w, ms, mask, i if side else u, side, g, 2 * p + side, kept, scalars, lanes)
    return mean


@njit(cache=True, nogil=True, **LEAN)
def train(
    rows: Array,
    users: Array,
    items: Array,
    values: Array,
    clock: Array,
    past: Array,
    fade: Array,
    w: Array,
    ms: Array,
    last: Array,
    first: Array,
    mask: Array,
    n_users: int,
    plan: Array,
    b2: Real,
    eps: Real,
    loss: int,
    lo: Real,
    hi: Real,
    ranged: bool,
    losses: Array,
    lanes: int,
    space: Any,
) -> int:
    """Train as many consecutive batches of ratings as there are ``losses``, which get the loss of each.

    ``plan`` comes from :func:`schedule`. ``first`` is scratch: where in the batch a row first occurs, which is where
    its gradient is gathered (``at``). ``space`` comes from :func:`scratch`; it is allocated outside, since code that
    allocates takes long to compile. Returns the number of batches trained: fewer if a flush is due first.
    """
    bs = len(rows) // len(losses)
    y, row = space[1], space[3]
    for k in range(len(losses)):
        if is_full(past, clock):
            return k
        clock[0] += 1
        clock[1] += 1
        now = clock[1]
        b1, rate, root, decay = plan[0, k], plan[1, k], plan[2, k], plan[3, k]
        for b in range(bs):
            r = rows[k * bs + b]
            row[b, 0], row[b, 1], y[b] = users[r], items[r] + n_users, values[r]
            if (k + 1) * bs + b < len(rows):
                ahead = np.int64(rows[(k + 1) * bs + b])
                prefetch(users, ahead)
                prefetch(items, ahead)
                prefetch(values, ahead)
        losses[k] = batch(
            None,
            0,
            bs,
            bs,
            (0, 0),
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
    return len(losses)
