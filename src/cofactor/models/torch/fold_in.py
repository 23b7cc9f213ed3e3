"""Fold in users that a module was not trained with: find its user tables, replace their rows, solve for these rows.

A *table* of a side is a parameter with one row for each user (or item), where a prediction reads only that user's row.
Tables are found from where gradients arrive, so it does not matter how the module is written. A *state* is one user's
rows of all user tables, flattened and joined: (d,).

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from cofactor.data.interactions import CSR
from cofactor.models.torch.layers import NAMED_LOSSES
from cofactor.models.torch.stepper import Loss, flat_output, forward_blocks, threads_for

Array = NDArray[Any]


class Prior(NamedTuple):
    """The prior of users' states: mean (d,) and the root of their covariance (d, d)."""

    mean: Tensor
    root: Tensor


STEPS = 6
"""Maximal number of Gauss-Newton steps."""
TOLERANCE = 1e-3
"""A history is solved when a step lowers its objective by less than this fraction."""
PRIOR_ROWS = 10_000
"""Maximal number of users behind the prior of a user's rows."""
SHRINK = 1.0
"""Weight of the prior, in units of the training loss."""


def tables(module: nn.Module, sizes: tuple[int, int], side: int) -> list[str]:
    """Return the names of the parameters that are tables of a side (0 users, 1 items). ``sizes``: the numbers of rows
    of both sides."""
    rows, others = sizes[side], sizes[1 - side]
    found = {n: p for n, p in module.named_parameters() if p.dim() and len(p) == rows and p.requires_grad}
    if not found or rows < 2:
        return []
    device = next(iter(found.values())).device
    seen = dict.fromkeys(found, False)
    was = module.training
    module.eval()
    try:
        for j in range(1, 5):
            mine = rows * j // 5
            x = torch.zeros(2, 2, dtype=torch.int64, device=device)
            x[:, side] = mine
            x[:, 1 - side] = torch.tensor([(others * j // 5 + 1) % others, (others * j // 7 + 2) % others])
            with torch.enable_grad():
                out = flat_output(module(x), 2).sum()
                grads = torch.autograd.grad(out, list(found.values()), allow_unused=True)
            for (name, _), grad in zip(list(found.items()), grads):
                grad = None if grad is None else grad.to_dense() if grad.is_sparse else grad
                at = [] if grad is None else grad.reshape(rows, -1).abs().sum(1).nonzero().reshape(-1).tolist()
                seen[name] |= at == [mine]
                if at not in ([], [mine]):
                    del found[name]
            if not found:
                return []
    finally:
        module.train(was)
    return [name for name in found if seen[name]]


def table_rows(module: nn.Module, names: list[str], rows: Tensor) -> Tensor:
    """Return the states (len(rows), d) of these rows of the tables."""
    parameters = dict(module.named_parameters())
    return torch.cat([parameters[name].detach()[rows].reshape(len(rows), -1) for name in names], 1)


def substituted(module: nn.Module, names: list[str], states: Tensor) -> dict[str, Tensor]:
    """Return the tables with ``states`` (B, d) as their rows, for ``functional_call``."""
    parameters, parts, start = dict(module.named_parameters()), {}, 0
    for name in names:
        shape = parameters[name].shape[1:]
        width = int(np.prod(shape, dtype=np.int64))
        parts[name] = states[:, start : start + width].reshape(len(states), *shape)
        start += width
    return parts


def with_mean_rows(module: nn.Module, names: list[str], offset: int) -> dict[str, Tensor]:
    """Return the tables with one more row at their end: the mean of the rows from ``offset`` on."""
    parameters = dict(module.named_parameters())
    whole = {name: parameters[name].detach() for name in names}
    return {n: torch.cat([t, t[offset:].mean(0, keepdim=True)]) for n, t in whole.items()}


def caller(module: nn.Module, replaced: dict[str, Tensor]) -> Callable[[Tensor], Any]:
    """Return the module with some parameters replaced, as a function of x."""
    return lambda x: functional_call(module, replaced, (x,), tie_weights=False)


def score_states(module: nn.Module, names: list[str], states: Tensor, n_items: int, offset: int, block: int) -> Tensor:
    """Return the scores (B, n_items) of users with these states."""
    call = caller(module, substituted(module, names, states))
    items = torch.arange(n_items, device=states.device) + offset
    out = torch.empty(len(states), n_items, device=states.device)
    at_once = max(1, block // n_items)
    for start in range(0, len(states), at_once):
        users = torch.arange(start, min(start + at_once, len(states)), device=states.device)
        x = torch.stack([users.repeat_interleave(n_items), items.repeat(len(users))], 1)
        out[users] = forward_blocks(module, x, block, call).reshape(len(users), n_items).to(out.dtype)
    return out


def exact(device: torch.device) -> torch.dtype:
    """Return the type for solving small systems: float64 if the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def prior(module: nn.Module, names: list[str], offset: int, n_users: int) -> Prior:
    """Return the mean and Cholesky root of the covariance of the trained users' states."""
    device = next(module.parameters()).device
    some = torch.linspace(0, n_users - 1, min(n_users, PRIOR_ROWS), device=device).long() + offset
    with threads_for(module, 1, device, None):
        trained = table_rows(module, names, some).to(exact(device))
        mean = trained.mean(0)
        away = trained - mean
        spread = away.T @ away / max(len(some) - 1, 1)
        ridge = 1e-6 + 1e-4 * spread.diagonal().mean()
        root = torch.linalg.cholesky(spread + ridge * torch.eye(len(mean), dtype=mean.dtype, device=device))
    return Prior(mean, root)


def fold_in(
    module: nn.Module,
    names: list[str],
    histories: CSR,
    *,
    loss: Loss,
    offset: int,
    before: Prior,
    noise: float,
    block: int,
) -> Tensor:
    """Return the states (B, d) that fit these histories, with all else fixed.

    Each minimises the loss over a history plus a normal prior (that of the trained users), weighted by the training
    loss ``noise``, by Gauss-Newton steps with its own damping and end. A history without entries gets the mean.
    """
    mean, root = before
    z = torch.zeros(histories.n_rows, len(mean), dtype=mean.dtype, device=mean.device)
    start = 0
    with threads_for(module, min(block, len(histories.indices)), mean.device, None):
        while start < histories.n_rows:
            stop = int(np.searchsorted(histories.indptr, histories.indptr[start] + block, side="right")) - 1
            stop = min(max(stop, start + 1), histories.n_rows)
            z[start:stop] = _solve(module, names, histories, start, stop, loss, offset, SHRINK * noise, mean, root)
            start = stop
        states: Tensor = (mean + z @ root.T).float()
    return states


def _solve(
    module: nn.Module,
    names: list[str],
    histories: CSR,
    start: int,
    stop: int,
    loss: Loss,
    offset: int,
    weight: float,
    mean: Tensor,
    root: Tensor,
) -> Tensor:
    """Return whitened states z (stop - start, d) of a block of histories. A state is ``mean + root z``."""
    device = mean.device
    lo, hi = int(histories.indptr[start]), int(histories.indptr[stop])
    counts = torch.from_numpy(np.diff(histories.indptr[start : stop + 1])).to(device)
    owner = torch.repeat_interleave(torch.arange(stop - start, device=device), counts)
    y = torch.from_numpy(np.array(histories.values[lo:hi])).to(device)
    items = torch.from_numpy(histories.indices[lo:hi].astype(np.int64)).to(device) + offset
    x = torch.stack([torch.arange(hi - lo, device=device), items], 1)
    z = torch.zeros(stop - start, len(mean), dtype=mean.dtype, device=device)
    if hi == lo:
        return z
    bounds = [0, *torch.cumsum(counts, 0).tolist()]
    eye = torch.eye(len(mean), dtype=mean.dtype, device=device)
    damping = torch.zeros(len(z), 1, 1, dtype=mean.dtype, device=device)
    best = torch.full((len(z),), torch.inf, dtype=mean.dtype, device=device)
    done = counts == 0
    kept = z.clone()
    was = module.training
    module.eval()
    try:
        for _ in range(STEPS):
            cost, slope, curve, jacobian = _expand(module, names, mean + z @ root.T, owner, x, y, loss)
            jacobian = jacobian @ root
            total = torch.zeros(len(z), dtype=mean.dtype, device=device).index_add_(0, owner, cost)
            total += weight * (z * z).sum(1)
            better = total <= best
            gain = torch.where(better, best - total, torch.inf)
            damping[~better] = torch.clamp(damping[~better] * 10, min=float(weight) + 1e-3)
            best = torch.where(better, total, best)
            kept = torch.where(better[:, None], z, kept)
            done |= gain < TOLERANCE * best
            if bool(done.all()):
                break
            down = torch.zeros_like(z).index_add_(0, owner, jacobian * slope[:, None]) + 2 * weight * z
            scaled = jacobian * curve.sqrt()[:, None]
            normal = torch.stack([scaled[a:b].T @ scaled[a:b] for a, b in pairwise(bounds)])
            step = torch.linalg.solve(normal + (2 * weight + damping) * eye, -down)
            z = torch.where(better[:, None], z + step, kept + 0.1 * (z - kept))
            z = torch.where(done[:, None], kept, z)
    finally:
        module.train(was)
    return kept


def _expand(
    module: nn.Module, names: list[str], states: Tensor, owner: Tensor, x: Tensor, y: Tensor, loss: Loss
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return, for each entry, its loss, the slope and curvature of the loss, and the gradient of the prediction by the
    state."""
    with torch.enable_grad():
        each = states.float()[owner].requires_grad_()
        out = flat_output(functional_call(module, substituted(module, names, each), (x,), tie_weights=False), len(x))
        (jacobian,) = torch.autograd.grad(out.sum(), each)
        at = out.detach().to(states.dtype).requires_grad_()
        y = y.to(states.dtype)
        whole = loss(at, y) * len(y)
        (slope,) = torch.autograd.grad(whole, at, create_graph=True)
        curve = torch.zeros_like(at)
        if slope.requires_grad:
            (curve,) = torch.autograd.grad(slope.sum(), at)
    slope = slope.detach()
    flat = slope.abs() / (at.detach() - y).abs().clamp(min=0.1)  # losses with corners: reweighted least squares
    curve = torch.where(curve > 1e-6, curve, flat)
    with torch.no_grad():
        cost = _each(loss, at, y)
    return cost, slope, curve, jacobian.to(states.dtype)


def _each(loss: Loss, at: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each entry."""
    if loss in NAMED_LOSSES.values():
        each: Tensor = loss(at, y, reduction="none")  # type: ignore[call-arg]
        return each
    try:
        found: Tensor = torch.vmap(lambda a, b: loss(a[None], b[None]))(at, y)
        return found
    except Exception:  # a loss that vmap does not support
        return torch.stack([loss(a[None], b[None]) for a, b in zip(at, y)])
