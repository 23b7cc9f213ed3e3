"""Call a module to see what it computes, with no traces: no attribute changed, no random number drawn, nothing printed.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cofactor.models.torch.stepper import own_rng, seed_rng, threads_for

CPU = torch.device("cpu")
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def hooked(module: nn.Module) -> bool:
    """Return whether it, or a part of it, has a hook."""
    return any(getattr(m, h, None) for m in module.modules() for h in HOOKS)


def plain_look_up(table: Any) -> bool:
    """Return whether an embedding table returns its rows unchanged, each with its full gradient. Row 0 may have no
    gradient, since no training row has that code."""
    plain = isinstance(table, nn.Embedding) and table.max_norm is None and table.padding_idx in (None, 0)
    return plain and not table.scale_grad_by_freq and not table.sparse


def is_usual(p: Tensor) -> bool:
    """Return whether a parameter is one that a kernel can train."""
    plain = type(p) is nn.Parameter and p.requires_grad and p.dtype == torch.float32 and p.device.type == "cpu"
    return plain and p.dim() in (1, 2) and p.is_contiguous() and not p._backward_hooks


def attributes(module: nn.Module) -> list[dict[str, Any]]:
    """Return everything that would show that a call changed the module: its attributes, the contents of lists and dicts
    among them, and the numbers of tensors."""
    return [{k: _held(v) for k, v in vars(m).items() if k != "training"} for m in module.modules()]


def _held(value: Any) -> Any:
    if isinstance(value, Tensor):
        return id(value), value._version
    if isinstance(value, dict):
        return id(value), [id(v) for v in value.values()]
    return (id(value), [id(v) for v in value]) if isinstance(value, (list, set)) else id(value)


@contextlib.contextmanager
def put_back(module: nn.Module) -> Iterator[None]:
    """Restore the module's attributes after the calls inside ``with``, including the contents of lists and dicts."""
    before = [
        (m, dict(vars(m)), {k: v.copy() for k, v in vars(m).items() if type(v) in (list, dict, set)})
        for m in module.modules()
    ]
    try:
        yield
    finally:
        for m, values, kept in before:
            if vars(m).keys() != values.keys() or any(vars(m)[k] is not v for k, v in values.items()):
                vars(m).clear()
                vars(m).update(values)
            for name, was in kept.items():
                now = values[name]
                if _held(now)[1] != _held(was)[1]:
                    now.clear()
                    now.extend(was) if isinstance(now, list) else now.update(was)


class Quiet:
    """The record of what calls inside :func:`quietly` did."""

    said = ""
    changed = False

    @property
    def nothing(self) -> bool:
        return not self.said and not self.changed


@contextlib.contextmanager
def quietly(module: nn.Module) -> Iterator[Quiet]:
    """Leave no traces of calls inside ``with``: one thread, torch's generators from a fixed seed and restored at the
    end, printed text caught, attributes restored. The yielded value then says whether there were any."""
    said, before, quiet = io.StringIO(), attributes(module), Quiet()
    with put_back(module), own_rng(CPU), threads_for(module, 1, CPU, 1), contextlib.redirect_stdout(said):
        seed_rng(0, CPU)
        try:
            yield quiet
        finally:
            quiet.said, quiet.changed = said.getvalue(), attributes(module) != before
