"""Sums over rows have the same bits however the rows are cut into blocks, and are sums."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cofactor.data.interactions import csr
from cofactor.kernels import bias, sums
from cofactor.kernels.sums import CHUNK, chunk_sum, leaves_of, nodes_of, row_sum, total


@given(st.integers(0, 40), st.lists(st.integers(0, 40), max_size=6), st.integers(0, 2**32))
def test_any_cut_gives_the_same_bits(n: int, cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((n * CHUNK + int(rng.integers(1, CHUNK)), 3)) * 10.0 ** rng.integers(-6, 6)
    edges = [0, *sorted({min(c * CHUNK, len(table)) for c in cuts} - {0, len(table)}), len(table)]
    nodes = []
    for lo, hi in pairwise(edges):
        part = nodes_of(leaves_of(table[lo:hi]), lo // CHUNK)
        assert len(part) <= 2 * max(1, len(leaves_of(table[lo:hi])).bit_length())  # few, however long the block
        nodes += part
    whole = row_sum(table)
    assert np.array_equal(total(nodes), whole)
    np.testing.assert_allclose(whole, table.sum(axis=0), rtol=1e-9, atol=1e-9 * np.abs(table).sum())
    assert np.array_equal(chunk_sum(lambda part: leaves_of(table[part])[0], len(table)), whole)


def test_nothing_to_sum() -> None:
    assert row_sum(np.zeros((0, 2))).tolist() == [0.0, 0.0]
    assert row_sum(np.zeros(0)) == 0.0
    assert total([]) is None
    assert sums.chunk_sum(lambda part: 1, 0) is None


def test_biases_against_plain_numpy() -> None:
    rng = np.random.default_rng(3)
    users, items = rng.integers(0, 50, 900).astype(np.int32), rng.integers(0, 30, 900).astype(np.int32)
    values = rng.integers(1, 6, 900).astype(np.float32)
    by_user, by_item = csr(users, items, values, 52, 31), csr(items, users, values, 31, 52)
    mean = bias.mean_value(by_user)
    np.testing.assert_allclose(mean, values.mean(dtype=np.float64), rtol=1e-14)
    found = np.zeros(52), np.zeros(31)
    mine = np.zeros(52), np.zeros(31)
    for _ in range(3):
        loss = bias.sweep(by_user, by_item, mean, *found, 4.0, 2.0)
        left = values.astype(np.float64) - mean
        counts = np.bincount(items, minlength=31)
        mine[1][:] = np.bincount(items, left - mine[0][users], minlength=31) / (counts + 2.0)
        counts = np.bincount(users, minlength=52)
        mine[0][:] = np.bincount(users, left - mine[1][items], minlength=52) / (counts + 4.0)
        np.testing.assert_allclose(loss, np.mean((left - mine[0][users] - mine[1][items]) ** 2), rtol=1e-12)
    np.testing.assert_allclose(found[0], mine[0], atol=1e-12)
    np.testing.assert_allclose(found[1], mine[1], atol=1e-12)
