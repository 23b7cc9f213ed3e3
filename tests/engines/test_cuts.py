"""Blocks of rows: where they begin, and what is sorted by them, beside plain NumPy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cofactor.engines.cuts import by_block, cut, needed
from cofactor.kernels.sums import CHUNK


@pytest.mark.parametrize("n", [1, CHUNK, CHUNK + 1, 70_000])
@pytest.mark.parametrize("workers", [1, 3])
def test_blocks_are_whole_chunks_and_hold_every_row(n, workers):
    cuts = cut(n, 8192, workers)
    assert cuts[0] == 0
    assert cuts[-1] == n
    assert all(0 < hi - lo <= 8192 for lo, hi in pairwise(cuts))
    assert all(at % CHUNK == 0 for at in cuts[:-1])


@pytest.mark.parametrize("blocks", [1, 7, 70_000])
def test_entries_come_in_order_of_block_and_keep_their_order_within(blocks):
    rng = np.random.default_rng(blocks)
    cuts = [*range(0, 3 * blocks, 3), 3 * blocks - 1]
    codes = rng.integers(0, cuts[-1], 5000).astype(np.int32)
    order, ends = by_block(codes, cuts)
    block = np.searchsorted(cuts, codes, side="right") - 1
    np.testing.assert_array_equal(order, np.lexsort((np.arange(len(codes)), block)))
    np.testing.assert_array_equal(ends, np.searchsorted(block[order], np.arange(len(cuts))))


@pytest.mark.parametrize("n", [0, 1, 400])
def test_codes_that_occur_and_the_place_of_each(n):
    codes = np.random.default_rng(n).integers(0, 900, n).astype(np.int32)
    found, place = needed(codes, 900)
    expected, places = np.unique(codes, return_inverse=True)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(place, places)
    assert found.dtype == place.dtype == np.int32
