"""Optimizers besides Adam: SGD, RMSProp, rectified and quasi-hyperbolic Adam, rates by layer, slow weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cofactor.notebook._modules.optimizer import Optimizer, with_lr

__all__ = [
    "SGD",
    "Lamb",
    "Larc",
    "Lookahead",
    "QHAdam",
    "RAdam",
    "RMSProp",
    "ranger",
]


def _decay(p: Tensor, g: Tensor, h: Mapping[str, Any], decouple: bool) -> Tensor:
    wd = float(h.get("wd", 0.0))
    if wd and decouple:
        p.mul_(1 - float(h["lr"]) * wd)
    return g + wd * p if wd and not decouple else g


def _average(state: dict[str, Any], key: str, g: Tensor, beta: float, damp: bool) -> Tensor:
    if key not in state:
        state[key] = torch.zeros_like(g)
    found: Tensor = state[key].mul_(beta).add_(g, alpha=1 - beta if damp else 1.0)
    return found


def SGD(params: Any, lr: Any, mom: float = 0.0, wd: float = 0.0, decouple_wd: bool = True) -> Optimizer:
    """Stochastic gradient descent, with momentum where ``mom`` is not 0."""

    def update(p: Tensor, g: Tensor, state: dict[str, Any], h: dict[str, Any]) -> None:
        g = _decay(p, g, h, decouple_wd)
        if h["mom"]:
            g = _average(state, "grad_avg", g, float(h["mom"]), False)
        p.sub_(g, alpha=float(h["lr"]))

    return with_lr(Optimizer(params, update, "SGD", wd=wd, lr=0.0, mom=mom), lr)


def RMSProp(
    params: Any,
    lr: Any,
    mom: float = 0.0,
    sqr_mom: float = 0.99,
    eps: float = 1e-8,
    wd: float = 0.0,
    decouple_wd: bool = True,
) -> Optimizer:
    """Gradients divided by the root of their mean square."""

    def update(p: Tensor, g: Tensor, state: dict[str, Any], h: dict[str, Any]) -> None:
        g = _decay(p, g, h, decouple_wd)
        v = _average(state, "sqr_avg", g * g, float(h["sqr_mom"]), True)
        step = _average(state, "grad_avg", g, float(h["mom"]), False) if h["mom"] else g
        p.addcdiv_(step, v.sqrt().add_(h["eps"]), value=-float(h["lr"]))

    return with_lr(Optimizer(params, update, "RMSProp", wd=wd, lr=0.0, mom=mom, sqr_mom=sqr_mom, eps=eps), lr)


def _moments(p: Tensor, g: Tensor, state: dict[str, Any], h: Mapping[str, Any]) -> tuple[Tensor, Tensor, int]:
    state["step"] = int(state.get("step", 0)) + 1
    m = _average(state, "grad_avg", g, float(h["mom"]), True)
    return m, _average(state, "sqr_avg", g * g, float(h["sqr_mom"]), True), state["step"]


def RAdam(
    params: Any,
    lr: Any,
    mom: float = 0.9,
    sqr_mom: float = 0.99,
    eps: float = 1e-5,
    wd: float = 0.0,
    beta: float = 0.0,
    decouple_wd: bool = True,
) -> Optimizer:
    """Adam with a rectified variance (Liu et al. 2020)."""

    def update(p: Tensor, g: Tensor, state: dict[str, Any], h: dict[str, Any]) -> None:
        g = _decay(p, g, h, decouple_wd)
        m, v, t = _moments(p, g, state, h)
        mom, b2, lr = float(h["mom"]), float(h["sqr_mom"]), float(h["lr"])
        r_inf = 2 / (1 - b2) - 1
        r = r_inf - 2 * t * b2**t / (1 - b2**t)
        debias = 1 - mom**t
        if r > 5:
            root = math.sqrt((r - 4) * (r - 2) * r_inf / ((r_inf - 4) * (r_inf - 2) * r))
            p.addcdiv_(m, (v / (1 - b2**t)).sqrt().add_(h["eps"]), value=-lr * root / debias)
        else:
            p.sub_(m, alpha=lr / debias)

    return with_lr(Optimizer(params, update, "RAdam", wd=wd, lr=0.0, mom=mom, sqr_mom=sqr_mom, eps=eps), lr)


def QHAdam(
    params: Any,
    lr: Any,
    mom: float = 0.999,
    sqr_mom: float = 0.999,
    nu_1: float = 0.7,
    nu_2: float = 1.0,
    eps: float = 1e-8,
    wd: float = 0.0,
    decouple_wd: bool = True,
) -> Optimizer:
    """Quasi-hyperbolic Adam (Ma & Yarats 2019)."""

    def update(p: Tensor, g: Tensor, state: dict[str, Any], h: dict[str, Any]) -> None:
        g = _decay(p, g, h, decouple_wd)
        m, v, t = _moments(p, g, state, h)
        first = (1 - nu_1) * g + nu_1 * m / (1 - float(h["mom"]) ** t)
        second = (1 - nu_2) * g * g + nu_2 * v / (1 - float(h["sqr_mom"]) ** t)
        p.addcdiv_(first, second.sqrt().add_(h["eps"]), value=-float(h["lr"]))

    return with_lr(Optimizer(params, update, "QHAdam", wd=wd, lr=0.0, mom=mom, sqr_mom=sqr_mom, eps=eps), lr)


def Larc(
    params: Any,
    lr: Any,
    mom: float = 0.9,
    clip: bool = True,
    trust_coeff: float = 0.02,
    eps: float = 1e-8,
    wd: float = 0.0,
    decouple_wd: bool = True,
) -> Optimizer:
    """SGD with rates by layer (You et al. 2017)."""

    def update(p: Tensor, g: Tensor, state: dict[str, Any], h: dict[str, Any]) -> None:
        g = _decay(p, g, h, decouple_wd)
        lr = float(h["lr"])
        local = lr * trust_coeff * float(p.norm()) / (float(g.norm()) + float(p.norm()) * float(h["wd"]) + eps)
        step = _average(state, "grad_avg", g, float(h["mom"]), False) if h["mom"] else g
        p.sub_(step, alpha=min(lr, local) if clip else local)

    return with_lr(Optimizer(params, update, "Larc", wd=wd, lr=0.0, mom=mom, eps=eps), lr)


def Lamb(
    params: Any,
    lr: Any,
    mom: float = 0.9,
    sqr_mom: float = 0.99,
    eps: float = 1e-5,
    wd: float = 0.0,
    decouple_wd: bool = True,
) -> Optimizer:
    """Adam with rates by layer (You et al. 2020)."""

    def update(p: Tensor, g: Tensor, state: dict[str, Any], h: dict[str, Any]) -> None:
        g = _decay(p, g, h, decouple_wd)
        m, v, t = _moments(p, g, state, h)
        step = m / (1 - float(h["mom"]) ** t) / ((v / (1 - float(h["sqr_mom"]) ** t)).sqrt() + h["eps"])
        r1, r2 = float(p.pow(2).mean().sqrt()), float(step.pow(2).mean().sqrt())
        p.sub_(step, alpha=float(h["lr"]) * (1.0 if r1 == 0 or r2 == 0 else min(r1 / r2, 10.0)))

    return with_lr(Optimizer(params, update, "Lamb", wd=wd, lr=0.0, mom=mom, sqr_mom=sqr_mom, eps=eps), lr)


class Lookahead(Optimizer):
    """Slow weights that follow another optimizer's (Zhang et al. 2019)."""

    def __init__(self, opt: Optimizer, k: int = 6, alpha: float = 0.5) -> None:
        self.opt, self.k, self.alpha = opt, k, alpha
        super().__init__(opt.param_lists, opt.update, f"Lookahead of {opt.rule_name}")
        self.hypers, self.state = opt.hypers, opt.state
        self.count = 0
        self.slow: list[Any] | None = None
        """Those of the first step on: weights may be changed by hand before it."""

    def step(self, closure: Any = None) -> None:
        if self.slow is None:
            self.slow = [p.detach().clone() for g in self.param_lists for p in g]
        self.opt.no_decay = self.no_decay
        self.opt.step()
        self.count += 1
        if self.count % self.k:
            return
        with torch.no_grad():
            for slow, p in zip(self.slow, (p for g in self.param_lists for p in g)):
                slow.add_(p - slow, alpha=self.alpha)
                p.copy_(slow)

    def clear_state(self) -> None:
        self.opt.clear_state()
        self.count, self.slow = 0, None


def ranger(
    params: Any,
    lr: Any,
    mom: float = 0.95,
    wd: float = 0.01,
    eps: float = 1e-6,
    k: int = 6,
    alpha: float = 0.5,
    **kwargs: Any,
) -> Optimizer:
    """:func:`RAdam` inside :class:`Lookahead`."""
    return Lookahead(RAdam(params, lr=lr, mom=mom, wd=wd, eps=eps, **kwargs), k, alpha)
