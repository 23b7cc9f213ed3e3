"""Train a user's module by the kernel of ``kernels/tape.py`` in place of autograd, with the same arithmetic.

The module and its optimizer stay the public state. :class:`FusedModule` copies their numbers into the kernel's arrays
when a run of batches begins, and back at :meth:`FusedModule.flush`. Each time it checks again what the module computes
(``trace.py``).

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.kernels import tape as kernel
from cofactor.kernels.dot_bias.epoch import schedule
from cofactor.kernels.embedding_net import Clock, Rule, Tables, flush
from cofactor.model import Hyper
from cofactor.models.dot_bias.config import LOSSES
from cofactor.models.torch.optim import AdamRun
from cofactor.models.torch.program import Program, Table
from cofactor.models.torch.stepper import SMALL_WORK, array_of, padded, work
from cofactor.models.torch.trace import OwnLoss, loss_program_of, program_of

Array = NDArray[Any]
MOST = 1 << 28
"""Maximal number of floats in padded tables: beyond this the kernel would need several gigabytes."""
KernelLoss = tuple[str, tuple[float, float] | None]
LossOf = Callable[[tuple[float, float] | None], KernelLoss | None]


class FusedModule:
    """Trains a module by the kernel. ``codes``: int32 arrays, the columns of x.

    ``optimizer`` returns the present ``AdamRun``, or None if another rule is wanted. ``loss_of`` returns the kernel's
    loss for the module's range, with the range for training; None if the kernel has no such loss. In that case ``own``
    is traced with the module.
    """

    def __init__(
        self,
        module: nn.Module,
        codes: tuple[Array, ...],
        values: Array,
        optimizer: Callable[[], AdamRun | None],
        loss_of: LossOf,
        *,
        seed: int,
        own: OwnLoss | None = None,
    ) -> None:
        self.own = own
        self.module, self.optimizer, self.loss_of, self.seed = module, optimizer, loss_of, seed
        self.codes = np.ascontiguousarray(np.stack(codes), np.int32)
        self.values = np.ascontiguousarray(values, np.float32)
        self.lagging = False
        """Whether the arrays are ahead of the module."""
        self.known: Any = None
        self.begun = 0

    # ---- between the module and the arrays

    def begin(self, batch_size: int) -> bool:
        """Read the module's numbers. Returns False if autograd must train it."""
        if self.lagging:
            return True
        run = self.optimizer()
        if run is None or not run.rule.decouple_wd or batch_size < 2 or work(self.module, batch_size) > SMALL_WORK:
            return False
        rows = self._some_rows(batch_size)
        x = torch.from_numpy(np.ascontiguousarray(self.codes[:, rows].T, np.int64))
        program, loss = self._looked_at(x, rows)
        if program is None or loss is None or not self._fits(program, run):
            return False
        self.program, self.loss, self.run = program, loss, run
        now = program, self.parts, run.rule, [(run.decays[i], run.params[i].shape) for i in self.place.values()]
        if self.known != now:
            self.known = now
            self._allocate(program, run)
        self._take()
        return True

    def _looked_at(self, x: Tensor, rows: Array) -> tuple[Program | None, KernelLoss | None]:
        """Return the program of the module for rows of the data, and the kernel's loss; or both in one program."""
        if any(self.loss_of(y_range) is not None for y_range in (None, (0.0, 1.0))):
            program = program_of(self.module, x)
            loss = None if program is None else self.loss_of(program.y_range)
            if loss is not None:
                return program, loss
        if self.own is None:
            return None, None
        return loss_program_of(self.module, x, torch.from_numpy(rows), self.own), ("own", None)

    def _some_rows(self, batch_size: int) -> Array:
        """Return as many rows of the data as a batch has."""
        n = self.codes.shape[1]
        return np.linspace(0, n - 1, min(n, batch_size)).astype(np.int64)

    def _fits(self, program: Program, run: AdamRun) -> bool:
        parameters = dict(self.module.named_parameters())
        place = {id(p): i for i, p in enumerate(run.params)}
        if any(id(parameters[n]) not in place for n in program.names):
            return False
        self.place = {n: place[id(parameters[n])] for n in program.names}
        if not all(run.decays[self.place[t.name]] for t in program.tables):
            return False
        if len({run.steps[i] for i in self.place.values()}) != 1:
            return False
        pairs = [[run.decays[self.place[n or ""]] for n in o.names[:2]] for o in program.ops if o.kind == kernel.NORM]
        if any(shift != scale for shift, scale in pairs):
            return False
        self.parts = [self._part(t, program, len(parameters[t.name])) for t in program.tables]
        if sum((end - start) * padded(t.width) for t, (start, end) in zip(program.tables, self.parts)) > MOST:
            return False
        for t, (start, end) in zip(program.tables, self.parts):
            codes = self.codes[t.column]
            if len(codes) and not start <= int(codes.min()) + t.shift <= int(codes.max()) + t.shift < end:
                return False
        return True

    def _part(self, table: Table, program: Program, n: int) -> tuple[int, int]:
        """Return the rows of a parameter that belong to this table: those up to the next table's first row."""
        starts = sorted({t.shift for t in program.tables if t.name == table.name})
        at = starts.index(table.shift)
        return 0 if at == 0 else table.shift, starts[at + 1] if at + 1 < len(starts) else n

    def _allocate(self, program: Program, run: AdamRun) -> None:
        heads, base, place = np.zeros((len(program.tables), 6), np.int64), 0, 0
        columns = np.cumsum([0, *(t.width for t in program.tables)])
        self.order = sorted(range(len(heads)), key=lambda t: (program.tables[t].name, program.tables[t].shift))
        last: tuple[str, int] | None = None
        for head, t in zip(heads, self.order):
            (name, _, width, shift), (start, end) = program.tables[t], self.parts[t]
            n, stride = end - start, padded(width)
            if last == (name, shift):  # the same table, indexed by another column
                head[:] = heads[self.order.index(t) - 1]
            else:
                base = -(-base // stride)  # a table begins at a multiple of its own stride
                head[:5] = n, base, place, width, stride // 16
                base, place = (base + n) * stride, place + n
            head[5], last = columns[t], (name, shift)
        floats, ints = np.zeros(base, np.float32), np.zeros(place, np.int32)
        mask = np.ones((1, 16 * int(heads[:, 4].max())), np.float32)
        self.tables = Tables(heads, floats, np.zeros(2 * base, np.float32), ints, np.zeros_like(ints), mask)
        ordered = [(program.tables[t], self.parts[t]) for t in self.order]
        away = np.array([[table.shift - start] for table, (start, _) in ordered], np.int32)
        self.read = np.ascontiguousarray(self.codes[[table.column for table, _ in ordered]] + away)
        room = max(4096, place // 2) + 1
        past, b2 = np.zeros((5, room)), run.rule.sqr_mom
        self.clock = Clock(np.zeros(3, np.int64), past, b2 ** np.arange(room, dtype=np.float64))
        self._lay_out(program, run)

    def _lay_out(self, program: Program, run: AdamRun) -> None:
        """Plan the operations, and the position of each parameter."""
        strides = [padded(width) for width in program.widths]
        places = np.concatenate([[0], np.cumsum(strides)]).tolist()
        owners = _owners(program)
        sizes = {name: size for name, _, size in dict.fromkeys(owners)}
        heavy = [name for name in sizes if run.decays[self.place[name]]]
        light = [name for name in sizes if name not in heavy]
        split, total, starts = sum(sizes[n] for n in heavy), sum(sizes.values()), {}
        at = 0
        for name in (*heavy, *light):
            starts[name], at = at, at + sizes[name]
        spare = 2 * max(strides)  # zeros, for layers without a shift
        same = [op for op in program.ops if op.kind == kernel.FIXED and op.names == (None,)]
        at = total + spare
        for op in same:
            starts[f"={op.value}"], at = at, at + padded(len(op.numbers))
        again, places_of = list[tuple[int, int, int]](), dict[str, list[int]]()
        for name, _, size in owners:  # each use has its own position; the first is that of the parameter
            if name in places_of:
                again.append((at, starts[name], size))
                places_of[name].append(at)
                at += size
            else:
                places_of[name] = [starts[name]]
        params, grads, m, v = (np.zeros(at, np.float32) for _ in range(4))
        for op in same:
            params[starts[f"={op.value}"] : starts[f"={op.value}"] + len(op.numbers)] = op.numbers
        plan, numbers = np.zeros((len(program.ops), 16), np.int64), np.zeros((len(program.ops), 3))
        turned = stats = running = 0
        self.buffers: list[tuple[str, int, int]] = []
        kept = dict[str | None, int]()
        for row, more, op in zip(plan, numbers, program.ops):
            x, stride = op.inputs[0] if op.inputs else program.out, strides[op.value]
            row[:9] = (
                *(op.kind, places[op.value], stride, program.widths[op.value]),
                *(places[x.value], strides[x.value], x.start, 0, x.width),
            )
            row[7] = op.at if op.kind == kernel.COPY else places[op.inputs[1].value] if len(op.inputs) > 1 else 0
            row[10], row[14], row[15] = total, padded(x.width), 1
            if op.kind == kernel.FIXED:
                row[10] = starts[f"={op.value}"] if op.names[0] is None else places_of[op.names[0]].pop(0)
                continue
            more[: len(op.numbers)] = op.numbers
            if op.kind == kernel.LINEAR:
                row[9], row[11] = places_of[op.names[0] or ""].pop(0), turned
                turned += row[14] * stride
            if op.kind in (kernel.LINEAR, kernel.SHIFT, kernel.NORM):
                shift = op.names[1 if op.kind == kernel.LINEAR else 0]
                row[10] = total if shift is None else places_of[shift].pop(0)
            if op.kind == kernel.NORM:
                if op.names[2] not in kept:
                    kept[op.names[2]] = running
                    running += 2 * stride
                row[12], row[13], stats = stats, kept[op.names[2]], stats + 2 * stride
                at = kept[op.names[2]]
                self.buffers += [(op.names[2] or "", at, x.width), (op.names[3] or "", at + stride, x.width)]
        self.starts, self.flats = starts, (params, m, v)
        ends = (slice(0, split), slice(split, total))
        parts = [a[part] for part in ends for a in (params, grads, m, v)]
        uses = np.array(again, np.int64).reshape(-1, 3)
        every: Any = (params, grads, *parts, np.zeros(running, np.float32), uses)
        self.dense = kernel.Dense(*every)
        end = program.out
        self.end = np.array([strides[0], places[end.value], strides[end.value], end.start], np.int64)
        self.plan, self.numbers = plan, numbers
        self.sizes = places[-1], max(strides), stats, turned

    def _rows(self, t: int) -> tuple[Array, Array, Array]:
        """Return views of a table: weights, m and the root of v."""
        n, base, _, width, lanes, _ = self.tables.heads[self.order.index(t)].tolist()
        at, size, stride = base * 16 * lanes, n * 16 * lanes, 16 * lanes
        ms = self.tables.ms[2 * at : 2 * (at + size)].reshape(n, 2, stride)
        return self.tables.w[at : at + size].reshape(n, stride)[:, :width], ms[:, 0, :width], ms[:, 1, :width]

    def _views(self) -> Iterable[tuple[Array, Tensor]]:
        """Yield parts of the flat arrays, and the tensors that they represent."""
        run = self.run
        for name, shape, size in _owners(self.program):
            i, start = self.place[name], self.starts[name]
            for flat, tensor in zip(self.flats, (run.params[i], run.m[i], run.v[i])):
                part = flat[start : start + size]
                if len(shape) > 1:
                    weights = part.reshape(shape[0], -1)[:, : shape[1]]
                    yield weights.T if len(shape) == 2 else weights, tensor
                else:
                    yield part[: shape[0]].reshape(tensor.shape), tensor
        buffers = dict(self.module.named_buffers())
        for name, start, width in self.buffers:
            yield self.dense.running[start : start + width], buffers[name]

    def _take(self) -> None:
        """Copy weights and moments of the module into the arrays."""
        run = self.run
        for t, (table, part) in enumerate(zip(self.program.tables, self.parts)):
            i = self.place[table.name]
            weights, m, root = self._rows(t)
            now = [array_of(a)[slice(*part)].reshape(weights.shape) for a in (run.params[i], run.m[i], run.v[i])]
            weights[:], m[:] = now[:2]
            np.sqrt(now[2], out=root)
        self.tables.last[:] = 0
        for mine, theirs in self._views():
            mine[...] = array_of(theirs)
        clock, past, _ = self.clock
        clock[:] = next(run.steps[i] for i in self.place.values()), 0, 0
        past[:, 0] = 1, 1, 0, 0, 1

    def flush(self) -> None:
        """Bring the module and its optimizer up to date."""
        if not self.lagging:
            return
        run = self.run
        flush(self.tables, self.clock, run.rule.eps)
        steps = int(self.clock.clock[0])
        with torch.no_grad():
            for t, (table, part) in enumerate(zip(self.program.tables, self.parts)):
                i = self.place[table.name]
                weights, m, root = self._rows(t)
                for tensor, rows in ((run.params[i], weights), (run.m[i], m), (run.v[i], root**2)):
                    whole = tensor[slice(*part)]
                    whole.copy_(torch.from_numpy(rows).reshape(whole.shape))
            for mine, theirs in self._views():
                theirs.copy_(torch.from_numpy(mine))
            buffers = dict(self.module.named_buffers())
            for name in [name.rpartition(".")[0] for name, *_ in self.buffers[::2]]:  # once for each use
                counter = buffers.get(f"{name}.num_batches_tracked".removeprefix("."))
                if counter is not None:
                    counter += steps - self.begun
            for i in self.place.values():
                run.steps[i] = steps
        self.lagging = False

    # ---- training

    def train(self, rows: Array, hyper: Hyper) -> Array:
        """Train consecutive batches, after :meth:`begin`. Returns their losses."""
        run, n, bs = self.run, len(hyper.lr), hyper.batch_size
        if len(rows) != n * bs or n == 0:
            raise ConfigError(f"{len(rows)} rows are not {n} batches of {bs}")
        if not self.lagging:
            self.begun = int(self.clock.clock[0])
        name, limits = self.loss
        (lo, hi), number = limits or (0.0, 1.0), kernel.OWN if name == "own" else LOSSES[name]
        losses = np.empty(n, np.float64)
        self.module.eval()
        self.lagging = True
        b2 = float(run.rule.sqr_mom)
        kernel.train(
            np.ascontiguousarray(rows, np.int64),
            self.read,
            self.values,
            self.tables,
            self.plan,
            self.numbers,
            self.end,
            self.dense,
            self.clock,
            Rule(b2, float(run.rule.eps), False, number, float(lo), float(hi), limits is not None, self.seed),
            schedule(hyper.lr, hyper.momentum, float(hyper.weight_decay), b2, int(self.clock.clock[0])),
            losses,
            kernel.scratch(self.tables, bs, *self.sizes),
        )
        return losses


def _owners(program: Program) -> list[tuple[str, tuple[int, ...], int]]:
    """Return each parameter that is not a table: its name, its shape ((inputs, outputs) for weights), and its number of
    elements.

    The scale of a normalisation follows its shift. Weights that are (inputs, outputs) in the module too have a shape of
    three.
    """
    found: list[tuple[str, tuple[int, ...], int]] = []
    for op in program.ops:
        width = program.widths[op.value]
        wide = padded(width)
        if op.kind == kernel.LINEAR:
            inputs = op.inputs[0].width
            shape = (inputs, width, 1) if op.numbers[1] else (inputs, width)
            found.append((op.names[0] or "", shape, inputs * wide))
        if op.kind in (kernel.LINEAR, kernel.SHIFT, kernel.NORM, kernel.FIXED):
            own = op.names[1:2] if op.kind == kernel.LINEAR else op.names[:2]
            found += [(name, (width,), wide) for name in own if name is not None]
    return found
