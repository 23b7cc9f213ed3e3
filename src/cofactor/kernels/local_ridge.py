"""Ridge regressions of each item on its nearest items, and the sparse Gram matrix that they need.

Matrices come as CSR arrays: ``i_*`` has one row per item (over users), ``u_*`` one row per user. Every kernel writes
the rows ``first`` to ``last`` of its output and nothing else; sums run in a fixed order, so threads do not change a
bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.largest import edge_of
from cofactor.kernels.vectors import LANES, add_scaled

Array = NDArray[Any]

FAST = {"contract", "reassoc", "nsz"}


@njit(cache=True, nogil=True)
def gram_counts(
    first: int, last: int, i_indptr: Array, i_users: Array, u_indptr: Array, u_items: Array, out: Array
) -> None:
    """Set ``out[i]`` to the number of items (itself included) with which item ``i`` shares a user."""
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
    """Fill the rows of the Gram matrix, items ascending; ``indptr`` from ``gram_counts``."""
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
    """Find the items of the largest cosine ``G_ij / (sqrt(G_ii G_jj) + shrink)``: ``near`` int32 (n, k), ascending.

    ``count[i]`` of them are found (above zero only). Of equal ones at the edge, the lowest codes are taken.
    """
    k = near.shape[1]
    longest = 0
    for i in range(first, last):
        longest = max(longest, indptr[i + 1] - indptr[i])
    cosines = np.empty(longest, dtype=np.float32)
    for i in range(first, last):
        lo, hi = indptr[i], indptr[i + 1]
        for at in range(lo, hi):
            j = indices[at]
            c = np.float32(0.0)
            if j != i and values[at] > 0.0:
                c = values[at] / (np.sqrt(diagonal[i] * diagonal[j]) + np.float32(shrink))
            cosines[at - lo] = c
        mine = cosines[: hi - lo]
        edge, room = edge_of(mine[mine > 0.0], k)
        found = 0
        for at in range(lo, hi):
            c = cosines[at - lo]
            if c > edge or (c == edge and c > 0.0 and room > 0):
                room -= c == edge
                near[i, found] = indices[at]
                found += 1
        count[i] = found


@njit(cache=True, nogil=True, fastmath=FAST)
def cholesky_solve(matrix: Array, x: Array, n: int) -> None:
    """Solve in place for the leading ``n`` rows: ``x`` is the right side and becomes the solution; the upper half of
    ``matrix`` is overwritten. A pivot that rounding made 0 or less leaves its unknown at 0.

    ``matrix`` has a multiple of 16 columns; of the leading rows those from ``n`` on are zeros. Rows are computed one by
    one, each from eight rows above it at a time.
    """
    w = matrix.shape[1]
    end = (n + LANES - 1) // LANES * LANES
    for a in range(n):
        left = a // LANES * LANES
        j = 0
        while j + 8 <= a:
            o = j * w
            fa, fb, fc, fd = -matrix[j, a], -matrix[j + 1, a], -matrix[j + 2, a], -matrix[j + 3, a]
            fe, ff, fg, fh = -matrix[j + 4, a], -matrix[j + 5, a], -matrix[j + 6, a], -matrix[j + 7, a]
            factors = (fa, fb, fc, fd, fe, ff, fg, fh)
            for b in range(left, end, LANES):
                c = o + b
                d = c + 4 * w
                rows = (c, c + w, c + 2 * w, c + 3 * w, d, d + w, d + 2 * w, d + 3 * w)
                add_scaled(matrix, a * w + b, matrix, rows, factors)
            j += 8
        while j < a:
            for b in range(left, end, LANES):
                add_scaled(matrix, a * w + b, matrix, (j * w + b,), (-matrix[j, a],))
            j += 1
        row = matrix[a]
        inverse = np.float32(1.0) / np.sqrt(row[a]) if row[a] > 0.0 else np.float32(0.0)
        for b in range(a + 1, end):
            row[b] *= inverse
        row[a] = inverse
        x[a] *= inverse
        for b in range(a + 1, n):
            x[b] -= row[b] * x[a]
    for a in range(n - 1, -1, -1):
        row, total = matrix[a], x[a]
        for b in range(a + 1, n):
            total -= row[b] * x[b]
        x[a] = total * row[a]


@njit(cache=True, nogil=True)
def head_rows(
    first: int, last: int, heads: Array, place: Array, indptr: Array, indices: Array, values: Array, out: Array
) -> None:
    """Set ``out[h]`` for h from ``first`` to ``last`` to the row of item ``heads[h]``, with only the columns of heads;
    ``place`` int32 (n,): the position of an item among them, -1 for others."""
    for h in range(first, last):
        row = out[h]
        row[:] = 0.0
        for at in range(indptr[heads[h]], indptr[heads[h] + 1]):
            q = place[indices[at]]
            if q >= 0:
                row[q] = values[at]


@njit(cache=True, nogil=True)
def ridge_rows(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    values: Array,
    head: Array,
    table: Array,
    near: Array,
    count: Array,
    penalty: Array,
    out: Array,
) -> None:
    """Set ``out[m, i, :count[i]]`` to the weights of the neighbours in the ridge regression of item ``i`` on them, with
    ``penalty[m]``.

    ``indptr``, ``indices``, ``values``: the Gram matrix, symmetric, in sparse rows; ``head`` int32 (n,) and ``table``
    (heads, heads): its part among the items of the longest rows, so that these are not scanned; ``penalty`` float32 (m,
    n): added to its diagonal.
    """
    n, k = near.shape
    wide = (k + LANES - 1) // LANES * LANES
    matrix = np.zeros((k, wide), dtype=np.float32)
    used, x, right = np.zeros_like(matrix), np.zeros(k, dtype=np.float32), np.zeros(k, dtype=np.float32)
    # Entries of items that are not near go to a position beyond all others, so that the scan of a row has no branch.
    nowhere = np.uint32(k)
    place, row = np.full(n, nowhere, dtype=np.uint32), np.zeros(k + 1, dtype=np.float32)
    long = np.empty(k, dtype=np.int64)
    for i in range(first, last):
        size, mine = count[i], near[i]
        for p in range(size):
            place[mine[p]] = p
            matrix[p] = 0.0
        for at in range(indptr[i], indptr[i + 1]):
            row[place[np.uint32(indices[at])]] = values[at]
        for p in range(size):
            right[p], row[p] = row[p], 0.0
        found = 0
        for p in range(size):
            a = mine[p]
            if head[a] >= 0:
                long[found] = p
                found += 1
                continue
            for at in range(indptr[a], indptr[a + 1]):
                row[place[np.uint32(indices[at])]] = values[at]
            for q in range(p):
                matrix[q, p] = row[q]
                row[q] = 0.0
            for q in range(p, size):
                matrix[p, q] = row[q]
                row[q] = 0.0
        for one in range(found):
            p = long[one]
            heads = table[head[mine[p]]]
            for other in range(one, found):
                q = long[other]
                matrix[p, q] = heads[head[mine[q]]]
        for m in range(len(penalty)):
            for p in range(size):
                used[p] = matrix[p]
                used[p, p] += penalty[m, mine[p]]
                x[p] = right[p]
            cholesky_solve(used, x, size)
            out[m, i, :size] = x[:size]
        for p in range(size):
            place[mine[p]] = nowhere
