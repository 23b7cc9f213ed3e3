"""Records of a training: losses by epoch and by batch, learning rates, momenta."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._plot import new_axes
from cofactor.errors import NotFittedError

Array = NDArray[Any]


@dataclass
class SmoothLoss:
    """An exponentially weighted mean of batch losses, with Adam's bias correction for its start."""

    beta: float = 0.98
    total: float = 0.0
    count: int = 0

    def add(self, losses: Array) -> Array:
        """Add losses in order. Returns the smoothed value after each of them."""
        n = len(losses)
        if n == 0:
            return np.empty(0)
        out = np.empty(n)
        total, beta = self.total, self.beta
        for i, loss in enumerate(losses.tolist()):
            total = beta * total + (1 - beta) * loss
            out[i] = total
        self.total = total
        out /= 1 - beta ** (self.count + 1 + np.arange(n))
        self.count += n
        return out

    @property
    def value(self) -> float:
        return self.total / (1 - self.beta**self.count) if self.count else float("nan")


def _nothing() -> tuple[array[float], array[float], array[float]]:
    return array("d"), array("d"), array("d")


@dataclass
class Recorder:
    """``values``: ``[train_loss, valid_loss]`` by epoch of the last fit; ``losses``, ``lrs``, ``moms``: one number per
    batch.

    The lists by batch are created on access; the stored form takes eight bytes per number.
    """

    values: list[list[float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    smooth: SmoothLoss = field(default_factory=SmoothLoss)
    _batches: tuple[array[float], array[float], array[float]] = field(default_factory=_nothing)

    @property
    def losses(self) -> list[float]:
        return self._batches[0].tolist()

    @property
    def lrs(self) -> list[float]:
        return self._batches[1].tolist()

    @property
    def moms(self) -> list[float]:
        return self._batches[2].tolist()

    def add(self, losses: Array, lrs: Array, moms: Array) -> None:
        """Add a run of batches."""
        for kept, new in zip(self._batches, (losses, lrs, moms)):
            kept.frombytes(np.ascontiguousarray(new, np.float64).tobytes())

    def clear(self) -> None:
        """Forget the last fit."""
        self.values.clear()
        self.seconds.clear()
        self._batches = _nothing()
        self.smooth = SmoothLoss()

    def plot_loss(self, skip_start: int = 5) -> Any:
        """Plot the smoothed training loss by batch and the validation loss by epoch. Returns a matplotlib Axes."""
        if not self.values:
            raise NotFittedError("nothing recorded yet; call fit or fit_one_cycle first")
        ax = new_axes()
        smooth = SmoothLoss().add(np.asarray(self.losses))
        if len(smooth):
            skip = min(skip_start, len(smooth) - 1)
            ax.plot(np.arange(skip, len(smooth)), smooth[skip:], label="train")
        per_epoch = max(len(smooth) // len(self.values), 1)
        at = (np.arange(len(self.values)) + 1) * per_epoch - 1
        ax.plot(at, [v[1] for v in self.values], marker="o", label="valid")
        ax.set_xlabel("batch")
        ax.set_ylabel("loss")
        ax.legend(frameon=False)
        return ax

    def plot_sched(self) -> Any:
        """Plot the learning rate and momentum by batch. Returns a pair of matplotlib Axes."""
        if not self.lrs:
            raise NotFittedError("no schedule recorded yet; call fit_one_cycle first")
        left = new_axes()
        left.plot(self.lrs)
        left.set_xlabel("batch")
        left.set_ylabel("learning rate")
        right = left.twinx()
        right.plot(self.moms, linestyle="--", color="tab:orange")
        right.set_ylabel("momentum (dashed)")
        right.spines["right"].set_visible(True)
        return left, right
