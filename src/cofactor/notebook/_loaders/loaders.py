"""Loaders: batches of tensors of a table or of any data set, in pairs for training and for validation."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from cofactor._validate import check_int
from cofactor.errors import ConfigError, DataError
from cofactor.notebook._errors import no_column
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._html import loaders_html
from cofactor.notebook._keywords import refuse, takes, takes_its_own
from cofactor.notebook._loaders.data_loader import (
    HARMLESS,
    HOOKS,
    LOADER,
    DataLoader,
    checked_device,
)
from cofactor.notebook._loaders.frames import as_pandas
from cofactor.notebook._loaders.frames import show as show_frame
from cofactor.notebook._loaders.splitters import IndexSplitter, RandomSplitter
from cofactor.notebook._loaders.table_loader import TabDataLoader, TfmdDL
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._tensors import default_device, to_np

__all__ = [
    "DataLoaders",
    "TabularDataLoaders",
]


@takes_its_own
class DataLoaders:
    """Two loaders, for training and for validation. Missing attributes are looked up in the training loader."""

    _default = "train"
    inputs: int | None = None
    """The value set for :attr:`n_inp`."""

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
        """From data sets: the first is for training, shuffled and without an incomplete last batch."""
        first = {name: kwargs.pop(name, True) for name in ("shuffle", "drop_last")}
        made = []
        for i, d in enumerate(ds):
            options = {name: bool(value) and i == 0 for name, value in first.items()}
            made.append((dl_type or TfmdDL)(d, bs=bs if i == 0 else val_bs or bs, **options, **kwargs))
        return cls(*made, path=path, device=device or default_device())

    @classmethod
    def from_dblock(cls, dblock: Any, source: Any, path: Any = ".", bs: int = 64, **kwargs: Any) -> Any:
        """Return the loaders that a :class:`DataBlock` makes of a source."""
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
            raise ConfigError("there is only one loader; give a second one for validation: DataLoaders(train, valid)")
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
        """Move batches to another device from now on."""
        self.device = device
        return self

    def cpu(self) -> Self:
        return self.to("cpu")

    def cuda(self) -> Self:
        return self.to("cuda")

    def add_tfms(self, tfms: Any, event: str, loaders: Any = None) -> None:
        """Add transforms to ``after_item``, ``before_batch`` or ``after_batch`` of the loaders (by default all)."""
        for at in L(range(len(self.loaders)) if loaders is None else loaders):
            loader = getattr(self, at) if isinstance(at, str) else self.loaders[at]
            for f in L(tfms):
                getattr(loader, event).add(f)

    @property
    def n_inp(self) -> int:
        """The number of parts of a batch that are inputs. It can be set for your own data sets."""
        ds = self.train_ds
        own = 1 + bool(ds.with_cont) if isinstance(ds, TabularPandas) else 1
        return own if self.inputs is None else self.inputs

    @n_inp.setter
    def n_inp(self, value: int) -> None:
        self.inputs = check_int("n_inp", value)

    def one_batch(self) -> Any:
        """Return one training batch."""
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
        """Return a loader of other rows (targets are optional). Unknown ids get class 0."""
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
                raise no_column(name, frame.columns)
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
        """Return the same loaders without rows."""
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
        if name == "bs":
            return int(getattr(self.train, "bs", None) or getattr(self.train, "batch_size", None) or 1)
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
        ds = self.train_ds
        return loaders_html(self, ds.cat_names if isinstance(ds, TabularPandas) else ())


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
        """Create loaders from a frame. A random fifth of the rows, or ``valid_idx``, is for validation."""
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
        """Create loaders from a CSV file; see :meth:`from_df`."""
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
    """Return loaders of a table's two parts. ``shuffle`` and ``drop_last`` belong to the training loader; ``val_bs``
    and ``val_shuffle`` to the other; options of a single loader go into ``dl_kwargs=[{...}, {...}]``."""
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
