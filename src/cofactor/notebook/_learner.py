"""The notebook's ``Learner``: a thin layer over ``cofactor.train.Learner``."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor import train
from cofactor._progress import compiling_announced
from cofactor._validate import check_int, check_number
from cofactor.data.ids import IdMap
from cofactor.errors import ConfigError, UnknownIdError
from cofactor.model import Hyper
from cofactor.models.torch.layers import MSELossFlat
from cofactor.notebook import _engine as engine
from cofactor.notebook import _files as files
from cofactor.notebook._callbacks import DEFAULT, ProgressCallback, SkipToEpoch
from cofactor.notebook._events import (
    EVENTS,
    Callback,
    CancelBackwardException,
    CancelBatchException,
    CancelEpochException,
    CancelFitException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
)
from cofactor.notebook._helpers import ContextManagers, defaults, noop, replacing_yield
from cofactor.notebook._hooks import module_summary
from cofactor.notebook._html import learner_html
from cofactor.notebook._keywords import takes, takes_its_own
from cofactor.notebook._lists import L
from cofactor.notebook._loaders import DataLoaders
from cofactor.notebook._lr_find import find
from cofactor.notebook._metrics import AvgMetric, mk_metric
from cofactor.notebook._optimizer import Adam, Optimizer
from cofactor.notebook._optimizer import make as make_optimizer
from cofactor.notebook._recorder import Recorder, shown_time
from cofactor.notebook._schedules import valley
from cofactor.notebook._tabular import TabularPandas
from cofactor.notebook._tabular import show as show_frame
from cofactor.notebook._tensors import a_seed, nested_reorder, norm_bias_params, to_detach, trainable_params
from cofactor.train.schedules import Plan, one_cycle_plan

Array = NDArray[Any]

_ELSEWHERE = {
    "dblock": "the data are a table; see learn.dls",
    "tta": "rows of a table are not augmented",
    "distrib_ctx": "training is one process",
}


@takes_its_own
class Learner:
    """Trains ``model`` on ``dls.train`` and watches ``dls.valid``.

    ``loss_func`` takes the module's outputs and the targets of a batch. ``opt_func`` is ``Adam`` (the default:
    decoupled
    decay), another of this module, or any optimizer of ``torch.optim``. ``metrics`` are functions of predictions and
    targets. ``seed`` fixes the order of rows and dropout; without one it is drawn from torch's generator. What the
    Learner
    does not have, its model may: ``learn.parameters()``.
    """

    def __init__(
        self,
        dls: Any,
        model: Any,
        loss_func: Callable[..., Any] | None = None,
        opt_func: Any = Adam,
        lr: Any = None,
        splitter: Callable[..., Any] = trainable_params,
        cbs: Any = None,
        metrics: Any = None,
        path: Any = None,
        model_dir: Any = "models",
        wd: float | None = None,
        wd_bn_bias: bool = False,
        train_bn: bool = True,
        moms: Sequence[float] = (0.95, 0.85, 0.95),
        default_cbs: bool = True,
        seed: int | None = None,
        verbose: bool = True,
    ) -> None:
        check_given(dls, model)
        self.dls = dls
        if loss_func is None:
            loss_func = getattr(dls.train_ds, "loss_func", None) if isinstance(dls.train_ds, TabularPandas) else None
        self.loss_func = MSELossFlat() if loss_func is None else loss_func
        _check_loss(self.loss_func)
        self.opt_func, self.splitter = opt_func, splitter
        self.lr = defaults.lr if lr is None else lr
        self.wd, self.moms = wd, tuple(float(m) for m in moms)
        self.wd_bn_bias, self.train_bn = wd_bn_bias, train_bn
        self.path = Path(path) if path is not None else Path(getattr(dls, "path", "."))
        self.model_dir = model_dir
        self.seed, self.verbose = a_seed(seed), verbose
        self.training, self.create_mbar = False, True
        self.logger: Any = _log
        self.opt: Any = None
        self.smooth_loss: Any = None
        self._skip = False
        self._looked: list[Any] = []
        self.xb: tuple[Any, ...] = ()
        self.yb: tuple[Any, ...] = ()
        self.pred: Any = None
        self.loss: Any = None
        self.loss_grad: Any = None
        self.dl: Any = None
        self.n_epoch = 1
        self._module: nn.Module = model.to(dls.device) if hasattr(model, "to") else model
        self._core: engine.Core | None = None
        self._looking = False
        self._note = ""
        self.metrics = metrics
        self.recorder = Recorder()
        self.recorder.learn = self
        self.cbs = L()
        if default_cbs:
            self.add_cbs([Recorder if c is Recorder else c for c in DEFAULT])
        self.add_cbs(cbs)
        self("after_create")

    # ---- the model

    @property
    def model(self) -> nn.Module:
        """The module, its weights as they are now."""
        if self._core is not None:
            self._core.flush()
        return self._module

    @model.setter
    def model(self, module: nn.Module) -> None:
        self._module, self._core, self.opt = module.to(self.dls.device), None, None

    @property
    def metrics(self) -> L:
        return self._metrics

    @metrics.setter
    def metrics(self, value: Any) -> None:
        if isinstance(value, str):
            raise ConfigError(f"a metric is a function of predictions and targets, such as rmse or mae, not {value!r}")
        self._metrics = L(value).map(mk_metric)

    def core(self, by_batch: bool = False) -> engine.Core:
        """The run that trains the module: made when first needed, and again where the module was replaced or changed so
        that the present one cannot honour it."""
        _check_loss(self.loss_func)
        if self.opt is None:
            self.create_opt()
        job = self._job()
        wanted = "events" if by_batch or not engine.plain_table(self.dls) else None
        now = self._core
        if now is None or not now.fits(job) or (wanted == "events") != (now.kind == "events"):
            if now is not None:
                now.flush()
            made = engine.make(job, by_batch, self)
            if now is not None and now.kind == "kernel" and made.kind != "kernel":
                _hand_over(now, job)
            self._core = made
        assert self._core is not None
        return self._core

    def _job(self) -> engine.Job:
        return engine.Job(self._module, self.dls, self.loss_func, self.opt_func, self.opt, self.seed, self.wd_bn_bias)

    def create_opt(self) -> None:
        """A fresh optimizer, by ``opt_func``."""
        groups = self.splitter(self._module)
        keywords = getattr(self.opt_func, "keywords", {}) if not isinstance(self.opt_func, Optimizer) else {}
        if "lr" in keywords:
            self.lr = keywords["lr"]
        params = list(groups)
        if not params:
            raise ConfigError("the module has no parameter that learns (requires_grad)")
        made = make_optimizer(self.opt_func, params, self.lr)
        if not self.wd_bn_bias:
            made.no_decay = {id(p) for p in norm_bias_params(self._module, True)}
        self.opt = made
        if self._core is not None:
            self._core.flush()
            if self._core.kind == "kernel":
                self._core.forget()
            else:
                self._core = None

    # ---- callbacks

    def add_cbs(self, cbs: Any) -> Learner:
        """Add callbacks."""
        for cb in L(cbs):
            self.add_cb(cb)
        return self

    def add_cb(self, cb: Any) -> Learner:
        """Add a callback (an object, or a class that needs no arguments)."""
        cb = self._checked(cb)
        cb.learn = self
        self.__dict__[cb.name] = cb
        self.cbs.append(cb)
        return self

    def remove_cbs(self, cbs: Any) -> Learner:
        """Remove callbacks."""
        for cb in L(cbs):
            self.remove_cb(cb)
        return self

    def remove_cb(self, cb: Any) -> Learner:
        """Remove a callback (the object, or all of a class)."""
        if isinstance(cb, type):
            return self.remove_cbs([c for c in self.cbs if isinstance(c, cb)])
        if cb in list(self.cbs):
            self.cbs = L([c for c in self.cbs if c is not cb])
            name: str = cb.name
            cb.learn = None
            if self.__dict__.get(name) is cb and not isinstance(cb, Recorder):
                del self.__dict__[name]
        return self

    @contextlib.contextmanager
    def added_cbs(self, cbs: Any) -> Iterator[Learner]:
        """Inside ``with``, these callbacks are there too."""
        made = [self._checked(c) for c in L(cbs)]
        self.add_cbs(made)
        try:
            yield self
        finally:
            self.remove_cbs(made)

    @contextlib.contextmanager
    def removed_cbs(self, cbs: Any) -> Iterator[Learner]:
        """Inside ``with``, these callbacks are away."""
        gone = L(cbs)
        self.remove_cbs(gone)
        try:
            yield self
        finally:
            self.add_cbs(gone)

    def _checked(self, cb: Any) -> Any:
        if isinstance(cb, type) and issubclass(cb, (Callback, train.Callback)):
            cb = cb()
        if isinstance(cb, train.Callback):
            return _OfCore(cb)
        if not isinstance(cb, Callback):
            raise ConfigError(
                f"{type(cb).__name__} is not a callback of cofactor; subclass cofactor.notebook.Callback "
                "(before_fit, before_epoch, before_batch, after_batch, after_epoch, after_fit, ...)"
            )
        return cb

    def ordered_cbs(self, event: str) -> L:
        """The callbacks that have a moment, in order."""
        return L([c for c in self.cbs.sorted("order") if c.has(event)])

    def __call__(self, event_name: Any) -> None:
        for name in L(event_name):
            if name not in EVENTS:
                raise ConfigError(f"there is no moment {name!r}; there are: {', '.join(EVENTS)}")
            for cb in self.cbs.sorted("order"):
                if cb.learn is self:
                    cb(name)

    def _with_events(
        self, f: Callable[[], Any], what: str, ex: type[Exception], final: Callable[[], Any] = noop
    ) -> None:
        try:
            self(f"before_{what}")
            f()
        except ex:
            self(f"after_cancel_{what}")
        self(f"after_{what}")
        final()

    def show_training_loop(self) -> None:
        """Print the moments of training with the callbacks that have them."""
        indent = 0
        for name in EVENTS[1:]:
            start = {
                "before_fit": "Start Fit",
                "before_epoch": "Start Epoch Loop",
                "before_train": "Start Train",
                "before_batch": "Start Batch Loop",
                "before_validate": "Start Valid",
            }
            if name in start:
                print(" " * indent + start[name])
                indent += 2
            print(f"{' ' * indent} - {name:15}:", list(self.ordered_cbs(name)))
            if name in ("after_batch", "after_train", "after_validate", "after_epoch", "after_fit"):
                indent -= 2

    # ---- training

    def fit_one_cycle(
        self,
        n_epoch: int,
        lr_max: Any = None,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        wd: float | None = None,
        moms: Sequence[float] | None = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train by the one-cycle policy. ``wd`` is 0.01 unless given here or to the Learner."""
        first, middle, last = (float(m) for m in (self.moms if moms is None else moms))
        lr, decay = self._rates(lr_max, wd, reset_opt)
        _check_rates(n_epoch, lr, decay)
        shape: dict[str, Any] = {"div": div, "div_final": div_final, "pct_start": pct_start}
        self.run(one_cycle_plan(n_epoch, lr, decay, moms=(first, middle, last), **shape), cbs, start_epoch=start_epoch)

    def fit(
        self,
        n_epoch: int,
        lr: Any = None,
        wd: float | None = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train at a constant rate."""
        rate, decay = self._rates(lr, wd, reset_opt)
        _check_rates(n_epoch, rate, decay)

        def of(name: str) -> Callable[[Array], Array]:  # callbacks may change them
            return lambda p: np.full(len(p), float(self.opt.hypers[-1][name]))

        self.run(
            Plan(n_epoch, of("lr"), of("mom"), decay, f"flat({n_epoch}, {rate!r}, wd={decay!r})"),
            cbs,
            scheduled=False,
            start_epoch=start_epoch,
        )

    def fit_flat_cos(
        self,
        n_epoch: int,
        lr: Any = None,
        div_final: float = 1e5,
        pct_start: float = 0.75,
        wd: float | None = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train at a constant rate, then along half a cosine wave down."""
        rate, decay = self._rates(lr, wd, reset_opt)
        _check_rates(n_epoch, rate, decay)
        down = train.schedules.joined(
            pct_start, train.schedules.constant(rate), train.schedules.cosine(rate, rate / div_final)
        )
        self.run(
            Plan(n_epoch, down, self._mom(), decay, f"flat_cos({n_epoch}, {rate!r})"), cbs, start_epoch=start_epoch
        )

    def fit_sgdr(
        self,
        n_cycles: int,
        cycle_len: int,
        lr_max: Any = None,
        cycle_mult: int = 2,
        cbs: Any = None,
        reset_opt: bool = False,
        wd: float | None = None,
        start_epoch: int = 0,
    ) -> None:
        """Train by cosine waves that start again (Loshchilov & Hutter 2017), each ``cycle_mult`` times as long."""
        rate, decay = self._rates(lr_max, wd, reset_opt)
        lengths = [check_int("cycle_len", cycle_len) * cycle_mult**i for i in range(check_int("n_cycles", n_cycles))]
        epochs = sum(lengths)
        _check_rates(epochs, rate, decay)
        ends = np.cumsum([0, *lengths]) / epochs

        def waves(p: Array) -> Array:
            at = np.clip(np.searchsorted(ends, p, side="right") - 1, 0, len(lengths) - 1)
            inside = (p - ends[at]) / (ends[at + 1] - ends[at])
            found: Array = rate * (1 + np.cos(np.pi * inside)) / 2
            return np.maximum(found, 1e-12)

        self.run(Plan(epochs, waves, self._mom(), decay, f"sgdr({lengths}, {rate!r})"), cbs, start_epoch=start_epoch)

    def fine_tune(
        self,
        epochs: int,
        base_lr: Any = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100,
        pct_start: float = 0.3,
        div: float = 5.0,
        div_final: float = 1e5,
        wd: float | None = None,
        moms: Sequence[float] | None = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Two fits: ``freeze_epochs`` with all groups of parameters but the last frozen, then ``epochs`` with half the
        rate. These models have one group, so that nothing is frozen."""
        self.freeze()
        more: dict[str, Any] = {"div_final": div_final, "wd": wd, "moms": moms, "cbs": cbs}
        more |= {"reset_opt": reset_opt, "start_epoch": start_epoch}
        self.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99, **more)
        base_lr /= 2
        self.unfreeze()
        self.fit_one_cycle(epochs, slice(base_lr / lr_mult, base_lr), pct_start=pct_start, div=div, **more)

    def _mom(self) -> Callable[[Array], Array]:
        return lambda p: np.full(len(p), float(self.opt.hypers[-1]["mom"]))

    def run(
        self, plan: Plan, cbs: Any = None, reset_opt: bool = False, scheduled: bool = True, start_epoch: int = 0
    ) -> None:
        """Train by a plan of your own."""
        own = [self._checked(c) for c in L(cbs)]
        if start_epoch:
            own = [*own, SkipToEpoch(start_epoch)]
        if reset_opt or self.opt is None:
            self.create_opt()
        self.add_cbs(own)
        try:
            by_batch = any(c.by_batch for c in self.cbs if not isinstance(c, DEFAULT) and c.run) or any(
                type(c) not in DEFAULT and c.by_batch for c in self.cbs
            )
            by_batch = by_batch or (self.recorder.train_metrics and bool(self.metrics))
            made = self.core(by_batch)
            self.n_epoch, self.epoch, self.loss, self.train_iter, self.pct_train = (
                plan.epochs,
                0,
                torch.tensor(0.0),
                0,
                0.0,
            )
            self._scheduled, self._plan = scheduled, plan
            self._announce(plan.epochs)
            try:
                self("before_fit")
                with self._compiling():
                    made.learn.run(plan, callbacks=[_Bridge(self, made)])
            except CancelFitException:
                self("after_cancel_fit")
            self("after_fit")
        finally:
            made_core = self._core
            if made_core is not None:
                made_core.flush()
            self.remove_cbs(own)
            self._end_cleanup()

    def _announce(self, epochs: int) -> None:
        bar = self._bar()
        if bar is not None:
            bar.begin(self.recorder.metric_names, epochs)

    def _bar(self) -> ProgressCallback | None:
        if not self.verbose or self.logger is not _log:
            return None
        return next((c for c in self.cbs if isinstance(c, ProgressCallback)), None)

    def _compiling(self) -> Any:
        bar = self._bar()
        if bar is None:
            return contextlib.nullcontext()
        return compiling_announced(bar.note if bar.display is not None else print)

    def _rates(self, lr: Any, wd: float | None, reset_opt: bool = False) -> tuple[float, float]:
        if reset_opt or self.opt is None:
            self.create_opt()
        given = self.lr if lr is None else lr
        values = (
            [given.stop]
            if isinstance(given, slice)
            else list(given)
            if isinstance(given, (list, tuple, np.ndarray)) and np.ndim(given)
            else [given]
        )
        for value in values:
            check_number("the learning rate", value)
        if isinstance(given, slice) and given.start is not None and given.stop is None:
            given = slice(given.start)
        self.opt.set_hyper("lr", given)
        decay = self.wd if wd is None else wd
        decay = float(self.opt.hypers[-1].get("wd", 0.01)) if decay is None else check_number("the weight decay", decay)
        self.opt.set_hyper("wd", decay)
        return float(self.opt.hypers[-1]["lr"]), decay

    # ---- an epoch, batch by batch

    def train_batches(self, hyper: Hyper) -> Array:
        """The training part of an epoch with callbacks; the losses of its batches."""
        losses: list[float] = []
        if getattr(self, "_skip", False):
            return np.zeros(len(hyper.lr))

        def batches() -> None:
            self._module.train()
            self.training = True
            self.dl, self.n_iter = self.dls.train, len(hyper.lr)
            self.pct_train = self.epoch / self.n_epoch
            self("before_train")
            for i, b in enumerate(self.dls.train):
                at = min(i, len(hyper.lr) - 1)
                if self._scheduled:
                    last = float(self.opt.hypers[-1]["lr"]) or 1.0
                    for h in self.opt.hypers:
                        h["lr"] = float(hyper.lr[at]) * (float(h["lr"]) / last if len(self.opt.hypers) > 1 else 1.0)
                        h["mom"] = float(hyper.momentum[at])
                self.one_batch(i, b)
                losses.append(float(self.loss.detach().float().mean()) if isinstance(self.loss, Tensor) else 0.0)
                if not math.isfinite(losses[-1]):
                    raise ConfigError(
                        f"training diverged in epoch {self.epoch}: the loss is {losses[-1]}; take a lower learning rate"
                    )

        with torch.enable_grad():
            try:
                batches()
            except CancelTrainException:
                self("after_cancel_train")
            self("after_train")
        n = len(hyper.lr)
        return np.array((losses + [losses[-1] if losses else 0.0] * n)[:n])

    def one_batch(self, i: int, b: Any) -> None:
        """Train on a batch (or, where ``training`` is False, evaluate it), with callbacks."""
        self.iter = i
        self.xb, self.yb = engine.split_batch(b, self.dls)
        try:
            self("before_batch")
            self._do_one_batch()
        except CancelBatchException:
            self("after_cancel_batch")
        if self.training:
            self.train_iter += 1
            self.pct_train += 1.0 / (self.n_iter * self.n_epoch)
        self("after_batch")

    def _do_one_batch(self) -> None:
        self.pred = self._module(*self.xb)
        self("after_pred")
        if len(self.yb):
            self.loss_grad = engine.loss_of(self.loss_func, self.pred, *self.yb)
            if self.training and self.loss_grad.dim():
                raise ConfigError(
                    f"the loss gave {tuple(self.loss_grad.shape)} numbers; it must give their mean, one number"
                )
            self.loss = self.loss_grad.clone()
        self("after_loss")
        if not self.training or not len(self.yb):
            return
        self._with_events(self._backward, "backward", CancelBackwardException)
        self._with_events(self._step, "step", CancelStepException)
        self.opt.zero_grad()

    def _backward(self) -> None:
        self.loss_grad.backward()

    def _step(self) -> None:
        self.opt.step()

    @torch.no_grad()
    def validate_batches(self, dl: Any) -> None:
        """The validation part of an epoch with callbacks."""

        def batches() -> None:
            self._module.eval()
            self.training = False
            self.dl = dl
            self.n_iter = len(dl)
            self("before_validate")
            for i, b in enumerate(dl):
                self.one_batch(i, b)

        try:
            batches()
        except CancelValidException:
            self("after_cancel_validate")
        self("after_validate")

    # ---- looking

    def lr_find(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_it: int | None = None,
        stop_div: bool = True,
        show_plot: bool = True,
        suggest_funcs: Any = (valley,),
    ) -> Any:
        """Losses at rates from small to large, on a run that is thrown away. Returns a named tuple of suggestions,
        one for
        each of ``suggest_funcs``. ``num_it`` batches; by default an epoch of them (100 to 2,000): a row of an embedding
        learns only in the batches that it is in."""
        return find(self, start_lr, end_lr, num_it, stop_div, show_plot, suggest_funcs)

    def _loader(self, ds_idx: int, dl: Any) -> Any:
        return self.dls[ds_idx] if dl is None else dl.train if isinstance(dl, DataLoaders) else dl

    def validate(self, ds_idx: int = 1, dl: Any = None, cbs: Any = None) -> L:
        """The loss, then the metrics, on the validation rows (or ``ds_idx=0``, the training rows; or a loader)."""
        dl, start = self._loader(ds_idx, dl), time.perf_counter()
        with self._quiet(cbs):
            if any(c.by_batch for c in self.cbs if type(c) not in DEFAULT):
                self._by_events(dl)
            else:
                self.recorder.log = L()
                self._measure(dl, needed=True)
            self.final_record = L(self.recorder.log)
            self.recorder.log = (
                L(getattr(self, "epoch", 0)) + self.final_record + L(shown_time(time.perf_counter() - start))
            )
        return self.final_record

    def _by_events(self, dl: Any) -> None:
        self.recorder.log = L()
        self.epoch = getattr(self, "epoch", 0)
        self("before_fit")
        self.recorder.log = L()
        self.validate_batches(dl)

    @contextlib.contextmanager
    def _quiet(self, cbs: Any = None) -> Iterator[None]:
        was, self._looking = self._looking, True
        kept = {k: getattr(self.recorder, k) for k in ("values", "losses", "lrs", "iters", "seconds", "hps")}
        try:
            with self.no_logging(), self.added_cbs(cbs):
                yield
        finally:
            self._looking = was
            for k, v in kept.items():
                setattr(self.recorder, k, v)

    def _measure(self, dl: Any, needed: bool = False) -> None:
        """The loss and the metrics on a loader's rows, into the recorder's line."""
        self.training = False
        found = engine.predictions(self.model, dl, self.dls, self._core)
        known = bool(found.targets) and len(found.inputs) > 0 and len(found.inputs[0]) > 0
        if (
            known
            and isinstance(found.targets[0], Tensor)
            and found.targets[0].is_floating_point()
            and bool(torch.isnan(found.targets[0]).any())
        ):
            known = False
        if not known:
            if needed:
                raise ConfigError("validate needs ratings, and these rows have none")
            self.recorder.log = self.recorder.log + L([None] * (1 + len(self.metrics)))
            return
        rec = self.recorder
        rec.cancel_valid = False
        metrics: Any = rec._valid_mets
        for m in metrics:
            m.reset()
        fast = (
            engine.is_flat(self.loss_func)
            and getattr(getattr(self.loss_func, "func", self.loss_func), "reduction", "mean") == "mean"
        )
        with torch.no_grad():
            if not isinstance(found.outputs, Tensor):
                self._accumulate_batches(dl, metrics)
            elif fast and isinstance(found.outputs, Tensor):
                loss = float(engine.loss_of(self.loss_func, found.outputs, *found.targets))
                rec.loss_metric.total, rec.loss_metric.count = loss, 1
                metrics = [m for m in metrics if m is not rec.loss_metric]
            if len(metrics) and isinstance(found.outputs, Tensor):
                self._accumulate(found, metrics, not fast)
        rec.after_validate()

    def _accumulate(self, found: engine.Predicted, metrics: Any, with_loss: bool) -> None:
        first = 0
        self.n_iter = len(found.sizes)
        for i, size in enumerate(found.sizes):
            rows = slice(first, first + size)
            first += size
            self.iter = i
            self.xb = tuple(_rows(o, rows) for o in found.inputs)
            self.yb = tuple(_rows(o, rows) for o in found.targets)
            self.pred = _rows(found.outputs, rows)
            if i == 0:
                for m in metrics:
                    if isinstance(m, AvgMetric) and m.func not in self._looked and len(self.yb) == 1:
                        self._looked.append(m.func)
                        engine.checked_shapes(m.func, self.pred, self.yb[0])
            if with_loss or not all(hasattr(m, "func") for m in metrics):
                self.loss = engine.loss_of(self.loss_func, self.pred, *self.yb)
            for m in metrics:
                m.accumulate(self)

    def _accumulate_batches(self, dl: Any, metrics: Any) -> None:
        """Batch by batch, for modules whose output is not one tensor with a row for each row."""
        self._module.eval()
        self.n_iter = len(dl)
        for i, b in enumerate(dl):
            self.iter = i
            self.xb, self.yb = engine.split_batch(b, self.dls)
            self.pred = self._module(*self.xb)
            self.loss = engine.loss_of(self.loss_func, self.pred, *self.yb)
            for m in metrics:
                m.accumulate(self)

    def measure(self, part: Any = None) -> list[float]:
        """The metrics on the validation rows."""
        return [float(x) for x in self.validate()[1:]]

    # ---- predictions

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Any = None,
        inner: bool = False,
        reorder: bool = True,
        cbs: Any = None,
        with_preds: bool = True,
        with_targs: bool = True,
        save_preds: Any = None,
        save_targs: Any = None,
        concat_dim: int = 0,
    ) -> tuple[Any, ...]:
        """Predictions in the shape of the module's outputs, and targets (n, 1) in the table's own type, None where a
        loader
        has none. Inputs before them, decoded predictions and losses by row after them, where asked for.

        ``act`` turns outputs into predictions (the loss function's ``activation`` unless given). Rows are in the
        table's
        order; with ``reorder=False`` in the order in which a shuffled loader gives them.
        """
        dl = self._loader(ds_idx, dl)
        if not isinstance(dl, list) and not hasattr(dl, "__len__"):
            raise TypeError(f"`dl` is {type(dl)} and doesn't have len(dl)")
        if L(cbs):
            with self._quiet([*L(cbs)]):
                self._by_events(dl.new(shuffle=False, drop_last=False) if hasattr(dl, "new") else dl)
        core = self._core if self._core is not None and self._core.fits(self._job()) else None
        found = engine.predictions(self.model, dl, self.dls, core)
        outputs, targets, inputs = found.outputs, found.targets, found.inputs
        if not reorder and getattr(dl, "shuffle", False):
            at = torch.as_tensor(dl.get_idxs())
            outputs, targets, inputs = (nested_reorder(o, at) for o in (outputs, targets, inputs))
        activate = act if act is not None else getattr(self.loss_func, "activation", noop)
        preds = activate(outputs)
        result: list[Any] = [
            _cpu(preds) if with_preds else None,
            _one(targets) if with_targs and len(targets) else None,
        ]
        if with_decoded:
            result.append(_cpu(getattr(self.loss_func, "decodes", noop)(preds)))
        if with_loss:
            if not len(targets):
                raise ConfigError("get_preds(with_loss=True) needs ratings, and these rows have none")
            result.append(_cpu(self._row_losses(outputs, targets)))
        if with_input:
            result.insert(0, _one(inputs))
        for place, kept in ((save_preds, result[1 if with_input else 0]), (save_targs, _one(targets))):
            if place is not None:
                torch.save(kept, Path(place))
        return tuple(result)

    @torch.no_grad()
    def _row_losses(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of each row."""
        inner = self.loss_func.func if hasattr(self.loss_func, "func") else self.loss_func
        n = len(targets[0])
        if hasattr(inner, "reduction"):
            with replacing_yield(inner, "reduction", "none"):
                found = engine.loss_of(self.loss_func, outputs, *targets)
            return found if found.numel() == n else found.reshape(n, -1).mean(1)
        return torch.stack(
            [
                engine.loss_of(self.loss_func, _rows(outputs, slice(i, i + 1)), *(t[i : i + 1] for t in targets)).mean()
                for i in range(n)
            ]
        )

    def predict(self, item: Any, rm_type_tfms: Any = None, with_input: bool = False) -> tuple[Any, ...]:
        """The prediction for one row (a Series, dict, or pair user, item): the row with it; it as a tensor; again."""
        ds = self.dls.train_ds
        if not isinstance(ds, TabularPandas):
            raise ConfigError("predict takes a row of a table; these loaders are of another data set: call learn.model")
        names = [*ds.cat_names, *ds.cont_names]
        if isinstance(item, pd.DataFrame) and len(item) == 1:
            item = item.iloc[0]
        if not isinstance(item, (tuple, list, dict, pd.Series)):
            raise ConfigError("predict takes one row: a Series, a dict or a pair (user, item); for more, use get_preds")
        row = dict(zip(names, item)) if isinstance(item, (tuple, list)) else dict(item)
        for name in names:
            if name not in row:
                raise ConfigError(f"the row has no {name!r}; it has: {', '.join(map(str, row))}")
        for name in ds.cat_names:
            row[name] = _known(row[name], self.dls.classes[name], str(name))
        dl = self.dls.test_dl(pd.DataFrame([{n: row[n] for n in names}]))
        preds, _, decoded = self.get_preds(dl=dl, with_decoded=True)
        given = pd.Series({n: row[n] for n in names}, dtype=object)
        value = decoded[0].reshape(-1)
        shown = given.copy()
        for i, y in enumerate(ds.y_names):
            vocab = getattr(ds.procs, "vocab", None)
            shown[y] = vocab[int(value[0])] if vocab is not None else float(value[min(i, len(value) - 1)])
        found = (shown, decoded[0], preds[0])
        return (given, *found) if with_input else found

    @takes("ctxs")
    def show_results(
        self, ds_idx: int = 1, dl: Any = None, max_n: int = 9, shuffle: bool = True, show: bool = True
    ) -> Any:
        """Show targets and predictions of a few rows; with ``show=False`` return them as a frame."""
        dl = self._loader(ds_idx, dl)
        ds = getattr(dl, "dataset", None)
        if not isinstance(ds, TabularPandas):
            raise ConfigError("show_results shows rows of a table")
        n = min(check_int("max_n", max_n), len(ds))
        at = (torch.randperm(len(ds)) if shuffle else torch.arange(len(ds)))[:n].numpy()
        rows = ds.new(ds.items.iloc[at])
        decoded = self.get_preds(dl=dl.new(rows, shuffle=False, drop_last=False), with_decoded=True)[2]
        frame = rows.new(rows.all_cols).decode().items.reset_index(drop=True)
        guess = decoded.reshape(len(decoded), -1).numpy()
        for i, y in enumerate(ds.y_names):
            frame[f"{y}_pred"] = guess[:, min(i, guess.shape[1] - 1)]
        return show_frame(frame) if show else frame

    def summary(self) -> str:
        """A table of the model's layers, its optimizer and loss."""
        x = engine.split_batch(self.dls.one_batch(), self.dls)[0]
        text = module_summary(self, *x)
        name = getattr(self.opt_func, "__name__", None) or getattr(
            getattr(self.opt_func, "func", None), "__name__", repr(self.opt_func)
        )
        more = [f"Optimizer used: {name}", f"Loss function: {self.loss_func!r}", "", "Callbacks:"]
        return type(text)(text + "\n".join([*more, *(f"  - {c}" for c in self.cbs.sorted("order")), ""]))

    def recommender(self) -> Any:
        """A :class:`cofactor.Recommender` around the model as it is now: recommend, explain, save."""
        return files.recommender(self)

    # ---- files

    def save(self, file: Any, with_opt: bool = True, pickle_protocol: int = 2) -> Path:
        """Write the weights to ``path/model_dir/file.pth``; with ``with_opt`` the optimizer's state too."""
        return files.save(self, file, with_opt, pickle_protocol)

    @takes("weights_only")
    def load(self, file: Any, device: Any = None, with_opt: bool = True, strict: bool = True) -> Learner:
        """Read weights from ``path/model_dir/file.pth`` into the module, in place. Nothing in the file is executed."""
        files.load(self, file, device, with_opt, strict)
        return self

    @takes("pickle_module", "pickle_protocol")
    def export(self, fname: Any = "export.pkl") -> Path:
        """Write a file that :func:`load_learner` reads: weights, ids and ratings, no code and no pickle."""
        return files.export(self, fname)

    # ---- groups of parameters

    def freeze_to(self, n: int) -> None:
        """Only groups of parameters from ``n`` on learn. Without ``splitter=`` there is one group, so nothing is
        frozen."""
        if self.opt is None:
            self.create_opt()
        self.opt.freeze_to(n)
        self.opt.clear_state()
        if self._core is not None:
            self._core.forget()

    def freeze(self) -> None:
        """All groups but the last are frozen."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """All groups learn."""
        self.freeze_to(0)

    # ---- contexts and the rest

    @contextlib.contextmanager
    def no_logging(self) -> Iterator[Learner]:
        """Inside ``with learn.no_logging():`` no table is printed."""
        before, self.logger = self.logger, noop
        try:
            yield self
        finally:
            self.logger = before

    @contextlib.contextmanager
    def no_bar(self) -> Iterator[Learner]:
        """Inside ``with learn.no_bar():`` there is no bar."""
        gone = [c for c in self.cbs if isinstance(c, ProgressCallback)]
        with self.removed_cbs(gone):
            yield self

    @contextlib.contextmanager
    def no_mbar(self) -> Iterator[Learner]:
        """Inside ``with learn.no_mbar():`` there is no bar."""
        yield self

    def validation_context(self, cbs: Any = None, inner: bool = False) -> Any:
        """The contexts of a validation."""
        return ContextManagers([self.no_logging(), self.no_mbar(), self.added_cbs(cbs)])

    def to_detach(self, b: Any, cpu: bool = True, gather: bool = True) -> Any:
        """Tensors without their gradients."""
        return to_detach(b, cpu)

    def to_fp32(self) -> Learner:
        """Training is at single precision."""
        return self

    @takes("amp_mode", "init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled", "device")
    def to_fp16(self) -> Learner:
        """Training stays at single precision: half would not make these models faster."""
        print("trained at single precision: mixed precision would not make these models faster")
        return self

    to_bf16 = to_fp16

    def to(self, device: Any) -> Learner:
        """Train on another device."""
        self.dls.to(device)
        self._module.to(self.dls.device)
        self._core = self.opt = None
        return self

    @property
    def x(self) -> Any:
        return self.xb[0] if len(self.xb) == 1 else self.xb

    @property
    def y(self) -> Any:
        return self.yb[0] if len(self.yb) == 1 else self.yb

    def _end_cleanup(self) -> None:
        self.dl, self.xb, self.yb, self.pred, self.loss = None, (None,), (None,), None, None

    def __enter__(self) -> Learner:
        self(["before_fit", "before_epoch"])
        return self

    def __exit__(self, *args: Any) -> None:
        self(["after_epoch", "after_fit"])

    def __getstate__(self) -> dict[str, Any]:
        self.model  # noqa: B018  (brings the weights up to date)
        state = dict(self.__dict__)
        state["_core"], state["opt"], state["_plan"] = None, None, None
        if getattr(state.get("logger"), "__name__", "") == "_log":
            state["logger"] = None
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self.logger = _log if self.logger is None else self.logger

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_module", "_core", "recorder", "cbs", "_metrics"):
            raise AttributeError(name)
        if name in _ELSEWHERE:
            raise AttributeError(f"Learner.{name} is not offered: {_ELSEWHERE[name]}")
        try:
            return getattr(self.model, name)
        except AttributeError:
            raise AttributeError(f"Learner has no attribute {name!r}") from None

    def __repr__(self) -> str:
        return f"<Learner: {type(self._module).__name__}, {len(self.recorder.values)} epochs done in the last fit>"

    def _repr_html_(self) -> str:
        return learner_html(self)


class _OfCore(Callback):
    """A callback of the core (``cofactor.train``) among these: it is called by the core's loop."""

    def __init__(self, inner: train.Callback) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        return f"core_{type(self.inner).__name__}"


class _Bridge(train.Callback):
    """Calls the notebook's callbacks from the core's loop."""

    def __init__(self, learn: Learner, core: engine.Core) -> None:
        self.learn, self.core = learn, core
        self.inner = [c.inner for c in learn.cbs if isinstance(c, _OfCore)]

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
                    for hyper in own.opt.hypers if own._scheduled else []:
                        hyper["lr"], hyper["mom"] = learn.recorder.lrs[-1], learn.recorder.moms[-1]
                own._measure(_valid(own.dls))
                for cb in own.cbs.sorted("order"):
                    if not isinstance(cb, Recorder):
                        cb("after_validate")
        own("after_epoch")
        bar = own._bar()
        if bar is not None and rec.log:
            bar.line(rec.log)
        for c in self.inner:
            learn.recorder.values[-1] = [
                float(learn.recorder.values[-1][0]),
                float(rec.values[-1][1]) if len(rec.values[-1]) > 1 and rec.values[-1][1] is not None else math.nan,
            ]
            c.after_epoch(learn)

    def _validate_events(self) -> None:
        own = self.learn
        own.train_iter = len(own.recorder.losses)
        valid = _valid(own.dls)
        if valid is None or len(valid) == 0:
            own.recorder.log = own.recorder.log + L([None] * (1 + len(own.metrics)))
            return
        own.validate_batches(valid)


def _valid(dls: Any) -> Any:
    return dls.valid if len(dls.loaders) > 1 else []


def smooth(losses: Any) -> Array:
    """The losses smoothed as the table's are."""
    found: Array = train.recorder.SmoothLoss().add(np.asarray(losses, np.float64))
    return found


def _log(cells: Any) -> None:
    """The table is shown by :class:`ProgressCallback`."""


def _rows(o: Any, rows: slice) -> Any:
    if isinstance(o, (tuple, list)):
        return type(o)(_rows(x, rows) for x in o)
    return o[rows] if isinstance(o, Tensor) and o.dim() else o


def _cpu(o: Any) -> Any:
    return to_detach(o)


def _one(parts: Any) -> Any:
    found = tuple(_cpu(p) for p in parts)
    return found[0] if len(found) == 1 else found if found else None


def _known(value: Any, classes: Any, name: str) -> Any:
    """An id as the classes have it (whole floats of numbers that pandas made floats); UnknownIdError where it is not
    there."""
    value = value.item() if isinstance(value, np.generic) else value
    known = classes.o2i
    if isinstance(value, float) and value.is_integer() and int(value) in known:
        return int(value)
    try:
        if value in known and value != "#na#":
            return value
    except TypeError:
        pass
    raise UnknownIdError(IdMap(pl.Series(values=list(classes.items[1:])), name).unknown(value))


def _hand_over(kernel: Any, job: engine.Job) -> None:
    """The kernel's averages of gradients to an optimizer that goes on from its weights."""
    state = kernel.learn.stepper.snapshot()
    runs: list[Any] = job.opt.runs() if hasattr(job.opt, "runs") else []
    steps = int(state["clock"][0])
    if not steps or len(runs) != 1:
        return
    ms, k = state["ms"], kernel.model.config.n_factors
    n = len(kernel.model.user_table)
    parts = {
        "u_weight": (slice(0, n), slice(0, k)),
        "i_weight": (slice(n, None), slice(0, k)),
        "u_bias": (slice(0, n), slice(k, k + 1)),
        "i_bias": (slice(n, None), slice(k + 1, k + 2)),
    }
    names = {id(getattr(job.module, t).weight): t for t in parts}
    for i, p in enumerate(runs[0].params):
        rows, cols = parts[names[id(p)]]
        runs[0].m[i].copy_(torch.from_numpy(ms[rows, 0, cols].copy()))
        runs[0].v[i].copy_(torch.from_numpy(ms[rows, 1, cols].copy()))
        runs[0].steps[i] = steps


def check_given(dls: Any, model: Any = None) -> None:
    if not isinstance(dls, DataLoaders):
        raise ConfigError(
            f"the data must be CollabDataLoaders (from_df, from_csv) or DataLoaders, not a {type(dls).__name__}"
        )
    if isinstance(model, type):
        raise ConfigError(f"{model.__name__} is a class; give a model made of it: {model.__name__}(...)")
    if model is not None and not isinstance(model, nn.Module):
        raise ConfigError(f"the model must be a Module, not a {type(model).__name__}")


def _check_loss(loss: Any) -> None:
    if isinstance(loss, type):
        raise ConfigError(f"loss_func={loss.__name__} is a class; write {loss.__name__}()")
    if not callable(loss):
        raise ConfigError(f"loss_func must be a function of predictions and targets, not {loss!r}")


def _check_rates(epochs: int, lr: float, wd: float) -> None:
    train.learner._check_rates(epochs, lr, wd)
