"""The notebook's ``Learner``: a thin layer over ``cofactor.train.Learner``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from cofactor._progress import compiling_announced
from cofactor.errors import ConfigError
from cofactor.models.torch.layers import MSELossFlat
from cofactor.notebook._callbacks.callbacks import DEFAULT, SINGLE, ProgressCallback, SkipToEpoch
from cofactor.notebook._callbacks.events import (
    CancelFitException,
)
from cofactor.notebook._callbacks.hooks import module_summary
from cofactor.notebook._callbacks.recorder import Recorder
from cofactor.notebook._environment import ContextManagers, defaults, replacing_yield
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.values import noop
from cofactor.notebook._files import exported, weights
from cofactor.notebook._html import learner_html
from cofactor.notebook._keywords import takes, takes_its_own
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._measures.metrics import mk_metric
from cofactor.notebook._modules.adam import Adam
from cofactor.notebook._modules.make_optimizer import make_optimizer
from cofactor.notebook._modules.optimizer import Optimizer
from cofactor.notebook._modules.parameters import norm_bias_params, trainable_params
from cofactor.notebook._tensors import a_seed, to_detach
from cofactor.notebook._training import as_models, engine
from cofactor.notebook._training.batches import Batches
from cofactor.notebook._training.bridge import Bridge
from cofactor.notebook._training.checks import check_given, check_loss
from cofactor.notebook._training.engine import plain_table
from cofactor.notebook._training.fits import Fits
from cofactor.notebook._training.has_callbacks import HasCallbacks
from cofactor.notebook._training.jobs import Core, Job, split_batch
from cofactor.notebook._training.kernel_core import hand_over
from cofactor.notebook._training.results import ShowsResults
from cofactor.train.schedules import Plan

__all__ = [
    "Learner",
]

Array = NDArray[Any]


def _log(cells: Any) -> None:
    """Do nothing: :class:`ProgressCallback` shows the table, or it is printed row by row."""


_ELSEWHERE = {
    "dblock": "the data are a table; see learn.dls",
    "tta": "rows of a table are not augmented",
    "distrib_ctx": "training is one process",
}


@takes_its_own
class Learner(Fits, ShowsResults, Batches, HasCallbacks):
    """Trains ``model`` on ``dls.train`` and monitors ``dls.valid``.

    ``loss_func`` takes the module's outputs and the targets of a batch. ``opt_func`` is ``Adam`` (the default:
    decoupled decay), another of this module, or any optimizer of ``torch.optim``. ``metrics`` are functions of
    predictions and targets. ``seed`` fixes the order of rows and dropout; without one it is drawn from torch's
    generator. Missing attributes are looked up in the model: ``learn.parameters()``.
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
        check_loss(self.loss_func)
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
        self.early: Any = None
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
        self._core: Core | None = None
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
        """The module, with its present weights."""
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

    def core(self, by_batch: bool = False) -> Core:
        """Return the run that trains the module. It is created when first needed, and again if the module was replaced
        or changed so that the present run cannot train it."""
        check_loss(self.loss_func)
        if self.opt is None:
            self.create_opt()
        job = self._job()
        wanted = "events" if by_batch or not plain_table(self.dls) else None
        now = self._core
        if now is None or not now.fits(job) or (wanted == "events") != (now.kind == "events"):
            if now is not None:
                now.flush()
            made = engine.make(job, by_batch, self)
            if now is not None and now.kind == "kernel" and made.kind != "kernel":
                hand_over(now, job)
            self._core = made
        assert self._core is not None
        return self._core

    def _job(self) -> Job:
        return Job(self._module, self.dls, self.loss_func, self.opt_func, self.opt, self.seed, self.wd_bn_bias)

    def stale(self) -> bool:
        """Return whether the optimizer was created before the first fit, from parameters that the module no longer
        has."""
        early, self.early = self.early, None
        if early is None or early is not self.opt:
            return False
        there = {id(p) for p in self._module.parameters()}
        return any(id(p) not in there for group in early.param_lists for p in group)

    def create_opt(self) -> None:
        """Create a fresh optimizer by ``opt_func``."""
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

    # ---- training

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
            by_batch = by_batch or (self.recorder.train_metrics and bool(self.metrics)) or self.has_own_pieces
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
                    made.learn.run(plan, callbacks=[Bridge(self, made)])
            except CancelFitException:
                self("after_cancel_fit")
            self("after_fit")
        finally:
            made_core = self._core
            if made_core is not None:
                made_core.flush()
            self._module.eval()
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

    def show_row(self) -> None:
        """Show the last row of the table: in the table, or as a list without one."""
        bar = self._bar()
        if bar is not None and self.recorder.log:
            bar.line(self.recorder.log)
        elif self.verbose and self.logger is _log:
            print(list(self.recorder.log))

    def _compiling(self) -> Any:
        bar = self._bar()
        if bar is None:
            return contextlib.nullcontext()
        return compiling_announced(bar.note if bar.display is not None else print)

    def summary(self) -> str:
        """Return a table of the model's layers, its optimizer and loss."""
        x = split_batch(self.dls.one_batch(), self.dls)[0]
        text = module_summary(self, *x)
        name = getattr(self.opt_func, "__name__", None) or getattr(
            getattr(self.opt_func, "func", None), "__name__", repr(self.opt_func)
        )
        more = [f"Optimizer used: {name}", f"Loss function: {self.loss_func!r}", "", "Callbacks:"]
        return type(text)(text + "\n".join([*more, *(f"  - {c}" for c in self.cbs.sorted("order")), ""]))

    def recommender(self) -> Any:
        """Return a :class:`cofactor.Recommender` with the present model: recommend, explain, save."""
        return as_models.recommender(self)

    # ---- files

    def save(self, file: Any, with_opt: bool = True, pickle_protocol: int = 2) -> Path:
        """Write the weights to ``path/model_dir/file.pth``; with ``with_opt`` the optimizer's state too."""
        return weights.save(self, file, with_opt, pickle_protocol)

    @takes("weights_only")
    def load(self, file: Any, device: Any = None, with_opt: bool = True, strict: bool = True) -> Learner:
        """Read weights from ``path/model_dir/file.pth`` into the module, in place. Nothing in the file is executed."""
        weights.load(self, file, device, with_opt, strict)
        return self

    @takes("pickle_module", "pickle_protocol")
    def export(self, fname: Any = "export.pkl") -> Path:
        """Write a file that :func:`load_learner` reads: weights, ids and ratings, no code and no pickle."""
        return exported.export(self, fname)

    # ---- groups of parameters

    def freeze_to(self, n: int) -> None:
        """Let only groups of parameters from ``n`` on learn. Without ``splitter=`` there is one group, so nothing is
        frozen."""
        if self.opt is None:
            self.create_opt()
        self.opt.freeze_to(n)
        self.opt.clear_state()
        if self._core is not None:
            self._core.forget()

    def freeze(self) -> None:
        """Freeze all groups but the last."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Let all groups learn."""
        self.freeze_to(0)

    # ---- contexts and the rest

    @contextlib.contextmanager
    def no_logging(self) -> Iterator[Learner]:
        """Print no table inside ``with learn.no_logging():``."""
        before, self.logger = self.logger, noop
        try:
            yield self
        finally:
            self.logger = before

    @contextlib.contextmanager
    def no_bar(self) -> Iterator[Learner]:
        """Show no bar inside ``with learn.no_bar():``."""
        gone = [c for c in self.cbs if isinstance(c, ProgressCallback)]
        with self.removed_cbs(gone):
            yield self

    @contextlib.contextmanager
    def no_mbar(self) -> Iterator[Learner]:
        """Show no bar inside ``with learn.no_mbar():``."""
        yield self

    def validation_context(self, cbs: Any = None, inner: bool = False) -> Any:
        """Return the contexts of a validation."""
        return ContextManagers([self.no_logging(), self.no_mbar(), self.added_cbs(cbs)])

    def to_detach(self, b: Any, cpu: bool = True, gather: bool = True) -> Any:
        """Return tensors without their gradients."""
        return to_detach(b, cpu)

    @contextlib.contextmanager
    def loss_not_reduced(self) -> Iterator[Learner]:
        """Return the loss of each row inside ``with learn.loss_not_reduced():``, where the loss has a ``reduction``."""
        if hasattr(self.loss_func, "reduction"):
            with replacing_yield(self.loss_func, "reduction", "none"):
                yield self
        else:
            before = self.loss_func
            with replacing_yield(self, "loss_func", partial(before, reduction="none")):
                yield self

    def to_fp32(self) -> Learner:
        """Keep training in single precision."""
        return self

    @takes("amp_mode", "init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled", "device")
    def to_fp16(self) -> Learner:
        """Keep training in single precision: half precision would not make these models faster."""
        print(SINGLE)
        return self

    to_bf16 = to_non_native_fp16 = to_fp16
    to_non_native_fp32 = to_channelslast = to_contiguous = to_fp32

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
            raise AttributeError(f"Learner.{name} is not supported: {_ELSEWHERE[name]}")
        try:
            return getattr(self.model, name)
        except AttributeError:
            raise AttributeError(f"Learner has no attribute {name!r}") from None

    def __repr__(self) -> str:
        return f"<Learner: {type(self._module).__name__}, {len(self.recorder.values)} epochs done in the last fit>"

    def _repr_html_(self) -> str:
        return learner_html(self)
