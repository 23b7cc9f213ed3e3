"""Item weights by ridge regression of each item on its nearest items: EASE for catalogues whose square matrix does not
fit.

The weights of an item minimise ``|x_i - X_N w|² + w' diag(penalty) w`` over its ``k`` nearest items ``N`` by cosine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, csr
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.local_ridge import gram_counts, gram_fill, head_rows, neighbour_rows, ridge_rows
from cofactor.models.base.sparse import frozen, transposed

Array = NDArray[Any]

_AT_ONCE = 1 << 26
"""Number of weights held at a time when several penalties are tried."""
NO_ROWS = np.empty(0, dtype=np.int64)


def gram_entries(rows: CSR) -> Array:
    """Return int64 (n_items + 1,): where each row of the sparse Gram matrix of the items would begin."""
    return np.concatenate([[0], np.cumsum(gram_row_sizes(transposed(rows), rows))]).astype(np.int64)


def gram_row_sizes(by_item: CSR, rows: CSR) -> Array:
    """Return int64 (by_item.n_rows,): entries of the Gram matrix in the rows of some items. ``by_item`` holds their
    users."""
    out = np.zeros(rows.n_cols, dtype=np.int64)
    given = (*frozen(by_item.indptr, by_item.indices, rows.indptr, rows.indices), out)
    over_rows(lambda a, b: gram_counts(a, b, *given), by_item.indptr)
    return out[: by_item.n_rows]


def sparse_gram(rows: CSR, indptr: Array) -> CSR:
    """Return the products of the items' columns, float32, symmetric. ``indptr``: from ``gram_entries``."""
    return gram_rows(transposed(rows), rows, np.diff(indptr))


def gram_rows(by_item: CSR, rows: CSR, sizes: Array) -> CSR:
    """Return the Gram matrix's rows of some items, whose users ``by_item`` holds. ``sizes``: from
    ``gram_row_sizes``."""
    n = by_item.n_rows
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    indices, values = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.float32)
    left, right = (by_item.indptr, by_item.indices, by_item.values), (rows.indptr, rows.indices, rows.values)
    padded = np.pad(indptr, (0, rows.n_cols - n), mode="edge")  # its length tells the kernel the number of columns
    given = (*frozen(*left, *right, padded), indices, values)
    over_rows(lambda a, b: gram_fill(a, b, *given), by_item.indptr)
    return CSR(indptr, indices, values, NO_ROWS, rows.n_cols)


def diagonal_of(gram: CSR) -> Array:
    """Return float32 (n,): the diagonal; 0 for an item without rows."""
    out = np.zeros(gram.n_rows, dtype=np.float32)
    row = np.repeat(np.arange(gram.n_rows, dtype=np.int32), gram.counts)
    on = row == gram.indices
    out[row[on]] = gram.values[on]
    return out


def local_ridge(gram: CSR, k: int, penalty: Array, shrink: float = 10.0, among: Array | None = None) -> CSR:
    """Return float32 CSR (n_items, n_items): row ``i`` holds the contributions of item ``i`` to each item of which it
    is one of the ``k`` nearest.

    ``penalty`` float32 (n_items,): added to the diagonal. ``shrink``: added to the denominator of the cosine, so that
    rare items do not appear near. ``among``: only these items (codes) are regressed.
    """
    near, count = neighbours_of(gram, k, shrink, among)
    return ridge_on(gram, near, count, penalty)


def neighbours_of(gram: CSR, k: int, shrink: float, among: Array | None = None) -> tuple[Array, Array]:
    """Return (near, count): the ``k`` nearest of each item, int32 (n_items, k), and their numbers, int64 (n_items,).
    The number is 0 for items that are not in ``among``."""
    n = gram.n_rows
    near, count = np.zeros((n, width_of(k, n)), dtype=np.int32), np.zeros(n, dtype=np.int64)
    diagonal = diagonal_of(gram)

    def of_items(first: int, last: int) -> None:
        nearest_items(first, last, gram, diagonal, shrink, near, count)

    def of_some(first: int, last: int) -> None:
        for item in chosen[first:last].tolist():
            of_items(item, item + 1)

    if among is None:
        over_rows(of_items, gram.indptr)
    else:
        chosen = np.asarray(among)
        over_rows(of_some, np.concatenate([[0], np.cumsum(gram.counts[chosen])]))
    return near, count


def ridge_on(gram: CSR, near: Array, count: Array, penalty: Array, heads: Heads | None = None) -> CSR:
    """Return the ridge weights of each item on these neighbours, by neighbour (see :func:`local_ridge`)."""
    heads = heads_of(gram) if heads is None else heads
    out = np.zeros(near.shape, dtype=np.float32)
    cost = np.concatenate([[0], np.cumsum(count)])
    over_rows(lambda a, b: ridge_weights(a, b, gram, heads, near, count, penalty, out), cost, per_row=near.shape[1])
    return by_neighbour(near, count, out)


def ridge_each(gram: CSR, near: Array, count: Array, several: Array) -> Iterator[CSR]:
    """Yield :func:`ridge_on` for each of ``several`` penalties (m, n). As many at a time as fit share the matrices of
    the regressions, which are assembled once for them."""
    heads = heads_of(gram)
    cost = np.concatenate([[0], np.cumsum(count)])
    size = max(_AT_ONCE // max(near.size, 1), 1)
    for lo in range(0, len(several), size):
        some = several[lo : lo + size]
        out = np.zeros((len(some), *near.shape), dtype=np.float32)

        def work(a: int, b: int, some: Array = some, out: Array = out) -> None:
            ridge_weights(a, b, gram, heads, near, count, some, out)

        over_rows(work, cost, per_row=near.shape[1])
        for one in out:
            yield by_neighbour(near, count, one)


def width_of(k: int, n_items: int) -> int:
    """Return how many neighbours an item can have, at most ``k``."""
    return min(k, max(n_items - 1, 1))


def nearest_items(first: int, last: int, gram: CSR, diagonal: Array, shrink: float, near: Array, count: Array) -> None:
    """Set the rows ``first`` to ``last`` of ``near`` int32 (n, k) and ``count`` int64 (n,) to each item's nearest
    items."""
    given: tuple[Any, ...] = (*frozen(gram.indptr, gram.indices, gram.values, diagonal), float(shrink), near, count)
    neighbour_rows(first, last, *given)


HEADS, LONG = 4096, 500
"""Number of items whose Gram matrix is also held as a dense table, and the minimal number of entries of their rows."""


class Heads(NamedTuple):
    """The items with the longest rows of a Gram matrix. ``place`` int32 (n_items,): their positions, -1 for other
    items; ``table`` float32 (heads, heads): the matrix among them."""

    place: Array
    table: Array


def heads_of(gram: CSR) -> Heads:
    """Return the items with the longest rows, and the Gram matrix among them."""
    counts = gram.counts
    order = np.argsort(-counts, kind="stable")[:HEADS]
    heads = np.sort(order[counts[order] >= LONG])
    place = np.full(gram.n_rows, -1, dtype=np.int32)
    place[heads] = np.arange(len(heads), dtype=np.int32)
    table = np.empty((len(heads), len(heads)), dtype=np.float32)
    given = (*frozen(heads, place, gram.indptr, gram.indices, gram.values), table)
    over_rows(lambda a, b: head_rows(a, b, *given), np.concatenate([[0], np.cumsum(counts[heads])]))
    return Heads(place, table)


def ridge_weights(
    first: int, last: int, gram: CSR, heads: Heads, near: Array, count: Array, penalty: Array, out: Array
) -> None:
    """Set the rows ``first`` to ``last`` of ``out`` float32 (n, k) to the weights of each item's nearest. ``penalty``
    (n,); or (m, n), and then ``out`` is (m, n, k)."""
    matrix = frozen(gram.indptr, gram.indices, gram.values, heads.place, heads.table)
    several = penalty.astype(np.float32).reshape(-1, len(near))
    given: tuple[Any, ...] = (*matrix, *frozen(near, count, several), out.reshape(-1, *near.shape))
    ridge_rows(first, last, *given)


def by_neighbour(near: Array, count: Array, weights: Array, some: Array | None = None, n_items: int = 0) -> CSR:
    """Return the weights as a matrix whose row ``i`` holds the contributions of item ``i`` to the others.

    ``some``: the codes of the items whose nearest these are, out of ``n_items``; by default all.
    """
    n = len(near) if some is None else n_items
    kept = np.arange(near.shape[1])[None, :] < count[:, None]
    target = np.repeat(np.arange(n, dtype=np.int32) if some is None else some.astype(np.int32), count)
    return csr(near[kept], target, weights[kept], n, n)._replace(rows=NO_ROWS)
