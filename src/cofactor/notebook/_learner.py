"""The notebook's ``Learner``: a thin layer over ``cofactor.train.Learner``."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor import train
from cofactor._paths import check_path
from cofactor._validate import check_int, check_number
from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError
from cofactor.models.torch.layers import MSELossFlat
from cofactor.models.torch.optim import Adam, to_array
from cofactor.models.torch.stepper import load_module_state
from cofactor.notebook import _core as core
from cofactor.notebook._basics import L, Path, a_seed
from cofactor.notebook._callbacks import Measure, adapted, metric_name
from cofactor.notebook._data import CollabDataLoaders, TfmdDL, show
from cofactor.notebook._recorder import Recorder
from cofactor.recommender import Recommender
from cofactor.train.checkpoint import load_checkpoint, save_checkpoint
from cofactor.train.lr_find import LRFind
from cofactor.train.schedules import one_cycle_plan

Array = NDArray[Any]

_ELSEWHERE = {
    "to_fp16": "mixed precision would not make these models faster",
    "fine_tune": "there is no pretrained part; use fit_one_cycle",
    "fit_flat_cos": "use fit_one_cycle, or learn.run(plan) with a schedule of your own (cofactor.train.Plan)",
    "fit_sgdr": "use fit_one_cycle, or learn.run(plan) with a schedule of your own (cofactor.train.Plan)",
    "dblock": "the data are a table; see learn.dls",
    "opt": "the optimizer lives in the training loop; choose it by opt_func=",
    "xb": "callbacks see losses and weights, not the batch",
    "yb": "callbacks see losses and weights, not the batch",
    "pred": "callbacks see losses and weights, not the batch",
}


class Learner:
    """Trains ``model`` on ``dls.train`` and watches ``dls.valid``.

    ``loss_func`` takes predictions and targets (flattened here). ``opt_func`` is ``Adam`` (the default: decoupled
    decay), a ``partial`` of it, or any optimizer of ``torch.optim``. ``metrics`` are functions of predictions and
    targets. ``seed`` fixes the order of rows and dropout; without one it is drawn from torch's generator.
    """

    def __init__(
        self,
        dls: CollabDataLoaders,
        model: nn.Module,
        loss_func: Callable[..., Any] | None = None,
        opt_func: Any = Adam,
        lr: float = 1e-3,
        metrics: Any = None,
        cbs: Any = None,
        path: Any = None,
        model_dir: str = "models",
        wd: float | None = None,
        wd_bn_bias: bool = False,
        train_bn: bool = True,
        moms: tuple[float, float, float] = (0.95, 0.85, 0.95),
        seed: int | None = None,
        verbose: bool = True,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise ConfigError(f"Learner has no parameter {next(iter(unknown))!r}")
        if wd_bn_bias or not train_bn:
            raise ConfigError("decay always spares batch norm and layers' biases, and batch norm is always trained")
        check_given(dls, model)
        self.dls = dls
        self.loss_func = MSELossFlat() if loss_func is None else loss_func
        self.opt_func = opt_func
        self.lr, self.wd, self.moms = lr, wd, tuple(moms)
        self.metrics = L(metrics)
        self.cbs = L(cbs)
        self.path = Path(path) if path is not None else dls.path
        self.model_dir = model_dir
        self.seed = a_seed(seed)
        self.verbose = verbose
        self.recorder = Recorder([metric_name(m) for m in self.metrics])
        if not isinstance(model, nn.Module):
            raise ConfigError(f"the model is a {type(model).__name__}; give an nn.Module (an instance, not a class)")
        self._module = model.to(dls.device)
        self._core: core.Core | None = None

    # ---- the model

    @property
    def model(self) -> nn.Module:
        """The module, its weights as they are now."""
        if self._core is not None:
            self._core.flush()
        return self._module

    @model.setter
    def model(self, module: nn.Module) -> None:
        self._module, self._core = module.to(self.dls.device), None

    def _job(self) -> core.Job:
        return core.Job(self._module, self.dls, self.loss_func, self.opt_func, self.seed)

    def core(self) -> core.Core:
        """The run that trains the module: made when first needed, and again where the module was replaced or changed so
        that the present one cannot honour it."""
        if self._core is None or not self._core.fits(self._job()):
            _check_loss(self.loss_func)
            self._core = core.make(self._job())
        return self._core

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
        if start_epoch:
            raise ConfigError("start_epoch is not offered; train the epochs that are left, or use a checkpoint")
        first, middle, last = (float(m) for m in (moms or self.moms))
        lr, decay = self._rates(lr_max, wd)
        shape: dict[str, Any] = {"div": div, "div_final": div_final, "pct_start": pct_start}
        train.learner._check_rates(n_epoch, lr, decay)
        self.run(one_cycle_plan(n_epoch, lr, decay, moms=(first, middle, last), **shape), cbs, reset_opt)

    def fit(
        self, n_epoch: int, lr: Any = None, wd: float | None = None, cbs: Any = None, reset_opt: bool = False
    ) -> None:
        """Train at a constant rate; momentum as at the start of a cycle."""
        rate, decay = self._rates(lr, wd)
        train.learner._check_rates(n_epoch, rate, decay)
        self.run(train.flat_plan(n_epoch, rate, decay, mom=float(self.moms[0])), cbs, reset_opt)

    def run(self, plan: train.Plan, cbs: Any = None, reset_opt: bool = False) -> None:
        """Train by a plan of your own."""
        if reset_opt:
            self._core = core.make(self._job())
        made = self.core()
        own = [adapted(self, c) for c in [*self.cbs, *L(cbs)]]
        self.recorder.name([metric_name(m) for m in self.metrics])
        self.recorder.attach(made.learn.recorder)
        try:
            made.learn.run(plan, callbacks=[Measure(self, not self.verbose), *own])
        finally:
            made.flush()

    def _rates(self, lr: Any, wd: float | None) -> tuple[float, float]:
        lr = self.lr if lr is None else lr
        if isinstance(lr, slice):
            lr = lr.stop if lr.stop is not None else lr.start
        decay = self.wd if wd is None else wd
        return check_number("the learning rate", lr), 0.01 if decay is None else check_number("the weight decay", decay)

    def lr_find(
        self,
        start_lr: float = 1e-5,
        end_lr: float = 10.0,
        num_it: int | None = None,
        stop_div: bool = True,
        show_plot: bool = True,
        suggest_funcs: Any = None,
    ) -> LRFind:
        """Losses at rates from small to large, on a run that is thrown away; ``.valley`` is the suggestion."""
        found = self.core().learn.lr_find(start_lr, end_lr, num_it, self._rates(None, None)[1])
        if show_plot:
            with contextlib.suppress(ImportError):  # without matplotlib the numbers are there
                found.plot()
        return found

    # ---- results

    def validate(self, ds_idx: int = 1, dl: TfmdDL | None = None, cbs: Any = None) -> L:
        """The loss, then the metrics, on the validation rows (or ``ds_idx=0``, the training rows; or a loader)."""
        part = self._part(ds_idx, dl)
        self._needs_ratings(part, "validate")
        return L([self.core().loss(part), *self.measure(part)])

    def measure(self, part: Interactions | None = None) -> list[float]:
        """The metrics on some rows; the validation rows unless given."""
        if not self.metrics:
            return []
        preds, targs = self._predictions(self.dls.split.valid if part is None else part)
        return [float(metric(preds, targs)) for metric in self.metrics]

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: TfmdDL | None = None,
        with_loss: bool = False,
        with_input: bool = False,
        **ignored: Any,
    ) -> tuple[Any, ...]:
        """Predictions and targets, float32 (n, 1) both; inputs before them, losses a row after them, where asked for.
        Targets are None where a loader has no ratings."""
        part = self._part(ds_idx, dl)
        preds, targs = self._predictions(part)
        known = not bool(torch.isnan(targs).any())
        found: list[Any] = [preds, targs if known else None]
        if with_input:
            x = np.stack([part.users, part.items], 1).astype(np.int64) + 1
            found.insert(0, torch.from_numpy(x))
        if with_loss:
            self._needs_ratings(part, "get_preds(with_loss=True)")
            losses = [self.loss_func(p.reshape(-1), t.reshape(-1)) for p, t in zip(preds, targs)]
            found.append(torch.stack(losses).detach())
        return tuple(found)

    def predict(self, item: Any) -> tuple[Any, Tensor, Tensor]:
        """The prediction for one row (a Series, dict, or pair user, item): the row with it; it as a tensor; again."""
        names = [self.dls.user_name, self.dls.item_name]
        if isinstance(item, pd.DataFrame) and len(item) == 1:
            item = item.iloc[0]
        if not isinstance(item, (tuple, list, dict, pd.Series)):
            raise ConfigError("predict takes one row: a Series, a dict or a pair (user, item); for more, use get_preds")
        row = dict(zip(names, item)) if isinstance(item, (tuple, list)) else dict(item)
        base = self.dls.split.train
        for name, ids in zip(names, (base.user_ids, base.item_ids)):
            if name not in row:
                raise ConfigError(f"the row has no {name!r}; it has: {', '.join(map(str, row))}")
            ids.index(row[name])  # raises where the id is not known
        preds = self.get_preds(dl=self.dls.test_dl(pd.DataFrame([row])))[0][0]
        decoded = pd.Series({n: row[n] for n in names} | {self.dls.rating_name: float(preds)})
        return decoded, preds, preds.clone()

    def show_results(self, ds_idx: int = 1, dl: TfmdDL | None = None, max_n: int = 10, shuffle: bool = True) -> None:
        """Show ratings and predictions of a few rows."""
        dl = self.dls[ds_idx] if dl is None else dl
        at = (torch.randperm(dl.n) if shuffle else torch.arange(dl.n))[: check_int("max_n", max_n)].numpy()
        preds = self._predictions(dl.dataset.part.take(at))[0].reshape(-1).numpy()
        names = [self.dls.user_name, self.dls.item_name, self.dls.rating_name]
        frame = dl.items.iloc[at][[n for n in names if n in dl.items]].reset_index(drop=True)
        show(frame.assign(**{f"{self.dls.rating_name}_pred": preds}))

    def summary(self) -> str:
        """The module and how many of its parameters learn."""
        learn = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        total = sum(p.numel() for p in self.model.parameters())
        return f"{self.model}\nparameters: {total:,}, of which {learn:,} learn\nloss: {self.loss_func!r}"

    def recommender(self) -> Recommender:
        """A :class:`cofactor.Recommender` around the model as it is now: recommend, explain, save."""
        model = self.core().model_of_ids()
        values = [row[:2] for row in self.recorder.values]
        metrics = {"valid_loss": values[-1][1]} if values else {}
        return Recommender(model, self.dls.split.train, seed=self.seed, history=values, metrics=metrics)

    # ---- files

    def save(self, file: Any, with_opt: bool = False) -> Path:
        """Write the weights to ``path/model_dir/file.safetensors``; with ``with_opt`` the optimizer's state too."""
        target = self._file(file)
        arrays = {f"weights.{n}": to_array(t) for n, t in self.model.state_dict().items()}
        if with_opt:
            arrays |= {f"run.{k}": v for k, v in self.core().learn.stepper.snapshot().items()}
        save_checkpoint(target, arrays, {"kind": "notebook weights", "module": type(self._module).__name__})
        return target

    def load(self, file: Any, with_opt: bool | None = None, **ignored: Any) -> Learner:
        """Read what :meth:`save` wrote into the module, in place."""
        arrays, _ = load_checkpoint(self._file(file))
        run = {k.removeprefix("run."): v for k, v in arrays.items() if k.startswith("run.")}
        weights = {"module." + k.removeprefix("weights."): v for k, v in arrays.items() if k.startswith("weights.")}
        if with_opt and not run:
            raise ConfigError(f"{self._file(file)} has no optimizer state; it was saved without with_opt=True")
        made = self.core()
        load_module_state(self.model, weights)
        if run and with_opt is not False:
            made.learn.stepper.restore(run)
        return self

    def export(self, fname: Any = "export.cofactor") -> Path:
        """Write a bundle that :func:`cofactor.load` reads (no pickle: weights, ids and ratings, no code)."""
        target = self.path / check_path(fname, "the file to export to")
        self.recommender().save(target)
        return Path(target)

    def _file(self, file: Any) -> Path:
        name = str(file)
        return Path(self.path / self.model_dir / (name if name.endswith(".safetensors") else f"{name}.safetensors"))

    # ---- the odds and ends of fastai's Learner

    def freeze(self) -> None:
        """These models have one group of layers: nothing to freeze. Use ``requires_grad_(False)`` on a parameter."""

    unfreeze = freeze

    def add_cb(self, cb: Any) -> Learner:
        """Add a callback."""
        self.cbs = self.cbs + L(cb)
        return self

    def remove_cb(self, cb: Any) -> Learner:
        """Remove a callback (the object, or all of a class)."""
        self.cbs = self.cbs.filter(lambda c: not (c is cb or (isinstance(cb, type) and isinstance(c, cb))))
        return self

    @contextlib.contextmanager
    def no_logging(self) -> Iterator[Learner]:
        """Inside ``with learn.no_logging():`` no table is printed."""
        before, self.verbose = self.verbose, False
        try:
            yield self
        finally:
            self.verbose = before

    @contextlib.contextmanager
    def no_bar(self) -> Iterator[Learner]:
        """There is no progress bar to leave out."""
        yield self

    def __getattr__(self, name: str) -> Any:
        if name in _ELSEWHERE:
            raise AttributeError(f"Learner.{name} is not offered: {_ELSEWHERE[name]}")
        raise AttributeError(f"Learner has no attribute {name!r}")

    # ---- inside

    def _part(self, ds_idx: int, dl: TfmdDL | None) -> Interactions:
        return (self.dls[ds_idx] if dl is None else dl).dataset.part

    def _predictions(self, part: Interactions) -> tuple[Tensor, Tensor]:
        preds = torch.from_numpy(self.core().predict(part)).reshape(-1, 1)
        return preds, torch.from_numpy(np.array(part.values, np.float32)).reshape(-1, 1)

    @staticmethod
    def _needs_ratings(part: Interactions, what: str) -> None:
        if np.isnan(part.values).any():
            raise ConfigError(f"{what} needs ratings, and these rows have none")


def check_given(dls: Any, model: Any = None) -> None:
    if not isinstance(dls, CollabDataLoaders):
        raise ConfigError(f"the data must be CollabDataLoaders (from_df, from_csv), not a {type(dls).__name__}")
    if isinstance(model, type):
        raise ConfigError(f"{model.__name__} is a class; give a model made of it: {model.__name__}(...)")
    if model is not None and not isinstance(model, nn.Module):
        raise ConfigError(f"the model must be a Module, not a {type(model).__name__}")


def _check_loss(loss: Any) -> None:
    if isinstance(loss, type):
        raise ConfigError(f"loss_func={loss.__name__} is a class; write {loss.__name__}()")
    if not callable(loss):
        raise ConfigError(f"loss_func must be a function of predictions and targets, not {loss!r}")


SGD = functools.partial(torch.optim.SGD, momentum=0.9)
