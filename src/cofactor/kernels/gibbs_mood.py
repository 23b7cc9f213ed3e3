"""A user's mood: a mean-reverting Gaussian process in time (Ornstein-Uhlenbeck) added to all ratings of the user.

Rows stand by user, then by time. ``keep`` is how much of the mood lasts from the row before: exp(-gap / scale), 1 for
the same second and 0 for a user's first row, so that one loop goes over all users. A Kalman filter goes forwards, the
draw backwards.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, error_model="numpy")
def filter_mood(
    keep: Array, errors: Array, noise_variance: Array, variance: float, mean: Array, spread: Array
) -> float:
    """Mood at each row given the errors up to it: ``mean`` and ``spread`` (its variance). Gives the log-likelihood."""
    m, p, squares, logs, product = 0.0, variance, 0.0, 0.0, 1.0
    for n in range(len(errors)):
        k = keep[n]
        m *= k
        p = k * k * p + variance * (1.0 - k * k)
        total = p + noise_variance[n]
        error = errors[n] - m
        gain = p / total
        squares += error * error / total
        product *= total
        if product > 1e100 or product < 1e-100:
            logs += math.log(product)
            product = 1.0
        m += gain * error
        p = gain * noise_variance[n]
        mean[n] = m
        spread[n] = p
    return -0.5 * (squares + logs + math.log(product))


@njit(cache=True, nogil=True, error_model="numpy")
def draw_mood(
    keep: Array, variance: float, mean: Array, spread: Array, noise: Array, mood: Array
) -> tuple[float, float]:
    """Draw ``mood`` backwards from a filter's result; ``mean`` becomes its posterior mean.

    Gives the sum of squared innovations, each over its share of the variance, and how many there are.
    """
    squares, count = 0.0, 0.0
    above, above_mean, k_above = 0.0, 0.0, 0.0
    for n in range(len(mood) - 1, -1, -1):
        m, p = mean[n], spread[n]
        ahead = k_above * k_above * p + variance * (1.0 - k_above * k_above)
        pull = p * k_above / ahead
        mean[n] = m + pull * (above_mean - k_above * m)
        mood[n] = m + pull * (above - k_above * m) + math.sqrt(max(p * (1.0 - pull * k_above), 0.0)) * noise[n]
        if k_above < 1.0 and n < len(mood) - 1:
            step = above - k_above * mood[n]
            squares += step * step / (1.0 - k_above * k_above)
            count += 1.0
        above, above_mean, k_above = mood[n], mean[n], keep[n]
    return squares + above * above, count + 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def mood_at(
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
    """Add the mood of ``users`` at the times ``when`` to ``out``, and its variance to ``spread``.

    Known rows (distinct times, ascending for each user) have the mood ``mean`` with the variance ``open_variance``;
    between them it is bridged, outside it decays. A user of -1 has a mood of 0.
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
