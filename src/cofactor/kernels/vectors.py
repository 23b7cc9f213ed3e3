"""Operations that must be vectorised: sixteen floats at a time, whatever arrays may overlap.

LLVM cannot know that two NumPy arrays do not overlap, and so leaves short loops that store into one while reading
others as scalar code, ten times slower. The intrinsics here emit the vector instructions themselves (LLVM splits
them where the machine's vectors are shorter). Nothing is checked: the caller ensures the bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16


def _add_scaled(typingctx: Any, out: Any, o: Any, rows: Any, at: Any, factors: Any) -> Any:
    """``out[o:o + 16] += sum over j of factors[j] * rows[at[j]:at[j] + 16]``, flat positions in float32 C arrays.

    ``at`` and ``factors`` are tuples of one length, integers and float32. Nothing is checked: the caller ensures the
    bounds.
    """
    fit = all(isinstance(t, types.Array) and t.layout == "C" and t.dtype == types.float32 for t in (out, rows))
    if not fit or not isinstance(at, types.BaseTuple) or not isinstance(factors, types.BaseTuple):
        return None
    n = len(factors)
    places, scalars = types.UniTuple(types.intp, n), types.UniTuple(types.float32, n)  # type: ignore[no-untyped-call]
    signature = types.void(out, types.intp, rows, places, scalars)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.FloatType(), LANES)

        def pointer(array: int, offset: Any) -> Any:
            data = context.make_array(sig.args[array])(context, builder, args[array]).data
            return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())

        def splat(scalar: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

        target = pointer(0, args[1])
        total = builder.load(target, align=4)
        for j in range(n):
            row = builder.load(pointer(2, builder.extract_value(args[3], j)), align=4)
            product = builder.fmul(splat(builder.extract_value(args[4], j)), row, flags=("contract",))
            total = builder.fadd(total, product, flags=("contract",))
        builder.store(total, target, align=4)
        return context.get_dummy_value()

    return signature, generate


add_scaled: Any = intrinsic(_add_scaled)


def _lanes(emit: Callable[..., Any], typed: tuple[Any, ...]) -> tuple[Any, Any] | None:
    """Return the signature and the code of ``out[o:o + 16] = emit(builder, out, first, second)``, lane by lane.

    ``typed`` holds the types of an array and a flat position for ``out`` and each operand, float32 C arrays.
    """
    arrays, places = typed[::2], (types.intp,) * (len(typed) // 2)
    if not all(isinstance(t, types.Array) and t.layout == "C" and t.dtype == types.float32 for t in arrays):
        return None
    signature = types.void(*(one for pair in zip(arrays, places, strict=True) for one in pair))

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.FloatType(), LANES)

        def pointer(at: int) -> Any:
            data = context.make_array(sig.args[at])(context, builder, args[at]).data
            return builder.bitcast(builder.gep(data, [args[at + 1]]), vector.as_pointer())

        target, *others = (pointer(at) for at in range(0, len(args), 2))
        read = [builder.load(one, align=4) for one in (target, *others)]
        builder.store(emit(builder, *read), target, align=4)
        return context.get_dummy_value()

    return signature, generate


def _minus_product(typingctx: Any, out: Any, o: Any, x: Any, i: Any, y: Any, j: Any) -> Any:
    """``out[o:o + 16] -= x[i:i + 16] * y[j:j + 16]``."""

    def emit(builder: Any, total: Any, first: Any, second: Any) -> Any:
        return builder.fsub(total, builder.fmul(first, second, flags=("contract",)), flags=("contract",))

    return _lanes(emit, (out, o, x, i, y, j))


def _times(typingctx: Any, out: Any, o: Any, x: Any, i: Any) -> Any:
    """``out[o:o + 16] *= x[i:i + 16]``."""
    return _lanes(lambda builder, total, first: builder.fmul(total, first), (out, o, x, i))


def _inverse_root(typingctx: Any, out: Any, o: Any, x: Any, i: Any) -> Any:
    """``out[o:o + 16] = 1 / sqrt(x[i:i + 16])``."""

    def emit(builder: Any, _: Any, first: Any) -> Any:
        kind = ir.FunctionType(first.type, [first.type])
        root = cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f32")  # type: ignore[no-untyped-call]
        return builder.fdiv(ir.Constant(first.type, [1.0] * LANES), builder.call(root, [first]))

    return _lanes(emit, (out, o, x, i))


minus_product: Any = intrinsic(_minus_product)
times: Any = intrinsic(_times)
inverse_root: Any = intrinsic(_inverse_root)
