"""Record the functions that a module calls, one by one: :class:`Tracer`. ``functions.py`` defines how each is recorded.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cofactor.kernels import tape
from cofactor.models.torch.calling import is_usual
from cofactor.models.torch.lazy import HARMLESS
from cofactor.models.torch.program import Op, Piece, Program, Table

MANY = 4096
"""Maximal number of columns of a value; beyond it a kernel would not be faster."""
LONG = 64
"""Maximal number of operations for one function of torch."""

_SAME_ORDER = {
    *("view", "reshape", "squeeze", "unsqueeze", "flatten", "ravel", "contiguous", "__getitem__", "narrow", "select"),
    *("split", "chunk", "unbind", "t", "transpose", "permute", "tensor_split", "split_with_sizes", "swapaxes"),
    *("expand", "repeat", "flip", "movedim", "moveaxis", "unflatten", "swapdims", "broadcast_to", "tile", "roll"),
}
_WHOLE = {*_SAME_ORDER, "long", "to", "int", "type", "clone", "detach", "__iter__"}
_COUNTED = {"add", "sub", "__add__", "__radd__", "__sub__", "stack", "cat", "concat", "column_stack"}
"""Functions that add a number to codes, and that join codes."""
_TURNS = {getattr(Tensor, name).__get__ for name in ("T", "mT")}


class NotKnown(Exception):
    """The module uses something that the kernel does not support."""


class Known(NamedTuple):
    """A tensor and its contents: pieces of values. ``rows``: whether its first dimension is that of the batch;
    otherwise every row has the same contents."""

    tensor: Tensor
    pieces: tuple[Piece, ...]
    rows: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row."""
        return tuple(self.tensor.shape[1:] if self.rows else self.tensor.shape)


class Tracer(TorchFunctionMode):
    """Records the calls inside ``with``. Raises :class:`NotKnown` if that is not possible."""

    def __init__(
        self, module: nn.Module, x: Tensor, handlers: Mapping[str, Callable[..., Tensor]], y: Tensor | None = None
    ) -> None:
        super().__init__()
        self.handlers = handlers
        self.x, self.n = x, len(x)
        self.parameters = {id(p): (n, p) for n, p in module.named_parameters()}
        self.buffers = {id(b): n for n, b in module.named_buffers()}
        self.counters = {id(m.num_batches_tracked) for m in module.modules() if isinstance(m, nn.BatchNorm1d)}
        self.whole: dict[int, Tensor] = {id(x): x}
        """The codes, parts of them, and codes with a number added."""
        self.known: dict[int, Known] = {}
        self.stale: dict[int, Tensor] = {}
        """The tensors that share memory with one that was changed in place."""
        self.tables: dict[Table, int] = {}
        """The first column of each in value 0."""
        self.widths, self.ops = [0], list[Op]()
        self.used: dict[str, str] = {}
        """The parameters in use, and the kind of use."""
        self.still: set[int] = set()
        """Values without a gradient."""
        self.target = -1
        self.copies: dict[tuple[Piece, ...], Piece] = {}
        self.made: dict[int, Tensor] = {}
        """Constant tensors that forward made, the same for every batch."""
        if y is not None:
            made = self.add(tape.TARGET, 1)
            self.target = made.value
            self.known[id(y)] = Known(y, (made,), True)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in HARMLESS:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        given = list(_tensors((args, kwargs)))
        ids = {id(t) for t in given}
        if ids & self.stale.keys():
            raise NotKnown("memory that was changed")
        if name == "add_" and ids & self.counters:
            return args[0]  # a normalisation counts its batches
        if not any(i in self.known or i in self.whole or i in self.parameters for i in ids):
            changes = (name.endswith("_") and not name.startswith("_")) or name.startswith("__i") or "out" in kwargs
            if changes and not ids <= self.made.keys():
                raise NotKnown("a tensor that stays is changed")
            out = func(*args, **kwargs)
            self.made |= {id(t): t for t in _tensors(out)}
            return out
        if ids & self.whole.keys() and not any(i in self.known or i in self.parameters for i in ids):
            return self.of_codes(func, name, given, args, kwargs)
        if name in _SAME_ORDER and len(given) == 1:
            return self.rearranged(func, given[0], args, kwargs)
        handler = self.handlers.get(name)
        if handler is None:
            raise NotKnown(name)
        return handler(self, func, *args, **kwargs)

    # ---- what is known

    def of_codes(self, func: Any, name: str, given: list[Tensor], args: Any, kwargs: Any) -> Any:
        """Handle parts of the codes, joined ones, and codes with a number added."""
        alone = all(id(t) in self.whole for t in given)
        if not (alone and (name in _WHOLE or func in _TURNS)) and name not in _COUNTED:
            raise NotKnown(name)
        if any(id(t) not in self.whole and (t.is_floating_point() or t.requires_grad) for t in given):
            raise NotKnown("codes and other numbers")
        parts = args[0].unbind(0) if name == "__iter__" else func(*args, **kwargs)
        self.whole |= {id(t): t for t in _tensors(parts)}
        return iter(parts) if name == "__iter__" else parts

    def value_of(self, t: Any) -> Known:
        """Return the contents of a tensor. A parameter or a constant tensor becomes a value, the same for every row."""
        if not isinstance(t, Tensor) or id(t) in self.whole:
            raise NotKnown("codes as numbers")
        if (found := self.known.get(id(t))) is not None:
            return found
        if id(t) in self.parameters and t.requires_grad:
            made = self.add(tape.FIXED, t.numel(), names=(self.parameter(t),))
            self.known[id(t)] = found = Known(t, (made,), False)
            return found
        if t.requires_grad or t.numel() > MANY or not t.numel():
            raise NotKnown("a tensor from elsewhere")
        rows, one = False, t.detach().double()
        if t.dim() and len(t) == self.n and bool((one == one[:1]).all()):
            rows, one = True, one[0]
        made = self.add(tape.FIXED, one.numel(), names=(None,), numbers=tuple(one.reshape(-1).tolist()))
        self.made[id(t)] = t
        return Known(t, (made,), rows)

    def keep(self, out: Tensor, pieces: Iterable[Piece], changed: Any = None, rows: bool = True) -> Tensor:
        """Record the contents of ``out``. ``changed``: the tensor that was to be changed in place, which becomes
        ``out``."""
        pieces = tuple(pieces)
        width = sum(p.width for p in pieces)
        shaped = out.numel() == width if not rows else out.dim() > 0 and out.numel() == self.n * width
        shaped = shaped and (not rows or len(out) == self.n)
        usual = out.dtype in (torch.float32, torch.bool) or all(p.value == self.target for p in pieces)
        learns = any(p.value not in self.still for p in pieces)
        if not usual or not shaped or out.requires_grad != learns or width > MANY:
            raise NotKnown("another shape, or no gradient")
        if changed is not None:
            if changed.shape != out.shape or id(changed) not in self.known:
                raise NotKnown("in place")
            memory = changed.untyped_storage().data_ptr()
            shared = [i for i, k in self.known.items() if k.tensor.untyped_storage().data_ptr() == memory]
            if any(i in self.parameters for i in shared):
                raise NotKnown("a parameter changed in place")
            for i in shared:
                self.stale[i] = self.known.pop(i).tensor
            self.stale.pop(id(changed), None)
            with torch.no_grad():
                changed.copy_(out)
            out = changed
        self.known[id(out)] = Known(out, pieces, rows)
        return out

    def parameter(self, p: Any, kind: str = "") -> str:
        """Return the name of a parameter in use. ``kind``: the layout of its numbers, the same for every use."""
        name, tensor = self.parameters.get(id(p), (None, None))
        if name is None or tensor is None or not (is_usual(tensor) or (tensor.dim() in (0, 3) and _plain(tensor))):
            raise NotKnown("a parameter")
        kind = kind or ("numbers" if tensor.dim() < 2 else "many")
        if any(t.name == name for t in self.tables) or self.used.setdefault(name, kind) != kind:
            raise NotKnown("a parameter that is used in two ways")
        return str(name)

    # ---- operations

    def one(self, pieces: Iterable[Piece], whole: bool = True) -> Piece:
        """Return pieces as columns of one value, copied if necessary. ``whole``: as all columns of a value."""
        joined: list[Piece] = []
        for p in pieces:
            last = joined[-1] if joined else None
            if last is not None and last.value == p.value and last.start + last.width == p.start:
                joined[-1] = last._replace(width=last.width + p.width)
            else:
                joined.append(p)
        alone = joined[0]
        if len(joined) == 1 and (
            not whole or (alone.value > 0 and alone.start == 0 and alone.width == self.widths[alone.value])
        ):
            return alone
        return self.copied(joined)

    def copied(self, pieces: list[Piece]) -> Piece:
        """Return a value with these pieces one after the other. A column that occurs many times is spread."""
        if (known := self.copies.get(tuple(pieces))) is not None:
            return known
        parts, i = list[Piece](), 0
        while i < len(pieces):
            many = i
            while many < len(pieces) and pieces[many] == pieces[i] and pieces[i].width == 1:
                many += 1
            parts.append(self.add(tape.SPREAD, many - i, pieces[i]) if many - i > 1 else pieces[i])
            i = max(many, i + 1)
        if len(parts) > LONG:
            raise NotKnown("many parts")
        if len(parts) == 1 and parts[0] not in pieces:
            self.copies[tuple(pieces)] = parts[0]
            return parts[0]
        value, at = self.value(sum(p.width for p in parts)), 0
        self.copies[tuple(pieces)] = value
        if all(p.value in self.still for p in parts):
            self.still.add(value.value)
        for p in parts:
            self.ops.append(Op(tape.COPY, value.value, (p,), at=at))
            at += p.width
        return value

    def value(self, width: int) -> Piece:
        if width > MANY:
            raise NotKnown("wide")
        self.widths.append(width)
        return Piece(len(self.widths) - 1, 0, width)

    def add(self, kind: int, width: int, *inputs: Piece, names: Any = (), numbers: tuple[float, ...] = ()) -> Piece:
        """Return the value of one more operation."""
        if not all(math.isfinite(v) or v == -math.inf for v in numbers):
            raise NotKnown("numbers")
        made = self.value(width)
        self.ops.append(Op(kind, made.value, inputs, tuple(names), numbers))
        stops = kind == tape.MAP and numbers[0] == tape.POSITIVE
        learns = any(n is not None for n in names) or any(p.value not in self.still for p in inputs)
        if stops or not learns:
            self.still.add(made.value)
        return made

    def whole_of(self, t: Any) -> tuple[Piece, bool]:
        """Return a tensor as all columns of a value, and whether it has rows."""
        found = self.value_of(t)
        return self.one(found.pieces), found.rows

    def of_one(self, kind: int, out: Tensor, t: Any, *numbers: float, changed: Any = None) -> Tensor:
        """Record an elementwise operation."""
        x, rows = self.whole_of(t)
        return self.keep(out, [self.add(kind, x.width, x, numbers=numbers)], changed, rows)

    def rearranged(self, func: Any, t: Tensor, args: Any, kwargs: Any) -> Any:
        """Record a function that keeps the numbers of a row, or some of them, in another shape, by applying it to their
        positions."""
        found = self.value_of(t)
        every = columns_of(found.pieces)
        out = func(*args, **kwargs)
        places = torch.arange(t.numel()).reshape(t.shape)
        moved = func(*(places if a is t else a for a in args), **kwargs)
        many = not isinstance(out, Tensor)
        for tensor, at in zip(out if many else [out], moved if many else [moved]):
            if tensor is t:
                continue
            if not found.rows:
                rows = tensor.dim() > 0 and len(at) == self.n and bool((at == at[:1]).all())
                self.keep(tensor, [every[c] for c in (at[0] if rows else at).reshape(-1).tolist()], rows=rows)
                continue
            if at.dim() == 0 or len(at) != self.n:
                raise NotKnown("rows")
            at = at.reshape(self.n, -1)
            if (at != at[0] + torch.arange(self.n)[:, None] * (t.numel() // self.n)).any():
                raise NotKnown("rows")
            self.keep(tensor, [every[c] for c in at[0].tolist()])
        return out

    def spread(self, t: Any, out: Tensor, rows: bool) -> Piece:
        """Return a tensor broadcast to the shape of ``out``. ``rows``: whether that has rows."""
        found, shape = self.value_of(t), tuple(out.shape[1:] if rows else out.shape)
        mine = found.shape
        if found.rows and t.dim() != out.dim():
            raise NotKnown("rows that are broadcast")
        if rows and not found.rows and t.dim() == out.dim():
            if len(t) != 1:
                raise NotKnown("rows of their own")
            mine = mine[1:]
        places = torch.arange(math.prod(mine)).reshape(mine)
        every = columns_of(found.pieces)
        return self.one([every[c] for c in places.expand(shape).reshape(-1).tolist()])

    def reduced(self, pieces: list[Piece], groups: list[list[int]], kind: int) -> list[Piece]:
        """Return sums, or products, of groups of columns of equal length."""
        many, long = len(groups), len(groups[0])
        if kind == tape.SUM and many <= long and many <= LONG:
            parts = [self.one([pieces[c] for c in group], whole=False) for group in groups]
            return [self.add(tape.SUM, 1, p, numbers=(1.0,)) for p in parts]
        if long > LONG:
            raise NotKnown("many sums")
        total = self.one([pieces[group[0]] for group in groups])
        for j in range(1, long):
            more = self.one([pieces[group[j]] for group in groups])
            numbers = (1.0, 1.0) if kind == tape.SUM else ()
            total = self.add(tape.ADD if kind == tape.SUM else tape.MULTIPLY, many, total, more, numbers=numbers)
        return [total]

    # ---- the end

    def program(self, out: Tensor) -> Program:
        """Return the whole program: up to one output per row, or up to the loss if there are ratings."""
        found, loss = self.value_of(out), self.target >= 0
        if len(found.pieces) != 1 or found.pieces[0].width != 1 or not self.tables or found.rows == loss:
            raise NotKnown("outputs")
        self.widths[0] = sum(t.width for t in self.tables)
        ops, end, y_range = self.ops, found.pieces[0], None
        if not loss:
            ops, end, y_range = _without_range(ops, end, self.widths)
        ops = _joined(_alive(ops, end, self.tables), end)
        return Program(tuple(self.tables), tuple(self.widths), tuple(ops), end, y_range, loss)


def _without_range(ops: list[Op], end: Piece, widths: list[int]) -> tuple[list[Op], Piece, tuple[float, float] | None]:
    """Remove the sigmoid at the end, which the loss handles by its range."""
    made = {o.value: o for o in ops}
    reads = [p.value for o in ops for p in o.inputs] + [end.value]
    scale, shift, gone, at = 1.0, 0.0, [], end
    while (op := made.get(at.value)) is not None and op.kind in (tape.AFFINE, tape.SIGMOID):
        if reads.count(at.value) != 1 or widths[at.value] != 1:
            break
        gone.append(op)
        at = op.inputs[0]
        if op.kind == tape.SIGMOID:
            return ([o for o in ops if o not in gone], at, (shift, shift + scale)) if scale > 0 else (ops, end, None)
        scale, shift = scale * op.numbers[0], shift + scale * op.numbers[1]
    return ops, end, None


def _alive(ops: list[Op], end: Piece, tables: dict[Table, int]) -> list[Op]:
    """Return the operations that the output depends on. The others have no gradient, and their parameters do not
    change."""
    read, kept = [end], list[Op]()
    for op in reversed(ops):
        if any(p.value == op.value for p in read):
            kept.append(op)
            read += op.inputs
        elif op.kind == tape.NORM:
            raise NotKnown("statistics of what is not used")
    for table, start in tables.items():
        if not any(p.value == 0 and p.start < start + table.width and start < p.start + p.width for p in read):
            raise NotKnown("a table that is not used")
    return kept[::-1]


def _joined(ops: list[Op], end: Piece) -> list[Op]:
    """Merge a ReLU directly after a linear layer into that layer."""
    reads = [p.value for o in ops for p in o.inputs] + [end.value]
    found: list[Op] = []
    for op in ops:
        last = found[-1] if found else None
        if (
            last is not None
            and op.kind == tape.SHIFT
            and op.names == (None,)
            and (last.kind in (tape.LINEAR, tape.SHIFT) and last.numbers[0] == -math.inf)
            and op.inputs[0].value == last.value
            and reads.count(last.value) == 1
        ):
            found[-1] = last._replace(value=op.value, numbers=(*op.numbers, *last.numbers[1:]))
        else:
            found.append(op)
    return found


def _tensors(found: Any) -> Iterable[Tensor]:
    """Yield the tensors among arguments."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, dict):
        yield from _tensors(list(found.values()))
    elif isinstance(found, (list, tuple)):
        for one in found:
            yield from _tensors(one)


def columns_of(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the contents of pieces, column by column."""
    return [Piece(p.value, p.start + j, 1) for p in pieces for j in range(p.width)]


def _plain(p: Tensor) -> bool:
    """Return whether it is as ``is_usual`` demands, whatever its dimensions."""
    return type(p) is nn.Parameter and p.requires_grad and p.dtype == torch.float32 and p.is_contiguous()
