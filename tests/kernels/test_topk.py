"""Top-n selection against a full sort."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cofactor.kernels.topk import mask_columns, mask_seen, topk

Array = Any


def by_sorting(scores: Array, n: int) -> tuple[Array, Array]:
    """Sort by score downwards, then by code upwards."""
    n = min(n, scores.shape[1])
    codes = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    values = np.take_along_axis(scores, codes, axis=1)
    return np.where(np.isneginf(values), -1, codes), values


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 5),
    columns=st.integers(1, 400),
    n=st.integers(1, 420),
    levels=st.sampled_from([1, 3, 50, 10**6]),
)
def test_same_as_sorting_with_ties_to_the_lower_code(seed: int, rows: int, columns: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-levels, levels, (rows, columns)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    codes, values = topk(scores, n)
    want_codes, want_values = by_sorting(scores, n)
    np.testing.assert_array_equal(codes, want_codes)
    np.testing.assert_array_equal(values, want_values)
    assert codes.dtype == np.int32
    assert values.dtype == np.float32


@pytest.mark.parametrize("ascending", [True, False])
def test_sorted_rows(ascending: bool) -> None:
    row = np.arange(1000, dtype=np.float32)[:: 1 if ascending else -1]
    codes, values = topk(np.stack([row, row]), 7)
    np.testing.assert_array_equal(values[1], np.arange(999, 992, -1))
    np.testing.assert_array_equal(codes[0], np.arange(999, 992, -1) if ascending else np.arange(7))


def test_masks_and_nan() -> None:
    scores = np.arange(12, dtype=np.float32).reshape(2, 6)
    mask_seen(scores, np.array([0, 2, 3]), np.array([5, 4, 0], np.int32))
    mask_columns(scores, np.array([True, True, True, False, True, True]))
    scores[0, 2] = np.nan
    codes, values = topk(scores, 4)
    np.testing.assert_array_equal(codes, [[1, 0, -1, -1], [5, 4, 2, 1]])
    np.testing.assert_array_equal(values[0], [1, 0, -np.inf, -np.inf])
    assert topk(scores, 0)[0].shape == (2, 0)
