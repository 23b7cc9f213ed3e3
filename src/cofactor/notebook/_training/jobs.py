"""The job of a training, and the core's Learner over a stepper of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor import train
from cofactor.model import Hyper, Kind
from cofactor.notebook._loaders.table_loader import TabDataLoader
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._modules.optimizer import Optimizer

Array = NDArray[Any]


class Job(NamedTuple):
    """The job: what is trained, on which data, and how."""

    module: nn.Module
    dls: Any
    loss_func: Callable[..., Any]
    opt_func: Any
    opt: Optimizer
    seed: int
    wd_bn_bias: bool


class Core(Protocol):
    """A core Learner for one way to train, with the methods that the notebook needs."""

    learn: train.Learner
    kind: str

    def fits(self, job: Job) -> bool:
        """Return whether it still meets the requirements of the job."""
        ...

    def flush(self) -> None:
        """Bring the module's weights up to date."""
        ...

    def outputs(self, x: tuple[Tensor, ...]) -> Tensor | None:
        """Return the module's outputs for rows, if there is a faster way than to call it; else None."""
        ...

    def forget(self) -> None:
        """Start with a fresh optimizer at the next step."""
        ...


class Run(Protocol):
    """The attributes of the notebook's Learner that batches with callbacks need."""

    def train_batches(self, hyper: Hyper) -> Array: ...


class Rows:
    """A number of rows for the core's loop, which does not read them. They have no weights."""

    weights = None

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    @property
    def in_memory(self) -> Rows:
        """Themselves."""
        return self


class _Config:
    """The configuration that the core's loop needs."""

    y_range = None


class Stepped:
    """Presents a stepper as a model to the core's loop."""

    name: ClassVar[str] = "module"
    task: ClassVar[str] = "rating"
    kind: ClassVar[Kind] = "batch"

    def __init__(self, make: Callable[[], Any]) -> None:
        self.config, self.make = _Config(), make

    def stepper(self, data: Any, rng: Any) -> Any:
        return self.make()


class Loop(train.Learner):
    """The core's loop, which goes on after a loss that is not a finite number: the table shows it."""

    def _refuse_divergence(self, loss: float, advice: str) -> None:
        """Leave it to the callbacks."""


def core_learner(rows: int, make: Callable[[], Any], seed: int, bs: int) -> train.Learner:
    """Return the core's Learner over a stepper of our own."""
    data: Any = Rows(rows)
    model: Any = Stepped(make)
    return Loop(data, model, seed=seed, bs=bs, verbose=False)


def same_job(was: Job, now: Job, state: Any) -> bool:
    """Return whether a run still trains what the job requires."""
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


def still(dls: Any, columns: list[Any]) -> bool:
    """Return whether the training loader is that of a table, and its columns are still these."""
    return isinstance(dls.train, TabDataLoader) and dls.train.still(columns)


def split_batch(b: Any, dls: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the inputs and targets of a batch, on the loaders' device."""
    if not isinstance(b, (list, tuple)):
        b = (b,)
    ds = getattr(dls, "train_ds", None)
    known = isinstance(ds, TabularPandas) or getattr(dls, "inputs", None) is not None
    n = dls.n_inp if known else (1 if len(b) == 1 else len(b) - 1)
    where = dls.device
    parts = tuple(o.to(where) if isinstance(o, Tensor) and o.device != where else o for o in b)
    return parts[:n], parts[n:]
