"""The Gibbs kernels against plain NumPy. A draw is linear in its noise, so its covariance can be checked exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from cofactor.kernels.gibbs.features import draw_weights
from cofactor.kernels.gibbs.fold_in import gather_samples, sum_rows
from cofactor.kernels.gibbs.leave_one_out import leave_out
from cofactor.kernels.gibbs.ordinal import cuts_loglik, draw_latent
from cofactor.kernels.gibbs.pairs import pair_dots, pair_variances
from cofactor.kernels.gibbs.rows import draw_rows, residuals, weighted_squares
from cofactor.kernels.gibbs.time import LANES, draw_drift, draw_pair, drift_at, drift_logliks, pair_logliks

F32 = np.float32


def sparse(rng: np.random.Generator, n_rows: int, n_cols: int, longest: int) -> tuple[Any, Any]:
    """indptr and cols of random rows, the first of them empty and the second longer than a chunk."""
    counts = rng.integers(1, longest, n_rows)
    counts[0], counts[1] = 0, 300
    return np.append(0, np.cumsum(counts)).astype(np.int64), rng.integers(0, n_cols, counts.sum()).astype(np.int32)


@pytest.mark.parametrize("shared_prior", [True, False])
def test_draw_rows_is_the_normal_posterior(shared_prior: bool) -> None:
    rng = np.random.default_rng(0)
    n_rows, n_cols, width = 37, 23, 5
    indptr, cols = sparse(rng, n_rows, n_cols, 30)
    target, other = rng.normal(size=len(cols)).astype(F32), rng.normal(size=(n_cols, width)).astype(F32)
    root = rng.uniform(0.5, 1.5, n_cols).astype(F32)
    weight, prior_mean = rng.uniform(0.5, 2, n_rows).astype(F32), rng.normal(size=(n_rows, width)).astype(F32)
    prior = rng.uniform(1, 3, (1 if shared_prior else n_rows, width)).astype(F32)
    draw, mean = np.empty((n_rows, width), F32), np.empty((n_rows, width), F32)

    def run(noise: Any) -> Any:
        draw_rows(indptr, cols, target, other, root, weight, prior_mean, prior, noise.astype(F32), draw, mean)
        return draw.copy()

    run(np.zeros((n_rows, width)))
    moved = [run(np.tile(unit, (n_rows, 1))) - mean for unit in np.eye(width)]
    for r in range(n_rows):
        at = slice(indptr[r], indptr[r + 1])
        x = np.column_stack([other[cols[at], :-1], np.ones(len(cols[at]))]).astype(float)
        w = weight[r] * root[cols[at]].astype(float) ** 2
        y = target[at] - other[cols[at], -1].astype(float)
        lam = np.diag(prior[0 if shared_prior else r]).astype(float)
        covariance = np.linalg.inv(lam + (x * w[:, None]).T @ x)
        np.testing.assert_allclose(mean[r], covariance @ (lam @ prior_mean[r] + x.T @ (w * y)), atol=2e-4)
        spread = np.column_stack([m[r] for m in moved])
        np.testing.assert_allclose(spread @ spread.T, covariance, atol=1e-4)


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("n", [1, 2, 9, 30])
def test_rows_left_out_are_solved_again_without_them(implicit: bool, n: int) -> None:
    rng = np.random.default_rng(n)
    count, width, n_goals, positions = 3, 4, 5, np.array([n - 1, 0], np.int64)
    table, target = rng.normal(size=(count, n, width)).astype(F32), rng.normal(size=n).astype(F32)
    weight, precision = rng.uniform(0.5, 2, (count, n)).astype(F32), rng.uniform(1, 3, (count, width)).astype(F32)
    centre, rest = rng.normal(size=(2, count, width)).astype(F32)
    said = rng.normal(size=(2, count * width)).astype(F32) if implicit else np.empty((0, 0), F32)
    goals, out = rng.normal(size=(n_goals, count * (width - 1))).astype(F32), np.empty((n_goals, 3))
    leave_out(table, target, weight, precision, centre, rest, said, 0.3, positions, goals, out)
    expected = np.zeros((3, n_goals))
    for s in range(count):
        x = np.column_stack([table[s, :, :-1], np.ones(n)]).astype(float)
        y, lam = target - table[s, :, -1].astype(float), np.diag(precision[s]).astype(float)
        goal = np.column_stack([goals.reshape(n_goals, count, -1)[:, s], np.ones(n_goals)])
        for row, gone in enumerate([None, *positions]):
            kept = np.arange(n) != gone
            w = x[kept].T * weight[s, kept]
            prior = centre[s] if gone is None else rest[s]
            if implicit and gone is not None:
                prior = prior - 0.3 * said[row - 1].reshape(count, width)[s]
            expected[row] += goal @ np.linalg.solve(lam + w @ x[kept], w @ y[kept] + lam @ prior) / count
    np.testing.assert_allclose(out.T, expected, rtol=1e-6, atol=1e-9)


def test_samples_of_items_are_gathered() -> None:
    rng = np.random.default_rng(3)
    count, k, items = 4, 3, np.array([5, 0, 5, 2], np.int32)
    factors, biases = rng.normal(size=(7, count * k + 2)).astype(F32), rng.normal(size=(7, count + 1)).astype(F32)
    out, total = np.empty((count, len(items), k + 1), F32), np.empty(count * k, F32)
    gather_samples(factors, biases, items, out)
    for s in range(count):
        np.testing.assert_array_equal(out[s, :, :k], factors[items, s * k : s * k + k])
        np.testing.assert_array_equal(out[s, :, k], biases[items, s])
    sum_rows(factors, items, total)
    np.testing.assert_allclose(total, factors[items, : count * k].sum(0), rtol=1e-6)
    sum_rows(factors, items[:0], total)
    assert not total.any()


def test_residuals_and_squares() -> None:
    rng = np.random.default_rng(1)
    indptr, cols = sparse(rng, 12, 9, 8)
    rows, other = rng.normal(size=(12, 4)).astype(F32), rng.normal(size=(9, 4)).astype(F32)
    target, out = rng.normal(size=len(cols)).astype(F32), np.empty(len(cols), F32)
    who = np.repeat(np.arange(12), np.diff(indptr))
    residuals(indptr, cols, target, rows, other, out)
    expected = target - (rows[who, :3] * other[cols, :3]).sum(1) - rows[who, 3] - other[cols, 3]
    np.testing.assert_allclose(out, expected, atol=1e-5)
    a, b = rng.uniform(1, 2, 12).astype(F32), rng.uniform(1, 2, 9).astype(F32)
    by_row, by_col = np.empty(12), np.empty(9)
    weighted_squares(indptr, cols, out, a, b, by_row, by_col)
    np.testing.assert_allclose(by_row, np.bincount(who, b[cols] * out.astype(float) ** 2, minlength=12), rtol=1e-5)
    np.testing.assert_allclose(by_col, np.bincount(cols, a[who] * out.astype(float) ** 2, minlength=9), rtol=1e-5)


def test_draw_weights_follows_each_conditional() -> None:
    rng = np.random.default_rng(2)
    n_rows, n_cols, width = 20, 7, 3
    x = rng.normal(size=(n_rows, n_cols)) * (rng.random((n_rows, n_cols)) < 0.4)
    cols, rows = np.nonzero(x.T)
    indptr = np.append(0, np.cumsum(np.bincount(cols, minlength=n_cols))).astype(np.int64)
    values, squares = x[rows, cols].astype(F32), (x**2).sum(0).astype(F32)
    target, noise = rng.normal(size=(n_rows, width)), rng.normal(size=(n_cols, width))
    weights = rng.normal(size=(n_cols, width)).astype(F32)
    own, block = rng.uniform(1, 4, width).astype(F32), np.array([0, 0, 0, 1, 1, 1, 1], dtype=np.int32)
    prior = rng.uniform(1, 4, (2, width)).astype(F32)
    expected = weights.astype(float)
    left = (target - x @ weights).astype(F32)
    draw_weights(indptr, rows.astype(np.int32), values, squares, own, prior, block, noise.astype(F32), weights, left)
    for j in range(n_cols):
        others = target - x @ expected + np.outer(x[:, j], expected[j])
        precision = prior[block[j]] + own * (x[:, j] ** 2).sum()
        expected[j] = own * (x[:, j] @ others) / precision + noise[j] / np.sqrt(precision)
    np.testing.assert_allclose(weights, expected, atol=1e-4)
    np.testing.assert_allclose(left, target - x @ expected, atol=1e-4)


def moods() -> tuple[Any, ...]:
    """Two users with uneven times (some equal): times, owners, distinct gaps, which of them each row has, errors, noise
    variances."""
    rng = np.random.default_rng(3)
    owner = np.array([0] * 7 + [1] * 5)
    times = np.array([0, 0, 4, 10, 11, 60, 400, 3, 3, 5, 90, 95])
    gaps = np.diff(times, prepend=0).astype(float)
    gaps[np.diff(owner, prepend=-1) != 0] = np.inf
    distinct, place = np.unique(gaps, return_inverse=True)
    errors, noise = rng.normal(size=12).astype(F32), rng.uniform(0.3, 1.0, 12).astype(F32)
    return times, owner, distinct.astype(F32), place.astype(np.int32), errors, noise


def covariance(times: Any, owner: Any, variance: float, scale: float) -> Any:
    same = owner[:, None] == owner
    return np.where(same, variance * np.exp(-np.abs(times[:, None] - times) / scale), 0.0)


def test_likelihoods_of_many_moods() -> None:
    times, owner, gaps, place, errors, noise = moods()
    rng = np.random.default_rng(5)
    scales, variances, factors = np.exp(rng.normal(size=(3, LANES))).astype(F32) * F32([[20.0], [0.4], [1.0]])
    found, precisions = np.empty(LANES), np.exp(rng.normal(size=LANES)).astype(F32) * F32(2.0)
    drift_logliks(place, np.exp(gaps[:, None] / -scales), errors, noise, variances, factors, precisions, found)
    for c in range(LANES):
        total = covariance(times, owner, variances[c], scales[c]) + np.diag(noise * factors[c])
        total += (owner[:, None] == owner) / precisions[c]  # the biases
        _, logdet = np.linalg.slogdet(total)
        expected = -0.5 * (errors @ np.linalg.solve(total, errors) + logdet)
        assert found[c] == pytest.approx(expected, abs=1e-4)


def test_mood_and_bias_are_drawn_together() -> None:
    times, owner, gaps, place, errors, noise = moods()
    n, one = len(errors), (np.arange(2) == owner[:, None]).astype(float)
    keep, room = np.exp(gaps / F32(-20.0)), np.empty((2, n), F32)

    def run(z: Any) -> Any:
        mean, mood = np.empty(n, F32), np.empty(n, F32)
        bias_mean, bias = np.empty(2, F32), np.empty(2, F32)
        z = z.astype(F32)
        draw_drift(place, keep, errors, noise, 0.7, 2.0, z[:n], z[n:], room, mean, mood, bias_mean, bias)
        return np.append(mean, bias_mean), np.append(mood, bias).astype(float)

    prior = np.block([[covariance(times, owner, 0.7, 20.0), np.zeros((n, 2))], [np.zeros((2, n)), np.eye(2) / 2.0]])
    design = np.hstack([np.eye(n), one])
    gain = np.linalg.solve(design @ prior @ design.T + np.diag(noise), design @ prior).T
    mean, centre = run(np.zeros(n + 2))
    np.testing.assert_allclose(centre, gain @ errors, atol=1e-5)
    np.testing.assert_allclose(mean, centre, atol=1e-6)
    spread = np.column_stack([run(unit)[1] - centre for unit in np.eye(n + 2)])
    np.testing.assert_allclose(spread @ spread.T, prior - gain @ design @ prior, atol=1e-5)
    assert np.ptp(run(np.ones(n + 2))[0] - mean) == 0.0  # the mean is not drawn


def test_likelihoods_of_two_moods() -> None:
    times, owner, gaps, place, errors, noise = moods()
    rng = np.random.default_rng(6)
    scales, variances = np.exp(rng.normal(size=(2, 2, LANES))).astype(F32) * F32([[[20.0]], [[0.4]]])
    factors, precisions = np.exp(rng.normal(size=(2, LANES))).astype(F32)
    found, keep = np.empty(LANES), [np.exp(gaps[:, None] / -each) for each in scales]
    pair_logliks(place, *keep, errors, noise, *variances, factors, precisions, found)
    for c in range(LANES):
        total = sum(covariance(times, owner, variances[p, c], scales[p, c]) for p in range(2))
        total = total + np.diag(noise * factors[c]) + (owner[:, None] == owner) / precisions[c]
        _, logdet = np.linalg.slogdet(total)
        expected = -0.5 * (errors @ np.linalg.solve(total, errors) + logdet)
        assert found[c] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [1.0, 1e-6])
def test_two_moods_and_a_bias_are_drawn_together(size: float) -> None:
    times, owner, gaps, place, errors, noise = moods()
    noise = noise * F32(size)
    n, one = len(errors), (np.arange(2) == owner[:, None]).astype(float)
    scales, variance = F32([[3.0], [50.0]]), np.array([0.7, 0.3])
    keep, room = np.exp(gaps / -scales), np.empty((6, n), F32)

    def run(z: Any) -> Any:
        mean, mood = np.empty((2, n), F32), z[: 2 * n].astype(F32).reshape(2, n)
        bias_mean, bias, normal = np.empty(2, F32), np.empty(2, F32), z[2 * n :].astype(F32)
        draw_pair(place, keep, errors, noise, variance, 2.0, normal, room, *mean, *mood, bias_mean, bias)
        return np.append(mean, bias_mean), np.append(mood, bias).astype(float)

    prior = np.zeros((2 * n + 2, 2 * n + 2))
    for p in range(2):
        prior[p * n : (p + 1) * n, p * n : (p + 1) * n] = covariance(times, owner, variance[p], float(scales[p, 0]))
    prior[2 * n :, 2 * n :] = np.eye(2) / 2.0
    design = np.hstack([np.eye(n), np.eye(n), one])
    gain = np.linalg.solve(design @ prior @ design.T + np.diag(noise.astype(float)), design @ prior).T
    mean, centre = run(np.zeros(2 * n + 2))
    np.testing.assert_allclose(centre, gain @ errors, atol=2e-5)
    np.testing.assert_allclose(mean, centre, atol=2e-6)
    spread = np.column_stack([run(unit)[1] - centre for unit in np.eye(2 * n + 2)])
    np.testing.assert_allclose(spread @ spread.T, prior - gain @ design @ prior, atol=2e-5)
    assert np.ptp(run(np.ones(2 * n + 2))[0] - mean) == 0.0  # the means are not drawn


def test_mood_between_known_times() -> None:
    times, owner, gaps, place, _, _ = moods()
    first, prior = gaps[place] > 0, covariance(times, owner, 0.7, 20.0)
    known, who = times[first], owner[first]
    indptr = np.append(0, np.cumsum(np.bincount(who))).astype(np.int64)
    values = np.random.default_rng(5).normal(size=len(known))
    users = np.array([0, 0, 0, 0, 1, 1, 1, -1], dtype=np.int32)
    when = np.array([-5, 4, 30, 5000, 0, 4, 93, 4])
    out, spread = np.zeros(8), np.zeros(8)
    drift_at(indptr, known, values, 20.0, 0.7, 0.0, users, when, out, spread)
    inside = prior[np.ix_(first, first)]
    for q in range(8):
        cross = np.where(who == users[q], 0.7 * np.exp(-np.abs(known - when[q]) / 20.0), 0.0)
        np.testing.assert_allclose(out[q], cross @ np.linalg.solve(inside, values), atol=1e-9)
        np.testing.assert_allclose(spread[q], 0.7 - cross @ np.linalg.solve(inside, cross), atol=1e-9)


def test_pairs() -> None:
    rng = np.random.default_rng(6)
    count, k = 5, 3
    p, q = rng.normal(size=(4, count * k)).astype(F32), rng.normal(size=(6, count * k)).astype(F32)
    a, b = rng.normal(size=(4, count)).astype(F32), rng.normal(size=(6, count)).astype(F32)
    users, items = np.array([0, 2, -1], dtype=np.int32), np.array([5, -1, 1], dtype=np.int32)
    dots, variances = np.empty(3, F32), np.empty(3)
    pair_dots(p, q, users, items, 9, dots)
    np.testing.assert_allclose(dots, (p[users, :9] * q[items, :9]).sum(1), atol=1e-5)
    pair_variances(p, a, q, b, users, items, count, k, variances)
    each = (p[users] * q[items]).reshape(3, count, k).sum(2) + a[users] + b[items]
    np.testing.assert_allclose(variances, each.var(1, ddof=1), rtol=1e-5)


def test_ordinal_kernels_against_scipy() -> None:
    rng = np.random.default_rng(7)
    cuts = np.array([-np.inf, -1.0, 0.2, 0.9, np.inf])
    level = rng.integers(0, 4, 400).astype(np.int32)
    fit, variance = (3 * rng.normal(size=400)).astype(F32), rng.uniform(0.1, 2.0, 400).astype(F32)
    fit[:2], variance[:2], level[:2] = [9.0, -9.0], 0.1, [0, 3]  # some thirty deviations off
    sd = np.sqrt(variance.astype(float))
    a, b = (cuts[level] - fit) / sd, (cuts[level + 1] - fit) / sd
    flip = a > 0
    low, high = np.where(flip, -b, a), np.where(flip, -a, b)
    chance = np.where(ndtr(high) > 0, ndtr(high) - ndtr(low), 0.0)
    expected = np.log(np.maximum(chance, 1e-100)).sum()
    assert cuts_loglik(level, fit, variance, cuts) == pytest.approx(expected, rel=1e-6)
    uniform, latent = rng.random(400), np.empty(400, F32)
    draw_latent(level, fit, variance, cuts, uniform, latent)
    assert (latent >= cuts[level] - 1e-5).all()
    assert (latent <= cuts[level + 1] + 1e-5).all()
    plain = np.abs(fit) < 4
    flip = (a + b > 0)[plain]
    low, high = np.where(flip, -b[plain], a[plain]), np.where(flip, -a[plain], b[plain])
    z = ndtri(ndtr(low) + uniform[plain] * (ndtr(high) - ndtr(low)))
    np.testing.assert_allclose(latent[plain], fit[plain] + sd[plain] * np.where(flip, -z, z), atol=1e-3)
