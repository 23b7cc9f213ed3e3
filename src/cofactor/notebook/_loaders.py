"""Loaders: batches of tensors of a table or of any data set; and two of them, for training and validation."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import default_collate

from cofactor._validate import check_int, check_number
from cofactor.errors import ConfigError, DataError, did_you_mean
from cofactor.models.torch.module import device_of
from cofactor.notebook._frames import as_pandas, show
from cofactor.notebook._html import loaders_html
from cofactor.notebook._keywords import refuse, takes, takes_its_own
from cofactor.notebook._lists import L
from cofactor.notebook._procs import Categorify, TransformBlock
from cofactor.notebook._splitters import IndexSplitter, RandomSplitter
from cofactor.notebook._tabular import TabularCollab, TabularPandas
from cofactor.notebook._tensors import default_device, to_device, to_np

__all__ = [
    "CollabDataLoaders",
    "DataLoader",
    "DataLoaders",
    "TabDataLoader",
    "TabWeightedDL",
    "TabularDataLoaders",
    "TfmdDL",
]

HARMLESS = {
    *("num_workers", "pin_memory", "timeout", "persistent_workers", "pin_memory_device", "verbose", "do_setup"),
    *("prefetch_factor", "multiprocessing_context", "non_blocking"),
}
"""Options of loading in other processes: the data lie in memory, so there is nothing for them to do."""
LOADER = ("bs", "val_bs", "shuffle", "drop_last", "device", "num_workers", "pin_memory", "n", "wgts")
"""Options of a loader that change what it gives, or that everybody writes."""
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


class DataLoader:
    """Batches of a data set: anything with ``__getitem__`` and a length, or that one can loop over.

    ``num_workers``, ``pin_memory`` and their like are accepted and change nothing.
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
        self.hooks = {k: kwargs.pop(k) for k in HOOKS if kwargs.get(k) is not None}
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
        """The order of rows for one pass."""
        if "get_idxs" in self.hooks:
            return (
                list(self.hooks["get_idxs"](self))
                if _takes_self(self.hooks["get_idxs"])
                else list(self.hooks["get_idxs"]())
            )
        order = list(range(self.n))
        return torch.randperm(self.n).tolist() if self.shuffle else order

    def __iter__(self) -> Iterator[Any]:
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
        if "create_item" in self.hooks:
            return self.hooks["create_item"](i)
        return self.dataset[i]

    def _batch(self, part: list[Any]) -> Any:
        part = self._hook("before_batch", part)
        if "create_batch" in self.hooks:
            return self.hooks["create_batch"](part)
        found = default_collate(part)
        return tuple(found) if isinstance(found, list) else found

    def _done(self, b: Any) -> Any:
        where = self.device
        return self._hook("after_batch", b if where is None else to_device(b, where))

    def _hook(self, name: str, x: Any = None) -> Any:
        hook = self.hooks.get(name)
        if hook is None:
            return x
        for f in L(hook):
            found = f(x) if name not in ("before_iter", "after_iter") else f()
            x = x if found is None else found
        return x

    def one_batch(self) -> Any:
        """One batch (of a shuffled loader, another each time)."""
        for b in self:
            return b
        raise DataError(
            "this loader has no batch: there is no row, or there are fewer rows than bs and drop_last is set"
        )

    def new(self, dataset: Any = None, cls: Any = None, **kwargs: Any) -> Any:
        """Another loader with the same options but those given."""
        old = {"bs": self.bs, "shuffle": self.shuffle, "drop_last": self.drop_last, "device": self.device} | self.hooks
        old |= {"num_workers": self.num_workers, "pin_memory": self.pin_memory}
        if dataset is None and self._n is not None:
            old["n"] = self._n
        return (cls or type(self))(self.dataset if dataset is None else dataset, **(old | kwargs))

    def to(self, device: Any) -> Self:
        self.device = checked_device(device)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("dataset", "hooks", "_n"):
            raise AttributeError(name)
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


class TabDataLoader(DataLoader):
    """Batches of a :class:`TabularPandas`: x int64 (bs, columns), continuous columns where it has them, y (bs,
    targets).

    A shuffled one visits each row once an epoch, in a new order each time; with ``wgts`` it draws rows by weight, with
    replacement.
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
    def plain(self) -> bool:
        """Whether an epoch is every row once (shuffled or not), as it is."""
        return not self.hooks and self.wgts is None and self._n is None

    def whole(self) -> tuple[Tensor, ...]:
        """All rows as tensors, on the device; made once."""
        items = self.dataset.items
        if self._made is None or self._made[0] is not items:
            self._made = items, self.dataset.tensors()
        found = self._made[1]
        return tuple(t.to(self.device) for t in found) if self.device is not None else tuple(found)

    def get_idxs(self) -> list[int]:
        if self.wgts is not None and self.shuffle:
            return torch.multinomial(torch.from_numpy(self.wgts), self.n, replacement=True).tolist()
        return super().get_idxs()

    def __iter__(self) -> Iterator[Any]:
        if any(h in self.hooks for h in ("create_item", "create_batch", "after_item", "before_batch")):
            yield from super().__iter__()
            return
        self._hook("before_iter")
        parts = self.whole()
        order = torch.as_tensor(self.get_idxs(), dtype=torch.long) if self.shuffle or "get_idxs" in self.hooks else None
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
        """The table of a batch, its procs undone."""
        parts = [np.asarray(o).reshape(len(o), -1) for o in to_np(tuple(b)) if o is not None and o.size]
        values = np.concatenate(parts, axis=1)
        names = (
            self.dataset.all_col_names if values.shape[1] == len(self.dataset.all_col_names) else self.dataset.x_names
        )
        return self.dataset.new(pd.DataFrame(values, columns=list(names)[: values.shape[1]])).decode()

    def decode_batch(self, b: Any, max_n: int = 10, full: bool = True) -> Any:
        """The same of its first rows."""
        return self.decode(tuple(o[:max_n] for o in b))

    @takes("ctxs")
    def show_batch(self, b: Any = None, max_n: int = 10, show: bool = True, unique: bool = False) -> Any:
        """Show a few rows as they came, or one of them several times (``unique``); with ``show=False`` return them as a
        frame."""
        n = check_int("max_n", max_n)
        if b is None:
            at = np.arange(min(n, len(self.dataset)))
            if self.shuffle and len(self.dataset):
                at = torch.randperm(len(self.dataset))[:n].numpy()
            if unique and len(at):
                at = np.full(n, at[0])
            frame = self.dataset.new(self.dataset.all_cols.iloc[at]).decode().items
        else:
            frame = self.decode_batch(b, n).items
        frame = tidy(frame.reset_index(drop=True), self.dataset)
        return show_frame(frame) if show else frame

    @takes("ctxs")
    def show_results(self, b: Any, out: Any, max_n: int = 9, show: bool = True) -> Any:
        """Show a few rows with predictions beside them; with ``show=False`` return them as a frame."""
        frame = tidy(self.decode_batch(b, max_n).items, self.dataset)
        guess = np.asarray(to_np(torch.as_tensor(out))).reshape(len(out), -1)[: len(frame)]
        for i, name in enumerate(self.dataset.y_names):
            frame[f"{name}_pred"] = guess[:, min(i, guess.shape[1] - 1)]
        return show_frame(frame) if show else frame


show_frame = show


def tidy(frame: pd.DataFrame, to: Any) -> pd.DataFrame:
    """Whole numbers that became floats on their way through a batch, whole again."""
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


TfmdDL = TabWeightedDL = TabDataLoader


@takes_its_own
class DataLoaders:
    """Two loaders, for training and for validation. What they do not have themselves, the training loader may."""

    _default = "train"
    inputs: int | None = None
    """As :attr:`n_inp` was set."""

    def __init__(self, *loaders: Any, path: Any = ".", device: Any = None) -> None:
        self.loaders = list(loaders)
        self.path = Path(path)
        self._device: Any = None
        if device is not None:
            self.device = device

    @classmethod
    def from_dsets(
        cls,
        *ds: Any,
        path: Any = ".",
        bs: int = 64,
        device: Any = None,
        dl_type: Any = None,
        val_bs: Any = None,
        **kwargs: Any,
    ) -> Self:
        """From data sets: the first is for training, shuffled."""
        shuffle, drop_last = kwargs.pop("shuffle", True), kwargs.pop("drop_last", None)
        made = []
        for i, d in enumerate(ds):
            kind = dl_type or (TabDataLoader if isinstance(d, TabularPandas) else DataLoader)
            mixed = shuffle if i == 0 else False
            made.append(
                kind(
                    d,
                    bs=bs if i == 0 else val_bs or bs,
                    shuffle=mixed,
                    drop_last=mixed if drop_last is None and i == 0 else bool(drop_last) and i == 0,
                    **kwargs,
                )
            )
        return cls(*made, path=path, device=device or default_device())

    @classmethod
    def from_dblock(cls, dblock: Any, source: Any, path: Any = ".", bs: int = 64, **kwargs: Any) -> Any:
        """What a :class:`DataBlock` makes of a source."""
        return dblock.dataloaders(source, path=path, bs=bs, **kwargs)

    def __getitem__(self, at: int) -> Any:
        return self.loaders[at]

    def __len__(self) -> int:
        return len(self.loaders)

    @property
    def train(self) -> Any:
        return self.loaders[0]

    @train.setter
    def train(self, dl: Any) -> None:
        self.loaders[0] = dl

    @property
    def valid(self) -> Any:
        if len(self.loaders) < 2:
            raise ConfigError("there is one loader; give a second one for validation: DataLoaders(train, valid)")
        return self.loaders[1]

    @valid.setter
    def valid(self, dl: Any) -> None:
        self.loaders[1] = dl

    @property
    def train_ds(self) -> Any:
        return self.train.dataset

    @property
    def valid_ds(self) -> Any:
        return self.valid.dataset

    @property
    def device(self) -> Any:
        return (
            self._device if self._device is not None else getattr(self.loaders[0], "device", None) or default_device()
        )

    @device.setter
    def device(self, device: Any) -> None:
        self._device = checked_device(device)
        for dl in self.loaders:
            if isinstance(dl, DataLoader):
                dl.device = self._device

    def to(self, device: Any) -> Self:
        """Batches on another device from now on."""
        self.device = device
        return self

    def cpu(self) -> Self:
        return self.to("cpu")

    def cuda(self) -> Self:
        return self.to("cuda")

    @property
    def bs(self) -> int:
        return int(getattr(self.train, "bs", None) or getattr(self.train, "batch_size", None) or 1)

    @property
    def n_inp(self) -> int:
        """How many parts of a batch are inputs; may be set for data sets of one's own."""
        ds = self.train_ds
        own = 1 + bool(ds.with_cont) if isinstance(ds, TabularPandas) else 1
        return own if self.inputs is None else self.inputs

    @n_inp.setter
    def n_inp(self, value: int) -> None:
        self.inputs = check_int("n_inp", value)

    def one_batch(self) -> Any:
        """One training batch."""
        return self.train.one_batch() if hasattr(self.train, "one_batch") else next(iter(self.train))

    @takes("ctxs")
    def show_batch(self, b: Any = None, max_n: int = 10, show: bool = True, unique: bool = False) -> Any:
        """Show a few training rows; see :meth:`TabDataLoader.show_batch`."""
        if isinstance(b, int):
            b, max_n = None, b
        if not hasattr(self.train, "show_batch"):
            x = self.one_batch() if b is None else b
            return show_frame(
                pd.DataFrame(
                    np.concatenate([np.asarray(o[:max_n]).reshape(min(max_n, len(o)), -1) for o in to_np(tuple(x))], 1)
                )
            )
        return self.train.show_batch(b, max_n=max_n, show=show, unique=unique)

    def test_dl(
        self,
        test_items: Any,
        rm_type_tfms: Any = None,
        with_labels: bool = False,
        process: bool = True,
        inplace: bool = False,
        **kwargs: Any,
    ) -> Any:
        """A loader of other rows (targets are optional); ids that are not known get class 0."""
        own = ("test_items", "rm_type_tfms", "with_labels", "process", "inplace")
        refuse("test_dl", kwargs, (*own, *LOADER), OPTIONS)
        ds = self.valid_ds if len(self.loaders) > 1 else self.train_ds
        base = self.valid if len(self.loaders) > 1 else self.train
        if not isinstance(ds, TabularPandas):
            return base.new(test_items, shuffle=False, **kwargs)
        if isinstance(test_items, (list, tuple)) and len(test_items) and isinstance(test_items[0], pd.Series):
            test_items = pd.DataFrame([dict(r) for r in test_items])
        frame = as_pandas(test_items)
        for name in [*ds.cat_names, *ds.cont_names]:
            if name not in frame and not str(name).endswith("_na"):
                shown = [str(c) for c in frame.columns]
                raise DataError(f"no column {name!r}; there are: {', '.join(shown)}.{did_you_mean(str(name), shown)}")
        to = ds.new(frame)
        for y in to.y_names:
            if y in to.items and to.items[y].isna().all():
                to.items = to.items.drop(columns=[y])
            elif y in to.items and to.items[y].dtype == object and y in to.items:
                try:
                    to.items[y] = pd.to_numeric(to.items[y]) if not hasattr(ds.procs, "vocab") else to.items[y]
                except (TypeError, ValueError) as exc:
                    raise DataError(f"the ratings in column {y!r} are not all numbers ({exc})") from None
        if process:
            to.process()
        return base.new(to, **({"shuffle": False, "drop_last": False} | kwargs))

    def new_empty(self) -> Self:
        """The same without rows."""
        found = copy.copy(self)
        found.loaders = [
            dl.new(dl.dataset.new_empty()) if isinstance(dl.dataset, TabularPandas) else dl for dl in self.loaders
        ]
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("loaders", "path", "_device"):
            raise AttributeError(name)
        if not self.loaders:
            raise AttributeError(name)
        try:
            return getattr(self.loaders[0], name)
        except AttributeError:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}") from None

    # ---- what a table of ratings has

    @property
    def classes(self) -> Any:
        ds = self.__dict__.get("_classes")
        return ds if ds is not None else self.__getattr__("classes")

    @classes.setter
    def classes(self, value: Any) -> None:
        self.__dict__["_classes"] = value

    @property
    def user_name(self) -> Any:
        return self.train_ds.cat_names[0]

    @property
    def item_name(self) -> Any:
        return self.train_ds.cat_names[1]

    @property
    def rating_name(self) -> Any:
        return self.train_ds.y_names[0]

    def _repr_html_(self) -> str:
        return loaders_html(self)


class TabularDataLoaders(DataLoaders):
    """Loaders of a table."""

    @classmethod
    def from_df(
        cls,
        df: Any,
        path: Any = ".",
        procs: Any = None,
        cat_names: Any = None,
        cont_names: Any = None,
        y_names: Any = None,
        y_block: Any = None,
        valid_idx: Any = None,
        splits: Any = None,
        seed: int | None = None,
        valid_pct: float = 0.2,
        **kwargs: Any,
    ) -> DataLoaders:
        """From a frame: a random fifth of the rows, or ``valid_idx``, is for validation."""
        frame = as_pandas(df)
        if cat_names is None:
            cat_names = []
        if cont_names is None:
            cont_names = [c for c in frame.columns if c not in {*L(cat_names), *L(y_names)}]
        if splits is None:
            cut = RandomSplitter(valid_pct, seed) if valid_idx is None else IndexSplitter(valid_idx)
            splits = cut(range(len(frame)))
        to = TabularPandas(frame, procs, cat_names, cont_names, y_names, splits=splits, y_block=y_block)
        return dataloaders(to, path=path, **kwargs)

    @classmethod
    def from_csv(cls, csv: Any, skipinitialspace: bool = True, **kwargs: Any) -> DataLoaders:
        """From a CSV file; see :meth:`from_df`."""
        return cls.from_df(pd.read_csv(csv, skipinitialspace=skipinitialspace), **kwargs)


def dataloaders(
    self: TabularPandas,
    bs: int = 64,
    shuffle_train: Any = None,
    shuffle: bool = True,
    val_shuffle: bool = False,
    n: Any = None,
    path: Any = ".",
    dl_type: Any = None,
    dl_kwargs: Any = None,
    device: Any = None,
    drop_last: Any = None,
    val_bs: Any = None,
    **kwargs: Any,
) -> DataLoaders:
    """Loaders of a table's two parts. ``shuffle`` and ``drop_last`` are the training loader's; ``val_bs`` and
    ``val_shuffle`` the other's; one loader's own options go in ``dl_kwargs=[{...}, {...}]``."""
    shuffle = shuffle if shuffle_train is None else shuffle_train
    own = [dict(k) for k in dl_kwargs] if dl_kwargs else [{}, {}]
    kind = dl_type or TabDataLoader
    wgts = kwargs.pop("wgts", None)
    first: dict[str, Any] = (
        {"bs": bs, "shuffle": shuffle, "drop_last": shuffle if drop_last is None else drop_last, "n": n, "wgts": wgts}
        | kwargs
        | own[0]
    )
    second: dict[str, Any] = (
        {"bs": val_bs or bs, "shuffle": val_shuffle, "drop_last": False} | kwargs | (own[1] if len(own) > 1 else {})
    )
    where = checked_device(device) if device is not None else default_device()
    return TabularDataLoaders(kind(self.train, **first), kind(self.valid, **second), path=path, device=where)


OPTIONS = (*HARMLESS, *HOOKS, "shuffle_train", "val_shuffle", "dl_type", "dl_kwargs", "batch_size", "indexed")
"""Further options of loaders."""
TabularPandas.dataloaders = dataloaders  # type: ignore[attr-defined]


@takes_its_own
class CollabDataLoaders(TabularDataLoaders):
    """``train`` and ``valid`` loaders of a table of ratings. Make it by :meth:`from_df` or :meth:`from_csv`."""

    @classmethod
    def from_df(  # type: ignore[override]
        cls,
        ratings: Any,
        valid_pct: float = 0.2,
        user_name: Any = None,
        item_name: Any = None,
        rating_name: Any = None,
        seed: int | None = None,
        path: Any = ".",
        splits: Any = None,
        **kwargs: Any,
    ) -> CollabDataLoaders:
        """From a frame (pandas, polars, Arrow); columns 0, 1 and 2 unless named. A share ``valid_pct`` of the rows,
        drawn by ``seed`` (else by torch's generator), is for validation; or the rows of ``splits`` (train, valid). All
        rows are kept, also repeated pairs.

        More: ``bs=64``, ``val_bs``, ``shuffle=True``, ``drop_last``, ``device``.
        """
        own = ("valid_pct", "user_name", "item_name", "rating_name", "seed", "path", "splits")
        refuse("from_df", kwargs, (*own, *LOADER), OPTIONS)
        frame = as_pandas(ratings)
        names = [_column(frame, given, i) for i, given in enumerate((user_name, item_name, rating_name))]
        if len(set(names)) < 3 or not frame.columns[frame.columns.isin(names)].is_unique:
            raise DataError(f"user, item and rating must be three columns, each there once, not {names}")
        for name in names[:2]:
            _check_ids(frame[name])
        if frame[names[2]].isna().any():
            row = int(frame[names[2]].isna().to_numpy().argmax())
            raise DataError(
                f"the rating in row {row + 1} of column {names[2]!r} is missing; fill it in or drop the row"
            )
        if frame[names[2]].dtype == object or isinstance(frame[names[2]].dtype, (pd.StringDtype, pd.CategoricalDtype)):
            try:
                frame = frame.assign(**{names[2]: pd.to_numeric(frame[names[2]].astype(object))})
            except (TypeError, ValueError) as exc:
                raise DataError(f"the ratings in column {names[2]!r} are not all numbers ({exc})") from None
        if splits is None:
            if not 0 <= check_number("valid_pct", valid_pct or 0) < 1:
                raise ConfigError(
                    f"valid_pct is {valid_pct}; it is a share of the rows, from 0 to below 1 (such as 0.2)"
                )
            splits = RandomSplitter(valid_pct=valid_pct or 0.0, seed=seed)(range(len(frame)))
        to = TabularCollab(frame, [Categorify], names[:2], y_names=[names[2]], y_block=TransformBlock(), splits=splits)
        made = dataloaders(to, path=path, **kwargs)
        return cls(*made.loaders, path=path, device=made.device)

    @classmethod
    def from_csv(cls, csv: Any, **kwargs: Any) -> CollabDataLoaders:  # type: ignore[override]
        """From a CSV file; see :meth:`from_df`. ``sep``, ``delimiter``, ``header``, ``names``, ``usecols``, ``dtype``
        and ``encoding`` go to ``pd.read_csv``."""
        reading = ("sep", "delimiter", "header", "names", "usecols", "dtype", "encoding")
        own = ("valid_pct", "user_name", "item_name", "rating_name", "seed", "path", "splits")
        refuse("from_csv", kwargs, (*own, *LOADER, *reading), OPTIONS)
        options = {k: kwargs.pop(k) for k in reading if k in kwargs}
        return cls.from_df(pd.read_csv(csv, **options), **kwargs)


def checked_device(device: Any) -> torch.device:
    """The device that was asked for; ConfigError where it is not here."""
    if isinstance(device, int) and not isinstance(device, bool):
        device = f"cuda:{device}"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise ConfigError(f"device is {device!r}; give 'cpu' or 'cuda', or leave it out") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA GPU that PyTorch can use here; leave device out, or take 'cpu'")
    return device_of(found)


def _column(frame: pd.DataFrame, given: Any, position: int) -> Any:
    if given is None:
        if position >= frame.shape[1]:
            raise DataError(f"the table has {frame.shape[1]} columns; user, item and rating make three")
        return frame.columns[position]
    if given not in frame:
        names = [str(c) for c in frame.columns]
        raise DataError(f"no column {given!r}; there are: {', '.join(names)}.{did_you_mean(given, names)}")
    return given


def _check_ids(column: pd.Series[Any]) -> None:
    """DataError for ids that cannot be classes: lists, or text among numbers."""
    if column.dtype != object:
        return
    kinds = {
        str if isinstance(v, str) else float if isinstance(v, (int, float, np.number)) else type(v)
        for v in column.dropna()
    }
    if len(kinds) > 1:
        raise DataError(
            f"the ids in column {column.name!r} mix {' and '.join(sorted(k.__name__ for k in kinds))}; make "
            f"them one type"
        )
