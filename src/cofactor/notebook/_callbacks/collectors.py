"""Callbacks that record predictions, batches and outputs of layers."""

from __future__ import annotations

from typing import Any

import torch

from cofactor.notebook._callbacks.events import (
    Callback,
)
from cofactor.notebook._callbacks.hooks import Hooks
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import takes_its_own
from cofactor.notebook._tensors import find_bs, to_concat, to_detach

__all__ = [
    "ActivationStats",
    "CollectDataCallback",
    "FetchPredsCallback",
    "GatherPredsCallback",
    "HookCallback",
]


@takes_its_own
class GatherPredsCallback(Callback):
    """Records predictions and targets of a validation."""

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
    """Records predictions after each validation."""

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
    """Records every batch with its prediction and loss."""

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


class ActivationStats(HookCallback):
    """Records mean, deviation and share near zero of some modules' outputs, at each training batch (or each
    ``every``-th).

    ``stats`` has an entry for each batch: for each module a dict of ``mean``, ``std``, ``near_zero``, and with
    ``with_hist`` of 40 counts between 0 and 10, ``hist``.
    """

    order = -20

    def __init__(self, with_hist: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.with_hist = with_hist

    def before_fit(self) -> None:
        super().before_fit()
        self.stats = L()

    def hook(self, m: Any, i: Any, o: Any) -> Any:
        if isinstance(o, tuple):
            return [self.hook(m, i, part) for part in o]
        o = o.float()
        found = {"mean": o.mean().item(), "std": o.std().item(), "near_zero": (o <= 0.05).float().mean().item()}
        return found | ({"hist": o.histc(40, 0, 10)} if self.with_hist else {})

    def after_batch(self) -> None:
        if self.learn.training and (self.every is None or self.learn.train_iter % self.every == 0):
            self.stats.append(self.hooks.stored)

    def layer_stats(self, idx: int) -> L:
        """Return means, deviations and shares near zero of one module."""
        found = self.stats.itemgot(idx)
        return L([found.itemgot(name) for name in ("mean", "std", "near_zero")])

    def hist(self, idx: int) -> Any:
        """Return the logarithms of one module's counts, (40, batches)."""
        return torch.stack(tuple(self.stats.itemgot(idx).itemgot("hist"))).t().float().log1p()

    def color_dim(self, idx: int, figsize: tuple[float, float] = (10, 5), ax: Any = None) -> None:
        """Draw :meth:`hist`."""
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=figsize)[1] if ax is None else ax
        ax.imshow(self.hist(idx).numpy(), origin="lower")
        ax.axis("off")

    def plot_layer_stats(self, idx: int) -> None:
        """Draw :meth:`layer_stats`."""
        import matplotlib.pyplot as plt

        axes = plt.subplots(1, 3, figsize=(12, 3))[1]
        for ax, values, name in zip(axes, self.layer_stats(idx), ("mean", "std", "% near zero")):
            ax.plot(list(values))
            ax.set_title(name)
