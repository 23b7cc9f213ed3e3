"""The first right singular vectors of a sparse matrix, by randomised subspace iteration (Halko et al. 2011).

Every product has the same bits at any number of threads: sparse rows by kernels with one thread per row, dense ones in
one BLAS thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR
from cofactor.models.base.sparse import times, transposed

Array = NDArray[Any]

OVERSAMPLED = 32
"""Additional directions, which make the requested ones accurate."""


@one_thread()
def right_singular(rows: CSR, k: int, rng: np.random.Generator, passes: int = 3) -> tuple[Array, Array]:
    """Return (float32 (n_cols, k), float32 (k,)): the first ``k`` right singular vectors and their singular values,
    descending; fewer if the matrix has fewer."""
    columns = transposed(rows)
    width = min(k + OVERSAMPLED, rows.n_cols, rows.n_rows)
    basis = rng.standard_normal((rows.n_cols, width), dtype=np.float32)
    for _ in range(passes):
        basis = _orthonormal(times(columns, times(rows, basis)))
    basis = _orthonormal(basis)
    left = times(rows, basis)
    values, turn = np.linalg.eigh((left.T @ left).astype(np.float64))
    k = min(k, int((values > 1e-6 * max(float(values.max(initial=0.0)), 1e-30)).sum()))
    kept = np.argsort(-values, kind="stable")[:k]
    vectors: Array = basis @ turn[:, kept].astype(np.float32)
    return np.ascontiguousarray(vectors), np.sqrt(np.maximum(values[kept], 0.0)).astype(np.float32)


@one_thread()
def _orthonormal(table: Array) -> Array:
    """Return an orthonormal basis of the columns, without directions that are lost in rounding."""
    values, vectors = np.linalg.eigh((table.T @ table).astype(np.float64))
    kept = values > 1e-7 * max(float(values.max(initial=0.0)), 1e-30)
    turn = vectors[:, kept] / np.sqrt(values[kept])
    found: Array = table @ turn.astype(np.float32)
    return np.ascontiguousarray(found)
