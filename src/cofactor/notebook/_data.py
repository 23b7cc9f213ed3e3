"""``CollabDataLoaders``: a table of ratings, cut in two, in batches of tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from cofactor._validate import check_int, check_number
from cofactor.data import splits
from cofactor.data.ids import IdMap
from cofactor.data.interactions import Interactions, Split
from cofactor.data.read import read
from cofactor.errors import ConfigError, DataError, did_you_mean
from cofactor.models.torch.module import device_of
from cofactor.notebook._basics import L, Path, a_seed, default_device

Array = NDArray[Any]

NA = "#na#"
"""Class 0: an id that the data do not have."""


class _Codes(dict[Any, int]):
    """Class -> number; a class that is not there is a KeyError with a suggestion."""

    def __missing__(self, key: Any) -> int:
        raise KeyError(f"{key!r} is not among the classes.{did_you_mean(key, list(self)[:100_000])}")


class CategoryMap(Sequence[Any]):
    """The classes of a column in ascending order, ``#na#`` at 0. ``o2i`` gives the number of a class."""

    def __init__(self, ids: IdMap) -> None:
        self.ids = ids
        self.items = L([NA, *ids.values.to_list()])
        self.o2i = _Codes({c: i for i, c in enumerate(self.items)})

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: Any) -> Any:
        return self.items[at]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __contains__(self, value: object) -> bool:
        return value in self.o2i

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, (CategoryMap, list, tuple)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self.items[:10]))[:-1] + (", ...]" if len(self) > 10 else "]")

    def map_objs(self, objs: Any) -> L:
        """The numbers of classes."""
        return L([self.o2i[o] for o in objs])

    def map_ids(self, ids: Any) -> L:
        """The classes with these numbers."""
        return self.items[list(ids)] if len(ids) else L()


class Ratings(Sequence[Any]):
    """Some rows of a table: element ``i`` is ``(x, y)``, the numbers of user and item, and the rating."""

    def __init__(self, part: Interactions, frame: pd.DataFrame) -> None:
        self.part = part
        self.items = frame
        """The rows as they came."""

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, at: Any) -> Any:
        x = np.stack([self.part.users[at], self.part.items[at]], -1).astype(np.int64) + 1
        return torch.from_numpy(x), torch.as_tensor(np.array(self.part.values[at], np.float32)).unsqueeze(-1)


class TfmdDL:
    """Batches ``(x, y)``: x int64 (bs, 2), numbers of user and item; y float32 (bs, 1).

    A shuffled one visits each row once an epoch, in a new order each time, and leaves the last incomplete batch out.
    """

    def __init__(self, dls: CollabDataLoaders, dataset: Ratings, bs: int, shuffle: bool, drop_last: bool) -> None:
        self.dataset = dataset
        self.bs = min(bs, max(len(dataset), 1))
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.device = dls.device
        self._dls = dls

    @property
    def n(self) -> int:
        return len(self.dataset)

    @property
    def items(self) -> pd.DataFrame:
        return self.dataset.items

    @property
    def classes(self) -> dict[str, CategoryMap]:
        return self._dls.classes

    def __len__(self) -> int:
        return self.n // self.bs if self.drop_last else -(-self.n // self.bs)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        x, y = self.dataset[:]
        x, y = x.to(self.device), y.to(self.device)
        if self.shuffle:
            order = torch.randperm(self.n).to(self.device)
            x, y = x[order], y[order]
        for i in range(len(self)):
            yield x[i * self.bs : (i + 1) * self.bs], y[i * self.bs : (i + 1) * self.bs]

    def one_batch(self) -> tuple[Tensor, Tensor]:
        """One batch (of a shuffled loader, another each time)."""
        if not len(self):
            raise DataError("there is no row to make a batch of")
        return next(iter(self))

    def show_batch(self, max_n: int = 10) -> None:
        """Show a few rows."""
        n = min(check_int("max_n", max_n), self.n)
        at = torch.randperm(self.n)[:n].numpy() if self.shuffle else np.arange(n)
        names = [self._dls.user_name, self._dls.item_name, self._dls.rating_name]
        show(self.items.iloc[at][[c for c in names if c in self.items]].reset_index(drop=True))


class CollabDataLoaders:
    """``train`` and ``valid`` loaders of a table of ratings. Make it by :meth:`from_df` or :meth:`from_csv`."""

    def __init__(
        self,
        split: Split,
        frames: tuple[pd.DataFrame, pd.DataFrame],
        *,
        bs: int = 64,
        val_bs: int | None = None,
        shuffle: bool = True,
        path: Any = ".",
        device: Any = None,
    ) -> None:
        bs, val_bs = check_int("the batch size", bs), None if val_bs is None else check_int("the batch size", val_bs)
        self.split = split
        self.path = Path(path)
        self.device = _device(device) if device is not None else default_device()
        columns = split.train.columns
        self.user_name, self.item_name = columns.user, columns.item
        self.rating_name = columns.rating or "rating"
        self.classes = {
            self.user_name: CategoryMap(split.train.user_ids),
            self.item_name: CategoryMap(split.train.item_ids),
        }
        self.train = TfmdDL(self, Ratings(split.train, frames[0]), bs, shuffle, drop_last=shuffle)
        self.valid = TfmdDL(self, Ratings(split.valid, frames[1]), val_bs or bs, shuffle=False, drop_last=False)

    @classmethod
    def from_df(
        cls,
        ratings: Any,
        valid_pct: float = 0.2,
        user_name: str | None = None,
        item_name: str | None = None,
        rating_name: str | None = None,
        seed: int | None = None,
        path: Any = ".",
        **kwargs: Any,
    ) -> Self:
        """From a frame (pandas, polars, Arrow); columns 0, 1 and 2 unless named. A share ``valid_pct`` of the rows,
        drawn by ``seed`` (else by torch's generator), is for validation. All rows are kept, also repeated pairs.

        More: ``bs=64``, ``val_bs``, ``shuffle=True``, ``device``.
        """
        frame = ratings if isinstance(ratings, pd.DataFrame) else _pandas(ratings)
        names = [_column(frame, given, i) for i, given in enumerate((user_name, item_name, rating_name))]
        user, item, rating = names
        if len(set(names)) < 3 or not frame.columns[frame.columns.isin(names)].is_unique:
            raise DataError(f"user, item and rating must be three columns, each there once, not {names}")
        if not 0 < check_number("valid_pct", valid_pct or 0) < 1:
            raise ConfigError(f"valid_pct is {valid_pct}; it is a share of the rows, between 0 and 1 (such as 0.2)")
        plain = {c: frame[c].cat.categories.dtype for c in names if isinstance(frame[c].dtype, pd.CategoricalDtype)}
        if plain and not frame[list(plain)].isna().any(axis=None):
            frame = frame.astype(plain)  # classes keep their type: 1 stays a number
        data = read(frame[names], user, item, rating, False, duplicates="all", name="ratings")
        split = splits.random(
            data.replace(times=np.arange(len(data))), valid_pct, a_seed(seed)
        )  # times: rows of the frame
        frames = frame.iloc[split.train.times], frame.iloc[split.valid.times]
        split = dataclasses.replace(split, train=split.train.replace(times=None), valid=split.valid.replace(times=None))
        return cls(split, frames, path=path, **kwargs)

    @classmethod
    def from_csv(cls, csv: Any, **kwargs: Any) -> Self:
        """From a CSV file; see :meth:`from_df`. ``sep``, ``delimiter``, ``header``, ``names``, ``usecols``, ``dtype``
        and ``encoding`` go to ``pd.read_csv``."""
        reading = ("sep", "delimiter", "header", "names", "usecols", "dtype", "encoding")
        options = {k: kwargs.pop(k) for k in reading if k in kwargs}
        return cls.from_df(pd.read_csv(csv, **options), **kwargs)

    @property
    def train_ds(self) -> Ratings:
        return self.train.dataset

    @property
    def valid_ds(self) -> Ratings:
        return self.valid.dataset

    @property
    def loaders(self) -> L:
        return L(self.train, self.valid)

    @property
    def bs(self) -> int:
        return self.train.bs

    @property
    def n(self) -> int:
        return self.train.n

    @property
    def cat_names(self) -> L:
        return L(self.user_name, self.item_name)

    @property
    def y_names(self) -> L:
        return L(self.rating_name)

    def __getitem__(self, at: int) -> TfmdDL:
        found: TfmdDL = self.loaders[at]
        return found

    def __len__(self) -> int:
        return 2

    def one_batch(self) -> tuple[Tensor, Tensor]:
        """One training batch."""
        return self.train.one_batch()

    def show_batch(self, max_n: int = 10) -> None:
        """Show a few training rows."""
        self.train.show_batch(max_n)

    def test_dl(self, test_items: Any, bs: int | None = None, **ignored: Any) -> TfmdDL:
        """A loader of other rows (ratings are optional); ids that are not known get class 0."""
        frame = test_items if isinstance(test_items, pd.DataFrame) else _pandas(test_items)
        for name in (self.user_name, self.item_name):
            if name not in frame:
                raise DataError(f"no column {name!r}; there are: {', '.join(map(str, frame.columns))}")
        base, n = self.split.train, len(frame)
        values = np.full(n, np.nan, np.float32)
        if self.rating_name in frame:
            try:
                values = frame[self.rating_name].to_numpy(np.float32, copy=True)
            except (TypeError, ValueError) as exc:
                raise DataError(f"the ratings in column {self.rating_name!r} are not all numbers ({exc})") from exc
        for name, ids in ((self.user_name, base.user_ids), (self.item_name, base.item_ids)):
            if n and (ids.values.dtype == pl.String) != (_series(frame[name]).dtype == pl.String):
                given, known = ("numbers", "text") if ids.values.dtype == pl.String else ("text", "no text")
                raise DataError(f"the ids in column {name!r} are {given}, in training they were {known}; convert them")
        part = base.replace(
            users=base.user_ids.encode(_series(frame[self.user_name])),
            items=base.item_ids.encode(_series(frame[self.item_name])),
            values=values,
            times=None,
        )
        return TfmdDL(self, Ratings(part, frame), bs or self.valid.bs, shuffle=False, drop_last=False)

    def to(self, device: Any) -> Self:
        """Batches on another device from now on."""
        self.device = self.train.device = self.valid.device = _device(device)
        return self

    def cpu(self) -> Self:
        return self.to("cpu")

    def cuda(self) -> Self:
        return self.to("cuda")


def show(frame: pd.DataFrame) -> None:
    """Show a table: nicely in a notebook, as text elsewhere."""
    try:
        from IPython import get_ipython  # type: ignore[import-not-found]
        from IPython.display import display  # type: ignore[import-not-found]
    except ImportError:
        print(frame.to_string())
        return
    display(frame) if get_ipython() is not None else print(frame.to_string())


def _device(device: Any) -> torch.device:
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


def _series(column: pd.Series[Any]) -> Any:
    return pl.Series(values=column.to_list())


def _pandas(table: Any) -> pd.DataFrame:
    if isinstance(table, pl.DataFrame):  # column by column: polars' own way needs pyarrow
        return pd.DataFrame({column.name: column.to_list() for column in table})
    if hasattr(table, "to_pandas") and len(getattr(table, "shape", (0, 0))) == 2:
        return table.to_pandas()
    if isinstance(table, (dict, list)):
        try:
            return pd.DataFrame(table)
        except (TypeError, ValueError) as exc:
            raise DataError(f"no table can be made of this {type(table).__name__} ({exc})") from None
    raise DataError(f"a table is needed (pandas, polars, Arrow), not a {type(table).__name__}")
