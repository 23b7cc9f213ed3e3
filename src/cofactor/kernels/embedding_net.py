"""A network over embeddings, trained by Adam with decoupled decay: rows of embeddings lazily, layers densely.

Each layer is linear, then ReLU, batch normalisation and dropout where it has them (Ioffe & Szegedy 2015; Srivastava et
al. 2014). The rows of the embeddings follow the clock of ``dot_bias/epoch.py``: a row that is not in a batch moves when
it is next read. All is float32 and in one thread, by products of ``tiles.py``: the bits depend on the numbers alone.

``Tables`` holds the embeddings, a tuple of arrays for each field, one for each column of codes: ``w`` (n, stride),
``ms`` (n, 2, stride) with m and the root of v, ``last`` and ``first`` int32 (n,), ``mask`` (2, stride) of ones, and
``widths`` int64 (columns,). A stride is a multiple of 16 floats; what lies beyond the width is 0.

``Layers`` holds the rest in flat arrays. Row i of ``plan`` int64 (layers, 8): inputs, outputs, where the weights begin
in ``weights``, where bias or shift begin in ``spared`` (the scale of the normalisation follows, a stride later),
whether there is a ReLU, whether batch normalisation, where its mean and variance begin in ``running``, and the stride
of the inputs. The weights of a layer are (inputs, stride of the outputs). ``drops`` float64 (layers + 1,): dropout of
the joined embeddings, then after each layer. ``norms`` float64 (layers, 2): epsilon and momentum of the normalisation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels import adam
from cofactor.kernels.dot_bias.epoch import advance, begin, is_full, settle_all
from cofactor.kernels.dot_bias.loss import FAST, batch_loss
from cofactor.kernels.dot_bias.rows import settle, step
from cofactor.kernels.tiles import product, transposed

Array = NDArray[Any]
Real = Any


class Tables(NamedTuple):
    w: tuple[Array, ...]
    ms: tuple[Array, ...]
    last: tuple[Array, ...]
    first: tuple[Array, ...]
    mask: tuple[Array, ...]
    widths: Array


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
    """Of Adam: b2, epsilon, whether biases and normalisation decay too. Of the loss: its number, the sigmoid's range
    and whether there is one. ``seed``: of dropout."""

    b2: float
    eps: float
    spared_decay: bool
    loss: int
    lo: float
    hi: float
    ranged: bool
    seed: int


@njit(inline="always")
def padded(n: int) -> Any:
    """``n`` floats as whole vectors of 16."""
    return (n + 15) // 16 * 16


@njit(error_model="numpy", fastmath=FAST)
def normalised(
    r: Array, out: Array, shift: Array, scale: Array, stats: Array, running: Array, eps: Real, momentum: Real
) -> None:
    """Batch normalisation of the columns of ``r`` (rows, stride). ``stats`` (2, stride) becomes the mean and one over
    the deviation; ``running`` (2, stride), the mean and unbiased variance, moves by ``momentum``."""
    n, width = r.shape
    mean, inverse = stats[0], stats[1]
    mean[:] = np.float32(0)
    inverse[:] = np.float32(0)
    for b in range(n):
        for j in range(width):
            mean[j] += r[b, j]
    for j in range(width):
        mean[j] /= np.float32(n)
    for b in range(n):
        for j in range(width):
            away = r[b, j] - mean[j]
            inverse[j] += away * away
    part, rest = np.float32(momentum), np.float32(1 - momentum)
    unbiased, own, tiny = np.float32(1 / max(n - 1, 1)), np.float32(1 / n), np.float32(eps)
    for j in range(width):
        running[0, j] = rest * running[0, j] + part * mean[j]
        running[1, j] = rest * running[1, j] + part * (inverse[j] * unbiased)
        inverse[j] = np.float32(1) / np.sqrt(inverse[j] * own + tiny)
    for b in range(n):
        for j in range(width):
            out[b, j] = (r[b, j] - mean[j]) * inverse[j] * scale[j] + shift[j]


@njit(error_model="numpy", fastmath=FAST)
def normalised_back(r: Array, d: Array, scale: Array, stats: Array, g_shift: Array, g_scale: Array) -> None:
    """The gradient ``d`` (rows, stride) of what :func:`normalised` gave becomes that of ``r``; those of shift and
    scale are filled."""
    n, width = r.shape
    mean, inverse = stats[0], stats[1]
    g_shift[:] = np.float32(0)
    g_scale[:] = np.float32(0)
    for b in range(n):
        for j in range(width):
            g_shift[j] += d[b, j]
            g_scale[j] += d[b, j] * ((r[b, j] - mean[j]) * inverse[j])
    own = np.float32(1 / n)
    for b in range(n):
        for j in range(width):
            x = (r[b, j] - mean[j]) * inverse[j]
            d[b, j] = scale[j] * inverse[j] * (d[b, j] - own * (g_shift[j] + x * g_scale[j]))


@njit(inline="always")
def mixed(x: Any) -> Any:
    """Well-mixed bits of a uint32 (Wellons 2018, "lowbias32")."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@njit(error_model="numpy")
def dropped(x: Array, p: Real, seed: int, t: int, layer: int) -> None:
    """Dropout of ``x`` (rows, stride) in place: what is dropped depends on the seed, the step and the layer alone, so
    the gradient is dropped by the same call."""
    n, width = x.shape
    low, high = np.uint32(np.uint64(seed) & np.uint64(0xFFFFFFFF)), np.uint32(np.uint64(seed) >> np.uint64(32))
    key = mixed(np.uint32(low ^ mixed(high)))
    key = mixed(np.uint32(key ^ np.uint32(t)))
    key = mixed(np.uint32(key + np.uint32(layer)))
    least, scale = np.uint32(min(p * 4294967296.0, 4294967295.0)), np.float32(1 / (1 - p))
    for b in range(n):
        row = mixed(np.uint32(key ^ np.uint32(b)))
        for j in range(width):
            u = mixed(np.uint32(mixed(np.uint32(np.uint32(j) + row)) ^ key))
            x[b, j] *= scale if u >= least else np.float32(0)


@njit(error_model="numpy", fastmath=FAST)
def forward(i: int, layers: Layers, x: Array, r: Array, out: Array, stats: Array) -> None:
    """One layer: ``x`` (rows, stride of inputs) to ``r`` (after the ReLU) and ``out`` (after the normalisation)."""
    inputs, w, s = layers.plan[i, 0], layers.plan[i, 2], layers.plan[i, 3]
    relu, norm, run = layers.plan[i, 4], layers.plan[i, 5], layers.plan[i, 6]
    n, width = r.shape
    product(r, width, x, x.shape[1], 1, layers.weights[w:], width, n, width, inputs)
    shift, scale = layers.spared[s : s + width], layers.spared[s + width : s + 2 * width]
    if not norm:
        for b in range(n):
            for j in range(width):
                r[b, j] += shift[j]
    if relu:
        for b in range(n):
            for j in range(width):
                r[b, j] = max(r[b, j], np.float32(0))
    if norm:
        running = layers.running[run : run + 2 * width].reshape(2, width)
        normalised(r, out, shift, scale, stats, running, layers.norms[i, 0], layers.norms[i, 1])
    else:
        for b in range(n):
            for j in range(width):
                out[b, j] = r[b, j]


@njit(error_model="numpy", fastmath=FAST)
def backward(
    i: int, layers: Layers, x: Array, r: Array, d: Array, dx: Array, stats: Array, gw: Array, gs: Array, turned: Array
) -> None:
    """The gradient ``d`` of a layer's output to ``dx`` of its input; those of its parameters into ``gw`` and ``gs``.

    ``turned`` (stride of outputs, stride of inputs) is scratch, with zeros beyond the inputs.
    """
    inputs, outputs, w, s = layers.plan[i, 0], layers.plan[i, 1], layers.plan[i, 2], layers.plan[i, 3]
    n, width = r.shape
    g_shift, g_scale = gs[s : s + width], gs[s + width : s + 2 * width]
    if layers.plan[i, 5]:
        normalised_back(r, d, layers.spared[s + width : s + 2 * width], stats, g_shift, g_scale)
    if layers.plan[i, 4]:
        for b in range(n):
            for j in range(width):
                d[b, j] = d[b, j] if r[b, j] > np.float32(0) else np.float32(0)
    if not layers.plan[i, 5]:
        g_shift[:] = np.float32(0)
        for b in range(n):
            for j in range(width):
                g_shift[j] += d[b, j]
    product(gw[w:], width, x, 1, x.shape[1], d, width, inputs, width, n)
    transposed(layers.weights[w:], width, inputs, width, turned, x.shape[1])
    product(dx, x.shape[1], d, width, 1, turned, x.shape[1], n, x.shape[1], outputs)


@njit(error_model="numpy")
def read_rows(
    places: Array, tables: Tables, now: int, so_far: Real, b1: Real, eps: Real, clock: Clock, keep: Array, x: Array
) -> None:
    """Bring the rows ``places`` (columns, rows) of the tables up to date, and join them in ``x``; ``keep`` becomes what
    is left of their moments at this step."""
    tiny, past, fade = np.float32(eps), clock.past, clock.fade
    at = 0
    for t in range(len(tables.w)):
        w, last, first, width = tables.w[t], tables.last[t], tables.first[t], tables.widths[t]
        lanes = np.int64(w.shape[1] // 16)
        for b in range(places.shape[1]):
            row = places[t, b]
            then = last[row]
            if then != now:
                last[row], first[row] = now, b
                keep[t, b, 0], keep[t, b, 1] = past[0, then] * b1, fade[now - then]
                if now - then > 1:
                    q = np.float32(past[2, then] / past[3, then]) if past[3, then] > 0.0 else np.float32(1.0)
                    shrink, s0 = np.float32(so_far / past[4, then] - 1.0), np.float32(past[2, then] * so_far)
                    settle(w, tables.ms[t], tables.mask[t], row, 0, shrink, s0, q, tiny, lanes)
            source, target = w[row], x[b, at : at + width]
            for j in range(len(target)):
                target[j] = source[j]
        at += width


@njit(error_model="numpy")
def step_rows(places: Array, tables: Tables, d: Array, keep: Array, scalars: Any, space: Array) -> None:
    """One Adam step of the rows ``places``, by the gradient ``d`` of what :func:`read_rows` joined."""
    at, n = 0, places.shape[1]
    for t in range(len(tables.w)):
        w, first, width = tables.w[t], tables.first[t], tables.widths[t]
        stride = w.shape[1]
        g = space[: n * stride].reshape(n, stride)
        for b in range(n):
            p = first[places[t, b]]
            source, target = d[b, at : at + width], g[p]
            if p == b:
                for j in range(len(source)):
                    target[j] = source[j]
                target[width:] = np.float32(0)
            else:
                for j in range(len(source)):
                    target[j] += source[j]
        for b in range(n):
            row = places[t, b]
            if first[row] == b:
                kept = (keep[t, b, 0], keep[t, b, 1])
                step(w, tables.ms[t], tables.mask[t], row, 0, g, b, kept, scalars, np.int64(stride // 16))
        at += width


@njit(cache=True, nogil=True, error_model="numpy")
def flush(tables: Tables, clock: Clock, eps: Real) -> None:
    """Bring every row of the tables up to date and begin a new ``past``."""
    now = clock.clock[1]
    if now > 0:
        for t in range(len(tables.w)):
            w, last = tables.w[t], tables.last[t]
            lanes: Any = np.int64(w.shape[1] // 16)
            tiny = np.float32(eps)
            settle_all(0, len(w), 0, now, clock.past, clock.fade, w, tables.ms[t], last, tables.mask[t], tiny, lanes)
    begin(clock.past, clock.clock)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def train(
    rows: Array,
    codes: tuple[Array, ...],
    values: Array,
    tables: Tables,
    layers: Layers,
    clock: Clock,
    rule: Rule,
    schedule: Array,
    losses: Array,
) -> None:
    """Train as many consecutive batches of ``rows`` as there are ``losses``, the mean loss of each into them.
    ``schedule`` is what ``dot_bias/epoch.py`` makes of rates and momenta."""
    bs, count, columns = len(rows) // len(losses), len(layers.plan), len(codes)
    plan = layers.plan
    strides = np.empty(count + 1, np.int64)
    strides[:count] = plan[:, 7]
    strides[count] = padded(plan[count - 1, 1])
    begins = np.zeros(count + 2, np.int64)
    turns = np.zeros(count + 1, np.int64)
    for i in range(count + 1):
        begins[i + 1] = begins[i] + bs * strides[i]
    for i in range(count):
        turns[i + 1] = turns[i] + strides[i + 1] * strides[i]
    x, d, r = np.zeros(begins[-1], np.float32), np.zeros(begins[-1], np.float32), np.zeros(begins[-1], np.float32)
    stats, turned = np.zeros((count + 1, 2, strides.max()), np.float32), np.zeros(turns[-1], np.float32)
    gw, gs = np.zeros(len(layers.weights), np.float32), np.zeros(len(layers.spared), np.float32)
    widest = 0
    for t in range(columns):
        widest = max(widest, tables.w[t].shape[1])
    space = np.empty(bs * widest, np.float32)
    places, keep = np.empty((columns, bs), np.int64), np.empty((columns, bs, 2), np.float32)
    z, y, e = np.empty(bs, np.float32), np.empty(bs, np.float32), np.empty(bs, np.float32)
    for k in range(len(losses)):
        if is_full(clock.past, clock.clock):
            flush(tables, clock, rule.eps)
        clock.clock[0] += 1
        clock.clock[1] += 1
        now, ever = clock.clock[1], clock.clock[0]
        b1, rate, root, decay = schedule[0, k], schedule[1, k], schedule[2, k], schedule[3, k]
        for b in range(bs):
            one = rows[k * bs + b]
            y[b] = values[one]
            for t in range(columns):
                places[t, b] = codes[t][one]
        joined = x[: begins[1]].reshape(bs, strides[0])
        read_rows(places, tables, now, clock.past[4, now - 1], b1, rule.eps, clock, keep, joined)
        if layers.drops[0] > 0:
            dropped(joined, layers.drops[0], rule.seed, ever, 0)
        for i in range(count):
            lo, mid, hi = begins[i], begins[i + 1], begins[i + 2]
            given, made = x[lo:mid].reshape(bs, strides[i]), x[mid:hi].reshape(bs, strides[i + 1])
            about = stats[i].reshape(-1)[: 2 * strides[i + 1]].reshape(2, strides[i + 1])
            forward(i, layers, given, r[mid:hi].reshape(bs, strides[i + 1]), made, about)
            if layers.drops[i + 1] > 0:
                dropped(made, layers.drops[i + 1], rule.seed, ever, i + 1)
        last = begins[count]
        for b in range(bs):
            z[b] = x[last + b * strides[count]]
        losses[k] = batch_loss(z, y, e, bs, rule.loss, rule.lo, rule.hi, rule.ranged)
        for b in range(bs):
            d[last + b * strides[count]] = e[b]
        for i in range(count - 1, -1, -1):
            lo, mid, hi = begins[i], begins[i + 1], begins[i + 2]
            given, made = x[lo:mid].reshape(bs, strides[i]), r[mid:hi].reshape(bs, strides[i + 1])
            dx, dy = d[lo:mid].reshape(bs, strides[i]), d[mid:hi].reshape(bs, strides[i + 1])
            if layers.drops[i + 1] > 0:
                dropped(dy, layers.drops[i + 1], rule.seed, ever, i + 1)
            about = stats[i].reshape(-1)[: 2 * strides[i + 1]].reshape(2, strides[i + 1])
            backward(i, layers, given, made, dy, dx, about, gw, gs, turned[turns[i] :])
        grad = d[: begins[1]].reshape(bs, strides[0])
        if layers.drops[0] > 0:
            dropped(grad, layers.drops[0], rule.seed, ever, 0)
        scalars = (
            np.float32(1.0 - b1),
            np.float32(1.0 - rule.b2),
            np.float32(rate),
            np.float32(root),
            np.float32(rule.eps),
            np.float32(decay - 1.0),
        )
        step_rows(places, tables, grad, keep, scalars, space)
        b2, eps, kept = rule.b2, rule.eps, decay if rule.spared_decay else 1.0
        adam.step(layers.weights, gw, layers.weights_m, layers.weights_v, b1, b2, rate, root, eps, decay)
        adam.step(layers.spared, gs, layers.spared_m, layers.spared_v, b1, b2, rate, root, eps, kept)
        advance(clock.past, clock.clock, now, b1, rule.b2, rate, root, decay)
