"""``get_preds``: predictions of a Learner for the rows of a loader, with targets, inputs and losses on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cofactor.errors import ConfigError
from cofactor.notebook._callbacks.events import Callback
from cofactor.notebook._environment import replacing_yield
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.values import noop
from cofactor.notebook._keywords import part_of
from cofactor.notebook._measures import losses_known
from cofactor.notebook._tensors import nested_reorder, to_detach
from cofactor.notebook._training import predictions
from cofactor.notebook._training.predictions import Predicted
from cofactor.notebook._training.validation import Validates, rows_of


@part_of("Learner")
class Predicts(Validates):
    """The predictions of a Learner for many rows."""

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
        """Return predictions in the shape of the module's outputs, and targets (n, 1) in the table's own type, None if
        a loader has none. On request, inputs come before them, and decoded predictions and losses by row after them.

        ``act`` converts outputs to predictions (by default the loss function's ``activation``). Rows are in the table's
        order; with ``reorder=False`` in the order of a shuffled loader.
        """
        dl = self._loader(ds_idx, dl)
        if not isinstance(dl, list) and not hasattr(dl, "__len__"):
            raise TypeError(f"`dl` is {type(dl)} and doesn't have len(dl)")
        found = self._predicted(dl, cbs)
        outputs, targets, inputs = found.outputs, found.targets, found.inputs
        if not reorder and getattr(dl, "shuffle", False):
            at = torch.as_tensor(dl.get_idxs())
            outputs, targets, inputs = (nested_reorder(o, at) for o in (outputs, targets, inputs))
        activate = act if act is not None else getattr(self.loss_func, "activation", noop)
        preds = activate(outputs)
        result: list[Any] = [
            to_detach(preds) if with_preds else None,
            _one(targets) if with_targs and len(targets) else None,
        ]
        if with_decoded:
            result.append(to_detach(getattr(self.loss_func, "decodes", noop)(preds)))
        if with_loss:
            if not len(targets):
                raise ConfigError("get_preds(with_loss=True) needs ratings, and these rows have none")
            result.append(to_detach(self._row_losses(outputs, targets)))
        if with_input:
            result.insert(0, _one(inputs))
        for place, kept in ((save_preds, result[1 if with_input else 0]), (save_targs, _one(targets))):
            if place is not None:
                torch.save(kept, Path(place))
        return tuple(result)

    def _predicted(self, dl: Any, cbs: Any) -> Predicted:
        """Return outputs of all rows of a loader; batch by batch if callbacks need batches."""
        with self._quiet([*L(cbs)]):
            if self._goes_by_batch():
                gather = Gather()
                with self.added_cbs(gather):
                    self._by_events(dl.new(shuffle=False, drop_last=False) if hasattr(dl, "new") else dl)
                return gather.found()
            if L(cbs):
                self._by_events(dl.new(shuffle=False, drop_last=False) if hasattr(dl, "new") else dl)
        core = self._core if self._core is not None and self._core.fits(self._job()) else None
        return predictions.predictions(self.model, dl, self.dls, core)

    @torch.no_grad()
    def _row_losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss of each row."""
        inner = self.loss_func.func if hasattr(self.loss_func, "func") else self.loss_func
        n = len(targets[0])
        if hasattr(inner, "reduction"):
            with replacing_yield(inner, "reduction", "none"):
                found = losses_known.loss_of(self.loss_func, outputs, *targets)
            return found if found.numel() == n else found.reshape(n, -1).mean(1)
        one = (slice(i, i + 1) for i in range(n))
        each = (losses_known.loss_of(self.loss_func, rows_of(outputs, at), *(t[at] for t in targets)) for at in one)
        return torch.stack([loss.mean() for loss in each])


class Gather(Callback):
    """Records the result of each batch of a validation, as the callbacks left it."""

    order = 100

    def before_validate(self) -> None:
        self.batches: list[tuple[Any, Any, Any]] = []

    def after_batch(self) -> None:
        self.batches.append((self.learn.xb, to_detach(self.learn.pred), self.learn.yb))

    def found(self) -> Predicted:
        return predictions.of_batches(self.batches)


def _one(parts: Any) -> Any:
    found = tuple(to_detach(p) for p in parts)
    return found[0] if len(found) == 1 else found if found else None
