"""Loaders of a table, and of items that go through functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cofactor._validate import check_int
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import takes
from cofactor.notebook._loaders.data_loader import PIPES, DataLoader
from cofactor.notebook._loaders.frames import show as show_frame
from cofactor.notebook._loaders.transforms import step
from cofactor.notebook._tensors import a_draw, to_np

__all__ = [
    "TabDataLoader",
    "TabWeightedDL",
    "TfmdDL",
]


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


OF_BATCHES = (
    *("sample", "create_item", "do_item", "chunkify", "create_batch", "retain", "do_batch", "create_batches"),
)
"""Pieces of a loader without which batches are slices of the whole table."""
PIECES = (*("__iter__", "__len__", "get_idxs", "shuffle_fn", "randomize", "before_iter", "after_iter", *OF_BATCHES),)
"""Pieces of a loader that a subclass may override."""


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
        return not self.own_batches and self.wgts is None and self._n is None

    @property
    def own_batches(self) -> bool:
        """Whether a keyword or a subclass changes the batches, or how they are made."""
        kind = type(self)
        return self.hooked(*self.hooks) or any(getattr(kind, m) is not getattr(TabDataLoader, m) for m in PIECES)

    def do_item(self, i: Any) -> Any:
        """Return the row's number: rows become tensors a batch at a time."""
        return i

    def create_batch(self, part: Any) -> Any:
        """Return the rows of a batch, as a table."""
        return self.hooks["create_batch"](part) if self.hooked("create_batch") else self.dataset.iloc[list(part)]

    def _done(self, b: Any) -> Any:
        if hasattr(b, "tensors"):
            b = tuple(b.tensors())
        return super()._done(b)

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
        kind = type(self)
        if self.hooked("create_batch", "before_batch") or any(
            getattr(kind, m) is not getattr(TabDataLoader, m) for m in OF_BATCHES
        ):
            yield from super().__iter__()
            return
        self.randomize()
        self.before_iter()
        parts = self.whole()
        ordered = self.shuffle or self.hooked("get_idxs") or kind.get_idxs is not TabDataLoader.get_idxs
        order = torch.as_tensor(self.get_idxs(), dtype=torch.long) if ordered or self._n is not None else None
        if order is not None:
            parts = tuple(t[order.to(t.device)] for t in parts)
        n = len(parts[0])
        bs = n if self.bs is None else min(self.bs, max(n, 1))
        count = n // bs if self.drop_last else -(-n // bs) if n else 0
        for i in range(count):
            yield self._hook("after_batch", tuple(t[i * bs : (i + 1) * bs] for t in parts))
        self.after_iter()

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
