"""The outputs of a module for all rows of a loader."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cofactor.models.torch import stepper as torch_run
from cofactor.notebook._loaders.loaders import DataLoaders
from cofactor.notebook._loaders.table_loader import TabDataLoader
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._measures.losses_known import outputs_of
from cofactor.notebook._training.jobs import Core, split_batch

BLOCK = 65_536
"""Number of rows in one forward pass outside training."""


class Predicted(NamedTuple):
    """Inputs, raw outputs and targets of all rows of a loader, in its rows' order."""

    inputs: tuple[Any, ...]
    outputs: Any
    targets: tuple[Any, ...]
    sizes: list[int]
    """Number of rows in each batch."""


@torch.no_grad()
def predictions(module: nn.Module, dl: Any, dls: Any, core: Core | None) -> Predicted:
    """Return the module's outputs in eval mode for all rows of a loader, a list of batches or a data set's loader."""
    was = module.training
    module.eval()
    try:
        if isinstance(dl, TabDataLoader) and not dl.own_batches and isinstance(dl.dataset, TabularPandas):
            return _of_table(module, dl, dls, core)
        return _of_batches(module, dl, dls)
    finally:
        module.train(was)


def _of_table(module: nn.Module, dl: TabDataLoader, dls: Any, core: Core | None) -> Predicted:
    parts = tuple(t.to(dls.device) for t in dl.dataset.tensors())
    n_inp = 1 + bool(dl.dataset.with_cont)
    x, y = parts[:n_inp], parts[n_inp:]
    n, bs = len(parts[0]), dl.bs or len(parts[0])
    sizes = [min(bs, n - i) for i in range(0, n, max(bs, 1))]
    out: Any = core.outputs(x) if core is not None and n and len(dl.dataset.cat_names) == 2 else None
    if out is None:
        outs = []
        with torch_run.threads_for(module, min(BLOCK, max(n, 1)), dls.device, None):
            for i in range(0, n, BLOCK):
                outs.append(outputs_of(module, tuple(t[i : i + BLOCK] for t in x)))
        if not outs:
            return Predicted(x, torch.empty(0), y, sizes)
        if not all(isinstance(o, Tensor) for o in outs):
            return _of_batches(module, dl.new(shuffle=False, drop_last=False), dls)
        out = torch.cat(outs) if len(outs) > 1 else outs[0]
    return Predicted(x, out, y, sizes)


def _of_batches(module: nn.Module, dl: Any, dls: Any) -> Predicted:
    if isinstance(dl, DataLoaders):
        dl = dl.train.new(shuffle=False, drop_last=False)
    elif hasattr(dl, "drop_last") and hasattr(dl, "new") and (dl.drop_last or dl.shuffle):
        dl = dl.new(shuffle=False, drop_last=False)
    parts = (split_batch(b, dls) for b in dl)
    return of_batches([(xb, outputs_of(module, xb), yb) for xb, yb in parts])


def of_batches(batches: list[tuple[Any, Any, Any]]) -> Predicted:
    """Join inputs, outputs and targets of batches."""
    xs, outs, ys = ([b[i] for b in batches] for i in range(3))
    return Predicted(_joined(xs), _joined_one(outs), _joined(ys), [len(x[0]) for x in xs])


def _joined(parts: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(_joined_one(list(column)) for column in zip(*parts)) if parts else ()


def _joined_one(column: list[Any]) -> Any:
    if not column:
        return torch.empty(0)
    if isinstance(column[0], (list, tuple)):
        return type(column[0])(_joined_one([c[i] for c in column]) for i in range(len(column[0])))
    try:
        return torch.cat(column)
    except (RuntimeError, TypeError):
        return list(column)
