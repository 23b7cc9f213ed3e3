"""Callbacks that monitor or change the training of a batch, and the progress table."""

from __future__ import annotations

import csv
from typing import Any

import torch

from cofactor.notebook._callbacks.events import (
    Callback,
    CancelBackwardException,
    CancelBatchException,
    CancelEpochException,
    CancelFitException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
    at,
)
from cofactor.notebook._callbacks.recorder import Recorder, shown
from cofactor.notebook._environment import in_jupyter
from cofactor.notebook._html import progress_html
from cofactor.notebook._tensors import find_bs

__all__ = [
    "AMPMode",
    "BnFreeze",
    "CSVLogger",
    "CastToTensor",
    "GradientAccumulation",
    "GradientClip",
    "MixedPrecision",
    "ModelResetter",
    "ParamScheduler",
    "ProgressCallback",
    "ShortEpochCallback",
    "ShowGraphCallback",
    "SkipToEpoch",
    "TrainEvalCallback",
    "before_batch_cb",
]


@at("before_fit", "before_train", "after_batch", "before_validate")
class TrainEvalCallback(Callback):
    """Counts batches and switches the module between training and evaluation (the Learner does so itself)."""

    order, run_valid = -10, False


@at("before_batch")
class CastToTensor(Callback):
    """Does nothing: all tensors are plain tensors here."""

    order = 9


@at("before_fit", "before_epoch", "before_train", "after_batch", "after_train")
@at("before_validate", "after_validate", "after_fit")
class ProgressCallback(Callback):
    """Shows the table as it grows: an HTML table with a bar in a notebook, lines of text elsewhere."""

    order = 60

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.display: Any = None

    def begin(self, names: Any, epochs: int) -> None:
        """Show the headings."""
        self.names, self.epochs, self.rows, self.display = [str(n) for n in names], epochs, [], None
        if in_jupyter():
            from IPython.display import HTML, display  # type: ignore[import-not-found]

            self.display = display(HTML(self._html("")), display_id=True)
        else:
            self._say(self.names)

    def line(self, cells: Any) -> None:
        """Show a line."""
        self.rows.append([shown(c) for c in cells])
        if self.display is not None:
            self._update("")
        else:
            self._say(self.rows[-1])

    def note(self, text: str) -> None:
        """Show a message while something slow runs. It disappears with the next line."""
        if self.display is not None:
            self._update(text)

    def _update(self, text: str) -> None:
        from IPython.display import HTML

        self.display.update(HTML(self._html(text)))

    def _say(self, cells: list[str]) -> None:
        width = [max(12, len(n) + 2) for n in self.names]
        print("".join(f"{c:<{w}}" for c, w in zip(cells, width)).rstrip(), flush=True)

    def _html(self, text: str) -> str:
        return progress_html(self.names, self.rows, self.epochs, text)


class AMPMode:
    """Kinds of mixed precision."""

    FP16, BF16 = "fp16", "bf16"


SINGLE = "trained in single precision: mixed precision would not make these models faster"
"""The note if half precision is requested."""


class MixedPrecision(Callback):
    """Reports that training stays in single precision."""

    order = 10

    def __init__(self, amp_mode: Any = AMPMode.FP16, **kwargs: Any) -> None:
        self.amp_mode = amp_mode

    def before_fit(self) -> None:
        print(SINGLE)


class ModelResetter(Callback):
    """Calls ``reset`` of the module before each part of an epoch and after training."""

    def before_train(self) -> None:
        self.learn.model.reset()

    def before_validate(self) -> None:
        self.learn.model.reset()

    def after_fit(self) -> None:
        self.learn.model.reset()


class CSVLogger(Callback):
    """Write the table to a CSV file in ``learn.path``."""

    order = 60

    def __init__(self, fname: Any = "history.csv", append: bool = False) -> None:
        self.fname, self.append = fname, append

    def read_log(self) -> Any:
        """Return the file as a frame."""
        import pandas as pd

        return pd.read_csv(self.learn.path / self.fname)

    def before_fit(self) -> None:
        target = self.learn.path / self.fname
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = not (self.append and target.exists())
        self.file = target.open("w" if fresh else "a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        if fresh:
            self.writer.writerow(self.learn.recorder.metric_names)

    def after_epoch(self) -> None:
        self.writer.writerow(self.learn.recorder.log)
        self.file.flush()

    def after_fit(self) -> None:
        self.file.close()


@at("before_fit", "after_epoch")
class ShowGraphCallback(Callback):
    """Plot the losses when training ends."""

    order = 65
    run_valid = False

    def after_fit(self) -> None:
        if self.learn.recorder.values:
            self.graph = self.learn.recorder.plot_loss()


class ParamScheduler(Callback):
    """Schedules hyper-parameters: ``{"lr": SchedCos(1e-3, 1e-5)}``."""

    order, run_valid = 60, False

    def __init__(self, scheds: Any) -> None:
        self.scheds = scheds

    def before_fit(self) -> None:
        self.hps: dict[str, list[Any]] = {p: [] for p in self.scheds}

    def before_batch(self) -> None:
        for name, f in self.scheds.items():
            self.learn.opt.set_hyper(name, f(self.learn.pct_train))

    def after_batch(self) -> None:
        for p in self.scheds:
            self.hps[p].append(self.learn.opt.hypers[-1][p])

    def after_fit(self) -> None:
        self.learn.recorder.hps = self.hps


class GradientClip(Callback):
    """Clips the norm of all gradients."""

    order = 6

    def __init__(self, max_norm: float = 1.0, norm_type: float = 2.0) -> None:
        self.max_norm, self.norm_type = max_norm, norm_type

    def before_step(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.learn.model.parameters(), self.max_norm, self.norm_type)


class GradientAccumulation(Callback):
    """Makes a step after every ``n_acc`` rows."""

    order, run_valid = -4, False

    def __init__(self, n_acc: int = 32) -> None:
        self.n_acc = n_acc

    def before_fit(self) -> None:
        self.count = 0

    def after_loss(self) -> None:
        self.learn.loss_grad /= self.n_acc / find_bs(self.learn.yb)

    def before_step(self) -> None:
        self.count += find_bs(self.learn.yb)
        if self.count < self.n_acc:
            raise CancelBatchException
        self.count = 0


class ShortEpochCallback(Callback):
    """Ends an epoch after a share of its batches."""

    def __init__(self, pct: float = 0.01, short_valid: bool = True) -> None:
        self.pct, self.short_valid = pct, short_valid

    def after_batch(self) -> None:
        if self.learn.iter / self.learn.n_iter < self.pct:
            return
        if self.learn.training:
            raise CancelTrainException
        if self.short_valid:
            raise CancelValidException


class SkipToEpoch(Callback):
    """Skips epochs."""

    order = 70

    def __init__(self, epoch: int) -> None:
        self._skip_to = epoch

    def before_epoch(self) -> None:
        if self.learn.epoch < self._skip_to:
            raise CancelEpochException


class BnFreeze(Callback):
    """Keeps the running statistics of normalisation layers that do not learn."""

    run_after, run_valid = TrainEvalCallback, False

    def before_train(self) -> None:
        for m in self.learn.model.modules():
            if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and not any(
                p.requires_grad for p in m.parameters()
            ):
                m.eval()


def before_batch_cb(f: Any) -> Callback:
    """Return a callback that changes each batch: ``f(self, xb, yb)`` returns both."""

    def before_batch(self: Any) -> None:
        self.learn.xb, self.learn.yb = f(self, self.learn.xb, self.learn.yb)

    return Callback(before_batch=before_batch)


DEFAULT = (TrainEvalCallback, Recorder, CastToTensor, ProgressCallback)
CANCELS = (
    *(CancelFitException, CancelEpochException, CancelTrainException, CancelValidException),
    *(CancelBatchException, CancelStepException, CancelBackwardException),
)
