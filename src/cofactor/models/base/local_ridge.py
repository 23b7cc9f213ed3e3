"""Item weights by ridge regression of each item on its own nearest items: EASE where the square would not fit.

The weights of an item minimise ``|x_i - X_N w|² + w' diag(penalty) w`` over its ``k`` nearest items ``N`` by cosine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, csr
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.local_ridge import gram_counts, gram_fill, neighbour_rows, ridge_rows
from cofactor.models.base.sparse import frozen, transposed

Array = NDArray[Any]

NO_ROWS = np.empty(0, dtype=np.int64)


def gram_entries(rows: CSR) -> Array:
    """int64 (n_items + 1,): where each row of the sparse Gram matrix of the items would begin."""
    by_item = transposed(rows)
    out = np.zeros(rows.n_cols, dtype=np.int64)
    given = (*frozen(by_item.indptr, by_item.indices, rows.indptr, rows.indices), out)
    over_rows(lambda a, b: gram_counts(a, b, *given), by_item.indptr)
    return np.concatenate([[0], np.cumsum(out)]).astype(np.int64)


def sparse_gram(rows: CSR, indptr: Array) -> CSR:
    """The products of the items' columns, float32, symmetric; ``indptr`` from ``gram_entries``."""
    by_item = transposed(rows)
    indices, values = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.float32)
    left, right = (by_item.indptr, by_item.indices, by_item.values), (rows.indptr, rows.indices, rows.values)
    given = (*frozen(*left, *right, indptr), indices, values)
    over_rows(lambda a, b: gram_fill(a, b, *given), by_item.indptr)
    return CSR(indptr, indices, values, NO_ROWS, rows.n_cols)


def diagonal_of(gram: CSR) -> Array:
    """float32 (n,): the diagonal; 0 where an item has no row."""
    out = np.zeros(gram.n_rows, dtype=np.float32)
    row = np.repeat(np.arange(gram.n_rows, dtype=np.int32), gram.counts)
    on = row == gram.indices
    out[row[on]] = gram.values[on]
    return out


def local_ridge(gram: CSR, k: int, penalty: Array, shrink: float = 10.0, among: Array | None = None) -> CSR:
    """float32 CSR (n_items, n_items): row ``i`` says what having item ``i`` adds to each item of which it is one of the
    ``k`` nearest.

    ``penalty`` float32 (n_items,): added to the diagonal. ``shrink``: added to the denominator of the cosine, so that
    rare items are not taken for near. ``among``: only these items (codes) are regressed.
    """
    n = gram.n_rows
    k = min(k, max(n - 1, 1))
    near, count = np.zeros((n, k), dtype=np.int32), np.zeros(n, dtype=np.int64)
    matrix = frozen(gram.indptr, gram.indices, gram.values)
    nearest = (*matrix, *frozen(diagonal_of(gram)), shrink, near, count)
    over_rows(lambda a, b: neighbour_rows(a, b, *nearest), gram.indptr)
    if among is not None:
        chosen = np.zeros(n, dtype=np.bool_)
        chosen[among] = True
        count[~chosen] = 0
    out = np.zeros((n, k), dtype=np.float32)
    given = (*matrix, *frozen(near, count, np.asarray(penalty, dtype=np.float32)), out)
    over_rows(lambda a, b: ridge_rows(a, b, *given), np.concatenate([[0], np.cumsum(count)]), per_row=k)
    kept = np.arange(k)[None, :] < count[:, None]
    target = np.repeat(np.arange(n, dtype=np.int32), count)
    return csr(near[kept], target, out[kept], n, n)._replace(rows=NO_ROWS)
