"""Dot products of all rows of two tables, with bits that depend on these two rows alone.

BLAS sums a dot product in an order that depends on its threads, on the processor, and on the number of other products
in the call. Here each is summed from the first column to the last, so the scores of a user have the same bits alone, in
a block of users, and at any number of threads. The speed is that of BLAS: sums of four rows by sixteen columns stay in
registers, and the sixteen columns lie side by side in a small packed panel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from cofactor.kernels.blocks import over_rows
from cofactor.kernels.vectors import LANES

Array = NDArray[Any]

PACKED = 1 << 14
"""Approximate number of floats packed at once: few enough to stay in cache, enough to write rows in long pieces."""

FEW = 2
"""Up to this many rows, the kernel without packing is faster."""
SMALL = 2_000_000
"""Up to this many multiplications, threads are not worthwhile."""


def _tile(typingctx: Any, out: Any, outs: Any, left: Any, lefts: Any, width: Any, panel: Any, start: Any) -> Any:
    """``out[o + l] = sum over c of left[a + c] * panel[start + 16 * c + l]`` for 16 lanes l and each pair (o, a).

    Flat positions in float32 C arrays; ``outs`` and ``lefts`` are tuples of integers, of one length. Nothing is
    checked.
    """
    tables = (out, left, panel)
    if not all(isinstance(t, types.Array) and t.layout == "C" and t.dtype == types.float32 for t in tables):
        return None
    if not isinstance(outs, types.BaseTuple) or not isinstance(lefts, types.BaseTuple) or len(outs) != len(lefts):
        return None
    n = len(outs)
    places = types.UniTuple(types.intp, n)  # type: ignore[no-untyped-call]
    signature = types.void(out, places, left, places, types.intp, panel, types.intp)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.FloatType(), LANES)
        spread = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

        def base(array: int) -> Any:
            return context.make_array(sig.args[array])(context, builder, args[array]).data

        target, rows, packed = base(0), base(2), builder.gep(base(5), [args[6]])
        zeros = ir.Constant(vector, [0.0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zeros) for _ in range(n)]  # type: ignore[no-untyped-call]
        starts = [builder.gep(rows, [builder.extract_value(args[3], j)]) for j in range(n)]
        with cgutils.for_range(builder, args[4]) as loop:
            lanes = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
            column = builder.load(builder.bitcast(builder.gep(packed, [lanes]), vector.as_pointer()), align=4)
            for j in range(n):
                scalar = builder.load(builder.gep(starts[j], [loop.index]), align=4)
                one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
                product = builder.fmul(builder.shuffle_vector(one, one, spread), column, flags=("contract",))
                builder.store(builder.fadd(builder.load(sums[j]), product, flags=("contract",)), sums[j])
        for j in range(n):
            place = builder.gep(target, [builder.extract_value(args[1], j)])
            builder.store(builder.load(sums[j]), builder.bitcast(place, vector.as_pointer()), align=4)
        return context.get_dummy_value()

    return signature, generate


tile: Any = intrinsic(_tile)


@njit(cache=True, nogil=True, error_model="numpy")
def many_dots(first: int, last: int, left: Array, table: Array, width: int, out: Array) -> None:
    """Set ``out[r, i]``, for i from ``first`` to ``last``, to the dot product of the first ``width`` columns of
    ``left[r]`` and ``table[i]``. All float32 and C-contiguous."""
    n, stride, wide = len(left), left.shape[1], out.shape[1]
    step = LANES * min(max(PACKED // (LANES * max(width, 1)), 1), 8)
    packed, spare = np.empty(step * width, np.float32), np.empty(4 * LANES, np.float32)
    for lo in range(first, last, step):
        hi = min(lo + step, last)
        for i in range(lo, hi):
            at = (i - lo) // LANES * LANES * width + (i - lo) % LANES
            for c in range(width):
                packed[at + c * LANES] = table[i, c]
        for r in range(0, n, 4):
            a0, some = r * stride, min(4, n - r)
            a1, a2, a3 = a0 + min(1, some - 1) * stride, a0 + min(2, some - 1) * stride, a0 + (some - 1) * stride
            for i in range(lo, hi, LANES):
                start, o = (i - lo) * width, r * wide + i
                if some == 4 and i + LANES <= hi:
                    tile(out, (o, o + wide, o + 2 * wide, o + 3 * wide), left, (a0, a1, a2, a3), width, packed, start)
                else:
                    tile(spare, (0, LANES, 2 * LANES, 3 * LANES), left, (a0, a1, a2, a3), width, packed, start)
                    for j in range(some):
                        for lane in range(min(LANES, hi - i)):
                            out[r + j, i + lane] = spare[j * LANES + lane]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def listed_dots(first: int, last: int, left: Array, table: Array, rows: Array, width: int, out: Array) -> None:
    """Set ``out[r, j]``, for j from ``first`` to ``last``, to the dot product of ``left[r]`` and ``table[rows[r, j]]``.

    The bits are those of the kernel above. It is faster if ``left`` has one row or two, for which packing does not pay.
    ``rows`` int64 (n, m), or (1, m) if all rows of ``left`` use the same.
    """
    whole = first + (last - first) // 8 * 8
    for r in range(len(left)):
        a, code = left[r], rows[min(r, len(rows) - 1)]
        for j in range(first, whole, 8):
            b0, b1, b2, b3 = table[code[j]], table[code[j + 1]], table[code[j + 2]], table[code[j + 3]]
            b4, b5, b6, b7 = table[code[j + 4]], table[code[j + 5]], table[code[j + 6]], table[code[j + 7]]
            s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0.0)
            for c in range(width):
                x = a[c]
                s0 += x * b0[c]
                s1 += x * b1[c]
                s2 += x * b2[c]
                s3 += x * b3[c]
                s4 += x * b4[c]
                s5 += x * b5[c]
                s6 += x * b6[c]
                s7 += x * b7[c]
            o = out[r, j : j + 8]
            o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[7] = s0, s1, s2, s3, s4, s5, s6, s7
        for j in range(whole, last):
            b, total = table[code[j]], np.float32(0.0)
            for c in range(width):
                total += a[c] * b[c]
            out[r, j] = total


def dots(left: Array, table: Array) -> Array:
    """Return float32 (n, m): the dot products of all rows of ``left`` (n, d) and ``table`` (m, d), ``left @ table.T``.

    A number depends on its two rows alone: it has the same bits in a block of rows or by itself, at any number of
    threads. The rows of ``table`` are divided among threads.
    """
    left, (whole, width), n = _frozen(left), _whole_rows(table), len(table)
    out = np.empty((len(left), n), np.float32)
    every = np.arange(n)[None] if len(left) <= FEW else None

    def work(first: int, last: int) -> None:
        if every is None:
            many_dots(first, last, left, whole, width, out)
        else:
            listed_dots(first, last, left, whole, every, width, out)

    if n * len(left) * width < SMALL:
        work(0, n)
    else:
        over_rows(work, np.arange(n + 1) * (len(left) * width), 0, SMALL)
    return out


def row_dots(left: Array, table: Array, rows: Array) -> Array:
    """Return float32 (n, m): the dot product of each row of ``left`` (n, d) with its own ``rows`` (n, m) of ``table``.

    The same bits as those of ``dots(left, table)``.
    """
    left, (whole, width), rows = _frozen(left), _whole_rows(table), np.ascontiguousarray(rows, np.int64)
    out = np.empty(rows.shape, np.float32)
    listed_dots(0, rows.shape[1], left, whole, rows, width, out)
    return out


def _frozen(table: Array) -> Array:
    """Return C-contiguous float32, read-only: the kernels are compiled only for that."""
    view = np.ascontiguousarray(table, dtype=np.float32).view()
    view.flags.writeable = False
    return view


def _whole_rows(table: Array) -> tuple[Array, int]:
    """Return (the table for the kernels, columns that count), without a copy if it is the first columns of another."""
    table, width = np.asarray(table, dtype=np.float32), table.shape[1]
    step = table.strides[0] // 4 if len(table) > 1 else width
    if width and table.strides == (4 * step, 4) and step > width:
        return as_strided(table, (len(table), step), writeable=False), width  # the values between rows are never read
    return _frozen(table), width
