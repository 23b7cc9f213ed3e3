"""Many texts as two arrays: the offset at which each begins, and the UTF-8 bytes of all. They can lie in a mapped file.

A text is found by binary search, which reads some twenty texts of millions and makes no Python objects of the others.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.arrays import text_kernels

Array = NDArray[Any]

_PART = 1 << 17
_FEW = 50_000
"""Up to this many texts are decoded one by one, without threads of polars: a process forked later can then
still start its own."""


class PackedText(Sequence[str]):
    """Packed texts. ``offsets`` (n + 1,): whole numbers from 0, not descending; ``data`` uint8: the bytes of all
    texts."""

    __slots__ = ("data", "offsets")

    def __init__(self, offsets: Array, data: Array) -> None:
        self.offsets, self.data = offsets, data

    @classmethod
    def of(cls, texts: pl.Series) -> PackedText:
        """Pack the texts of a column without nulls. Offsets have 32 bits if these are enough."""
        lengths = texts.str.len_bytes().to_numpy()
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        data = np.empty(int(offsets[-1]), dtype=np.uint8)
        for lo in range(0, len(texts), _PART):
            some = "".join(texts[lo : lo + _PART].to_list()).encode()
            data[offsets[lo] : offsets[lo] + len(some)] = np.frombuffer(some, dtype=np.uint8)
        return cls(offsets.astype(np.uint32) if offsets[-1] < 1 << 32 else offsets, data)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, at: Any) -> Any:
        """Return one text. Raises ValueError (UnicodeDecodeError is one) if the arrays are invalid there."""
        at = operator.index(at)
        if not 0 <= at < len(self):
            raise IndexError(at)
        lo, hi = int(self.offsets[at]), int(self.offsets[at + 1])
        if not 0 <= lo <= hi <= len(self.data):
            raise ValueError("a text lies outside the bytes")
        return self.data[lo:hi].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        for lo in range(0, len(self), _PART):
            yield from self._some(lo, min(lo + _PART, len(self)))

    def place(self, text: str, order: Array | None = None) -> int:
        """Return the position of a text among distinct ascending texts (in ``order``, if given), or -1."""
        if order is None:
            at = bisect_left(self, text)
            return at if at < len(self) and self[at] == text else -1
        at = bisect_left(order, text, key=self.__getitem__)
        return int(order[at]) if at < len(self) and self[int(order[at])] == text else -1

    def check(self, order: Array | None = None, done: Callable[[], object] = lambda: None) -> None:
        """Raise ValueError unless all texts are valid, lie in the bytes and ascend (in ``order``, if given, which names
        each once).

        It takes one pass, or two. ``done`` is called now and then, so that the memory of checked parts can be freed.
        """
        n = len(self)
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.data) or (order is not None and len(order) != n):
            raise ValueError("the offsets do not span the bytes")
        for lo in range(0, n, _PART):
            hi = min(lo + _PART, n)
            cuts = self._checked(max(lo - 1, 0), hi)  # with the last text of the previous part
            some = self.data[cuts[0] : cuts[-1]]
            if len(some) and some.max() > 127:
                begins = some[(cuts[:-1] - cuts[0])[np.diff(cuts) > 0]]
                if (begins & 0xC0 == 0x80).any():
                    raise ValueError("a text lies outside the bytes, or begins within a letter")
                some.tobytes().decode()
            if order is None and not _ascend(some, cuts - cuts[0]):
                raise ValueError("the texts do not ascend")
            done()
        for lo in range(0, 0 if order is None else n, _PART):
            if text_kernels().first_not_above(self.offsets, self.data, order, lo, min(lo + _PART, n)) >= 0:
                raise ValueError("the texts do not ascend")
        done()

    def head(self, n: int) -> PackedText:
        """Return the first ``n`` texts."""
        return PackedText(self.offsets[: min(n, len(self)) + 1], self.data)

    def gather(self, positions: Array) -> pl.Series:
        """Return the texts at these positions."""
        return pl.Series([self[at] for at in positions.tolist()], dtype=pl.String)

    def to_series(self) -> pl.Series:
        """Return all texts as a column. Raises ValueError if the arrays are invalid."""
        if len(self) <= _FEW:
            return pl.Series(self._some(0, len(self)), dtype=pl.String)
        parts = []
        for lo in range(0, len(self), _PART):
            offsets = self._checked(lo, min(lo + _PART, len(self)))
            raw = pl.lit(self.data[offsets[0] : offsets[-1]].tobytes())
            frame = pl.DataFrame({"at": offsets[:-1] - offsets[0], "size": np.diff(offsets)})
            try:
                parts.append(frame.select(raw.bin.slice(pl.col("at"), pl.col("size")).cast(pl.String)).to_series())
            except pl.exceptions.PolarsError:
                raise ValueError("some bytes are not text in UTF-8") from None
        return pl.concat(parts).rename("")

    def _checked(self, lo: int, hi: int) -> Array:
        """Return the offsets of a part, as int64. Raises ValueError if they descend or lead outside."""
        offsets = self.offsets[lo : hi + 1].astype(np.int64)
        if offsets[0] < 0 or offsets[-1] > len(self.data) or (np.diff(offsets) < 0).any():
            raise ValueError("a text lies outside the bytes")
        return offsets

    def _some(self, lo: int, hi: int) -> list[str]:
        offsets = self._checked(lo, hi)
        raw = self.data[offsets[0] : offsets[-1]].tobytes()
        cuts = (offsets - offsets[0]).tolist()
        if raw.isascii():  # letters are bytes here, so the text is decoded once and sliced
            text = raw.decode()
            return [text[a:b] for a, b in pairwise(cuts)]
        return [raw[a:b].decode() for a, b in pairwise(cuts)]


_WORD = 8
_KEEP = np.array([(1 << 64) - (1 << 8 * (_WORD - n)) for n in range(_WORD + 1)], dtype=np.uint64)
"""Masks of eight bytes: the bytes that belong to a text with that many bytes left."""


def _ascend(data: Array, cuts: Array) -> bool:
    """Return whether each text is above the one before, byte by byte; in UTF-8 that is the order of the letters.

    ``cuts`` int64 (n + 1,): where the texts begin in ``data``, and the end. NumPy alone is used: opening a saved model
    must not load numba.
    """
    padded = np.zeros(len(data) + _WORD, dtype=np.uint8)
    padded[: len(data)] = data
    words = np.ndarray(len(data) + 1, dtype=">u8", buffer=padded, strides=(1,))  # the eight bytes from each position on
    starts, sizes = cuts[:-1], np.diff(cuts)
    pairs, at = np.arange(len(sizes) - 1), 0
    while len(pairs):
        if 2 * len(pairs) > len(sizes):  # each text is in two pairs
            some = _words(words, starts, sizes, at)
            left, right = (some[:-1], some[1:]) if len(pairs) == len(sizes) - 1 else (some[pairs], some[pairs + 1])
        else:
            left, right = (_words(words, starts[k], sizes[k], at) for k in (pairs, pairs + 1))
        if (left > right).any():
            return False
        pairs, at = pairs[left == right], at + _WORD
        ended = np.maximum(sizes[pairs], sizes[pairs + 1]) <= at
        if (sizes[pairs[ended]] >= sizes[pairs[ended] + 1]).any():
            return False
        pairs = pairs[~ended]
    return True


def _words(words: Array, starts: Array, sizes: Array, at: int) -> Array:
    """Return uint64 words: eight bytes of each text from ``at`` on, with zeros after its end."""
    left = np.clip(sizes - at, 0, _WORD)
    found: Array = words[starts + np.minimum(at, sizes)].astype(np.uint64) & _KEEP[left]
    return found
