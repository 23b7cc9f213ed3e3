"""Names that notebooks use occasionally: ``doc``, progress bars, transforms, a few layers and callbacks."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import inspect
import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cofactor.models.torch.layers import Module
from cofactor.notebook._callbacks.events import Callback, CancelFitException, CancelValidException
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.testing import ExceptionExpected
from cofactor.notebook._loaders.data_loader import DataLoader
from cofactor.notebook._loaders.table_loader import TabDataLoader
from cofactor.notebook._training.schedules import SchedExp

__all__ = [
    "BatchNorm",
    "LRFinder",
    "MCDropoutCallback",
    "MergeLayer",
    "PartialDL",
    "ProdLayer",
    "SequentialEx",
    "TensorBase",
    "WeightedDL",
    "base_doc",
    "bn_types",
    "doc",
    "docstring",
    "dumps",
    "expect_fail",
    "flatmap",
    "get_c",
    "get_class",
    "get_first",
    "grad_module",
    "is_bool",
    "is_namedtuple",
    "isinstance_str",
    "load_pickle",
    "loads",
    "master_bar",
    "mkdir",
    "norm_types",
    "one_param",
    "progress_bar",
    "remove_prefix",
    "remove_suffix",
    "run",
    "run_sync",
    "save_pickle",
    "set_bn_eval",
    "show_doc",
    "test_fig_exists",
]


def doc(elt: Any) -> None:
    """Print the signature and docstring."""
    try:
        signature = str(inspect.signature(elt))
    except (TypeError, ValueError):
        signature = ""
    name = getattr(elt, "__qualname__", getattr(elt, "__name__", type(elt).__name__))
    print(f"{name}{signature}\n{inspect.getdoc(elt) or ''}")


base_doc = show_doc = doc


def docstring(sym: Any) -> str:
    """Return the docstring."""
    return inspect.getdoc(sym) or ""


def get_c(dls: Any) -> Any:
    """How many outputs the targets need; 0 where nothing says so."""
    found = getattr(dls, "c", None)
    if found:
        return found
    vocab = getattr(dls, "vocab", [])
    if len(vocab) and not isinstance(vocab[-1], str) and hasattr(vocab[-1], "__len__"):
        vocab = vocab[-1]
    return len(vocab)


def get_first(c: Any) -> Any:
    """Return the first element, also of a frame."""
    return c.iloc[0] if hasattr(c, "iloc") else c[0]


def isinstance_str(x: Any, cls_name: str) -> bool:
    """Return whether its class, or a base class, has this name."""
    return cls_name in [t.__name__ for t in type(x).__mro__]


def get_class(nm: str, *fld_names: str, sup: Any = None, doc: Any = None, **flds: Any) -> type:
    """Return a class with these attributes."""
    names = dict.fromkeys(fld_names) | flds

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, value in zip(names, args):
            setattr(self, name, value)
        for name, value in kwargs.items():
            setattr(self, name, value)

    made = type(nm, tuple(L(sup)) or (), dict(names) | {"__init__": init})
    made.__doc__ = doc
    return made


def flatmap(f: Callable[..., Any], *xs: Any) -> list[Any]:
    """Return the elements of ``f`` of every element."""
    return [o for part in map(f, *xs) for o in part]


def is_bool(x: Any) -> bool:
    return isinstance(x, bool) or type(x).__name__ == "bool_"


def is_namedtuple(x: Any) -> bool:
    return isinstance(x, tuple) and hasattr(x, "_fields")


def remove_prefix(text: str, prefix: str) -> str:
    return text.removeprefix(prefix)


def remove_suffix(text: str, suffix: str) -> str:
    return text.removesuffix(suffix)


def save_pickle(fn: Any, o: Any) -> None:
    """Write an object to a file, compressed if the name ends in ``.gz`` or ``.bz2``."""
    with _opened(fn, "wb") as file:
        pickle.dump(o, file)


def load_pickle(fn: Any) -> Any:
    """Read an object from a file of :func:`save_pickle`. This runs any code in the file, so use it only for your own
    files."""
    with _opened(fn, "rb") as file:
        return pickle.load(file)


def _opened(fn: Any, mode: str) -> Any:
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open}
    return openers.get(Path(fn).suffix, open)(fn, mode)


def dumps(obj: Any, **kw: Any) -> str:
    return json.dumps(obj, **kw)


def loads(s: str, **kw: Any) -> Any:
    return json.loads(s, **kw) if s else {}


def mkdir(path: Any, exist_ok: bool = False, parents: bool = False, overwrite: bool = False, **kwargs: Any) -> Path:
    """Create a folder. Returns its path."""
    found = Path(path)
    found.mkdir(exist_ok=exist_ok or overwrite, parents=parents, **kwargs)
    return found


def run(
    cmd: Any,
    *rest: str,
    same_in_win: bool = False,
    ignore_ex: bool = False,
    as_bytes: bool = False,
    stderr: bool = False,
) -> Any:
    """Run a command and return what it prints."""
    argv = [*(cmd.split() if isinstance(cmd, str) else cmd), *rest]
    found = subprocess.run(argv, capture_output=True, check=not ignore_ex, text=not as_bytes)
    return (found.returncode, found.stdout) if ignore_ex else found.stdout.strip()


def run_sync(x: Any) -> Any:
    """Return the result of a coroutine."""
    return asyncio.run(x)


def expect_fail(f: Any = None, **kwargs: Any) -> Any:
    return ExceptionExpected(**kwargs)


def test_fig_exists(ax: Any) -> None:
    """Check that there is a plot on these axes."""
    assert len(ax.figure.canvas.get_renderer().buffer_rgba())


test_fig_exists.__test__ = False  # type: ignore[attr-defined]


class progress_bar:
    """Loops over a collection, and shows the progress in a terminal."""

    def __init__(
        self,
        gen: Any,
        total: int | None = None,
        display: bool = True,
        leave: bool = True,
        parent: Any = None,
        master: Any = None,
        comment: str = "",
    ) -> None:
        self.gen, self.comment = gen, comment
        self.total = len(gen) if total is None and hasattr(gen, "__len__") else total
        self.display = display and sys.stderr is not None and sys.stderr.isatty()

    def __iter__(self) -> Iterator[Any]:
        for i, o in enumerate(self.gen):
            if self.display:
                print(f"\r{i} of {self.total or '?'} {self.comment}", end="", file=sys.stderr, flush=True)
            yield o
        if self.display:
            print("\r", end="", file=sys.stderr)

    def __len__(self) -> int:
        return self.total or 0

    def update(self, val: int) -> None: ...


class master_bar(progress_bar):
    """A :class:`progress_bar` with others inside it; ``write`` prints a line."""

    main_bar = child = property(lambda self: self)

    def write(self, line: Any, table: bool = False) -> None:
        print(line if isinstance(line, str) else "  ".join(map(str, line)))

    def update_graph(self, graphs: Any, x_bounds: Any = None, y_bounds: Any = None) -> None: ...


class MergeLayer(Module):
    """The input added to (or beside) what came before it in a :class:`SequentialEx`."""

    def __init__(self, dense: bool = False) -> None:
        self.dense = dense

    def forward(self, x: Any) -> Tensor:
        return torch.cat([x, x.orig], dim=1) if self.dense else x + x.orig


class SequentialEx(Module):
    """Layers one after the other; each sees the first input as ``x.orig``."""

    def __init__(self, *layers: nn.Module) -> None:
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        first = x
        for layer in self.layers:
            x.orig = first
            x = layer(x)
        return x


class ProdLayer(Module):
    """The input times the first input of a :class:`SequentialEx`."""

    def forward(self, x: Any) -> Any:
        return x * x.orig


class MCDropoutCallback(Callback):
    """Dropout stays on in validation."""

    def before_validate(self) -> None:
        for m in self.learn._module.modules():
            if isinstance(m, (nn.Dropout, nn.Dropout1d, nn.Dropout2d)):
                m.train()

    def after_validate(self) -> None:
        self.learn._module.eval()


class LRFinder(Callback):
    """Increases the rate step by step, then stops. ``learn.lr_find`` does so in a trial run."""

    order, run_valid = 60, False

    def __init__(self, start_lr: float = 1e-7, end_lr: float = 10.0, num_it: int = 100, stop_div: bool = True) -> None:
        self.schedule, self.num_it, self.stop_div = SchedExp(start_lr, end_lr), num_it, stop_div
        self.best_loss = math.inf

    def before_batch(self) -> None:
        self.learn.opt.set_hyper("lr", self.schedule(self.learn.train_iter / self.num_it))

    def after_batch(self) -> None:
        loss = float(self.learn.smooth_loss)
        self.best_loss = min(loss, self.best_loss)
        if (loss > 4 * self.best_loss and self.stop_div) or self.learn.train_iter >= self.num_it:
            raise CancelFitException

    def before_validate(self) -> None:
        raise CancelValidException


class WeightedDL(TabDataLoader):
    """Draws rows by weight."""


class PartialDL(DataLoader):
    """A loader of some of the rows."""

    def __init__(self, dataset: Any = None, bs: Any = None, partial_n: int | None = None, **kwargs: Any) -> None:
        super().__init__(dataset, bs=bs, **kwargs)
        self.partial_n = partial_n

    def get_idxs(self) -> list[int]:
        found = super().get_idxs()
        return found if self.partial_n is None else found[: self.partial_n]


norm_types = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LayerNorm,
)
bn_types = norm_types[:3]


def set_bn_eval(m: nn.Module, use_eval: bool = True) -> None:
    """Keep the statistics of normalisation layers that do not learn."""
    for part in m.modules():
        if isinstance(part, norm_types) and not any(p.requires_grad for p in part.parameters()):
            part.train(not use_eval)


def grad_module(m: nn.Module) -> bool:
    """Return whether any of its parameters learns."""
    return any(p.requires_grad for p in m.parameters())


def one_param(m: nn.Module) -> Any:
    """Return its first parameter."""
    return next(m.parameters(), None)


def BatchNorm(nf: int, ndim: int = 2, **kwargs: Any) -> nn.Module:
    """Batch normalisation as the library starts it."""
    made: nn.Module = getattr(nn, f"BatchNorm{ndim}d")(nf, **kwargs)
    nn.init.constant_(made.bias, 1e-3)  # type: ignore[arg-type]
    return made


TensorBase = Tensor
