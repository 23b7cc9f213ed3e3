"""Find out whether a delimited text has a field such as ``0110912`` or ``+4930``, which is an id, not a number."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cofactor.data.arrays import group_kernels

MARKED = r"^\s*(\+|[+-]?0\d)"
"""Ids of digits that must stay text: as numbers they would lose a zero or a sign, and coincide with others."""
BLOCK = 1 << 18
"""Size of a block in bytes: small enough to stay in cache."""


def in_text(text: bytes, sep: int, quote: int) -> bool:
    """Return whether a text in memory has such a field. ``sep`` and ``quote`` are bytes."""
    return _marked(text[:2]) or _within(np.frombuffer(text, np.uint8), sep, quote)


def in_file(path: Path, sep: int, quote: int) -> bool:
    """Return whether a file has such a field. Two threads read one half each, and at most one block of each is in
    memory."""

    def within(low: int, high: int) -> bool:
        block = np.empty(BLOCK, dtype=np.uint8)
        with path.open("rb") as file:
            for at in range(low, high, BLOCK - 2):  # a block begins with the last two bytes of the one before
                file.seek(at)
                read = file.readinto(block.data)
                if (at == 0 and _marked(block[:read][:2].tobytes())) or _within(block[:read], sep, quote):
                    return True
        return False

    size = path.stat().st_size
    half = size // 2
    with ThreadPoolExecutor(2) as pool:
        return any(pool.map(within, (0, half), (half, size)))


def _within(text: NDArray[np.uint8], sep: int, quote: int) -> bool:
    return bool(group_kernels().has_zero_or_plus_first(text, sep, quote))


def _marked(start: bytes) -> bool:
    return start[:1] in (b"0", b"+") and start[1:2].isdigit()
