"""Mean-reverting Gaussian processes in time (Ornstein-Uhlenbeck), one for each user or item.

Rows are ordered by user, then by time. ``keep[place[n]]`` is how much of the process remains from the row before row
``n``: exp(-gap / scale), 1 for the same second and 0 for a user's first row, so that one loop covers all users. A
Kalman filter runs forwards, and the draw runs backwards.
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

    ``mean`` and ``bias_mean`` become the posterior means. ``keep`` float32 (n_gaps,), the last of it 0; ``noise`` and
    ``bias_noise`` standard normal; ``room`` (2, n_rows): a buffer for the filter.
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
