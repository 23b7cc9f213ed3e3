"""The ordered-probit likelihood of ``bayes-mf``: ratings are levels between cuts on a latent scale.

The lowest and the highest cut stay half-way between ratings, which makes the latent scale comparable to that of the
ratings. The cuts between them are drawn (Albert & Chib 1993, with the latent values integrated out of that step).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import ConfigError
from cofactor.kernels.gibbs.ordinal import cuts_loglik, draw_latent

Array = NDArray[Any]
MOST_LEVELS = 50


class Cuts:
    """The cuts of one chain. ``levels``: the distinct (standardised) ratings; ``level``: the level of each entry."""

    def __init__(self, levels: Array, level: Array) -> None:
        self.level = level
        self.values = np.concatenate([[-np.inf], half_way(levels), [np.inf]])
        self.step = np.array(0.02)

    @property
    def fixes_noise(self) -> bool:
        """With two levels there is a single cut, and the size of the noise is not identified: it stays fixed."""
        return len(self.values) < 4

    def draw(self, fit: Array, variance: Array, rng: np.random.Generator, move: bool, adapt: bool) -> Array:
        """Draw new latent values (float32), after a Metropolis step for the inner cuts with ``move``."""
        if move and len(self.values) > 4:
            here = cuts_loglik(self.level, fit, variance, self.values)
            wanted = self.values.copy()
            wanted[2:-2] += self.step * rng.standard_normal(len(wanted) - 4)
            taken = bool(np.all(wanted[2:-1] > wanted[1:-2]))
            taken = taken and np.log(rng.random()) < cuts_loglik(self.level, fit, variance, wanted) - here
            if taken:
                self.values[:] = wanted
            if adapt:
                self.step *= 1.4 if taken else 0.87
        latent = np.empty(len(fit), dtype=np.float32)
        draw_latent(self.level, fit, variance, self.values, rng.random(len(fit)), latent)
        return latent


def find_levels(y: Array) -> tuple[Array, Array]:
    """Return the distinct values, ascending (float64), and the level of each entry (int32)."""
    levels, level = np.unique(y, return_inverse=True)
    if not 2 <= len(levels) <= MOST_LEVELS:
        raise ConfigError(
            f"likelihood 'ordinal' needs 2 to {MOST_LEVELS} distinct ratings, not {len(levels)}; use 'gaussian'"
        )
    return levels.astype(np.float64), level.astype(np.int32)


def expected_level(latent: Array, variance: Array, cuts: Array, levels: Array) -> Array:
    """Return the mean rating, if the latent value is normal with this mean and variance."""
    from scipy.special import ndtr

    root = 1.0 / np.sqrt(variance)
    found = np.full(np.shape(latent), levels[0], dtype=np.float64)
    for cut, step in zip(cuts, np.diff(levels), strict=True):
        found += step * ndtr((latent - cut) * root)
    return found


def rescale(x: Array, source: Array, target: Array) -> Array:
    """Map the points ``source`` to the points ``target`` (both ascending) by straight lines that continue beyond them.

    Between ``cuts`` and ``half_way(levels)`` this maps a latent value to the rating scale, and back.
    """
    if len(source) == 1:
        return np.asarray(target[0] + (x - source[0]))
    inside = np.interp(x, source, target)
    below = np.minimum(x - source[0], 0.0) * (target[1] - target[0]) / (source[1] - source[0])
    above = np.maximum(x - source[-1], 0.0) * (target[-1] - target[-2]) / (source[-1] - source[-2])
    return np.asarray(inside + below + above)


def half_way(levels: Array) -> Array:
    """Return the points half-way between neighbours."""
    return np.asarray((levels[1:] + levels[:-1]) / 2)
