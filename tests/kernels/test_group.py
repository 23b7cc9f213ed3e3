"""Grouping a table by row: the order of NumPy's lexsort, at any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from cofactor.data.interactions import csr
from cofactor.kernels.group import row_starts, stable_order


@pytest.mark.parametrize("threads", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("n", "n_rows", "n_cols"), [(0, 3, 2), (1, 1, 1), (7, 3, 900), (5000, 40, 30), (4000, 900, 3), (900, 70_000, 9)]
)
def test_grouping_is_a_stable_sort_by_row_then_column(
    n: int, n_rows: int, n_cols: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if threads:  # the kernels; else NumPy, which groups small tables
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


@pytest.mark.parametrize("n_codes", [1, 2, 2**16 - 1, 2**16, 2**16 + 1, 2**31 - 1])
@pytest.mark.parametrize("n", [0, 1, 3000])
def test_codes_of_any_size_are_sorted_and_equal_ones_keep_their_order(n: int, n_codes: int) -> None:
    rng = np.random.default_rng(n)
    codes = rng.integers(max(n_codes - 4, 0), n_codes, n, dtype=np.int32)
    codes[::3] = rng.integers(0, n_codes, len(codes[::3]), dtype=np.int32)
    given = rng.permutation(n)
    assert np.array_equal(stable_order(codes, n_codes), np.argsort(codes, kind="stable"))
    assert np.array_equal(stable_order(codes, n_codes, given), given[np.argsort(codes[given], kind="stable")])


def test_rows_start_where_numpy_says_by_the_kernel_too(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(2).integers(0, 7, 500, dtype=np.int32)
    codes.flags.writeable = False
    small = row_starts(codes, 9)
    monkeypatch.setattr("cofactor.kernels.group.SMALL", 1)
    assert np.array_equal(row_starts(codes, 9), small)
    assert small.dtype == np.int64
