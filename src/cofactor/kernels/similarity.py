"""Similarity of items by common users: the Gram matrix of the items, each item's nearest others, and products with
histories.

All matrices come as CSR arrays: ``i_*`` has one row per item (over users), ``u_*`` one row per user (items ascend).
Every kernel writes the rows ``first`` to ``last`` of its output and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.largest import edge_of

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def gram_rows(
    first: int,
    last: int,
    i_indptr: Array,
    i_users: Array,
    i_values: Array,
    u_indptr: Array,
    u_items: Array,
    u_values: Array,
    out: Array,
) -> None:
    """Set ``out[i, j]`` for ``j >= i`` to the sum over users of the products of their values for both items."""
    for i in range(first, last):
        row = out[i]
        row[i:] = 0.0
        for at in range(i_indptr[i], i_indptr[i + 1]):
            user, x = i_users[at], i_values[at]
            for other in range(u_indptr[user + 1] - 1, u_indptr[user] - 1, -1):
                j = u_items[other]
                if j < i:
                    break
                row[j] += x * u_values[other]


@njit(cache=True, nogil=True)
def mirror_rows(first: int, last: int, out: Array) -> None:
    """Copy rows ``first`` to ``last`` of the upper half of a square matrix to the lower half, tile by tile."""
    n = len(out)
    for top in range(first, last, 64):
        for left in range(top, n, 64):
            for i in range(top, min(top + 64, last)):
                for j in range(max(left, i + 1), min(left + 64, n)):
                    out[j, i] = out[i, j]


@njit(cache=True, nogil=True)
def nearest_rows(
    first: int,
    last: int,
    i_indptr: Array,
    i_users: Array,
    i_values: Array,
    u_indptr: Array,
    u_items: Array,
    u_values: Array,
    near: Array,
    weight: Array,
    count: Array,
) -> None:
    """Find the items whose product with item ``i`` is largest, except itself: ``near`` int32 and ``weight`` float32 (n,
    k).

    ``count[i]`` of them are found (products above zero only), in ascending order of item; of equal products at the edge
    the lowest codes are taken.
    """
    n = len(near)
    dots = np.zeros((1, n), dtype=np.float32)
    for i in range(first, last):
        dots[:] = 0.0
        add_dots(i, i + 1, i_indptr, i_users, i_values, u_indptr, u_items, u_values, dots)
        dots[0, i] = 0.0
        count[i] = keep_nearest(dots[0], near[i], weight[i])


@njit(cache=True, nogil=True)
def add_dots(
    first: int,
    last: int,
    i_indptr: Array,
    i_users: Array,
    i_values: Array,
    u_indptr: Array,
    u_items: Array,
    u_values: Array,
    dots: Array,
) -> None:
    """Add to ``dots`` (last - first, n_items) the products of the rows ``first`` to ``last`` with all items."""
    for i in range(first, last):
        row = dots[i - first]
        for at in range(i_indptr[i], i_indptr[i + 1]):
            user, x = i_users[at], i_values[at]
            for other in range(u_indptr[user], u_indptr[user + 1]):
                row[u_items[other]] += x * u_values[other]


@njit(cache=True, nogil=True)
def keep_nearest(dots: Array, near: Array, weight: Array) -> int:
    """Write the largest products above zero, as many as ``near`` (k,) can hold, in ascending order of item. Returns
    their number."""
    edge, room = edge_of(dots[dots > 0.0], len(near))
    found = 0
    for j in range(len(dots)):
        d = dots[j]
        if d > edge or (d == edge and d > 0.0 and room > 0):
            room -= d == edge
            near[found] = j
            weight[found] = d
            found += 1
    return found


@njit(cache=True, nogil=True)
def times_dense(first: int, last: int, indptr: Array, items: Array, values: Array, weights: Array, out: Array) -> None:
    """Set ``out[r] = sum of values * weights[item]`` over the entries of row ``r``; ``weights`` (n, m) dense."""
    for r in range(first, last):
        row = out[r]
        row[:] = 0.0
        lo, hi = indptr[r], indptr[r + 1]
        at = lo
        while at + 4 <= hi:
            a, b, c, d = values[at], values[at + 1], values[at + 2], values[at + 3]
            wa, wb, wc, wd = weights[items[at]], weights[items[at + 1]], weights[items[at + 2]], weights[items[at + 3]]
            for j in range(len(row)):
                row[j] += (a * wa[j] + b * wb[j]) + (c * wc[j] + d * wd[j])
            at += 4
        while at < hi:
            a, wa = values[at], weights[items[at]]
            for j in range(len(row)):
                row[j] += a * wa[j]
            at += 1


@njit(cache=True, nogil=True)
def times_sparse(
    first: int,
    last: int,
    indptr: Array,
    items: Array,
    values: Array,
    w_indptr: Array,
    w_items: Array,
    w_values: Array,
    out: Array,
) -> None:
    """Do the same with ``weights`` as CSR: row ``i`` holds the contributions of item ``i`` to the others."""
    for r in range(first, last):
        row = out[r]
        row[:] = 0.0
        for at in range(indptr[r], indptr[r + 1]):
            item, x = items[at], values[at]
            for w in range(w_indptr[item], w_indptr[item + 1]):
                row[np.uint64(w_items[w])] += x * w_values[w]  # unsigned: no check for negative positions


@njit(cache=True, nogil=True)
def two_step_rows(
    first: int,
    last: int,
    indptr: Array,
    items: Array,
    values: Array,
    i_indptr: Array,
    i_users: Array,
    i_values: Array,
    u_indptr: Array,
    u_items: Array,
    u_values: Array,
    out: Array,
) -> None:
    """Set ``out[r]`` (n_items,) to the two-step walk from the entries of row ``r`` over their users to the users'
    items: the row times the matrix by item, times the matrix by user."""
    n_users = len(u_indptr) - 1
    reached = np.zeros(n_users, dtype=np.float32)
    marked = np.zeros(n_users, dtype=np.bool_)
    users = np.empty(n_users, dtype=np.int64)
    for r in range(first, last):
        row = out[r]
        row[:] = 0.0
        found = 0
        for at in range(indptr[r], indptr[r + 1]):
            item, x = items[at], values[at]
            for e in range(i_indptr[item], i_indptr[item + 1]):
                user = i_users[e]
                if not marked[user]:
                    marked[user] = True
                    users[found] = user
                    found += 1
                reached[user] += x * i_values[e]
        for at in range(found):
            user = users[at]
            x = reached[user]
            for e in range(u_indptr[user], u_indptr[user + 1]):
                row[np.uint64(u_items[e])] += x * u_values[e]
            reached[user] = 0.0
            marked[user] = False


@njit(cache=True, nogil=True)
def count_shared(indptr: Array, users: Array, others: Array, marks: Array, out: Array) -> None:
    """Set ``out[b, c]``, int64 (8, len(others)), to the number of users of ``others[c]`` with bit ``b`` in ``marks``
    (uint8)."""
    sets = np.empty(256, np.int64)
    out[:] = 0
    for c in range(len(others)):
        sets[:] = 0
        for at in range(indptr[others[c]], indptr[others[c] + 1]):
            sets[marks[users[at]]] += 1
        for s in range(1, 256):
            if sets[s]:
                for b in range(8):
                    out[b, c] += sets[s] * (s >> b & 1)


@njit(cache=True, nogil=True)
def count_shared_with(
    i_indptr: Array, i_users: Array, u_indptr: Array, u_items: Array, item: int, others: Array, n_users: int, out: Array
) -> None:
    """Set ``out[c]``, int64, to the number of users who rated both ``item`` and ``others[c]``, by the shorter of two
    ways: over the raters of the others, or over the ratings of the item's raters."""
    raters = i_users[i_indptr[item] : i_indptr[item + 1]]
    by_others, by_raters = n_users // 8, len(i_indptr) // 8
    for c in range(len(others)):
        by_others += i_indptr[others[c] + 1] - i_indptr[others[c]]
    for user in raters:
        by_raters += u_indptr[user + 1] - u_indptr[user]
    if by_others < by_raters:
        rated = np.zeros(n_users, np.uint8)
        for user in raters:
            rated[user] = 1
        for c in range(len(others)):
            total = 0
            for at in range(i_indptr[others[c]], i_indptr[others[c] + 1]):
                total += rated[i_users[at]]
            out[c] = total
        return
    counts = np.zeros(len(i_indptr) - 1, np.int64)
    for user in raters:
        for at in range(u_indptr[user], u_indptr[user + 1]):
            counts[u_items[at]] += 1
    for c in range(len(others)):
        out[c] = counts[others[c]]
