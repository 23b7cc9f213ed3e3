"""Columns of numbers as arrays. A column of many chunks is read chunk by chunk, never copied into one just to be
read."""

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
    """Return a function that asks the system for all pages of an array at once; None where the system offers no such
    call.

    Pages that are touched one by one, as the array is first written, take a third longer. The call goes through ctypes,
    which lets other threads run meanwhile; ``mmap`` does not.
    """
    if sys.platform != "linux":
        return None
    try:
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return lambda array: advise(array.ctypes.data, array.nbytes, _POPULATE_WRITE)


_POPULATE_WRITE = 23
"""Linux 5.14 and later; older ones refuse the call, which does no harm."""
_ask_for_pages = _all_at_once()


def room(n: int, dtype: Any) -> Array:
    """Return an uninitialised array of ``n`` numbers, to be written next.

    Large arrays use small pages. NumPy asks for huge pages, which a virtual machine may have to fetch from its host
    first; that took as long as reading the table.
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
    """Return whether the column is already an array of numbers in memory, without missing values."""
    return column.dtype in _PLAIN and not column.null_count()


def chunks(column: pl.Series) -> Iterator[Array]:
    """Yield the chunks of a plain column as read-only arrays, without a copy."""
    return (chunk.to_numpy() for chunk in column.get_chunks())


def filled(column: pl.Series, dtype: Any) -> Array:
    """Copy a plain column into a new array. Numbers too large for a float type become infinite."""
    out = room(len(column), dtype)
    gathered(len(column), iter([column]), out)
    return out


def gathered(rows: int, parts: Iterator[pl.Series], out: Array) -> Array | None:
    """Fill ``out`` with a column of ``rows`` values that comes in parts. Returns None if a part is not plain."""
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
    """Convert dates and durations in a unit that polars lacks (seconds, hours, months) to milliseconds. Other columns
    are returned unchanged."""
    dtype = getattr(column, "dtype", None)
    if not isinstance(dtype, np.dtype) or dtype.kind not in "mM" or np.datetime_data(dtype)[0] in ("ms", "us", "ns"):
        return column
    return column if dtype == np.dtype("M8[D]") else column.astype(f"{dtype.kind}8[ms]")


def group_kernels() -> ModuleType:
    """Import the kernels that group rows, when they are first needed: a saved model opens without numba."""
    from cofactor.kernels import group

    return group


def text_kernels() -> ModuleType:
    """Import the kernels that check many strings, when they are first needed."""
    from cofactor.kernels import texts

    return texts
