"""Embedding tables of any module, read and trained by rows as long as they are only read by rows.

The gradient of ``table[x]`` is dense: a few rows are added to zeros as large as the table, and Adam then moves every
row. For a batch of 64 that is most of the work. During a run, a large parameter is a :class:`LazyParameter`: a look-up
by whole numbers (``table[x]``, ``F.embedding``, ``index_select``) returns the up-to-date rows
(``kernels/lazy_rows.py``) with their own gradient, and the optimizer steps only these rows. Any other use of the
parameter brings it up to date and makes it plain again, even in the middle of a batch, so it does not matter how the
module is written.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor.kernels import lazy_rows as kernel

Array = NDArray[Any]

LEAST = 1 << 18
"""Size of a table from which stepping single rows is faster (measured; below it autograd's look-up is)."""
STEPS = 1024
"""Number of steps after which every row is brought up to date."""
FAINT = 1e-30
"""As ``FAINT`` of ``dot_bias/epoch.py``: a decay since the last flush below this calls for the next one."""

_Parameter: Any = nn.Parameter
_getters = ("shape", "dtype", "device", "layout", "ndim", "requires_grad", "is_leaf", "is_sparse", "is_cuda", "is_meta")
HARMLESS = {
    *(getattr(Tensor, name).__get__ for name in _getters),
    *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.__hash__, Tensor.is_floating_point),
    torch.is_floating_point,
}
"""Functions that do not read the numbers of a parameter."""
_ROWS_OF = {Tensor.__getitem__, F.embedding, torch.embedding, torch.index_select, Tensor.index_select}


class LazyParameter(_Parameter):  # type: ignore[misc]
    """A parameter under :func:`by_rows`; ``table`` has its numbers."""

    table: Table

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _ROWS_OF:
            found = _looked_up(func, args, kwargs)
            if found is not None:
                return found
        if func not in HARMLESS:
            for one in _lazy((args, kwargs)):
                one.table.leave()
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)


def _lazy(found: Any) -> Iterable[LazyParameter]:
    """Yield the lazy parameters among arguments."""
    if isinstance(found, LazyParameter):
        yield found
    elif isinstance(found, dict):
        yield from _lazy(list(found.values()))
    elif isinstance(found, (list, tuple)):
        for one in found:
            yield from _lazy(one)


def _looked_up(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    """Return the rows that a look-up asks for; None if it asks for anything else."""
    rest: list[Any]
    if func is Tensor.__getitem__:
        table, rows, rest = args[0], args[1], []
    elif func in (F.embedding, torch.embedding):
        if len(args) < 2:
            return None
        rows, table = (args[0], args[1]) if func is F.embedding else (args[1], args[0])
        rest = [*args[2:], *(v for k, v in kwargs.items() if k != "norm_type")]
        if func is torch.embedding and rest and rest[0] == -1:  # no padding_idx
            rest = rest[1:]
    else:
        if kwargs or len(args) != 3 or args[1] != 0 or not isinstance(args[2], Tensor) or args[2].dim() != 1:
            return None
        table, rows, rest = args[0], args[2], []
    if type(table) is not LazyParameter or type(rows) is not Tensor or not all(o is None or o is False for o in rest):
        return None  # padding_idx, max_norm, gradients by frequency, sparse gradients
    return table.table.look_up(rows)


def eligible(p: Any) -> bool:
    """Return whether a parameter may be a table: float32 on the CPU, contiguous, large, of one or two dimensions."""
    return (
        type(p) is nn.Parameter
        and p.requires_grad
        and p.dtype == torch.float32
        and p.device.type == "cpu"
        and p.dim() in (1, 2)
        and p.numel() >= LEAST
        and len(p) >= 256
        and p.is_contiguous()
        and not p._backward_hooks
        and not getattr(p, "_post_accumulate_grad_hooks", None)
    )


def readable(module: nn.Module) -> bool:
    """Return whether all code of a module runs in Python, where look-ups are visible."""
    return not any(isinstance(m, torch.jit.ScriptModule) or hasattr(m, "_orig_mod") for m in module.modules())


class Table:
    """The numbers of one parameter and its moments in the kernel's form, and what a batch has read of it."""

    def __init__(self, p: Any, m: Tensor, v: Tensor, steps: int, b2: float, eps: float) -> None:
        n, width = len(p), p.numel() // len(p)
        stride = (width + 15) // 16 * 16
        self.p, self.m, self.v, self.width, self.tail = p, m, v, width, p.shape[1:]
        self.usual, self.b2, self.eps = p.dim() == 2, b2, eps
        self.w, self.ms = np.zeros((n, stride), np.float32), np.zeros((n, 2, stride), np.float32)
        self.w[:, :width] = _array(p, width)
        self.ms[:, 0, :width] = _array(m, width)
        np.sqrt(_array(v, width), out=self.ms[:, 1, :width])
        self.last, self.first = np.zeros(n, np.int32), np.zeros(n, np.int32)
        self.mask = np.ones((2, stride), np.float32)
        self.clock, self.past = np.array([steps, 0, 0], np.int64), np.zeros((5, STEPS + 1))
        self.past[[0, 1, 4], 0] = 1
        self.fade = b2 ** np.arange(STEPS + 1, dtype=np.float64)
        self.seen: list[tuple[Array, Tensor]] = []
        """Look-ups of the current batch: the rows, and the leaf that gathers their gradient."""
        p.__class__ = LazyParameter
        p.table = self

    @property
    def left(self) -> bool:
        """Whether the parameter is plain again."""
        return type(self.p) is not LazyParameter

    def look_up(self, rows: Tensor) -> Tensor | None:
        """Return the up-to-date rows; None if that is not possible."""
        if rows.dtype != torch.int64 or rows.device.type != "cpu" or rows.requires_grad:
            return None
        try:
            flat = np.ascontiguousarray(rows.numpy()).reshape(-1)
        except (RuntimeError, TypeError):  # a tensor that represents others (vmap)
            return None
        out = np.empty((len(flat), self.width), np.float32)
        w, ms, last, mask, past, fade, clock = (
            self.w, self.ms, self.last, self.mask, self.past, self.fade, self.clock
        )  # fmt: skip
        if not kernel.read(flat, w, ms, last, mask, past, fade, clock, self.eps, out):
            return None
        found = torch.from_numpy(out)
        if not self.usual or rows.dim() != 1:
            found = found.reshape(rows.shape + self.tail)
        if not torch.is_grad_enabled():
            return found
        found.requires_grad_()
        self.seen.append((flat, found))
        return found.clone()  # a module may change it in place, which is not allowed for a leaf

    def step(self, lr: float, mom: float, decay: float) -> bool:
        """Make one step with the gradients of the batch. Returns False if the parameter needs a dense step."""
        seen, self.seen = [(rows, leaf.grad) for rows, leaf in self.seen if leaf.grad is not None], []
        if self.left:
            self._spread(seen)
            return False
        if not seen:
            return True
        rows = seen[0][0] if len(seen) == 1 else np.concatenate([r for r, _ in seen])
        parts = [g.numpy().reshape(len(r), self.width) for r, g in seen]
        grads = np.ascontiguousarray(parts[0]) if len(parts) == 1 else np.concatenate(parts)
        clock = self.clock
        if clock[1] >= STEPS or abs(self.past[4, clock[1]]) < FAINT:
            kernel.flush(self.w, self.ms, self.last, self.mask, self.past, self.fade, clock, self.eps)
        t = int(clock[0]) + 1
        rate, root = lr / (1 - mom**t), 1 / math.sqrt(1 - self.b2**t)
        space = np.empty((len(rows), self.w.shape[1]), np.float32)
        w, ms, last, first, mask, past = self.w, self.ms, self.last, self.first, self.mask, self.past
        kernel.step(
            rows, grads, w, ms, last, first, mask, past, clock, mom, self.b2, rate, root, self.eps, decay, space
        )
        return True

    def _spread(self, seen: list[tuple[Array, Tensor]]) -> None:
        """Add gradients of rows to the parameter's own gradient."""
        for rows, grad in seen:
            if self.p.grad is None:
                self.p.grad = torch.zeros_like(self.p)
            self.p.grad.index_add_(0, torch.from_numpy(rows), grad.reshape(len(rows), *self.tail))

    def leave(self) -> None:
        """Bring the parameter and its moments up to date, and make it plain again."""
        if self.left:
            return
        self.p.__class__ = nn.Parameter
        del self.p.table
        kernel.flush(self.w, self.ms, self.last, self.mask, self.past, self.fade, self.clock, self.eps)
        with torch.no_grad():
            for target, source in ((self.p, self.w), (self.m, self.ms[:, 0]), (self.v, self.ms[:, 1])):
                target.copy_(torch.from_numpy(source[:, : self.width]).reshape(target.shape))
            self.v.square_()


def _array(tensor: Tensor, width: int) -> Array:
    found: Array = tensor.detach().numpy().reshape(-1, width)
    return found
