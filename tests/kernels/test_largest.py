"""The largest values of a row, with one rule for equal ones, against sorting."""

import numpy as np

from cofactor.kernels.gain import ndcg_of_ranks
from cofactor.kernels.largest import best_places, edge_of
from cofactor.kernels.similarity import keep_nearest


def test_the_edge_of_the_largest():
    rng = np.random.default_rng(0)
    for n in range(1, 30):
        values = rng.integers(1, 8, n).astype(np.float32)
        for k in (1, 3, n, n + 2):
            edge, room = edge_of(values, k)
            above = int((values > edge).sum())
            assert above + min(room, int((values == edge).sum())) == min(n, k)
            if n > k:
                assert edge == np.sort(values)[n - k]


def test_places_are_those_of_a_stable_sort():
    rng = np.random.default_rng(1)
    for n in range(1, 30):
        row = rng.integers(0, 6, n).astype(np.float32)
        row[rng.random(n) < 0.2] = -np.inf
        top = np.empty(7, dtype=np.int64)
        held = best_places(row, top)
        wanted = [i for i in np.argsort(-row, kind="stable") if row[i] > -np.inf][:7]
        assert top[:held].tolist() == wanted


def test_products_of_0_are_no_neighbours():
    near, weight = np.empty(4, dtype=np.int32), np.empty(4, dtype=np.float32)
    assert keep_nearest(np.array([0, 2, 0, 1, -1], dtype=np.float32), near, weight) == 2
    assert near[:2].tolist() == [1, 3]


def test_gain_of_one_relevant_item():
    assert np.allclose(ndcg_of_ranks(np.array([1, 3, 20, 21]), 20), [1, 0.5, 1 / np.log2(21), 0])
