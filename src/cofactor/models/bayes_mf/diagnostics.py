"""Convergence diagnostics of the chains: split R-hat and effective sample size of scalars (Gelman et al. 2013; Vehtari
et al. 2021).

Draws are rank-normalised, so that heavy tails do no harm. They are float64 (n_chains, n_draws).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def split_chains(draws: Array) -> Array:
    """Return each chain as two halves. If the number of draws is odd, the middle one is left out."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, draws.shape[1] - half :]])


def rank_normal(draws: Array) -> Array:
    """Replace draws by normal scores of their ranks over all chains."""
    from scipy.special import ndtri  # half a second to import, and seldom needed
    from scipy.stats import rankdata

    ranks = rankdata(draws, method="average").reshape(draws.shape)
    return np.asarray(ndtri((ranks - 0.375) / (draws.size + 0.25)))


def rhat(draws: Array) -> float:
    """Return the rank-normalised split R-hat: the larger of that for location and that for spread. NaN below 4 draws
    per chain."""
    if draws.shape[1] < 4:
        return float("nan")
    halves = split_chains(draws)
    folded = np.abs(halves - np.median(halves))
    return max(_plain_rhat(rank_normal(halves)), _plain_rhat(rank_normal(folded)))


def effective_size(draws: Array) -> float:
    """Return the bulk effective sample size, by Geyer's initial monotone sequence. NaN below 4 draws per chain."""
    if draws.shape[1] < 4:
        return float("nan")
    z = rank_normal(split_chains(draws))
    m, n = z.shape
    between = z.mean(1).var(ddof=1) * n if m > 1 else 0.0
    within = z.var(1, ddof=1).mean()
    total = (n - 1) / n * within + between / n
    if total <= 0.0:
        return float(m * n)
    covariance = np.mean([_autocovariance(chain) for chain in z], axis=0)
    rho = 1.0 - (within - covariance * n / (n - 1)) / total
    rho[0] = 1.0
    pairs = rho[: n // 2 * 2].reshape(-1, 2).sum(1)
    positive = np.argmax(pairs < 0) if (pairs < 0).any() else len(pairs)
    tau = max(2.0 * np.minimum.accumulate(pairs[:positive]).sum() - 1.0, 1.0 / np.log10(m * n))
    return float(m * n / tau)


def _plain_rhat(z: Array) -> float:
    n = z.shape[1]
    within, between = z.var(1, ddof=1).mean(), n * z.mean(1).var(ddof=1)
    return float(np.sqrt(((n - 1) / n * within + between / n) / within)) if within > 0 else float("nan")


def _autocovariance(x: Array) -> Array:
    n = len(x)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(x - x.mean(), size)
    return np.asarray(np.fft.irfft(spectrum * np.conj(spectrum), size)[:n] / n)
