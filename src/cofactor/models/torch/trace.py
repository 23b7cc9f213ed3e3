"""What a module of one's own computes, as a list of operations that the kernel of ``kernels/tape.py`` can train.

:func:`program_of` calls the module once, in training mode, on rows of the data, and writes down each function of torch
that it calls (``TorchFunctionMode``), however it is written: embeddings or parameters looked up by columns, joined,
multiplied, summed, linear layers, ReLU and its like, batch normalisation, dropout, sigmoids with a range. Anything
else, a number that Python looks at (``if x.max() > 1``), a gradient that is stopped, a weight used twice: None, and
autograd trains the module. What was written down is then computed in float64 and compared with what the module gave.

This file needs torch; whoever imports it checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cofactor.kernels import tape
from cofactor.models.torch.calling import hooked, is_usual, quietly
from cofactor.models.torch.lazy import HARMLESS, readable
from cofactor.models.torch.program import Op, Piece, Program, evaluate
from cofactor.models.torch.side_effects import has_side_effects
from cofactor.models.torch.stepper import flat_output


class NotKnown(Exception):
    """The module does something that the kernel does not."""


def program_of(module: nn.Module, x: Tensor) -> Program | None:
    """What the module computes for ``x`` int64 (rows, columns); None where that is not certain."""
    if len(x) < 2 or not readable(module) or hooked(module) or has_side_effects(module):
        return None
    was = module.training
    tracer = Tracer(module, x)
    try:
        with quietly(module) as quiet, torch.enable_grad():
            module.train()
            with tracer:
                out = flat_output(module(x), len(x))
            found = tracer.program(out)
            weights = dict(module.named_parameters())
            known = evaluate(found, {n: weights[n].detach().double() for n in found.names}, x)
            close = torch.allclose(known, out.detach().double(), rtol=1e-4, atol=1e-5)
    except Exception:  # whatever it wants, it is not what the kernel knows
        return None
    finally:
        module.train(was)
    return found if close and quiet.nothing else None


class Tracer(TorchFunctionMode):
    """Writes down what is called inside ``with``; :class:`NotKnown` where that cannot be done."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.x, self.n = x, len(x)
        self.parameters = {id(p): (n, p) for n, p in module.named_parameters()}
        self.buffers = {id(b): n for n, b in module.named_buffers()}
        self.counters = {id(m.num_batches_tracked) for m in module.modules() if isinstance(m, nn.BatchNorm1d)}
        self.whole: dict[int, Tensor] = {id(x): x}
        """The codes, and parts of them."""
        self.known: dict[int, tuple[Tensor, tuple[Piece, ...]]] = {}
        self.stale: dict[int, Tensor] = {}
        """What shares memory with a tensor that was changed in place."""
        self.tables: dict[str, tuple[int, int, int]] = {}
        """By name: column, first column in value 0, width."""
        self.widths, self.ops, self.used = [0], list[Op](), set[str]()
        self.copies: dict[tuple[Piece, ...], Piece] = {}

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
        if not any(i in self.known or i in self.whole or i in self.parameters or i in self.buffers for i in ids):
            return func(*args, **kwargs)
        if ids <= self.whole.keys():
            if name not in _WHOLE and func not in _TURNS:
                raise NotKnown(name)
            parts = args[0].unbind(0) if name == "__iter__" else func(*args, **kwargs)
            self.whole |= {id(t): t for t in _tensors(parts)}
            return iter(parts) if name == "__iter__" else parts
        if name in _SAME_ORDER and len(given) == 1 and id(given[0]) in self.known:
            return self.rearranged(func, given[0], args, kwargs)
        handler = _HANDLERS.get(name)
        if handler is None:
            raise NotKnown(name)
        return handler(self, func, *args, **kwargs)

    # ---- what is known

    def pieces(self, t: Any) -> tuple[Piece, ...]:
        """What a tensor holds."""
        if not isinstance(t, Tensor) or id(t) not in self.known:
            raise NotKnown("a tensor from elsewhere")
        return self.known[id(t)][1]

    def keep(self, out: Tensor, pieces: Iterable[Piece], changed: Any = None) -> Tensor:
        """Remember what ``out`` holds. ``changed``: the tensor that was to be changed in place, which becomes it."""
        pieces = tuple(pieces)
        width = sum(p.width for p in pieces)
        if out.dtype != torch.float32 or len(out) != self.n or out.numel() != self.n * width or not out.requires_grad:
            raise NotKnown("another shape, or no gradient")
        if changed is not None:
            if changed.shape != out.shape:
                raise NotKnown("in place")
            memory = changed.untyped_storage().data_ptr()
            shared = [i for i, (t, _) in self.known.items() if t.untyped_storage().data_ptr() == memory]
            for i in shared:
                self.stale[i] = self.known.pop(i)[0]
            self.stale.pop(id(changed), None)
            with torch.no_grad():
                changed.copy_(out)
            out = changed
        self.known[id(out)] = out, pieces
        return out

    def parameter(self, p: Any) -> str:
        """The name of a parameter that is now used, for the first time."""
        name, tensor = self.parameters.get(id(p), (None, None))
        if name is None or tensor is None or not (is_usual(tensor) or (tensor.dim() == 0 and tensor.requires_grad)):
            raise NotKnown("a parameter")
        if name in self.used or name in self.tables:
            raise NotKnown("a parameter that is used twice")
        self.used.add(name)
        return str(name)

    # ---- operations

    def one(self, pieces: Iterable[Piece], whole: bool = True) -> Piece:
        """Pieces as columns of one value, copied where they are not. ``whole``: as all of a value."""
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
        if (known := self.copies.get(tuple(pieces))) is not None:
            return known
        value, at = self.value(sum(p.width for p in pieces)), 0
        self.copies[tuple(pieces)] = value
        for p in pieces:
            self.ops.append(Op(tape.COPY, value.value, (p,), at=at))
            at += p.width
        return value

    def value(self, width: int) -> Piece:
        self.widths.append(width)
        return Piece(len(self.widths) - 1, 0, width)

    def add(self, kind: int, width: int, *inputs: Piece, names: Any = (), numbers: tuple[float, ...] = ()) -> Piece:
        """The value of one more operation."""
        if not all(math.isfinite(v) or v == -math.inf for v in numbers):
            raise NotKnown("numbers")
        made = self.value(width)
        self.ops.append(Op(kind, made.value, inputs, tuple(names), numbers))
        return made

    def of_one(self, kind: int, t: Any, *numbers: float) -> Piece:
        """An operation number by number."""
        x = self.one(self.pieces(t))
        return self.add(kind, x.width, x, numbers=numbers)

    def rearranged(self, func: Any, t: Tensor, args: Any, kwargs: Any) -> Any:
        """What keeps a row's numbers, or some of them, in whatever shape: the same is done with their places."""
        pieces = self.pieces(t)
        out = func(*args, **kwargs)
        places = torch.arange(t.numel()).reshape(t.shape)
        found = func(*(places if a is t else a for a in args), **kwargs)
        many = not isinstance(out, Tensor)
        for tensor, at in zip(out if many else [out], found if many else [found]):
            if len(at) != self.n:
                raise NotKnown("rows")
            at = at.reshape(self.n, -1)
            columns = at[0]
            if (at != columns + torch.arange(self.n)[:, None] * (t.numel() // self.n)).any():
                raise NotKnown("rows")
            if tensor is t:
                continue
            self.keep(tensor, _columns(pieces, columns.tolist()))
        return out

    # ---- the end

    def program(self, out: Tensor) -> Program:
        """All of it."""
        pieces = self.pieces(out)
        if len(pieces) != 1 or pieces[0].width != 1 or not self.tables:
            raise NotKnown("outputs")
        self.widths[0] = sum(width for *_, width in self.tables.values())
        ops, end, y_range = _without_range(self.ops, pieces[0], self.widths)
        ops = _joined(_alive(ops, end, self.tables), end)
        tables = tuple((name, column, width) for name, (column, _, width) in self.tables.items())
        return Program(tables, tuple(self.widths), tuple(ops), end, y_range)


def _without_range(ops: list[Op], end: Piece, widths: list[int]) -> tuple[list[Op], Piece, tuple[float, float] | None]:
    """Without the sigmoid at the end, which the loss knows by its range."""
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


def _alive(ops: list[Op], end: Piece, tables: dict[str, tuple[int, int, int]]) -> list[Op]:
    """The operations on which the output depends. What it does not depend on has no gradient, and stays as it is."""
    read, kept = [end], list[Op]()
    for op in reversed(ops):
        if any(p.value == op.value for p in read):
            kept.append(op)
            read += op.inputs
        elif op.kind == tape.NORM:
            raise NotKnown("statistics of what is not used")
    for _, start, width in tables.values():
        if not any(p.value == 0 and p.start < start + width and start < p.start + p.width for p in read):
            raise NotKnown("a table that is not used")
    return kept[::-1]


def _joined(ops: list[Op], end: Piece) -> list[Op]:
    """A ReLU right after a linear layer becomes a part of it."""
    reads = [p.value for o in ops for p in o.inputs] + [end.value]
    found: list[Op] = []
    for op in ops:
        last = found[-1] if found else None
        if (
            last is not None
            and op.kind == tape.SHIFT
            and op.names == (None,)
            and (last.kind in (tape.LINEAR, tape.SHIFT) and last.numbers == (-math.inf,))
            and op.inputs[0].value == last.value
            and reads.count(last.value) == 1
        ):
            found[-1] = last._replace(value=op.value, numbers=op.numbers)
        else:
            found.append(op)
    return found


def _tensors(found: Any) -> Iterable[Tensor]:
    """The tensors among arguments."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, dict):
        yield from _tensors(list(found.values()))
    elif isinstance(found, (list, tuple)):
        for one in found:
            yield from _tensors(one)


def _columns(pieces: tuple[Piece, ...], columns: list[int]) -> list[Piece]:
    """Some columns of what pieces are, joined."""
    every = [Piece(p.value, p.start + j, 1) for p in pieces for j in range(p.width)]
    return [every[c] for c in columns]


# ---- functions of torch

_SAME_ORDER = {
    *("view", "reshape", "squeeze", "unsqueeze", "flatten", "ravel", "contiguous", "__getitem__", "narrow", "select"),
    *("split", "chunk", "unbind", "t", "transpose", "permute", "tensor_split", "split_with_sizes", "swapaxes"),
}
_WHOLE = {*_SAME_ORDER, "long", "to", "int", "type", "clone", "detach", "__iter__"}
_TURNS = {getattr(Tensor, name).__get__ for name in ("T", "mT")}


def _look_up(tracer: Tracer, func: Any, table: Any, rows: Any, call: Callable[[], Tensor]) -> Tensor:
    name, p = tracer.parameters.get(id(table), ("", None))
    if p is None or not is_usual(p) or not isinstance(rows, Tensor) or id(rows) not in tracer.whole:
        raise NotKnown("a look-up")
    if name in tracer.used or rows.dtype != torch.int64:
        raise NotKnown("a table that is used otherwise")
    flat = rows.reshape(-1)
    columns = [c for c in range(tracer.x.shape[1]) if torch.equal(flat, tracer.x[:, c])]
    if len(columns) != 1:
        raise NotKnown("which column")
    width = p.numel() // len(p)
    if name not in tracer.tables:
        start = sum(w for *_, w in tracer.tables.values())
        tracer.tables[name] = columns[0], start, width
    column, start, _ = tracer.tables[name]
    if column != columns[0]:
        raise NotKnown("a table of two columns")
    return tracer.keep(call(), [Piece(0, start, width)])


def _get_item(tracer: Tracer, func: Any, table: Any, rows: Any) -> Tensor:
    return _look_up(tracer, func, table, rows, lambda: func(table, rows))


def _embedding(tracer: Tracer, func: Any, rows: Any, table: Any, *rest: Any, **more: Any) -> Tensor:
    if func is torch.embedding:
        rows, table = table, rows
        if rest[:1] == (-1,):
            rest = rest[1:]
    more.pop("norm_type", None)
    values = [*rest, *more.values()]
    if func is not torch.embedding and len(rest) > 2:  # the norm's type says nothing without a norm
        values = [*rest[:2], *rest[3:], *more.values()]
    if not all(v is None or v is False for v in values):
        raise NotKnown("padding, norms")
    return _look_up(tracer, func, table, rows, lambda: nn.functional.embedding(rows, table))


def _index_select(tracer: Tracer, func: Any, table: Any, dim: Any, rows: Any) -> Tensor:
    if dim != 0:
        raise NotKnown("dim")
    return _look_up(tracer, func, table, rows, lambda: func(table, dim, rows))


def _linear(tracer: Tracer, func: Any, input: Any, weight: Any, bias: Any = None) -> Tensor:
    x = tracer.one(tracer.pieces(input), whole=False)
    if input.dim() != 2 or weight.dim() != 2:
        raise NotKnown("dimensions")
    names = (tracer.parameter(weight), None if bias is None else tracer.parameter(bias))
    out = func(input, weight, bias)
    return tracer.keep(out, [tracer.add(tape.LINEAR, out.shape[1], x, names=names, numbers=(-math.inf,))])


def _norm(
    tracer: Tracer,
    func: Any,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: Any = False,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Tensor:
    buffers = [tracer.buffers.get(id(b)) for b in (running_mean, running_var)]
    if not training or None in buffers or momentum is None or input.dim() != 2 or weight is None or bias is None:
        raise NotKnown("normalisation")
    if not all(b.dtype == torch.float32 and b.is_contiguous() for b in (running_mean, running_var)):
        raise NotKnown("normalisation")
    x = tracer.one(tracer.pieces(input))
    names = (tracer.parameter(bias), tracer.parameter(weight), *buffers)
    out = func(input, running_mean.clone(), running_var.clone(), weight, bias, True, momentum, eps)
    made = tracer.add(tape.NORM, x.width, x, names=names, numbers=(float(momentum), float(eps)))
    return tracer.keep(out, [made])


def _dropout(tracer: Tracer, func: Any, input: Any, p: Any = 0.5, training: Any = True, inplace: Any = False) -> Tensor:
    if not 0 <= p < 1:
        raise NotKnown("dropout")
    if not training or p == 0:
        return input if inplace else tracer.keep(input.clone(), tracer.pieces(input))
    return tracer.keep(input.clone(), [tracer.of_one(tape.DROP, input, float(p))], input if inplace else None)


def _relu(tracer: Tracer, func: Any, input: Any, inplace: Any = False) -> Tensor:
    x = tracer.one(tracer.pieces(input))
    made = tracer.add(tape.SHIFT, x.width, x, names=(None,), numbers=(0.0,))
    return tracer.keep(torch.relu(input), [made], input if inplace or func.__name__ == "relu_" else None)


def _leaky_relu(tracer: Tracer, func: Any, input: Any, negative_slope: Any = 0.01, inplace: Any = False) -> Tensor:
    x, slope = tracer.one(tracer.pieces(input)), float(negative_slope)
    up = tracer.add(tape.SHIFT, x.width, x, names=(None,), numbers=(0.0,))
    made = tracer.add(tape.ADD, x.width, up, x, numbers=(1 - slope, slope))
    return tracer.keep(nn.functional.leaky_relu(input, slope), [made], input if inplace else None)


def _sigmoid(tracer: Tracer, func: Any, input: Any) -> Tensor:
    changed = input if func.__name__ == "sigmoid_" else None
    return tracer.keep(torch.sigmoid(input), [tracer.of_one(tape.SIGMOID, input)], changed)


def _tanh(tracer: Tracer, func: Any, input: Any) -> Tensor:
    double = tracer.of_one(tape.AFFINE, input, 2.0, 0.0)
    made = tracer.add(tape.SIGMOID, double.width, double)
    made = tracer.add(tape.AFFINE, double.width, made, numbers=(2.0, -1.0))
    return tracer.keep(torch.tanh(input), [made], input if func.__name__ == "tanh_" else None)


def _silu(tracer: Tracer, func: Any, input: Any, inplace: Any = False) -> Tensor:
    x = tracer.one(tracer.pieces(input))
    made = tracer.add(tape.MULTIPLY, x.width, x, tracer.add(tape.SIGMOID, x.width, x))
    return tracer.keep(nn.functional.silu(input), [made], input if inplace else None)


def _cat(tracer: Tracer, func: Any, tensors: Any, dim: Any = 0, **more: Any) -> Tensor:
    if more and set(more) != {"axis"}:
        raise NotKnown("cat")
    dim = more.get("axis", dim)
    name, dims = func.__name__, {t.dim() for t in tensors}
    joins = name in ("cat", "concat", "concatenate") and dims == {2} and dim in (1, -1)
    joins |= (name == "hstack" and dims == {2}) or (name == "column_stack" and dims <= {1, 2})
    joins |= name == "stack" and dims == {1} and dim in (1, -1)
    if not joins:
        raise NotKnown("cat")
    out = func(tensors) if name in ("hstack", "column_stack") else func(tensors, dim)
    return tracer.keep(out, [p for t in tensors for p in tracer.pieces(t)])


def _sum(tracer: Tracer, func: Any, input: Any, dim: Any = None, keepdim: Any = False, **more: Any) -> Tensor:
    dim = more.pop("axis", dim)
    dim = dim[0] if isinstance(dim, (tuple, list)) and len(dim) == 1 else dim
    if more or input.dim() != 2 or type(dim) is not int or dim not in (1, -1):
        raise NotKnown("sum")
    x = tracer.one(tracer.pieces(input), whole=False)
    part = 1 / x.width if func.__name__ == "mean" else 1.0
    return tracer.keep(func(input, dim=dim, keepdim=keepdim), [tracer.add(tape.SUM, 1, x, numbers=(part,))])


def _matmul(tracer: Tracer, func: Any, a: Any, b: Any) -> Tensor:
    """Row by row, the products of vectors."""
    x, y = tracer.one(tracer.pieces(a)), tracer.one(tracer.pieces(b))
    k, n = x.width, tracer.n
    if a.shape != (n, 1, k) or b.shape != (n, k, 1):
        raise NotKnown("product")
    made = tracer.add(tape.SUM, 1, tracer.add(tape.MULTIPLY, k, x, y), numbers=(1.0,))
    return tracer.keep(func(a, b), [made])


_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}
_NAMES = {"subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div", "truediv": "div", "rsub": "rsub"}


def _arithmetic(tracer: Tracer, func: Any, a: Any, b: Any) -> Tensor:
    raw = func.__name__
    name = raw.strip("_")
    changes = (raw.endswith("_") and not raw.startswith("__")) or raw.startswith("__i")
    if raw.startswith("__") and name[0] == "i":
        name = name[1:]
    elif (raw.startswith("__") and name[0] == "r") or name == "rsub":
        name, a, b = name[1:], b, a
    name = _NAMES.get(name, name)
    out: Tensor = _PLAIN[name](a, b)
    changed = a if changes else None
    if not isinstance(b, Tensor):
        p, q = _with_number(name, b)
        return tracer.keep(out, [tracer.of_one(tape.AFFINE, a, p, q)], changed)
    if not isinstance(a, Tensor):
        if name == "div":
            raise NotKnown("division")
        p, q = _with_number("add" if name == "sub" else name, a)
        return tracer.keep(out, [tracer.of_one(tape.AFFINE, b, -p if name == "sub" else p, q)], changed)
    if name == "div":
        raise NotKnown("division")
    if id(b) in tracer.parameters or id(a) in tracer.parameters:
        if name != "add":
            raise NotKnown("a parameter")
        pair = (a, b) if id(b) in tracer.parameters else (b, a)
        return tracer.keep(out, [_shifted(tracer, *pair)], changed)
    if a.dim() != b.dim() or a.dim() not in (1, 2) or not len(a) == len(b) == tracer.n:
        raise NotKnown("shapes")
    x, y = tracer.one(tracer.pieces(a)), tracer.one(tracer.pieces(b))
    wide = max(x.width, y.width)
    x, y = (o if o.width == wide else tracer.add(tape.SPREAD, wide, o) for o in (x, y))
    if name == "mul":
        return tracer.keep(out, [tracer.add(tape.MULTIPLY, wide, x, y)], changed)
    return tracer.keep(out, [tracer.add(tape.ADD, wide, x, y, numbers=(1.0, 1.0 if name == "add" else -1.0))], changed)


def _with_number(name: str, number: Any) -> tuple[float, float]:
    """What it is to add, subtract, multiply or divide by a number: a factor and what is added."""
    if isinstance(number, bool) or not isinstance(number, (int, float, np.floating, np.integer)):
        raise NotKnown("a number")
    c = float(number)
    return {"add": (1.0, c), "sub": (1.0, -c), "mul": (c, 0.0), "div": (1 / c if c else math.inf, 0.0)}[name]


def _shifted(tracer: Tracer, t: Any, p: Any) -> Piece:
    x = tracer.one(tracer.pieces(t))
    if p.numel() != x.width or p.dim() > 1 or t.dim() not in (1, 2) or (t.dim() == 1 and p.numel() != 1):
        raise NotKnown("shapes")
    return tracer.add(tape.SHIFT, x.width, x, names=(tracer.parameter(p),), numbers=(-math.inf,))


def _negative(tracer: Tracer, func: Any, input: Any) -> Tensor:
    return tracer.keep(-input, [tracer.of_one(tape.AFFINE, input, -1.0, 0.0)])


def _same(tracer: Tracer, func: Any, input: Any, *args: Any, **kwargs: Any) -> Tensor:
    out = func(input, *args, **kwargs)
    return input if out is input else tracer.keep(out, tracer.pieces(input))


_HANDLERS: dict[str, Callable[..., Tensor]] = {
    "__getitem__": _get_item,
    "embedding": _embedding,
    "index_select": _index_select,
    "linear": _linear,
    "batch_norm": _norm,
    **dict.fromkeys(("dropout", "dropout_"), _dropout),
    **dict.fromkeys(("relu", "relu_"), _relu),
    "leaky_relu": _leaky_relu,
    **dict.fromkeys(("sigmoid", "sigmoid_"), _sigmoid),
    **dict.fromkeys(("tanh", "tanh_"), _tanh),
    "silu": _silu,
    **dict.fromkeys(("cat", "concat", "concatenate", "hstack", "column_stack", "stack"), _cat),
    **dict.fromkeys(("sum", "mean"), _sum),
    **dict.fromkeys(("bmm", "matmul", "__matmul__"), _matmul),
    **dict.fromkeys((f"{u}{n}{v}" for n in _PLAIN for u, v in (("", ""), ("", "_"), ("__", "__"))), _arithmetic),
    **dict.fromkeys((f"__{u}{n}__" for n in (*_PLAIN, "truediv") for u in "ir"), _arithmetic),
    **dict.fromkeys((*_NAMES, "__truediv__"), _arithmetic),
    **dict.fromkeys(("neg", "negative", "__neg__"), _negative),
    **dict.fromkeys(("float", "clone", "to"), _same),
}
