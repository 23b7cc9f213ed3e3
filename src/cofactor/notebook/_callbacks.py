"""Callbacks and the progress table."""

from __future__ import annotations

import csv
import math
from typing import Any

import numpy as np
import torch

from cofactor.errors import ConfigError
from cofactor.notebook._events import (
    Callback,
    CancelBackwardException,
    CancelBatchException,
    CancelEpochException,
    CancelFitException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
)
from cofactor.notebook._helpers import in_jupyter
from cofactor.notebook._hooks import Hooks
from cofactor.notebook._html import progress_html
from cofactor.notebook._keywords import takes_its_own
from cofactor.notebook._lists import L
from cofactor.notebook._recorder import Recorder, shown
from cofactor.notebook._tensors import find_bs, to_concat, to_detach


class TrainEvalCallback(Callback):
    """Counts batches and switches the module between training and evaluation (the Learner does it itself)."""

    order, run_valid = -10, False


class CastToTensor(Callback):
    """There are only plain tensors here."""

    order = 9


class ProgressCallback(Callback):
    """The table as it grows: an HTML table with a bar in a notebook, lines of text elsewhere."""

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
        """Say something that takes a while, while it does; gone with the next line."""
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


class TrackerCallback(Callback):
    """What watches one column of the table. Losses and errors are better when lower, other metrics when higher."""

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

    def improved(self) -> bool:
        """Whether the last epoch is the best so far."""
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
    """Stop when ``monitor`` has not become better by ``min_delta`` for ``patience`` epochs."""

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
    """Save the weights of the best epoch under ``fname`` and load them at the end (or save every epoch, or at the
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
    """Divide the learning rate by ``factor`` when ``monitor`` has not become better for ``patience`` epochs."""

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
    """Stop at a loss that is not a finite number. (Training stops there with a sentence in any case.)"""

    order = -9

    def after_epoch(self) -> None:
        losses = self.learn.recorder.losses
        if losses and not math.isfinite(float(losses[-1])):
            raise CancelFitException


class CSVLogger(Callback):
    """Write the table to a CSV file in ``learn.path``."""

    order = 60

    def __init__(self, fname: Any = "history.csv", append: bool = False) -> None:
        self.fname, self.append = fname, append

    def read_log(self) -> Any:
        """The file as a frame."""
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


class ShowGraphCallback(Callback):
    """Plot the losses when training ends."""

    order = 65
    run_valid = False

    def after_fit(self) -> None:
        if self.learn.recorder.values:
            self.graph = self.learn.recorder.plot_loss()


class ParamScheduler(Callback):
    """Hyper-parameters by schedules: ``{"lr": SchedCos(1e-3, 1e-5)}``."""

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
    """Clip the norm of all gradients."""

    order = 6

    def __init__(self, max_norm: float = 1.0, norm_type: float = 2.0) -> None:
        self.max_norm, self.norm_type = max_norm, norm_type

    def before_step(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.learn.model.parameters(), self.max_norm, self.norm_type)


class GradientAccumulation(Callback):
    """Step once ``n_acc`` rows have gone by."""

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
    """End an epoch after a share of its batches."""

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
    """Skip epochs."""

    order = 70

    def __init__(self, epoch: int) -> None:
        self._skip_to = epoch

    def before_epoch(self) -> None:
        if self.learn.epoch < self._skip_to:
            raise CancelEpochException


class BnFreeze(Callback):
    """Keep the running statistics of normalisation layers that do not learn."""

    run_after, run_valid = TrainEvalCallback, False

    def before_train(self) -> None:
        for m in self.learn.model.modules():
            if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and not any(
                p.requires_grad for p in m.parameters()
            ):
                m.eval()


@takes_its_own
class GatherPredsCallback(Callback):
    """Keep predictions and targets of a validation."""

    def __init__(
        self,
        with_input: bool = False,
        with_loss: bool = False,
        save_preds: Any = None,
        save_targs: Any = None,
        with_preds: bool = True,
        with_targs: bool = True,
        concat_dim: int = 0,
    ) -> None:
        self.with_input, self.with_loss, self.with_preds, self.with_targs = (
            with_input,
            with_loss,
            with_preds,
            with_targs,
        )
        self.concat_dim = concat_dim

    def before_validate(self) -> None:
        self.preds: Any = []
        self.targets: Any = []
        self.inputs: Any = []
        self.losses: Any = []

    def before_batch(self) -> None:
        if self.with_input:
            self.inputs.append(to_detach(self.learn.xb))

    def after_batch(self) -> None:
        self.preds.append(to_detach(self.learn.pred))
        self.targets.append(to_detach(self.learn.yb))
        if self.with_loss:
            bs = find_bs(self.learn.yb)
            loss = self.learn.loss
            self.losses.append(to_detach(loss if loss.numel() == bs else loss.view(bs, -1).mean(1)))

    def after_validate(self) -> None:
        for name in ("inputs", "preds", "targets", "losses"):
            found = to_concat(getattr(self, name), dim=self.concat_dim)
            setattr(self, name, found[0] if isinstance(found, (tuple, list)) and len(found) == 1 else found)

    def all_tensors(self) -> list[Any]:
        found = [self.preds, self.targets]
        return ([self.inputs] if self.with_input else []) + found + ([self.losses] if self.with_loss else [])


class FetchPredsCallback(Callback):
    """Predictions after each validation."""

    remove_on_fetch = True

    def __init__(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        cbs: Any = None,
        reorder: bool = True,
    ) -> None:
        self.ds_idx, self.dl, self.with_input, self.with_decoded, self.cbs, self.reorder = (
            ds_idx,
            dl,
            with_input,
            with_decoded,
            L(cbs),
            reorder,
        )

    def after_validate(self) -> None:
        self.preds = self.learn.get_preds(
            ds_idx=self.ds_idx,
            dl=self.dl,
            with_input=self.with_input,
            with_decoded=self.with_decoded,
            reorder=self.reorder,
            inner=True,
        )


class CollectDataCallback(Callback):
    """Keep every batch with its prediction and loss."""

    def before_fit(self) -> None:
        self.data = L()

    def after_batch(self) -> None:
        self.data.append(to_detach((self.learn.xb, self.learn.yb, self.learn.pred, self.learn.loss)))


class HookCallback(Callback):
    """Calls ``self.hook(module, input, output)`` at every forward pass of some modules."""

    def __init__(
        self,
        modules: Any = None,
        every: int | None = None,
        remove_end: bool = True,
        is_forward: bool = True,
        detach: bool = True,
        cpu: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.modules, self.every, self.remove_end = modules, every, remove_end
        self.is_forward, self.detach, self.cpu = is_forward, detach, cpu

    def before_fit(self) -> None:
        which = (
            self.modules
            if self.modules is not None
            else [m for m in self.learn.model.modules() if any(True for _ in m.parameters(recurse=False))]
        )
        self.hooks = Hooks(which, self.hook, self.is_forward, self.detach, self.cpu)

    def before_batch(self) -> None: ...

    def after_fit(self) -> None:
        if self.remove_end and "hooks" in self.__dict__:
            self.hooks.remove()


def before_batch_cb(f: Any) -> Callback:
    """A callback that changes each batch: ``f(self, xb, yb)`` returns both."""

    def before_batch(self: Any) -> None:
        self.learn.xb, self.learn.yb = f(self, self.learn.xb, self.learn.yb)

    return Callback(before_batch=before_batch)


DEFAULT = (TrainEvalCallback, Recorder, CastToTensor, ProgressCallback)
CANCELS = (
    *(CancelFitException, CancelEpochException, CancelTrainException, CancelValidException),
    *(CancelBatchException, CancelStepException, CancelBackwardException),
)
