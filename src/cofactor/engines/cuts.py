"""Compute where the blocks of rows begin, and order the entries of a table by block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.kernels.sums import CHUNK

Array = NDArray[Any]


def cut(n: int, block_rows: int, workers: int) -> list[int]:
    """Return where the blocks begin, and the end: whole chunks, ``block_rows`` at most, several blocks for each
    worker."""
    size = max(1, min(block_rows // CHUNK, -(-n // (4 * workers * CHUNK)))) * CHUNK
    return [*range(0, n, size), n]


def by_block(codes: Array, cuts: list[int]) -> tuple[Array, Array]:
    """Return the positions of the entries ordered by the block of their code (stable), and where each block ends among
    them, preceded by a zero: int64 (blocks + 1,)."""
    blocks = len(cuts) - 1
    small = np.uint16 if blocks <= 1 << 16 else np.uint32  # NumPy sorts 16 bits by counting
    block_of = np.repeat(np.arange(blocks, dtype=small), np.diff(cuts))
    found = block_of[codes]
    ends = np.concatenate([[0], np.cumsum(np.bincount(found, minlength=blocks))])
    return np.argsort(found, kind="stable"), ends


def needed(codes: Array, n: int) -> tuple[Array, Array]:
    """Return the distinct codes among ``n``, ascending, and each entry's position in them; both int32."""
    there = np.zeros(n, dtype=np.bool_)
    there[codes] = True
    found = np.flatnonzero(there).astype(np.int32)
    place = np.empty(n, dtype=np.int32)
    place[found] = np.arange(len(found), dtype=np.int32)
    return found, place[codes]
