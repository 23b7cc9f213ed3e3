"""How a module is trained: the dot-bias kernel on shared memory, whole epochs of autograd, or batch by batch with
callbacks.

All three stand behind one ``cofactor.train.Learner``, which has the loop over epochs. Numbers of users and items count
from 1 here, 0 being ``#na#``.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor import train
from cofactor.data.ids import IdMap
from cofactor.data.interactions import Columns, Interactions
from cofactor.errors import ConfigError, DataError
from cofactor.model import Hyper, Kind, State, Stepper
from cofactor.models.dot_bias.model import LOSSES, DotBias, DotBiasConfig
from cofactor.models.neural.fused import Fused, hooked
from cofactor.models.torch import stepper as torch_run
from cofactor.models.torch.layers import (
    BCELossFlat,
    BCEWithLogitsLossFlat,
    EmbeddingDotBias,
    FlatLoss,
    HuberLossFlat,
    L1LossFlat,
    MSELossFlat,
)
from cofactor.models.torch.optim import Adam as AdamRule
from cofactor.notebook._layers import EmbeddingNN, TabularModel
from cofactor.notebook._loaders import DataLoaders, TabDataLoader
from cofactor.notebook._losses import BaseLoss
from cofactor.notebook._optimizer import Adam, Driven, Optimizer
from cofactor.notebook._tabular import TabularPandas

Array = NDArray[Any]
BLOCK = 65_536
"""Rows of one forward pass outside training."""
TABLES = ("u_weight", "i_weight", "u_bias", "i_bias")
ELEMENTWISE = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCELoss, nn.BCEWithLogitsLoss)
ELEMENTWISE_FUNCTIONS = (
    *(F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy),
    F.binary_cross_entropy_with_logits,
)


class Job(NamedTuple):
    """What is trained, on what, and how."""

    module: nn.Module
    dls: Any
    loss_func: Callable[..., Any]
    opt_func: Any
    opt: Optimizer
    seed: int
    wd_bn_bias: bool


class Core(Protocol):
    """A core Learner over one way to train, and what the notebook asks of it."""

    learn: train.Learner
    kind: str

    def fits(self, job: Job) -> bool:
        """Whether training by it is still what the job asks for."""
        ...

    def flush(self) -> None:
        """Bring the module's weights up to date."""
        ...

    def outputs(self, x: tuple[Tensor, ...]) -> Tensor | None:
        """The module's outputs for rows, where there is a faster way than to call it."""
        ...

    def forget(self) -> None:
        """Begin with a fresh optimizer at the next step."""
        ...


class Run(Protocol):
    """What batches with callbacks need of the notebook's Learner."""

    def train_batches(self, hyper: Hyper) -> Array: ...


# ---- losses


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
        return name, bounds(y_range)
    if type(loss) not in (BCELossFlat, BCEWithLogitsLossFlat) or loss.func.reduction != "mean":
        return None
    if loss.func.weight is not None or getattr(loss.func, "pos_weight", None) is not None:
        return None
    wanted = None if type(loss) is BCEWithLogitsLossFlat else (0.0, 1.0)
    return ("bce", (0.0, 1.0)) if bounds(y_range) == wanted else None


def bounds(y_range: Any) -> tuple[float, float] | None:
    return None if y_range is None else (float(y_range[0]), float(y_range[1]))


def is_flat(loss: Any) -> bool:
    """Whether a loss compares number by number, so that it is given flat floats: (64, 1) against (64,) would
    broadcast."""
    if isinstance(loss, BaseLoss):
        return False  # it flattens itself
    inner = loss.func if isinstance(loss, (FlatLoss, functools.partial)) else loss
    return isinstance(inner, ELEMENTWISE) or any(inner is f for f in ELEMENTWISE_FUNCTIONS)


def outputs_of(module: nn.Module, x: Any) -> Any:
    """The module's outputs; ConfigError where it has fewer rows than the data have classes."""
    try:
        return module(*x)
    except IndexError as exc:
        raise ConfigError(
            f"{type(module).__name__} has too few rows for the data ({exc}): "
            "make it with len(dls.classes[...]) rows for each column"
        ) from exc


def checked_shapes(loss: Any, pred: Any, targ: Any) -> None:
    """Warn where a loss or metric of one's own compares (n,) with (n, 1), which broadcasts to (n, n)."""
    if not isinstance(pred, Tensor) or not isinstance(targ, Tensor) or pred.shape == targ.shape or len(pred) < 2:
        return
    if pred.numel() != targ.numel() or isinstance(loss, FlatLoss) or not getattr(loss, "__code__", None):
        return
    try:
        with torch.no_grad():
            flat = loss(pred.detach().reshape(-1), targ.reshape(-1))
            given = loss(pred.detach(), targ)
        differ = abs(float(flat) - float(given)) > 1e-4 * max(1.0, abs(float(flat)))
    except Exception:  # it wants just these shapes
        return
    if differ:
        shapes = f"predictions {tuple(pred.shape)} and targets {tuple(targ.shape)}"
        warnings.warn(
            f"{loss.__name__} gives {float(given):.4f} for {shapes}, and {float(flat):.4f} where both are "
            f"({len(pred)},): if it compares them row by row, write targ.squeeze()",
            UserWarning,
            stacklevel=2,
        )


def loss_of(loss: Any, pred: Any, *targ: Tensor) -> Tensor:
    """The loss of outputs and targets; flat floats where :func:`is_flat`."""
    if is_flat(loss) and isinstance(pred, Tensor) and len(targ) == 1:
        y = targ[0].reshape(-1)
        flat = pred.reshape(-1)
        if len(flat) != len(y):
            raise ConfigError(
                f"the module gave the shape {tuple(pred.shape)} for {len(targ[0])} rows, and the loss "
                f"compares number by "
                "number; it must give one prediction a row: (n,) or (n, 1)"
            )
        found: Tensor = loss(flat, y.to(flat.dtype))
        return found
    found = loss(pred, *targ)
    return found


# ---- tables


def is_collab(dls: Any) -> bool:
    """Whether the loaders are of a table of user, item and one number, as it is: what the kernels take."""
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
    """A table's rows with users and items by their numbers, which count from 1."""
    x, y = to.tensors()[0].numpy(), to.tensors()[-1]
    sizes = [len(classes[n]) for n in to.cat_names]
    maps = [IdMap(pl.Series(values=range(size)), kind) for size, kind in zip(sizes, ("user", "item"))]
    users, items = (np.ascontiguousarray(x[:, i].astype(np.int32)) for i in (0, 1))
    return Interactions(users, items, np.ascontiguousarray(y[:, 0].float().numpy()), None, maps[0], maps[1])


def with_ids(to: TabularPandas, classes: Any) -> Interactions:
    """A table's rows with ids, without those that are ``#na#``."""
    user, item, rating = (*to.cat_names, to.y_names[0])
    x, y = to.tensors()[0].numpy(), to.tensors()[-1]
    keep = (x > 0).all(1)
    maps = [IdMap(pl.Series(values=list(classes[n].items[1:])), kind) for n, kind in ((user, "user"), (item, "item"))]
    users, items = (np.ascontiguousarray((x[keep, i] - 1).astype(np.int32)) for i in (0, 1))
    values = np.ascontiguousarray(y[:, 0].float().numpy()[keep])
    named = Columns(str(user), str(item), str(rating))
    return Interactions(users, items, values, None, maps[0], maps[1], columns=named, name="ratings")


class Rows:
    """So many rows for the core's loop, which does not look at them."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n


class _Config:
    """What the core's loop asks of a configuration."""

    y_range = None


class Stepped:
    """A stepper as a model of the core's loop."""

    name: ClassVar[str] = "module"
    task: ClassVar[str] = "rating"
    kind: ClassVar[Kind] = "batch"

    def __init__(self, make: Callable[[], Any]) -> None:
        self.config, self.make = _Config(), make

    def stepper(self, data: Any, rng: Any) -> Any:
        return self.make()


def core_learner(rows: int, make: Callable[[], Any], seed: int, bs: int) -> train.Learner:
    """The core's Learner over a stepper of one's own."""
    data: Any = Rows(rows)
    model: Any = Stepped(make)
    return train.Learner(data, model, seed=seed, bs=bs, verbose=False)


# ---- the kernel


def make(job: Job, by_batch: bool, run: Run) -> Core:
    """The fastest way that honours the job: the kernel for an ``EmbeddingDotBias`` as it was made, on a CPU, by
    Adam, with
    a loss it knows; whole epochs of autograd on a table; batch by batch where callbacks look, or for other loaders."""
    if by_batch or not plain_table(job.dls):
        return EventCore(job, run)
    if (found := kernel_of(job)) is not None:
        return KernelCore(job, *found)
    return ModuleCore(job)


def plain_table(dls: Any) -> bool:
    """Whether the training loader is a table's, shuffled, as it is."""
    dl = dls.train
    return (
        type(dl) is TabDataLoader
        and dl.plain
        and dl.shuffle
        and dl.drop_last
        and dl.bs is not None
        and len(dl.dataset) > 0
    )


def kernel_of(job: Job) -> tuple[str, tuple[float, float] | None] | None:
    """The kernel's loss and range for a job; None where it cannot be trained by it."""
    module: Any = job.module
    plain = job.opt_func is Adam or job.opt_func == AdamRule()
    if not plain or job.dls.device.type != "cpu" or not is_collab(job.dls) or not untouched(module):
        return None
    return kernel_job(job.loss_func, module.y_range)


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
        type(w) is nn.Parameter
        and w.requires_grad
        and w.dtype == torch.float32
        and w.device.type == "cpu"
        and not w._backward_hooks
        for w in weights
    )


class KernelCore:
    """Trains the tables of a ``DotBias`` model, whose memory the module's parameters are."""

    kind = "kernel"

    def __init__(self, job: Job, loss: str, y_range: tuple[float, float] | None) -> None:
        module: Any = job.module
        self.dls = job.dls
        self.items = job.dls.train_ds.items
        k, bs = module.u_weight.weight.shape[1], job.dls.train.bs
        self.model = DotBias(DotBiasConfig(n_factors=k, y_range=y_range, loss=loss, batch_size=bs))
        rows = coded(job.dls.train_ds, job.dls.classes)
        if y_range is not None and len(rows) and not (y_range[0] <= rows.range[0] and rows.range[1] <= y_range[1]):
            low, high = rows.range
            raise DataError(
                f"the ratings go from {low:g} to {high:g}, outside y_range {y_range}; a sigmoid can never "
                f"reach them, so widen y_range"
            )
        self.learn = train.Learner(rows, self.model, seed=job.seed, bs=bs, verbose=False)
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
            and job.dls.train_ds.items is self.items
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


# ---- autograd


class ModuleCore:
    """Trains any module by autograd, an epoch at a time."""

    kind = "module"

    def __init__(self, job: Job) -> None:
        self.job = job
        self.items = job.dls.train_ds.items
        self.state = [(name, p, p.requires_grad) for name, p in job.module.named_parameters()]
        dl = job.dls.train
        self.parts = dl.whole()
        self.learn = core_learner(
            len(dl.dataset), lambda: ModuleStepper(job, self.parts), job.seed, min(dl.bs, len(dl.dataset))
        )
        _ = self.learn.stepper

    def fits(self, job: Job) -> bool:
        return self.items is job.dls.train_ds.items and same_job(self.job, job, self.state)

    def flush(self) -> None:
        self.learn.stepper.flush()

    def outputs(self, x: tuple[Tensor, ...]) -> Tensor | None:
        return None

    def forget(self) -> None:
        self.flush()
        self.job.opt.clear_state()


def network_kernel(job: Job, parts: tuple[Tensor, ...]) -> Fused | None:
    """What trains a network over embeddings by the kernel; None where the job asks for anything else."""
    module: Any = job.module
    if type(module) not in (EmbeddingNN, TabularModel) or job.dls.n_inp != 1 or job.dls.device.type != "cpu":
        return None
    found = kernel_job(job.loss_func, module.settings["y_range"])
    if found is None or len(parts) != 2 or parts[1].numel() != len(parts[0]):
        return None
    codes = tuple(parts[0][:, i].numpy() for i in range(parts[0].shape[1]))
    limits = found[1] if found[0] == "bce" else None
    values = parts[1].reshape(-1).float().numpy()
    return Fused(module, codes, values, lambda: job.opt.only(), loss=LOSSES[found[0]], seed=job.seed, limits=limits)


def same_job(was: Job, now: Job, state: Any) -> bool:
    """Whether a run still trains what the job asks for."""
    there = list(now.module.named_parameters())
    return (
        now.module is was.module
        and now.dls is was.dls
        and now.opt is was.opt
        and now.loss_func is was.loss_func
        and now.dls.device == was.dls.device
        and (getattr(now.dls.train, "bs", None) == getattr(was.dls.train, "bs", None))
        and len(there) == len(state)
        and all(name == w and p is b and p.requires_grad == learns for (name, p), (w, b, learns) in zip(there, state))
    )


class ModuleStepper(Stepper):
    """Trains a module in place: the table lies on the device once; each run takes its rows by one ``index_select``."""

    def __init__(self, job: Job, parts: tuple[Tensor, ...]) -> None:
        self.job, self.device = job, job.dls.device
        self.interrupt_every = torch_run.CHUNK if self.device.type == "cpu" else 0
        self.n_inp = job.dls.n_inp
        self.flat, self.looked = is_flat(job.loss_func), False
        if len(parts) <= self.n_inp:
            raise DataError("the table has no targets to train on")
        *x, y = parts[: self.n_inp + 1]
        self.parts = (*x, y.reshape(len(y), -1)[:, 0].float() if self.flat else y)
        self.optimizer = Driven(job.opt)
        self.kernel = network_kernel(job, parts)
        with torch_run.own_rng(self.device):
            torch_run.seed_rng(job.seed, self.device)
            self.rng = torch_run.rng_state(self.device)

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        if rows is None or hyper is None:
            raise ConfigError("a PyTorch module trains batch by batch: give rows and hyper")
        n, bs = len(hyper.lr), hyper.batch_size
        if self.kernel is not None and self.kernel.begin(bs):
            self.job.opt.set_hypers(lr=float(hyper.lr[-1]), mom=float(hyper.momentum[-1]), wd=float(hyper.weight_decay))
            return self.kernel.train(rows, hyper)
        at = torch.from_numpy(np.ascontiguousarray(rows)).to(self.device)
        batches = list(zip(*(torch.split(part.index_select(0, at), bs) for part in self.parts)))
        module, loss_func, step = self.job.module, self.job.loss_func, self.optimizer.step
        lrs, moms, wd = hyper.lr.tolist(), hyper.momentum.tolist(), float(hyper.weight_decay)
        losses = []
        module.train()
        module.zero_grad(set_to_none=True)
        with torch_run.own_rng(self.device), torch_run.threads_for(module, bs, self.device, None), torch.enable_grad():
            torch_run.set_rng_state(self.rng, self.device)
            self.optimizer.begin()
            for i in range(n):
                *x, y = batches[i]
                out = module(*x) if i else outputs_of(module, x)
                loss = loss_func(torch_run.flat_output(out, bs), y) if self.flat else loss_func(out, y)
                if i == 0 and not self.flat and not self.looked:
                    self.looked = True
                    checked_shapes(loss_func, out, y)
                if loss.dim():
                    raise ConfigError(f"the loss gave {tuple(loss.shape)} numbers; it must give their mean, one number")
                loss.backward()
                losses.append(loss.detach())
                step(lrs[i], moms[i], wd)
            self.rng = torch_run.rng_state(self.device)
            found = torch.stack(losses).cpu().double().numpy()
        module.eval()
        return np.asarray(found)

    def flush(self) -> None:
        if self.kernel is not None:
            self.kernel.flush()

    def snapshot(self) -> State:
        self.flush()
        arrays = torch_run.module_state(self.job.module)
        arrays |= {f"optimizer.{k}": v for k, v in self.optimizer.state().items()}
        return arrays | {f"rng.{i}": r.numpy().copy() for i, r in enumerate(self.rng)}

    def restore(self, state: Mapping[str, Array]) -> None:
        self.flush()
        torch_run.load_module_state(self.job.module, state)
        self.optimizer.restore(
            {k.removeprefix("optimizer."): v for k, v in state.items() if k.startswith("optimizer.")}
        )
        self.rng = [torch.from_numpy(np.array(state[f"rng.{i}"])) for i in range(len(self.rng))]


# ---- batch by batch


class EventCore:
    """Trains batch by batch, with callbacks; any loader will do."""

    kind = "events"

    def __init__(self, job: Job, run: Run) -> None:
        self.job = job
        self.state = [(name, p, p.requires_grad) for name, p in job.module.named_parameters()]
        count = len(job.dls.train)
        if count == 0:
            raise DataError(
                "the training loader has no batch: there is no row, or there are fewer rows than bs and "
                "drop_last is set"
            )
        self.learn = core_learner(count, lambda: EventStepper(job, run), job.seed, 1)
        _ = self.learn.stepper

    def fits(self, job: Job) -> bool:
        return same_job(self.job, job, self.state) and len(job.dls.train) == len(self.learn.train)

    def flush(self) -> None: ...

    def outputs(self, x: tuple[Tensor, ...]) -> Tensor | None:
        return None

    def forget(self) -> None:
        self.job.opt.clear_state()


class EventStepper(Stepper):
    """One batch of the core's loop is one batch of the loader."""

    def __init__(self, job: Job, run: Run) -> None:
        self.job, self.callbacks = job, run
        self.iterator: Any = None

    def run_epoch(self, seed: Any, hyper: Hyper) -> Array:
        """An epoch, with callbacks."""
        return self.callbacks.train_batches(hyper)

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Some batches without callbacks: for the learning-rate finder."""
        if hyper is None:
            raise ConfigError("a PyTorch module trains batch by batch: give rows and hyper")
        losses = []
        module, opt = self.job.module, self.job.opt
        module.train()
        for lr, mom in zip(hyper.lr.tolist(), hyper.momentum.tolist()):
            xb, yb = split_batch(self._next(), self.job.dls)
            loss = loss_of(self.job.loss_func, module(*xb), *yb)
            loss.backward()  # type: ignore[no-untyped-call]
            opt.begin()
            opt.step_at(lr, mom, float(hyper.weight_decay))
            losses.append(float(loss.detach()))
        module.eval()
        return np.array(losses)

    def _next(self) -> Any:
        if self.iterator is None:
            self.iterator = iter(self.job.dls.train)
        try:
            return next(self.iterator)
        except StopIteration:
            self.iterator = iter(self.job.dls.train)
            return next(self.iterator)

    def snapshot(self) -> State:
        arrays = torch_run.module_state(self.job.module)
        return arrays | {f"optimizer.{k}": v for k, v in self.job.opt.state_arrays().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        torch_run.load_module_state(self.job.module, state)
        self.job.opt.take_arrays(
            {k.removeprefix("optimizer."): v for k, v in state.items() if k.startswith("optimizer.")}
        )


def split_batch(b: Any, dls: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The inputs and targets of a batch, on the loaders' device."""
    if not isinstance(b, (list, tuple)):
        b = (b,)
    ds = getattr(dls, "train_ds", None)
    n = dls.n_inp if isinstance(ds, TabularPandas) else (1 if len(b) == 1 else len(b) - 1)
    where = dls.device
    parts = tuple(o.to(where) if isinstance(o, Tensor) and o.device != where else o for o in b)
    return parts[:n], parts[n:]


# ---- predictions


class Predicted(NamedTuple):
    """Inputs, raw outputs and targets of all rows of a loader, in its rows' order."""

    inputs: tuple[Any, ...]
    outputs: Any
    targets: tuple[Any, ...]
    sizes: list[int]
    """Rows of each batch."""


@torch.no_grad()
def predictions(module: nn.Module, dl: Any, dls: Any, core: Core | None) -> Predicted:
    """The module's outputs in eval mode for all rows of a loader, a list of batches or a data set's loader."""
    was = module.training
    module.eval()
    try:
        if isinstance(dl, TabDataLoader) and not dl.hooks and isinstance(dl.dataset, TabularPandas):
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
    xs, outs, ys, sizes = [], [], [], []
    for b in dl:
        xb, yb = split_batch(b, dls)
        xs.append(xb)
        ys.append(yb)
        outs.append(outputs_of(module, xb))
        sizes.append(len(xb[0]))
    return Predicted(_joined(xs), _joined_one(outs), _joined(ys), sizes)


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
