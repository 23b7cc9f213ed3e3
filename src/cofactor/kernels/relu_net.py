"""Compute the output of a small network for every item, sixteen items at a time, from the first layer to the last in
cache.

Sixteen items lie side by side in a vector, one vector for each unit of a layer. A unit that is inactive (ReLU 0) for
all sixteen is left out of the next product. It would only add zeros, so no bit changes; the more similar the items of a
tile are, the more this saves. The kernel is serial and releases the GIL, so threads may divide the rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Array = NDArray[Any]

LANES = 16
COLUMNS = 5
"""Number of columns of a product whose sums are held in registers together."""

_INT, _WORD = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_ZEROS = ir.Constant(_VECTOR, None)


def _flat(*arrays: Any) -> bool:
    return all(isinstance(a, types.Array) and a.layout == "C" and a.dtype == types.float32 for a in arrays)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any, to: Any = _VECTOR) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), to.as_pointer())


def _splat(builder: Any, scalar: Any) -> Any:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES))


def _lift(typingctx: Any, source: Any, s: Any, add: Any, out: Any, o: Any) -> Any:
    """``out[o:o + 16] = max(source[s:s + 16] + add, 0)``, flat positions in float32 C arrays; 1 where any is not 0.

    NaN stays NaN, and counts. Nothing is checked: the caller ensures the bounds.
    """
    if not _flat(source, out):
        return None
    signature = types.intp(source, types.intp, types.float32, out, types.intp)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        found = builder.load(_pointer(context, builder, sig.args[0], args[0], args[1]), align=4)
        found = builder.fadd(found, _splat(builder, args[2]))
        found = builder.select(builder.fcmp_ordered("<", found, _ZEROS), _ZEROS, found)
        builder.store(found, _pointer(context, builder, sig.args[3], args[3], args[4]), align=4)
        some = builder.bitcast(builder.fcmp_unordered("!=", found, _ZEROS), ir.IntType(LANES))
        some = builder.icmp_unsigned("!=", some, ir.Constant(ir.IntType(LANES), 0))
        return builder.zext(some, context.get_value_type(types.intp))

    return signature, generate


def _product(columns: int) -> Any:
    """Return the intrinsic for this number of columns."""

    def product(typingctx: Any, x: Any, units: Any, n: Any, weights: Any, w: Any, out: Any, o: Any) -> Any:
        """``out[o + 16 j:][:16] = sum over i < n of weights[w + columns * units[i] + j] * x[16 i:][:16]``.

        Flat positions in float32 C arrays; ``units`` is int64. Nothing is checked.
        """
        if not _flat(x, weights, out) or units != types.int64[::1]:
            return None
        signature = types.void(x, units, types.intp, weights, types.intp, out, types.intp)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(columns)]  # type: ignore[no-untyped-call]
            for total in sums:
                builder.store(_ZEROS, total)
            with cgutils.for_range(builder, args[2]) as loop:
                unit = builder.load(_pointer(context, builder, sig.args[1], args[1], loop.index, _WORD))
                at = builder.add(args[4], builder.mul(unit, ir.Constant(_WORD, columns)))
                factors = _pointer(context, builder, sig.args[3], args[3], at, ir.FloatType())
                place = builder.mul(loop.index, ir.Constant(_WORD, LANES))
                vector = builder.load(_pointer(context, builder, sig.args[0], args[0], place), align=4)
                for j, total in enumerate(sums):
                    factor = builder.load(builder.gep(factors, [ir.Constant(_WORD, j)]), align=4)
                    one = builder.fmul(_splat(builder, factor), vector, flags=("contract",))
                    builder.store(builder.fadd(builder.load(total), one, flags=("contract",)), total)
            for j, total in enumerate(sums):
                place = builder.add(args[6], ir.Constant(_WORD, LANES * j))
                builder.store(builder.load(total), _pointer(context, builder, sig.args[5], args[5], place), align=4)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(product)


lift: Any = intrinsic(_lift)
product_of_many: Any = _product(COLUMNS)
product_of_one: Any = _product(1)


@njit(cache=True, nogil=True)
def outputs(
    first: Array, tiles: Array, places: Array, widths: Array, weights: Array, biases: Array, out: Array
) -> None:
    """Fill ``out`` float32 (rows, items) with the output of the last layer, for each row of ``first`` and each item.

    ``first`` float32 (rows, h) and ``tiles`` float32 (tiles, h, 16), C-contiguous, add up to the first layer;
    ``places`` (16 * tiles,) are the columns of ``out`` that the items go to, -1: to none. ``widths`` int64 are those of
    the hidden layers, h first; ``weights`` float32 holds, layer by layer, groups of ``COLUMNS`` columns (in, COLUMNS),
    zeros at the end of the last, and then the last layer (in,); ``biases`` float32 those of all layers after the first.
    """
    h = widths[0]
    most = widths.max() + COLUMNS
    x, y = np.empty(most * LANES, np.float32), np.empty(most * LANES, np.float32)
    units = np.empty(most, np.int64)
    flat = tiles.reshape(-1)
    for r in range(len(first)):
        for t in range(len(tiles)):
            passed = 0
            for k in range(h):
                units[passed] = k
                passed += lift(flat, (t * h + k) * LANES, first[r, k], x, passed * LANES)
            w, b = 0, 0
            for layer in range(1, len(widths)):
                for j in range(0, widths[layer], COLUMNS):
                    product_of_many(x, units, passed, weights, w, y, j * LANES)
                    w += COLUMNS * widths[layer - 1]
                passed = 0
                for k in range(widths[layer]):
                    units[passed] = k
                    passed += lift(y, k * LANES, biases[b + k], x, passed * LANES)
                b += widths[layer]
            product_of_one(x, units, passed, weights, w, y, 0)
            for lane in range(LANES):
                column = places[t * LANES + lane]
                if column >= 0:
                    out[r, column] = y[lane] + biases[b]
