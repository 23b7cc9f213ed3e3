"""Ids in parts: ascending ids that lie in several files, found by a search among the first id of each part."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.arrays import Array
from cofactor.data.ids.id_map import _FEW, IdMap


class PartedIds(IdMap):
    """Ids of which ``open(k)`` returns those with the codes ``cuts[k]:cuts[k + 1]``. ``firsts``: the first id of each
    part. What needs all ids, such as a search in them, reads all parts."""

    __slots__ = ("cuts", "firsts", "open")

    def __init__(
        self, cuts: Sequence[int], firsts: Sequence[Any], open: Callable[[int], IdMap], dtype: Any, kind: str
    ) -> None:
        self.cuts, self.firsts, self.open = list(cuts), list(firsts), open
        self.kind, self.dtype = kind, dtype
        self._values, self._packed, self._table, self._lookup = None, None, None, None
        self._order = np.empty(0, dtype=np.uint32)

    @property
    def values(self) -> pl.Series:
        """All ids, by code."""
        if self._values is None:
            parts = [self.open(k).values for k in range(len(self.firsts))]
            self._values = pl.concat(parts).rename(self.kind).rechunk()
        return self._values

    def __len__(self) -> int:
        return self.cuts[-1]

    def __reduce__(self) -> Any:
        """Copy and pickle as a plain map."""
        return IdMap, (self.values, self.kind)

    def head(self, n: int) -> pl.Series:
        """Return the first ``n`` ids."""
        parts = [self.open(k).head(n - lo) for k, lo in enumerate(self.cuts[:-1]) if lo < n]
        return pl.concat(parts).rename(self.kind)

    def decode(self, codes: Array | Sequence[int]) -> pl.Series:
        """Return the ids at these codes, null for -1."""
        asked = np.asarray(codes, dtype=np.int64)
        if self._values is not None or len(asked) > _FEW:
            return super().decode(asked)
        where = np.searchsorted(self.cuts[1:], asked, side="right")
        found: list[Any] = [None] * len(asked)
        for part in np.unique(where[asked >= 0]).tolist():
            mine = np.flatnonzero((where == part) & (asked >= 0))
            for at, value in zip(mine.tolist(), self.open(part).decode(asked[mine] - self.cuts[part]), strict=True):
                found[at] = value
        return pl.Series(self.kind, found, dtype=self.dtype)

    def listed(self, codes: Array) -> list[Any]:
        """Return the ids at these codes as Python objects. None of the codes may be -1."""
        return self.decode(codes).to_list()

    def _searched(self, value: Any) -> int:
        try:
            part = bisect_right(self.firsts, value) - 1
        except TypeError:  # of another type than the ids
            return -1
        code = -1 if part < 0 else self.open(part).code(value)
        return -1 if code < 0 else self.cuts[part] + code

    def _text_code(self, value: str) -> int:
        return self._searched(value)

    def _encode_integers(self, series: pl.Series) -> Array:
        return self._few(series) if self._asks_few(series) else super()._encode_integers(series)

    def _encode_any(self, series: pl.Series) -> Array:
        return self._few(series) if self._asks_few(series) else super()._encode_any(series)

    def _asks_few(self, series: pl.Series) -> bool:
        return self._values is None and len(series) <= _FEW

    def _few(self, series: pl.Series) -> Array:
        return np.array([-1 if v is None else self._searched(v) for v in series.to_list()], dtype=np.int32)
