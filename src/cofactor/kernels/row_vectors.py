"""The operations of dot-bias on one row, written as vector instructions.

In plain numba each of these is a loop over a row. The loops vectorise, but numba cannot promise LLVM that two arrays do
not overlap, so each of them (16 floats a turn, 4 turns) is preceded by checks that cost a quarter of the time. Here the
vectors are explicit: ``<16 x float>`` is one AVX-512 register, two of AVX2, or four of SSE or NEON.

Square roots and divisions stay exact: estimates with a Newton step were measured, and are slower (they fill the ports
that the multiplications need).

``lanes`` is ``stride / 16``, the vectors in a row; rows are counted in strides of the flattened array. It is a number,
not a type, so that one compiled function serves every width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

Rows = Callable[[Any], Any]


@contextmanager
def short_loop(builder: Any, count: Any) -> Iterator[Any]:
    """Emit a loop that LLVM must not unroll: that would make it no faster, and take most of the compile time."""
    with cgutils.for_range(builder, count) as loop:
        yield loop
        end = builder.basic_block
    module = builder.module
    rule = module.add_metadata(["llvm.loop.unroll.disable"])
    name = ir.MDValue(module, (rule,), name=str(len(module.metadata)))
    name.operands = (name, rule)  # what names a loop begins with itself
    end.terminator.set_metadata("llvm.loop", name)


class _Emit:
    """Helpers for the instructions that are needed here."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context = context
        self.b = builder

    def rows(self, kind: Any, array: Any, row: Any, vectors: Any) -> Rows:
        """Return pointers to the vectors of a row with this many of them."""
        return self.vectors(self.start(kind, array, row, vectors))

    def start(self, kind: Any, array: Any, row: Any, vectors: Any) -> Any:
        """Return a pointer to the first number of a row."""
        data = self.context.make_array(kind)(self.context, self.b, array).data
        return self.b.gep(data, [self.b.mul(self.b.mul(row, vectors), I64(WIDTH))])

    def vectors(self, start: Any) -> Rows:
        """Return pointers to the vectors from there on."""

        def pointer(chunk: Any) -> Any:
            return self.b.bitcast(self.b.gep(start, [self.b.mul(chunk, I64(WIDTH))]), VECTOR.as_pointer())

        return pointer

    def each(self, count: Any) -> Any:
        """Loop over the vectors of a row; its ``index`` is the current vector."""
        return short_loop(self.b, count)

    def twice(self, x: Any) -> Any:
        return self.b.mul(x, I64(2))

    def after(self, x: Any, chunk: Any) -> Any:
        return self.b.add(x, chunk)

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
        """Return the sum of a vector, halves first."""
        kind = ir.FunctionType(F32, [F32, VECTOR])
        add = cgutils.get_or_insert_function(self.b.module, kind, "llvm.vector.reduce.fadd.v16f32")
        return self.b.call(add, [F32(-0.0), x], fastmath=("reassoc", "nsz"))


@_intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Prefetch the cache line of ``array[index]``, which will be read soon; ``array`` is flat."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        there = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [there.type, i32, i32, i32])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(ask, [there, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


def _dot(e: _Emit, left: Rows, right: Rows, vectors: Any) -> Any:
    """Return the dot product of two rows."""
    total = cgutils.alloca_once(e.b, VECTOR)
    e.b.store(ir.Constant(VECTOR, [0.0] * WIDTH), total)
    with e.each(vectors) as loop:
        product = e.mul(e.load(left(loop.index)), e.load(right(loop.index)))
        e.b.store(e.add(e.b.load(total), product), total)
    return e.total(e.b.load(total))


@_intrinsic
def dot_of(typingctx: Any, u: Any, a: Any, w: Any, c: Any, lanes: Any) -> Any:
    """``u[a] . w[c]``"""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, n = _Emit(context, builder), args[4]
        left, right = (e.rows(signature.args[j], args[j], args[j + 1], n) for j in (0, 2))
        return _dot(e, left, right, n)

    return types.float32(u, types.int64, w, types.int64, types.int64), codegen


@_intrinsic
def dot_of_known(typingctx: Any, u: Any, a: Any, w: Any, c: Any, unknown: Any, lanes: Any) -> Any:
    """``u[a] . w[c]``, where a row below 0 means one of ``unknown``: the first for the left side, the second for the
    right. One loop serves all four cases."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, n, kinds = _Emit(context, builder), args[5], signature.args
        sides = []
        for j in range(2):
            known = e.start(kinds[2 * j], args[2 * j], args[2 * j + 1], n)
            other = e.start(kinds[4], args[4], I64(j), n)
            sides.append(e.vectors(builder.select(builder.icmp_signed(">=", args[2 * j + 1], I64(0)), known, other)))
        return _dot(e, sides[0], sides[1], n)

    return types.float32(u, types.int64, w, types.int64, unknown, types.int64), codegen


@_intrinsic
def settle(
    typingctx: Any, w: Any, ms: Any, mask: Any, row: Any, side: Any, shrink: Any, s0: Any, q: Any, eps: Any, lanes: Any
) -> Any:
    """``w[row] += mask[side] * (w[row] * shrink - s0 * m / (s * q + eps))``: the updates that a row missed since its
    last touch."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, n, kinds = _Emit(context, builder), args[9], signature.args
        weights = e.rows(kinds[0], args[0], args[3], n)
        moments = e.rows(kinds[1], args[1], args[3], e.twice(n))
        learns = e.rows(kinds[2], args[2], args[4], n)
        shrink, s0, q, eps = (e.splat(x) for x in args[5:9])
        with e.each(n) as loop:
            chunk = loop.index
            x = e.load(weights(chunk))
            missed = e.add(e.mul(e.load(moments(e.after(n, chunk))), q), eps)
            move = e.div(e.mul(s0, e.load(moments(chunk))), missed)
            e.store(e.add(x, e.mul(e.load(learns(chunk)), e.sub(e.mul(x, shrink), move))), weights(chunk))
        return context.get_dummy_value()

    f = types.float32
    return types.void(w, ms, mask, types.int64, types.int64, f, f, f, f, types.int64), codegen


@_intrinsic
def catch_up(
    typingctx: Any,
    w: Any,
    ms: Any,
    mask: Any,
    row: Any,
    side: Any,
    shrink: Any,
    s0: Any,
    q: Any,
    eps: Any,
    keep_m: Any,
    keep_s: Any,
    lanes: Any,
) -> Any:
    """Apply :func:`settle`, and update the moments of the row: ``m * keep_m`` and ``s * keep_s``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, n, kinds = _Emit(context, builder), args[11], signature.args
        weights = e.rows(kinds[0], args[0], args[3], n)
        moments = e.rows(kinds[1], args[1], args[3], e.twice(n))
        learns = e.rows(kinds[2], args[2], args[4], n)
        shrink, s0, q, eps, keep_m, keep_s = (e.splat(x) for x in args[5:11])
        with e.each(n) as loop:
            chunk = loop.index
            roots = moments(e.after(n, chunk))
            x, m, s = e.load(weights(chunk)), e.load(moments(chunk)), e.load(roots)
            move = e.div(e.mul(s0, m), e.add(e.mul(s, q), eps))
            e.store(e.add(x, e.mul(e.load(learns(chunk)), e.sub(e.mul(x, shrink), move))), weights(chunk))
            e.store(e.mul(m, keep_m), moments(chunk))
            e.store(e.mul(s, keep_s), roots)
        return context.get_dummy_value()

    f = types.float32
    return types.void(w, ms, mask, types.int64, types.int64, f, f, f, f, f, f, types.int64), codegen


@_intrinsic
def gather_gradient(typingctx: Any, g: Any, at: Any, factor: Any, w: Any, row: Any, begins: Any, lanes: Any) -> Any:
    """``g[at] = factor * w[row]`` if ``begins``, else ``g[at] += factor * w[row]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, n, kinds = _Emit(context, builder), args[6], signature.args
        target, source = e.rows(kinds[0], args[0], args[1], n), e.rows(kinds[3], args[3], args[4], n)
        factor = e.splat(args[2])
        with builder.if_else(builder.trunc(args[5], ir.IntType(1))) as (then, otherwise):
            with then, e.each(n) as loop:
                e.store(e.mul(factor, e.load(source(loop.index))), target(loop.index))
            with otherwise, e.each(n) as loop:
                added = e.mul(factor, e.load(source(loop.index)))
                e.store(e.add(e.load(target(loop.index)), added), target(loop.index))
        return context.get_dummy_value()

    kind = types.void(g, types.int64, types.float32, w, types.int64, types.boolean, types.int64)
    return kind, codegen


def _adam(
    e: _Emit, scalars: Any, keep: Any, weights: Rows, moments: Rows, learns: Rows, n: Any, chunk: Any, x: Any, g: Any
) -> None:
    """Make one Adam step on one vector ``x`` of weights with gradient ``g``."""
    new_m, new_v, rate, root, eps, shrink = scalars
    keep_m, keep_v = keep
    m = e.add(e.mul(keep_m, e.load(moments(chunk))), e.mul(new_m, g))
    roots = moments(e.after(n, chunk))
    s = e.load(roots)
    s = e.sqrt(e.add(e.mul(e.mul(keep_v, s), s), e.mul(e.mul(new_v, g), g)))
    e.store(m, moments(chunk))
    e.store(s, roots)
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
    """Make one Adam step on one row with the gradient ``g[at]`` (in strides). ``keep``: the remainder of m and v;
    ``scalars``: new_m, new_v, rate, root, eps, shrink."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, n, kinds = _Emit(context, builder), args[9], signature.args
        weights = e.rows(kinds[0], args[0], args[3], n)
        moments = e.rows(kinds[1], args[1], args[3], e.twice(n))
        learns = e.rows(kinds[2], args[2], args[4], n)
        gradient = e.rows(kinds[5], args[5], args[6], n)
        left = [e.splat(builder.extract_value(args[7], j)) for j in range(2)]
        numbers = [e.splat(builder.extract_value(args[8], j)) for j in range(6)]
        with e.each(n) as loop:
            x, g = e.load(weights(loop.index)), e.load(gradient(loop.index))
            _adam(e, numbers, left, weights, moments, learns, n, loop.index, x, g)
        return context.get_dummy_value()

    f = types.float32
    pair, six = types.UniTuple(f, 2), types.UniTuple(f, 6)
    return types.void(w, ms, mask, types.int64, types.int64, g, types.int64, pair, six, types.int64), codegen


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
    """Make one Adam step on two rows that occur together in one rating only: the gradient of each is ``err`` times the
    other."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, n, kinds = _Emit(context, builder), args[9], signature.args
        weights = [e.rows(kinds[0], args[0], args[3 + s], n) for s in range(2)]
        moments = [e.rows(kinds[1], args[1], args[3 + s], e.twice(n)) for s in range(2)]
        learns = [e.rows(kinds[2], args[2], I64(s), n) for s in range(2)]
        left = [[e.splat(builder.extract_value(args[6 + s], j)) for j in range(2)] for s in range(2)]
        numbers = [e.splat(builder.extract_value(args[8], j)) for j in range(6)]
        err = e.splat(args[5])
        with e.each(n) as loop:
            x = [e.load(weights[s](loop.index)) for s in range(2)]
            for s in range(2):
                g = e.mul(err, x[1 - s])
                _adam(e, numbers, left[s], weights[s], moments[s], learns[s], n, loop.index, x[s], g)
        return context.get_dummy_value()

    f = types.float32
    pair, six = types.UniTuple(f, 2), types.UniTuple(f, 6)
    return types.void(w, ms, mask, types.int64, types.int64, f, pair, pair, six, types.int64), codegen
