"""Optimizers for modules: the notebook's Adam, and any of ``torch.optim``, behind one small protocol.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.kernels import adam
from cofactor.model import State
from cofactor.models.torch.lazy import Table, eligible, readable

Array = NDArray[Any]

NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LayerNorm,
)


def norm_and_bias(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters without weight decay: all of normalisation layers, and every layer's own ``bias``."""
    if isinstance(module, NORMS):
        return list(module.parameters())
    found = [p for child in module.children() for p in norm_and_bias(child)]
    bias = getattr(module, "bias", None)
    return [*found, bias] if isinstance(bias, nn.Parameter) else found


class Optimizer(Protocol):
    """The methods of an optimizer that the stepper calls. ``begin`` is called before each run of batches, which then
    runs inside ``by_rows``, where large tables of the module may be read and stepped by rows."""

    def begin(self) -> None: ...

    def by_rows(self, module: nn.Module) -> AbstractContextManager[None]: ...

    def step(self, lr: float, mom: float, wd: float) -> None: ...

    def state(self) -> State: ...

    def restore(self, state: Mapping[str, Array]) -> None: ...


@dataclass(frozen=True)
class Adam:
    """The variant of Adam: decoupled decay (``decouple_wd``) or decay as part of the gradient (L2), both as in
    fastai."""

    sqr_mom: float = 0.99
    eps: float = 1e-5
    decouple_wd: bool = True

    def __call__(self, module: nn.Module) -> Optimizer:
        return AdamRun.of_module(module, self)


class AdamRun:
    """Runs Adam on the parameters of a module.

    Contiguous float32 on the CPU goes through a numba kernel, in one pass over memory. All else goes through torch's
    foreach operations, with the same arithmetic. A parameter without a gradient in a batch is left unchanged.
    """

    def __init__(self, params: Sequence[nn.Parameter], decays: Sequence[bool], rule: Adam) -> None:
        self.rule = rule
        self.params, self.decays = list(params), list(decays)
        if not self.params:
            raise ConfigError("the module has no parameter that learns (requires_grad)")
        self.m = [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.params]
        self.v = [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.params]
        self.steps = [0] * len(self.params)
        self.tables: dict[int, Table] = {}
        """By the number of the parameter, inside :meth:`by_rows`."""

    @classmethod
    def of_module(cls, module: nn.Module, rule: Adam) -> Self:
        """Return a run on all parameters that learn. Norms and biases have no decay."""
        spared = {id(p) for p in norm_and_bias(module)}
        params = [p for p in module.parameters() if p.requires_grad]
        return cls(params, [id(p) not in spared for p in params], rule)

    def begin(self) -> None:
        self.flat: list[tuple[Array, Array, Array] | None] = [
            (_flat(p), _flat(m), _flat(v)) if _plain(p) else None for p, m, v in zip(self.params, self.m, self.v)
        ]

    @contextmanager
    def by_rows(self, module: nn.Module) -> Iterator[None]:
        """Train large tables by rows inside ``with``, if the module reads them by rows (``models/torch/lazy.py``). At
        the end every number is up to date."""
        b2, eps = self.rule.sqr_mom, self.rule.eps
        which = [i for i, p in enumerate(self.params) if eligible(p)]
        if not which or not self.rule.decouple_wd or not readable(module):
            yield
            return
        try:
            for i in which:
                self.tables[i] = Table(self.params[i], self.m[i], self.v[i], self.steps[i], b2, eps)
            yield
        finally:
            for table in self.tables.values():
                table.leave()
            self.tables = {}

    def step(self, lr: float, mom: float, wd: float) -> None:
        b2, eps = self.rule.sqr_mom, self.rule.eps
        others: dict[tuple[int, bool], list[int]] = {}
        for i, p in enumerate(self.params):
            table = self.tables.get(i)
            if table is not None and table.step(lr, mom, 1 - lr * wd if self.decays[i] else 1.0):
                self.steps[i] = int(table.clock[0])
                continue
            g = p.grad
            if g is None:
                continue
            p.grad = None
            if g.layout is not torch.strided:
                g = g.to_dense()
            self.steps[i] = t = self.steps[i] + 1
            decays = self.decays[i] and wd != 0
            flat = self.flat[i]
            if flat is None or not self.rule.decouple_wd:
                others.setdefault((t, decays), []).append(i)
                p.grad = g
                continue
            keep = 1 - lr * wd if decays else 1.0
            rate, root = lr / (1 - mom**t), 1 / math.sqrt(1 - b2**t)
            grad = g.numpy() if g.is_contiguous() else g.contiguous().numpy()
            adam.step(flat[0], grad.reshape(-1), flat[1], flat[2], mom, b2, rate, root, eps, keep)
        for (t, decays), which in others.items():
            self._foreach(which, t, lr, mom, wd if decays else 0.0)

    @torch.no_grad()
    def _foreach(self, which: list[int], t: int, lr: float, mom: float, wd: float) -> None:
        rule = self.rule
        params: list[Tensor] = [self.params[i] for i in which]
        m, v = [self.m[i] for i in which], [self.v[i] for i in which]
        grads: list[Any] = [p.grad for p in params]
        for p in params:
            p.grad = None
        if wd and rule.decouple_wd:
            torch._foreach_mul_(params, 1 - lr * wd)
        elif wd:
            torch._foreach_add_(grads, params, alpha=wd)
        torch._foreach_mul_(m, mom)
        torch._foreach_add_(m, grads, alpha=1 - mom)
        torch._foreach_mul_(v, rule.sqr_mom)
        torch._foreach_addcmul_(v, grads, grads, 1 - rule.sqr_mom)
        below = torch._foreach_sqrt(v)
        torch._foreach_mul_(below, 1 / math.sqrt(1 - rule.sqr_mom**t))
        torch._foreach_add_(below, rule.eps)
        torch._foreach_addcdiv_(params, m, below, -lr / (1 - mom**t))

    def state(self) -> State:
        arrays: State = {"steps": np.array(self.steps, np.int64)}
        for i, (m, v) in enumerate(zip(self.m, self.v)):
            arrays |= {f"m.{i}": to_array(m), f"v.{i}": to_array(v)}
        return arrays

    def restore(self, state: Mapping[str, Array]) -> None:
        self.steps = [int(s) for s in state["steps"]]
        for i, (m, v) in enumerate(zip(self.m, self.v)):
            m.copy_(torch.from_numpy(np.array(state[f"m.{i}"])))
            v.copy_(torch.from_numpy(np.array(state[f"v.{i}"])))


class TorchOptimizer:
    """Any optimizer of ``torch.optim``. Its rate, momentum and decay are set before each step, if it has them.

    ``make`` is called with parameter groups: those with decay and those without.
    """

    def __init__(self, module: nn.Module, make: Callable[..., torch.optim.Optimizer]) -> None:
        kept_whole = {id(p) for p in norm_and_bias(module)}
        params = [p for p in module.parameters() if p.requires_grad]
        parts = [[p for p in params if (id(p) in kept_whole) == whole] for whole in (False, True)]
        groups = [{"params": part, "decays": not whole} for part, whole in zip(parts, (False, True)) if part]
        self.optimizer = make(groups, lr=1e-3)

    def begin(self) -> None:
        pass

    def by_rows(self, module: nn.Module) -> AbstractContextManager[None]:
        return nullcontext()

    def step(self, lr: float, mom: float, wd: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
            if "betas" in group:
                group["betas"] = (mom, *group["betas"][1:])
            elif group.get("momentum"):
                group["momentum"] = mom
            if "weight_decay" in group:
                group["weight_decay"] = wd if group["decays"] else 0.0
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state(self) -> State:
        found = self.optimizer.state_dict()["state"]
        arrays: State = {}
        for i, facts in found.items():
            for name, value in facts.items():
                if value is not None:
                    arrays[f"{i}.{name}"] = to_array(value) if isinstance(value, Tensor) else np.asarray(value)
        return arrays

    def restore(self, state: Mapping[str, Array]) -> None:
        whole = self.optimizer.state_dict()
        whole["state"] = {}
        for key, value in state.items():
            i, _, name = key.partition(".")
            whole["state"].setdefault(int(i), {})[name] = torch.from_numpy(np.array(value))
        self.optimizer.load_state_dict(whole)


def to_array(tensor: Tensor) -> Array:
    """Return a copy as a NumPy array (bfloat16, which NumPy lacks, as float32)."""
    tensor = tensor.detach().cpu()
    found: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy().copy()
    return found


def _plain(p: Tensor) -> bool:
    return p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous()


def _flat(t: Tensor) -> Array:
    found: Array = t.detach().numpy().reshape(-1)
    return found
