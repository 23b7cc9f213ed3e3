"""``CollabDataLoaders``: loaders of a table of users, items and ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cofactor._validate import check_number
from cofactor.errors import ConfigError, DataError
from cofactor.notebook._errors import no_column
from cofactor.notebook._keywords import refuse, takes_its_own
from cofactor.notebook._loaders.data_loader import LOADER
from cofactor.notebook._loaders.frames import as_pandas
from cofactor.notebook._loaders.loaders import OPTIONS, TabularDataLoaders, dataloaders
from cofactor.notebook._loaders.procs import Categorify, TransformBlock
from cofactor.notebook._loaders.splitters import RandomSplitter
from cofactor.notebook._loaders.tabular import TabularCollab

__all__ = [
    "CollabDataLoaders",
]


@takes_its_own
class CollabDataLoaders(TabularDataLoaders):
    """``train`` and ``valid`` loaders of a table of ratings. Create it by :meth:`from_df` or :meth:`from_csv`."""

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
        """Create loaders from a frame (pandas, polars, Arrow); user, item and rating are columns 0, 1 and 2 unless
        named.

        A share ``valid_pct`` of the rows, drawn by ``seed`` (else by torch's generator), is for validation; or the rows
        of ``splits`` (train, valid). All rows are kept, including repeated pairs.

        More: ``bs=64``, ``val_bs``, ``shuffle=True``, ``drop_last``, ``device``.
        """
        own = ("valid_pct", "user_name", "item_name", "rating_name", "seed", "path", "splits")
        refuse("from_df", kwargs, (*own, *LOADER), OPTIONS)
        frame = as_pandas(ratings)
        names = [_column(frame, given, i) for i, given in enumerate((user_name, item_name, rating_name))]
        if len(set(names)) < 3 or not frame.columns[frame.columns.isin(names)].is_unique:
            raise DataError(f"user, item and rating must be three different columns, not {names}")
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
        values = frame[names[2]].to_numpy()
        if values.dtype.kind == "f" and np.isinf(values).any():
            row = int(np.isinf(values).argmax())
            raise DataError(f"the rating in row {row + 1} of column {names[2]!r} is infinite; drop or replace the row")
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
        """Create loaders from a CSV file; see :meth:`from_df`. ``sep``, ``delimiter``, ``header``, ``names``,
        ``usecols``, ``dtype`` and ``encoding`` go to ``pd.read_csv``."""
        reading = ("sep", "delimiter", "header", "names", "usecols", "dtype", "encoding")
        own = ("valid_pct", "user_name", "item_name", "rating_name", "seed", "path", "splits")
        refuse("from_csv", kwargs, (*own, *LOADER, *reading), OPTIONS)
        options = {k: kwargs.pop(k) for k in reading if k in kwargs}
        return cls.from_df(pd.read_csv(csv, **options), **kwargs)


def _column(frame: pd.DataFrame, given: Any, position: int) -> Any:
    if given is None:
        if position >= frame.shape[1]:
            raise DataError(f"the table has {frame.shape[1]} columns; user, item and rating need three")
        return frame.columns[position]
    if given not in frame:
        raise no_column(given, frame.columns)
    return given


def _check_ids(column: pd.Series[Any]) -> None:
    """Raise DataError for ids that cannot be classes: lists, or text among numbers."""
    if column.dtype != object:
        return
    kinds = {
        str if isinstance(v, str) else float if isinstance(v, (int, float, np.number)) else type(v)
        for v in column.dropna()
    }
    odd = next((v for v in column.dropna() if isinstance(v, (list, dict, set, np.ndarray))), None)
    if odd is not None:
        raise DataError(
            f"column {column.name!r} holds a {type(odd).__name__} ({odd!r}), not one id per row; use"
            f" frame.explode({column.name!r})"
        )
    if len(kinds) > 1:
        raise DataError(
            f"the ids in column {column.name!r} mix {' and '.join(sorted(k.__name__ for k in kinds))}; make "
            f"them one type"
        )
