"""Validation: the loss and the metrics of a Learner on the rows of a loader."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from cofactor.errors import ConfigError
from cofactor.notebook._callbacks.callbacks import DEFAULT
from cofactor.notebook._callbacks.recorder import shown_time
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import part_of
from cofactor.notebook._loaders.loaders import DataLoaders
from cofactor.notebook._measures import losses_known
from cofactor.notebook._measures.losses_known import checked_shapes, is_flat
from cofactor.notebook._measures.metrics import AvgMetric
from cofactor.notebook._tensors import to_detach
from cofactor.notebook._training import predictions
from cofactor.notebook._training.predictions import Predicted


@part_of("Learner")
class Validates:
    """The validation of a Learner."""

    dls: Any
    recorder: Any
    cbs: Any
    loss_func: Any
    epoch: int
    _core: Any
    _module: Any
    _looked: list[Any]
    _looking: bool
    __call__: Callable[..., None]
    validate_batches: Callable[..., None]
    has_own_pieces: bool
    _split: Callable[..., None]
    xb: Any
    yb: Any
    pred: Any
    loss: Any
    no_logging: Callable[..., Any]
    added_cbs: Callable[..., Any]
    _job: Callable[..., Any]

    @property
    def model(self) -> Any:
        raise NotImplementedError

    @property
    def metrics(self) -> Any:
        raise NotImplementedError

    def _loader(self, ds_idx: int, dl: Any) -> Any:
        many = len(self.dls.loaders)
        if dl is None and not -many <= ds_idx < many:
            raise IndexError(f"ds_idx is {ds_idx}; there are {many} loaders: 0 is for training, 1 for validation")
        return self.dls[ds_idx] if dl is None else dl.train if isinstance(dl, DataLoaders) else dl

    def validate(self, ds_idx: int = 1, dl: Any = None, cbs: Any = None) -> L:
        """Return the loss, then the metrics, on the validation rows (or ``ds_idx=0``, the training rows; or a
        loader)."""
        dl, start = self._loader(ds_idx, dl), time.perf_counter()
        with self._quiet(cbs):
            if self._goes_by_batch():
                self._by_events(dl)
            else:
                self.recorder.log = L()
                self._measure(dl, needed=True)
            self.final_record = L(self.recorder.log)
            self.recorder.log = (
                L(getattr(self, "epoch", 0)) + self.final_record + L(shown_time(time.perf_counter() - start))
            )
        return self.final_record

    def _goes_by_batch(self) -> bool:
        """Return whether callbacks need batches, or the loop is the learner's own."""
        return self.has_own_pieces or any(c.by_batch for c in self.cbs if type(c) not in DEFAULT)

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
            self._module.eval()
            for k, v in kept.items():
                setattr(self.recorder, k, v)

    def _measure(self, dl: Any, needed: bool = False) -> None:
        """Record the loss and the metrics on a loader's rows in the recorder's line."""
        self.training = False
        found = predictions.predictions(self.model, dl, self.dls, self._core)
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
        rec, self.n_iter = self.recorder, len(found.sizes)
        rec.cancel_valid = False
        metrics: Any = rec._valid_mets
        for m in metrics:
            m.reset()
        fast = (
            is_flat(self.loss_func)
            and getattr(getattr(self.loss_func, "func", self.loss_func), "reduction", "mean") == "mean"
        )
        with torch.no_grad():
            if not isinstance(found.outputs, Tensor):
                self._accumulate_batches(dl, metrics)
            elif fast and isinstance(found.outputs, Tensor):
                loss = losses_known.loss_of(self.loss_func, found.outputs, *found.targets)
                rec.loss.total, rec.loss.count = to_detach(loss), 1
                metrics = [m for m in metrics if m is not rec.loss]
            if len(metrics) and isinstance(found.outputs, Tensor):
                self._accumulate(found, metrics, not fast)
            if fast and isinstance(found.outputs, Tensor):
                last = len(found.sizes) - 1
                self._hold(found, last, slice(len(found.inputs[0]) - found.sizes[last], None))
                self.loss = losses_known.loss_of(self.loss_func, self.pred, *self.yb)
        rec.after_validate()

    def _accumulate(self, found: Predicted, metrics: Any, with_loss: bool) -> None:
        first = 0
        for i, size in enumerate(found.sizes):
            self._hold(found, i, slice(first, first + size))
            first += size
            if i == 0:
                for m in metrics:
                    func = m.__dict__.get("func") if isinstance(m, AvgMetric) else None
                    if func is not None and func not in self._looked and len(self.yb) == 1:
                        self._looked.append(func)
                        checked_shapes(func, self.pred, self.yb[0])
            if with_loss or not all(hasattr(m, "func") for m in metrics):
                self.loss = losses_known.loss_of(self.loss_func, self.pred, *self.yb)
            for m in metrics:
                m.accumulate(self)

    def _hold(self, found: Predicted, i: int, rows: slice) -> None:
        """Make a batch the current one."""
        self.iter = i
        self.xb = tuple(rows_of(o, rows) for o in found.inputs)
        self.yb = tuple(rows_of(o, rows) for o in found.targets)
        self.pred = rows_of(found.outputs, rows)

    def _accumulate_batches(self, dl: Any, metrics: Any) -> None:
        """Measure batch by batch, for modules whose output is not one tensor with a row for each row."""
        self._module.eval()
        self.n_iter = len(dl)
        for i, b in enumerate(dl):
            self.iter = i
            self._split(b)
            self.pred = self._module(*self.xb)
            self.loss = losses_known.loss_of(self.loss_func, self.pred, *self.yb)
            for m in metrics:
                m.accumulate(self)

    def measure(self, part: Any = None) -> list[float]:
        """Return the metrics on the validation rows."""
        return [float(x) for x in self.validate()[1:]]


def rows_of(o: Any, rows: slice) -> Any:
    """Return rows of a tensor, or of each tensor in a tuple."""
    if isinstance(o, (tuple, list)):
        return type(o)(rows_of(x, rows) for x in o)
    return o[rows] if isinstance(o, Tensor) and o.dim() else o
