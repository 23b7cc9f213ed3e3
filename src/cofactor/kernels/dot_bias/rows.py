"""What dot-bias does with one row, written as vector instructions.

In plain numba each of these is a loop over a row. The loops vectorise, but numba cannot promise LLVM that two arrays
do not overlap, so each of them (16 floats a turn, 4 turns) is preceded by checks that cost a quarter of the time. Here
the vectors are spelled out: ``<16 x float>`` is one AVX-512 register, two of AVX2, or four of SSE or NEON.

Square roots and divisions stay exact: estimates with a Newton step were measured, and are slower (they fill the ports
that the multiplications need).

``lanes`` is a tuple of ``stride / 16`` zeros; rows are counted in strides of the flattened array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types as _types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

types: Any = _types
cgutils: Any = _cgutils
_intrinsic: Any = intrinsic

WIDTH = 16
F32, I64 = ir.FloatType(), ir.IntType(64)
VECTOR = ir.VectorType(F32, WIDTH)
FLAGS = ("contract", "nsz", "arcp")

Rows = Callable[[int], Any]


class _Emit:
    """A few words for the instructions that are needed here."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context = context
        self.b = builder

    def rows(self, kind: Any, array: Any, row: Any, stride: int) -> Rows:
        """Pointers to the vectors of a row."""
        data = self.context.make_array(kind)(self.context, self.b, array).data
        start = self.b.gep(data, [self.b.mul(row, I64(stride))])

        def pointer(chunk: int) -> Any:
            return self.b.bitcast(self.b.gep(start, [I64(WIDTH * chunk)]), VECTOR.as_pointer())

        return pointer

    def load(self, pointer: Any) -> Any:
        return self.b.load(pointer, align=4)

    def store(self, value: Any, pointer: Any) -> None:
        self.b.store(value, pointer, align=4)

    def splat(self, scalar: Any) -> Any:
        one = self.b.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        return self.b.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), zeros)

    def mul(self, x: Any, y: Any) -> Any:
        return self.b.fmul(x, y, flags=FLAGS)

    def add(self, x: Any, y: Any) -> Any:
        return self.b.fadd(x, y, flags=FLAGS)

    def sub(self, x: Any, y: Any) -> Any:
        return self.b.fsub(x, y, flags=FLAGS)

    def div(self, x: Any, y: Any) -> Any:
        return self.b.fdiv(x, y, flags=FLAGS)

    def sqrt(self, x: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, kind, "llvm.sqrt.v16f32"), [x])

    def total(self, x: Any) -> Any:
        """The sum of a vector, halves first."""
        kind = ir.FunctionType(F32, [F32, VECTOR])
        add = cgutils.get_or_insert_function(self.b.module, kind, "llvm.vector.reduce.fadd.v16f32")
        return self.b.call(add, [F32(-0.0), x], fastmath=("reassoc", "nsz"))


@_intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array[index]``, which will be read soon; ``array`` is flat."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        there = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [there.type, i32, i32, i32])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(ask, [there, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@_intrinsic
def dot(typingctx: Any, w: Any, a: Any, c: Any, lanes: Any) -> Any:
    """``w[a] . w[c]``"""
    n = lanes.count

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Emit(context, builder)
        left, right = (e.rows(signature.args[0], args[0], row, WIDTH * n) for row in args[1:3])
        total = e.mul(e.load(left(0)), e.load(right(0)))
        for chunk in range(1, n):
            total = e.add(total, e.mul(e.load(left(chunk)), e.load(right(chunk))))
        return e.total(total)

    return types.float32(w, types.int64, types.int64, lanes), codegen


@_intrinsic
def settle(
    typingctx: Any, w: Any, ms: Any, mask: Any, row: Any, side: Any, shrink: Any, s0: Any, q: Any, eps: Any, lanes: Any
) -> Any:
    """``w[row] += mask[side] * (w[row] * shrink - s0 * m / (s * q + eps))``: what a row missed since its last touch."""
    n = lanes.count

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Emit(context, builder)
        kinds, stride = signature.args, WIDTH * n
        weights = e.rows(kinds[0], args[0], args[3], stride)
        moments = e.rows(kinds[1], args[1], args[3], 2 * stride)
        learns = e.rows(kinds[2], args[2], args[4], stride)
        shrink, s0, q, eps = (e.splat(x) for x in args[5:9])
        for chunk in range(n):
            x = e.load(weights(chunk))
            move = e.div(e.mul(s0, e.load(moments(chunk))), e.add(e.mul(e.load(moments(n + chunk)), q), eps))
            e.store(e.add(x, e.mul(e.load(learns(chunk)), e.sub(e.mul(x, shrink), move))), weights(chunk))
        return context.get_dummy_value()

    f = types.float32
    return types.void(w, ms, mask, types.int64, types.int64, f, f, f, f, lanes), codegen


def _adam(
    e: _Emit, scalars: Any, keep: Any, weights: Rows, moments: Rows, learns: Rows, n: int, chunk: int, x: Any, g: Any
) -> None:
    """One Adam step of one vector ``x`` of weights with gradient ``g``."""
    new_m, new_v, rate, root, eps, shrink = scalars
    keep_m, keep_v = keep
    m = e.add(e.mul(keep_m, e.load(moments(chunk))), e.mul(new_m, g))
    s = e.load(moments(n + chunk))
    s = e.sqrt(e.add(e.mul(e.mul(keep_v, s), s), e.mul(e.mul(new_v, g), g)))
    e.store(m, moments(chunk))
    e.store(s, moments(n + chunk))
    move = e.div(e.mul(rate, m), e.add(e.mul(s, root), eps))
    e.store(e.add(x, e.mul(e.load(learns(chunk)), e.sub(e.mul(x, shrink), move))), weights(chunk))


@_intrinsic
def step(
    typingctx: Any,
    w: Any,
    ms: Any,
    mask: Any,
    row: Any,
    side: Any,
    g: Any,
    at: Any,
    keep: Any,
    scalars: Any,
    lanes: Any,
) -> Any:
    """One Adam step of one row with the gradient ``g[at]`` (in strides). ``keep``: what is left of m and v;
    ``scalars``: new_m, new_v, rate, root, eps, shrink."""
    n = lanes.count

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Emit(context, builder)
        kinds, stride = signature.args, WIDTH * n
        weights = e.rows(kinds[0], args[0], args[3], stride)
        moments = e.rows(kinds[1], args[1], args[3], 2 * stride)
        learns = e.rows(kinds[2], args[2], args[4], stride)
        gradient = e.rows(kinds[5], args[5], args[6], stride)
        left = [e.splat(builder.extract_value(args[7], j)) for j in range(2)]
        numbers = [e.splat(builder.extract_value(args[8], j)) for j in range(6)]
        for chunk in range(n):
            _adam(e, numbers, left, weights, moments, learns, n, chunk, e.load(weights(chunk)), e.load(gradient(chunk)))
        return context.get_dummy_value()

    f = types.float32
    pair, six = types.UniTuple(f, 2), types.UniTuple(f, 6)
    return types.void(w, ms, mask, types.int64, types.int64, g, types.int64, pair, six, lanes), codegen


@_intrinsic
def step_pair(
    typingctx: Any,
    w: Any,
    ms: Any,
    mask: Any,
    u: Any,
    i: Any,
    err: Any,
    keep_u: Any,
    keep_i: Any,
    scalars: Any,
    lanes: Any,
) -> Any:
    """One Adam step of two rows that meet in one rating only: the gradient of each is ``err`` times the other."""
    n = lanes.count

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Emit(context, builder)
        kinds, stride = signature.args, WIDTH * n
        weights = [e.rows(kinds[0], args[0], args[3 + s], stride) for s in range(2)]
        moments = [e.rows(kinds[1], args[1], args[3 + s], 2 * stride) for s in range(2)]
        learns = [e.rows(kinds[2], args[2], I64(s), stride) for s in range(2)]
        left = [[e.splat(builder.extract_value(args[6 + s], j)) for j in range(2)] for s in range(2)]
        numbers = [e.splat(builder.extract_value(args[8], j)) for j in range(6)]
        err = e.splat(args[5])
        for chunk in range(n):
            x = [e.load(weights[s](chunk)) for s in range(2)]
            for s in range(2):
                g = e.mul(err, x[1 - s])
                _adam(e, numbers, left[s], weights[s], moments[s], learns[s], n, chunk, x[s], g)
        return context.get_dummy_value()

    f = types.float32
    pair, six = types.UniTuple(f, 2), types.UniTuple(f, 6)
    return types.void(w, ms, mask, types.int64, types.int64, f, pair, pair, six, lanes), codegen
