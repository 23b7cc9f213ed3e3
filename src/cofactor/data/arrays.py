"""Columns of numbers -> arrays, chunk by chunk: a column of many chunks is never copied into one just to be read."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[Any]

_PLAIN = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64)


_SMALL_ROOM = 1 << 22
"""Bytes from which NumPy asks for huge pages."""
_PAGES: dict[str, Any] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}  # the latter: Windows
)


def _all_at_once() -> Callable[[Array], object] | None:
    """What asks the system for all pages of an array; None where it cannot be asked. One by one, as they are first
    written to, they take a third longer. By ctypes, which lets other threads go on meanwhile, as ``mmap`` does not."""
    if sys.platform != "linux":
        return None
    try:
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return lambda array: advise(array.ctypes.data, array.nbytes, _POPULATE_WRITE)


_POPULATE_WRITE = 23
"""Linux 5.14 and later; others say no, and nothing is lost."""
_ask_for_pages = _all_at_once()


def room(n: int, dtype: Any) -> Array:
    """An array of ``n`` numbers that are about to be written, with no value before.

    Large ones lie in small pages: huge ones, which NumPy asks for, a virtual machine may have to fetch from its host
    first, and that took as long as reading the table.
    """
    size = n * np.dtype(dtype).itemsize
    if size < _SMALL_ROOM:
        return np.empty(n, dtype=dtype)
    try:
        out = np.frombuffer(mmap.mmap(-1, size, **_PAGES), dtype=dtype)
    except OSError:
        raise MemoryError(f"no memory for {n:,} numbers") from None
    if _ask_for_pages is not None:
        _ask_for_pages(out)
    return out


def is_plain(column: pl.Series) -> bool:
    """Whether the column holds numbers that are an array in memory as they are, none of them missing."""
    return column.dtype in _PLAIN and not column.null_count()


def chunks(column: pl.Series) -> Iterator[Array]:
    """The chunks of a plain column as arrays, read-only and without a copy."""
    return (chunk.to_numpy() for chunk in column.get_chunks())


def filled(column: pl.Series, dtype: Any) -> Array:
    """A plain column as an array of its own; numbers too large for a float type become infinite."""
    out = room(len(column), dtype)
    gathered(len(column), iter([column]), out)
    return out


def gathered(rows: int, parts: Iterator[pl.Series], out: Array) -> Array | None:
    """``out`` filled with a column of so many rows that comes in parts; None where a part is not plain."""
    start = 0
    for part in parts:
        if not is_plain(part) or start + len(part) > len(out):
            return None
        with np.errstate(over="ignore"):
            for chunk in chunks(part):
                out[start : start + len(chunk)] = chunk
                start += len(chunk)
    return out if start == rows == len(out) else None


def timed(column: Any) -> Any:
    """Moments and durations of a unit that polars does not have (seconds, hours, months) in milliseconds; any other
    column as it is."""
    dtype = getattr(column, "dtype", None)
    if not isinstance(dtype, np.dtype) or dtype.kind not in "mM" or np.datetime_data(dtype)[0] in ("ms", "us", "ns"):
        return column
    return column if dtype == np.dtype("M8[D]") else column.astype(f"{dtype.kind}8[ms]")


def group_kernels() -> ModuleType:
    """The kernels that group rows, imported when they are first needed: opening a saved model does without numba."""
    from cofactor.kernels import group

    return group


def text_kernels() -> ModuleType:
    """The kernels that check many texts, imported when they are first needed."""
    from cofactor.kernels import texts

    return texts
