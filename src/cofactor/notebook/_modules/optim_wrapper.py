"""``OptimWrapper``: the optimizers of ``torch.optim``, with hyper-parameters under fastai's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cofactor.errors import ConfigError
from cofactor.model import State
from cofactor.models.torch.optim import to_array
from cofactor.notebook._modules.optimizer import Optimizer

__all__ = ["OptimWrapper"]


class OptimWrapper(Optimizer):
    """An optimizer of ``torch.optim`` under these names."""

    def __init__(
        self, params: Any = None, opt: Any = None, hp_map: Any = None, convert_groups: bool = True, **kwargs: Any
    ) -> None:
        if isinstance(opt, torch.optim.Optimizer):
            self.opt, groups = opt, [g["params"] for g in opt.param_groups]
        else:
            groups = list(params)
            groups = [groups] if groups and isinstance(groups[0], Tensor) else [list(g) for g in groups]
            if not callable(opt):
                raise ConfigError("OptimWrapper needs opt=, a class of torch.optim")
            lr = kwargs.pop("lr", None)
            self.opt = opt(
                [{"params": g} for g in groups], **({} if lr is None else {"lr": float(np.max(lr))}), **kwargs
            )
        super().__init__(groups, name=type(self.opt).__name__)
        for hyper, group in zip(self.hypers, self.opt.param_groups):
            more = {k: v for k, v in group.items() if k not in ("params", "betas", "momentum", "weight_decay")}
            betas = group.get("betas", (0.9,))
            hyper.update(more, wd=group.get("weight_decay", 0.0), mom=group.get("momentum", betas[0]))
            if len(betas) > 1:
                hyper["sqr_mom"] = betas[1]

    def step(self, closure: Any = None) -> None:
        for hyper, group in zip(self.hypers, self.opt.param_groups):
            group.update({k: hyper[k] for k in group if k in hyper})
            group["lr"] = float(hyper["lr"])
            if "betas" in group:
                group["betas"] = (float(hyper["mom"]), float(hyper["sqr_mom"]))
            elif group.get("momentum"):
                group["momentum"] = float(hyper["mom"])
            if "weight_decay" in group:
                group["weight_decay"] = float(hyper["wd"])
        frozen = [p for g in self.param_lists for p in g if id(p) in self.no_decay]
        for p in frozen:
            wd = float(self.hypers[-1]["wd"])
            if p.grad is not None and wd and not getattr(self.opt, "decoupled", True):
                p.grad.sub_(p, alpha=wd)
        self.opt.step()

    def clear_state(self) -> None:
        self.opt.state.clear()

    def state_arrays(self) -> State:
        found: State = {}
        for i, facts in self.opt.state_dict()["state"].items():
            for name, value in facts.items():
                if value is not None:
                    found[f"{i}.{name}"] = to_array(value) if isinstance(value, Tensor) else np.asarray(value)
        return found

    def take_arrays(self, arrays: Mapping[str, Any]) -> None:
        whole = self.opt.state_dict()
        whole["state"] = {}
        for key, value in arrays.items():
            i, _, name = key.partition(".")
            whole["state"].setdefault(int(i), {})[name] = torch.from_numpy(np.array(value))
        self.opt.load_state_dict(whole)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.opt.state_dict())

    def load_state_dict(self, sd: Mapping[str, Any]) -> None:
        self.opt.load_state_dict(dict(sd))
