"""Mean-reverting Gaussian processes in time (Ornstein-Uhlenbeck), one for each user or item.

Rows are ordered by user, then by time. ``keep[place[n]]`` is how much of the process remains from the row before row
``n``: exp(-gap / scale), 1 for the same second and 0 for a user's first row, so that one loop covers all users. A
Kalman filter runs forwards, and the draw runs backwards. Two processes of the same rows explain the same ratings, so
they are drawn together: one at a time, each would wait hundreds of sweeps for the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
LANES = 16
"""Number of candidates whose likelihoods are computed side by side, one in each SIMD lane."""
PIECE = 32
"""Number of rows after which logarithms are taken."""


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy")
def drift_logliks(
    place: Array,
    keep: Array,
    errors: Array,
    noise_variance: Array,
    variance: Array,
    noise_factor: Array,
    bias_precision: Array,
    out: Array,
) -> None:
    """Compute log-likelihoods of ``LANES`` candidates, with the process and each user's bias integrated out (constants
    are left out).

    ``keep`` float32 (n_gaps, LANES), its last row 0; ``variance`` of the process, and ``noise_factor``, which
    multiplies the noise variances, float32 (LANES,); ``bias_precision`` float32 (LANES,): of the biases' prior around
    0; ``out`` float64.
    """
    mean, of_one, spread = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    ones, both = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    squares, product = np.zeros(LANES, np.float32), np.ones(LANES)
    begins, prior, unit = len(keep) - 1, bias_precision, np.float32(1.0)
    out[:] = 0.0
    for first in range(0, len(errors), PIECE):
        for n in range(first, min(first + PIECE, len(errors))):
            kept, error, noise = keep[place[n]], errors[n], noise_variance[n]
            if place[n] == begins:
                for c in range(LANES):
                    share = unit / (prior[c] + ones[c])
                    squares[c] -= both[c] * both[c] * share
                    product[c] *= (prior[c] + ones[c]) / prior[c]
                    ones[c], both[c] = 0.0, 0.0
            for c in range(LANES):
                k, noisy = kept[c], noise * noise_factor[c]
                ahead = variance[c] + k * k * (spread[c] - variance[c])
                wrong, one = error - k * mean[c], unit - k * of_one[c]
                share = unit / (ahead + noisy)
                squares[c] += wrong * wrong * share
                ones[c] += one * one * share
                both[c] += one * wrong * share
                product[c] *= ahead + noisy
                gain = ahead * share
                mean[c] = k * mean[c] + gain * wrong
                of_one[c] = k * of_one[c] + gain * one
                spread[c] = gain * noisy
        for c in range(LANES):
            out[c] -= 0.5 * (squares[c] + math.log(product[c]))
            squares[c], product[c] = 0.0, 1.0
    for c in range(LANES):
        known = prior[c] + ones[c]
        out[c] -= 0.5 * (math.log(known / prior[c]) - both[c] * both[c] / known)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy")
def pair_logliks(
    place: Array,
    keep: Array,
    other_keep: Array,
    errors: Array,
    noise_variance: Array,
    variance: Array,
    other_variance: Array,
    noise_factor: Array,
    bias_precision: Array,
    out: Array,
) -> None:
    """Compute the same with two processes and the biases integrated out.

    ``a``, ``c`` are the variances of the two given the rows so far, ``b`` their covariance (never above 0) and ``det``
    the determinant, which is carried along because ``a * c - b * b`` would lose its digits where noise is small.
    """
    state = np.zeros((8, LANES), np.float32)
    mean, other_mean, of_one, other_one, a, b, c, det = state
    ones, both = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    squares, product = np.zeros(LANES, np.float32), np.ones(LANES)
    begins, prior, unit = len(keep) - 1, bias_precision, np.float32(1.0)
    out[:] = 0.0
    for first in range(0, len(errors), PIECE):
        for n in range(first, min(first + PIECE, len(errors))):
            kept, other_kept, error, noise = keep[place[n]], other_keep[place[n]], errors[n], noise_variance[n]
            if place[n] == begins:
                for i in range(LANES):
                    share = unit / (prior[i] + ones[i])
                    squares[i] -= both[i] * both[i] * share
                    product[i] *= (prior[i] + ones[i]) / prior[i]
                    ones[i], both[i] = 0.0, 0.0
            for i in range(LANES):
                k, h, noisy = kept[i], other_kept[i], noise * noise_factor[i]
                fresh, other_fresh = variance[i] * (unit - k * k), other_variance[i] * (unit - h * h)
                old, other_old = k * k * a[i], h * h * c[i]
                sure = k * k * h * h * det[i] + old * other_fresh + other_old * fresh + fresh * other_fresh
                ahead, other_ahead, shared = old + fresh, other_old + other_fresh, k * h * b[i]
                moved, other_moved = k * mean[i], h * other_mean[i]
                moved_one, other_moved_one = k * of_one[i], h * other_one[i]
                wrong, one = error - moved - other_moved, unit - moved_one - other_moved_one
                total = ahead + shared + shared + other_ahead + noisy
                share = unit / total
                squares[i] += wrong * wrong * share
                ones[i] += one * one * share
                both[i] += one * wrong * share
                product[i] *= total
                gain, other_gain = (ahead + shared) * share, (other_ahead + shared) * share
                mean[i], other_mean[i] = moved + gain * wrong, other_moved + other_gain * wrong
                of_one[i], other_one[i] = moved_one + gain * one, other_moved_one + other_gain * one
                a[i], c[i] = (sure + ahead * noisy) * share, (sure + other_ahead * noisy) * share
                b[i], det[i] = (shared * noisy - sure) * share, sure * noisy * share
        for i in range(LANES):
            out[i] -= 0.5 * (squares[i] + math.log(product[i]))
            squares[i], product[i] = 0.0, 1.0
    for i in range(LANES):
        known = prior[i] + ones[i]
        out[i] -= 0.5 * (math.log(known / prior[i]) - both[i] * both[i] / known)


@njit(cache=True, nogil=True, error_model="numpy")
def draw_drift(
    place: Array,
    keep: Array,
    errors: Array,
    noise_variance: Array,
    variance: float,
    bias_precision: float,
    noise: Array,
    bias_noise: Array,
    room: Array,
    mean: Array,
    drift: Array,
    bias_mean: Array,
    bias: Array,
) -> None:
    """Draw ``drift``, and with it the ``bias`` of each user with rows, given ``errors``, which contain both.

    ``mean`` and ``bias_mean`` become the posterior means. ``keep`` float32 (n_gaps,), the last of it 0; ``noise``
    (which may be the array ``drift``) and ``bias_noise`` standard normal; ``room`` (2, n_rows): a buffer.
    """
    begins, first, user = len(keep) - 1, 0, 0
    spread, of_one = room
    while first < len(errors):
        m, one_m, p, ones, both = 0.0, 0.0, variance, 0.0, 0.0
        end = first
        while end == first or (end < len(errors) and place[end] != begins):
            k = np.float64(keep[place[end]])
            ahead = variance + k * k * (p - variance)
            share = 1.0 / (ahead + noise_variance[end])
            wrong, one = errors[end] - k * m, 1.0 - k * one_m
            ones += one * one * share
            both += one * wrong * share
            m = k * m + ahead * share * wrong
            one_m = k * one_m + ahead * share * one
            p = ahead * share * noise_variance[end]
            mean[end], of_one[end], spread[end] = m, one_m, p
            end += 1
        centre = both / (bias_precision + ones)
        bias_mean[user] = centre
        bias[user] = centre + bias_noise[user] / math.sqrt(bias_precision + ones)
        above, above_mean, k = 0.0, 0.0, np.float64(0.0)
        for n in range(end - 1, first - 1, -1):
            m, one_m, p = np.float64(mean[n]), np.float64(of_one[n]), np.float64(spread[n])
            pull = p * k / (variance + k * k * (p - variance))
            rest = 1.0 - pull * k
            above_mean = rest * (m - centre * one_m) + pull * above_mean
            above = rest * (m - bias[user] * one_m) + pull * above + math.sqrt(max(p * rest, 0.0)) * noise[n]
            mean[n], drift[n] = above_mean, above
            k = np.float64(keep[place[n]])
        first = end
        user += 1


@njit(cache=True, nogil=True, error_model="numpy")
def draw_pair(
    place: Array,
    keep: Array,
    errors: Array,
    noise_variance: Array,
    variance: Array,
    bias_precision: float,
    bias_noise: Array,
    room: Array,
    mean: Array,
    other_mean: Array,
    drift: Array,
    other_drift: Array,
    bias_mean: Array,
    bias: Array,
) -> None:
    """Draw two processes, and with them the biases.

    ``keep`` float32 (2, n_gaps), ``variance`` (2,), ``room`` (6, n_rows); ``drift`` and ``other_drift`` hold standard
    normal numbers and become the draws. The rest is as in ``draw_drift``, and variances are carried as in
    ``pair_logliks``. Backwards, no term is a difference of close numbers either.
    """
    begins, first, user = keep.shape[1] - 1, 0, 0
    v, w = variance[0], variance[1]
    while first < len(errors):
        m, o, one_m, one_o = 0.0, 0.0, 0.0, 0.0
        a, b, c, det, ones, both = v, 0.0, w, v * w, 0.0, 0.0
        end = first
        while end == first or (end < len(errors) and place[end] != begins):
            k, h = np.float64(keep[0, place[end]]), np.float64(keep[1, place[end]])
            q, r, noisy = v * (1.0 - k * k), w * (1.0 - h * h), noise_variance[end]
            sure = k * k * h * h * det + k * k * a * r + h * h * c * q + q * r
            ahead, other, shared = k * k * a + q, h * h * c + r, k * h * b
            share = 1.0 / (ahead + 2.0 * shared + other + noisy)
            wrong, one = errors[end] - k * m - h * o, 1.0 - k * one_m - h * one_o
            ones += one * one * share
            both += one * wrong * share
            gain, other_gain = (ahead + shared) * share, (other + shared) * share
            m, o = k * m + gain * wrong, h * o + other_gain * wrong
            one_m, one_o = k * one_m + gain * one, h * one_o + other_gain * one
            a, c = (sure + ahead * noisy) * share, (sure + other * noisy) * share
            b, det = (shared * noisy - sure) * share, sure * noisy * share
            mean[end], other_mean[end], room[0, end], room[1, end] = m, o, one_m, one_o
            room[2, end], room[3, end], room[4, end], room[5, end] = a, b, c, det
            end += 1
        centre = both / (bias_precision + ones)
        bias_mean[user] = centre
        bias[user] = centre + bias_noise[user] / math.sqrt(bias_precision + ones)
        x, y, x_mean, y_mean, k, h = 0.0, 0.0, 0.0, 0.0, np.float64(0.0), np.float64(0.0)
        for n in range(end - 1, first - 1, -1):
            m, o = np.float64(mean[n]), np.float64(other_mean[n])
            one_m, one_o = np.float64(room[0, n]), np.float64(room[1, n])
            a, b = np.float64(room[2, n]), np.float64(room[3, n])
            c, det = np.float64(room[4, n]), np.float64(room[5, n])
            q, r = v * (1.0 - k * k), w * (1.0 - h * h)
            if q == 0.0 and r == 0.0:  # the next row is of the same second
                mean[n], other_mean[n], drift[n], other_drift[n] = x_mean, y_mean, x, y
            else:
                size = 1.0 / (k * k * h * h * det + k * k * a * r + h * h * c * q + q * r)
                pull, across = k * (h * h * det + a * r) * size, b * h * q * size
                back, other_pull = b * k * r * size, h * (k * k * det + c * q) * size
                spread, shared = (h * h * det + a * r) * q * size, b * q * r * size
                first_size = math.sqrt(max(spread, 0.0))
                slope = shared / first_size if first_size > 0.0 else 0.0
                rest = math.sqrt(max((k * k * det + c * q) * r * size - slope * slope, 0.0))
                m_mean, o_mean = m - centre * one_m, o - centre * one_o
                off, other_off = x_mean - k * m_mean, y_mean - h * o_mean
                x_mean, y_mean = m_mean + pull * off + across * other_off, o_mean + back * off + other_pull * other_off
                m, o = m - bias[user] * one_m, o - bias[user] * one_o
                off, other_off = x - k * m, y - h * o
                z = drift[n]
                x = m + pull * off + across * other_off + first_size * z
                y = o + back * off + other_pull * other_off + slope * z + rest * other_drift[n]
                mean[n], other_mean[n], drift[n], other_drift[n] = x_mean, y_mean, x, y
            k, h = np.float64(keep[0, place[n]]), np.float64(keep[1, place[n]])
        first = end
        user += 1


@njit(cache=True, nogil=True, error_model="numpy")
def drift_at(
    indptr: Array,
    times: Array,
    mean: Array,
    scale: float,
    variance: float,
    open_variance: float,
    users: Array,
    when: Array,
    out: Array,
    spread: Array,
) -> None:
    """Add the drift of ``users`` at the times ``when`` to ``out``, and its variance to ``spread``.

    Known rows (distinct times, ascending for each user) have the drift ``mean`` with the variance ``open_variance``;
    between them it is interpolated, outside it decays. A user of -1 has a drift of 0.
    """
    for q in range(len(users)):
        before, after, m_before, m_after = 0.0, 0.0, 0.0, 0.0
        if users[q] >= 0:
            lo, hi = indptr[users[q]], indptr[users[q] + 1]
            b = lo + np.searchsorted(times[lo:hi], when[q])
            if b < hi:
                after = math.exp(-(times[b] - when[q]) / scale)
                m_after = mean[b]
            if b > lo:
                before = math.exp(-(when[q] - times[b - 1]) / scale)
                m_before = mean[b - 1]
        if after == 1.0:
            before = 0.0
        rest = 1.0 - before * before * after * after
        of_before, of_after = before * (1.0 - after * after) / rest, after * (1.0 - before * before) / rest
        out[q] += of_before * m_before + of_after * m_after
        spread[q] += variance * (1.0 - of_before * before - of_after * after)
        spread[q] += open_variance * (of_before * of_before + of_after * of_after)
