"""An operation that must be vectorised: sixteen floats at a time, whatever arrays may overlap.

LLVM cannot know that two NumPy arrays do not overlap, and so leaves short loops that store into one while reading
others as scalar code, ten times slower. The intrinsic here emits the vector instructions itself (LLVM splits them where
the machine's vectors are shorter).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
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
