"""The losses of a batch, spelled out in instructions, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from cofactor.kernels.dot_bias.loss import BCE, HUBER, LEAN, MAE, MSE, batch_loss

LO, HI = 0.5, 5.5


@njit(**LEAN)
def loss_of(z, y, e, n, whole, loss, lo, hi, ranged):
    return batch_loss(z, y, e, n, whole, loss, lo, hi, ranged)


def plain(z, y, whole, loss, ranged):
    """Loss and gradient in float64."""
    s = 1 / (1 + np.exp(-z))
    width = HI - LO
    if loss == BCE:
        t = (y - LO) / width
        return (np.logaddexp(0, z) - z * t).sum() / whole, (s - t) / whole
    error = LO + width * s - y if ranged else z - y
    slope = (width * s * (1 - s) if ranged else np.ones_like(z)) / whole
    if loss == MSE:
        return (error**2).sum() / whole, slope * 2 * error
    if loss == MAE:
        return np.abs(error).sum() / whole, slope * np.sign(error)
    d = np.clip(error, -1, 1)
    return (d * (error - 0.5 * d)).sum() / whole, slope * d


@pytest.mark.parametrize("ranged", [True, False])
@pytest.mark.parametrize("loss", [MSE, MAE, HUBER, BCE])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 64, 70])
def test_losses_are_those_of_numpy(loss, ranged, n):
    rng = np.random.default_rng(n)
    room = (n + 15) // 16 * 16
    z, y, e = (np.full(room, np.nan, np.float32) for _ in range(3))  # what lies beyond n does not count
    z[:n], y[:n] = rng.normal(size=n) * 2, rng.uniform(LO, HI, n)
    if n > 16:
        y[3] = z[3]  # no error at all, without a range
    wanted, gradient = plain(z[:n].astype(float), y[:n].astype(float), n + 5, loss, ranged)
    before = z.copy()
    found = loss_of(z, y, e, n, n + 5, loss, LO, HI, ranged)
    assert found == pytest.approx(wanted, rel=2e-6)
    np.testing.assert_allclose(e[:n], gradient, rtol=2e-5, atol=1e-7)
    np.testing.assert_array_equal(z, before)


@pytest.mark.parametrize("loss", [MSE, MAE, HUBER])
def test_what_is_no_number_stays_so(loss):
    z, y, e = (np.ones(16, np.float32) for _ in range(3))
    z[2] = np.nan
    assert np.isnan(loss_of(z, y, e, 16, 16, loss, LO, HI, True))
    assert np.isnan(e[2])
    assert np.isfinite(e[3:]).all()
