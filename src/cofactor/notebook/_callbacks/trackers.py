"""Callbacks that monitor one column of the table: stop early, save the best, lower the rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from cofactor.errors import ConfigError
from cofactor.notebook._callbacks.events import (
    Callback,
    CancelFitException,
)

__all__ = [
    "EarlyStoppingCallback",
    "ReduceLROnPlateau",
    "SaveModelCallback",
    "TerminateOnNaNCallback",
    "TrackerCallback",
]


class TrackerCallback(Callback):
    """Monitors one column of the table. Lower is better for losses and errors, higher for other metrics."""

    order, remove_on_fetch = 60, True

    def __init__(
        self, monitor: str = "valid_loss", comp: Any = None, min_delta: float = 0.0, reset_on_fit: bool = True
    ) -> None:
        self.monitor, self.min_delta, self.reset_on_fit = monitor, abs(min_delta), reset_on_fit
        less = comp in (np.less, torch.lt) if comp is not None else _lower_is_better(monitor)
        self.comp = np.less if less else np.greater
        self.best: Any = None

    def before_fit(self) -> None:
        self.run = not getattr(self.learn, "_looking", False)
        if self.reset_on_fit or self.best is None:
            self.best = float("inf") if self.comp is np.less else -float("inf")
        names = [n for n in self.learn.recorder.metric_names[1:] if n != "time"]
        plain = [n.lstrip("_") for n in names]
        wanted = self.monitor if self.monitor in names else self.monitor.lstrip("_")
        if wanted not in names and wanted not in plain:
            raise ConfigError(f"monitor={self.monitor!r}; the table has: {', '.join(names)}")
        self.idx = names.index(wanted) if wanted in names else plain.index(wanted)

    def after_epoch(self) -> None:
        self.improved()

    def after_fit(self) -> None:
        self.run = True

    def improved(self) -> bool:
        """Return whether the last epoch is the best so far."""
        row = self.learn.recorder.values[-1]
        value = row[self.idx] if self.idx < len(row) else None
        self.new_best = False
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return False
        better = value + self.min_delta < self.best if self.comp is np.less else value - self.min_delta > self.best
        if better:
            self.best, self.new_best = value, True
        return self.new_best


def _lower_is_better(name: str) -> bool:
    return "loss" in name or any(word in name for word in ("mse", "mae", "error", "rmspe", "msle"))


class EarlyStoppingCallback(TrackerCallback):
    """Stops when ``monitor`` has not improved by ``min_delta`` for ``patience`` epochs."""

    order = 63

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Any = None,
        min_delta: float = 0.0,
        patience: int = 1,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        self.patience = patience

    def before_fit(self) -> None:
        self.wait = 0
        super().before_fit()

    def after_epoch(self) -> None:
        if self.improved():
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= self.patience:
            if self.learn.verbose:
                print(f"No improvement since epoch {self.learn.epoch - self.wait}: early stopping")
            raise CancelFitException


class SaveModelCallback(TrackerCallback):
    """Saves the weights of the best epoch under ``fname`` and loads them at the end (or saves every epoch, or at the
    end)."""

    order = 61

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Any = None,
        min_delta: float = 0.0,
        fname: str = "model",
        every_epoch: Any = False,
        at_end: bool = False,
        with_opt: bool = False,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        if every_epoch and at_end:
            raise ConfigError("every_epoch and at_end cannot both be set")
        self.fname, self.every_epoch, self.at_end, self.with_opt = fname, every_epoch, at_end, with_opt
        self.last_saved_path: Any = None

    def before_fit(self) -> None:
        self.saved = False
        super().before_fit()

    def _save(self, name: str) -> None:
        self.last_saved_path = self.learn.save(name, with_opt=self.with_opt)

    def after_epoch(self) -> None:
        if self.every_epoch:
            if self.learn.epoch % int(self.every_epoch) == 0:
                self._save(f"{self.fname}_{self.learn.epoch}")
        elif self.improved():
            if self.learn.verbose:
                print(f"Better model found at epoch {self.learn.epoch} with {self.monitor} value: {self.best}.")
            self._save(self.fname)
            self.saved = True

    def after_fit(self) -> None:
        if self.at_end:
            self._save(self.fname)
        elif self.saved and not self.every_epoch:
            self.learn.load(self.fname, with_opt=self.with_opt)


class ReduceLROnPlateau(TrackerCallback):
    """Divides the learning rate by ``factor`` when ``monitor`` has not improved for ``patience`` epochs."""

    order = 62

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Any = None,
        min_delta: float = 0.0,
        patience: int = 1,
        factor: float = 10.0,
        min_lr: float = 0,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        self.patience, self.factor, self.min_lr = patience, factor, min_lr

    def before_fit(self) -> None:
        self.wait = 0
        super().before_fit()

    def after_epoch(self) -> None:
        if self.improved():
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= self.patience:
            old = self.learn.opt.hypers[-1]["lr"]
            for hyper in self.learn.opt.hypers:
                hyper["lr"] = max(float(hyper["lr"]) / self.factor, self.min_lr)
            self.wait = 0
            if self.learn.opt.hypers[-1]["lr"] < old and self.learn.verbose:
                print(f"Epoch {self.learn.epoch}: reducing lr to {self.learn.opt.hypers[-1]['lr']}")


class TerminateOnNaNCallback(Callback):
    """Ends the fit at a loss that is not a finite number: before that epoch's row, and where callbacks see batches, at
    that batch."""

    order = -9

    def at_loss(self, loss: float) -> None:
        """End the fit unless the loss is a finite number. The loop calls it: with every batch, or once an epoch."""
        if not math.isfinite(loss):
            raise CancelFitException
