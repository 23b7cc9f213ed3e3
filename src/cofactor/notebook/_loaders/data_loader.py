"""A loader of batches: of any data set, or of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import default_collate

from cofactor._validate import check_int
from cofactor.errors import ConfigError, DataError
from cofactor.models.torch.module import device_of
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import refuse, takes
from cofactor.notebook._loaders.frames import show as show_frame
from cofactor.notebook._loaders.procs import Pipeline
from cofactor.notebook._loaders.transforms import step
from cofactor.notebook._tensors import a_draw, to_device, to_np

__all__ = [
    "DataLoader",
    "TabDataLoader",
    "TabWeightedDL",
    "TfmdDL",
]


HARMLESS = {
    *("num_workers", "pin_memory", "timeout", "persistent_workers", "pin_memory_device", "verbose", "do_setup"),
    *("prefetch_factor", "multiprocessing_context", "non_blocking", "n_inp"),
}


"""Options of loading in other processes, which have no effect because the data are in memory; and ``n_inp``, which the
data set determines: all parts of a batch but the last are inputs."""


LOADER = ("bs", "val_bs", "shuffle", "drop_last", "device", "num_workers", "pin_memory", "n", "wgts")


"""Options of a loader that change its batches, or that are commonly written."""


HOOKS = (
    "before_iter",
    "after_iter",
    "after_item",
    "before_batch",
    "after_batch",
    "create_item",
    "create_batch",
    "get_idxs",
    "shuffle_fn",
    "wif",
)

PIPES = ("after_item", "before_batch", "after_batch")
"""Hooks that are attributes of a loader: lists of functions, which can be extended."""


class DataLoader:
    """Batches of a data set: anything that can be indexed and has a length, or that can be looped over.

    ``num_workers``, ``pin_memory`` and similar options are accepted and have no effect.
    """

    def __init__(
        self,
        dataset: Any = None,
        bs: Any = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        timeout: float = 0,
        batch_size: Any = None,
        shuffle: bool = False,
        drop_last: bool = False,
        indexed: bool | None = None,
        n: int | None = None,
        device: Any = None,
        **kwargs: Any,
    ) -> None:
        bs = batch_size if batch_size is not None else bs
        self.bs = None if bs is None else check_int("the batch size", bs)
        hooks = {k: kwargs.pop(k) for k in HOOKS if kwargs.get(k) is not None}
        self.hooks: dict[str, Any] = {}
        for name, f in hooks.items():
            self.hooks[name] = Pipeline(list(f)) if isinstance(f, Pipeline) else f
        refuse("a loader", kwargs, LOADER, (*HARMLESS, *HOOKS))
        self.dataset, self.shuffle, self.drop_last = dataset, bool(shuffle), bool(drop_last)
        self.num_workers, self.pin_memory, self.timeout = num_workers, pin_memory, timeout
        self.indexed = (
            (hasattr(dataset, "__getitem__") and not isinstance(dataset, torch.utils.data.IterableDataset))
            if indexed is None
            else indexed
        )
        self._n = n
        self.device = None if device is None else checked_device(device)
        self._seed: int | None = None

    @property
    def n(self) -> Any:
        if self._n is not None:
            return self._n
        try:
            return len(self.dataset)
        except TypeError:
            return None

    def __len__(self) -> int:
        if self.n is None:
            raise TypeError("this loader has no length")
        if self.bs is None:
            return int(self.n)
        bs = min(self.bs, max(self.n, 1))
        return int(self.n // bs if self.drop_last else -(-self.n // bs))

    def get_idxs(self) -> list[int]:
        """Return the order of rows for one pass."""
        if self.hooked("get_idxs"):
            return (
                list(self.hooks["get_idxs"](self))
                if _takes_self(self.hooks["get_idxs"])
                else list(self.hooks["get_idxs"]())
            )
        if not self.shuffle:
            return list(range(self.n))
        return torch.randperm(self.n, generator=self._generator()).tolist()

    def _generator(self) -> torch.Generator:
        """The generator of one pass: its seed is the one number that a pass through a loader of PyTorch draws from
        the common generator, so that what is drawn next is what the library would draw."""
        seed, self._seed = self._seed, None
        return torch.Generator().manual_seed(a_draw() if seed is None else seed)

    def __iter__(self) -> Iterator[Any]:
        self._seed = a_draw()
        self._hook("before_iter")
        if self.indexed:
            items = (self._hook("after_item", self.create_item(i)) for i in self.get_idxs())
        else:
            items = (self._hook("after_item", o) for o in self.dataset)
        if self.bs is None:
            for o in items:
                yield self._done(o)
        else:
            part: list[Any] = []
            for o in items:
                part.append(o)
                if len(part) == self.bs:
                    yield self._done(self._batch(part))
                    part = []
            if part and not self.drop_last:
                yield self._done(self._batch(part))
        self._hook("after_iter")

    def create_item(self, i: Any) -> Any:
        if self.hooked("create_item"):
            return self.hooks["create_item"](i)
        return self.dataset[i]

    def _batch(self, part: list[Any]) -> Any:
        part = self._hook("before_batch", part)
        if self.hooked("create_batch"):
            return self.hooks["create_batch"](part)
        found = default_collate(part)
        return tuple(found) if isinstance(found, list) else found

    def _done(self, b: Any) -> Any:
        where = self.device
        return self._hook("after_batch", b if where is None else to_device(b, where))

    def hooked(self, *names: str) -> bool:
        """Return whether one of these hooks does anything."""
        return any(len(L(self.hooks.get(name))) for name in names)

    def _hook(self, name: str, x: Any = None) -> Any:
        for f in L(self.hooks.get(name)):
            found = f(x) if name not in ("before_iter", "after_iter") else f()
            x = x if found is None else found
        return x

    def one_batch(self) -> Any:
        """Return one batch (for a shuffled loader, a new one each time)."""
        for b in self:
            return b
        raise DataError("this loader has no batches: there are no rows, or fewer rows than bs while drop_last is set")

    def new(self, dataset: Any = None, cls: Any = None, **kwargs: Any) -> Any:
        """Return another loader with the same options except the given ones."""
        old = {"bs": self.bs, "shuffle": self.shuffle, "drop_last": self.drop_last, "device": self.device} | self.hooks
        old |= {"num_workers": self.num_workers, "pin_memory": self.pin_memory}
        if dataset is None and self._n is not None:
            old["n"] = self._n
        return (cls or type(self))(self.dataset if dataset is None else dataset, **(old | kwargs))

    def to(self, device: Any) -> Self:
        self.device = checked_device(device)
        return self

    @property
    def n_inp(self) -> int:
        """The number of parts of a batch that are inputs."""
        own = getattr(self.dataset, "n_inp", None)
        return 1 if own is None else int(own)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("dataset", "hooks", "_n"):
            raise AttributeError(name)
        if name in PIPES:
            return self.hooks.setdefault(name, Pipeline(self.hooks.get(name)))
        try:
            return getattr(self.dataset, name)
        except AttributeError:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}") from None


def _takes_self(f: Any) -> bool:
    import inspect

    try:
        return len(inspect.signature(f).parameters) > 0
    except (TypeError, ValueError):
        return False


class TfmdDL(DataLoader):
    """Batches of a data set whose items go through functions; of a table, a :class:`TabDataLoader`."""

    def __new__(cls, dataset: Any = None, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(TabDataLoader if cls is TfmdDL and hasattr(dataset, "cat_names") else cls)

    def _hook(self, name: str, x: Any = None) -> Any:
        if name not in PIPES:
            return super()._hook(name, x)
        for f in L(self.hooks.get(name)):
            found = step(f, x, getattr(self.dataset, "split_idx", None))
            x = x if found is None else found
        return x


class TabDataLoader(TfmdDL):
    """Batches of a :class:`TabularPandas`: x int64 (bs, columns), continuous columns if there are any, y (bs, targets).

    A shuffled loader visits each row once per epoch, in a new order each time. With ``wgts`` it draws rows by weight,
    with replacement.
    """

    def __init__(
        self,
        dataset: Any,
        bs: Any = 16,
        shuffle: bool = False,
        after_batch: Any = None,
        num_workers: int = 0,
        wgts: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset, bs=bs, shuffle=shuffle, after_batch=after_batch, num_workers=num_workers, **kwargs)
        self.wgts = None if wgts is None else np.asarray(wgts, np.float64) / np.sum(wgts)
        self._made: tuple[Any, Any] | None = None

    @property
    def n_inp(self) -> int:
        return 1 + bool(self.dataset.with_cont)

    @property
    def plain(self) -> bool:
        """Whether an epoch is every row once (shuffled or not), unchanged."""
        return not self.hooked(*self.hooks) and self.wgts is None and self._n is None

    def columns(self) -> list[Any]:
        """Return the columns that batches are made of, in their present form."""
        items = self.dataset.items
        return [items[c] for c in self.dataset.all_col_names if c in items]

    def still(self, columns: list[Any]) -> bool:
        """Return whether :meth:`columns` are still these. The memory of a column is held for comparison: pandas does
        not change it in place while another holds it."""
        now = self.columns()
        return len(now) == len(columns) and all(map(_same_column, now, columns))

    def whole(self) -> tuple[Tensor, ...]:
        """Return all rows as tensors on the device. They are cached until the table changes."""
        if self._made is None or not self.still(self._made[0]):
            self._made = self.columns(), self.dataset.tensors()
        found = self._made[1]
        return tuple(t.to(self.device) for t in found) if self.device is not None else tuple(found)

    def get_idxs(self) -> list[int]:
        if self.wgts is not None and self.shuffle:
            drawn = self._generator()
            return torch.multinomial(torch.from_numpy(self.wgts), self.n, replacement=True, generator=drawn).tolist()
        return super().get_idxs()

    def __iter__(self) -> Iterator[Any]:
        if self.hooked("create_item", "create_batch", "after_item", "before_batch"):
            yield from super().__iter__()
            return
        self._seed = a_draw()
        self._hook("before_iter")
        parts = self.whole()
        order = torch.as_tensor(self.get_idxs(), dtype=torch.long) if self.shuffle or self.hooked("get_idxs") else None
        if order is not None:
            parts = tuple(t[order.to(t.device)] for t in parts)
        n = len(parts[0])
        bs = n if self.bs is None else min(self.bs, max(n, 1))
        count = n // bs if self.drop_last else -(-n // bs) if n else 0
        for i in range(count):
            yield self._hook("after_batch", tuple(t[i * bs : (i + 1) * bs] for t in parts))
        self._hook("after_iter")

    def new(self, dataset: Any = None, cls: Any = None, **kwargs: Any) -> Any:
        if dataset is None and self.wgts is not None:
            kwargs.setdefault("wgts", self.wgts)
        return super().new(dataset, cls, **kwargs)

    # ---- rows again

    def decode(self, b: Any) -> Any:
        """Return the table of a batch, with its procs undone."""
        parts = [np.asarray(o).reshape(len(o), -1) for o in to_np(tuple(b)) if o is not None and o.size]
        values = np.concatenate(parts, axis=1)
        names = (
            self.dataset.all_col_names if values.shape[1] == len(self.dataset.all_col_names) else self.dataset.x_names
        )
        return self.dataset.new(pd.DataFrame(values, columns=list(names)[: values.shape[1]])).decode()

    def decode_batch(self, b: Any, max_n: int = 10, full: bool = True) -> Any:
        """Return the same for its first rows."""
        return self.decode(tuple(o[:max_n] for o in b))

    @takes("ctxs")
    def show_batch(self, b: Any = None, max_n: int = 10, show: bool = True, unique: bool = False) -> Any:
        """Show a few rows in their original form, or one of them several times (``unique``); with ``show=False`` return
        them as a frame."""
        n = check_int("max_n", max_n)
        if b is None:
            at, drawn = np.arange(min(n, len(self.dataset))), torch.Generator().manual_seed(a_draw())
            if self.shuffle and len(self.dataset):
                at = torch.randperm(len(self.dataset), generator=drawn)[:n].numpy()
            if unique and len(at):
                at = np.full(n, at[0])
            frame = self.dataset.new(self.dataset.all_cols.iloc[at]).decode().items
        else:
            frame = self.decode_batch(b, n).items
        frame = tidy(frame.reset_index(drop=True), self.dataset)
        return show_frame(frame) if show else frame

    @takes("ctxs")
    def show_results(self, b: Any, out: Any, max_n: int = 9, show: bool = True) -> Any:
        """Show a few rows beside their predictions; with ``show=False`` return them as a frame."""
        frame = tidy(self.decode_batch(b, max_n).items, self.dataset)
        guess = np.asarray(to_np(torch.as_tensor(out))).reshape(len(out), -1)[: len(frame)]
        for i, name in enumerate(self.dataset.y_names):
            frame[f"{name}_pred"] = guess[:, min(i, guess.shape[1] - 1)]
        return show_frame(frame) if show else frame


def tidy(frame: pd.DataFrame, to: Any) -> pd.DataFrame:
    """Convert whole numbers that became floats in a batch back to whole numbers."""
    frame = frame.copy()
    for name in to.y_names:
        if (
            name in frame
            and len(to)
            and pd.api.types.is_integer_dtype(to.items[name].dtype)
            and frame[name].dtype.kind == "f"
        ):
            frame[name] = frame[name].astype(np.int64)
    return frame


def _same_column(a: Any, b: Any) -> bool:
    if a.dtype != b.dtype or len(a) != len(b):
        return False
    if not isinstance(a.dtype, np.dtype):
        return bool(a.equals(b))
    return bool(a.to_numpy().ctypes.data == b.to_numpy().ctypes.data)


TabWeightedDL = TabDataLoader


def checked_device(device: Any) -> torch.device:
    """Return the requested device. Raises ConfigError if it does not exist here."""
    if isinstance(device, int) and not isinstance(device, bool):
        device = f"cuda:{device}"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise ConfigError(f"device is {device!r}; give 'cpu' or 'cuda', or leave it out") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA GPU that PyTorch can use here; leave device out, or use 'cpu'")
    return device_of(found)
