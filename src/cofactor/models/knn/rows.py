"""Lists of neighbours and rows of residuals, the parts of ``item-knn`` and ``user-knn``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, csr
from cofactor.errors import BundleError
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.knn import correlate
from cofactor.kernels.topk import topk
from cofactor.models.base.arrays import stored

Array = NDArray[Any]

NO_ROWS = np.zeros(0, dtype=np.int64)


def nearest(rows: CSR, base: CSR, counts: Array, config: Any) -> tuple[Array, Array]:
    """Return the neighbours of rows of residuals among ``len(counts)`` rows whose transpose is ``base``: int32 codes
    (n, k), nearest first and -1 if there are no more, and float32 weights (n, k)."""
    n_base = len(counts)
    k = min(config.k, n_base)
    neighbours = np.full((rows.n_rows, k), -1, dtype=np.int32)
    weights = np.zeros((rows.n_rows, k), dtype=np.float32)
    height = max(1, (1 << 21) // max(n_base, 1))
    given = (rows.indptr, rows.indices, rows.values, base.indptr, base.indices, base.values, counts)

    def work(first: int, last: int) -> None:
        for lo in range(first, last, height):
            hi = min(lo + height, last)
            block = np.empty((hi - lo, n_base), dtype=np.float32)
            correlate(lo, hi, *given, config.shrink, config.power, block)
            codes, found = topk(block, k)
            neighbours[lo:hi] = np.where(found > 0, codes, -1)
            weights[lo:hi] = np.maximum(found, 0)

    over_rows(work, rows.indptr, per_row=n_base)
    return neighbours, weights


def list_rows(neighbours: Array, weights: Array, n_base: int) -> CSR:
    """Return lists of neighbours as a CSR, columns ascending."""
    who, place = np.nonzero(neighbours >= 0)
    return csr(who, neighbours[who, place], weights[who, place], len(neighbours), n_base)


def narrowed(rows: CSR, columns: Array) -> CSR:
    """Return the rows with only these columns, in this order, without table positions."""
    place = np.full(rows.n_cols, -1, dtype=np.int32)
    place[columns] = np.arange(len(columns), dtype=np.int32)
    found = place[rows.indices]
    kept = found >= 0
    indptr = np.append(0, np.cumsum(kept))[rows.indptr]
    return CSR(indptr, found[kept], rows.values[kept], NO_ROWS, len(columns))


def merged(rows: CSR) -> CSR:
    """Merge equal columns of a row, with the mean of their values."""
    who = np.repeat(np.arange(rows.n_rows), rows.counts)
    first = np.append(True, (np.diff(who) > 0) | (np.diff(rows.indices) != 0))[: len(who)]
    if first.all():
        return rows
    starts = np.flatnonzero(first)
    means = np.add.reduceat(rows.values.astype(np.float64), starts) / np.diff(np.append(starts, len(who)))
    counts = np.bincount(who[starts], minlength=rows.n_rows)
    indptr = np.append(0, np.cumsum(counts)).astype(np.int64)
    return CSR(indptr, rows.indices[starts], means.astype(np.float32), NO_ROWS, rows.n_cols)


def check_codes(name: str, codes: Array, low: int, high: int) -> None:
    """Raise BundleError if a code is outside ``low`` .. ``high - 1``."""
    if codes.size and (int(codes.min()) < low or int(codes.max()) >= high):
        raise BundleError(f"the array {name!r} of the saved model holds codes outside {low} .. {high - 1}")


def stored_rows(state: Mapping[str, Array], n_rows: int, n_cols: int) -> CSR:
    """Return the CSR of residuals of a state. Raises BundleError if it is invalid."""
    indptr = stored(state, "indptr", np.int64, (n_rows + 1,))
    indices = stored(state, "indices", np.int32, (None,))
    if indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
        raise BundleError("the array 'indptr' of the saved model does not divide 'indices' into rows")
    check_codes("indices", indices, 0, n_cols)
    return CSR(indptr, indices, stored(state, "residuals", np.float32, indices.shape), NO_ROWS, n_cols)
