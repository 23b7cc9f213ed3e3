"""Optimizers under fastai's names: ``Adam(params, lr)`` and similar ones, with hyper-parameters by group of
parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.model import State
from cofactor.models.torch.optim import Adam as AdamRule
from cofactor.models.torch.optim import AdamRun, to_array
from cofactor.notebook._fastcore.collections import even_mults
from cofactor.notebook._fastcore.lists import L

__all__ = [
    "Adam",
    "OptimWrapper",
    "Optimizer",
]

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


class _AdamOptimizer(Optimizer):
    """Adam with the compiled step of :class:`cofactor.models.torch.optim.AdamRun`."""

    def __init__(self, params: Any, rule: AdamRule, **hypers: Any) -> None:
        super().__init__(params, name="Adam", **hypers)
        self.rule = rule
        self._runs: list[AdamRun] | None = None

    def runs(self) -> list[AdamRun]:
        if self._runs is None:
            self._runs = [
                AdamRun(list(g), [id(p) not in self.no_decay for p in g], self.rule) for g in self.param_lists
            ]
            self.begin()
        for run, hyper in zip(self._runs, self.hypers):
            if (run.rule.sqr_mom, run.rule.eps) != (hyper["sqr_mom"], hyper["eps"]):
                run.rule = replace(self.rule, sqr_mom=float(hyper["sqr_mom"]), eps=float(hyper["eps"]))
        return self._runs

    def only(self) -> AdamRun | None:
        runs = self.runs()
        return runs[0] if len(runs) == 1 else None

    def begin(self) -> None:
        for run in self.runs():
            run.begin()

    @contextmanager
    def by_rows(self, module: nn.Module) -> Iterator[None]:
        with ExitStack() as stack:
            for run in self.runs():
                stack.enter_context(run.by_rows(module))
            yield

    def step(self, closure: Any = None) -> None:
        for run, hyper in zip(self.runs(), self.hypers):
            run.begin()
            run.step(float(hyper["lr"]), float(hyper["mom"]), float(hyper["wd"]))

    def step_at(self, lr: float, mom: float, wd: float) -> None:
        self.set_rates(lr, mom, wd)
        for run, hyper in zip(self.runs(), self.hypers):
            run.step(hyper["lr"], mom, float(hyper["wd"]))

    def clear_state(self) -> None:
        self._runs = None

    def state_arrays(self) -> State:
        return {f"{i}.{k}": v for i, run in enumerate(self.runs()) for k, v in run.state().items()}

    def take_arrays(self, arrays: Mapping[str, Any]) -> None:
        for i, run in enumerate(self.runs()):
            run.restore({k.removeprefix(f"{i}."): v for k, v in arrays.items() if k.startswith(f"{i}.")})

    def state_dict(self) -> dict[str, Any]:
        state = []
        for run in self.runs():
            kept = iter(zip(run.params, run.m, run.v, run.steps))
            state += [{"grad_avg": m.clone(), "sqr_avg": v.clone(), "step": int(s)} for _, m, v, s in kept]
        return {"state": state, "hypers": [{k: float(v) for k, v in h.items()} for h in self.hypers]}

    def load_state_dict(self, sd: Mapping[str, Any]) -> None:
        for hyper, given in zip(self.hypers, sd["hypers"]):
            hyper.update(given)
        states = list(sd["state"])
        for run in self.runs():
            for i in range(len(run.params)):
                s = states.pop(0) if states else {}
                if "grad_avg" in s:
                    run.m[i].copy_(s["grad_avg"])
                    run.v[i].copy_(s["sqr_avg"])
                    run.steps[i] = int(s.get("step", 0))


def Adam(
    params: Any,
    lr: Any = 1e-3,
    mom: float = 0.9,
    sqr_mom: float = 0.99,
    eps: float = 1e-5,
    wd: float = 0.01,
    decouple_wd: bool = True,
) -> Optimizer:
    """Return Adam (Kingma & Ba 2015) with decoupled decay (Loshchilov & Hutter 2019), or with L2 if ``decouple_wd`` is
    False."""
    rule = AdamRule(sqr_mom=sqr_mom, eps=eps, decouple_wd=decouple_wd)
    return with_lr(_AdamOptimizer(params, rule, wd=wd, sqr_mom=sqr_mom, lr=0.0, mom=mom, eps=eps), lr)


def with_lr(opt: Optimizer, lr: Any) -> Optimizer:
    opt.set_hyper("lr", lr)
    return opt


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


class Driven:
    """Adapts one of these optimizers to the core's stepper."""

    def __init__(self, opt: Optimizer) -> None:
        self.opt = opt

    def begin(self) -> None:
        self.opt.begin()

    def by_rows(self, module: nn.Module) -> AbstractContextManager[None]:
        return self.opt.by_rows(module)

    def step(self, lr: float, mom: float, wd: float) -> None:
        self.opt.step_at(lr, mom, wd)

    def state(self) -> State:
        return self.opt.state_arrays()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.opt.take_arrays(state)


def make(opt_func: Any, params: Any, lr: Any) -> Optimizer:
    """Create an optimizer by a function of parameters and rate: one of these, or one of ``torch.optim``, or a
    partial."""
    inner = opt_func.func if isinstance(opt_func, functools.partial) else opt_func
    if isinstance(opt_func, Optimizer):
        opt_func.clear_state()
        return opt_func
    if isinstance(opt_func, AdamRule):
        return Adam(params, lr, sqr_mom=opt_func.sqr_mom, eps=opt_func.eps, decouple_wd=opt_func.decouple_wd)
    if isinstance(inner, type) and issubclass(inner, torch.optim.Optimizer):
        return with_lr(OptimWrapper(params, opt_func), lr)
    if not callable(opt_func):
        raise ConfigError(
            f"opt_func={opt_func!r}; give Adam, partial(Adam, ...), or a class of torch.optim, or a partial of one"
        )
    try:
        made = opt_func(params, lr=lr)
    except TypeError as exc:
        raise ConfigError(
            f"opt_func={opt_func!r} cannot be called with (params, lr=...) ({exc}); give Adam, partial(Adam, "
            f"...), or a class of torch.optim"
        ) from None
    if isinstance(made, torch.optim.Optimizer):
        made = OptimWrapper(opt=made)
    if not isinstance(made, Optimizer):
        raise ConfigError(
            f"opt_func={opt_func!r} returned a {type(made).__name__}; give Adam, partial(Adam, ...), or a "
            f"class of torch.optim"
        )
    return made
