"""Quiet training for tuning and choosing, monitored between epochs, and its cost, counted beforehand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cofactor.data.interactions import Split
from cofactor.model import HasCost, Model, TableSize
from cofactor.models import model_class
from cofactor.models.base.config import make_config
from cofactor.train import Callback
from cofactor.train.fit_model import fit_model
from cofactor.train.run import TrainingRun

Report = Callable[[float, float], None]


class _Watch(Callback):
    def __init__(self, epochs: int, report: Report) -> None:
        self.epochs, self.report = epochs, report

    def after_epoch(self, learn: TrainingRun) -> None:
        """Report the progress, and the root of the loss on the held-out rows."""
        self.report((learn.epoch + 1) / self.epochs, float(np.sqrt(learn.recorder.values[-1][1])))


def train_watched(split: Split, model: str, config: dict[str, Any], seed: int, report: Report) -> Model:
    """Return a trained model. ``report(share of epochs done, validation loss)`` is called after each epoch; it may
    raise to abort."""
    cls = model_class(model)
    settings = make_config(cls.Config, config)
    epochs = getattr(settings, "epochs", 1)
    watch = [_Watch(epochs, report)] if cls.task == "rating" and epochs > 1 else []
    return fit_model(split if watch else split.train, cls(settings), seed=seed, callbacks=watch).model


def counted(model: str, config: Mapping[str, Any], size: TableSize) -> tuple[float, float]:
    """Return (seconds of one ordinary core, bytes) for training a model with these settings. They are computed from the
    numbers of rows, users and items; nothing is run."""
    cls = model_class(model)
    if not issubclass(cls, HasCost):  # a model of a third party
        return 2e-7 * size.ratings * float(config.get("epochs", 10)), 256.0 * (size.users + size.items)
    found = cls.cost(make_config(cls.Config, dict(config)), size)  # type: ignore[attr-defined]
    return 1e-9 * found.operations, found.memory


def memory_limit() -> float:
    """Return the bytes that a model may use: half of this machine's memory, whatever else runs on it."""
    try:
        return 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not POSIX
        return 8.0 * 2**30
