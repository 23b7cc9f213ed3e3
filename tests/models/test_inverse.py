"""The inverse in tiles: against NumPy, with the same bits at any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config

from cofactor.models.base.inverse import inverse_in_place


def positive(n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(2 * n + 1, n))
    return (x.T @ x / n + np.eye(n)).astype(np.float32)


@pytest.mark.parametrize(("n", "tile"), [(1, 16), (16, 16), (17, 16), (70, 16), (100, 33), (64, 100)])
def test_is_the_inverse(n: int, tile: int) -> None:
    matrix = positive(n)
    mine = np.where(np.tri(n, k=-1, dtype=bool), np.float32(np.inf), matrix)  # only the upper half is read
    assert inverse_in_place(mine, tile)
    np.testing.assert_allclose(np.triu(mine), np.triu(np.linalg.inv(matrix.astype(np.float64))), atol=2e-5)


def test_the_same_bits_at_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        matrix = positive(90)
        assert inverse_in_place(matrix, 16)
        found.append(np.triu(matrix).tobytes())
    assert len(set(found)) == 1


@pytest.mark.parametrize("at", [0, 5, 40])
def test_says_where_there_is_none(at: int) -> None:
    matrix = positive(50)
    matrix[at, at] = -1.0
    assert not inverse_in_place(matrix, 16)
