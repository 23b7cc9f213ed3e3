"""Functions for the parameters of modules: lists, counts, initial values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cofactor.models.torch.optim import NORMS, norm_and_bias
from cofactor.notebook._fastcore.lists import L

__all__ = [
    "apply_init",
    "apply_leaf",
    "cond_init",
    "get_model",
    "init_default",
    "norm_bias_params",
    "params",
    "requires_grad",
    "total_params",
    "trainable_params",
]


def params(m: nn.Module) -> list[nn.Parameter]:
    """Return all parameters."""
    return list(m.parameters())


def trainable_params(m: nn.Module) -> L:
    """Return the parameters that learn."""
    return L([p for p in m.parameters() if p.requires_grad])


def total_params(m: nn.Module) -> tuple[int, bool]:
    """Return how many numbers a module has, and whether they learn."""
    count = sum(p.numel() for p in m.parameters())
    first = next(m.parameters(), None)
    return count, bool(first is not None and first.requires_grad)


def requires_grad(m: nn.Module) -> bool:
    """Return whether its first parameter learns."""
    first = next(m.parameters(), None)
    return bool(first is not None and first.requires_grad)


def norm_bias_params(m: nn.Module, with_bias: bool = True) -> L:
    """Return the parameters of normalisation layers, and the biases of layers."""
    if with_bias:
        return L(norm_and_bias(m))
    return L([p for part in m.modules() if isinstance(part, NORMS) for p in part.parameters()])


def get_model(model: Any) -> Any:
    """Return the module inside a wrapper for several GPUs, or itself."""
    return model.module if isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)) else model


def cond_init(m: nn.Module, func: Callable[[Tensor], Any]) -> None:
    """Initialise a layer, except for normalisation: weights by ``func``, bias 0."""
    if not isinstance(m, NORMS):
        init_default(m, func)


def init_default(m: nn.Module, func: Callable[[Tensor], Any] = nn.init.kaiming_normal_) -> nn.Module:
    """Weights by ``func``, bias 0."""
    weight, bias = getattr(m, "weight", None), getattr(m, "bias", None)
    if isinstance(weight, Tensor) and weight.dim() > 1:
        func(weight)
    if isinstance(bias, Tensor):
        with torch.no_grad():
            bias.zero_()
    return m


def apply_leaf(m: nn.Module, f: Callable[[nn.Module], Any]) -> None:
    """Apply ``f`` to a module and all its submodules."""
    for part in m.modules():
        f(part)


def apply_init(m: nn.Module, func: Callable[[Tensor], Any] = nn.init.kaiming_normal_) -> None:
    """Initialise all layers except for normalisation."""
    apply_leaf(m, lambda part: cond_init(part, func))
