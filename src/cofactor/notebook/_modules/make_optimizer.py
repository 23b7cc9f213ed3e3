"""The optimizer that a Learner's ``opt_func`` means."""

from __future__ import annotations

import functools
from typing import Any

import torch

from cofactor.errors import ConfigError
from cofactor.models.torch.optim import Adam as AdamRule
from cofactor.notebook._modules.adam import Adam
from cofactor.notebook._modules.optim_wrapper import OptimWrapper
from cofactor.notebook._modules.optimizer import Optimizer, with_lr


def make_optimizer(opt_func: Any, params: Any, lr: Any) -> Optimizer:
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
