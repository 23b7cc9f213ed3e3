"""The loop over batches with callbacks, in pieces that a subclass of the Learner can replace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.model import Hyper
from cofactor.notebook._callbacks.events import (
    CancelBackwardException,
    CancelBatchException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
)
from cofactor.notebook._callbacks.trackers import TerminateOnNaNCallback
from cofactor.notebook._fastcore.values import noop
from cofactor.notebook._keywords import part_of
from cofactor.notebook._measures import losses_known
from cofactor.notebook._training.jobs import split_batch

Array = NDArray[Any]

PIECES = (
    *("_with_events", "_do_epoch", "_do_epoch_train", "_do_epoch_validate", "all_batches", "one_batch", "_set_device"),
    *("_split", "_do_one_batch", "_do_grad_opt", "_backward", "_step"),
)
"""If a learner has its own version of one of these, training and validation go batch by batch through it."""


@part_of("Learner")
class Batches:
    """An epoch of a Learner, batch by batch."""

    dls: Any
    cbs: Any
    opt: Any
    loss_func: Any
    _module: nn.Module
    __call__: Callable[..., None]
    xb: tuple[Any, ...]
    yb: tuple[Any, ...]
    pred: Any
    loss: Any
    loss_grad: Any
    dl: Any
    epoch: int
    n_epoch: int
    train_iter: int
    pct_train: float
    training: bool
    _skip: bool
    _scheduled: bool
    _hyper: Hyper | None = None
    """Rates of the current epoch."""
    _losses: list[float]
    _validated = False
    """Whether a replaced piece has validated in this epoch."""

    @property
    def has_own_pieces(self) -> bool:
        """Whether a subclass, a patch or this learner has replaced a piece of the loop."""
        return any(getattr(type(self), p) is not _GIVEN[p] or p in vars(self) for p in PIECES)

    def train_batches(self, hyper: Hyper) -> Array:
        """Run the training part of an epoch. Returns the losses of its batches."""
        n = len(hyper.lr)
        self._validated = False
        if self._skip:
            return np.zeros(n)
        self._hyper, self._losses = hyper, []
        try:
            with torch.enable_grad():
                own = type(self)._do_epoch is not _GIVEN["_do_epoch"] or "_do_epoch" in vars(self)
                if own:
                    self._validated = True
                    self._do_epoch()
                else:
                    self._do_epoch_train()
        finally:
            self._hyper = None
        losses = self._losses
        return np.array((losses + [losses[-1] if losses else 0.0] * n)[:n])

    @torch.no_grad()
    def validate_batches(self, dl: Any) -> None:
        """Run the validation part of an epoch."""
        self._do_epoch_validate(dl=dl)

    # ---- pieces

    def _with_events(
        self, f: Callable[[], Any], what: str, ex: type[Exception], final: Callable[[], Any] = noop
    ) -> None:
        try:
            if what in ("train", "validate"):
                self._begin_part(what == "train")
            if what == "batch" and self.training:
                self._set_rates()
            self(f"before_{what}")
            f()
        except ex:
            self(f"after_cancel_{what}")
        if what == "batch" and self.training:
            self._count()
        self(f"after_{what}")
        final()

    def _do_epoch(self) -> None:
        self._do_epoch_train()
        self._do_epoch_validate()

    def _do_epoch_train(self) -> None:
        self.dl = self.dls.train
        self._with_events(self.all_batches, "train", CancelTrainException)

    def _do_epoch_validate(self, ds_idx: int = 1, dl: Any = None) -> None:
        self.dl = self.dls[ds_idx] if dl is None else dl
        with torch.no_grad():
            self._with_events(self.all_batches, "validate", CancelValidException)

    def all_batches(self) -> None:
        """Run every batch of ``dl``."""
        self.n_iter = len(self.dl)
        for i, b in enumerate(self.dl):
            self.one_batch(i, b)

    def one_batch(self, i: int, b: Any) -> None:
        """Train on a batch (or evaluate it if ``training`` is False), with callbacks."""
        self.iter = i
        self._split(self._set_device(b))
        self._with_events(self._do_one_batch, "batch", CancelBatchException)

    def _set_device(self, b: Any) -> Any:
        """Return the batch unchanged: :meth:`_split` moves it to the model's device."""
        return b

    def _split(self, b: Any) -> None:
        """Split a batch into ``xb`` and ``yb``."""
        self.xb, self.yb = split_batch(b, self.dls)

    def _do_one_batch(self) -> None:
        self.pred = self._module(*self.xb)
        self("after_pred")
        if len(self.yb):
            self.loss_grad = losses_known.loss_of(self.loss_func, self.pred, *self.yb)
            if self.training and self.loss_grad.dim():
                raise ConfigError(
                    f"the loss returned {tuple(self.loss_grad.shape)} numbers; it must return their mean, one number"
                )
            self.loss = self.loss_grad.clone()
        self("after_loss")
        if not self.training or not len(self.yb):
            return
        self._do_grad_opt()

    def _do_grad_opt(self) -> None:
        self._with_events(self._backward, "backward", CancelBackwardException)
        self._with_events(self._step, "step", CancelStepException)
        self.opt.zero_grad()

    def _backward(self) -> None:
        self.loss_grad.backward()

    def _step(self) -> None:
        self.opt.step()

    # ---- what goes with them

    def _begin_part(self, training: bool) -> None:
        self._module.train(training)
        self.training = training
        if training:
            self.n_iter = len(self.dl)
            self.pct_train = self.epoch / self.n_epoch

    def _set_rates(self) -> None:
        """Set the rates of the schedule for this batch."""
        hyper = self._hyper
        if hyper is None or not self._scheduled:
            return
        at = min(self.iter, len(hyper.lr) - 1)
        self.opt.set_rates(float(hyper.lr[at]), float(hyper.momentum[at]))

    def _count(self) -> None:
        """Count a batch and record its loss."""
        self.train_iter += 1
        self.pct_train += 1.0 / (self.n_iter * self.n_epoch)
        if self._hyper is None:
            return
        self._losses.append(float(self.loss.detach().float().mean()) if isinstance(self.loss, Tensor) else 0.0)
        for c in self.cbs:
            if isinstance(c, TerminateOnNaNCallback) and c.run:
                c.at_loss(self._losses[-1])


_GIVEN = {piece: getattr(Batches, piece) for piece in PIECES}
