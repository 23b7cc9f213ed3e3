"""The operations of a layer besides its product: bias, ReLU, batch normalisation, dropout, forward and back.

They are written as vector instructions, sixteen columns at a time, for the reasons in ``row_vectors.py``, and because
they compile in a tenth of the time: a loop in numba becomes a vector loop, an unrolled one and a remainder, behind
checks that arrays do not overlap. Arrays are float32 and flat; ``n`` rows of ``width`` (a multiple of 16) begin at
``o``. ``least`` is the minimal output of a unit: 0 with a ReLU, minus infinity without. NaN stays NaN.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types as _types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

from cofactor.kernels.row_vectors import I64, VECTOR, WIDTH, _Emit

types: Any = _types
cgutils: Any = _cgutils
_intrinsic: Any = intrinsic
f, whole = types.float32, types.int64
INTS = ir.VectorType(ir.IntType(32), WIDTH)
ZEROS, ONES = ir.Constant(VECTOR, [0.0] * WIDTH), ir.Constant(VECTOR, [1.0] * WIDTH)


class _Columns(_Emit):
    """Sixteen columns of some rows."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        super().__init__(context, builder)
        self.kinds, self.args = signature.args, args

    def at(self, array: int, place: Any) -> Any:
        """Return a pointer to sixteen numbers of the array that is this argument."""
        data = self.context.make_array(self.kinds[array])(self.context, self.b, self.args[array]).data
        return self.b.bitcast(self.b.gep(data, [place]), VECTOR.as_pointer())

    def columns(self, width: Any) -> Any:
        """Loop over sixteen columns at a time."""
        return self.each(self.b.udiv(width, I64(WIDTH)))

    def place(self, o: Any, row: Any, width: Any, column: Any) -> Any:
        return self.b.add(o, self.b.add(self.b.mul(row, width), column))

    def variable(self, value: Any = ZEROS) -> Any:
        return cgutils.alloca_once_value(self.b, value)

    def gather(self, total: Any, more: Any) -> None:
        self.b.store(self.add(self.b.load(total), more), total)

    def at_least(self, x: Any, least: Any) -> Any:
        return self.b.select(self.b.fcmp_ordered("<", x, least), least, x)

    def where_above(self, x: Any, least: Any, value: Any) -> Any:
        return self.b.select(self.b.fcmp_ordered(">", x, least), value, ZEROS)


@_intrinsic
def lift(typingctx: Any, r: Any, x: Any, o: Any, n: Any, width: Any, shift: Any, s: Any, least: Any) -> Any:
    """``r = x = max(r + shift, least)``, ``shift`` from ``s`` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Columns(context, builder, signature, args)
        o, n, width, s, least = args[2], args[3], args[4], args[6], e.splat(args[7])
        with e.columns(width) as columns:
            column = builder.mul(columns.index, I64(WIDTH))
            more = e.load(e.at(5, builder.add(s, column)))
            with e.each(n) as rows:
                at = e.place(o, rows.index, width, column)
                value = e.at_least(e.add(e.load(e.at(0, at)), more), least)
                e.store(value, e.at(0, at))
                e.store(value, e.at(1, at))
        return context.get_dummy_value()

    return types.void(r, x, whole, whole, whole, shift, whole, f), codegen


@_intrinsic
def lift_back(typingctx: Any, r: Any, d: Any, o: Any, n: Any, width: Any, shift: Any, s: Any, least: Any) -> Any:
    """Turn the gradient ``d`` of the output of :func:`lift` into that of its input, and fill that of ``shift``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Columns(context, builder, signature, args)
        o, n, width, s, least = args[2], args[3], args[4], args[6], e.splat(args[7])
        total = e.variable()
        with e.columns(width) as columns:
            column = builder.mul(columns.index, I64(WIDTH))
            builder.store(ZEROS, total)
            with e.each(n) as rows:
                at = e.place(o, rows.index, width, column)
                value = e.where_above(e.load(e.at(0, at)), least, e.load(e.at(1, at)))
                e.store(value, e.at(1, at))
                e.gather(total, value)
            e.store(builder.load(total), e.at(5, builder.add(s, column)))
        return context.get_dummy_value()

    return types.void(r, d, whole, whole, whole, shift, whole, f), codegen


@_intrinsic
def normalise(
    typingctx: Any,
    r: Any,
    x: Any,
    o: Any,
    n: Any,
    width: Any,
    spared: Any,
    s: Any,
    stats: Any,
    t: Any,
    running: Any,
    run: Any,
    numbers: Any,
) -> Any:
    """``r = max(r, least)``, and ``x`` becomes its batch normalisation (Ioffe & Szegedy 2015).

    Shift, then scale, are in ``spared`` from ``s`` on. ``stats`` from ``t`` on becomes the mean, then one over the
    deviation; ``running`` from ``run`` on, mean and unbiased variance, moves by the momentum. ``numbers``: least, 1 /
    n, 1 / (n - 1), momentum, 1 - momentum, epsilon.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Columns(context, builder, signature, args)
        o, n, width, s, t, run = args[2], args[3], args[4], args[6], args[8], args[10]
        least, own, unbiased, part, rest, tiny = (e.splat(builder.extract_value(args[11], j)) for j in range(6))
        total, square = e.variable(), e.variable()
        with e.columns(width) as columns:
            column = builder.mul(columns.index, I64(WIDTH))
            second = builder.add(column, width)
            builder.store(ZEROS, total)
            builder.store(ZEROS, square)
            with e.each(n) as rows:
                place = e.at(0, e.place(o, rows.index, width, column))
                value = e.at_least(e.load(place), least)
                e.store(value, place)
                e.gather(total, value)
            mean = e.mul(builder.load(total), own)
            with e.each(n) as rows:
                away = e.sub(e.load(e.at(0, e.place(o, rows.index, width, column))), mean)
                e.gather(square, e.mul(away, away))
            sum_of_squares = builder.load(square)
            inverse = e.div(ONES, e.sqrt(e.add(e.mul(sum_of_squares, own), tiny)))
            e.store(mean, e.at(7, builder.add(t, column)))
            e.store(inverse, e.at(7, builder.add(t, second)))
            for place, new in (
                (e.at(9, builder.add(run, column)), mean),
                (e.at(9, builder.add(run, second)), e.mul(sum_of_squares, unbiased)),
            ):
                e.store(e.add(e.mul(rest, e.load(place)), e.mul(part, new)), place)
            shift, scale = (e.load(e.at(5, builder.add(s, c))) for c in (column, second))
            with e.each(n) as rows:
                at = e.place(o, rows.index, width, column)
                out = e.mul(e.sub(e.load(e.at(0, at)), mean), inverse)
                e.store(e.add(e.mul(out, scale), shift), e.at(1, at))
        return context.get_dummy_value()

    six = types.UniTuple(f, 6)
    kind = types.void(r, x, whole, whole, whole, spared, whole, stats, whole, running, whole, six)
    return kind, codegen


@_intrinsic
def normalise_back(
    typingctx: Any,
    r: Any,
    d: Any,
    o: Any,
    n: Any,
    width: Any,
    spared: Any,
    s: Any,
    stats: Any,
    t: Any,
    gs: Any,
    least: Any,
    own: Any,
) -> Any:
    """Turn the gradient ``d`` of the output of :func:`normalise` into that of its input. Those of shift and scale go
    into ``gs`` at ``s``. ``own``: 1 / n."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Columns(context, builder, signature, args)
        o, n, width, s, t = args[2], args[3], args[4], args[6], args[8]
        least, own = e.splat(args[10]), e.splat(args[11])
        shifts, scales = e.variable(), e.variable()
        with e.columns(width) as columns:
            column = builder.mul(columns.index, I64(WIDTH))
            second = builder.add(column, width)
            builder.store(ZEROS, shifts)
            builder.store(ZEROS, scales)
            mean, inverse = (e.load(e.at(7, builder.add(t, c))) for c in (column, second))
            with e.each(n) as rows:
                at = e.place(o, rows.index, width, column)
                value = e.load(e.at(1, at))
                e.gather(shifts, value)
                e.gather(scales, e.mul(value, e.mul(e.sub(e.load(e.at(0, at)), mean), inverse)))
            shift, scale = builder.load(shifts), builder.load(scales)
            e.store(shift, e.at(9, builder.add(s, column)))
            e.store(scale, e.at(9, builder.add(s, second)))
            factor = e.mul(e.load(e.at(5, builder.add(s, second))), inverse)
            with e.each(n) as rows:
                at = e.place(o, rows.index, width, column)
                value = e.load(e.at(0, at))
                x = e.mul(e.sub(value, mean), inverse)
                mine = e.sub(e.load(e.at(1, at)), e.mul(own, e.add(shift, e.mul(x, scale))))
                e.store(e.where_above(value, least, e.mul(factor, mine)), e.at(1, at))
        return context.get_dummy_value()

    kind = types.void(r, d, whole, whole, whole, spared, whole, stats, whole, gs, f, f)
    return kind, codegen


def _mixed(builder: Any, x: Any) -> Any:
    """Return well-mixed bits of uint32 numbers (Wellons 2018, "lowbias32")."""

    def of(number: int) -> Any:
        return ir.Constant(x.type, [number] * WIDTH if isinstance(x.type, ir.VectorType) else number)

    x = builder.mul(builder.xor(x, builder.lshr(x, of(16))), of(0x7FEB352D))
    x = builder.mul(builder.xor(x, builder.lshr(x, of(15))), of(0x846CA68B))
    return builder.xor(x, builder.lshr(x, of(16)))


@_intrinsic
def drop(
    typingctx: Any, x: Any, o: Any, n: Any, width: Any, seed: Any, t: Any, layer: Any, least: Any, scale: Any
) -> Any:
    """Apply dropout to ``x`` in place. What is dropped depends only on the seed (int64), the step and the layer, so the
    same call drops the gradient. Numbers drawn below ``least`` (uint32) become 0; the rest is scaled."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, word = _Columns(context, builder, signature, args), ir.IntType(32)
        o, n, width, seed, scale = args[1], args[2], args[3], args[4], e.splat(args[8])
        low, high = (builder.trunc(part, word) for part in (seed, builder.lshr(seed, I64(32))))
        key = _mixed(builder, builder.xor(low, _mixed(builder, high)))
        key = _mixed(builder, builder.xor(key, builder.trunc(args[5], word)))
        key = _mixed(builder, builder.add(key, builder.trunc(args[6], word)))

        def spread(number: Any) -> Any:
            one = builder.insert_element(ir.Constant(INTS, ir.Undefined), number, word(0))
            return builder.shuffle_vector(one, ir.Constant(INTS, ir.Undefined), ir.Constant(INTS, [0] * WIDTH))

        keys, least = spread(key), spread(args[7])
        lanes = ir.Constant(INTS, list(range(WIDTH)))
        with e.each(n) as rows:
            row = spread(_mixed(builder, builder.xor(key, builder.trunc(rows.index, word))))
            with e.columns(width) as columns:
                column = builder.mul(columns.index, I64(WIDTH))
                place = e.at(0, e.place(o, rows.index, width, column))
                numbers = builder.add(builder.add(lanes, spread(builder.trunc(column, word))), row)
                drawn = _mixed(builder, builder.xor(_mixed(builder, numbers), keys))
                kept = builder.select(builder.icmp_unsigned(">=", drawn, least), scale, ZEROS)
                e.store(e.mul(e.load(place), kept), place)
        return context.get_dummy_value()

    return types.void(x, whole, whole, whole, whole, whole, whole, types.uint32, f), codegen


@_intrinsic
def move(typingctx: Any, out: Any, o: Any, a: Any, i: Any, n: Any) -> Any:
    """``out[o:o + n] = a[i:i + n]``"""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, source = (context.make_array(signature.args[j])(context, builder, args[j]).data for j in (0, 2))
        cgutils.raw_memcpy(builder, builder.gep(target, [args[1]]), builder.gep(source, [args[3]]), args[4], 4)
        return context.get_dummy_value()

    return types.void(out, whole, a, whole, whole), codegen


@_intrinsic
def wipe(typingctx: Any, out: Any, o: Any, n: Any) -> Any:
    """``out[o:o + n] = 0``"""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = context.make_array(signature.args[0])(context, builder, args[0]).data
        cgutils.memset(builder, builder.gep(target, [args[1]]), builder.mul(args[2], I64(4)), 0)
        return context.get_dummy_value()

    return types.void(out, whole, whole), codegen


FIELDS = 16


@_intrinsic
def fields(typingctx: Any, plan: Any, i: Any) -> Any:
    """Return the numbers of row ``i`` of ``plan`` int64 (n, 16) as a tuple; sixteen look-ups would take longer to
    compile."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        start = builder.mul(args[1], I64(FIELDS))
        found = [builder.load(builder.gep(data, [builder.add(start, I64(j))])) for j in range(FIELDS)]
        return context.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(whole, FIELDS)(plan, whole), codegen
