"""Grouping a table by row: the order of NumPy's lexsort, at any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from cofactor.data.interactions import csr
from cofactor.kernels.group import in_parts, row_starts, sort_within, stable_order
from cofactor.models.bayes_mf.stepper import in_time
from cofactor.models.bayes_mf.time import clock


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


def test_groups_sorted_within_are_those_of_a_sort_of_all() -> None:
    """Also with ties, empty groups and one group that holds most rows."""
    rng = np.random.default_rng(4)
    n = 260_000
    rows = np.where(rng.random(n) < 0.4, 7, rng.integers(0, 900, n)).astype(np.int32)
    cols, times = rng.integers(0, 300, n).astype(np.int32), rng.integers(0, 5_000, n)
    found = in_time(rows, cols, np.ones(n, np.float32), times, 1_000, 300)
    assert np.array_equal(found, np.lexsort((cols, times, rows)))
    small = slice(0, 500)
    few = in_time(rows[small], cols[small], np.ones(500, np.float32), times[small], 1_000, 300)
    assert np.array_equal(few, np.lexsort((cols[small], times[small], rows[small])))
    order = np.arange(6)
    sort_within(np.array([0, 0, 4, 4, 6]), np.array([3, 1, 3, 0, 9, 2]), order)
    assert order.tolist() == [3, 1, 0, 2, 5, 4]


def test_parts_cover_all_rows() -> None:
    for n in (0, 1, 200_000, 200_001, 650_000):
        seen = np.zeros(n, dtype=np.int8)
        in_parts(n, lambda first, last, seen=seen: seen[first:last].__iadd__(1))
        assert (seen == 1).all()


def test_a_clock_of_many_rows_is_that_of_few() -> None:
    """Where pieces meet, gaps go on; each row begins afresh."""
    rng = np.random.default_rng(5)
    n = 450_000
    rows = np.sort(rng.integers(0, 3_000, n)).astype(np.int32)
    times = np.sort(rng.integers(1_000_000_000, 1_400_000_000, n))[np.lexsort((rng.random(n), rows))]
    times = times[np.lexsort((times, rows))]
    found = clock(rows, times, 3_000, None)
    seconds = np.diff(times, prepend=times[:1]).astype(np.float64)
    unit = 10.0 ** np.maximum(np.floor(np.log10(np.maximum(seconds, 1.0))) - 2, 0.0)
    seconds = np.round(seconds / unit) * unit
    seconds[np.diff(rows, prepend=-1) != 0] = np.inf
    gaps, place = np.unique(seconds.astype(np.float32), return_inverse=True)
    assert np.array_equal(found.gaps, gaps)
    assert np.array_equal(found.place, place)
    assert np.array_equal(found.known, np.flatnonzero(seconds > 0))
