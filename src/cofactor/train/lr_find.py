"""The learning-rate range test (Smith, 2015, "Cyclical learning rates for training neural networks")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._plot import new_axes
from cofactor.errors import ConfigError
from cofactor.model import Hyper
from cofactor.train.order import epoch_order
from cofactor.train.recorder import SmoothLoss
from cofactor.train.run import TrainingRun
from cofactor.train.schedules import exponential

Array = NDArray[Any]


@dataclass(frozen=True)
class LRFind:
    """The learning rates tried, the smoothed losses, and a suggestion (``valley``)."""

    lrs: Array
    losses: Array
    valley: float

    def __repr__(self) -> str:
        return f"LRFind(valley={self.valley:.3g}, {len(self.lrs)} rates from {self.lrs[0]:.1e} to {self.lrs[-1]:.1e})"

    @property
    def suggestion(self) -> float:
        return self.valley

    def plot(self) -> Any:
        """Plot the loss against the learning rate, with the suggestion marked. Returns a matplotlib Axes."""
        ax = new_axes()
        ax.plot(self.lrs, self.losses)
        ax.axvline(self.valley, linestyle="--", color="tab:orange", label=f"suggestion {self.valley:.1e}")
        ax.set_xscale("log")
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        ax.legend(frameon=False)
        return ax


def lr_find(
    learn: TrainingRun, start: float, end: float, num: int, wd: float, stop: bool = True, mom: float = 0.95
) -> LRFind:
    """Run ``num`` batches at rates from ``start`` to ``end``, stop when the loss diverges (with ``stop``), and restore
    the state."""
    if learn.model.kind != "batch":
        raise ConfigError(f"{learn.model.name} does not learn by gradient steps, so it has no learning rate to find")
    if not 0 < start < end or num < 10:
        raise ConfigError("lr_find needs 0 < start < end and at least 10 batches")
    stepper, bs, n = learn.stepper, learn.bs, len(learn.train)
    rates = exponential(start, end)(np.arange(num) / (num - 1))
    before, smooth, shown = stepper.snapshot(), SmoothLoss(), []
    momenta = np.array([mom])
    try:
        for i, lr in enumerate(rates):
            at = i % max(n // bs, 1)
            if at == 0:
                rows = epoch_order(n, learn.seed, i)
            loss = stepper.run(rows[at * bs : (at + 1) * bs], Hyper(np.array([lr]), momenta, wd, bs))
            shown.append(float(smooth.add(loss)[-1]))
            if stop and (not math.isfinite(shown[-1]) or shown[-1] > 4 * min(shown)):
                break
    finally:
        stepper.restore(before)
    losses = np.array(shown)
    return LRFind(rates[: len(losses)], losses, float(_valley(rates[: len(losses)], losses)))


def _valley(lrs: Array, losses: Array) -> float:
    """Return a rate two thirds of the way down the longest descent of the loss."""
    losses = np.where(np.isfinite(losses), losses, np.inf)
    best_start = best_end = start = 0
    for i in range(1, len(losses)):
        if losses[i] >= losses[i - 1]:
            start = i
        elif i - start > best_end - best_start:
            best_start, best_end = start, i
    return float(lrs[best_start + (best_end - best_start) * 2 // 3])
