"""Bootstrap over users: each user is drawn with all of their rows (cluster bootstrap, Field & Welsh 2007).

Every figure is a function of ratios of sums over users. A draw is therefore a vector of counts, and one matrix product
gives all draws of all figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor._validate import check_int
from cofactor.errors import ConfigError

Array = NDArray[Any]
MOST_DRAWS = 1_000_000


@dataclass(frozen=True, eq=False)
class UserSums:
    """Each user's contribution to one metric: float64 ``top`` and ``bottom`` (n_users, k).

    The metric is ``of`` applied to the k ratios of their sums: ``mean`` averages them (folds), ``root`` takes roots
    first, ``miss`` averages their distances from ``aims``.
    """

    top: Array
    bottom: Array
    of: Literal["mean", "root", "miss"] = "mean"
    aims: tuple[float, ...] = ()

    def value(self, tops: Array, bottoms: Array) -> Array:
        """Return the metric for sums (..., k)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = tops / bottoms
        if self.of == "root":
            ratios = np.sqrt(ratios)
        if self.of == "miss":
            ratios = np.abs(ratios - np.resize(self.aims, ratios.shape[-1]))
        mean: Array = ratios.mean(axis=-1)
        return mean

    def point(self) -> float:
        """Return the metric on the actual users."""
        return float(self.value(self.top.sum(axis=0), self.bottom.sum(axis=0)))

    @property
    def n_users(self) -> int:
        """The number of users that count."""
        return int((self.bottom > 0).any(axis=1).sum())


def pool_folds(parts: Sequence[tuple[UserSums, Array]], n_users: int) -> UserSums:
    """Return the mean of a metric over folds. Each part comes with ``at``: the position of each of its users among
    ``n_users``."""
    tops: list[Array] = []
    bottoms: list[Array] = []
    for cells, at in parts:
        for source, kept in ((cells.top, tops), (cells.bottom, bottoms)):
            spread = np.zeros((n_users, source.shape[1]))
            spread[at] = source
            kept.append(spread)
    first = parts[0][0]
    return UserSums(np.concatenate(tops, axis=1), np.concatenate(bottoms, axis=1), first.of, first.aims)


def resample(cells: Sequence[UserSums], draws: int, seed: int) -> Array:
    """Return every metric on the same draws of users, float64 (draws, len(cells)). Differences of metrics are thus
    paired."""
    if check_int("draws", draws, 0) > MOST_DRAWS:
        raise ConfigError(f"draws is {draws}; at most {MOST_DRAWS:,} are drawn")
    check_int("seed", seed, 0)
    if not cells or draws < 1:
        return np.zeros((max(draws, 0), len(cells)))
    sums = np.concatenate([a for c in cells for a in (c.top, c.bottom)], axis=1)
    out = np.empty((draws, len(cells)))
    lo = 0
    with one_thread():
        for counts in _counts(len(sums), draws, seed):
            product = counts @ sums
            at = 0
            for j, c in enumerate(cells):
                k = c.top.shape[1]
                out[lo : lo + len(counts), j] = c.value(product[:, at : at + k], product[:, at + k : at + 2 * k])
                at += 2 * k
            lo += len(counts)
    return out


def _counts(n: int, draws: int, seed: int, block: int = 1 << 22) -> Iterator[Array]:
    """Yield how often each of n users is drawn, in float64 blocks of draws that bound the memory."""
    rng = np.random.default_rng([seed, 7])
    size = max(1, min(draws, block // n))
    for lo in range(0, draws, size):
        rows = min(size, draws - lo)
        drawn = rng.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def interval(values: Array, confidence: float = 0.95) -> tuple[float, float]:
    """Return percentile bounds of one metric's draws, NaN if no draw has a value."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def paired_p(difference: float, draws: Array) -> float:
    """Return the two-sided p-value of a zero difference between two models: normal, with the standard error of the
    paired draws.

    (Counting draws beyond 0 could not give less than 2 / draws, which is too coarse to correct for many comparisons.)
    """
    draws = draws[np.isfinite(draws)]
    error = float(draws.std(ddof=1)) if len(draws) > 1 else 0.0
    if not np.isfinite(difference):
        return float("nan")
    if error == 0.0:
        return 1.0 if difference == 0 else 0.0
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(difference) / error))


def holm(p: Array) -> Array:
    """Return p-values corrected for multiple comparisons (Holm 1979): if those below 0.05 are rejected, the probability
    of any false rejection is at most 5 %."""
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty_like(p)
    out[order] = np.minimum(stepped, 1.0)
    return out
