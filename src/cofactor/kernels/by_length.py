"""Find the items of the largest dot products with a query without examining all of them, and without missing any.

Items are sorted by descending length, in a basis whose first columns hold most of their content. No product exceeds the
product of the two lengths (Cauchy and Schwarz), so the search ends when that falls below the worst item held. An item
is dropped as soon as the product of its first columns plus the lengths of the rest falls below it (as in LEMP,
Teflioudi et al. 2015, and FEXIPRO, Li et al. 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.topk import sink

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def contains(codes: Array, lo: int, hi: int, code: int) -> bool:
    """Return whether ``code`` is among the ascending ``codes[lo:hi]``."""
    end = hi
    while lo < hi:
        middle = (lo + hi) // 2
        if codes[middle] < code:
            lo = middle + 1
        else:
            hi = middle
    return bool(lo < end and codes[lo] == code)


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def product(left: Array, right: Array) -> Any:
    """Return the dot product, summed in the machine's order."""
    total = np.float32(0.0)
    for c in range(len(left)):
        total += left[c] * right[c]
    return total


@njit(cache=True, nogil=True)
def row_lengths(first: int, last: int, table: Array, out: Array) -> None:
    """Set ``out[r]``, for r from ``first`` to ``last``, to the length of ``table[r]``; both float32, summed in
    float64."""
    for r in range(first, last):
        total = 0.0
        for c in range(table.shape[1]):
            total += np.float64(table[r, c]) * np.float64(table[r, c])
        out[r] = np.sqrt(total)


@njit(cache=True, nogil=True)
def search_rows(
    first: int,
    last: int,
    queries: Array,
    heads: Array,
    rests: Array,
    lengths: Array,
    rest_lengths: Array,
    codes: Array,
    indptr: Array,
    seen: Array,
    keep: Array,
    error: float,
    found: Array,
    values: Array,
    looked: Array,
) -> None:
    """Find the ``found.shape[1]`` items of the largest products with each of the queries ``first`` to ``last``, in no
    order.

    ``queries`` (n, d), ``heads`` (m, h), ``rests`` (m, d - h), ``lengths`` (m,), ``rest_lengths`` (m,): float32, items
    by descending length; ``codes`` int32 (m,): their codes. ``seen[indptr[r]:indptr[r + 1]]``, ascending codes, are
    left out, and so are those where ``keep`` (bool; empty: none) is False. ``error``: of a product, in units of the
    product of both lengths. ``found`` int32 gets codes (-1: no more), ``values`` float32 the products, the smallest
    first; ``looked`` int64 (n, 2) the numbers of items examined: by their first columns, and completely.
    """
    width = heads.shape[1]
    n = found.shape[1]
    for r in range(first, last):
        query, v, c = queries[r], values[r], found[r]
        head, rest = query[:width], query[width:]
        rest_length = np.sqrt(product(rest, rest))
        length = np.sqrt(product(query, query))
        v[:] = -np.inf
        c[:] = -1
        worst, some, more = v[0], 0, 0
        for i in range(len(codes)):
            most = lengths[i] * length
            slack = np.float32(error) * most
            if most + slack < worst:
                break
            some += 1
            value = product(head, heads[i])
            if value + rest_lengths[i] * rest_length + slack < worst:
                continue
            more += 1
            value += product(rest, rests[i])
            if value <= worst:
                continue
            code = codes[i]
            if (len(keep) and not keep[code]) or contains(seen, indptr[r], indptr[r + 1], code):
                continue
            sink(v, c, n, value, code)
            worst = v[0]
        looked[r, 0], looked[r, 1] = some, more
