"""Train a network over embeddings by one kernel in place of autograd: the same arithmetic, some ten times faster.

The module and its optimizer stay the public state. :class:`Fused` copies their numbers into the kernel's arrays when a
run of batches begins, and back at :meth:`Fused.flush`. It inspects the module each time. A module that was altered, has
a hook, or has a layer that the kernel does not know is left to autograd.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.kernels import embedding_net as kernel
from cofactor.kernels.dot_bias.epoch import schedule
from cofactor.model import Hyper
from cofactor.models.torch.calling import hooked, plain_look_up
from cofactor.models.torch.layers import Embedding, LinBnDrop, SigmoidRange
from cofactor.models.torch.optim import AdamRun
from cofactor.models.torch.stepper import SMALL_WORK, array_of, padded, work

Array = NDArray[Any]


class Block(NamedTuple):
    """One layer of the network: its linear part, whether a ReLU follows, batch normalisation, the dropout rate."""

    linear: nn.Linear
    relu: bool
    norm: nn.BatchNorm1d | None
    drop: float


class Network(NamedTuple):
    """The parts of a module that the kernel trains."""

    tables: tuple[nn.Embedding, ...]
    embed_drop: float
    blocks: tuple[Block, ...]
    y_range: tuple[float, float] | None


def network_of(module: Any, columns: int) -> Network | None:
    """Return the parts of an ``EmbeddingNN`` as the kernel trains them; None if any part is unknown to it."""
    try:
        parts = dict(module.named_children())
        tables, layers, drop = tuple(parts.pop("embeds")), list(parts.pop("layers")), parts.pop("emb_drop")
        empty = parts.pop("bn_cont", None)  # the library's network has a batch normalisation for no columns
    except (AttributeError, KeyError, TypeError):
        return None
    if parts or "forward" in vars(module) or module._parameters or hooked(module) or len(tables) != columns:
        return None
    if empty is not None and (type(empty) is not nn.BatchNorm1d or empty.num_features):
        return None
    y_range = None
    if layers and type(layers[-1]) is SigmoidRange:
        last: Any = layers.pop()
        y_range = (float(last.low), float(last.high))
        if not y_range[0] < y_range[1]:
            return None
    blocks = [_block(layer) for layer in layers]
    found = [b for b in blocks if b is not None]
    if not found or len(found) < len(blocks) or type(drop) is not nn.Dropout or drop.p >= 1:
        return None
    if not all(type(t) is Embedding and plain_look_up(t) for t in tables):
        return None
    sizes = [sum(t.weight.shape[1] for t in tables), *(b.linear.weight.shape[0] for b in found)]
    fits = [b.linear.weight.shape[1] for b in found] == sizes[:-1] and sizes[-1] == 1 and not found[-1].relu
    weights = [*(t.weight for t in tables), *(p for b in found for p in _weights(b))]
    if not fits or not all(_plain(p) for p in weights):
        return None
    known = {id(p) for p in weights}
    if len(known) != len(weights) or any(id(p) not in known and p.numel() for p in module.parameters()):
        return None
    return Network(tables, float(drop.p), tuple(found), y_range)


def _block(layer: Any) -> Block | None:
    """Read a linear layer and its optional ReLU, batch normalisation and dropout."""
    if type(layer) is not LinBnDrop:
        return None
    parts = list(layer)
    order = [nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout]
    kinds = [type(p) for p in parts]
    if kinds != [k for k in order if k in kinds] or not kinds or kinds[0] is not nn.Linear:
        return None
    named: dict[Any, Any] = dict(zip(kinds, parts))
    norm, drop = named.get(nn.BatchNorm1d), named.get(nn.Dropout)
    linear: Any = named[nn.Linear]
    if norm is None:
        usual = linear.bias is not None
    else:
        usual = linear.bias is None and norm.affine and norm.track_running_stats and norm.momentum is not None
        usual = usual and all(_plain(t, learns=False) for t in (norm.running_mean, norm.running_var))
    if not usual or (drop is not None and not 0 <= drop.p < 1):
        return None
    return Block(linear, nn.ReLU in named, norm, 0.0 if drop is None else float(drop.p))


def _weights(block: Block) -> list[Tensor]:
    spared = block.linear if block.norm is None else block.norm
    found = [block.linear.weight, spared.bias] + ([] if block.norm is None else [block.norm.weight])
    return [p for p in found if p is not None]


def _plain(p: Tensor, learns: bool = True) -> bool:
    usual = p.dtype == torch.float32 and p.device.type == "cpu" and p.is_contiguous() and not p._backward_hooks
    return usual and (not learns or (type(p) is nn.Parameter and p.requires_grad))


class Fused:
    """Trains a module by the kernel. ``codes``: int32 arrays, one for each table of embeddings.

    ``optimizer`` returns the present ``AdamRun``, or None if another rule is wanted. ``loss`` and ``limits`` are those
    of the kernel (``limits`` if the module has no range of its own).
    """

    def __init__(
        self,
        module: nn.Module,
        codes: tuple[Array, ...],
        values: Array,
        optimizer: Callable[[], AdamRun | None],
        *,
        loss: int,
        seed: int,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.module, self.optimizer = module, optimizer
        self.codes = np.ascontiguousarray(np.stack(codes), np.int32)
        self.values = np.ascontiguousarray(values, np.float32)
        self.loss, self.seed, self.limits = loss, seed, limits
        self.lagging = False
        """Whether the arrays are ahead of the module."""
        self.network: Network | None = None
        self.run: AdamRun | None = None
        self.begun = 0

    # ---- between the module and the arrays

    def begin(self, batch_size: int) -> bool:
        """Read the module's numbers. Returns False if autograd must train it."""
        if self.lagging:
            return True
        net, run = network_of(self.module, len(self.codes)), self.optimizer()
        if net is None or run is None or not self._fits(net, run, batch_size):
            return False
        self.run = run
        if self.network != net:
            self.network = net
            self._allocate(net, run)
        self._take(net, run)
        return True

    def _fits(self, net: Network, run: AdamRun, bs: int) -> bool:
        if not run.rule.decouple_wd or (bs < 2 and any(b.norm is not None for b in net.blocks)):
            return False
        if work(self.module, bs) > SMALL_WORK:
            return False  # several torch threads are faster
        place = {id(p): i for i, p in enumerate(run.params)}
        heavy = [*(t.weight for t in net.tables), *(b.linear.weight for b in net.blocks)]
        light = [p for b in net.blocks for p in _weights(b)[1:]]
        if any(id(p) not in place for p in [*heavy, *light]):
            return False
        if not all(run.decays[place[id(p)]] for p in heavy) or len({run.decays[place[id(p)]] for p in light}) != 1:
            return False
        if len({run.steps[place[id(p)]] for p in [*heavy, *light]}) != 1:
            return False
        self.place, self.spared_decay = place, run.decays[place[id(light[0])]]
        return all(int(c.max(initial=0)) < len(t.weight) for c, t in zip(self.codes, net.tables))

    def _allocate(self, net: Network, run: AdamRun) -> None:
        heads, base, place = np.zeros((len(net.tables), 6), np.int64), 0, 0
        column = 0
        for head, table in zip(heads, net.tables):
            n, width = table.weight.shape
            stride = padded(width)
            base = -(-base // stride)  # a table begins at a multiple of its own stride
            head[:] = n, base, place, width, stride // 16, column
            base, place, column = (base + n) * stride, place + n, column + width
        floats, ints = np.zeros(base, np.float32), np.zeros(place, np.int32)
        mask = np.ones((1, 16 * int(heads[:, 4].max())), np.float32)
        self.tables = kernel.Tables(heads, floats, np.zeros(2 * base, np.float32), ints, np.zeros_like(ints), mask)
        plan, w, s, r, before, turned, t = np.zeros((len(net.blocks), 13), np.int64), 0, 0, 0, 0, 0, 0
        for row, block in zip(plan, net.blocks):
            outputs, inputs = block.linear.weight.shape
            norm, stride, wide = block.norm is not None, padded(inputs), padded(outputs)
            row[:] = inputs, outputs, w, s, block.relu, norm, r, stride, wide, before, turned, t, 1
            w, s, r = w + inputs * wide, s + 2 * wide, r + 2 * wide * norm
            before, turned, t = before + stride, turned + stride * wide, t + 2 * wide
        drops = [net.embed_drop, *(b.drop for b in net.blocks)]
        norms = [(0.0, 0.0) if b.norm is None else (b.norm.eps, b.norm.momentum) for b in net.blocks]
        numbers = [np.zeros(size, np.float32) for size in (w, w, w, s, s, s, r)]
        self.layers = kernel.Layers(plan, np.array(drops), np.array(norms, np.float64), *numbers)
        columns = max(4096, place // 2) + 1
        past, b2 = np.zeros((5, columns)), run.rule.sqr_mom
        self.clock = kernel.Clock(np.zeros(3, np.int64), past, b2 ** np.arange(columns, dtype=np.float64))

    def _take(self, net: Network, run: AdamRun) -> None:
        """Copy weights and moments of the module into the arrays."""
        for t, table in enumerate(net.tables):
            i = self.place[id(table.weight)]
            weights, m, root = self._rows(t)
            weights[:], m[:] = array_of(table.weight), array_of(run.m[i])
            np.sqrt(array_of(run.v[i]), out=root)
        self.tables.last[:] = 0
        for mine, theirs in self._views(net, run):
            mine[...] = array_of(theirs)
        clock, past, _ = self.clock
        clock[:] = run.steps[self.place[id(net.tables[0].weight)]], 0, 0
        past[:, 0] = 1, 1, 0, 0, 1

    def _rows(self, t: int) -> tuple[Array, Array, Array]:
        """Return views of a table: weights, m and the root of v."""
        n, base, _, width, lanes, _ = self.tables.heads[t].tolist()
        at, size, stride = base * 16 * lanes, n * 16 * lanes, 16 * lanes
        ms = self.tables.ms[2 * at : 2 * (at + size)].reshape(n, 2, stride)
        return self.tables.w[at : at + size].reshape(n, stride)[:, :width], ms[:, 0, :width], ms[:, 1, :width]

    def _views(self, net: Network, run: AdamRun) -> list[tuple[Array, Tensor]]:
        """Return parts of the flat arrays, and the tensors that they represent."""
        layers: Any = self.layers
        found: list[tuple[Array, Tensor]] = []
        for row, block in zip(layers.plan.tolist(), net.blocks):
            inputs, outputs, w, s, _, _, r, _, wide, *_ = row
            own = [(block.linear.weight, w, True)]
            own += [(p, s + j * wide, False) for j, p in enumerate(_weights(block)[1:])]
            for p, start, heavy in own:
                i = self.place[id(p)]
                flats = layers[3:6] if heavy else layers[6:9]
                for flat, tensor in zip(flats, (p, run.m[i], run.v[i])):
                    if heavy:
                        part = flat[start : start + inputs * wide].reshape(inputs, wide)[:, :outputs].T
                    else:
                        part = flat[start : start + outputs]
                    found.append((part, tensor))
            if block.norm is not None:
                for j, buffer in enumerate((block.norm.running_mean, block.norm.running_var)):
                    assert buffer is not None
                    found.append((layers.running[r + j * wide :][:outputs], buffer))
        return found

    def flush(self) -> None:
        """Bring the module and its optimizer up to date."""
        net, run = self.network, self.run
        if not self.lagging or net is None or run is None:
            return
        kernel.flush(self.tables, self.clock, run.rule.eps)
        steps = int(self.clock.clock[0])
        with torch.no_grad():
            for t, table in enumerate(net.tables):
                i = self.place[id(table.weight)]
                weights, m, root = (torch.from_numpy(part) for part in self._rows(t))
                table.weight.copy_(weights)
                run.m[i].copy_(m)
                torch.mul(root, root, out=run.v[i])
                run.steps[i] = steps
            for mine, theirs in self._views(net, run):
                theirs.copy_(torch.from_numpy(mine))
            done = steps - self.begun
            for block in net.blocks:
                if block.norm is not None and block.norm.num_batches_tracked is not None:
                    block.norm.num_batches_tracked += done
                for p in _weights(block):
                    run.steps[self.place[id(p)]] = steps
        self.lagging = False

    # ---- training

    def train(self, rows: Array, hyper: Hyper) -> Array:
        """Train consecutive batches, after :meth:`begin`. Returns their losses."""
        net, run, n = self.network, self.run, len(hyper.lr)
        if net is None or run is None or len(rows) != n * hyper.batch_size or n == 0:
            raise ConfigError(f"{len(rows)} rows are not {n} batches of {hyper.batch_size}")
        if not self.lagging:
            self.begun = int(self.clock.clock[0])
        lo, hi = net.y_range or self.limits or (0.0, 1.0)
        losses = np.empty(n, np.float64)
        self.module.eval()
        self.lagging = True
        kernel.train(
            np.ascontiguousarray(rows, np.int64),
            self.codes,
            self.values,
            self.tables,
            self.layers,
            self.clock,
            kernel.Rule(
                float(run.rule.sqr_mom),
                float(run.rule.eps),
                bool(self.spared_decay),
                self.loss,
                float(lo),
                float(hi),
                net.y_range is not None,
                self.seed,
            ),
            schedule(hyper.lr, hyper.momentum, float(hyper.weight_decay), run.rule.sqr_mom, int(self.clock.clock[0])),
            losses,
            kernel.scratch(self.tables, self.layers, hyper.batch_size),
        )
        return losses
