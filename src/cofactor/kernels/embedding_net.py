"""A network over embeddings, trained by Adam with decoupled decay: rows of embeddings lazily, layers densely.

Each layer is linear, optionally followed by ReLU, batch normalisation and dropout (Ioffe & Szegedy 2015; Srivastava et
al. 2014). The rows of the embeddings follow the clock of ``dot_bias/epoch.py``: a row that is not in a batch moves when
it is next read. All is float32 and in one thread, with the products of ``tiles.py``, so the bits depend on the numbers
alone.

All arrays are flat, and positions in them are numbers: slices, reshapes and tuples of arrays would take most of the
compile time. For the same reason functions that are called once are inlined, and scratch is allocated outside
(:func:`scratch`).

``Tables`` holds the embeddings, one after the other. Row t of ``heads`` int64 (tables, 6): rows; where row 0 stands in
``w``, counted in strides of this table; where it stands in ``last``; width; vectors of 16 floats in a row; its first
column in what is joined. Tables that follow each other and stand at the same place are one, looked up by several codes.
``w`` float32 holds the weights, ``ms`` at twice the place m and the root of v, ``last`` and ``first`` int32 have a
number for each row (of ``first``: which of the batch's look-ups was its first), and ``mask`` is a row of ones. What
lies beyond a width is 0.

``Layers`` holds the rest. Row i of ``plan`` int64 (layers, 13): inputs; outputs; where the weights begin in
``weights``; where bias or shift begin in ``spared`` (the scale of the normalisation follows, a stride later); whether
there is a ReLU; whether batch normalisation; where its mean and variance begin in ``running``; the stride of the inputs
and of the outputs; the strides of all layers before; in scratch, where its transposed weights begin, and where its
statistics; 1. The weights of a layer are (inputs, stride of the outputs). ``drops`` float64 (layers + 1,): dropout of
the joined embeddings, then after each layer. ``norms`` float64 (layers, 2): epsilon and momentum of the normalisation.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels import adam
from cofactor.kernels.dot_bias.epoch import advance, begin, is_full
from cofactor.kernels.dot_bias.loss import INNER, LEAN, batch_loss
from cofactor.kernels.layers import drop, lift, lift_back, move, normalise, normalise_back, wipe
from cofactor.kernels.row_vectors import catch_up, settle, step
from cofactor.kernels.tiles import product, transposed

Array = NDArray[Any]
Real = Any


class Tables(NamedTuple):
    heads: Array
    w: Array
    ms: Array
    last: Array
    first: Array
    mask: Array


class Layers(NamedTuple):
    plan: Array
    drops: Array
    norms: Array
    weights: Array
    weights_m: Array
    weights_v: Array
    spared: Array
    spared_m: Array
    spared_v: Array
    running: Array


class Clock(NamedTuple):
    """``clock``, ``past`` and ``fade`` of ``dot_bias/epoch.py``."""

    clock: Array
    past: Array
    fade: Array


class Rule(NamedTuple):
    """The parameters of Adam: b2, epsilon, whether biases and normalisation decay too. The parameters of the loss: its
    number, the sigmoid's range and whether there is one. ``seed``: of dropout."""

    b2: float
    eps: float
    spared_decay: bool
    loss: int
    lo: float
    hi: float
    ranged: bool
    seed: int


class Scratch(NamedTuple):
    """Scratch for a batch: inputs of all layers, values before the normalisation, gradients; statistics of the
    normalisation; weights transposed; gradients of weights and the rest; gradients of rows; the remainder of their
    moments; outputs, ratings, gradients by output."""

    x: Array
    r: Array
    d: Array
    stats: Array
    turned: Array
    gw: Array
    gs: Array
    rows: Array
    keep: Array
    z: Array
    y: Array
    e: Array


def scratch(tables: Tables, layers: Layers, bs: int) -> Scratch:
    """Return scratch for batches of ``bs``."""
    plan, heads = layers.plan, tables.heads
    floats = bs * int(plan[-1, 9] + plan[-1, 7] + plan[-1, 8])
    widest, room = 16 * int(heads[:, 4].max()), (bs + 15) // 16 * 16
    sizes = (
        *(floats, floats, floats, 2 * int(plan[:, 8].sum()), int((plan[:, 7] * plan[:, 8]).sum())),
        *(len(layers.weights), len(layers.spared), bs * widest, 2 * bs * len(heads), room, room, room),
    )
    return Scratch(*(np.zeros(size, np.float32) for size in sizes))


@njit(inline="always")
def dropped(x: Array, o: int, n: int, width: int, p: Real, seed: int, t: int, layer: int) -> None:
    """Apply dropout to ``x`` (n, width) from ``o`` on, in place."""
    if p > 0:
        drop(x, o, n, width, seed, t, layer, np.uint32(min(p * 4294967296.0, 4294967295.0)), np.float32(1 / (1 - p)))


@njit(inline="always")
def forward(
    plan: Array,
    norms: Array,
    i: int,
    n: int,
    x: Array,
    r: Array,
    weights: Array,
    spared: Array,
    stats: Array,
    running: Array,
) -> None:
    """Run one layer: from ``x`` to ``r`` (after the ReLU) and the next layer's ``x`` (after the normalisation)."""
    w, s, stride, width = plan[i, 2], plan[i, 3], plan[i, 7], plan[i, 8]
    a, o = n * plan[i, 9], n * (plan[i, 9] + stride)
    product(r, o, width, x, a, stride, plan[i, 12], weights, w, width, n, width, plan[i, 0])
    least = np.float32(0) if plan[i, 4] else np.float32(-np.inf)
    if plan[i, 5]:
        part = norms[i, 1]
        numbers = (
            least,
            np.float32(1 / n),
            np.float32(1 / max(n - 1, 1)),
            np.float32(part),
            np.float32(1 - part),
            np.float32(norms[i, 0]),
        )
        normalise(r, x, o, n, width, spared, s, stats, plan[i, 11], running, plan[i, 6], numbers)
    else:
        lift(r, x, o, n, width, spared, s, least)


@njit(inline="always")
def backward(
    plan: Array,
    i: int,
    n: int,
    x: Array,
    r: Array,
    d: Array,
    weights: Array,
    spared: Array,
    stats: Array,
    turned: Array,
    gw: Array,
    gs: Array,
) -> None:
    """Turn the gradient ``d`` of a layer's output into that of its input; the gradients of its parameters go into
    ``gw`` and ``gs``."""
    inputs, w, s, stride, width, turn = plan[i, 0], plan[i, 2], plan[i, 3], plan[i, 7], plan[i, 8], plan[i, 10]
    a, o = n * plan[i, 9], n * (plan[i, 9] + stride)
    least = np.float32(0) if plan[i, 4] else np.float32(-np.inf)
    if plan[i, 5]:
        normalise_back(r, d, o, n, width, spared, s, stats, plan[i, 11], gs, least, np.float32(1 / n))
    else:
        lift_back(r, d, o, n, width, gs, s, least)
    product(gw, w, width, x, a, plan[i, 12], stride, d, o, width, inputs, width, n)
    transposed(weights, w, width, inputs, width, turned, turn, stride)
    product(d, a, stride, d, o, width, plan[i, 12], turned, turn, stride, n, stride, plan[i, 1])


@njit(nogil=True, **INNER)
def read_rows(
    rows: Array,
    start: int,
    n: int,
    codes: Array,
    heads: Array,
    w: Array,
    ms: Array,
    last: Array,
    first: Array,
    mask: Array,
    past: Array,
    fade: Array,
    now: int,
    b1: Real,
    tiny: Real,
    stride: int,
    x: Array,
    keep: Array,
) -> None:
    """Bring the rows of a batch up to date, and join them in ``x``; ``keep`` becomes the remainder of their moments at
    this step."""
    so_far = past[4, now - 1]
    for t in range(len(heads)):
        base, place, width, lanes, at = heads[t, 1], heads[t, 2], heads[t, 3], heads[t, 4], heads[t, 5]
        for b in range(n):
            row = np.int64(codes[t, rows[start + b]])
            then = last[place + row]
            if then != now:
                last[place + row] = now
                first[place + row] = t * n + b
                keep[2 * (t * n + b)], keep[2 * (t * n + b) + 1] = past[0, then] * b1, fade[now - then]
                if now - then > 1:
                    q = np.float32(past[2, then] / past[3, then]) if past[3, then] > 0.0 else np.float32(1.0)
                    shrink, s0 = np.float32(so_far / past[4, then] - 1.0), np.float32(past[2, then] * so_far)
                    settle(w, ms, mask, base + row, 0, shrink, s0, q, tiny, lanes)
            move(x, b * stride + at, w, (base + row) * lanes * 16, width)


@njit(nogil=True, **INNER)
def step_rows(
    rows: Array,
    start: int,
    n: int,
    codes: Array,
    heads: Array,
    w: Array,
    ms: Array,
    first: Array,
    mask: Array,
    stride: int,
    scalars: Any,
    d: Array,
    g: Array,
    keep: Array,
) -> None:
    """Make one Adam step on the rows of a batch, by the gradient of what :func:`read_rows` joined."""
    group = 0
    for t in range(len(heads)):
        base, place, width, lanes, at = heads[t, 1], heads[t, 2], heads[t, 3], heads[t, 4], heads[t, 5]
        wide = lanes * 16
        if heads[group, 2] != place:
            group = t
        for b in range(n):
            here, p = (t - group) * n + b, first[place + codes[t, rows[start + b]]] - group * n
            if p == here:
                move(g, here * wide, d, b * stride + at, width)
                wipe(g, here * wide + width, wide - width)
                continue
            for j in range(width):
                g[p * wide + j] += d[b * stride + at + j]
        if t + 1 < len(heads) and heads[t + 1, 2] == place:
            continue
        for s in range(group, t + 1):
            for b in range(n):
                row, here = np.int64(codes[s, rows[start + b]]), s * n + b
                if first[place + row] == here:
                    kept = (keep[2 * here], keep[2 * here + 1])
                    step(w, ms, mask, base + row, 0, g, here - group * n, kept, scalars, lanes)


@njit(cache=True, nogil=True, **LEAN)
def flush(tables: Tables, clock: Clock, eps: Real) -> None:
    """Bring every row of the tables up to date and start a new ``past``."""
    now, past, heads = clock.clock[1], clock.past, tables.heads
    if now > 0:
        so_far, tiny = past[4, now], np.float32(eps)
        for t in range(len(heads)):
            again = t > 0 and heads[t, 2] == heads[t - 1, 2]
            for row in range(0 if again else heads[t, 0]):
                then = tables.last[heads[t, 2] + row]
                tables.last[heads[t, 2] + row] = 0
                if then != now:
                    q = np.float32(past[2, then] / past[3, then]) if past[3, then] > 0.0 else np.float32(1.0)
                    shrink, s0 = np.float32(so_far / past[4, then] - 1.0), np.float32(past[2, then] * so_far)
                    km, ks = np.float32(past[0, then]), np.float32(math.sqrt(clock.fade[now - then]))
                    at, lanes = heads[t, 1] + row, heads[t, 4]
                    catch_up(tables.w, tables.ms, tables.mask, at, 0, shrink, s0, q, tiny, km, ks, lanes)
    begin(past, clock.clock)


@njit(cache=True, nogil=True, **LEAN)
def train(
    rows: Array,
    codes: Array,
    values: Array,
    tables: Tables,
    layers: Layers,
    clock: Clock,
    rule: Rule,
    schedule: Array,
    losses: Array,
    space: Scratch,
) -> None:
    """Train as many consecutive batches of ``rows`` as there are ``losses``, which get the mean loss of each.

    ``codes`` int32 (tables, rows of the data). ``schedule`` is computed by ``dot_bias/epoch.py`` from rates and
    momenta.
    """
    plan, drops, norms, weights, spared, running = (
        *(layers.plan, layers.drops, layers.norms),
        *(layers.weights, layers.spared, layers.running),
    )
    weights_m, weights_v, spared_m, spared_v = layers.weights_m, layers.weights_v, layers.spared_m, layers.spared_v
    heads, w, ms, last, first, mask = tables.heads, tables.w, tables.ms, tables.last, tables.first, tables.mask
    times, past, fade = clock.clock, clock.past, clock.fade
    x, r, d, stats, turned, gw, gs = space.x, space.r, space.d, space.stats, space.turned, space.gw, space.gs
    g, keep, z, y, e = space.rows, space.keep, space.z, space.y, space.e
    b2, eps, seed, spared_decay = rule.b2, rule.eps, rule.seed, rule.spared_decay
    loss, lo, hi, ranged = rule.loss, rule.lo, rule.hi, rule.ranged
    bs, count = len(rows) // len(losses), len(plan)
    stride, wide = plan[0, 7], plan[count - 1, 8]
    end = bs * (plan[count - 1, 9] + plan[count - 1, 7])
    for k in range(len(losses)):
        if is_full(past, times):
            flush(tables, clock, eps)
        times[0] += 1
        times[1] += 1
        now, ever = times[1], times[0]
        b1, rate, root, decay = schedule[0, k], schedule[1, k], schedule[2, k], schedule[3, k]
        tiny, start = np.float32(eps), k * bs
        read_rows(rows, start, bs, codes, heads, w, ms, last, first, mask, past, fade, now, b1, tiny, stride, x, keep)
        for i in range(count + 1):
            o, width = (0, stride) if i == 0 else (bs * (plan[i - 1, 9] + plan[i - 1, 7]), plan[i - 1, 8])
            dropped(x, o, bs, width, drops[i], seed, ever, i)
            if i < count:
                forward(plan, norms, i, bs, x, r, weights, spared, stats, running)
        for b in range(bs):
            z[b] = x[end + b * wide]
            y[b] = values[rows[start + b]]
        losses[k] = batch_loss(z, y, e, bs, bs, loss, lo, hi, ranged)
        for b in range(bs):
            d[end + b * wide] = e[b]
        for i in range(count, -1, -1):
            o, width = (0, stride) if i == 0 else (bs * (plan[i - 1, 9] + plan[i - 1, 7]), plan[i - 1, 8])
            dropped(d, o, bs, width, drops[i], seed, ever, i)
            if i > 0:
                backward(plan, i - 1, bs, x, r, d, weights, spared, stats, turned, gw, gs)
        scalars = (
            np.float32(1.0 - b1),
            np.float32(1.0 - b2),
            np.float32(rate),
            np.float32(root),
            tiny,
            np.float32(decay - 1.0),
        )
        step_rows(rows, start, bs, codes, heads, w, ms, first, mask, stride, scalars, d, g, keep)
        kept = decay if spared_decay else 1.0
        adam.step(weights, gw, weights_m, weights_v, b1, b2, rate, root, eps, decay)
        adam.step(spared, gs, spared_m, spared_v, b1, b2, rate, root, eps, kept)
        advance(past, times, now, b1, b2, rate, root, decay)
