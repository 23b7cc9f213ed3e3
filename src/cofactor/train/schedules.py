"""Learning-rate and momentum schedules: pure functions of progress (0 at the first batch, towards 1 at the last).

The one-cycle policy is Smith & Topin (2018), with cosine pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import ConfigError

Array = NDArray[Any]
Schedule = Callable[[Array], Array]


def constant(value: float) -> Schedule:
    """Return a schedule with the same value throughout."""
    return lambda p: np.full(len(p), float(value))


def cosine(start: float, end: float) -> Schedule:
    """Return half a cosine wave from ``start`` to ``end``."""
    return lambda p: start + (1 + np.cos(np.pi * (1 - p))) * (end - start) / 2


def exponential(start: float, end: float) -> Schedule:
    """Return a schedule of even steps in the logarithm. Both ends are above 0."""
    return lambda p: start * (end / start) ** p


def joined(at: float, first: Schedule, second: Schedule) -> Schedule:
    """Return ``first`` before ``at``, and ``second`` after it."""
    if not 0 < at < 1:
        raise ConfigError(f"pct_start is {at}; it must lie between 0 and 1")

    def both(p: Array) -> Array:
        return np.where(p < at, first(np.minimum(p / at, 1.0)), second(np.maximum((p - at) / (1 - at), 0.0)))

    return both


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one call of ``fit``: epochs, schedules of learning rate and momentum, weight decay."""

    epochs: int
    lr: Schedule
    mom: Schedule
    wd: float
    label: str
    """The plan and its numbers in words. A checkpoint can only be resumed under the same plan."""

    def arrays(self, epoch: int, first: int, n: int, per_epoch: int) -> tuple[Array, Array]:
        """Return the learning rates and momenta of batches ``first`` .. ``first + n - 1`` of an epoch of ``per_epoch``
        batches."""
        p = (epoch * per_epoch + first + np.arange(n)) / (self.epochs * per_epoch)
        return self.lr(p), self.mom(p)


def one_cycle_plan(
    epochs: int,
    lr_max: float,
    wd: float,
    *,
    div: float = 25.0,
    div_final: float = 1e5,
    pct_start: float = 0.25,
    moms: tuple[float, float, float] = (0.95, 0.85, 0.95),
) -> Plan:
    """Return a one-cycle plan: from lr_max/div to lr_max over the first ``pct_start`` of the batches, then to
    lr_max/div_final; momentum mirrored."""
    lr = joined(pct_start, cosine(lr_max / div, lr_max), cosine(lr_max, lr_max / div_final))
    mom = joined(pct_start, cosine(moms[0], moms[1]), cosine(moms[1], moms[2]))
    shape = f"div={div!r}, div_final={div_final!r}, pct_start={pct_start!r}, moms={moms!r}"
    return Plan(epochs, lr, mom, wd, f"one_cycle({epochs}, {lr_max!r}, wd={wd!r}, {shape})")


def flat_plan(epochs: int, lr: float, wd: float, *, mom: float = 0.9) -> Plan:
    """Return a plan with constant learning rate and momentum."""
    return Plan(epochs, constant(lr), constant(mom), wd, f"flat({epochs}, {lr!r}, wd={wd!r}, mom={mom!r})")
