"""Callbacks and metrics under the notebook's names, over ``cofactor.train``."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cofactor import train
from cofactor.errors import ConfigError
from cofactor.train.run import TrainingRun

Array = NDArray[Any]


class CancelFitException(Exception):
    """Raise it in a callback to end training after the epoch (or batch) under way."""


class Run(Protocol):
    """What callbacks use of a notebook's Learner."""

    recorder: Any
    metrics: Any
    dls: Any
    path: Any

    def measure(self) -> list[float]: ...

    def save(self, file: Any, with_opt: bool = ...) -> Any: ...

    def load(self, file: Any) -> Any: ...


class Callback:
    """Override ``before_fit``, ``before_epoch``, ``before_batch``, ``after_batch``, ``after_epoch``, ``after_fit``.

    ``self.learn`` is the Learner; its attributes can be had from ``self`` too. ``self.loss`` is the last batch's,
    ``self.epoch`` and ``self.iter`` count from 0. Batch hooks make training go batch by batch, which is slower.
    """

    learn: Run
    epoch = 0
    iter = 0
    loss = math.nan

    def before_fit(self) -> None: ...

    def before_epoch(self) -> None: ...

    def before_batch(self) -> None: ...

    def after_batch(self) -> None: ...

    def after_epoch(self) -> None: ...

    def after_fit(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "learn" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.learn, name)


class Adapter(train.Callback):
    """One of ours among the core's callbacks."""

    def __init__(self, learn: Run, inner: Callback) -> None:
        self.learn = learn
        self.inner = inner
        inner.learn = learn

    def _call(self, core: TrainingRun, moment: str) -> None:
        self.inner.epoch = core.epoch
        try:
            getattr(self.inner, moment)()
        except CancelFitException:
            core.stop = True

    def before_fit(self, learn: TrainingRun) -> None:
        self._call(learn, "before_fit")

    def before_epoch(self, learn: TrainingRun) -> None:
        self._call(learn, "before_epoch")

    def after_epoch(self, learn: TrainingRun) -> None:
        self._call(learn, "after_epoch")

    def after_fit(self, learn: TrainingRun) -> None:
        self._call(learn, "after_fit")


class BatchAdapter(Adapter):
    """The same for one with batch hooks."""

    def before_batch(self, learn: TrainingRun, batch: int) -> None:
        self.inner.iter = batch
        self._call(learn, "before_batch")

    def after_batch(self, learn: TrainingRun, batch: int, loss: float) -> None:
        self.inner.iter, self.inner.loss = batch, loss
        self._call(learn, "after_batch")


_NOT_CALLED = {
    *("before_train", "after_train", "before_validate", "after_validate", "after_create", "before_step", "after_step"),
    *("after_pred", "after_loss", "before_backward", "after_backward", "after_cancel_fit", "after_cancel_batch"),
}
"""Moments that callbacks of fastai have and this loop does not."""


def adapted(learn: Run, callback: Any) -> train.Callback:
    """A callback of either kind, as the core's loop calls it."""
    if isinstance(callback, type):
        callback = callback()
    if isinstance(callback, train.Callback):
        return callback
    if not isinstance(callback, Callback):
        raise ConfigError(
            f"{type(callback).__name__} is not a callback of cofactor; subclass cofactor.notebook.Callback "
            "(before_fit, before_epoch, before_batch, after_batch, after_epoch, after_fit)"
        )
    if missing := sorted(name for name in _NOT_CALLED if callable(getattr(type(callback), name, None))):
        raise ConfigError(
            f"{type(callback).__name__}.{missing[0]} would never be called; there are: "
            "before_fit, before_epoch, before_batch, after_batch, after_epoch, after_fit"
        )
    by_batch = any(
        getattr(type(callback), name) is not getattr(Callback, name) for name in ("before_batch", "after_batch")
    )
    return (BatchAdapter if by_batch else Adapter)(learn, callback)


class _Monitor(Callback):
    """What watches one column of the table. Losses and errors are better when lower, other metrics when higher."""

    def __init__(self, monitor: str = "valid_loss", comp: Any = None, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        less = comp in (np.less, torch.lt) if comp is not None else _lower_is_better(monitor)
        self.sign = 1.0 if less else -1.0
        self.min_delta = abs(min_delta)

    def before_fit(self) -> None:
        names = self.learn.recorder.metric_names[1:-1]
        if self.monitor not in names:
            raise ConfigError(f"monitor={self.monitor!r}; the table has: {', '.join(names)}")
        self.best = math.inf

    def improved(self) -> bool:
        names = self.learn.recorder.metric_names[1:-1]
        now = self.sign * self.learn.recorder.values[-1][names.index(self.monitor)]
        if now < self.best - self.min_delta:
            self.best = now
            return True
        return False


def _lower_is_better(name: str) -> bool:
    return "loss" in name or any(word in name for word in ("mse", "mae", "error"))


class EarlyStoppingCallback(_Monitor):
    """Stop when ``monitor`` has not become better by ``min_delta`` for ``patience`` epochs."""

    def __init__(
        self, monitor: str = "valid_loss", comp: Any = None, min_delta: float = 0.0, patience: int = 1
    ) -> None:
        super().__init__(monitor, comp, min_delta)
        self.patience = patience

    def before_fit(self) -> None:
        super().before_fit()
        self.waited = 0

    def after_epoch(self) -> None:
        self.waited = 0 if self.improved() else self.waited + 1
        if self.waited >= self.patience:
            print(f"No improvement since epoch {self.epoch - self.waited}: early stopping")
            raise CancelFitException


class SaveModelCallback(_Monitor):
    """Save the weights (``learn.save(fname)``) when ``monitor`` is better than before; load the best at the end."""

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Any = None,
        min_delta: float = 0.0,
        fname: str = "model",
        every_epoch: bool = False,
        at_end: bool = False,
        with_opt: bool = False,
    ) -> None:
        super().__init__(monitor, comp, min_delta)
        self.fname, self.every_epoch, self.at_end = fname, every_epoch, at_end
        self.with_opt = with_opt

    def before_fit(self) -> None:
        super().before_fit()
        self.saved = False

    def after_epoch(self) -> None:
        if self.every_epoch:
            self.learn.save(f"{self.fname}_{self.epoch}", self.with_opt)
        elif self.improved():
            self.learn.save(self.fname, self.with_opt)
            self.saved = True

    def after_fit(self) -> None:
        if self.at_end:
            self.learn.save(self.fname, self.with_opt)
        elif self.saved and not self.every_epoch:
            self.learn.load(self.fname)


class CSVLogger(Callback):
    """Write the table to a CSV file in ``learn.path``."""

    def __init__(self, fname: str = "history.csv", append: bool = False) -> None:
        self.fname, self.append = fname, append

    def before_fit(self) -> None:
        target = self.learn.path / self.fname
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = not (self.append and target.exists())
        self.file = target.open("w" if fresh else "a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        if fresh:
            self.writer.writerow(self.learn.recorder.metric_names)

    def after_epoch(self) -> None:
        self.writer.writerow(self.learn.recorder.row(self.epoch))
        self.file.flush()

    def after_fit(self) -> None:
        self.file.close()


class ShowGraphCallback(Callback):
    """Plot the losses when training ends."""

    def after_fit(self) -> None:
        if self.learn.recorder.values:
            self.graph = self.learn.recorder.plot_loss()


def mse(inp: Any, targ: Any) -> float:
    """Mean squared error."""
    return float(((_flat(inp) - _flat(targ)) ** 2).mean())


def rmse(inp: Any, targ: Any) -> float:
    """Root of the mean squared error."""
    return math.sqrt(mse(inp, targ))


def mae(inp: Any, targ: Any) -> float:
    """Mean absolute error."""
    return float((_flat(inp) - _flat(targ)).abs().mean())


def _flat(x: Any) -> Tensor:
    return torch.as_tensor(x).detach().reshape(-1).double()


def metric_name(metric: Callable[..., Any]) -> str:
    """The heading of a metric's column."""
    if not callable(metric):
        raise ConfigError(f"a metric is a function of predictions and targets, such as rmse or mae, not {metric!r}")
    inner = getattr(metric, "func", metric)
    return str(getattr(inner, "name", None) or getattr(inner, "__name__", None) or type(inner).__name__).lstrip("_")


class Measure(train.Callback):
    """After each epoch: the metrics on the validation rows, into the recorder; then a line of the table."""

    def __init__(self, learn: Run, quiet: bool) -> None:
        self.learn = learn
        self.quiet = quiet

    def _say(self, cells: Sequence[str]) -> None:
        if not self.quiet:
            print("".join(f"{c:<12}" for c in cells).rstrip(), flush=True)

    def before_fit(self, learn: TrainingRun) -> None:
        self.learn.recorder.values.clear()
        self._say(self.learn.recorder.metric_names)

    def after_epoch(self, learn: TrainingRun) -> None:
        values = list(learn.recorder.values[-1])
        if self.learn.metrics and len(self.learn.dls.valid_ds):
            values += self.learn.measure()
        self.learn.recorder.values.append(values)
        epoch, *numbers, seconds = self.learn.recorder.row(learn.epoch)
        self._say([str(epoch), *("-" if math.isnan(x) else f"{x:.6f}" for x in numbers), _seconds(seconds)])


def _seconds(s: float) -> str:
    return f"{s:.2f}s" if s < 60 else f"{int(s // 60):02d}:{int(s % 60):02d}"
