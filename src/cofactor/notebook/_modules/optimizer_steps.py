"""Pieces of optimizers, each with a single purpose: ``Optimizer(params, cbs=[weight_decay, average_grad,
momentum_step])``.

A piece is called with a parameter that has a gradient, and by name with the parameter's state and the hyper-parameters
of its group. It changes the parameter in place, or returns updates of the state. ``defaults`` of a piece are
hyper-parameters that it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "adam_step",
    "average_grad",
    "average_sqr_grad",
    "debias",
    "l2_reg",
    "lamb_step",
    "larc_layer_lr",
    "larc_step",
    "momentum_step",
    "qhadam_step",
    "radam_step",
    "rms_prop_step",
    "sgd_step",
    "step_stat",
    "weight_decay",
]


def _with(**defaults: float) -> Callable[[Any], Any]:
    """Give a piece its defaults."""

    def mark(piece: Any) -> Any:
        piece.defaults = defaults
        return piece

    return mark


def _grad(p: Any) -> Tensor:
    """Return the gradient of a parameter, dense."""
    g: Tensor = p.grad
    return g if g.layout is torch.strided else g.to_dense()


def debias(mom: float, damp: float, step: int) -> float:
    """Return the sum of the weights of a moving average with ``step`` terms."""
    return damp * (1 - mom**step) / (1 - mom)


@_with(wd=0.0)
def weight_decay(p: Tensor, lr: float, wd: float, do_wd: bool = True, **kwargs: Any) -> None:
    """Decoupled decay (Loshchilov & Hutter 2019)."""
    if do_wd and wd:
        p.data.mul_(1 - lr * wd)


@_with(wd=0.0)
def l2_reg(p: Tensor, lr: float, wd: float, do_wd: bool = True, **kwargs: Any) -> None:
    """Decay as a part of the gradient."""
    if do_wd and wd:
        p.grad = _grad(p).add(p.data, alpha=wd)


@_with(mom=0.9)
def average_grad(
    p: Tensor, mom: float, dampening: bool = False, grad_avg: Tensor | None = None, **kwargs: Any
) -> dict[str, Any]:
    """Return a moving average of gradients; with ``dampening`` each new one counts ``1 - mom``."""
    g = _grad(p)
    before = torch.zeros_like(g) if grad_avg is None else grad_avg
    return {"grad_avg": before.mul(mom).add(g, alpha=1 - mom if dampening else 1.0)}


@_with(sqr_mom=0.99)
def average_sqr_grad(
    p: Tensor, sqr_mom: float, dampening: bool = True, sqr_avg: Tensor | None = None, **kwargs: Any
) -> dict[str, Any]:
    """Return a moving average of squared gradients."""
    g = _grad(p)
    before = torch.zeros_like(g) if sqr_avg is None else sqr_avg
    return {"sqr_avg": before.mul(sqr_mom).add(g * g, alpha=1 - sqr_mom if dampening else 1.0)}


def step_stat(p: Tensor, step: int = 0, **kwargs: Any) -> dict[str, Any]:
    """Return the number of steps so far, including this one."""
    return {"step": step + 1}


def sgd_step(p: Tensor, lr: float, **kwargs: Any) -> None:
    """Step against the gradient."""
    p.data.sub_(_grad(p), alpha=lr)


def momentum_step(p: Tensor, lr: float, grad_avg: Tensor, **kwargs: Any) -> None:
    """Step against the average of gradients."""
    p.data.sub_(grad_avg, alpha=lr)


@_with(eps=1e-8)
def rms_prop_step(
    p: Tensor, lr: float, sqr_avg: Tensor, eps: float, grad_avg: Tensor | None = None, **kwargs: Any
) -> None:
    """Step against the gradient, or its average, divided by the root of the average of its squares."""
    p.data.sub_((_grad(p) if grad_avg is None else grad_avg) / (sqr_avg.sqrt() + eps), alpha=lr)


def _adam_parts(mom: float, sqr_mom: float, step: int, grad_avg: Tensor, sqr_avg: Tensor) -> tuple[Tensor, Tensor]:
    """Return averages of gradients and of their squares, corrected to weights with a sum of 1."""
    return grad_avg / debias(mom, 1 - mom, step), sqr_avg / debias(sqr_mom, 1 - sqr_mom, step)


@_with(eps=1e-5)
def adam_step(
    p: Tensor,
    lr: float,
    mom: float,
    step: int,
    sqr_mom: float,
    grad_avg: Tensor,
    sqr_avg: Tensor,
    eps: float,
    **kwargs: Any,
) -> None:
    """Adam (Kingma & Ba 2015)."""
    m, v = _adam_parts(mom, sqr_mom, step, grad_avg, sqr_avg)
    p.data.sub_(m / (v.sqrt() + eps), alpha=lr)


@_with(eps=1e-5)
def radam_step(
    p: Tensor,
    lr: float,
    mom: float,
    step: int,
    sqr_mom: float,
    grad_avg: Tensor,
    sqr_avg: Tensor,
    eps: float,
    beta: float = 0.0,
    **kwargs: Any,
) -> None:
    """Rectified Adam (Liu et al. 2020)."""
    m, v = _adam_parts(mom, sqr_mom, step, grad_avg, sqr_avg)
    most = 2 / (1 - sqr_mom) - 1
    r = most - 2 * step * sqr_mom**step / (1 - sqr_mom**step)
    if r <= 5:
        p.data.sub_(m, alpha=lr)
        return
    rectified = math.sqrt((r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r))
    below = v.sqrt() + eps
    if beta:
        below = torch.nn.functional.softplus(below, beta)
    p.data.sub_(m / below, alpha=lr * rectified)


@_with(eps=1e-8)
def qhadam_step(
    p: Tensor,
    lr: float,
    mom: float,
    sqr_mom: float,
    sqr_avg: Tensor,
    nu_1: float,
    nu_2: float,
    step: int,
    grad_avg: Tensor,
    eps: float,
    **kwargs: Any,
) -> None:
    """Quasi-hyperbolic Adam (Ma & Yarats 2019)."""
    g = _grad(p)
    m, v = _adam_parts(mom, sqr_mom, step, grad_avg, sqr_avg)
    p.data.sub_(((1 - nu_1) * g + nu_1 * m) / (((1 - nu_2) * g * g + nu_2 * v).sqrt() + eps), alpha=lr)


@_with(trust_coeff=0.02, wd=0.0, eps=1e-8)
def larc_layer_lr(
    p: Tensor, lr: float, trust_coeff: float, wd: float, eps: float, clip: bool = True, **kwargs: Any
) -> dict[str, Any]:
    """Return a rate for the layer, from the norms of weights and gradient (You et al. 2017)."""
    own, down = torch.norm(p.data), torch.norm(_grad(p))
    local = lr * trust_coeff * own / (down + own * wd + eps)
    return {"local_lr": min(lr, float(local)) if clip else float(local)}


def larc_step(p: Tensor, local_lr: float, grad_avg: Tensor | None = None, **kwargs: Any) -> None:
    """Step against the gradient, or its average, at the layer's rate."""
    p.data.sub_(_grad(p) if grad_avg is None else grad_avg, alpha=local_lr)


@_with(eps=1e-6, wd=0.0)
def lamb_step(
    p: Tensor,
    lr: float,
    mom: float,
    step: int,
    sqr_mom: float,
    grad_avg: Tensor,
    sqr_avg: Tensor,
    eps: float,
    **kwargs: Any,
) -> None:
    """Make Adam's step, scaled to the norm of the layer's weights (You et al. 2020)."""
    m, v = _adam_parts(mom, sqr_mom, step, grad_avg, sqr_avg)
    move = m / (v.sqrt() + eps)
    own, its = float(p.data.pow(2).mean().sqrt()), float(move.pow(2).mean().sqrt())
    p.data.sub_(move, alpha=lr * (1.0 if own == 0 or its == 0 else min(own / its, 10.0)))
