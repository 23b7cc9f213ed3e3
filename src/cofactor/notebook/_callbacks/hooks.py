"""Hooks on modules, and the table of a model's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.texts import PrettyString
from cofactor.notebook._modules.parameters import total_params
from cofactor.notebook._tensors import apply

__all__ = [
    "Hook",
    "Hooks",
    "flatten_model",
    "has_children",
    "has_params",
    "hook_output",
    "hook_outputs",
    "layer_info",
    "module_summary",
]


class Hook:
    """Stores what ``hook_func(module, input, output)`` returns at each pass of a module as ``stored``."""

    def __init__(
        self,
        m: nn.Module,
        hook_func: Callable[..., Any],
        is_forward: bool = True,
        detach: bool = True,
        cpu: bool = False,
        gather: bool = False,
    ) -> None:
        self.hook_func, self.detach, self.cpu, self.stored, self.removed = hook_func, detach, cpu, None, False
        register = m.register_forward_hook if is_forward else m.register_full_backward_hook
        self.hook = register(self.hook_fn)

    def hook_fn(self, module: nn.Module, input: Any, output: Any) -> None:
        if self.detach:

            def bare(o: Any) -> Any:
                return (o.detach().cpu() if self.cpu else o.detach()) if isinstance(o, Tensor) else o

            input, output = apply(bare, input), apply(bare, output)
        self.stored = self.hook_func(module, input, output)

    def remove(self) -> None:
        if not self.removed:
            self.hook.remove()
            self.removed = True

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *args: Any) -> None:
        self.remove()


class Hooks:
    """Several hooks."""

    def __init__(
        self, ms: Any, hook_func: Callable[..., Any], is_forward: bool = True, detach: bool = True, cpu: bool = False
    ) -> None:
        self.hooks = [Hook(m, hook_func, is_forward, detach, cpu) for m in ms]

    def __getitem__(self, i: int) -> Hook:
        return self.hooks[i]

    def __len__(self) -> int:
        return len(self.hooks)

    def __iter__(self) -> Iterator[Hook]:
        return iter(self.hooks)

    @property
    def stored(self) -> L:
        return L([h.stored for h in self.hooks])

    def remove(self) -> None:
        for h in self.hooks:
            h.remove()

    def __enter__(self) -> Hooks:
        return self

    def __exit__(self, *args: Any) -> None:
        self.remove()


def _output(m: nn.Module, i: Any, o: Any) -> Any:
    return o


def hook_output(module: nn.Module, detach: bool = True, cpu: bool = False, grad: bool = False) -> Hook:
    """Return a hook that stores a module's outputs."""
    return Hook(module, _output, detach=detach, cpu=cpu, is_forward=not grad)


def hook_outputs(modules: Any, detach: bool = True, cpu: bool = False, grad: bool = False) -> Hooks:
    """Return hooks that store the outputs of several modules."""
    return Hooks(modules, _output, detach=detach, cpu=cpu, is_forward=not grad)


def has_params(m: nn.Module) -> bool:
    """Return whether it has parameters."""
    return any(True for _ in m.parameters())


def has_children(m: nn.Module) -> bool:
    """Return whether it has submodules."""
    return any(True for _ in m.children())


def flatten_model(m: nn.Module) -> list[nn.Module]:
    """Return its submodules that have no submodules."""
    return [part for part in m.modules() if not has_children(part)]


def layer_info(learn: Any, *xb: Any) -> L:
    """Return (name, parameters, whether they learn, shape of the output, whether that is new) of each layer."""
    rows: list[Any] = []

    def look(m: nn.Module, i: Any, o: Any) -> None:
        shape = (
            [list(t.shape) for t in o if isinstance(t, Tensor)]
            if isinstance(o, (tuple, list))
            else list(getattr(o, "shape", []))
        )
        count, learns = total_params(m)
        rows.append((type(m).__name__, count, learns, shape, not rows or rows[-1][3] != shape))

    was = learn.model.training
    with torch.no_grad(), Hooks(flatten_model(learn.model), look):
        learn.model.eval()(*xb)
    learn.model.train(was)
    return L(rows)


def module_summary(learn: Any, *xb: Any) -> str:
    """Return a table of the layers with their outputs and parameters."""
    rows = layer_info(learn, *xb)
    sizes = [" x ".join(map(str, x.shape)) for x in xb]
    line = "=" * 76
    out = [f"{type(learn.model).__name__} (Input shape: {sizes[0] if len(sizes) == 1 else sizes})", line]
    out += [f"{'Layer (type)':<20} {'Output Shape':<20} {'Param #':<10} {'Trainable':<10}", line]
    for name, count, learns, shape, _ in rows:
        out.append(
            f"{name:<20} {' x '.join(str(s) for s in shape):<20} {count if count else '':<10,} "
            f"{str(bool(learns)) if count else '':<10}"
            if count
            else f"{name:<20} {' x '.join(str(s) for s in shape):<20}"
        )
    total = sum(p.numel() for p in learn.model.parameters())
    trained = sum(p.numel() for p in learn.model.parameters() if p.requires_grad)
    out += [
        line,
        f"Total params: {total:,}",
        f"Total trainable params: {trained:,}",
        f"Total non-trainable params: {total - trained:,}",
        "",
    ]
    return PrettyString("\n".join(out))
