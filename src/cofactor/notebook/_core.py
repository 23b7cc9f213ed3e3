"""How a module of the notebook is trained: the dot-bias kernel on shared memory, or autograd.

Numbers of users and items count from 1 here, 0 being ``#na#``.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from cofactor import train
from cofactor.data.ids import IdMap
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError
from cofactor.model import Model
from cofactor.models.dot_bias.model import DotBias, DotBiasConfig
from cofactor.models.neural.model import Neural, NeuralConfig
from cofactor.models.torch import stepper as torch_run
from cofactor.models.torch.layers import (
    BCELossFlat,
    BCEWithLogitsLossFlat,
    Embedding,
    EmbeddingDotBias,
    EmbeddingNN,
    HuberLossFlat,
    L1LossFlat,
    MSELossFlat,
)
from cofactor.models.torch.module import BLOCK, TorchModule, TorchModuleConfig
from cofactor.models.torch.optim import Adam, TorchOptimizer, to_array
from cofactor.notebook._data import CollabDataLoaders

Array = NDArray[Any]
TABLES = ("u_weight", "i_weight", "u_bias", "i_bias")


class Job(NamedTuple):
    """What a notebook's Learner asks for: a module, the rows, a loss and an optimizer."""

    module: Any
    dls: CollabDataLoaders
    loss_func: Any
    opt_func: Any
    seed: int


class Core(Protocol):
    """A core Learner and what the notebook asks of it."""

    learn: train.Learner

    def fits(self, job: Job) -> bool:
        """Whether training by it is still what the Learner's module, loss and optimizer ask for."""
        ...

    def flush(self) -> None:
        """Bring the module's weights up to date."""
        ...

    def loss(self, part: Interactions) -> float: ...

    def predict(self, part: Interactions) -> Array: ...

    def model_of_ids(self) -> Model:
        """The model over the codes of the data, without ``#na#``."""
        ...


def make(job: Job) -> Core:
    """The kernel for an ``EmbeddingDotBias`` as it was made, on a CPU, by Adam, with a loss it knows; else autograd."""
    module: Any = job.module
    if job.opt_func is Adam and job.dls.device.type == "cpu" and untouched(module):
        known = kernel_job(job.loss_func, module.y_range)
        if known is not None:
            return KernelCore(job, *known)
    return ModuleCore(job)


def kernel_loss(loss: Any) -> str | None:
    """Our name for a squared, absolute or Huber loss, flat or PyTorch's own; None for any other."""
    named = {F.mse_loss: "mse", F.l1_loss: "mae", F.huber_loss: "huber"}
    if loss in named:
        return named[loss]
    inner = loss.func if type(loss) in (MSELossFlat, L1LossFlat, HuberLossFlat) else loss
    if getattr(inner, "reduction", None) != "mean":
        return None
    if type(inner) is nn.HuberLoss:
        return "huber" if inner.delta == 1.0 else None
    return {nn.MSELoss: "mse", nn.L1Loss: "mae"}.get(type(inner))


def kernel_job(loss: Any, y_range: Any) -> tuple[str, tuple[float, float] | None] | None:
    """The loss and range by which ``dot-bias`` computes the same as the module under this loss; None where it cannot.
    Cross-entropy of logits is that of a sigmoid from 0 to 1."""
    if (name := kernel_loss(loss)) is not None:
        return name, _range(y_range)
    if type(loss) not in (BCELossFlat, BCEWithLogitsLossFlat) or loss.func.reduction != "mean":
        return None
    if loss.func.weight is not None or getattr(loss.func, "pos_weight", None) is not None:
        return None
    wanted = None if type(loss) is BCEWithLogitsLossFlat else (0.0, 1.0)
    return ("bce", (0.0, 1.0)) if _range(y_range) == wanted else None


def untouched(module: nn.Module) -> bool:
    """Whether it is an ``EmbeddingDotBias`` as it was made: four learning float32 tables, no hook, nothing added."""
    if type(module) is not EmbeddingDotBias or "forward" in vars(module):
        return False
    tables = [getattr(module, name, None) for name in TABLES]
    if {id(m) for m in module.modules()} - {id(module)} != {id(t) for t in tables} or len(module._parameters):
        return False
    if hooked(module):
        return False
    weights = [t.weight for t in tables if t is not None]
    u, i, ub, ib = weights
    shapes_fit = u.shape[1:] == i.shape[1:] and ub.shape == (len(u), 1) and ib.shape == (len(i), 1)
    return shapes_fit and all(
        type(w) is nn.Parameter and w.requires_grad and w.dtype == torch.float32 and not w._backward_hooks
        for w in weights
    )


class KernelCore:
    """Trains the tables of a ``DotBias`` model, whose memory the module's parameters are."""

    def __init__(self, job: Job, loss: str, y_range: tuple[float, float] | None) -> None:
        module: Any = job.module
        self.dls = job.dls
        k = module.u_weight.weight.shape[1]
        bs = job.dls.train.bs
        self.model = DotBias(DotBiasConfig(n_factors=k, y_range=y_range, loss=loss, batch_size=bs))
        split = job.dls.split
        self.rows = _Numbers(split.train)
        parts = Split(self.rows.of(split.train), self.rows.of(split.valid), split.how, split.seed)
        self.learn = train.Learner(parts, self.model, seed=job.seed, bs=bs, verbose=False)
        _ = self.learn.stepper
        self.views = self.model.views()
        for name, view in self.views.items():
            table = getattr(module, name)
            shared = torch.from_numpy(view)
            if table.weight.shape != shared.shape:
                raise ConfigError(
                    f"{name} has {len(table.weight):,} rows; the data have {len(shared):,} "
                    f"(make the model with len(dls.classes[...]))"
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
            and job.opt_func is Adam
            and job.dls.device.type == "cpu"
            and untouched(module)
            and kernel_job(job.loss_func, module.y_range) == (c.loss, c.y_range)
            and all(same(name) for name in TABLES)
        )

    def flush(self) -> None:
        self.model.flush()

    def loss(self, part: Interactions) -> float:
        return self.learn.validate(self.rows.of(part))

    def predict(self, part: Interactions) -> Array:
        return self.model.predict(part.users + 1, part.items + 1)  # an id that is not known is row 0

    def model_of_ids(self) -> Model:
        state = self.model.state()
        users, items = (np.ascontiguousarray(state[f"{side}_table"][1:]).copy() for side in ("user", "item"))
        return DotBias.from_state(self.model.config, state | {"user_table": users, "item_table": items})


class ModuleCore:
    """Trains any module by autograd."""

    def __init__(self, job: Job) -> None:
        self.module = job.module
        self.asked = (job.loss_func, job.opt_func, job.dls, job.dls.device)
        self.state = [(name, p, p.requires_grad) for name, p in self.module.named_parameters()]
        dls = job.dls
        config = TorchModuleConfig(loss=kernel_loss(job.loss_func) or "own", offset=1, batch_size=dls.train.bs)
        self.model = TorchModule(
            config, self.module, loss=job.loss_func, optimizer=optimizer(job.opt_func), device=dls.device
        )
        self.learn = train.Learner(dls.split, self.model, seed=job.seed, bs=dls.train.bs, verbose=False)
        _ = self.learn.stepper

    def fits(self, job: Job) -> bool:
        now = list(job.module.named_parameters())
        asked = (job.loss_func, job.opt_func, job.dls, job.dls.device)
        return (
            job.module is self.module
            and all(mine is theirs or mine == theirs for mine, theirs in zip(self.asked, asked))
            and len(now) == len(self.state)
            and all(
                name == was and p is before and p.requires_grad == learns
                for (name, p), (was, before, learns) in zip(now, self.state)
            )
        )

    def flush(self) -> None:
        pass

    def loss(self, part: Interactions) -> float:
        return self.learn.validate(part)

    def predict(self, part: Interactions) -> Array:
        x = torch_run.pairs(part.users, part.items, 1, self.asked[3])  # an id that is not known is row 0
        return to_array(self.model._activated(torch_run.forward_blocks(self.module, x, BLOCK)).float())

    def model_of_ids(self) -> Model:
        return as_neural(self.module, self.model, self.asked[0]) or self.model


def as_neural(module: nn.Module, model: TorchModule, loss: Any) -> Neural | None:
    """The registered model ``neural`` with the weights of an ``EmbeddingNN``, which a bundle can hold whole; None where
    the module is another, or was changed."""
    name = kernel_loss(loss)
    if type(module) is not EmbeddingNN or "forward" in vars(module) or hooked(module) or name is None:
        return None
    s, tables = module.settings, [m for m in module.embeds if type(m) is Embedding]
    if len(tables) != 2 or len(module.embeds) != 2 or not s["usual"] or len(set(s["drops"])) > 1:
        return None
    config = NeuralConfig(
        layers=s["layers"],
        user_factors=tables[0].embedding_dim,
        item_factors=tables[1].embedding_dim,
        y_range=_range(s["y_range"]),
        dropout=s["drops"][0] if s["drops"] else 0.0,
        embed_dropout=s["embed_p"],
        batch_norm=s["use_bn"],
        loss=name,
        batch_size=max(model.config.batch_size, 2),
    )
    state = model.state() | {"y_range": np.array(config.y_range or (), np.float64)}
    state["shape"] = state["shape"] - 1
    for side in (0, 1):  # row 0 is #na#
        state[f"module.embeds.{side}.weight"] = state[f"module.embeds.{side}.weight"][1:].copy()
    return Neural.from_state(config, state)


def hooked(module: nn.Module) -> bool:
    """Whether it, or a part of it, has a hook."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(m, h, None) for m in module.modules() for h in hooks)


def optimizer(opt_func: Any) -> Any:
    """What the core calls to make an optimizer: ``Adam`` or a partial of it, or one of ``torch.optim``."""
    inner = opt_func.func if isinstance(opt_func, functools.partial) else opt_func
    if isinstance(opt_func, Adam):
        return opt_func
    if inner is Adam:
        known = {k: v for k, v in getattr(opt_func, "keywords", {}).items() if k not in ("mom", "wd")}
        return Adam(**known)
    if isinstance(inner, type) and issubclass(inner, torch.optim.Optimizer):
        return lambda module: TorchOptimizer(module, opt_func)
    raise ConfigError(
        f"opt_func={opt_func!r}; give Adam, partial(Adam, ...), or a class of torch.optim, or a partial of one"
    )


def _range(y_range: Any) -> tuple[float, float] | None:
    return None if y_range is None else (float(y_range[0]), float(y_range[1]))


class _Numbers:
    """The same rows with users and items numbered from 1."""

    def __init__(self, base: Interactions) -> None:
        self.users = IdMap(pl.Series(values=range(base.n_users + 1)), "user")
        self.items = IdMap(pl.Series(values=range(base.n_items + 1)), "item")

    def of(self, part: Interactions) -> Interactions:
        return part.replace(
            users=part.users + np.int32(1),
            items=part.items + np.int32(1),
            user_ids=self.users,
            item_ids=self.items,
            item_table=None,
            user_table=None,
            user_features=None,
            item_features=None,
        )
