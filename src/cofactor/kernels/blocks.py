"""Divide the rows of a sparse matrix into blocks of about equal work, each run by one thread.

The kernels that are called release the GIL and write only their own rows, so the result does not depend on the number
of threads or on which thread takes which block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numba import config
from numpy.typing import NDArray

Array = NDArray[Any]


_here = threading.local()


def in_one_thread() -> None:
    """Let the calling thread share its work with no other thread from now on. This is for a server with many such
    threads, which all have enough to do. The results are the same."""
    _here.alone = True


def over_rows(work: Callable[[int, int], object], indptr: Array, per_row: int = 8, small: int = 20_000) -> None:
    """Call ``work(first, last)`` for blocks that cover all rows, on ``NUMBA_NUM_THREADS`` threads.

    ``per_row`` is the cost of a row besides its entries, in entries. Work of less than ``small`` in all is done in a
    single call, and so is everything in a thread that called :func:`in_one_thread`.
    """
    n_rows = len(indptr) - 1
    threads = 1 if getattr(_here, "alone", False) else int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if threads == 1 or n_rows < 2:
        work(0, n_rows)
        return
    cost = np.asarray(indptr, dtype=np.int64) + per_row * np.arange(n_rows + 1)
    if cost[-1] < small:
        work(0, n_rows)
        return
    shares = np.linspace(0, cost[-1], 8 * threads + 1)
    cuts = np.unique(np.searchsorted(cost, shares))
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, int(lo), int(hi)) for lo, hi in pairwise(cuts)]:
            done.result()
