"""Frozen id maps: a user's own ids <-> int32 codes."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import polars as pl

from cofactor.data.arrays import Array as Array
from cofactor.data.arrays import group_kernels
from cofactor.data.ids.id_values import as_int64, as_series, as_text, plain_ids, type_in_words
from cofactor.data.ids.packed_text import PackedText
from cofactor.errors import DataError, UnknownIdError, did_you_mean

TABLE_LIMIT = 1 << 26
"""Maximal length of a lookup table for integers (256 MB of codes)."""
_SMALL = 1 << 16
"""Up to this many ids, a dict is used."""
_INTEGERS = frozenset((pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64))
_FEW = 2048
"""Up to this many texts are looked up or read one by one."""


class IdMap:
    """An ordered set of ids. Code ``c`` is the id at position ``c``; integers and strings never mix.

    ``values`` is a polars Series without duplicates or nulls: integers, text, dates, or whatever else polars can hash.
    ``kind`` names what it holds, for messages: "user" or "item". Raises DataError for duplicates, nulls, or booleans.
    In a large map an id is found by binary search, without making Python objects of the others.
    """

    __slots__ = ("_lookup", "_order", "_packed", "_plain", "_table", "_values", "dtype", "kind")

    def __init__(self, values: pl.Series, kind: str) -> None:
        values = plain_ids(values, kind).rename(kind).rechunk()
        self.kind, self.dtype = kind, values.dtype
        self._values: pl.Series | None = values
        self._packed: PackedText | None = None
        self._order: Array | None = None
        self._table: tuple[int, Array] | None = None
        self._lookup: dict[Any, int] | None = None
        self._plain: type | None = None
        if values.null_count():
            raise DataError(f"{kind} ids contain a missing value; fill it in or drop it")
        if _ascends(values):
            self._order = np.empty(0, dtype=np.uint32)
        elif values.n_unique() != len(values):
            twice = values.filter(values.is_duplicated())[0]
            raise DataError(f"{kind} id {twice!r} stands twice in the id map; ids must be distinct")

    @classmethod
    def of_packed(cls, packed: PackedText, kind: str, order: Array | None = None) -> Self:
        """Make a map of texts that may lie in a mapped file. They ascend, or ascend in ``order``: see
        :meth:`PackedText.check`. If they are not valid text, a later lookup raises DataError."""
        made = cls.__new__(cls)
        made.kind, made.dtype = kind, pl.String()
        made._values, made._packed, made._table, made._lookup = None, packed, None, None
        made._order, made._plain = np.empty(0, dtype=np.uint32) if order is None else order, None
        return made

    @property
    def values(self) -> pl.Series:
        """All ids, by code."""
        if self._values is None:
            assert self._packed is not None
            try:
                values = self._packed.to_series().rename(self.kind)
            except ValueError:
                raise DataError(self._damaged()) from None
            if not _ascends(values) and values.n_unique() != len(values):
                raise DataError(f"{self.kind} ids stand twice in the id map; ids must be distinct")
            self._values = values
        return self._values

    @property
    def order(self) -> Array | None:
        """uint32 (n,): the codes in ascending order of their ids; None where the ids ascend themselves."""
        if self._order is None:
            self._order = self.values.arg_sort().to_numpy()
        return self._order if len(self._order) else None

    @property
    def packed(self) -> PackedText:
        """Ids that are text, end to end."""
        return PackedText.of(self.values) if self._packed is None else self._packed

    def head(self, n: int) -> pl.Series:
        """Return the first ``n`` ids."""
        if self._values is not None or self._packed is None:
            return self.values.head(n)
        return self._packed.head(n).to_series().rename(self.kind)

    def __len__(self) -> int:
        return len(self._packed if self._values is None and self._packed is not None else self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __contains__(self, value: object) -> bool:
        return self.code(value) >= 0

    def __eq__(self, other: object) -> bool:
        """Same ids, of the same type, in the same order."""
        if not isinstance(other, IdMap):
            return NotImplemented
        return self is other or (self.dtype == other.dtype and self.values.equals(other.values))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        first = self.decode(range(min(3, len(self))))
        shown = ", ".join(repr(v) for v in first)
        return f"<IdMap: {len(self):,} {self.kind} ids ({self.text}): {shown}{', ...' if len(self) > 3 else ''}>"

    @property
    def text(self) -> str:
        """The type of the ids in words: "numbers", "text", "dates" or the polars type."""
        return type_in_words(self.dtype)

    def code(self, value: object) -> int:
        """Return the code of one id, or -1."""
        if self._lookup is not None and type(value) is self._plain:  # as most are
            return self._lookup.get(value, -1)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool) or not len(self):
            return -1
        if type(value) is int and self.dtype in _INTEGERS:  # as most are
            return self._searched(value)
        if self.dtype == pl.String:
            text = value if isinstance(value, str) else as_text(value)
            return self._text_code(text) if isinstance(text, str) else -1
        if isinstance(value, (int, float)) and not isinstance(value, int if self.dtype.is_integer() else (int, float)):
            return -1
        if self.dtype.is_numeric() and not isinstance(value, (int, float)):
            return -1
        return self._searched(value)

    def _text_code(self, value: str) -> int:
        if self._packed is not None and self._values is None and len(self) > _SMALL:
            try:
                return self._packed.place(value, self.order)
            except (ValueError, IndexError):
                raise DataError(self._damaged()) from None
        return self._searched(value)

    def _searched(self, value: Any) -> int:
        if len(self) <= _SMALL:
            if self._lookup is None:
                self._lookup = {v: i for i, v in enumerate(self.values.to_list())}
                self._plain = int if self.dtype in _INTEGERS else str if self.dtype == pl.String else None
            try:
                return self._lookup.get(value, -1)
            except TypeError:  # not hashable, so it cannot be an id
                return -1
        values, order = self.values, self.order
        try:
            if order is None:
                at = bisect_left(values, value)
                return at if at < len(values) and values[at] == value else -1
            at = bisect_left(order, value, key=lambda code: values[int(code)])
            return int(order[at]) if at < len(values) and values[int(order[at])] == value else -1
        except TypeError:  # of another type than the ids
            return -1

    def _damaged(self) -> str:
        return f"the {self.kind} ids of the saved model are damaged; save the model again"

    def parse(self, text: str) -> Any:
        """Convert the text that a person typed to the type of the ids, or return the text if that is not possible."""
        if self.dtype.is_integer() and re.fullmatch(r"[+-]?[0-9]{1,20}", text.strip()):
            return int(text)
        return text

    def index(self, value: object) -> int:
        """Return the code of one id. Raises UnknownIdError, with suggestions, if it is unknown."""
        code = self.code(value)
        if code < 0:
            raise UnknownIdError(self.unknown(value))
        return code

    def unknown(self, value: object) -> str:
        """Return a sentence saying that this id is unknown, with suggestions."""
        if isinstance(value, np.generic):
            value = value.item()
        mine = self.text
        theirs = (
            "text"
            if isinstance(value, str)
            else "a number"
            if isinstance(value, (int, float))
            else f"a {type(value).__name__}"
        )
        other: object = None
        if isinstance(value, str) and self.dtype.is_integer():
            try:
                other = int(value)
            except ValueError:
                return (
                    f"unknown {self.kind} {value!r}: it is text, but {self.kind} ids are numbers here{self._range()}."
                )
        elif isinstance(value, float) and value.is_integer() and self.dtype.is_integer():
            other = int(value)
            theirs = "a decimal number"
            mine = "whole numbers"
        elif mine == "text" and not isinstance(value, str):
            other = str(int(value)) if isinstance(value, float) and value.is_integer() else f"{value!r}"
        if other is not None and self.code(other) >= 0:
            return (
                f"unknown {self.kind} {value!r}: it is {theirs}, but {self.kind} ids are {mine} here; write {other!r}."
            )
        hint = did_you_mean(value, self.head(100_000)) if mine == "text" else ""
        if hint:
            return f"unknown {self.kind} {value!r}.{hint}"
        if mine == "text" or (
            isinstance(value, (int, float)) and len(self) and self.values[0] <= value <= self.values[-1]
        ):
            return (
                f"unknown {self.kind} {value!r}: it is not among the {len(self):,} {self.kind}s of the training rows."
            )
        return f"unknown {self.kind} {value!r}; {self.kind} ids are {mine} here{self._range()}."

    def encode(self, values: Sequence[Any] | pl.Series | Array, *, strict: bool = False) -> Array:
        """Return int32 codes of many ids, -1 for unknown ones (``strict``: raise UnknownIdError for the first of them).

        An id of another type than the map's (``"1"`` for ``1``) is unknown. Raises DataError if the list mixes types.
        """
        series = as_series(values, self.kind)
        mine = self.dtype
        if mine == pl.String == series.dtype and len(series) <= _FEW and len(self) > 8 * _FEW:
            codes = np.array([-1 if v is None else self._text_code(v) for v in series], dtype=np.int32)
            if strict and len(codes) and codes.min() < 0:
                raise UnknownIdError(self.unknown(series[int(np.argmin(codes))]))
            return codes
        if series.dtype == mine and mine.is_integer():
            codes = self._encode_integers(series)
        elif series.dtype.is_integer() and mine.is_integer():
            codes = self._encode_integers(series.cast(pl.Int64, strict=False))
        elif series.dtype.is_float() and mine.is_integer():  # integers that became floats because of a missing value
            whole = series.cast(pl.Int64, strict=False)
            codes = self._encode_integers(
                pl.select(pl.when(whole.cast(series.dtype) == series).then(whole)).to_series()
            )
        elif series.dtype == mine or (series.dtype.is_temporal() and mine.is_temporal()):
            codes = self._encode_any(series.cast(mine, strict=False))
        else:
            codes = np.full(len(series), -1, dtype=np.int32)
        if strict and len(codes) and codes.min() < 0:
            raise UnknownIdError(self.unknown(series[int(np.argmin(codes))]))
        return codes

    def decode(self, codes: Array | Sequence[int]) -> pl.Series:
        """Return the ids at these codes, null for -1."""
        codes = np.asarray(codes, dtype=np.int64)
        known = codes >= 0
        if self._values is None and self._packed is not None and len(codes) <= _FEW:
            try:
                found = [self._packed[code] if code >= 0 else None for code in codes.tolist()]
            except ValueError:
                raise DataError(self._damaged()) from None
            return pl.Series(self.kind, found, dtype=pl.String)
        if known.all():
            if self.dtype.is_integer() and len(codes) <= _FEW:  # ten times faster by way of numpy
                return pl.Series(self.values.name, self.values.to_numpy()[codes], dtype=self.dtype)
            return self.values.gather(codes)
        return self.values.gather(pl.Series(codes).set(pl.Series(~known), None).cast(pl.UInt32))

    def listed(self, codes: Array) -> list[Any]:
        """Return the ids at these codes as Python objects. None of the codes may be -1."""
        if self.dtype.is_integer() and len(codes) <= _FEW:
            found: list[Any] = self.values.to_numpy()[codes].tolist()
            return found
        return self.decode(codes).to_list()

    def to_series(self) -> pl.Series:
        """Return the ids in code order as a series named after the kind. ``IdMap(series, kind)`` restores the map."""
        return self.values

    def _range(self) -> str:
        if not len(self) or not self.dtype.is_numeric():
            return ""
        return f" (from {self.values.min()!r} to {self.values.max()!r})"

    def _encode_integers(self, series: pl.Series) -> Array:
        if not len(self) or not len(series):
            return np.full(len(series), -1, dtype=np.int32)
        gaps = series.null_count() > 0
        if pl.UInt64 in (series.dtype, self.dtype):
            return self._encode_any(series.cast(self.dtype, strict=False))
        asked = as_int64(series.fill_null(0) if gaps else series)
        if self._table is None:
            self._table = _integer_table(as_int64(self.values))
        lowest, table = self._table
        if len(table):
            codes = np.empty(len(asked), dtype=np.int32)
            group_kernels().look_up(asked, lowest, table, codes)
        else:
            mine = as_int64(self.values)
            order = np.argsort(mine, kind="stable")
            at = np.minimum(np.searchsorted(mine, asked, sorter=order), len(mine) - 1)
            codes = np.where(mine[order[at]] == asked, order[at], -1).astype(np.int32)
        if gaps:
            codes[series.is_null().to_numpy()] = -1
        return codes

    def _encode_any(self, series: pl.Series) -> Array:
        known = pl.DataFrame({"id": self.values, "code": np.arange(len(self), dtype=np.int32)})
        joined = series.alias("id").to_frame().join(known, on="id", how="left", maintain_order="left")
        return joined["code"].fill_null(-1).to_numpy().astype(np.int32, copy=False)


def _integer_table(values: Array) -> tuple[int, Array]:
    """Return a direct table code[id - lowest] of int32, or an empty one if the ids are too far apart."""
    lowest, highest = int(values.min()), int(values.max())
    if highest - lowest >= min(TABLE_LIMIT, 64 * len(values) + 1024):
        return lowest, np.empty(0, dtype=np.int32)
    table = np.full(highest - lowest + 1, -1, dtype=np.int32)
    table[values - lowest] = np.arange(len(values), dtype=np.int32)
    return lowest, table


def _ascends(values: pl.Series) -> bool:
    """Return whether each id is above the one before. If so, none occurs twice, and no hashing was needed."""
    return bool(values.is_sorted() and (values[1:] > values[:-1]).all())
