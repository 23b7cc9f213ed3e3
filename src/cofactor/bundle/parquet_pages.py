"""The pages of a Parquet file, looked through before polars is trusted with it.

A page says how many values it holds, and its levels (which say where a value is missing) come in runs that each say
how long they are. A forged run of 2^60 entries makes polars ask for as much memory, which ends the whole process. So
all runs are added up here; bytes and values of a file's pages have to come to what its footer says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Struct = Callable[[int, int], Any]
"""Reads a Thrift struct from a position, at a depth: (dict by field number, end)."""

_PACKED, _V1, _DICTIONARY, _V2 = 3, 5, 7, 8
_VALUES, _LEVEL_BYTES, _REPEAT_BYTES = 1, 5, 6
_REPETITION, _CHILDREN = 3, 5


class BadPage(Exception):
    """What is wrong with a page, in words."""


def levels(schema: list[dict[int, Any]]) -> list[tuple[int, int]]:
    """(deepest repetition, deepest definition) of each column, from the flat tree of a footer's schema."""
    found: list[tuple[int, int]] = []
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
            found.append((repeats, defines))
        while left and left[-1][0] <= 0:
            left.pop()
    return found


def check_chunk(data: bytes, start: int, end: int, values: int, depths: tuple[int, int], struct: Struct) -> None:
    """BadPage unless the pages at ``start:end`` hold ``values`` values between them, in levels of as many entries."""
    held = 0
    while start < end:
        header, body = struct(start, 0)
        stop = body + header[_PACKED]
        if not body <= stop <= end:
            raise BadPage("a page lies outside its column")
        start = stop
        if _DICTIONARY in header:
            if not 0 <= header[_DICTIONARY][_VALUES] <= 32 * (stop - body) + 1:
                raise BadPage("a dictionary claims more values than it can hold")
            continue
        page = header.get(_V1) or header[_V2]
        count = page[_VALUES]
        held += count
        if count < 0 or held > values:
            raise BadPage("its pages claim more values than their column")
        at = body
        for depth, size_at in zip(depths, (_REPEAT_BYTES, _LEVEL_BYTES)):
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
    if held != values:
        raise BadPage("its pages do not add up to their column")


def _runs(data: bytes, at: int, end: int, count: int, width: int) -> None:
    """BadPage unless the runs at ``at:end`` come to ``count`` entries (packed ones to the next multiple of eight)."""
    found = 0
    while at < end and found < count:
        head = shift = 0
        while True:
            byte = data[at]
            at += 1
            head |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 63 or at >= end:
                raise BadPage("a run of levels has no end")
        packed = head & 1
        found += (head >> 1) * (8 if packed else 1)
        at += (head >> 1) * width if packed else 1
        if found > count + 7 or at > end:
            raise BadPage("a run of levels is longer than its page")
    if found < count:
        raise BadPage("the levels of a page are too few")
