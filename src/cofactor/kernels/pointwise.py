"""Elementwise operations, written as vector instructions for the reasons in ``layers.py``.

Each is called with ``(out, o, x, a, y, b, n, p, q)``: it fills ``out[o:o + n]`` from ``x[a:a + n]``, ``y[b:b + n]``,
the present ``out``, and two numbers. Arrays are float32 and flat, and may be the same one; ``n`` is a multiple of 16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]

from cofactor.kernels.layers import ONES, _Columns
from cofactor.kernels.row_vectors import FLAGS, I64, VECTOR, WIDTH, _intrinsic, cgutils, types

f, whole = types.float32, types.int64
Vectors = Callable[[_Columns, Any, Any, Any, Any, Any], Any]
"""(words for instructions, out, x, y, p, q) to the new out, all of them vectors."""


def _pointwise(combine: Vectors) -> Any:
    """Return the intrinsic that applies this to sixteen numbers at a time."""

    def operation(typingctx: Any, out: Any, o: Any, x: Any, a: Any, y: Any, b: Any, n: Any, p: Any, q: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            e = _Columns(context, builder, signature, args)
            p, q = e.splat(args[7]), e.splat(args[8])
            new: Any = combine
            with e.columns(args[6]) as vectors:
                at = builder.mul(vectors.index, I64(WIDTH))
                there = [e.at(j, builder.add(args[j + 1], at)) for j in (0, 2, 4)]
                e.store(new(e, *(e.load(t) for t in there), p, q), there[0])
            return context.get_dummy_value()

        return types.void(out, whole, x, whole, y, whole, whole, f, f), codegen

    return _intrinsic(operation)


def vector_sigmoid(e: _Columns, x: Any) -> Any:
    """Apply ``sigmoid`` of ``dot_bias/loss.py`` to a vector."""
    ints = ir.VectorType(ir.IntType(32), WIDTH)

    def of(number: float) -> Any:
        return ir.Constant(VECTOR, [number] * WIDTH)

    def whole(number: int) -> Any:
        return ir.Constant(ints, [number] * WIDTH)

    x = e.b.fsub(of(-0.0), x, flags=FLAGS)
    x = e.b.select(e.b.fcmp_ordered(">", of(-87.0), x), of(-87.0), x)
    x = e.b.select(e.b.fcmp_ordered("<", of(87.0), x), of(87.0), x)
    kind = ir.FunctionType(VECTOR, [VECTOR])
    floor = cgutils.get_or_insert_function(e.b.module, kind, "llvm.floor.v16f32")
    n = e.b.call(floor, [e.add(e.mul(x, of(_single(1.44269504))), of(0.5))])
    r = e.add(e.sub(x, e.mul(n, of(0.693359375))), e.mul(n, of(_single(2.12194440e-4))))
    p = of(_single(1.9875691500e-4))
    for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = e.add(e.mul(p, r), of(_single(c)))
    p = e.add(e.add(e.mul(e.mul(p, r), r), r), ONES)
    power = e.b.shl(e.b.add(e.b.fptosi(n, ints), whole(127)), whole(23))
    return e.div(ONES, e.add(ONES, e.mul(p, e.b.bitcast(power, VECTOR))))


def _single(x: float) -> float:
    return float(np.float32(x))


scaled_sum = _pointwise(lambda e, out, x, y, p, q: e.add(e.mul(p, x), e.mul(q, y)))
affine = _pointwise(lambda e, out, x, y, p, q: e.add(e.mul(p, x), q))
multiply = _pointwise(lambda e, out, x, y, p, q: e.mul(x, y))
add_scaled = _pointwise(lambda e, out, x, y, p, q: e.add(out, e.mul(p, x)))
add_product = _pointwise(lambda e, out, x, y, p, q: e.add(out, e.mul(x, y)))
sigmoids = _pointwise(lambda e, out, x, y, p, q: vector_sigmoid(e, x))
sigmoid_back = _pointwise(lambda e, out, x, y, p, q: e.add(out, e.mul(x, e.mul(y, e.sub(ONES, y)))))
