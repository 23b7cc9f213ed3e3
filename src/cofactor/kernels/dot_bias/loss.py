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

types: Any = _types
_intrinsic: Any = intrinsic
F32, I32 = ir.FloatType(), ir.IntType(32)
Array = NDArray[Any]
Real = Any

MSE, MAE, HUBER, BCE = 0, 1, 2, 3
FAST = {"contract", "reassoc", "nsz", "arcp"}
LEAN: Any = {"fastmath": FAST, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
"""Options of a kernel that allocates nothing and that no C code calls: it compiles sooner."""
INNER: Any = LEAN | {"no_cpython_wrapper": True}
"""Options of a function that kernels alone call. ``inline="always"`` would copy its code in numba's own form, which
takes longer to compile than the function itself."""


@_intrinsic
def sigmoid(typingctx: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)) in float32 by a polynomial (error of exp 2e-7) and without calls, so that loops vectorise. NaN
    stays NaN. Spelled out, since plain numba takes a quarter of a second to compile it."""

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


@njit(nogil=True, **INNER)
def batch_loss(z: Array, y: Array, e: Array, whole: int, loss: int, lo: Real, hi: Real, ranged: bool) -> Real:
    """Their share of the mean loss of a batch of ``whole``; ``e`` becomes its gradient by ``z``."""
    n = len(z)
    width = np.float32(hi - lo)
    scale = np.float32(1.0 / whole)
    total = np.float32(0.0)
    if loss == BCE or ranged:
        for b in range(n):
            e[b] = sigmoid(z[b])
    if loss == BCE:
        for b in range(n):
            t = (y[b] - lo) / width
            e[b] = (e[b] - t) * scale
            total += max(z[b], np.float32(0.0)) - z[b] * t + np.float32(math.log1p(math.exp(-abs(z[b]))))
        return float(total) / whole
    if ranged:
        for b in range(n):
            s = e[b]
            e[b] = width * s * (np.float32(1.0) - s) * scale
            z[b] = lo + width * s - y[b]
    else:
        for b in range(n):
            e[b] = scale
            z[b] -= y[b]
    if loss == MSE:
        for b in range(n):
            total += z[b] * z[b]
            e[b] *= np.float32(2.0) * z[b]
    elif loss == MAE:
        for b in range(n):
            total += abs(z[b])
            e[b] *= np.sign(z[b])
    else:
        for b in range(n):
            d = min(max(z[b], np.float32(-1.0)), np.float32(1.0))
            total += d * (z[b] - np.float32(0.5) * d)
            e[b] *= d
    return float(total) / whole
