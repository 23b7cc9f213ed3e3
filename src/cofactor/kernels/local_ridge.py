"""Ridge regressions of each item on its own nearest items, and the sparse Gram matrix that they need.

Matrices come as CSR arrays: ``i_*`` has one row an item (over users), ``u_*`` one row a user. Every kernel writes the
rows ``first`` to ``last`` of its output and nothing else; sums run in a fixed order, so threads do not change a bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

FAST = {"contract", "reassoc", "nsz"}


@njit(cache=True, nogil=True)
def gram_counts(
    first: int, last: int, i_indptr: Array, i_users: Array, u_indptr: Array, u_items: Array, out: Array
) -> None:
    """``out[i]``: with how many items (itself included) item ``i`` shares a user."""
    seen = np.full(len(out), -1, dtype=np.int64)
    for i in range(first, last):
        found = 0
        for at in range(i_indptr[i], i_indptr[i + 1]):
            user = i_users[at]
            for other in range(u_indptr[user], u_indptr[user + 1]):
                j = u_items[other]
                if seen[j] != i:
                    seen[j] = i
                    found += 1
        out[i] = found


@njit(cache=True, nogil=True)
def gram_fill(
    first: int,
    last: int,
    i_indptr: Array,
    i_users: Array,
    i_values: Array,
    u_indptr: Array,
    u_items: Array,
    u_values: Array,
    indptr: Array,
    indices: Array,
    values: Array,
) -> None:
    """The rows of the Gram matrix, items ascending; ``indptr`` from ``gram_counts``."""
    n = len(indptr) - 1
    sums = np.zeros(n, dtype=np.float32)
    marked = np.zeros(n, dtype=np.bool_)
    for i in range(first, last):
        lo, hi = indptr[i], indptr[i + 1]
        at_most = lo
        for at in range(i_indptr[i], i_indptr[i + 1]):
            user, x = i_users[at], i_values[at]
            for other in range(u_indptr[user], u_indptr[user + 1]):
                j = u_items[other]
                if not marked[j]:
                    marked[j] = True
                    indices[at_most] = j
                    at_most += 1
                sums[j] += x * u_values[other]
        row = indices[lo:hi]
        row.sort()
        for at in range(lo, hi):
            j = indices[at]
            values[at] = sums[j]
            sums[j] = 0.0
            marked[j] = False


@njit(cache=True, nogil=True)
def entry(indptr: Array, indices: Array, values: Array, row: int, column: int) -> Any:
    """One entry of a matrix in sparse rows; 0 where there is none."""
    lo, hi = indptr[row], indptr[row + 1]
    while lo < hi:
        middle = (lo + hi) // 2
        if indices[middle] < column:
            lo = middle + 1
        else:
            hi = middle
    return values[lo] if lo < indptr[row + 1] and indices[lo] == column else np.float32(0.0)


@njit(cache=True, nogil=True)
def neighbour_rows(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    values: Array,
    diagonal: Array,
    shrink: float,
    near: Array,
    count: Array,
) -> None:
    """The items of the largest cosine ``G_ij / (sqrt(G_ii G_jj) + shrink)``: ``near`` int32 (n, k), ascending.

    ``count[i]`` of them are found (above zero only); of equal ones at the edge the lowest codes are taken.
    """
    k = near.shape[1]
    longest = 0
    for i in range(first, last):
        longest = max(longest, indptr[i + 1] - indptr[i])
    cosines = np.empty(longest, dtype=np.float32)
    for i in range(first, last):
        lo, hi = indptr[i], indptr[i + 1]
        above = 0
        for at in range(lo, hi):
            j = indices[at]
            c = np.float32(0.0)
            if j != i and values[at] > 0.0:
                c = values[at] / (np.sqrt(diagonal[i] * diagonal[j]) + np.float32(shrink))
                above += 1
            cosines[at - lo] = c
        edge, room = np.float32(0.0), above
        if above > k:
            mine = cosines[: hi - lo]
            positive = mine[mine > 0.0]
            edge = np.partition(positive, above - k)[above - k]
            room = k - np.sum(positive > edge)
        found = 0
        for at in range(lo, hi):
            c = cosines[at - lo]
            if c > edge or (c == edge and c > 0.0 and room > 0):
                room -= c == edge
                near[i, found] = indices[at]
                found += 1
        count[i] = found


@njit(cache=True, nogil=True, fastmath=FAST)
def dot(a: Array, b: Array, n: int) -> Any:
    total = np.float32(0.0)
    for i in range(n):
        total += a[i] * b[i]
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def cholesky_solve(matrix: Array, x: Array, n: int) -> None:
    """Solve in place for the leading ``n`` rows: ``x`` is the right side and becomes the solution; the lower half of
    ``matrix`` is used up. A pivot that rounding made 0 or less leaves its unknown at 0."""
    for i in range(n):
        row = matrix[i]
        for j in range(i):
            row[j] = (row[j] - dot(row, matrix[j], j)) * matrix[j, j]
        pivot = row[i] - dot(row, row, i)
        row[i] = np.float32(1.0) / np.sqrt(pivot) if pivot > 0.0 else np.float32(0.0)  # the inverse of the root
    for i in range(n):
        x[i] = (x[i] - dot(matrix[i], x, i)) * matrix[i, i]
    for i in range(n - 1, -1, -1):
        x[i] *= matrix[i, i]
        value, row = x[i], matrix[i]
        for j in range(i):
            x[j] -= value * row[j]


@njit(cache=True, nogil=True)
def ridge_rows(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    values: Array,
    near: Array,
    count: Array,
    penalty: Array,
    out: Array,
) -> None:
    """``out[i, :count[i]]``: the weights of the neighbours in the ridge regression of item ``i`` on them.

    ``indptr``, ``indices``, ``values``: the Gram matrix, symmetric, in sparse rows; ``penalty`` float32 (n,): added to
    its diagonal.
    """
    n, k = near.shape
    matrix, x = np.zeros((k, k), dtype=np.float32), np.zeros(k, dtype=np.float32)
    place = np.full(n, -1, dtype=np.int32)
    for i in range(first, last):
        size, mine = count[i], near[i]
        for p in range(size):
            place[mine[p]] = p
        for at in range(indptr[i], indptr[i + 1]):
            if place[indices[at]] >= 0:
                x[place[indices[at]]] = values[at]
        for p in range(size):
            a = mine[p]
            lo, hi = indptr[a], indptr[a + 1]
            row = matrix[p]
            if hi - lo < 12 * p:
                for q in range(p):
                    row[q] = 0.0
                for at in range(lo, hi):
                    q = place[indices[at]]
                    if 0 <= q < p:
                        row[q] = values[at]
            else:  # a long row: look for the few that are wanted, doubling the step
                for q in range(p):
                    want, step, end = mine[q], 1, lo
                    while end < hi and indices[end] < want:
                        lo = end + 1
                        end += step
                        step *= 2
                    end = min(end, hi)
                    while lo < end:
                        middle = (lo + end) // 2
                        if indices[middle] < want:
                            lo = middle + 1
                        else:
                            end = middle
                    row[q] = values[lo] if lo < hi and indices[lo] == want else np.float32(0.0)
            row[p] = entry(indptr, indices, values, a, a) + penalty[a]
        cholesky_solve(matrix, x, size)
        for p in range(size):
            out[i, p] = x[p]
            x[p] = 0.0
            place[mine[p]] = -1
