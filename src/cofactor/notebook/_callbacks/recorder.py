"""The records of training: losses, rates and the table; and their plots."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch

from cofactor._plot import new_axes
from cofactor.errors import ConfigError, NotFittedError
from cofactor.notebook._callbacks.events import Callback, at
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import takes_its_own
from cofactor.notebook._measures.metrics import AvgLoss, AvgSmoothLoss

__all__ = [
    "Recorder",
]


@at("before_train", "after_batch", "before_validate")
@takes_its_own
class Recorder(Callback):
    """``values``: one row per epoch of the last fit, as in the table; ``losses`` (smoothed) and ``lrs`` by batch;
    ``iters``: batches done at the end of each epoch; ``log``: the last line of the table."""

    remove_on_fetch = True
    order = 50

    def __init__(
        self, add_time: bool = True, train_metrics: bool = False, valid_metrics: bool = True, beta: float = 0.98
    ) -> None:
        self.add_time, self.train_metrics, self.valid_metrics = add_time, train_metrics, valid_metrics
        self.loss, self.smooth_loss = AvgLoss(), AvgSmoothLoss(beta=beta)
        self.reset()

    def reset(self) -> None:
        self.values: list[Any] = []
        self.losses: list[Any] = []
        self.lrs: list[Any] = []
        self.iters: list[int] = []
        self.seconds: list[float] = []
        self.log = L()
        self.hps: dict[str, list[float]] = {}
        self.cancel_train = self.cancel_valid = False

    @property
    def metric_names(self) -> L:
        """The headings of the table."""
        names = L([m.name for m in self.learn.metrics]) if self.learn is not None else L()
        if self.train_metrics and self.valid_metrics:
            names = L("loss") + names
            names = names.map("train_{}") + names.map("valid_{}")
        elif self.valid_metrics:
            names = L("train_loss", "valid_loss") + names
        else:
            names = L("train_loss") + (names if self.train_metrics else L())
        return L("epoch") + names + (L("time") if self.add_time else L())

    # ---- batch by batch

    def before_fit(self) -> None:
        self.reset()
        self.smooth_loss.reset()

    def before_epoch(self) -> None:
        self.cancel_train = self.cancel_valid = False
        self.start_epoch = time.perf_counter()
        self.log = L(getattr(self.learn, "epoch", 0))

    def before_train(self) -> None:
        for m in self._train_mets[1:]:
            m.reset()

    def before_validate(self) -> None:
        for m in self._valid_mets:
            m.reset()

    def after_batch(self) -> None:
        if not len(self.learn.yb):
            return
        for m in self._train_mets if self.learn.training else self._valid_mets:
            m.accumulate(self.learn)
        if self.learn.training:
            self.lrs.append(self.learn.opt.hypers[-1]["lr"])
            for name in ("lr", "mom"):
                if name in self.learn.opt.hypers[-1]:
                    self.hps.setdefault(name, []).append(self.learn.opt.hypers[-1][name])
            self.losses.append(self.smooth_loss.value)
            self.learn.smooth_loss = self.smooth_loss.value

    def after_cancel_train(self) -> None:
        self.cancel_train = True

    def after_cancel_validate(self) -> None:
        self.cancel_valid = True

    def after_train(self) -> None:
        self.log = self.log + L([_number(m) for m in self._train_mets])

    def after_validate(self) -> None:
        self.log = self.log + L([_number(m) for m in self._valid_mets])

    def after_epoch(self) -> None:
        self.learn.final_record = self.log[1:].copy()
        self.values.append(self.learn.final_record)
        self.seconds.append(time.perf_counter() - self.start_epoch)
        if self.add_time:
            self.log.append(shown_time(self.seconds[-1]))
        self.iters.append(self.smooth_loss.count or len(self.losses))
        self.learn.logger(self.log)

    @property
    def _train_mets(self) -> L:
        if self.cancel_train:
            return L()
        return L(self.smooth_loss) + (self.learn.metrics if self.train_metrics else L())

    @property
    def _valid_mets(self) -> L:
        if self.cancel_valid:
            return L()
        return L(self.loss) + self.learn.metrics if self.valid_metrics else L()

    # ---- whole epochs

    def take_epoch(self, core: Any, losses: Any, train_loss: float, seconds: float) -> None:
        """Record a run of a whole epoch: the smoothed losses and rates by batch."""
        count = len(losses) - len(self.losses)
        if count > 0:
            self.losses += list(torch.from_numpy(np.asarray(losses[-count:], np.float32)).unbind())
            self.lrs += list(core.lrs[-count:])
            self.hps = {"lr": list(core.lrs), "mom": list(core.moms)}
        smooth, n = self.smooth_loss, len(self.losses)
        if n:
            smooth.count, smooth.val = n, self.losses[-1] * (1 - smooth.beta**n)
        self.log = L(self.learn.epoch, train_loss)
        self.start_epoch = time.perf_counter() - seconds

    # ---- plots

    def row(self, epoch: int) -> list[Any]:
        """Return the line of the table for an epoch."""
        return [epoch, *self.values[-1], self.seconds[-1]]

    def plot_loss(
        self, skip_start: int = 5, with_valid: bool = True, log: bool = False, show_epochs: bool = False, ax: Any = None
    ) -> Any:
        """Plot the smoothed training loss by batch and the validation loss by epoch. Returns a matplotlib Axes."""
        if not self.losses:
            raise NotFittedError("nothing recorded yet; call fit or fit_one_cycle first")
        ax = new_axes() if ax is None else ax
        skip = min(skip_start, len(self.losses) - 1)
        steps, losses = np.arange(skip, len(self.losses)), [float(x) for x in self.losses[skip:]]
        (ax.loglog if log else ax.plot)(steps, losses, label="train")
        if show_epochs:
            for x in self.iters:
                ax.axvline(x, color="grey", ls=":")
        valid = [
            (at, row[1])
            for at, row in zip(self.iters, self.values)
            if len(row) > 1 and row[1] is not None and at > skip
        ]
        if with_valid and valid and "valid_loss" in self.metric_names:
            ax.plot(*zip(*valid), marker="o", label="valid")
            ax.legend(frameon=False)
        ax.set_xlabel("steps")
        ax.set_ylabel("loss")
        ax.set_title("learning curve")
        return ax

    def plot_sched(self, keys: Any = None, figsize: Any = None) -> None:
        """Plot learning rates and momenta by batch, side by side in matplotlib's current figure."""
        import matplotlib.pyplot as plt

        names = list(self.hps) if keys is None else list(L(keys))
        if not self.hps or not names:
            raise NotFittedError("no schedule recorded yet; call fit_one_cycle first")
        _, axes = plt.subplots(
            1, len(names), figsize=figsize or (5 * len(names), 3.5), layout="constrained", squeeze=False
        )
        for name, ax in zip(names, axes[0]):
            ax.plot([float(v) for v in self.hps[name]])
            ax.set_xlabel("batch")
            ax.set_ylabel({"lr": "learning rate", "mom": "momentum"}.get(name, name))

    def plot_metrics(self, nrows: int | None = None, ncols: int | None = None, figsize: Any = None) -> Any:
        """Plot each metric by epoch. Returns a matplotlib Axes, or a list of them if ``nrows`` or ``ncols`` asks for
        several."""
        names = list(self.metric_names[3:-1] if self.add_time else self.metric_names[3:])
        if not self.values or not names:
            raise NotFittedError("no metric recorded yet; give the Learner metrics= and train it")
        import matplotlib.pyplot as plt

        several = nrows is not None or ncols is not None
        down = nrows or (-(-len(names) // ncols) if ncols else 1)
        across = ncols or (-(-len(names) // down) if several else 1)
        if several and down * across < len(names):
            raise ConfigError(f"{down} by {across} plots are too few for {len(names)} metrics")
        _, axes = plt.subplots(down, across, figsize=figsize, layout="constrained", squeeze=False)
        flat = list(axes.flat)
        for i, name in enumerate(names):
            ax = flat[i if several else 0]
            ax.plot([row[2 + i] for row in self.values], marker="o", label=name)
            ax.set_xlabel("epoch")
            ax.legend(frameon=False)
        for ax in flat[len(names) if several else 1 :]:
            ax.axis("off")
        return flat[: len(names)] if several else flat[0]

    def plot_lr_find(self, skip_end: int = 5, return_fig: bool = True, suggestions: Any = None, nms: Any = None) -> Any:
        """Plot the loss against the learning rate after ``lr_find``, with suggestions marked. Returns a matplotlib
        Axes."""
        if not self.lrs:
            raise NotFittedError("nothing recorded yet; call lr_find first")
        end = len(self.lrs) - skip_end if len(self.lrs) > skip_end + 1 else len(self.lrs)
        ax = new_axes()
        ax.plot([float(x) for x in self.lrs[:end]], [float(x) for x in self.losses[:end]])
        ax.set_xscale("log")
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        for (rate, loss), name in zip(suggestions or [], nms or []):
            ax.plot([float(rate)], [float(loss)], "o", label=f"{name}: {rate:.1e}")
        if suggestions:
            ax.legend(frameon=False)
        return ax


def _number(metric: Any) -> Any:
    value = metric.value
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def shown_time(s: float) -> str:
    """Return seconds with decimals, or minutes and seconds."""
    return f"{s:.2f}s" if s < 60 else f"{int(s // 60):02d}:{int(s % 60):02d}"


def shown(x: Any) -> str:
    """Return a cell of the table."""
    if x is None or (isinstance(x, float) and math.isnan(x)):
        return "-"
    return f"{x:.6f}" if isinstance(x, float) else str(x)
