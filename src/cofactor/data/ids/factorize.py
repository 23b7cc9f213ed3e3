"""Convert a column of ids to its id map and the code of each row, in one step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from cofactor.data.arrays import Array, chunks, group_kernels, is_plain, room
from cofactor.data.ids.id_map import TABLE_LIMIT, IdMap
from cofactor.data.ids.id_values import plain_ids
from cofactor.errors import DataError


def id_map(values: pl.Series, kind: str) -> IdMap:
    """Return an id map of the distinct values of a column, in ascending order."""
    if values.null_count():
        row = int(values.is_null().arg_max() or 0)
        raise DataError(f"{kind} id missing in row {row + 1}; fill it in or drop the row")
    return IdMap(values.unique().sort(), kind)


def factorize(values: pl.Series, kind: str) -> tuple[IdMap, Array]:
    """Return the id map of a column and its int32 codes; faster in one step than in two."""
    values = plain_ids(values, kind)
    found = factorize_parts(len(values), iter([values]), kind)
    if found is not None:
        return found
    ids = id_map(values, kind)
    return ids, ids.encode(values)


def factorize_parts(rows: int, parts: Iterator[pl.Series], kind: str) -> tuple[IdMap, Array] | None:
    """Do the same for a column that comes in parts, with a direct lookup table. Returns None if the ids are not
    integers close to each other, or if one is missing."""
    codes, start = room(rows, np.int32), 0
    lowest, highest, base = 1 << 64, -1 << 64, 0
    kept: pl.DataType = pl.Int64()
    for part in parts:
        if not is_plain(part) or not part.dtype.is_integer() or part.dtype == pl.UInt64 or start + len(part) > rows:
            return None
        if not len(part):
            continue
        low, high = int(part.min()), int(part.max())  # type: ignore[arg-type]
        if not start and part.dtype not in _NARROW:  # a distance from the first lowest id fits, and often is the code
            base = low
        kept = part.dtype
        lowest, highest = min(lowest, low), max(highest, high)
        if highest - lowest >= min(TABLE_LIMIT, 4 * rows + 1024):
            return None
        for chunk in chunks(part):
            to = codes[start : start + len(chunk)]
            np.subtract(chunk, chunk.dtype.type(base), out=to, casting="unsafe")
            start += len(chunk)
    if not rows or start != rows:
        return None
    marks = np.zeros(highest - lowest + 1, dtype=np.uint8)
    kernels = group_kernels()
    kernels.mark(codes, lowest - base, marks)
    found = np.flatnonzero(marks)
    if len(found) == len(marks):  # no gaps: a code is a distance
        if lowest != base:
            np.subtract(codes, np.int32(lowest - base), out=codes)
    else:
        table = np.zeros(len(marks), dtype=np.int32)
        table[found] = np.arange(len(found), dtype=np.int32)
        kernels.look_up(codes, lowest - base, table, codes)
    return IdMap(pl.Series(kind, found + lowest).cast(kept), kind), codes


_NARROW = (pl.Int8, pl.Int16, pl.UInt8, pl.UInt16)
"""Types in which a distance may not fit."""
