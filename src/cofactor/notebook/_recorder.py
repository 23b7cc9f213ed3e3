"""The notebook's recorder: the table with its metrics, over the core's recorder."""

from __future__ import annotations

from typing import Any

from cofactor import train
from cofactor._plot import new_axes
from cofactor.errors import NotFittedError


class Recorder:
    """``values``: ``[train_loss, valid_loss, *metrics]`` by epoch of the last fit; ``losses`` and ``lrs`` by batch."""

    def __init__(self, metrics: list[str]) -> None:
        self.name(metrics)
        self.values: list[list[float]] = []
        self._core = train.Recorder()

    def name(self, metrics: list[str]) -> None:
        """The headings of the table, from the names of the metrics."""
        self.metric_names = ["epoch", "train_loss", "valid_loss", *metrics, "time"]

    def attach(self, core: train.Recorder) -> None:
        """Show what this recorder of the core has."""
        self._core = core

    @property
    def losses(self) -> list[float]:
        return self._core.losses

    @property
    def lrs(self) -> list[float]:
        return self._core.lrs

    @property
    def hps(self) -> dict[str, list[float]]:
        """Learning rates and momenta by batch."""
        return {"lr": self._core.lrs, "mom": self._core.moms}

    @property
    def seconds(self) -> list[float]:
        return self._core.seconds

    def row(self, epoch: int) -> list[Any]:
        """The line of the table for an epoch."""
        return [epoch, *self.values[-1], self._core.seconds[-1]]

    def plot_loss(self, skip_start: int = 5, **ignored: Any) -> Any:
        """Training and validation losses; a matplotlib Axes."""
        return self._core.plot_loss(skip_start)

    def plot_sched(self, **ignored: Any) -> Any:
        """Learning rates and momenta; matplotlib Axes."""
        return self._core.plot_sched()

    def plot_metrics(self, **ignored: Any) -> Any:
        """Each metric by epoch; a matplotlib Axes."""
        names = self.metric_names[3:-1]
        if not self.values or not names:
            raise NotFittedError("no metric recorded yet; give the Learner metrics= and train it")
        ax = new_axes()
        for i, name in enumerate(names):
            ax.plot([row[2 + i] for row in self.values], marker="o", label=name)
        ax.set_xlabel("epoch")
        ax.legend()
        return ax
