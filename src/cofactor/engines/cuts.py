"""Where the blocks of rows begin, and the entries of a table in order of block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.kernels.sums import CHUNK

Array = NDArray[Any]


def cut(n: int, block_rows: int, workers: int) -> list[int]:
    """Where blocks of rows begin, and the end: whole chunks, ``block_rows`` at most, some blocks for each worker."""
    size = max(1, min(block_rows // CHUNK, -(-n // (4 * workers * CHUNK)))) * CHUNK
    return [*range(0, n, size), n]


def by_block(codes: Array, cuts: list[int]) -> tuple[Array, Array]:
    """The positions of the entries in order of the block of their code, equal ones as they stand; and where each block
    ends among them, after a zero: int64 (blocks + 1,)."""
    blocks = len(cuts) - 1
    small = np.uint16 if blocks <= 1 << 16 else np.uint32  # 16 bits are sorted by counting
    block_of = np.repeat(np.arange(blocks, dtype=small), np.diff(cuts))
    found = block_of[codes]
    ends = np.concatenate([[0], np.cumsum(np.bincount(found, minlength=blocks))])
    return np.argsort(found, kind="stable"), ends


def needed(codes: Array, n: int) -> tuple[Array, Array]:
    """The distinct codes among ``n``, ascending, and the place of each entry's code among them: int32, both."""
    there = np.zeros(n, dtype=np.bool_)
    there[codes] = True
    found = np.flatnonzero(there).astype(np.int32)
    place = np.empty(n, dtype=np.int32)
    place[found] = np.arange(len(found), dtype=np.int32)
    return found, place[codes]
