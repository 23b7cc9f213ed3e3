"""The pages of a Parquet file, checked before polars reads the file.

A page states the number of its values. Its levels, which mark missing values, come in runs that each state their
length. A forged run of 2^60 entries would make polars request that much memory, which kills the process. So this module
sums up all runs; the bytes and values of the pages must match the footer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Struct = Callable[[int, int], Any]
"""Reads a Thrift struct at a position and a depth, and returns (dict by field number, end)."""

_PACKED, _V1, _DICTIONARY, _V2 = 3, 5, 7, 8
_VALUES, _LEVEL_BYTES, _REPEAT_BYTES = 1, 5, 6
_V1_ENCODING, _V2_ENCODING = 2, 4
_BY_DICTIONARY = (2, 8)
_ENCODINGS = (0, 2, 3, 5, 6, 8)
"""Allowed encodings: plain, dictionary, runs, deltas of numbers, lengths of texts. Texts with shared prefixes could
expand."""
_TEXT, _FIXED = 6, 7
_TYPE, _TYPE_LENGTH = 1, 2
_WORTH = 1 << 16
_REPETITION, _CHILDREN = 3, 5


class BadPage(Exception):
    """A page is invalid; the message says why."""


class Leaf(NamedTuple):
    """A column: its maximal repetition and definition levels, its physical type, and the length of fixed-length
    values."""

    repeats: int
    defines: int
    kind: int
    length: int


def levels(schema: list[dict[int, Any]]) -> list[Leaf]:
    """Return the columns of a footer's schema, which is a flattened tree."""
    found: list[Leaf] = []
    left: list[list[int]] = []  # of each open group: children still to come, its two depths
    for at, element in enumerate(schema):
        children, how = element.get(_CHILDREN) or 0, element.get(_REPETITION, 0)
        repeats, defines = (left[-1][1], left[-1][2]) if left else (0, 0)
        if at:
            if not left:
                raise BadPage("its schema is not a tree")
            repeats, defines = repeats + (how == 2), defines + (how in (1, 2))
            left[-1][0] -= 1
        if children > 0 or not at:
            left.append([children, repeats, defines])
        else:
            found.append(Leaf(repeats, defines, element.get(_TYPE, _TEXT), element.get(_TYPE_LENGTH) or 0))
        while left and left[-1][0] <= 0:
            left.pop()
    return found


def check_chunk(data: bytes, start: int, end: int, values: int, leaf: Leaf, struct: Struct) -> int:
    """Raise BadPage unless the pages at ``start:end`` hold ``values`` values in all, with levels of as many entries.

    Return the bytes that the values take in memory: a page may refer to a long text of a dictionary many times.
    """
    held = unfolded = 0
    lengths = np.zeros(0, dtype=np.int64)
    while start < end:
        header, body = struct(start, 0)
        stop = body + header[_PACKED]
        if not body <= stop <= end:
            raise BadPage("a page lies outside its column")
        start = stop
        if _DICTIONARY in header:
            if not 0 <= header[_DICTIONARY][_VALUES] <= 32 * (stop - body) + 1:
                raise BadPage("a dictionary claims more values than it can hold")
            lengths = _lengths(data, body, stop, header[_DICTIONARY][_VALUES], leaf)
            continue
        page = header.get(_V1) or header[_V2]
        count = page[_VALUES]
        held += count
        if count < 0 or held > values:
            raise BadPage("its pages claim more values than their column")
        encoding = page[_V1_ENCODING if page is header.get(_V1) else _V2_ENCODING]
        if encoding not in _ENCODINGS:
            raise BadPage("its values are encoded in a way that a saved model's are not")
        unfolded += 16 * count
        at = body
        for depth, size_at in zip(leaf[:2], (_REPEAT_BYTES, _LEVEL_BYTES)):
            if _V2 in header:
                size = page[size_at]
            elif depth:
                size, at = int.from_bytes(data[at : at + 4], "little"), at + 4
            else:
                continue
            if not at <= at + size <= stop:
                raise BadPage("the levels of a page lie outside it")
            if depth:
                _runs(data, at, at + size, count, depth.bit_length())
            at += size
        if encoding in _BY_DICTIONARY and leaf.kind in (_TEXT, _FIXED):
            unfolded += _named(data, at, stop, count, lengths)
        elif leaf.kind in (_TEXT, _FIXED):
            unfolded += stop - at
    if held != values:
        raise BadPage("its pages do not add up to their column")
    return unfolded


def _lengths(data: bytes, at: int, end: int, count: int, leaf: Leaf) -> Array:
    """Return the length of each text in a dictionary, int64 (count,); BadPage where they exceed it."""
    if leaf.kind != _TEXT:
        return np.full(count, leaf.length if leaf.kind == _FIXED else 8, dtype=np.int64)
    found = np.zeros(count, dtype=np.int64)
    for n in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        at += 4 + size
        if at > end:
            raise BadPage("a text of a dictionary lies outside it")
        found[n] = size
    return found


def _named(data: bytes, at: int, end: int, count: int, lengths: Array) -> int:
    """Return the total length of the texts that a page refers to by their places in a dictionary."""
    if at >= end:
        return 0
    width, at = data[at], at + 1
    if width > 32:
        raise BadPage("its places in a dictionary are too wide")
    total = found = 0
    longest = int(lengths.max(initial=0))
    while at < end and found < count:
        head, at = _varint(data, at, end)
        many = (head >> 1) * (8 if head & 1 else 1)
        if many > count - found + 7:
            raise BadPage("a run of places in a dictionary is longer than its page")
        if head & 1:
            stop = at + (head >> 1) * width
            if stop > end:
                raise BadPage("a run of places in a dictionary lies outside its page")
            if longest * many > _WORTH:  # worth a closer look
                bits = np.unpackbits(np.frombuffer(data, np.uint8, stop - at, at), bitorder="little")
                places = (bits.reshape(-1, max(width, 1)).astype(np.int64) << np.arange(max(width, 1))).sum(axis=1)
                total += int(lengths[places[places < len(lengths)]].sum()) if width else longest * many
            else:
                total += longest * many
            at = stop
        else:
            size = (width + 7) // 8
            place = int.from_bytes(data[at : at + size], "little")
            total += many * (int(lengths[place]) if place < len(lengths) else 0)
            at += size
        found += many
    return total


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a variable-length number and its end."""
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return found, at
        if shift > 63 or at >= end:
            raise BadPage("a run of levels has no end")


def _runs(data: bytes, at: int, end: int, count: int, width: int) -> None:
    """Raise BadPage unless the runs at ``at:end`` have ``count`` entries (packed ones up to the next multiple of
    eight)."""
    found = 0
    while at < end and found < count:
        head, at = _varint(data, at, end)
        packed = head & 1
        found += (head >> 1) * (8 if packed else 1)
        at += (head >> 1) * width if packed else 1
        if found > count + 7 or at > end:
            raise BadPage("a run of levels is longer than its page")
    if found < count:
        raise BadPage("the levels of a page are too few")
