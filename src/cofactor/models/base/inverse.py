"""Invert a positive definite matrix in its own memory: in tiles, on all threads, bit for bit like on one thread.

With ``A = U'U`` for an upper triangle ``U``, ``V = U^-1`` and ``A^-1 = V V'``. Every tile is a product of fixed sizes
by one BLAS thread, so the bits depend neither on the number of threads nor on which thread takes which tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
from numba import config
from numpy.typing import NDArray

from cofactor._blas import one_thread

Array = NDArray[Any]
Share = Callable[[Callable[[int], None], Iterable[int]], None]

TILE = 256


def inverse_in_place(matrix: Array, tile: int = TILE) -> bool:
    """Put the inverse of ``matrix``, float32 (n, n), into its upper half. Returns False if it is not positive definite.

    Only the upper half is read. The values below the diagonal are meaningless afterwards.
    """
    from scipy.linalg import lapack

    with one_thread():  # after the import, because SciPy brings its own BLAS
        return _inverted(matrix, tile, lapack)


def _inverted(matrix: Array, tile: int, lapack: Any) -> bool:
    n = len(matrix)
    starts = list(range(0, n, tile))
    for k in starts:  # the values below the diagonal may be anything, even infinite
        matrix[k : k + tile, k : k + tile] = np.triu(matrix[k : k + tile, k : k + tile])
    threads = int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    pool = ThreadPoolExecutor(threads) if threads > 1 and len(starts) > 1 else None
    with pool or nullcontext():

        def share(work: Callable[[int], None], parts: Iterable[int]) -> None:
            """Call ``work`` for all parts, on all threads."""
            for _ in (pool.map if pool else map)(work, parts):
                pass

        corners: list[Array] = []
        for k in starts:
            if not _triangle(matrix, k, tile, starts, corners, share, lapack):
                return False
        for first in range(0, len(starts), threads):
            _invert_rows(matrix, tile, starts, corners, range(first, min(first + threads, len(starts))), share)
        for k in starts:
            _times_own_transpose(matrix, k, tile, starts, share)
    return True


@one_thread()
def _triangle(
    matrix: Array, k: int, tile: int, starts: list[int], corners: list[Array], share: Share, lapack: Any
) -> bool:
    """Turn the tiles of row ``k`` into those of ``U``. The inverse of the diagonal tile is put into ``corners``."""
    mine = slice(k, k + tile)

    @one_thread()
    def subtract(j: int) -> None:
        matrix[mine, j : j + tile] -= matrix[:k, mine].T @ matrix[:k, j : j + tile]

    if k:
        share(subtract, [j for j in starts if j >= k])
    factor, fault = lapack.spotrf(matrix[mine, mine], lower=0, clean=1)
    if not fault:
        corner, fault = lapack.strtri(factor, lower=0)
    if fault:
        return False
    matrix[mine, mine] = factor
    corners.append(np.ascontiguousarray(corner))

    @one_thread()
    def scale(j: int) -> None:
        matrix[mine, j : j + tile] = corners[-1].T @ matrix[mine, j : j + tile]

    share(scale, [j for j in starts if j > k])
    return True


def _invert_rows(matrix: Array, tile: int, starts: list[int], corners: list[Array], rows: range, share: Share) -> None:
    """Turn some rows of tiles of ``U`` into those of ``V``. A row needs the rows of ``U`` below it, so these rows are
    written when all of them are computed."""
    found: dict[int, Array] = {}

    @one_thread()
    def invert(at: int) -> None:
        k = starts[at]
        out = np.zeros((min(tile, len(matrix) - k), len(matrix) - k), dtype=np.float32)
        out[:, : len(corners[at])] = corners[at]
        for j in range(at + 1, len(starts)):
            left, mine = starts[j] - k, slice(starts[j], starts[j] + tile)
            known = out[:, :left] @ matrix[k : starts[j], mine]
            out[:, left : left + tile] = -(known @ corners[j])
        found[at] = out

    share(invert, rows)
    for at in rows:
        k = starts[at]
        matrix[k : k + tile, k:] = found[at]


def _times_own_transpose(matrix: Array, k: int, tile: int, starts: list[int], share: Share) -> None:
    """Turn row ``k`` of the tiles of ``V`` into that of ``V V'``, which needs no row above it."""
    mine = matrix[k : k + tile].copy()

    @one_thread()
    def multiply(j: int) -> None:
        matrix[k : k + tile, j : j + tile] = mine[:, j:] @ (mine if j == k else matrix[j : j + tile])[:, j:].T

    share(multiply, [j for j in starts if j >= k])
