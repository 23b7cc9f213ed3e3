"""The computation of a module, as operations on columns of values, and a plain evaluation to check it.

``trace.py`` records a program, and ``fused.py`` trains it by the kernel of ``kernels/tape.py``.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cofactor.kernels import tape


class Piece(NamedTuple):
    """Columns of a value, from ``start`` on."""

    value: int
    start: int
    width: int


class Table(NamedTuple):
    """Rows of a parameter that a column of x indexes, counted from row ``shift`` on."""

    name: str
    column: int
    width: int
    shift: int = 0


class Op(NamedTuple):
    """One operation: its number in ``kernels/tape.py``, the value that it makes (or writes to, from ``at`` on), its
    inputs, names of parameters and buffers, numbers."""

    kind: int
    value: int
    inputs: tuple[Piece, ...]
    names: tuple[str | None, ...] = ()
    numbers: tuple[float, ...] = ()
    at: int = 0


class Program(NamedTuple):
    """The computation of a module.

    Value 0 is the joined rows of ``tables``. ``widths``: of all values. ``out`` is a column, which a sigmoid maps to
    ``y_range`` if there is one; with ``loss`` it is the loss of the batch, in every row.
    """

    tables: tuple[Table, ...]
    widths: tuple[int, ...]
    ops: tuple[Op, ...]
    out: Piece
    y_range: tuple[float, float] | None
    loss: bool = False

    @property
    def names(self) -> list[str]:
        """Return the parameters that learn."""
        return list(dict.fromkeys([*(t.name for t in self.tables), *(n for o in self.ops for n in _learned(o))]))


def _learned(op: Op) -> Iterable[str]:
    return (n for n in (op.names[:2] if op.kind == tape.NORM else op.names) if n is not None)


def evaluate(program: Program, weights: Mapping[str, Tensor], x: Tensor, y: Tensor | None = None) -> Tensor:
    """Evaluate a program in training mode, without dropout: (rows,). ``y``: the ratings, for a loss."""
    rows = [weights[t.name][x[:, t.column] + t.shift].reshape(len(x), -1) for t in program.tables]
    values: dict[int, Any] = {0: torch.cat(rows, 1)}

    def read(piece: Piece) -> Tensor:
        found = values[piece.value]
        if isinstance(found, list):
            found = values[piece.value] = torch.cat(found, 1)
        part: Tensor = found[:, piece.start : piece.start + piece.width]
        return part

    for op in program.ops:
        inputs, numbers = [read(p) for p in op.inputs], op.numbers
        one = inputs[0] if inputs else x
        own = [None if n is None or n not in weights else weights[n] for n in op.names]
        if op.kind == tape.COPY:
            values.setdefault(op.value, []).append(one)
        elif op.kind in (tape.LINEAR, tape.SHIFT):
            if op.kind == tape.LINEAR:
                assert own[0] is not None
                one = one @ (own[0] if numbers[1] else own[0].T)
            one = one if own[-1] is None else one + own[-1]
            values[op.value] = one if numbers[0] == -math.inf else torch.relu(one)
        elif op.kind == tape.NORM:
            shift, scale = own[:2]
            values[op.value] = nn.functional.batch_norm(one, None, None, scale, shift, True, 0.0, numbers[1])
        elif op.kind == tape.DROP:
            values[op.value] = one
        elif op.kind == tape.SUM:
            values[op.value] = one.sum(1, keepdim=True) * numbers[0]
        elif op.kind == tape.SPREAD:
            values[op.value] = one.expand(-1, program.widths[op.value])
        elif op.kind == tape.ADD:
            values[op.value] = numbers[0] * one + numbers[1] * inputs[1]
        elif op.kind == tape.MULTIPLY:
            values[op.value] = one * inputs[1]
        elif op.kind == tape.AFFINE:
            values[op.value] = numbers[0] * one + numbers[1]
        elif op.kind == tape.FIXED:
            same = torch.tensor(numbers, dtype=torch.float64) if own[0] is None else own[0].reshape(-1)
            values[op.value] = same.expand(len(x), -1)
        elif op.kind == tape.SOFTMAX:
            values[op.value] = torch.softmax(one.reshape(len(x), -1, int(numbers[0])), -1).flatten(1)
        elif op.kind == tape.TARGET:
            assert y is not None
            values[op.value] = y.reshape(-1, 1).double()
        elif op.kind == tape.BATCH:
            total = one.sum(0, keepdim=True)
            values[op.value] = (total / len(x) if numbers[0] else total).expand(len(x), -1)
        elif op.kind == tape.MAP:
            values[op.value] = FUNCTIONS[int(numbers[0])](one, *numbers[1:])
        else:
            values[op.value] = torch.sigmoid(one)
    out = read(program.out)[:, 0]
    if program.y_range is None:
        return out
    low, high = program.y_range
    return low + (high - low) * torch.sigmoid(out)


FUNCTIONS: dict[int, Callable[..., Tensor]] = {
    tape.EXP: torch.exp,
    tape.LOG: torch.log,
    tape.SQRT: torch.sqrt,
    tape.ABS: torch.abs,
    tape.INVERSE: torch.reciprocal,
    tape.SOFTPLUS: nn.functional.softplus,
    tape.ELU: nn.functional.elu,
    tape.ERF: torch.erf,
    tape.CLAMP: torch.clamp,
    tape.POWER: torch.pow,
    tape.POSITIVE: lambda v, *rest: (v > 0).double(),
}
"""The kernel's functions of one number."""
