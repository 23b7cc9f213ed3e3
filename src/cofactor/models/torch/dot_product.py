"""Recognise a user's module that computes a dot product of embeddings, with or without biases and a sigmoid, by its
outputs, and train it by the kernel of ``dot-bias`` in place of autograd.

:func:`dot_product_of` gives the module random weights and compares its outputs with the formula: the same function of
its tables has the same value everywhere, however it is written. A module with a hook, a buffer, dropout or further
parameters is left to autograd, and so is one whose ``forward`` may do more than compute (``side_effects.py``). The
module and its optimizer stay the public state: numbers are copied into the kernel's arrays when a run of batches
begins, and back at :meth:`FusedDot.flush`.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from cofactor.errors import ConfigError
from cofactor.kernels.dot_bias import epoch as kernel
from cofactor.model import Hyper
from cofactor.models.dot_bias.config import LOSSES
from cofactor.models.dot_bias.table import aligned, stride_of
from cofactor.models.torch.calling import CPU, HOOKS, attributes, hooked, is_usual, plain_look_up, quietly
from cofactor.models.torch.fold_in import tables
from cofactor.models.torch.lazy import readable
from cofactor.models.torch.optim import AdamRun
from cofactor.models.torch.side_effects import has_side_effects
from cofactor.models.torch.stepper import flat_output, threads_for

Array = NDArray[Any]
FAR = 200.0
"""A sigmoid of this is 1."""
PAIRS = 48


class DotProduct(NamedTuple):
    """Parameter names: tables of users and of items, biases if there are any; and the bounds of the sigmoid."""

    users: str
    items: str
    user_bias: str | None
    item_bias: str | None
    y_range: tuple[float, float] | None

    @property
    def names(self) -> list[str]:
        return [n for n in self[:4] if n is not None]


def dot_product_of(module: nn.Module, sizes: tuple[int, int]) -> DotProduct | None:
    """Return the parts of the module; None if it is not a dot product. ``sizes``: rows of its tables."""
    parameters = dict(module.named_parameters())
    if not 2 <= len(parameters) <= 4 or next(module.buffers(), None) is not None or not readable(module):
        return None
    if not all(is_usual(p) for p in parameters.values()) or any(len(p) not in sizes for p in parameters.values()):
        return None
    if hooked(module) or min(sizes) < 2 or has_side_effects(module):
        return None
    if not all(plain_look_up(m) for m in module.modules() if isinstance(m, nn.Embedding)):
        return None
    try:
        with quietly(module) as quiet:
            found = _found(module, parameters, sizes)
    except Exception:  # its input is not two columns of numbers
        return None
    return found if quiet.nothing else None


def _found(module: nn.Module, parameters: dict[str, nn.Parameter], sizes: tuple[int, int]) -> DotProduct | None:
    sides = [tables(module, sizes, side) for side in (0, 1)]
    if sorted(sides[0] + sides[1]) != sorted(parameters):
        return None
    chosen: list[tuple[str, str | None]] = []
    for names in sides:
        wide = [n for n in names if parameters[n].dim() == 2 and parameters[n].shape[1] > 1]
        thin = [n for n in names if n not in wide]
        if len(wide) != 1 or len(thin) > 1:
            return None
        chosen.append((wide[0], thin[0] if thin else None))
    (users, user_bias), (items, item_bias) = chosen
    if parameters[users].shape[1] != parameters[items].shape[1]:
        return None
    found = DotProduct(users, items, user_bias, item_bias, None)
    weights = {n: torch.zeros_like(p) for n, p in parameters.items()}
    k = parameters[users].shape[1]
    weights[users] += (FAR / k) ** 0.5
    ends = []
    for sign in (-1, 1):
        weights[items] = torch.full_like(parameters[items], sign * (FAR / k) ** 0.5)
        ends.append(_outputs(module, weights, _pairs(sizes)))
    low, high = float(ends[0][0]), float(ends[1][0])
    if not (ends[0] == low).all() or not (ends[1] == high).all():
        return None
    if abs(low + FAR) > 0.01 or abs(high - FAR) > 0.01:
        if not low < high:
            return None
        found = found._replace(y_range=(low, high))
    was = module.training
    try:
        for trial in range(4):
            module.train(trial % 2 == 0)
            weights = {
                n: torch.randn_like(p) * (1.5 / k**0.25 if p.numel() > len(p) else 1) for n, p in weights.items()
            }
            x = _pairs(sizes)
            if not _close(_outputs(module, weights, x), formula(found, weights, x), found):
                return None
    finally:
        module.train(was)
    return found


def _pairs(sizes: tuple[int, int]) -> Tensor:
    """Return random pairs, and the pairs of the first and last rows."""
    ends = torch.tensor([[0, 0], [sizes[0] - 1, sizes[1] - 1], [0, sizes[1] - 1]])
    return torch.cat([torch.stack([torch.randint(n, (PAIRS,)) for n in sizes], 1), ends])


@torch.no_grad()
def _outputs(module: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    return flat_output(functional_call(module, weights, (x.clone(),)), len(x))


def formula(found: DotProduct, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return the dot product of pairs, in float64."""
    users, items = x[:, 0], x[:, 1]
    z = (weights[found.users][users].double() * weights[found.items][items].double()).sum(1)
    for name, rows in ((found.user_bias, users), (found.item_bias, items)):
        if name is not None:
            z = z + weights[name].reshape(-1)[rows].double()
    if found.y_range is None:
        return z
    low, high = found.y_range
    return low + (high - low) * torch.sigmoid(z)


def _close(out: Tensor, wanted: Tensor, found: DotProduct) -> bool:
    width = 1.0 if found.y_range is None else found.y_range[1] - found.y_range[0]
    return torch.allclose(out.double(), wanted, rtol=1e-5, atol=2e-6 * width)


class FusedDot:
    """Trains such a module by the kernel of ``dot-bias``. ``codes`` int32: rows of the tables for each rating.

    ``optimizer`` returns the present ``AdamRun``, or None if another rule is wanted. ``loss_of`` returns the kernel's
    loss for the module's range, with the range for training; None if the kernel has no such loss.
    """

    def __init__(
        self,
        module: nn.Module,
        codes: tuple[Array, Array],
        values: Array,
        optimizer: Callable[[], AdamRun | None],
        sizes: tuple[int, int],
        loss_of: Callable[[tuple[float, float] | None], tuple[str, tuple[float, float] | None] | None],
    ) -> None:
        self.module, self.optimizer, self.sizes, self.loss_of = module, optimizer, sizes, loss_of
        self.users, self.items = (np.ascontiguousarray(c, np.int32) for c in codes)
        self.values = np.ascontiguousarray(values, np.float32)
        self.lagging = False
        """Whether the arrays are ahead of the module."""
        self.found: DotProduct | None = None
        self.loss: tuple[str, tuple[float, float] | None] | None = None
        self.run: AdamRun | None = None
        self.known: Any = None

    def begin(self, batch_size: int) -> bool:
        """Read the module's numbers. Returns False if autograd must train it."""
        if self.lagging:
            return True
        run = self.optimizer()
        if run is None or not run.rule.decouple_wd or not all(run.decays) or len(set(run.steps)) != 1:
            return False
        parts = list(self.module.modules())
        hooks = [len(getattr(m, h)) for m in parts for h in HOOKS]
        kept = [id(p) for p in run.params], [type(m).forward for m in parts], attributes(self.module), hooks
        if self.known != kept or (self.found is not None and not self._still()):
            self.known, self.found = kept, dot_product_of(self.module, self.sizes)
            self.loss = None if self.found is None else self.loss_of(self.found.y_range)
        if self.found is None or self.loss is None:
            return False
        parameters = dict(self.module.named_parameters())
        self.place = {n: i for i, p in enumerate(run.params) for n in self.found.names if parameters[n] is p}
        if len(self.place) != len(self.found.names) or len(run.params) != len(self.place):
            return False
        self.run = run
        self._take(self.found, run)
        return True

    def _still(self) -> bool:
        """Return whether the module with its present weights agrees with the formula."""
        assert self.found is not None
        weights = {n: p.detach() for n, p in self.module.named_parameters()}
        if not all(is_usual(p) for p in self.module.parameters()) or set(weights) != set(self.found.names):
            return False
        with quietly(self.module):
            x = _pairs(self.sizes)
            return _close(_outputs(self.module, weights, x), formula(self.found, weights, x), self.found)

    def _take(self, found: DotProduct, run: AdamRun) -> None:
        k, (n, m) = run.params[self.place[found.users]].shape[1], self.sizes
        stride = stride_of(k)
        self.table, self.ms = aligned((n + m, stride)), aligned((n + m, 2, stride))
        self.table[:n, k + 1] = self.table[n:, k] = 1
        self.mask = aligned((2, stride))
        self.mask[:, :k] = 1
        self.mask[0, k], self.mask[1, k + 1] = found.user_bias is not None, found.item_bias is not None
        self.parts = {found.users: (slice(0, n), slice(0, k)), found.items: (slice(n, None), slice(0, k))}
        if found.user_bias is not None:
            self.parts[found.user_bias] = slice(0, n), slice(k, k + 1)
        if found.item_bias is not None:
            self.parts[found.item_bias] = slice(n, None), slice(k + 1, k + 2)
        for name, (rows, columns) in self.parts.items():
            i, shape = self.place[name], self.table[rows, columns].shape
            self.table[rows, columns] = run.params[i].detach().numpy().reshape(shape)
            self.ms[rows, 0, columns] = run.m[i].numpy().reshape(shape)
            self.ms[rows, 1, columns] = np.sqrt(run.v[i].numpy()).reshape(shape)
        self.last, self.first = np.zeros(n + m, np.int32), np.zeros(n + m, np.int32)
        steps = max(4096, (n + m) // 2) + 1
        self.clock, self.past = np.array([run.steps[0], 0, 0], np.int64), np.zeros((5, steps))
        self.past[[0, 1, 4], 0] = 1
        self.fade = run.rule.sqr_mom ** np.arange(steps, dtype=np.float64)

    def train(self, rows: Array, hyper: Hyper) -> Array:
        """Train consecutive batches, after :meth:`begin`. Returns their losses."""
        run, n, bs = self.run, len(hyper.lr), hyper.batch_size
        if run is None or self.loss is None or len(rows) != n * bs or n == 0:
            raise ConfigError(f"{len(rows)} rows are not {n} batches of {bs}")
        name, limits = self.loss
        lo, hi = limits or (0.0, 1.0)
        rows = np.ascontiguousarray(rows, np.int32 if len(self.values) < 2**31 else np.int64)
        losses, lanes, b2, done = np.empty(n, np.float64), self.table.shape[1] // 16, float(run.rule.sqr_mom), 0
        plan = kernel.schedule(hyper.lr, hyper.momentum, float(hyper.weight_decay), b2, int(self.clock[0]))
        space = kernel.scratch(bs, lanes)
        self.module.eval()
        self.lagging = True
        while done < n:
            done += kernel.train(
                rows[done * bs :],
                self.users,
                self.items,
                self.values,
                self.clock,
                self.past,
                self.fade,
                self.table,
                self.ms,
                self.last,
                self.first,
                self.mask,
                self.sizes[0],
                np.ascontiguousarray(plan[:, done:]),
                b2,
                float(run.rule.eps),
                LOSSES[name],
                float(lo),
                float(hi),
                limits is not None,
                losses[done:],
                lanes,
                space,
            )
            if done < n:
                self._catch_up(run)
        return losses

    def _catch_up(self, run: AdamRun) -> None:
        n, lanes = self.sizes[0], self.table.shape[1] // 16
        state = self.clock, self.past, self.fade, self.table, self.ms, self.last, self.mask
        kernel.flush(*state, n, float(run.rule.eps), lanes)

    def flush(self) -> None:
        """Bring the module and its optimizer up to date."""
        run = self.run
        if not self.lagging or run is None:
            return
        self._catch_up(run)
        with threads_for(self.module, 1, CPU, 1), torch.no_grad():
            for name, (rows, columns) in self.parts.items():
                i = self.place[name]
                for target, source in (
                    (run.params[i], self.table[rows, columns]),
                    (run.m[i], self.ms[rows, 0, columns]),
                    (run.v[i], self.ms[rows, 1, columns]),
                ):
                    target.copy_(torch.from_numpy(source).reshape(target.shape))
                run.v[i].square_()
                run.steps[i] = int(self.clock[0])
        self.lagging = False
