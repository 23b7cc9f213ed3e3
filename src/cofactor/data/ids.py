"""Frozen id maps: a user's own ids <-> int32 codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.errors import DataError, UnknownIdError, did_you_mean

Array = NDArray[Any]


class IdMap:
    """An ordered set of ids. Code ``c`` is the id at position ``c``; integers and strings never mix.

    ``values`` is a polars Series without duplicates or nulls. ``kind`` names what it holds, for messages: "user" or "item".
    """

    __slots__ = ("_lookup", "kind", "values")

    def __init__(self, values: pl.Series, kind: str) -> None:
        self.values = values
        self.kind = kind
        self._lookup: dict[Any, int] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterable[Any]:
        return iter(self.values)

    def __contains__(self, value: object) -> bool:
        return self.code(value) >= 0

    def code(self, value: object) -> int:
        """The code of one id, or -1."""
        if self._lookup is None:
            self._lookup = {v: i for i, v in enumerate(self.values.to_list())}
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (bool, float)) and not (isinstance(value, float) and self.values.dtype.is_float()):
            return -1
        return self._lookup.get(value, -1)

    def index(self, value: object) -> int:
        """The code of one id; UnknownIdError (with suggestions) where there is none."""
        code = self.code(value)
        if code < 0:
            raise UnknownIdError(self.unknown(value))
        return code

    def unknown(self, value: object) -> str:
        """The sentence that says that this id is not known, and what may have been meant."""
        mine = "text" if self.values.dtype == pl.String else "numbers"
        theirs = "text" if isinstance(value, str) else "a number"
        other: object = None
        if isinstance(value, str) and mine == "numbers":
            try:
                other = int(value)
            except ValueError:
                other = None
        elif mine == "text" and not isinstance(value, str):
            other = str(value)
        if other is not None and self.code(other) >= 0:
            return f"unknown {self.kind} {value!r}: it is {theirs}, but {self.kind} ids are {mine} here; write {other!r}"
        return f"unknown {self.kind} {value!r}.{did_you_mean(value, self.values)}"

    def encode(self, values: Sequence[Any] | pl.Series | Array) -> Array:
        """int32 codes of many ids, -1 for those not known."""
        series = values if isinstance(values, pl.Series) else pl.Series(values=values)
        text = self.values.dtype == pl.String
        if (series.dtype == pl.String) != text and len(series):
            return np.full(len(series), -1, dtype=np.int32)
        known = pl.DataFrame({"id": self.values, "code": np.arange(len(self), dtype=np.int32)})
        asked = pl.DataFrame({"id": series.cast(self.values.dtype, strict=False)})
        codes = asked.join(known, on="id", how="left", maintain_order="left")["code"].fill_null(-1)
        return codes.to_numpy().astype(np.int32)

    def decode(self, codes: Array) -> pl.Series:
        """The ids at these codes; null for -1."""
        codes = np.asarray(codes)
        found = self.values.gather(np.where(codes < 0, 0, codes))
        if (codes < 0).any():
            found = found.zip_with(pl.Series(codes >= 0), pl.Series([None] * len(codes), dtype=found.dtype))
        return found


def id_map(values: pl.Series, kind: str) -> IdMap:
    """An id map of the distinct values of a column, in ascending order."""
    if values.null_count():
        row = int(values.is_null().arg_max() or 0)
        raise DataError(f"{kind} id missing in row {row + 1}; fill it in or drop the row")
    return IdMap(values.unique().sort(), kind)
