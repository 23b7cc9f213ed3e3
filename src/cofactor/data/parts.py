"""Arrays in parts: the rows of a table that lie in several files, each opened when one of its rows is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Parts:
    """An array whose rows ``cuts[k]:cuts[k + 1]`` come from ``open(k)``. All have this ``dtype`` and shape ``tail``.

    Indexing by codes or a slice opens only the parts that hold these rows. ``numpy.asarray`` makes the whole array.
    """

    def __init__(self, cuts: Any, open: Callable[[int], Array], dtype: Any, tail: tuple[int, ...] = ()) -> None:
        self.cuts, self.open, self.dtype, self.tail = np.asarray(cuts, np.int64), open, np.dtype(dtype), tail

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.tail)

    @property
    def ndim(self) -> int:
        return 1 + len(self.tail)

    def __len__(self) -> int:
        return int(self.cuts[-1])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple):
            rows = self[index[0]]
            return rows[index[1:]] if isinstance(index[0], (int, np.integer)) else rows[(slice(None), *index[1:])]
        if isinstance(index, slice):
            lo, hi, step = index.indices(len(self))
            return self._range(lo, max(lo, hi)) if step == 1 else self[np.arange(lo, hi, step)]
        rows = np.asarray(index)
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        found = self._at(rows.reshape(-1).astype(np.int64))
        return found.reshape((*rows.shape, *self.tail)) if rows.ndim else found[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._range(0, len(self)).astype(dtype or self.dtype, copy=False)

    def __reduce__(self) -> Any:
        """Copy and pickle as an array."""
        return np.asarray, (np.asarray(self),)

    def _range(self, lo: int, hi: int) -> Array:
        first, last = np.searchsorted(self.cuts[1:], [lo, hi - 1], side="right") if hi > lo else (0, -1)
        pieces = [np.empty((0, *self.tail), self.dtype)]
        for part in range(int(first), int(last) + 1):
            start = int(self.cuts[part])
            pieces.append(self.open(part)[max(lo - start, 0) : hi - start])
        return np.concatenate(pieces)

    def _at(self, rows: Array) -> Array:
        rows = np.where(rows < 0, rows + len(self), rows)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"there are {len(self):,} rows")
        found = np.empty((len(rows), *self.tail), self.dtype)
        where = np.searchsorted(self.cuts[1:], rows, side="right")
        for part in np.unique(where).tolist():
            mine = where == part
            found[mine] = self.open(part)[rows[mine] - self.cuts[part]]
        return found


class Positions:
    """The numbers from 0 to ``n - 1`` as an array that takes no memory."""

    dtype = np.dtype(np.int64)

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return np.arange(*index.indices(self.n), dtype=np.int64)
        rows = np.asarray(index)
        return np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.arange(self.n, dtype=dtype or np.int64)
