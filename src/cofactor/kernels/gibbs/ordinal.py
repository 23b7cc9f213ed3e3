"""Ordered probit: a rating tells between which cuts a latent value lies (Albert & Chib 1993)."""

from __future__ import annotations

import math
from typing import Any

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, error_model="numpy")
def cuts_loglik(level: Array, fit: Array, variance: Array, cuts: Array) -> float:
    """Return the log-likelihood of the levels. Row ``n`` has the latent mean ``fit[n]`` and ``variance[n]``.

    Level ``l`` lies between ``cuts[l]`` and ``cuts[l + 1]``; the outermost cuts are infinite.
    """
    total, product = 0.0, 1.0
    for n in range(len(level)):
        root = 1.0 / math.sqrt(variance[n])
        a, b = (cuts[level[n]] - fit[n]) * root, (cuts[level[n] + 1] - fit[n]) * root
        product *= max(_between(a, b), 1e-100)
        if product < 1e-150:
            total += math.log(product)
            product = 1.0
    return total + math.log(product)


@njit(cache=True, nogil=True, error_model="numpy")
def draw_latent(level: Array, fit: Array, variance: Array, cuts: Array, uniform: Array, latent: Array) -> None:
    """Draw each latent value from its normal, truncated to the interval of its level, by inversion of ``uniform``."""
    for n in range(len(level)):
        sd = math.sqrt(variance[n])
        a, b = (cuts[level[n]] - fit[n]) / sd, (cuts[level[n] + 1] - fit[n]) / sd
        flip = a + b > 0.0
        if flip:
            a, b = -b, -a
        low = 0.5 * math.erfc(-a * 0.7071067811865476)
        p = low + uniform[n] * _between(a, b)
        z = min(max(_quantile(p), a), b) if p > 1e-300 else b
        latent[n] = fit[n] + sd * (-z if flip else z)


@njit(cache=True, nogil=True, error_model="numpy")
def _between(a: float, b: float) -> float:
    """Return the probability that a standard normal lies between ``a`` and ``b``, in the tail where it is exact."""
    if a > 0.0:
        a, b = -b, -a
    return 0.5 * (math.erfc(-b * 0.7071067811865476) - math.erfc(-a * 0.7071067811865476))


@njit(cache=True, nogil=True, error_model="numpy")
def _quantile(p: float) -> float:
    """Return the normal quantile, to a relative error of 1.2e-9 (rational approximation by Acklam)."""
    q = min(p, 1.0 - p)
    if q > 0.02425:
        x = p - 0.5
        r = x * x
        top = (
            (((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.3577518672690) * r
            - 30.66479806614716
        ) * r + 2.506628277459239
        low = (
            (((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r
            - 13.28068155288572
        ) * r + 1.0
        x *= top / low
    else:
        r = math.sqrt(-2.0 * math.log(q))
        top = (
            (((-0.007784894002430293 * r - 0.3223964580411365) * r - 2.400758277161838) * r - 2.549732539343734) * r
            + 4.374664141464968
        ) * r + 2.938163982698783
        low = (
            ((0.007784695709041462 * r + 0.3224671290700398) * r + 2.445134137142996) * r + 3.754408661907416
        ) * r + 1.0
        x = top / low if p < 0.5 else -top / low
    return x
