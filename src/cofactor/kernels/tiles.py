"""Products of small float32 matrices, with bits that depend on the numbers alone: not on threads, not on a BLAS.

Each element is summed from the first term to the last. Sums of six rows by sixteen columns stay in registers. The left
matrix may be read by rows or by columns (its two steps are arguments), so a product with its transpose costs the same.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from cofactor.kernels.dot_bias.loss import LEAN
from cofactor.kernels.row_vectors import short_loop
from cofactor.kernels.vectors import LANES

Array = Any
ROWS = 6
"""Rows of a tile: with AVX2, twelve sums, two vectors and a scalar fill the registers and hide the latency."""

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_SPREAD = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)


def _tile(rows: int) -> Any:
    """Return the intrinsic for this number of rows."""

    def tile(
        typingctx: Any,
        out: Any,
        o: Any,
        wide: Any,
        a: Any,
        i: Any,
        down: Any,
        along: Any,
        b: Any,
        j: Any,
        step: Any,
        n: Any,
    ) -> Any:
        """``out[o + r * wide:][:16] = sum over c < n of a[i + r * down + c * along] * b[j + c * step:][:16]``.

        Flat positions in float32 C arrays. Nothing is checked: the caller ensures the bounds.
        """
        if not all(isinstance(t, types.Array) and t.layout == "C" and t.dtype == types.float32 for t in (out, a, b)):
            return None
        whole = types.intp
        signature = types.void(out, whole, whole, a, whole, whole, whole, b, whole, whole, whole)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            def base(array: int) -> Any:
                data = context.make_array(sig.args[array])(context, builder, args[array]).data
                return builder.gep(data, [args[array + 1]])

            target, left, right = base(0), base(3), base(7)
            zeros = ir.Constant(_VECTOR, [0.0] * LANES)
            sums = [cgutils.alloca_once_value(builder, zeros) for _ in range(rows)]  # type: ignore[no-untyped-call]
            number = args[1].type
            starts = [builder.gep(left, [builder.mul(args[5], ir.Constant(number, r))]) for r in range(rows)]
            with short_loop(builder, args[10]) as loop:
                place = builder.gep(right, [builder.mul(loop.index, args[9])])
                column = builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=4)
                at = builder.mul(loop.index, args[6])
                for r in range(rows):
                    scalar = builder.load(builder.gep(starts[r], [at]), align=4)
                    one = builder.insert_element(
                        ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
                    )
                    one = builder.shuffle_vector(one, one, _SPREAD)
                    product = builder.fmul(one, column, flags=("contract",))
                    builder.store(builder.fadd(builder.load(sums[r]), product, flags=("contract",)), sums[r])
            for r in range(rows):
                place = builder.gep(target, [builder.mul(args[2], ir.Constant(number, r))])
                builder.store(builder.load(sums[r]), builder.bitcast(place, _VECTOR.as_pointer()), align=4)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(tile)


tile_of_many: Any = _tile(ROWS)
tile_of_one: Any = _tile(1)


def _turn(typingctx: Any, a: Any, i: Any, step: Any, out: Any, o: Any, wide: Any) -> Any:
    """``out[o + c * wide + r] = a[i + r * step + c]`` for sixteen rows r and columns c.

    Flat positions in float32 C arrays. Nothing is checked: the caller ensures the bounds.
    """
    if not all(isinstance(t, types.Array) and t.layout == "C" and t.dtype == types.float32 for t in (a, out)):
        return None
    signature = types.void(a, types.intp, types.intp, out, types.intp, types.intp)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        def row(array: int, start: Any, step: Any, r: int) -> Any:
            data = context.make_array(sig.args[array])(context, builder, args[array]).data
            place = builder.add(start, builder.mul(step, ir.Constant(step.type, r)))
            return builder.bitcast(builder.gep(data, [place]), _VECTOR.as_pointer())

        rows = [builder.load(row(0, args[1], args[2], r), align=4) for r in range(LANES)]
        for bit in (8, 4, 2, 1):  # the parts of row and column that differ in one bit are exchanged
            first = [c if not c & bit else LANES + c - bit for c in range(LANES)]
            second = [c + bit if not c & bit else LANES + c for c in range(LANES)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask) for mask in (first, second)]
            for r in range(LANES):
                if not r & bit:
                    pair = rows[r], rows[r + bit]
                    rows[r], rows[r + bit] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        for c in range(LANES):
            builder.store(rows[c], row(3, args[4], args[5], c), align=4)
        return context.get_dummy_value()

    return signature, generate


turn: Any = intrinsic(_turn)


@njit(nogil=True, **LEAN)
def product(
    out: Array,
    o: int,
    wide: int,
    a: Array,
    i: int,
    down: int,
    along: int,
    b: Array,
    j: int,
    step: int,
    rows: int,
    columns: int,
    n: int,
) -> None:
    """``out[o + r * wide + l] = sum over c < n of a[i + r * down + c * along] * b[j + c * step + l]``, r < rows,
    l < columns.

    ``columns`` is a multiple of 16. Float32 C arrays, counted in flat positions.
    """
    whole = rows // ROWS * ROWS
    for c in range(0, columns, LANES):
        for r in range(0, whole, ROWS):
            tile_of_many(out, o + r * wide + c, wide, a, i + r * down, down, along, b, j + c, step, n)
        for r in range(whole, rows):
            tile_of_one(out, o + r * wide + c, wide, a, i + r * down, down, along, b, j + c, step, n)


@njit(inline="always")
def transposed(a: Array, i: int, step: int, rows: int, columns: int, out: Array, o: int, wide: int) -> None:
    """``out[o + c * wide + r] = a[i + r * step + c]``, r < rows, c < columns (a multiple of 16). Flat positions."""
    whole = rows // LANES * LANES
    for c in range(0, columns, LANES):
        for r in range(0, whole, LANES):
            turn(a, i + r * step + c, step, out, o + c * wide + r, wide)
    for r in range(whole, rows):
        for c in range(columns):
            out[o + c * wide + r] = a[i + r * step + c]
