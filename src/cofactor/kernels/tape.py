"""A network over embeddings as a list of operations, trained by Adam with decoupled decay: rows of embeddings lazily,
all else densely.

``embedding_net.py`` trains one chain of layers. Here the operations may be combined freely, as long as each maps a
batch to a batch: a value is a matrix (rows of the batch, width), float32, with a stride that is a multiple of 16 and
zeros in the gradients beyond its width. Value 0 holds the rows of all tables, joined (``Tables`` and the clock are
those of ``embedding_net.py``). All values are stored one after the other in ``x``; the one at place ``p`` begins at ``n
p`` for batches of ``n``. ``d`` holds their gradients at the same places, ``r`` the values that an operation needs for
its gradient.

Row i of ``plan`` int64 (operations, 16): the operation; place, stride and width of its output; place, stride and first
column of its input; place of a second input, or the first column of the output that is written; how many columns are
read; where the weights begin in ``params`` (they are (inputs, stride of the output)); where the shift begins (the scale
of a normalisation follows, a stride later); where in scratch the transposed weights and the statistics begin; where
mean and variance begin in ``running``; the stride of what is read; 1. ``numbers`` float64 (operations, 3).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels import adam
from cofactor.kernels.dot_bias.epoch import advance, is_full
from cofactor.kernels.dot_bias.loss import INNER, LEAN, batch_loss
from cofactor.kernels.embedding_net import Clock, Rule, Tables, dropped, flush, read_rows, step_rows
from cofactor.kernels.layers import fields, lift, lift_back, move, normalise, normalise_back, wipe
from cofactor.kernels.pointwise import (
    add_product,
    add_scaled,
    affine,
    multiply,
    scaled_sum,
    sigmoid_back,
    sigmoids,
)
from cofactor.kernels.tiles import product, transposed

Array = NDArray[Any]
Real = Any

LINEAR, SHIFT, COPY, NORM, DROP, SUM, SPREAD, ADD, MULTIPLY, AFFINE, SIGMOID, MAP, SOFTMAX, FIXED = range(14)
TARGET, BATCH = 14, 15
"""Product with weights, shift, at least ``numbers[0]``; the same without a product; columns to columns; batch
normalisation (momentum, epsilon); dropout; sum of the columns times ``numbers[0]``; one column to all; a sum of two
values times ``numbers[:2]``; their product; ``numbers[0]`` times a value plus ``numbers[1]``; a sigmoid; a function of
each number (``numbers``: which, and its own two); softmax of groups of ``numbers[0]`` columns; the same numbers of
``params`` for every row. The last two are for losses that are written down: the row's rating; the mean over the rows of
the batch (with ``numbers[0]`` 0 their sum), the same for every row."""

EXP, LOG, SQRT, ABS, INVERSE, SOFTPLUS, ELU, ERF, CLAMP, POWER, POSITIVE = range(11)
"""Functions of one number, as in torch; the last is 1 above 0, else 0."""

OWN = -1
"""The loss that is the program's output, in place of a number of ``dot_bias/loss.py``."""


class Dense(NamedTuple):
    """Parameters that are not tables, flat: those that decay, those that do not, zeros. ``heavy`` and ``light`` are
    views of the first two parts of ``params``, of their gradients, and both moments."""

    params: Array
    grads: Array
    heavy: Array
    heavy_g: Array
    heavy_m: Array
    heavy_v: Array
    light: Array
    light_g: Array
    light_m: Array
    light_v: Array
    running: Array
    again: Array
    """int64 (uses, 3): parameters that are used more than once have a place for each further use: that place, the
    first one, how many floats."""


class Scratch(NamedTuple):
    """Scratch for a batch: values, values that operations keep, gradients; the gradient of one input; statistics;
    transposed weights; gradients of rows; the remainder of their moments; outputs, ratings, gradients by output."""

    x: Array
    r: Array
    d: Array
    one: Array
    stats: Array
    turned: Array
    rows: Array
    keep: Array
    z: Array
    y: Array
    e: Array


def scratch(tables: Tables, bs: int, places: int, widest: int, stats: int, turned: int) -> Scratch:
    """Return scratch for batches of ``bs``. ``places``: the strides of all values together."""
    lanes, n = int(tables.heads[:, 4].max()), len(tables.heads)
    room = (bs + 15) // 16 * 16
    uses = max(int((tables.heads[:, 2] == place).sum()) for place in tables.heads[:, 2])
    sizes = (
        *(bs * places, bs * places, bs * places, bs * widest, stats, turned, bs * 16 * lanes * uses, 2 * bs * n),
        *(room, room, room),
    )
    return Scratch(*(np.zeros(size, np.float32) for size in sizes))


@njit(nogil=True, **INNER)
def mapped(kind: int, v: Real, p: Real, q: Real) -> Real:
    """Apply a function of one number."""
    if kind == EXP:
        return math.exp(v)
    if kind == LOG:
        return math.log(v)
    if kind == SQRT:
        return math.sqrt(v)
    if kind == ABS:
        return abs(v)
    if kind == INVERSE:
        return np.float32(1) / v
    if kind == SOFTPLUS:
        return v if v * p > q else math.log(np.float32(1) + math.exp(v * p)) / p
    if kind == ELU:
        return v if v > 0 else p * (math.exp(v) - np.float32(1))
    if kind == ERF:
        return math.erf(v)
    if kind == CLAMP:
        return min(max(v, p), q)
    if kind == POSITIVE:
        return np.float32(v > 0)
    return v**p


@njit(nogil=True, **INNER)
def slope(kind: int, v: Real, y: Real, p: Real, q: Real) -> Real:
    """Return the derivative of :func:`mapped` at ``v``, where its value is ``y``."""
    if kind == EXP:
        return y
    if kind == LOG:
        return np.float32(1) / v
    if kind == SQRT:  # 0 at 0, as torch defines it for a norm
        return np.float32(0.5) / y if y > 0 else np.float32(0)
    if kind == ABS:
        return np.float32(v > 0) - np.float32(v < 0)
    if kind == INVERSE:
        return -y * y
    if kind == SOFTPLUS:
        return np.float32(1) if v * p > q else np.float32(1) / (np.float32(1) + math.exp(-v * p))
    if kind == ELU:
        return np.float32(1) if v > 0 else y + p
    if kind == ERF:
        return np.float32(1.1283791670955126) * math.exp(-v * v)
    if kind == CLAMP:
        return np.float32(p <= v <= q)
    if kind == POSITIVE:
        return np.float32(0)
    return p * v ** (p - np.float32(1))


@njit(nogil=True, **INNER)
def by_number(
    x: Array, d: Array, o: int, wide: int, width: int, a: int, n: int, kind: int, p: Real, q: Real, back: bool
) -> None:
    """Apply a function to each number of ``n`` rows, from ``a`` on to ``o`` on in ``x``; or compute its gradient in
    ``d``."""
    for k in range(n):
        for j in range(k * wide, k * wide + width):
            if back:
                d[a + j] += d[o + j] * slope(kind, x[a + j], x[o + j], p, q)
            else:
                x[o + j] = mapped(kind, x[a + j], p, q)


@njit(nogil=True, **INNER)
def softmax(x: Array, d: Array, o: int, wide: int, width: int, a: int, n: int, group: int, back: bool) -> None:
    """Apply softmax to groups of adjacent columns, with arguments as in :func:`by_number`."""
    for k in range(n):
        for first in range(k * wide, k * wide + width, group):
            total = np.float32(0)
            if back:
                for j in range(first, first + group):
                    total += d[o + j] * x[o + j]
                for j in range(first, first + group):
                    d[a + j] += x[o + j] * (d[o + j] - total)
                continue
            most = x[a + first]
            for j in range(first, first + group):
                most = max(most, x[a + j])
            for j in range(first, first + group):
                x[o + j] = math.exp(x[a + j] - most)
                total += x[o + j]
            for j in range(first, first + group):
                x[o + j] /= total


@njit(nogil=True, **INNER)
def over_rows(x: Array, o: int, wide: int, width: int, a: int, n: int, mean: Real) -> None:
    """Set each column of ``n`` rows from ``o`` on to the mean, or the sum, of the rows from ``a`` on. The gradient is
    the same function of the gradient."""
    for j in range(width):
        total = 0.0
        for k in range(n):
            total += x[a + k * wide + j]
        value = np.float32(total / n if mean > 0 else total)
        for k in range(n):
            x[o + k * wide + j] = value


@njit(nogil=True, **INNER)
def forward(
    plan: Array,
    numbers: Array,
    i: int,
    n: int,
    x: Array,
    r: Array,
    y: Array,
    params: Array,
    running: Array,
    stats: Array,
    seed: int,
    step: int,
) -> None:
    """Run one operation on a batch of ``n``."""
    kind, o, wide, width, a, stride, since, b, inputs, w, s, _, t, run, _, one = fields(plan, i)
    o, a, size = n * o, n * a, n * wide
    first, second = np.float32(numbers[i, 0]), np.float32(numbers[i, 1])
    if kind <= SHIFT:
        if kind == LINEAR:
            product(r, o, wide, x, a + since, stride, one, params, w, wide, n, wide, inputs)
        else:
            move(r, o, x, a, size)
        lift(r, x, o, n, wide, params, s, first)
    elif kind == NORM:
        move(r, o, x, a, size)
        part = numbers[i, 0]
        parts = (
            np.float32(-np.inf),
            np.float32(1 / n),
            np.float32(1 / max(n - 1, 1)),
            np.float32(part),
            np.float32(1 - part),
            second,
        )
        normalise(r, x, o, n, wide, params, s, stats, t, running, run, parts)
    elif kind == DROP:
        move(x, o, x, a, size)
        dropped(x, o, n, wide, numbers[i, 0], seed, step, i)
    elif kind == COPY:
        for k in range(n):
            move(x, o + k * wide + b, x, a + k * stride + since, inputs)
    elif kind == SUM:
        for k in range(n):
            total = np.float32(0)
            for j in range(inputs):
                total += x[a + k * stride + since + j]
            x[o + k * wide] = first * total
    elif kind == SPREAD:
        for k in range(n):
            for j in range(width):
                x[o + k * wide + j] = x[a + k * stride + since]
    elif kind == ADD:
        scaled_sum(x, o, x, a, x, n * b, size, first, second)
    elif kind == MULTIPLY:
        multiply(x, o, x, a, x, n * b, size, first, second)
    elif kind == AFFINE:
        affine(x, o, x, a, x, a, size, first, second)
    elif kind == SIGMOID:
        sigmoids(x, o, x, a, x, a, size, first, second)
    elif kind == MAP:
        by_number(x, x, o, wide, width, a, n, int(numbers[i, 0]), second, np.float32(numbers[i, 2]), False)
    elif kind == SOFTMAX:
        softmax(x, x, o, wide, width, a, n, int(numbers[i, 0]), False)
    elif kind == FIXED:
        for k in range(n):
            move(x, o + k * wide, params, s, width)
    elif kind == TARGET:
        for k in range(n):
            x[o + k * wide] = y[k]
    else:
        over_rows(x, o, wide, width, a, n, first)


@njit(nogil=True, **INNER)
def backward(
    plan: Array,
    numbers: Array,
    i: int,
    n: int,
    x: Array,
    r: Array,
    d: Array,
    one: Array,
    params: Array,
    grads: Array,
    stats: Array,
    turned: Array,
    seed: int,
    step: int,
) -> None:
    """Add the contribution of an operation's output gradient to the gradients of its inputs, and fill those of its
    parameters."""
    kind, o, wide, width, a, stride, since, b, inputs, w, s, turn, t, _, read, unit = fields(plan, i)
    o, a, size = n * o, n * a, n * wide
    first, second, same = np.float32(numbers[i, 0]), np.float32(numbers[i, 1]), np.float32(1)
    if kind <= SHIFT:
        lift_back(r, d, o, n, wide, grads, s, first)
        if kind == SHIFT:
            add_scaled(d, a, d, o, d, o, size, same, same)
        else:
            at = a + since
            product(grads, w, wide, x, at, unit, stride, d, o, wide, inputs, wide, n)
            transposed(params, w, wide, inputs, wide, turned, turn, read)
            product(one, b, read, d, o, wide, unit, turned, turn, read, n, read, width)
            for k in range(n):
                for j in range(inputs):
                    d[at + k * stride + j] += one[k * read + j]
    elif kind == NORM:
        normalise_back(
            *(r, d, o, n, wide, params, s, stats, t, grads),
            *(np.float32(-np.inf), np.float32(1 / n)),
        )
        add_scaled(d, a, d, o, d, o, size, same, same)
    elif kind == DROP:
        dropped(d, o, n, wide, numbers[i, 0], seed, step, i)
        add_scaled(d, a, d, o, d, o, size, same, same)
    elif kind == COPY:
        for k in range(n):
            for j in range(inputs):
                d[a + k * stride + since + j] += d[o + k * wide + b + j]
    elif kind == SUM:
        for k in range(n):
            for j in range(inputs):
                d[a + k * stride + since + j] += first * d[o + k * wide]
    elif kind == SPREAD:
        for k in range(n):
            total = np.float32(0)
            for j in range(width):
                total += d[o + k * wide + j]
            d[a + k * stride + since] += total
    elif kind == ADD:
        add_scaled(d, a, d, o, d, o, size, first, first)
        add_scaled(d, n * b, d, o, d, o, size, second, second)
    elif kind == MULTIPLY:
        add_product(d, a, d, o, x, n * b, size, same, same)
        add_product(d, n * b, d, o, x, a, size, same, same)
    elif kind == AFFINE:
        add_scaled(d, a, d, o, d, o, size, first, first)
    elif kind == SIGMOID:
        sigmoid_back(d, a, d, o, x, o, size, same, same)
    elif kind == MAP:
        by_number(x, d, o, wide, width, a, n, int(numbers[i, 0]), second, np.float32(numbers[i, 2]), True)
    elif kind == SOFTMAX:
        softmax(x, d, o, wide, width, a, n, int(numbers[i, 0]), True)
    elif kind == FIXED:
        for j in range(width):
            total = np.float32(0)
            for k in range(n):
                total += d[o + k * wide + j]
            grads[s + j] = total
    elif kind == BATCH:
        over_rows(d, o, wide, width, o, n, first)
        add_scaled(d, a, d, o, d, o, size, same, same)


@njit(cache=True, nogil=True, **LEAN)
def train(
    rows: Array,
    codes: Array,
    values: Array,
    tables: Tables,
    plan: Array,
    numbers: Array,
    end: Array,
    dense: Dense,
    clock: Clock,
    rule: Rule,
    schedule: Array,
    losses: Array,
    space: Scratch,
) -> None:
    """Train as many consecutive batches of ``rows`` as there are ``losses``, which get the mean loss of each.

    ``codes`` int32 (tables, rows of the data). ``end`` int64 (4,): the stride of value 0; place, stride and column of
    the output. ``schedule`` is computed by ``dot_bias/epoch.py`` from rates and momenta.
    """
    heads, w, ms, last, first, mask = tables.heads, tables.w, tables.ms, tables.last, tables.first, tables.mask
    times, past, fade = clock.clock, clock.past, clock.fade
    params, grads, running, again = dense.params, dense.grads, dense.running, dense.again
    x, r, d, one, stats, turned = space.x, space.r, space.d, space.one, space.stats, space.turned
    g, keep, z, y, e = space.rows, space.keep, space.z, space.y, space.e
    b2, eps, seed = rule.b2, rule.eps, rule.seed
    loss, lo, hi, ranged = rule.loss, rule.lo, rule.hi, rule.ranged
    bs, count, stride = len(rows) // len(losses), len(plan), end[0]
    out, wide = bs * end[1] + end[3], end[2]
    for k in range(len(losses)):
        if is_full(past, times):
            flush(tables, clock, eps)
        times[0] += 1
        times[1] += 1
        now, ever = times[1], times[0]
        b1, rate, root, decay = schedule[0, k], schedule[1, k], schedule[2, k], schedule[3, k]
        tiny, start = np.float32(eps), k * bs
        read_rows(rows, start, bs, codes, heads, w, ms, last, first, mask, past, fade, now, b1, tiny, stride, x, keep)
        for b in range(bs):
            y[b] = values[rows[start + b]]
        for i in range(len(again)):
            move(params, again[i, 0], params, again[i, 1], again[i, 2])
        for i in range(count):
            forward(plan, numbers, i, bs, x, r, y, params, running, stats, seed, ever)
        for b in range(bs):
            z[b] = x[out + b * wide]
            e[b] = np.float32(1 / bs)
        losses[k] = z[0] if loss == OWN else batch_loss(z, y, e, bs, bs, loss, lo, hi, ranged)
        wipe(d, 0, len(d))
        for b in range(bs):
            d[out + b * wide] = e[b]
        for i in range(count - 1, -1, -1):
            backward(plan, numbers, i, bs, x, r, d, one, params, grads, stats, turned, seed, ever)
        for i in range(len(again)):
            for j in range(again[i, 2]):
                grads[again[i, 1] + j] += grads[again[i, 0] + j]
        scalars = (
            np.float32(1.0 - b1),
            np.float32(1.0 - b2),
            np.float32(rate),
            np.float32(root),
            tiny,
            np.float32(decay - 1.0),
        )
        step_rows(rows, start, bs, codes, heads, w, ms, first, mask, stride, scalars, d, g, keep)
        adam.step(dense.heavy, dense.heavy_g, dense.heavy_m, dense.heavy_v, b1, b2, rate, root, eps, decay)
        adam.step(dense.light, dense.light_g, dense.light_m, dense.light_v, b1, b2, rate, root, eps, 1.0)
        advance(past, times, now, b1, b2, rate, root, decay)
