"""Train an ``EmbeddingDotBias`` by the dot-bias kernel, on memory that both share. Numbers of users and items start at
1 here; 0 is ``#na#``."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from cofactor import train
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Columns, Interactions
from cofactor.errors import ConfigError
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.models.torch.calling import hooked, plain_look_up
from cofactor.models.torch.layers import (
    EmbeddingDotBias,
)
from cofactor.models.torch.optim import Adam as AdamRule
from cofactor.notebook._loaders.loaders import DataLoaders
from cofactor.notebook._loaders.table_loader import TabDataLoader
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._measures.losses_known import kernel_job
from cofactor.notebook._modules.adam import Adam
from cofactor.notebook._training.jobs import Job, Loop, still

FORWARD = EmbeddingDotBias.forward
"""The original, since a notebook may patch it."""
TABLES = ("u_weight", "i_weight", "u_bias", "i_bias")


def is_collab(dls: Any) -> bool:
    """Return whether the loaders are of an unaltered table of user, item and one number, which the kernels need."""
    if not isinstance(dls, DataLoaders) or type(dls.train) is not TabDataLoader:
        return False
    dl, to = dls.train, dls.train_ds
    if not (isinstance(to, TabularPandas) and dl.plain and dl.shuffle and dl.drop_last and dl.bs is not None):
        return False
    return (
        len(to.cat_names) == 2
        and not to.with_cont
        and len(to.y_names) == 1
        and hasattr(to.procs, "classes")
        and len(to) > 0
    )


def coded(to: TabularPandas, classes: Any) -> Interactions:
    """Return a table's rows with users and items by their numbers, which start at 1."""
    x, y = to.tensors()[0].numpy(), to.tensors()[-1]
    sizes = [len(classes[n]) for n in to.cat_names]
    maps = [IdMap(pl.Series(values=range(size)), kind) for size, kind in zip(sizes, ("user", "item"))]
    users, items = (np.ascontiguousarray(x[:, i].astype(np.int32)) for i in (0, 1))
    return Interactions(users, items, np.ascontiguousarray(y[:, 0].float().numpy()), None, maps[0], maps[1])


def with_ids(to: TabularPandas, classes: Any) -> Interactions:
    """Return a table's rows with ids, without those that are ``#na#``."""
    user, item, rating = (*to.cat_names, to.y_names[0])
    x, y = to.tensors()[0].numpy(), to.tensors()[-1]
    keep = (x > 0).all(1)
    maps = [IdMap(pl.Series(values=list(classes[n].items[1:])), kind) for n, kind in ((user, "user"), (item, "item"))]
    users, items = (np.ascontiguousarray((x[keep, i] - 1).astype(np.int32)) for i in (0, 1))
    values = np.ascontiguousarray(y[:, 0].float().numpy()[keep])
    named = Columns(str(user), str(item), str(rating))
    return Interactions(users, items, values, None, maps[0], maps[1], columns=named, name="ratings")


def kernel_of(job: Job) -> tuple[str, tuple[float, float] | None] | None:
    """Return the kernel's loss and range for a job; None if the kernel cannot train it."""
    module: Any = job.module
    plain = job.opt_func is Adam or job.opt_func == AdamRule()
    if (
        not plain
        or not as_usual(job)
        or job.dls.device.type != "cpu"
        or not is_collab(job.dls)
        or not untouched(module)
    ):
        return None
    return kernel_job(job.loss_func, module.y_range)


def as_usual(job: Job) -> bool:
    """Return whether the optimizer has all parameters of the module, in one group, with the default settings."""
    group, hyper, rule = job.opt.param_lists[0], job.opt.hypers[0], AdamRule()
    whole = len(job.opt.param_lists) == 1 and {id(p) for p in group} == {id(p) for p in job.module.parameters()}
    return whole and (hyper.get("sqr_mom"), hyper.get("eps")) == (rule.sqr_mom, rule.eps)


def reaches(to: Any, y_range: tuple[float, float] | None) -> bool:
    """Return whether a sigmoid of this range reaches the ratings. Warns if not."""
    y = to.tensors()[-1]
    if y_range is None or not len(y):
        return True
    low, high = float(y.min()), float(y.max())
    if np.float32(y_range[0]) <= np.float32(low) and np.float32(high) <= np.float32(y_range[1]):
        return True
    warnings.warn(
        f"the ratings go from {low:g} to {high:g}, outside y_range {y_range}: a sigmoid can never reach them, so "
        "widen y_range",
        UserWarning,
        stacklevel=2,
    )
    return False


def untouched(module: nn.Module) -> bool:
    """Return whether it is an unaltered ``EmbeddingDotBias``: four learning float32 tables, no hook, nothing added."""
    if type(module) is not EmbeddingDotBias or "forward" in vars(module):
        return False
    if type(module).forward is not FORWARD:
        return False
    tables = [getattr(module, name, None) for name in TABLES]
    if {id(m) for m in module.modules()} - {id(module)} != {id(t) for t in tables} or len(module._parameters):
        return False
    if hooked(module) or not all(plain_look_up(t) for t in tables):
        return False
    weights = [t.weight for t in tables if t is not None]
    u, i, ub, ib = weights
    shapes_fit = u.shape[1:] == i.shape[1:] and ub.shape == (len(u), 1) and ib.shape == (len(i), 1)
    return shapes_fit and all(
        type(w) is nn.Parameter
        and w.requires_grad
        and w.dtype == torch.float32
        and w.device.type == "cpu"
        and not w._backward_hooks
        for w in weights
    )


class KernelCore:
    """Trains the tables of a ``DotBias`` model, whose memory the module's parameters share."""

    kind = "kernel"

    def __init__(self, job: Job, loss: str, y_range: tuple[float, float] | None) -> None:
        module: Any = job.module
        self.dls = job.dls
        self.columns = job.dls.train.columns()
        k, bs = module.u_weight.weight.shape[1], job.dls.train.bs
        self.model = DotBias(DotBiasConfig(n_factors=k, y_range=y_range, loss=loss, batch_size=bs))
        rows = coded(job.dls.train_ds, job.dls.classes)
        self.learn: train.Learner = Loop(rows, self.model, seed=job.seed, bs=bs, verbose=False)
        _ = self.learn.stepper
        self.views = self.model.views()
        for name, view in self.views.items():
            table = getattr(module, name)
            shared = torch.from_numpy(view)
            if table.weight.shape != shared.shape:
                raise ConfigError(
                    f"{name} has {len(table.weight):,} rows; the data have {len(shared):,} "
                    f"(create the model with len(dls.classes[...]))"
                )
            with torch.no_grad():
                shared.copy_(table.weight)
            table.weight.data = shared

    def fits(self, job: Job) -> bool:
        module: Any = job.module

        def same(name: str) -> bool:
            weight, view = getattr(module, name).weight, self.views[name]
            return bool(weight.data_ptr() == view.ctypes.data and weight.stride(0) * 4 == view.strides[0])

        c = self.model.config
        return (
            job.dls is self.dls
            and still(job.dls, self.columns)
            and job.dls.train.bs == c.batch_size
            and kernel_of(job) == (c.loss, c.y_range)
            and all(same(name) for name in TABLES)
        )

    def flush(self) -> None:
        self.model.flush()

    def outputs(self, x: tuple[Tensor, ...]) -> Tensor | None:
        if self.model.config.loss == "bce":
            return None
        users, items = (np.ascontiguousarray(x[0][:, i].numpy().astype(np.int32)) for i in (0, 1))
        return torch.from_numpy(self.model.predict(users, items))

    def forget(self) -> None:
        state = self.learn.stepper.snapshot()
        self.learn.stepper.restore({k: v if k == "table" else np.zeros_like(v) for k, v in state.items()})


def hand_over(kernel: Any, job: Job) -> None:
    """Pass the kernel's averages of gradients to an optimizer that continues from its weights."""
    state = kernel.learn.stepper.snapshot()
    runs: list[Any] = job.opt.runs() if hasattr(job.opt, "runs") else []
    steps = int(state["clock"][0])
    if not steps or len(runs) != 1:
        return
    ms, k = state["ms"], kernel.model.config.n_factors
    n = len(kernel.model.user_table)
    parts = {
        "u_weight": (slice(0, n), slice(0, k)),
        "i_weight": (slice(n, None), slice(0, k)),
        "u_bias": (slice(0, n), slice(k, k + 1)),
        "i_bias": (slice(n, None), slice(k + 1, k + 2)),
    }
    names = {id(getattr(job.module, t).weight): t for t in parts}
    for i, p in enumerate(runs[0].params):
        if id(p) not in names:  # a layer that was replaced since the optimizer was created
            continue
        rows, cols = parts[names[id(p)]]
        runs[0].m[i].copy_(torch.from_numpy(ms[rows, 0, cols].copy()))
        runs[0].v[i].copy_(torch.from_numpy(ms[rows, 1, cols].copy()))
        runs[0].steps[i] = steps
