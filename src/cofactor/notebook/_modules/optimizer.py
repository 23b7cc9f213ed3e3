"""``Optimizer``: a rule, its state for each parameter, and hyper-parameters by group of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.model import State
from cofactor.models.torch.optim import AdamRun, to_array
from cofactor.notebook._fastcore.collections import even_mults
from cofactor.notebook._fastcore.lists import L

__all__ = ["Optimizer"]

Update = Callable[[Tensor, Tensor, dict[str, Any], dict[str, Any]], None]
"""A function that changes a parameter in place: (parameter, gradient, its state, hyper-parameters)."""


def _in_turn(pieces: Any) -> Update:
    """Combine pieces to one rule. Each piece gets the parameter, its state and the hyper-parameters, and may return a
    dict of additions to the state; anything else that it returns is ignored."""

    def update(p: Tensor, grad: Tensor, state: dict[str, Any], hyper: dict[str, Any]) -> None:
        p.grad = grad
        for piece in pieces:
            new = piece(p, **(state | hyper | {"do_wd": bool(hyper.get("wd"))}))
            if isinstance(new, dict):
                state.update(new)

    return update


class Optimizer:
    """Updates parameters by a rule. ``hypers`` is a list of dicts, one for each group: ``lr``, ``mom``, ``wd``, ...

    The rule is in ``cbs``: pieces in order, such as those of ``optimizer_steps.py``, or one. ``update`` is a whole rule
    of this package.
    """

    def __init__(
        self, params: Any, cbs: Any = None, update: Update | None = None, name: str = "Optimizer", **hypers: Any
    ) -> None:
        pieces = L(cbs)
        if pieces:
            update = _in_turn(pieces.sorted(key=lambda piece: getattr(piece, "order", 0)))
            hypers = {k: v for piece in pieces for k, v in getattr(piece, "defaults", {}).items()} | hypers
        groups = list(params) if not isinstance(params, nn.Module) else list(params.parameters())
        if groups and isinstance(groups[0], (Tensor, nn.Parameter)):
            groups = [groups]
        self.param_lists = L([L(list(g)) for g in groups])
        self.update, self.rule_name = update, name
        self.hypers = L([dict(hypers) for _ in self.param_lists])
        self.state: dict[Any, dict[str, Any]] = {}
        self.no_decay: set[int] = set()
        self.frozen_idx = 0

    # ---- hyper-parameters

    def set_hyper(self, k: str, v: Any) -> None:
        """Set a hyper-parameter of all groups; a slice or a list has one value for each group."""
        n = len(self.param_lists)
        if isinstance(v, slice):
            v = even_mults(v.start, v.stop, n) if v.start else [v.stop / 10] * (n - 1) + [v.stop]
        values = list(v) if isinstance(v, (list, tuple, np.ndarray)) and np.ndim(v) else [v] * n
        if len(values) == 1:
            values = values * n
        if len(values) != n:
            raise ConfigError(f"{len(values)} values of {k} are given for {n} groups of parameters")
        for hyper, value in zip(self.hypers, values):
            hyper[k] = value

    def set_hypers(self, **kwargs: Any) -> None:
        for k, v in kwargs.items():
            self.set_hyper(k, v)

    def set_rates(self, lr: float, mom: float, wd: float | None = None) -> None:
        """Set the last group's rate, with the others in their present proportion to it; the momentum; and the decay,
        except for groups with a decay of their own."""
        last = float(self.hypers[-1]["lr"]) or 1.0
        for hyper in self.hypers:
            hyper["lr"] = lr * (float(hyper["lr"]) / last) if len(self.hypers) > 1 else lr
            hyper["mom"] = mom
        if wd is not None and wd != self.hypers[-1].get("wd"):
            self.set_hyper("wd", wd)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(p), **h} for p, h in zip(self.param_lists, self.hypers)]

    def all_params(self, n: Any = slice(None), with_grad: bool = False) -> L:
        found = [(p, g, self.state.setdefault(p, {}), h) for g, h in zip(self.param_lists, self.hypers) for p in g]
        return L([o for o in found[n] if not with_grad or o[0].grad is not None])

    # ---- freezing

    def freeze_to(self, n: int) -> None:
        """Let only groups from ``n`` on learn."""
        count = len(self.param_lists)
        self.frozen_idx = n if n >= 0 else count + n
        if self.frozen_idx >= count:
            raise ConfigError(
                f"freezing {self.frozen_idx} groups would leave none: the model has {count}; give a splitter= "
                f"to the Learner for more"
            )
        for i, group in enumerate(self.param_lists):
            if count == 1:
                break
            for p in group:
                p.requires_grad_(i >= self.frozen_idx or id(p) in self.no_decay)

    def freeze(self) -> None:
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        self.freeze_to(0)

    # ---- steps

    def step(self, closure: Any = None) -> None:
        """Update the parameters that have a gradient."""
        if closure is not None:
            raise ConfigError("closures are not supported")
        with torch.no_grad():
            for group, hyper in zip(self.param_lists, self.hypers):
                for p in group:
                    if p.grad is not None and p.requires_grad:
                        own = hyper if id(p) not in self.no_decay else hyper | {"wd": 0.0}
                        grad = p.grad.to_dense() if p.grad.layout is not torch.strided else p.grad
                        if self.update is not None:
                            self.update(p, grad, self.state.setdefault(p, {}), own)

    def zero_grad(self) -> None:
        for group in self.param_lists:
            for p in group:
                p.grad = None

    def clear_state(self) -> None:
        """Forget the averages of gradients."""
        self.state.clear()

    # ---- what the core's stepper asks

    def only(self) -> AdamRun | None:
        """Return the compiled Adam of all parameters, if this is one."""
        return None

    def begin(self) -> None: ...

    def by_rows(self, module: nn.Module) -> AbstractContextManager[None]:
        """Allow large tables to be trained by rows inside ``with``."""
        return nullcontext()

    def step_at(self, lr: float, mom: float, wd: float) -> None:
        """Make a step at these rates, then clear the gradients."""
        self.set_rates(lr, mom, wd)
        self.step()
        self.zero_grad()

    def state_arrays(self) -> State:
        found: State = {}
        for i, p in enumerate(p for g in self.param_lists for p in g):
            for name, value in self.state.get(p, {}).items():
                found[f"{i}.{name}"] = to_array(value) if isinstance(value, Tensor) else np.asarray(value)
        return found

    def take_arrays(self, arrays: Mapping[str, Any]) -> None:
        params = [p for g in self.param_lists for p in g]
        self.state.clear()
        for key, value in arrays.items():
            i, _, name = key.partition(".")
            kept = torch.from_numpy(np.array(value)) if np.ndim(value) else np.asarray(value).item()
            self.state.setdefault(params[int(i)], {})[name] = kept

    def state_dict(self) -> dict[str, Any]:
        """Return state and hyper-parameters, in plain tensors and numbers."""
        state = [dict(self.state.get(p, {})) for g in self.param_lists for p in g]
        return {
            "state": state,
            "hypers": [{k: float(v) if not isinstance(v, bool) else v for k, v in h.items()} for h in self.hypers],
        }

    def load_state_dict(self, sd: Mapping[str, Any]) -> None:
        for hyper, given in zip(self.hypers, sd["hypers"]):
            hyper.update(given)
        params = [p for g in self.param_lists for p in g]
        self.state = {p: dict(s) for p, s in zip(params, sd["state"])}

    def __repr__(self) -> str:
        count = sum(len(g) for g in self.param_lists)
        return f"{self.rule_name} of {count} parameters in {len(self.param_lists)} groups: {list(self.hypers)}"


def with_lr(opt: Optimizer, lr: Any) -> Optimizer:
    opt.set_hyper("lr", lr)
    return opt
