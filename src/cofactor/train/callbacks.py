"""Callbacks: small objects that the loop calls at fixed points.

Override the hooks that you need. ``before_batch`` and ``after_batch`` make the loop go batch by batch; without them a
fused kernel gets whole epochs. The weights are the same, unless the model takes whole epochs in an order of its own
(dot-bias from 500,000 ratings on; ``parallel="off"`` keeps the plain order). Set ``learn.stop = True`` to end after the
current epoch.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from cofactor._progress import progress, say
from cofactor.errors import ConfigError
from cofactor.model import State
from cofactor.train.run import TrainingRun


class Callback:
    """A callback that does nothing. Subclass it."""

    def before_fit(self, learn: TrainingRun) -> None: ...

    def before_epoch(self, learn: TrainingRun) -> None: ...

    def before_batch(self, learn: TrainingRun, batch: int) -> None: ...

    def after_batch(self, learn: TrainingRun, batch: int, loss: float) -> None: ...

    def after_epoch(self, learn: TrainingRun) -> None: ...

    def after_fit(self, learn: TrainingRun) -> None: ...

    def state(self) -> State:
        """Return what a checkpoint must hold of this callback: nothing, unless it remembers something between
        epochs."""
        return {}

    def restore(self, state: State) -> None:
        """Restore the value of ``state``. Called after ``before_fit`` when training resumes."""


def wants_batches(callbacks: list[Callback]) -> bool:
    """Return whether any of them has a hook at every batch."""
    return any(
        type(c).before_batch is not Callback.before_batch or type(c).after_batch is not Callback.after_batch
        for c in callbacks
    )


class PrintTable(Callback):
    """Print the notebook's table: epoch, train_loss, valid_loss, time, one line at the end of each epoch. Closed-form
    models have no epochs; one line reports when they are solved. ``out`` None: the logger or standard output."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out

    def _say(self, *cells: str) -> None:
        line = "".join(f"{c:<12}" for c in cells).rstrip() if len(cells) > 1 else cells[0]
        if self.out is None:
            say(line)
        else:
            print(line, file=self.out, flush=True)

    def before_fit(self, learn: TrainingRun) -> None:
        if learn.model.kind != "solve":
            self._say("epoch", "train_loss", "valid_loss", "time")

    def after_epoch(self, learn: TrainingRun) -> None:
        train, valid = learn.recorder.values[-1]
        if learn.model.kind == "solve":
            loss = "" if math.isnan(valid) else f", valid_loss {_number(valid)}"
            self._say(f"solved in {_seconds(learn.recorder.seconds[-1])}{loss}")
            return
        self._say(str(learn.epoch), _number(train), _number(valid), _seconds(learn.recorder.seconds[-1]))


def _number(x: float) -> str:
    return "-" if math.isnan(x) else f"{x:.6f}"


def _seconds(s: float) -> str:
    return f"{s:.2f}s" if s < 60 else f"{int(s // 60):02d}:{int(s % 60):02d}"


class ProgressBar(Callback):
    """Show a bar over the epochs with the losses, on a terminal; elsewhere nothing. For runs of many sweeps."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def before_fit(self, learn: TrainingRun) -> None:
        self.bar = progress(learn.model.name, self.epochs)
        self.tick = self.bar.__enter__()

    def after_epoch(self, learn: TrainingRun) -> None:
        train, valid = learn.recorder.values[-1]
        shown = [f"{what} {x:.4f}" for what, x in (("train", train), ("valid", valid)) if not math.isnan(x)]
        self.tick(", ".join(shown), 1)

    def after_fit(self, learn: TrainingRun) -> None:
        self.bar.__exit__(None, None, None)


class EarlyStopping(Callback):
    """Stop when the validation loss has not decreased by ``min_delta`` for ``patience`` epochs."""

    def __init__(self, patience: int = 1, min_delta: float = 0.0) -> None:
        if patience < 1:
            raise ConfigError(f"patience is {patience}; it must be at least 1")
        self.patience = patience
        self.min_delta = min_delta

    def before_fit(self, learn: TrainingRun) -> None:
        self.best, self.waited = math.inf, 0

    def after_epoch(self, learn: TrainingRun) -> None:
        valid = learn.recorder.values[-1][1]
        if valid < self.best - self.min_delta:
            self.best, self.waited = valid, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            learn.stop = True

    def state(self) -> State:
        return {"best": np.array(self.best), "waited": np.array(self.waited)}

    def restore(self, state: State) -> None:
        self.best, self.waited = float(state["best"]), int(state["waited"])


class SaveBest(Callback):
    """Keep the weights of the epoch with the lowest validation loss and put them back at the end."""

    def before_fit(self, learn: TrainingRun) -> None:
        self.best, self.epoch, self.weights = math.inf, -1, dict[str, Any]()

    def after_epoch(self, learn: TrainingRun) -> None:
        valid = learn.recorder.values[-1][1]
        if valid < self.best:
            self.best, self.epoch, self.weights = valid, learn.epoch, learn.stepper.snapshot()

    def after_fit(self, learn: TrainingRun) -> None:
        if self.epoch >= 0 and self.epoch != learn.epoch:
            learn.stepper.restore(self.weights)

    def state(self) -> State:
        facts = {"best": np.array(self.best), "epoch": np.array(self.epoch)}
        return facts | {f"weights.{k}": v for k, v in self.weights.items()}

    def restore(self, state: State) -> None:
        self.best, self.epoch = float(state["best"]), int(state["epoch"])
        self.weights = {k.removeprefix("weights."): v for k, v in state.items() if k.startswith("weights.")}


class CSVLog(Callback):
    """Write the table to a CSV file, one row per epoch, flushed each time. ``append`` keeps the file's earlier rows."""

    def __init__(self, path: str | Path = "history.csv", append: bool = False) -> None:
        self.path = Path(path)
        self.append = append

    def before_fit(self, learn: TrainingRun) -> None:
        fresh = not (self.append and self.path.exists())
        self.file = self.path.open("w" if fresh else "a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        if fresh:
            self.writer.writerow(["epoch", "train_loss", "valid_loss", "seconds"])

    def after_epoch(self, learn: TrainingRun) -> None:
        train, valid = learn.recorder.values[-1]
        self.writer.writerow([learn.epoch, train, valid, f"{learn.recorder.seconds[-1]:.4f}"])
        self.file.flush()

    def after_fit(self, learn: TrainingRun) -> None:
        self.file.close()
