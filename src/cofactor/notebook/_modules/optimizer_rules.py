"""Optimizers besides Adam: SGD, RMSProp, rectified and quasi-hyperbolic Adam, rates by layer, slow weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from cofactor.notebook._modules import optimizer_steps as steps
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


def _made(name: str, params: Any, lr: Any, decouple_wd: bool, pieces: list[Any], **hypers: Any) -> Optimizer:
    """Return an optimizer made of pieces, decay first."""
    decay = steps.weight_decay if decouple_wd else steps.l2_reg
    return with_lr(Optimizer(params, [decay, *pieces], name=name, lr=0.0, **hypers), lr)


MOMENTS = [partial(steps.average_grad, dampening=True), steps.average_sqr_grad, steps.step_stat]
"""The state of Adam and similar optimizers."""


def SGD(params: Any, lr: Any, mom: float = 0.0, wd: float = 0.0, decouple_wd: bool = True) -> Optimizer:
    """Return stochastic gradient descent, with momentum if ``mom`` is not 0."""
    pieces = [steps.average_grad, steps.momentum_step] if mom else [steps.sgd_step]
    return _made("SGD", params, lr, decouple_wd, pieces, mom=mom, wd=wd)


def RMSProp(
    params: Any,
    lr: Any,
    mom: float = 0.0,
    sqr_mom: float = 0.99,
    eps: float = 1e-8,
    wd: float = 0.0,
    decouple_wd: bool = True,
) -> Optimizer:
    """Return an optimizer that divides gradients by the root of their mean square."""
    pieces = [*([steps.average_grad] if mom else []), steps.average_sqr_grad, steps.rms_prop_step]
    return _made("RMSProp", params, lr, decouple_wd, pieces, mom=mom, sqr_mom=sqr_mom, eps=eps, wd=wd)


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
    """Adam with a rectified variance (Liu et al. 2020); ``beta``: a softplus instead of adding ``eps`` alone."""
    pieces, more = [*MOMENTS, steps.radam_step], {"eps": eps, "wd": wd, "beta": beta}
    return _made("RAdam", params, lr, decouple_wd, pieces, mom=mom, sqr_mom=sqr_mom, **more)


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
    pieces, more = [*MOMENTS, steps.qhadam_step], {"nu_1": nu_1, "nu_2": nu_2, "eps": eps, "wd": wd}
    return _made("QHAdam", params, lr, decouple_wd, pieces, mom=mom, sqr_mom=sqr_mom, **more)


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
    pieces = [*([steps.average_grad] if mom else []), partial(steps.larc_layer_lr, clip=clip), steps.larc_step]
    return _made("Larc", params, lr, decouple_wd, pieces, mom=mom, trust_coeff=trust_coeff, eps=eps, wd=wd)


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
    pieces = [*MOMENTS, steps.lamb_step]
    return _made("Lamb", params, lr, decouple_wd, pieces, mom=mom, sqr_mom=sqr_mom, eps=eps, wd=wd)


class Lookahead(Optimizer):
    """Slow weights that follow another optimizer's (Zhang et al. 2019)."""

    def __init__(self, opt: Optimizer, k: int = 6, alpha: float = 0.5) -> None:
        self.opt, self.k, self.alpha = opt, k, alpha
        super().__init__(opt.param_lists, update=opt.update, name=f"Lookahead of {opt.rule_name}")
        self.hypers, self.state = opt.hypers, opt.state
        self.count = 0
        self.slow: list[Any] | None = None
        """The slow weights, set at the first step: weights may be changed by hand before it."""

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
