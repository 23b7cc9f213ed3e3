"""Checks of many texts that are stored end to end in one array of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def first_not_above(offsets: Array, data: Array, order: Array, lo: int, hi: int) -> int:
    """Return the first position from ``lo`` on and below ``hi`` whose text is not above that of the position before; -1
    if there is none.

    ``order`` uint32 (n,): the text at each position (none: in storage order). Texts are compared byte by byte, which in
    UTF-8 is the order of the letters. All texts must lie in ``data``.
    """
    n = len(offsets) - 1
    for at in range(lo, hi):
        code = np.int64(order[at]) if len(order) else np.int64(at)
        if code >= n:
            return at
        if at == 0:
            continue
        last = np.int64(order[at - 1]) if len(order) else np.int64(at - 1)
        a, a_end = np.int64(offsets[last]), np.int64(offsets[last + 1])
        b, b_end = np.int64(offsets[code]), np.int64(offsets[code + 1])
        while a < a_end and b < b_end and data[a] == data[b]:
            a += 1
            b += 1
        if b >= b_end or (a < a_end and data[a] > data[b]):
            return at
    return -1
