"""The losses of dot-bias over one batch, and a sigmoid that vectorises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit
from numba import types as _types
from numba.extending import intrinsic
from numpy.typing import NDArray

from cofactor.kernels.layers import _Columns
from cofactor.kernels.pointwise import vector_sigmoid
from cofactor.kernels.row_vectors import I64, VECTOR, WIDTH

types: Any = _types
_intrinsic: Any = intrinsic
F32, I32 = ir.FloatType(), ir.IntType(32)
Array = NDArray[Any]
Real = Any

MSE, MAE, HUBER, BCE = 0, 1, 2, 3
FAST = {"contract", "reassoc", "nsz", "arcp"}
LEAN: Any = {"fastmath": FAST, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
"""Options of a kernel that allocates nothing and that no C code calls: it compiles faster."""
INNER: Any = LEAN | {"no_cpython_wrapper": True}
"""Options of a function that only kernels call. ``inline="always"`` would copy its code in numba's own form, which
takes longer to compile than the function itself."""


@_intrinsic
def sigmoid(typingctx: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)) in float32 by a polynomial (error of exp 2e-7) and without calls, so that loops vectorise. NaN
    stays NaN. It is written as instructions, since plain numba takes a quarter of a second to compile it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def add(a: Any, b: Any) -> Any:
            return builder.fadd(a, b, flags=tuple(FAST))

        def mul(a: Any, b: Any) -> Any:
            return builder.fmul(a, b, flags=tuple(FAST))

        x = builder.fsub(F32(-0.0), args[0], flags=tuple(FAST))
        x = builder.select(builder.fcmp_ordered(">", F32(-87.0), x), F32(-87.0), x)
        x = builder.select(builder.fcmp_ordered("<", F32(87.0), x), F32(87.0), x)
        floor = builder.module.declare_intrinsic("llvm.floor", [F32])
        n = builder.call(floor, [add(mul(x, _single(1.44269504)), F32(0.5))])
        r = add(builder.fsub(x, mul(n, _single(0.693359375)), flags=tuple(FAST)), mul(n, _single(2.12194440e-4)))
        p = _single(1.9875691500e-4)
        for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
            p = add(mul(p, r), _single(c))
        p = add(add(mul(mul(p, r), r), r), F32(1.0))
        power = builder.shl(builder.add(builder.fptosi(n, I32), I32(127)), I32(23))
        below = add(F32(1.0), mul(p, builder.bitcast(power, F32)))
        return builder.fdiv(F32(1.0), below, flags=tuple(FAST))

    return types.float32(types.float32), codegen


def _single(x: float) -> Any:
    return F32(float(np.float32(x)))


@_intrinsic
def _by_error(
    typingctx: Any, z: Any, y: Any, e: Any, n: Any, loss: Any, scale: Any, lo: Any, width: Any, ranged: Any
) -> Any:
    """Return the sum of the losses of outputs ``z``, or of their sigmoids in a range, against ratings ``y``; ``e``
    becomes the gradient times ``scale``.

    Sixteen are computed at a time: the arrays have room for a multiple of 16, and values beyond ``n`` do not count. It
    is written as instructions, since plain numba takes ten times as long to compile it. NaN stays NaN.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        w = _Columns(context, builder, signature, args)
        n, loss, scale, lo, width = args[3], args[4], *(w.splat(a) for a in args[5:8])
        ranged = builder.trunc(args[8], ir.IntType(1))

        def of(number: float) -> Any:
            return ir.Constant(VECTOR, [number] * WIDTH)

        def clipped(x: Any) -> Any:
            x = builder.select(builder.fcmp_ordered("<", x, of(-1.0)), of(-1.0), x)
            return builder.select(builder.fcmp_ordered(">", x, of(1.0)), of(1.0), x)

        total, slope, error = w.variable(), w.variable(), w.variable()
        lanes = ir.Constant(ir.VectorType(I64, WIDTH), list(range(WIDTH)))
        with w.columns(builder.mul(builder.udiv(builder.add(n, I64(WIDTH - 1)), I64(WIDTH)), I64(WIDTH))) as part:
            first = builder.mul(part.index, I64(WIDTH))
            out, there = w.load(w.at(0, first)), w.load(w.at(1, first))
            with builder.if_else(ranged) as (then, otherwise):
                with then:
                    s = vector_sigmoid(w, out)
                    wide = w.mul(width, s)
                    builder.store(w.mul(w.mul(wide, w.sub(of(1.0), s)), scale), slope)
                    builder.store(w.sub(w.add(lo, wide), there), error)
                with otherwise:
                    builder.store(scale, slope)
                    builder.store(w.sub(out, there), error)
            steep, away = builder.load(slope), builder.load(error)
            sign = builder.select(builder.fcmp_ordered("<", away, of(0.0)), of(-1.0), w.mul(away, of(0.0)))
            sign = builder.select(builder.fcmp_ordered(">", away, of(0.0)), of(1.0), sign)
            near = clipped(away)
            lost, pull = w.mul(near, w.sub(away, w.mul(of(0.5), near))), near
            for kind, its_loss, its_pull in (
                (MSE, w.mul(away, away), w.mul(of(2.0), away)),
                (MAE, w.mul(away, sign), sign),
            ):
                this = builder.icmp_signed("==", loss, I64(kind))
                lost, pull = builder.select(this, its_loss, lost), builder.select(this, its_pull, pull)
            w.store(w.mul(steep, pull), w.at(2, first))
            one = builder.insert_element(ir.Constant(lanes.type, ir.Undefined), builder.sub(n, first), I32(0))
            left = builder.shuffle_vector(
                one, ir.Constant(lanes.type, ir.Undefined), ir.Constant(ir.VectorType(I32, WIDTH), [0] * WIDTH)
            )
            counts = builder.icmp_signed("<", lanes, left)
            w.gather(total, builder.select(counts, lost, of(0.0)))
        return w.total(builder.load(total))

    f, whole = types.float32, types.int64
    return f(z, y, e, whole, whole, f, f, f, types.boolean), codegen


@njit(nogil=True, **INNER)
def batch_loss(z: Array, y: Array, e: Array, n: int, whole: int, loss: int, lo: Real, hi: Real, ranged: bool) -> Real:
    """Return the share of the first ``n`` in the mean loss of a batch of ``whole``; ``e`` becomes its gradient by
    ``z``. The arrays have room for a multiple of 16."""
    width, scale = np.float32(hi - lo), np.float32(1.0 / whole)
    if loss != BCE:
        return float(_by_error(z, y, e, n, loss, scale, np.float32(lo), width, ranged)) / whole
    total = np.float32(0.0)
    for b in range(n):
        t = (y[b] - lo) / width
        e[b] = (sigmoid(z[b]) - t) * scale
        total += max(z[b], np.float32(0.0)) - z[b] * t + np.float32(math.log1p(math.exp(-abs(z[b]))))
    return float(total) / whole
