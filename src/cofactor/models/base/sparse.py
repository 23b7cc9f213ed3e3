"""Products and transposes of sparse rows, shared by models of neighbours and of histories."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, csr
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.similarity import times_dense, times_sparse

Array = NDArray[Any]


def frozen(*arrays: Array) -> Any:
    """Return read-only views: kernels are then compiled once for arrays from training and from files."""
    views = tuple(a.view() for a in arrays)
    for view in views:
        view.flags.writeable = False
    return views


def transposed(rows: CSR) -> CSR:
    """Return the columns as rows, without table positions."""
    who = np.repeat(np.arange(rows.n_rows, dtype=np.int32), rows.counts)
    turned = csr(rows.indices, who, rows.values, rows.n_cols, rows.n_rows)
    weights = None if rows.weights is None else rows.weights[turned.rows]
    return turned._replace(rows=np.empty(0, dtype=np.int64), weights=weights)


def times(left: CSR, right: Array | CSR) -> Array:
    """Return the dense product with a dense or sparse matrix, float32 (rows of ``left``, columns of ``right``)."""
    width = right.n_cols if isinstance(right, CSR) else right.shape[1]
    out = np.empty((left.n_rows, width), dtype=np.float32)
    if isinstance(right, CSR):
        given = (left.indptr, left.indices, left.values, right.indptr, right.indices, right.values)
        sparse = (*frozen(*given), out)
        over_rows(lambda a, b: times_sparse(a, b, *sparse), left.indptr, per_row=width)
    else:
        dense = (*frozen(left.indptr, left.indices, left.values, right), out)
        over_rows(lambda a, b: times_dense(a, b, *dense), left.indptr)
    return out
