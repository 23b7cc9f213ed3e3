"""Training for tuning: quiet, and watched between epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cofactor.data.interactions import Split
from cofactor.model import Model
from cofactor.models import model_class
from cofactor.models.config import make_config
from cofactor.train import Callback, Learner

Report = Callable[[float, float], None]


class _Watch(Callback):
    def __init__(self, epochs: int, report: Report) -> None:
        self.epochs, self.report = epochs, report

    def after_epoch(self, learn: Learner) -> None:
        """Say how far it is, and the root of the loss on the held-out rows."""
        self.report((learn.epoch + 1) / self.epochs, float(np.sqrt(learn.recorder.values[-1][1])))


def train_watched(split: Split, model: str, config: dict[str, Any], seed: int, report: Report) -> Model:
    """A trained model. ``report(share of epochs done, validation loss)`` after each epoch; it may raise to
    give up."""
    cls = model_class(model)
    settings = make_config(cls.Config, config)
    epochs = getattr(settings, "epochs", 1)
    watch = [_Watch(epochs, report)] if cls.task == "rating" and epochs > 1 else []
    data = split if watch else split.train
    learn = Learner(data, cls(settings), seed=seed, bs=getattr(settings, "bs", 64), callbacks=watch, verbose=False)
    if learn.stepper.kind == "batch":
        learn.fit_one_cycle(epochs, settings.lr, wd=settings.wd)
    else:
        learn.fit(epochs)
    trained: Model = learn.model
    return trained
