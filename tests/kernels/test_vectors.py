"""Operations on sixteen floats at a time, and the solver that is made of them."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from cofactor.kernels.als import solve_rows, solve_without
from cofactor.kernels.bias import frozen
from cofactor.kernels.vectors import inverse_root, minus_product, times


@njit
def _all(out, x, y):
    minus_product(out, 0, x, 16, y, 3)
    times(out, 16, x, 0)
    inverse_root(out, 32, y, 0)


def test_each_operation_is_that_of_numpy_on_its_sixteen_floats():
    rng = np.random.default_rng(0)
    out, x, y = (rng.uniform(0.5, 2, size=(3, 16)).astype(np.float32) for _ in range(3))
    wanted = np.stack([out[0] - x[1] * y.ravel()[3:19], out[1] * x[0], 1 / np.sqrt(y[0])])
    _all(out, x, y)
    np.testing.assert_allclose(out, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "k"), [(0, 3), (1, 3), (7, 15), (33, 16), (50, 20)])
def test_a_history_without_an_entry_is_solved_as_that_history(n, k, weighted, spread):
    rng = np.random.default_rng(n + k)
    table = rng.normal(size=(60, k)).astype(np.float32)
    offsets = rng.normal(size=60).astype(np.float32)
    near = rng.uniform(0.1, 1, size=(60 if spread else 0, k + 1)).astype(np.float32)
    ridge, nu = rng.uniform(1, 3, size=k + 1).astype(np.float32), 0.0 if spread else 0.5
    items = np.sort(rng.choice(60, n, replace=False)).astype(np.int32)
    values, weights = rng.normal(size=n).astype(np.float32), rng.uniform(0.5, 2, size=n).astype(np.float32)
    positions = np.arange(0, n, 2)
    found = np.empty((1 + len(positions), k + 1), np.float32)
    here = np.arange(n, dtype=np.int32), values, weights if weighted else weights[:0], offsets[items], table[items]
    solve_without(*here, near[items] if spread else near, ridge, nu, positions, found)
    none = np.zeros((0, k + 1), np.float32)
    for row, left_out in enumerate([None, *positions.tolist()]):
        kept = np.delete(np.arange(n), [] if left_out is None else [left_out])
        one = np.empty((1, k + 1), np.float32)
        given = (
            np.array([0, len(kept)]),
            items[kept],
            values[kept],
            frozen(weights[kept] if weighted else weights[:0])[0],
        )
        solve_rows(0, 1, *given, offsets, table, near, ridge, nu, 1.0, none, one, none, np.zeros((0, 2)))
        np.testing.assert_allclose(found[row], one[0], rtol=2e-4, atol=2e-5)
