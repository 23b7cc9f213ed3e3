"""Grouping a table by row: the order of NumPy's lexsort, at any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from cofactor.data.interactions import csr


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("n", "n_rows", "n_cols"), [(0, 3, 2), (1, 1, 1), (7, 3, 900), (5000, 40, 30), (4000, 900, 3)])
def test_grouping_is_a_stable_sort_by_row_then_column(
    n: int, n_rows: int, n_cols: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", threads)
    monkeypatch.setattr("cofactor.kernels.group.SMALL", 1)
    rng = np.random.default_rng([n, n_rows])
    rows, cols = rng.integers(0, n_rows, n, dtype=np.int32), rng.integers(0, n_cols, n, dtype=np.int32)
    values = rng.random(n, dtype=np.float32)
    found, order = csr(rows, cols, values, n_rows, n_cols), np.lexsort((cols, rows))
    assert np.array_equal(found.rows, order)  # equal pairs keep the order of the table
    assert np.array_equal(found.indices, cols[order])
    assert np.array_equal(found.values, values[order])
    assert np.array_equal(found.indptr, np.append(0, np.cumsum(np.bincount(rows, minlength=n_rows))))
