"""How each function of torch is recorded when a module is traced (``tracer.py``): as operations on columns of values.

A handler is called with the tracer, the function, and the function's own arguments. It returns the function's result,
and records what that contains. It raises :class:`NotKnown` if the kernel has no equivalent.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cofactor.kernels import tape
from cofactor.models.torch.calling import is_usual
from cofactor.models.torch.formulas import FORMULAS
from cofactor.models.torch.program import Piece, Table
from cofactor.models.torch.tracer import Known, NotKnown, Tracer, columns_of


def _look_up(tracer: Tracer, table: Any, rows: Any, call: Callable[[], Tensor]) -> Tensor:
    name, p = tracer.parameters.get(id(table), ("", None))
    if p is None or not is_usual(p) or not isinstance(rows, Tensor) or id(rows) not in tracer.whole:
        raise NotKnown("a look-up")
    if name in tracer.used or rows.dtype != torch.int64 or rows.dim() == 0 or len(rows) != tracer.n:
        raise NotKnown("a table that is used otherwise")
    width, pieces = p.numel() // len(p), list[Piece]()
    for codes in rows.reshape(tracer.n, -1).T:
        away = codes[:, None] - tracer.x
        columns = [c for c in range(tracer.x.shape[1]) if bool((away[:, c] == away[0, c]).all())]
        if len(columns) != 1:
            raise NotKnown("which column")
        part = Table(name, columns[0], width, int(away[0, columns[0]]))
        if part not in tracer.tables:
            tracer.tables[part] = sum(t.width for t in tracer.tables)
        pieces.append(Piece(0, tracer.tables[part], width))
    return tracer.keep(call(), pieces)


def _get_item(tracer: Tracer, func: Any, table: Any, rows: Any) -> Tensor:
    return _look_up(tracer, table, rows, lambda: func(table, rows))


def _embedding(tracer: Tracer, func: Any, rows: Any, table: Any, *rest: Any, **more: Any) -> Tensor:
    if func is torch.embedding:
        rows, table = table, rows
        if rest[:1] == (-1,):
            rest = rest[1:]
    more.pop("norm_type", None)
    values = [*rest, *more.values()]
    if func is not torch.embedding and len(rest) > 2:  # without a norm, its type does not matter
        values = [*rest[:2], *rest[3:], *more.values()]
    if not all(v is None or v is False for v in values):
        raise NotKnown("padding, norms")
    return _look_up(tracer, table, rows, lambda: nn.functional.embedding(rows, table))


def _index_select(tracer: Tracer, func: Any, table: Any, dim: Any, rows: Any) -> Tensor:
    if dim != 0:
        raise NotKnown("dim")
    return _look_up(tracer, table, rows, lambda: func(table, dim, rows))


def _linear(tracer: Tracer, func: Any, input: Any, weight: Any, bias: Any = None, turned: bool = False) -> Tensor:
    """Record a linear layer. ``turned``: weights are (inputs, outputs)."""
    found = tracer.value_of(input)
    x = tracer.one(found.pieces, whole=False)
    if input.dim() != 2 or weight.dim() != 2 or not found.rows:
        raise NotKnown("dimensions")
    kind = "turned" if turned else "weights"
    names = (tracer.parameter(weight, kind), None if bias is None else tracer.parameter(bias))
    out = input @ weight if turned else func(input, weight, bias)
    numbers = (-math.inf, 1.0 if turned else 0.0)
    return tracer.keep(out, [tracer.add(tape.LINEAR, out.shape[1], x, names=names, numbers=numbers)])


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
    x, rows = tracer.whole_of(input)
    if not rows:
        raise NotKnown("normalisation")
    names = (tracer.parameter(bias), tracer.parameter(weight), *buffers)
    out = func(input, running_mean.clone(), running_var.clone(), weight, bias, True, momentum, eps)
    made = tracer.add(tape.NORM, x.width, x, names=names, numbers=(float(momentum), float(eps)))
    return tracer.keep(out, [made])


def _dropout(tracer: Tracer, func: Any, input: Any, p: Any = 0.5, training: Any = True, inplace: Any = False) -> Tensor:
    found = tracer.value_of(input)
    if not 0 <= p < 1 or not found.rows:
        raise NotKnown("dropout")
    if not training or p == 0:
        return input if inplace else tracer.keep(input.clone(), found.pieces)
    return tracer.of_one(tape.DROP, input.clone(), input, float(p), changed=input if inplace else None)


def _relu(tracer: Tracer, func: Any, input: Any, inplace: Any = False) -> Tensor:
    x, rows = tracer.whole_of(input)
    made = tracer.add(tape.SHIFT, x.width, x, names=(None,), numbers=(0.0,))
    return tracer.keep(torch.relu(input), [made], input if inplace or func.__name__ == "relu_" else None, rows)


def _leaky_relu(tracer: Tracer, func: Any, input: Any, negative_slope: Any = 0.01, inplace: Any = False) -> Tensor:
    (x, rows), slope = tracer.whole_of(input), float(negative_slope)
    up = tracer.add(tape.SHIFT, x.width, x, names=(None,), numbers=(0.0,))
    made = tracer.add(tape.ADD, x.width, up, x, numbers=(1 - slope, slope))
    return tracer.keep(nn.functional.leaky_relu(input, slope), [made], input if inplace else None, rows)


def _sigmoid(tracer: Tracer, func: Any, input: Any) -> Tensor:
    changed = input if func.__name__ == "sigmoid_" else None
    return tracer.of_one(tape.SIGMOID, torch.sigmoid(input), input, changed=changed)


def _tanh(tracer: Tracer, func: Any, input: Any) -> Tensor:
    x, rows = tracer.whole_of(input)
    made = tracer.add(tape.AFFINE, x.width, x, numbers=(2.0, 0.0))
    made = tracer.add(tape.SIGMOID, x.width, made)
    made = tracer.add(tape.AFFINE, x.width, made, numbers=(2.0, -1.0))
    return tracer.keep(torch.tanh(input), [made], input if func.__name__ == "tanh_" else None, rows)


def _mapped(function: int) -> Any:
    """Return a handler for an elementwise function of the kernel."""

    def handler(tracer: Tracer, func: Any, input: Any) -> Tensor:
        changed = input if func.__name__.endswith("_") and not func.__name__.endswith("__") else None
        out = func(input) if changed is None else func(input.clone())
        return tracer.of_one(tape.MAP, out, input, float(function), changed=changed)

    return handler


def _elu(tracer: Tracer, func: Any, input: Any, alpha: Any = 1.0, inplace: Any = False) -> Tensor:
    out = nn.functional.elu(input, float(alpha))
    return tracer.of_one(tape.MAP, out, input, float(tape.ELU), float(alpha), changed=input if inplace else None)


def _softplus(tracer: Tracer, func: Any, input: Any, beta: Any = 1.0, threshold: Any = 20.0) -> Tensor:
    out = func(input, beta, threshold)
    return tracer.of_one(tape.MAP, out, input, float(tape.SOFTPLUS), float(beta), float(threshold))


LARGEST = float(np.finfo(np.float32).max)


def _clamp(tracer: Tracer, func: Any, input: Any, min: Any = None, max: Any = None) -> Tensor:
    if any(isinstance(v, Tensor) for v in (min, max)):
        raise NotKnown("bounds")
    low, high = (-LARGEST if min is None else float(min)), (LARGEST if max is None else float(max))
    changed = input if func.__name__.endswith("_") else None
    return tracer.of_one(tape.MAP, torch.clamp(input, min, max), input, float(tape.CLAMP), low, high, changed=changed)


def _clamp_min(tracer: Tracer, func: Any, input: Any, min: Any) -> Tensor:
    return _clamp(tracer, func, input, min, None)


def _clamp_max(tracer: Tracer, func: Any, input: Any, max: Any) -> Tensor:
    return _clamp(tracer, func, input, None, max)


def _power(tracer: Tracer, func: Any, input: Any, exponent: Any) -> Tensor:
    if isinstance(exponent, bool) or not isinstance(exponent, (int, float)) or func.__name__ in ("pow_", "__ipow__"):
        raise NotKnown("a power")
    out = torch.pow(input, exponent)
    if exponent in (0.5, -1):
        return tracer.of_one(tape.MAP, out, input, float(tape.SQRT if exponent == 0.5 else tape.INVERSE))
    if exponent != 2:
        return tracer.of_one(tape.MAP, out, input, float(tape.POWER), float(exponent))
    x, rows = tracer.whole_of(input)
    return tracer.keep(out, [tracer.add(tape.MULTIPLY, x.width, x, x)], rows=rows)


def _square(tracer: Tracer, func: Any, input: Any) -> Tensor:
    return _power(tracer, torch.pow, input, 2)


def _softmax(tracer: Tracer, func: Any, input: Any, dim: Any = None, *rest: Any, **more: Any) -> Tensor:
    more.pop("_stacklevel", None)
    dtype = more.pop("dtype", None) or (rest[-1] if rest and not isinstance(rest[-1], int) else None)
    found = tracer.value_of(input)
    if (
        more
        or dtype is not None
        or type(dim) is not int
        or dim not in (-1, input.dim() - 1)
        or input.dim() <= found.rows
    ):
        raise NotKnown("softmax")
    return tracer.of_one(tape.SOFTMAX, torch.softmax(input, -1), input, float(input.shape[-1]))


def _cat(tracer: Tracer, func: Any, tensors: Any, dim: Any = 0, **more: Any) -> Tensor:
    if more and set(more) != {"axis"}:
        raise NotKnown("cat")
    dim = more.get("axis", dim)
    name = func.__name__
    tensors = list(tensors)
    out = func(tensors, dim) if name in ("cat", "concat", "concatenate", "stack") else func(tensors)
    found = [tracer.value_of(t) for t in tensors]
    rows = found[0].rows
    if any(k.rows != rows for k in found):
        raise NotKnown("rows and no rows")
    places, at = [], 0
    for k in found:
        size = math.prod(k.shape)
        places.append(torch.arange(at, at + size).reshape((1, *k.shape) if rows else k.shape))
        at += size
    moved = func(places, dim) if name in ("cat", "concat", "concatenate", "stack") else func(places)
    if rows and (moved.shape[0] != 1 or moved.shape[1:] != out.shape[1:]):
        raise NotKnown("rows joined")
    every = columns_of(p for k in found for p in k.pieces)
    return tracer.keep(out, [every[c] for c in moved.reshape(-1).tolist()], rows=rows)


def _sum(tracer: Tracer, func: Any, input: Any, dim: Any = None, keepdim: Any = False, **more: Any) -> Tensor:
    dim, keepdim = more.pop("axis", dim), more.pop("keepdims", keepdim)
    found, name = tracer.value_of(input), func.__name__
    if more or type(keepdim) is not bool:
        raise NotKnown("sum")
    dims = range(input.dim()) if dim is None else [dim] if type(dim) is int else list(dim)
    apart = sorted({d % input.dim() - found.rows for d in dims})
    if found.rows and apart[:1] == [-1]:
        return _sum_of_batch(tracer, func, input, dim, keepdim, apart[1:])
    if not apart or apart[0] < 0 or (name == "prod" and len(apart) != 1):
        raise NotKnown("sum over rows")
    out = func(input) if dim is None else func(input, dim=dim, keepdim=keepdim)
    shape = found.shape
    rest = [d for d in range(len(shape)) if d not in apart]
    size = math.prod(shape[d] for d in apart)
    places = torch.arange(math.prod(shape)).reshape(shape).permute(*rest, *apart).reshape(-1, size)
    pieces = tracer.reduced(columns_of(found.pieces), places.tolist(), tape.MULTIPLY if name == "prod" else tape.SUM)
    if name == "mean":
        whole = tracer.one(pieces)
        pieces = [tracer.add(tape.AFFINE, whole.width, whole, numbers=(1 / size, 0.0))]
    return tracer.keep(out, pieces, rows=found.rows)


def _sum_of_batch(tracer: Tracer, func: Any, input: Any, dim: Any, keepdim: bool, apart: list[int]) -> Tensor:
    """Record a sum, or a mean, over the rows of the batch and over ``apart``, dimensions of a row."""
    if func.__name__ == "prod" or keepdim:
        raise NotKnown("sum over rows")
    out = func(input) if dim is None else func(input, dim=dim)
    with tracer:
        each = func(input, dim=[d + 1 for d in apart]) if apart else input
    x, _ = tracer.whole_of(each)
    made = tracer.add(tape.BATCH, x.width, x, numbers=(float(func.__name__ == "mean"),))
    return tracer.keep(out, [made], rows=False)


def _compared(tracer: Tracer, func: Any, input: Any, other: Any) -> Tensor:
    """Record 1 where a comparison holds, 0 elsewhere."""
    out, name = func(input, other), func.__name__.strip("_")
    name = {"greater": "gt", "less": "lt", "greater_equal": "ge", "less_equal": "le"}.get(name, name)
    a, b = (t.float() if isinstance(t, Tensor) else t for t in (input, other))
    for raw, t in ((input, a), (other, b)):
        if isinstance(raw, Tensor) and id(raw) in tracer.known:
            tracer.known[id(t)] = tracer.known[id(raw)]._replace(tensor=t)
    with tracer:
        difference = a - b if name in ("gt", "le") else b - a
    x, rows = tracer.whole_of(difference)
    made = tracer.add(tape.MAP, x.width, x, numbers=(float(tape.POSITIVE),))
    if name in ("ge", "le"):
        made = tracer.add(tape.AFFINE, x.width, made, numbers=(-1.0, 1.0))
    return tracer.keep(out, [made], rows=rows)


def _not(tracer: Tracer, func: Any, input: Any) -> Tensor:
    if input.dtype != torch.bool:
        raise NotKnown("bits")
    return tracer.of_one(tape.AFFINE, ~input, input, -1.0, 1.0)


def _matmul(tracer: Tracer, func: Any, a: Any, b: Any) -> Tensor:
    """Record a linear layer, or the products of small matrices row by row."""
    if id(b) in tracer.parameters and id(b) not in tracer.known and isinstance(a, Tensor) and a.dim() == b.dim() == 2:
        return _linear(tracer, func, a, b, turned=True)
    left, right = tracer.value_of(a), tracer.value_of(b)
    if func.__name__ == "__rmatmul__":
        raise NotKnown("product")
    if left.rows and (a.dim() < 2 or (right.rows and (a.dim() < 3 or a.dim() != b.dim()))):
        raise NotKnown("product")
    if right.rows and not left.rows:
        raise NotKnown("product")
    out = func(a, b)
    with tracer:
        if b.dim() == 1:
            made = (a * b).sum(-1)
        else:
            made = (a.unsqueeze(-1) * b.unsqueeze(-3)).sum(-2) if b.dim() > 2 else (a.unsqueeze(-1) * b).sum(-2)
    return tracer.keep(out, tracer.value_of(made).pieces, rows=left.rows)


def _einsum(tracer: Tracer, func: Any, equation: Any, *operands: Any) -> Tensor:
    """Record products over the joined letters, summed over those that the result lacks."""
    operands = tuple(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    inputs, arrow, wanted = str(equation).replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow or "." in equation or len(terms) != len(operands) or any(len(set(t)) != len(t) for t in terms):
        raise NotKnown("einsum")
    letters = wanted + "".join(sorted(set(inputs) - {",", *wanted}))
    if len(terms) == 2 and terms[1] not in ("", letters) and id(operands[1]) in tracer.parameters:
        (row, k), weights = (terms[0][:1], terms[0][1:]), terms[1]
        if len(k) == 1 and len(weights) == 2 and weights[0] == k and wanted == row + weights[1]:
            return _linear(tracer, func, operands[0], operands[1], turned=True)
    out = func(equation, *operands)
    for t in operands:
        tracer.value_of(t)
    with tracer:
        made: Any = None
        for term, t in zip(terms, operands):
            order = [c for c in letters if c in term]
            t = t.permute(*(term.index(c) for c in order)) if len(term) > 1 else t
            for place, c in enumerate(letters):
                t = t if c in term else t.unsqueeze(place)
            made = t if made is None else made * t
        gone = tuple(range(len(wanted), len(letters)))
        made = made.sum(dim=gone) if gone else made
    return tracer.keep(out, tracer.value_of(made).pieces, rows=tracer.value_of(made).rows)


_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}
_NAMES = {"subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div", "truediv": "div", "rsub": "rsub"}


def _arithmetic(tracer: Tracer, func: Any, a: Any, b: Any, alpha: Any = 1) -> Tensor:
    raw = func.__name__
    name = raw.strip("_")
    changes = (raw.endswith("_") and not raw.startswith("__")) or raw.startswith("__i")
    if raw.startswith("__") and name[0] == "i":
        name = name[1:]
    elif (raw.startswith("__") and name[0] == "r") or name == "rsub":
        name, a, b = name[1:], b, a
    name = _NAMES.get(name, name)
    if alpha != 1:
        raise NotKnown("alpha")
    out: Tensor = _PLAIN[name](a, b)
    changed = a if changes else None
    a, b = (_number(tracer, t) for t in (a, b))
    if not isinstance(b, Tensor):
        return tracer.of_one(tape.AFFINE, out, a, *_with_number(name, b), changed=changed)
    if name == "div":
        x, rows = tracer.whole_of(b)
        inverse = tracer.add(tape.MAP, x.width, x, numbers=(float(tape.INVERSE),))
        under = torch.reciprocal(b)
        tracer.known[id(under)] = Known(under, (inverse,), rows)
        name, b = "mul", under
    if not isinstance(a, Tensor):
        p, q = _with_number("add" if name == "sub" else name, a)
        return tracer.of_one(tape.AFFINE, out, b, -p if name == "sub" else p, q, changed=changed)
    if name == "add" and (shifted := _shifted(tracer, a, b)) is not None:
        return tracer.keep(out, [shifted], changed)
    rows = tracer.value_of(a).rows or tracer.value_of(b).rows
    x, y = (tracer.spread(t, out, rows) for t in (a, b))
    if name == "mul":
        made = tracer.add(tape.MULTIPLY, x.width, x, y)
    else:
        made = tracer.add(tape.ADD, x.width, x, y, numbers=(1.0, 1.0 if name == "add" else -1.0))
    return tracer.keep(out, [made], changed, rows)


def _number(tracer: Tracer, t: Any) -> Any:
    """Return the number of a constant tensor with a single number, and any other tensor unchanged."""
    if not isinstance(t, Tensor) or t.numel() != 1 or t.requires_grad or t.dim() > 1:
        return t
    alone = id(t) not in tracer.known and id(t) not in tracer.whole
    return t.item() if alone else t


def _with_number(name: str, number: Any) -> tuple[float, float]:
    """Return an operation with a number (add, subtract, multiply or divide) as a factor and an addend."""
    if isinstance(number, bool) or not isinstance(number, (int, float, np.floating, np.integer)):
        raise NotKnown("a number")
    c = float(number)
    return {"add": (1.0, c), "sub": (1.0, -c), "mul": (c, 0.0), "div": (1 / c if c else math.inf, 0.0)}[name]


def _shifted(tracer: Tracer, a: Any, b: Any) -> Piece | None:
    """Record a parameter that is added to every row; return None if it is something else."""
    pair = (a, b) if id(b) in tracer.parameters else (b, a)
    t, p = pair
    if id(p) not in tracer.parameters or id(p) in tracer.known or id(t) not in tracer.known or p.dim() > 1:
        return None
    found = tracer.known[id(t)]
    if not found.rows or p.numel() != math.prod(found.shape) or not p.requires_grad or t.dim() > 2:
        return None
    if t.dim() == 1 and p.numel() != 1:
        return None
    x = tracer.one(found.pieces)
    return tracer.add(tape.SHIFT, x.width, x, names=(tracer.parameter(p),), numbers=(-math.inf,))


def _negative(tracer: Tracer, func: Any, input: Any) -> Tensor:
    return tracer.of_one(tape.AFFINE, -input, input, -1.0, 0.0)


def _same(tracer: Tracer, func: Any, input: Any, *args: Any, **kwargs: Any) -> Tensor:
    found = tracer.value_of(input)
    out = func(input, *args, **kwargs)
    return input if out is input else tracer.keep(out, found.pieces, rows=found.rows)


def _composed(formula: Callable[..., Tensor]) -> Any:
    """Return a handler for a function that consists of others, which are recorded in its place."""
    signature = inspect.signature(formula)

    def handler(tracer: Tracer, func: Any, *args: Any, **kwargs: Any) -> Tensor:
        given = signature.bind(*args, **{k: v for k, v in kwargs.items() if v is not None})
        inplace = given.arguments.pop("inplace", False)
        wanted = func(*given.args, **given.kwargs)
        with tracer:
            made = formula(*given.args, **given.kwargs)
        found = tracer.value_of(made)
        if made.shape != wanted.shape or not torch.allclose(made, wanted, rtol=1e-4, atol=1e-5):
            raise NotKnown("another result")
        return tracer.keep(wanted, found.pieces, args[0] if inplace else None, found.rows)

    return handler


HANDLERS: dict[str, Callable[..., Tensor]] = {
    **{name: _composed(formula) for name, formula in FORMULAS.items()},
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
    **dict.fromkeys(("exp", "exp_"), _mapped(tape.EXP)),
    **dict.fromkeys(("log", "log_"), _mapped(tape.LOG)),
    **dict.fromkeys(("sqrt", "sqrt_"), _mapped(tape.SQRT)),
    **dict.fromkeys(("abs", "abs_", "absolute", "__abs__"), _mapped(tape.ABS)),
    **dict.fromkeys(("reciprocal", "reciprocal_"), _mapped(tape.INVERSE)),
    "erf": _mapped(tape.ERF),
    "elu": _elu,
    "softplus": _softplus,
    **dict.fromkeys(("clamp", "clip", "clamp_", "clip_"), _clamp),
    **dict.fromkeys(("clamp_min", "clamp_min_"), _clamp_min),
    **dict.fromkeys(("clamp_max", "clamp_max_"), _clamp_max),
    **dict.fromkeys(("pow", "__pow__", "float_power"), _power),
    "square": _square,
    "softmax": _softmax,
    **dict.fromkeys(("cat", "concat", "concatenate", "hstack", "column_stack", "stack"), _cat),
    **dict.fromkeys(("sum", "mean", "prod"), _sum),
    **dict.fromkeys(("bmm", "matmul", "__matmul__", "mm", "mv"), _matmul),
    "einsum": _einsum,
    **dict.fromkeys((f"{u}{n}{u}" for n in ("gt", "lt", "ge", "le") for u in ("", "__")), _compared),
    **dict.fromkeys(("greater", "less", "greater_equal", "less_equal"), _compared),
    **dict.fromkeys(("__invert__", "logical_not", "bitwise_not"), _not),
    **dict.fromkeys((f"{u}{n}{v}" for n in _PLAIN for u, v in (("", ""), ("", "_"), ("__", "__"))), _arithmetic),
    **dict.fromkeys((f"__{u}{n}__" for n in (*_PLAIN, "truediv") for u in "ir"), _arithmetic),
    **dict.fromkeys((*_NAMES, "__truediv__"), _arithmetic),
    **dict.fromkeys(("neg", "negative", "__neg__"), _negative),
    **dict.fromkeys(("float", "clone", "to", "type", "type_as"), _same),
}
"""By the name that torch gives the function."""
