"""Connect the core's loop to the notebook's callbacks."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor import train
from cofactor.notebook._callbacks.events import (
    Callback,
    CancelEpochException,
)
from cofactor.notebook._callbacks.recorder import Recorder
from cofactor.notebook._callbacks.trackers import TerminateOnNaNCallback
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._training.jobs import Core

Array = NDArray[Any]


class OfCore(Callback):
    """A callback of the core (``cofactor.train``) among the notebook's. The core's loop calls it."""

    def __init__(self, inner: train.Callback) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        return f"core_{type(self.inner).__name__}"


class Bridge(train.Callback):
    """Calls the notebook's callbacks from the core's loop."""

    def __init__(self, learn: Any, core: Core) -> None:
        self.learn, self.core, self.said = learn, core, False
        self.inner = [c.inner for c in learn.cbs if isinstance(c, OfCore)]

    def before_fit(self, learn: Any) -> None:
        for c in self.inner:
            c.before_fit(learn)

    def after_fit(self, learn: Any) -> None:
        for c in self.inner:
            c.after_fit(learn)

    def before_epoch(self, learn: Any) -> None:
        own = self.learn
        own.epoch, own._skip = learn.epoch, False
        self.start = time.perf_counter()
        try:
            own("before_epoch")
        except CancelEpochException:
            own._skip = True
            own("after_cancel_epoch")
        if self.core.kind != "events":
            own.training = True
            own.pct_train = own.epoch / own.n_epoch
            own("before_train")
        for c in self.inner:
            c.before_epoch(learn)

    def after_epoch(self, learn: Any) -> None:
        own = self.learn
        rec = own.recorder
        self._watch(float(learn.recorder.values[-1][0]))
        if not own._skip:
            if self.core.kind == "events":
                try:
                    self._validate_events()
                except CancelEpochException:
                    own("after_cancel_epoch")
            else:
                self.core.flush()
                rec.take_epoch(
                    learn.recorder,
                    smooth(learn.recorder.losses),
                    float(learn.recorder.values[-1][0]),
                    time.perf_counter() - self.start,
                )
                own.train_iter, own.pct_train = len(rec.losses), (own.epoch + 1) / own.n_epoch
                if rec.losses:
                    own.smooth_loss = rec.losses[-1]
                    if own._scheduled:
                        own.opt.set_rates(learn.recorder.lrs[-1], learn.recorder.moms[-1])
                own._measure(valid_loader(own.dls))
                for cb in own.cbs.sorted("order"):
                    if not isinstance(cb, Recorder):
                        cb("after_validate")
        own("after_epoch")
        own.show_row()
        for c in self.inner:
            learn.recorder.values[-1] = [
                float(learn.recorder.values[-1][0]),
                float(rec.values[-1][1]) if len(rec.values[-1]) > 1 and rec.values[-1][1] is not None else math.nan,
            ]
            c.after_epoch(learn)

    def _watch(self, loss: float) -> None:
        """Say that training diverged, once a fit, or end it if a callback is there for that."""
        if not math.isfinite(loss):
            for c in self.learn.cbs:
                if isinstance(c, TerminateOnNaNCallback) and c.run:
                    c.at_loss(loss)
            if not self.said:
                self.said = True
                warnings.warn(
                    f"training diverged in epoch {self.learn.epoch}: the loss is {loss}; use a lower learning rate",
                    stacklevel=2,
                )

    def _validate_events(self) -> None:
        own = self.learn
        own.train_iter = len(own.recorder.losses)
        if own._validated:
            return
        valid = valid_loader(own.dls)
        if valid is None or len(valid) == 0:
            own.recorder.log = own.recorder.log + L([None] * (1 + len(own.metrics)))
            return
        own.validate_batches(valid)


def valid_loader(dls: Any) -> Any:
    return dls.valid if len(dls.loaders) > 1 else []


def smooth(losses: Any) -> Array:
    """Return the losses smoothed like those of the table."""
    found: Array = train.recorder.SmoothLoss().add(np.asarray(losses, np.float64))
    return found
