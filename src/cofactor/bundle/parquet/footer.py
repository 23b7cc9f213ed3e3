"""The footer of a Parquet file, checked before polars reads the file: Thrift's compact protocol, in Python.

Compressed pages, more values than bytes, columns outside the file, and pages that claim more than they hold
(``pages.py``) are refused. Otherwise a small file could expand to more memory than there is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cofactor.bundle.parquet.pages import BadPage, check_chunk, levels
from cofactor.errors import BundleError

_DEPTH, _ITEMS = 24, 2_000_000
_VALUES_PER_BYTE = 32
_UNFOLDS, _ALLOWANCE = 64, 64 << 20
"""Limit of the size in memory: this multiple of the file's size, plus this many bytes."""
_SCHEMA, _NUM_ROWS, _ROW_GROUPS = 2, 3, 4
_COLUMNS, _GROUP_ROWS = 1, 3
_META = 3
_CODEC, _VALUES, _UNPACKED, _PACKED, _DATA, _DICTIONARY = 4, 5, 6, 7, 9, 11


class _At(NamedTuple):
    value: Any
    end: int


class _Bad(Exception):
    pass


def check(data: bytes, rows: int, what: str) -> None:
    """Raise BundleError unless the footer describes ``rows`` rows in plain pages that this file can hold."""
    try:
        _check(data, rows)
    except (_Bad, BadPage, IndexError, KeyError, TypeError, AttributeError, ValueError) as exc:
        why = str(exc) if isinstance(exc, (_Bad, BadPage)) else "its footer is broken"
        raise BundleError(f"{what} cannot be read: {why}; save the model again") from None


def _check(data: bytes, rows: int) -> None:
    if len(data) < 12 or data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise _Bad("it is not a Parquet file, or cut short")
    length = int.from_bytes(data[-8:-4], "little")
    if length > len(data) - 12:
        raise _Bad("its footer is longer than the file")
    facts = _Reader(data[len(data) - 8 - length : -8]).struct(0, 0).value
    if facts[_NUM_ROWS] != rows:
        raise _Bad(f"it holds {facts[_NUM_ROWS]} rows, not {rows}")
    if rows > len(data):
        raise _Bad(f"it claims {rows:,} rows in {len(data):,} bytes")
    groups, used, total, unfolded = facts.get(_ROW_GROUPS, []), 0, 0, 0
    depths, pages = levels(facts[_SCHEMA]), _Reader(data)
    if sum(group[_GROUP_ROWS] for group in groups) != rows or any(group[_GROUP_ROWS] < 0 for group in groups):
        raise _Bad("its groups do not add up to its rows")
    for group in groups:
        if len(group[_COLUMNS]) != len(depths):
            raise _Bad("its groups have other columns than its schema")
        for column, deep in zip(group[_COLUMNS], depths):
            meta = column[_META]
            if meta[_CODEC] != 0:
                raise _Bad("it is compressed, which a saved model's tables are not")
            packed, values = meta[_PACKED], meta[_VALUES]
            start = min(meta[_DATA], meta.get(_DICTIONARY, meta[_DATA]))
            if not 0 <= packed <= len(data) or start < 0 or start + packed > len(data):
                raise _Bad("a column lies outside the file")
            if not 0 <= meta[_UNPACKED] <= packed or values < 0:
                raise _Bad("a column claims more than the file holds")
            used, total = used + packed, total + values
            unfolded += check_chunk(data, start, start + packed, values, deep, pages.struct)
            if unfolded > _UNFOLDS * len(data) + _ALLOWANCE:
                raise _Bad(f"its {len(data):,} bytes would become more than {unfolded:,}")
    if total > _VALUES_PER_BYTE * len(data) + 1_000_000:
        raise _Bad(f"it claims {total:,} values in {len(data):,} bytes")
    if used > len(data):
        raise _Bad("its columns overlap")


class _Reader:
    """A reader of Thrift's compact protocol: structs as dicts by field number, with limits of depth and of elements."""

    def __init__(self, data: bytes) -> None:
        self.data, self.left = data, _ITEMS

    def varint(self, at: int) -> _At:
        value = shift = 0
        while True:
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return _At(value, at)
            if shift > 63:
                raise _Bad("its footer holds a number that is too long")

    def whole(self, at: int) -> _At:
        value, end = self.varint(at)
        return _At((value >> 1) ^ -(value & 1), end)

    def struct(self, at: int, depth: int) -> _At:
        found: dict[int, Any] = {}
        field = 0
        while True:
            self.count()
            head = self.data[at]
            at += 1
            if head == 0:
                return _At(found, at)
            if head >> 4:
                field += head >> 4
            else:
                field, at = self.whole(at)
            kind = head & 15
            if kind in (1, 2):
                found[field] = kind == 1
            else:
                found[field], at = self.value(kind, at, depth)

    def value(self, kind: int, at: int, depth: int) -> _At:
        self.count()
        if depth > _DEPTH:
            raise _Bad("its footer is nested too deeply")
        if kind in (1, 2, 3):
            return _At(self.data[at], at + 1)
        if kind in (4, 5, 6):
            return self.whole(at)
        if kind == 7:
            return _At(None, at + 8)
        if kind == 8:
            length, at = self.varint(at)
            if at + length > len(self.data):
                raise _Bad("its footer is cut short")
            return _At(self.data[at : at + length], at + length)
        if kind in (9, 10):
            head = self.data[at]
            size, at = (_At(head >> 4, at + 1)) if head >> 4 != 15 else self.varint(at + 1)
            items = []
            for _ in range(size):
                item, at = self.value(head & 15, at, depth + 1)
                items.append(item)
            return _At(items, at)
        if kind == 12:
            return self.struct(at, depth + 1)
        raise _Bad("its footer holds something unknown")

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _Bad("its footer is too long")
