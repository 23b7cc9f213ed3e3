"""The Learner: the only epoch loop in cofactor.

It turns a plan (schedules) into arrays of learning rate and momentum, and gives a stepper as many batches at a time as
possible: a whole epoch if no callback needs to run in between.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._paths import check_file
from cofactor._progress import compiling_announced, say
from cofactor._validate import check_int, check_iterable, check_number
from cofactor.data.fingerprint import fingerprint
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import BundleError, ConfigError, DataError
from cofactor.model import HasLoss, Hyper, Model, Stepper
from cofactor.train.callbacks import Callback, PrintTable, ProgressBar, wants_batches
from cofactor.train.checkpoint import load_checkpoint, save_checkpoint
from cofactor.train.losses import loss_function
from cofactor.train.lr_find import LRFind, lr_find
from cofactor.train.memory import check_memory
from cofactor.train.order import epoch_order
from cofactor.train.recorder import Recorder
from cofactor.train.schedules import Plan, flat_plan, one_cycle_plan

Array = NDArray[Any]
CHUNK = 1 << 20
"""Number of ratings that validation predicts at a time."""
TABLE_ROWS = 30
"""Runs of more epochs than this show a progress bar instead of one line per epoch."""


class Learner:
    """Trains a model on the ``train`` part of a split and monitors the ``valid`` part.

    ``data`` may also be Interactions: then nothing is monitored and valid losses are NaN. One ``seed`` fixes initial
    values, the order of rows and all other random numbers. Calling ``fit`` again continues the training.
    """

    def __init__(
        self,
        data: Split | Interactions,
        model: Model,
        *,
        seed: int = 0,
        bs: int = 64,
        callbacks: Sequence[Callback] = (),
        verbose: bool = True,
    ) -> None:
        self.train = (data.train if isinstance(data, Split) else data).in_memory
        self.valid = data.valid if isinstance(data, Split) else None
        if len(self.train) == 0:
            raise DataError("there are no rows to train on")
        check_int("the batch size", bs)
        check_int("seed", seed, 0)
        _check_callbacks(callbacks)
        _check_range(self.train, getattr(model.config, "y_range", None))
        _check_weights(self.train, model)
        self.model = model
        self.seed = seed
        self.bs = min(bs, len(self.train))
        self.callbacks = list(callbacks)
        self.verbose = verbose
        self.recorder = Recorder()
        self.epoch = 0
        """The current epoch of this fit, or the last complete one."""
        self.stop = False
        """Set to True (for example in a callback) to end after the current epoch."""
        self.interrupted = False
        """Whether the last fit was ended by Ctrl-C."""
        self._epochs_done = 0
        self._stepper: Stepper | None = None

    @property
    def stepper(self) -> Stepper:
        """The training run in progress, created when first needed."""
        if self._stepper is None:
            check_memory(self.model, self.train)
            self._stepper = self.model.stepper(self.train, np.random.default_rng([self.seed, 0]))
        return self._stepper

    # ---- fitting

    def fit_one_cycle(
        self,
        epochs: int,
        lr_max: float = 5e-3,
        *,
        wd: float = 0.01,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        moms: tuple[float, float, float] = (0.95, 0.85, 0.95),
        callbacks: Sequence[Callback] = (),
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train by the one-cycle policy (Smith & Topin 2018).

        Args:
            epochs: passes over the training rows.
            lr_max: the highest learning rate.
            wd: decoupled weight decay.
            div: the first rate is ``lr_max / div``.
            div_final: the last rate is ``lr_max / div_final``.
            pct_start: the share of the batches in which the rate goes up.
            moms: momentum at the start, at the highest rate and at the end.
            callbacks: callbacks of this fit.
            checkpoint: a file that is written after every epoch.
            resume: go on from ``checkpoint``, to the weights of an uninterrupted run.
        """
        _check_rates(epochs, lr_max, wd)
        plan = one_cycle_plan(epochs, lr_max, wd, div=div, div_final=div_final, pct_start=pct_start, moms=moms)
        self.run(plan, callbacks=callbacks, checkpoint=checkpoint, resume=resume)

    def fit(
        self,
        epochs: int,
        lr: float = 1e-3,
        *,
        wd: float = 0.01,
        mom: float = 0.9,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train at a constant learning rate. Models that sweep or solve make that many passes, and use no rate.

        Args:
            epochs: passes over the training rows.
            lr: the learning rate.
            wd: decoupled weight decay.
            mom: momentum.
            callbacks: callbacks of this fit.
            checkpoint: a file that is written after every epoch.
            resume: go on from ``checkpoint``, to the weights of an uninterrupted run.
        """
        _check_rates(epochs, lr, wd)
        self.run(flat_plan(epochs, lr, wd, mom=mom), callbacks=callbacks, checkpoint=checkpoint, resume=resume)

    def run(
        self,
        plan: Plan,
        *,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train by a plan of your own. Ctrl-C ends training after the current epoch (or batch); the model keeps what it
        has learned.

        Args:
            plan: learning rates and momenta of every batch (``cofactor.train.schedules``).
            callbacks: callbacks of this fit.
            checkpoint: a file that is written after every epoch.
            resume: go on from ``checkpoint``, to the weights of an uninterrupted run.
        """
        if checkpoint is not None:
            check_file(checkpoint, "the checkpoint", makes_folders=True)
        _check_callbacks(callbacks)
        given = [*self.callbacks, *callbacks]
        shown = [PrintTable() if plan.epochs <= TABLE_ROWS else ProgressBar(plan.epochs)] if self.verbose else []
        active = [*shown, *given]
        self.recorder.clear()
        self.stop, first = False, 0
        for callback in active:
            callback.before_fit(self)
        if resume and checkpoint is not None and Path(checkpoint).exists():
            first = self._resume(checkpoint, plan, given)
        with _ctrl_c() as interrupted, compiling_announced(partial(say, error=True)) if self.verbose else nullcontext():
            try:
                for self.epoch in range(first, plan.epochs):
                    self._one_epoch(plan, active, interrupted)
                    if checkpoint is not None and not interrupted.is_set():
                        self._save(checkpoint, plan, given)
                    if self.stop or interrupted.is_set() or self.model.kind == "solve":
                        break
            finally:
                for callback in active:
                    callback.after_fit(self)
        self.interrupted = interrupted.is_set()
        if self.interrupted and self.verbose:
            say(f"interrupted in epoch {self.epoch}; the model keeps what it has learned")

    def _one_epoch(self, plan: Plan, active: list[Callback], interrupted: threading.Event) -> None:
        for callback in active:
            callback.before_epoch(self)
        start = time.perf_counter()
        if self.model.kind == "batch":
            train_loss = self._batches(plan, active, interrupted)
            self.stepper.flush()
            self._refuse_divergence(train_loss, "use a lower learning rate")
        else:
            losses = self.stepper.run(None, None)
            self.recorder.add(losses, losses[:0], losses[:0])
            train_loss = float(losses[-1]) if len(losses) else math.nan
            if len(losses):
                self._refuse_divergence(train_loss, "use fewer factors or more regularisation")
        self._epochs_done += 1
        valid_loss = self.validate()
        self.recorder.seconds.append(time.perf_counter() - start)
        self.recorder.values.append([train_loss, valid_loss])
        for callback in active:
            callback.after_epoch(self)

    def _refuse_divergence(self, loss: float, advice: str) -> None:
        if not math.isfinite(loss):
            raise ConfigError(f"training diverged in epoch {self.epoch}: the loss is {loss}; {advice}")

    def _batches(self, plan: Plan, active: list[Callback], interrupted: threading.Event) -> float:
        stepper, bs = self.stepper, self.bs
        n = len(self.train) // bs
        by_batch = wants_batches(active)
        if not by_batch:
            lr, mom = plan.arrays(self.epoch, 0, n, n)
            losses = stepper.run_epoch([self.seed, 1, self._epochs_done], Hyper(lr, mom, plan.wd, bs))
            if losses is not None:
                self.recorder.add(losses, lr, mom)
                self.recorder.smooth.add(losses)
                return self.recorder.smooth.value
        rows = epoch_order(len(self.train), self.seed, self._epochs_done)
        step = 1 if by_batch else stepper.interrupt_every or n
        for first in range(0, n, step):
            count = min(step, n - first)
            lr, mom = plan.arrays(self.epoch, first, count, n)
            if by_batch:
                for callback in active:
                    callback.before_batch(self, first)
            losses = stepper.run(rows[first * bs : (first + count) * bs], Hyper(lr, mom, plan.wd, bs))
            self.recorder.add(losses, lr, mom)
            self.recorder.smooth.add(losses)
            if by_batch:
                for callback in active:
                    callback.after_batch(self, first, float(losses[0]))
            if interrupted.is_set() or (by_batch and self.stop):
                break
        return self.recorder.smooth.value

    # ---- looking

    def validate(self, data: Interactions | None = None) -> float:
        """Return the mean loss, weighted by the row weights if there are any.

        NaN without rows, and for rankers.

        Args:
            data: rows; the split's valid part unless given.
        """
        data = self.valid if data is None else data
        if data is None or len(data) == 0:
            return math.nan
        if self._stepper is None:
            _ = self.stepper  # the weights from which training would start
        if isinstance(self.model, HasLoss):
            return self.model.loss(data)
        if self.model.task == "ranking":
            return math.nan
        loss = loss_function(getattr(self.model.config, "loss", "mse"))
        total, weight = 0.0, len(data) if data.weights is None else float(data.weights.sum(dtype=np.float64))
        for lo in range(0, len(data), CHUNK):
            part = slice(lo, lo + CHUNK)
            times = None if data.times is None else data.times[part]
            weights = None if data.weights is None else data.weights[part].astype(np.float64)
            predicted = self.model.predict(data.users[part], data.items[part], times)
            share = len(predicted) if weights is None else float(weights.sum())
            total += loss(predicted, data.values[part], weights) * (share / weight)
        return total

    def lr_find(
        self,
        start: float = 1e-5,
        end: float = 10.0,
        num: int | None = None,
        wd: float = 0.01,
        stop_div: bool = True,
    ) -> LRFind:
        """Try learning rates from small to large in a trial run (Smith 2015).

        Weights and order are restored afterwards.

        Args:
            start: the first rate.
            end: the last rate.
            num: batches, one rate each. By default one epoch (100 to 2,000). An embedding row learns only in its own
                batches; with fewer batches hardly any row would move before the rate is far too high.
            wd: decoupled weight decay.
            stop_div: stop when the loss is four times the lowest so far.

        Returns:
            An LRFind: rates, losses, and a suggestion.
        """
        if num is None:
            num = min(max(len(self.train) // self.bs, 100), 2000)
        return lr_find(self, start, end, num, wd, stop_div)

    # ---- checkpoints

    def _save(self, path: str | Path, plan: Plan, callbacks: list[Callback]) -> None:
        r = self.recorder
        arrays: dict[str, Array] = {f"stepper.{k}": v for k, v in self.stepper.snapshot().items()}
        for name in ("values", "seconds", "losses", "lrs", "moms"):
            arrays[f"recorder.{name}"] = np.asarray(getattr(r, name), dtype=np.float64)
        arrays["recorder.smooth"] = np.array([r.smooth.total, r.smooth.count], dtype=np.float64)
        for i, callback in enumerate(callbacks):
            arrays |= {f"callback {i}.{k}": v for k, v in callback.state().items()}
        meta = {
            "run": self._run_label(plan),
            "callbacks": [type(c).__name__ for c in callbacks],
            "epoch": self.epoch,
            "epochs_done": self._epochs_done,
            "stopped": self.stop,
        }
        save_checkpoint(path, arrays, meta)

    def _resume(self, path: str | Path, plan: Plan, callbacks: list[Callback]) -> int:
        arrays, meta = load_checkpoint(path)
        if meta.get("run") != self._run_label(plan) or meta["callbacks"] != [type(c).__name__ for c in callbacks]:
            raise BundleError(
                f"{path} belongs to another run (other data, model, seed, schedule or callbacks); train with the same"
                " ones, or without resume"
            )
        for i, callback in enumerate(callbacks):
            callback.restore(_under(arrays, f"callback {i}."))
        self.stepper.restore(_under(arrays, "stepper."))
        recorded = _under(arrays, "recorder.")
        for name in ("values", "seconds"):
            getattr(self.recorder, name).extend(recorded[name].tolist())
        self.recorder.add(recorded["losses"], recorded["lrs"], recorded["moms"])
        self.recorder.smooth.total = float(recorded["smooth"][0])
        self.recorder.smooth.count = int(recorded["smooth"][1])
        self._epochs_done = int(meta["epochs_done"])
        self.epoch = int(meta["epoch"])
        return plan.epochs if meta["stopped"] else self.epoch + 1

    def _run_label(self, plan: Plan) -> str:
        name = type(self.model).__name__
        return f"{name} {self.model.config!r} seed={self.seed} bs={self.bs} {plan.label} {fingerprint(self.train)}"


def _under(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _check_range(data: Interactions, y_range: Any) -> None:
    """Raise DataError for a rating outside the range, which a sigmoid can never reach."""
    if not isinstance(y_range, tuple):
        return
    outside = (data.values < y_range[0]) | (data.values > y_range[1])
    if outside.any():
        row = int(outside.argmax())
        raise DataError(
            f"the rating in row {row + 1} is {data.values[row]:g}, outside y_range {y_range}; "
            f"ratings go from {data.range[0]:g} to {data.range[1]:g}, so widen y_range"
        )


def _check_weights(data: Interactions, model: Model) -> None:
    if data.weights is not None and not getattr(model, "weighs_rows", False):
        raise ConfigError(
            f"{model.name} cannot use row weights (column {data.columns.weight or 'weight'!r}); use als, bias,"
            " popular, ials, item-cosine, ease, slim, graph-filter or blend, or read the table without weight=..."
        )


def _check_callbacks(callbacks: Any) -> None:
    for callback in check_iterable("callbacks", callbacks, "[EarlyStopping()]"):
        if not isinstance(callback, Callback):
            raise ConfigError(f"callbacks hold {callback!r}; give instances of cofactor.Callback")


def _check_rates(epochs: int, lr: float, wd: float) -> None:
    check_int("epochs", epochs)
    if not check_number("the learning rate", lr) > 0:
        raise ConfigError(f"the learning rate is {lr}; it must be a number above 0")
    if not check_number("the weight decay", wd) >= 0:
        raise ConfigError(f"the weight decay is {wd}; it must be 0 or more")


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; the second raises KeyboardInterrupt. Only in the main thread."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handler(signum: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
