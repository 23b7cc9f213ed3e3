"""Training for tuning and choosing: quiet, watched between epochs, its cost forecast."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions, Split
from cofactor.model import Hyper, Model
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
        """Say how far it is, and the root of the loss on the held-out rows."""
        self.report((learn.epoch + 1) / self.epochs, float(np.sqrt(learn.recorder.values[-1][1])))


def train_watched(split: Split, model: str, config: dict[str, Any], seed: int, report: Report) -> Model:
    """A trained model. ``report(share of epochs done, validation loss)`` after each epoch; it may raise to
    give up."""
    cls = model_class(model)
    settings = make_config(cls.Config, config)
    epochs = getattr(settings, "epochs", 1)
    watch = [_Watch(epochs, report)] if cls.task == "rating" and epochs > 1 else []
    return fit_model(split if watch else split.train, cls(settings), seed=seed, callbacks=watch).model


def forecast_passes(data: Interactions, model: str, config: Mapping[str, Any], seed: int, left: float) -> float | None:
    """Seconds that training takes, from a few passes (or some hundred batches) on the very rows; None for
    models that solve in one go. The first pass is made but not counted, since it may have to compile, unless
    it alone takes a quarter of ``left``."""
    cls = model_class(model)
    settings = make_config(cls.Config, dict(config))
    begun = time.perf_counter()
    stepper = cls(settings).stepper(data, np.random.default_rng(seed))
    start = time.perf_counter() - begun
    epochs = getattr(settings, "epochs", 1)
    if cls.kind == "solve":
        return None
    rows: NDArray[Any] | None = None
    hyper, times = None, float(epochs)
    if cls.kind == "batch":
        bs = min(getattr(settings, "batch_size", 64), len(data))
        some, all_batches = min(200, len(data) // bs), len(data) // bs
        rows = np.arange(some * bs, dtype=np.int64)
        hyper = Hyper(np.full(some, 1e-6), np.full(some, 0.9), 0.0, bs)
        times *= all_batches / some
    spent = []
    for _ in range(3):
        begun = time.perf_counter()
        stepper.run(rows, hyper)
        spent.append(time.perf_counter() - begun)
        if spent[0] > left / 4:
            break
    counted = spent[1:] or spent
    return start + float(np.mean(counted)) * times
