"""Tables with one example per row: ``TabularPandas`` and ``TabularCollab``."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cofactor.errors import ConfigError, DataError
from cofactor.notebook._errors import no_column
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import takes, takes_its_own
from cofactor.notebook._loaders.frames import as_pandas, df_shrink, show
from cofactor.notebook._loaders.procs import CategoryBlock, Pipeline, RegressionBlock

__all__ = [
    "Tabular",
    "TabularCollab",
    "TabularPandas",
]


class _Iloc:
    def __init__(self, to: Any) -> None:
        self.to = to

    def __getitem__(self, at: Any) -> Any:
        frame = self.to.items
        if isinstance(at, tuple):
            rows, cols = at
            cols = frame.columns.isin(cols) if isinstance(cols, (list, tuple)) else frame.columns.get_loc(cols)
            return self.to.new(frame.iloc[rows, cols])
        return self.to.new(frame.iloc[at])


@takes_its_own
class TabularPandas:
    """A frame that knows which columns are categories, numbers and targets, with its procs applied."""

    with_cont = True

    def __init__(
        self,
        df: Any,
        procs: Any = None,
        cat_names: Any = None,
        cont_names: Any = None,
        y_names: Any = None,
        y_block: Any = None,
        splits: Any = None,
        do_setup: bool = True,
        device: Any = None,
        inplace: bool = False,
        reduce_memory: bool = True,
    ) -> None:
        if do_setup:
            df = as_pandas(df)
            names = [*L(cat_names), *L(cont_names), *L(y_names)]
            if missing := [n for n in names if n not in df]:
                raise no_column(missing[0], df.columns)
            df = df.copy()
            if reduce_memory:
                floats = [n for n in L(cat_names) if pd.api.types.is_float_dtype(df[n].dtype)]  # ids stay exact
                df = df_shrink(df, skip=floats, only=names)
        if splits is not None:
            parts = [[int(i) for i in part] for part in splits]
            if beyond := [i for part in parts for i in part if not -len(df) <= i < len(df)]:
                raise ConfigError(f"splits contain row {beyond[0]}; the table has {len(df)} rows, counted from 0")
            df = df.iloc[[i for part in parts for i in part]]
            self.split: int | None = len(parts[0])
        else:
            self.split = len(df) if do_setup else None
        self.items = df
        self.y_names, self.device = L(y_names), device
        if y_block is None and self.y_names and do_setup:
            numeric = len(df[list(self.y_names)].select_dtypes(include="number").columns) == len(self.y_names)
            y_block = RegressionBlock() if numeric else CategoryBlock()
        procs = L(procs.fs if isinstance(procs, Pipeline) else procs)
        if y_block is not None and do_setup:
            y_block = y_block() if callable(y_block) else y_block
            procs = procs + y_block.type_tfms
        self.cat_names, self.cont_names = L(cat_names), L(cont_names)
        self.procs = Pipeline(procs)
        if do_setup:
            self.setup()

    # ---- parts

    def new(self, df: Any, inplace: bool = False) -> Any:
        """Return another table with the same columns and procs, without applying them."""
        found = copy.copy(self)
        found.items = df if inplace or isinstance(df, pd.Series) else df.copy()
        found.split = None
        return found

    def subset(self, i: int) -> Any:
        """Return the training rows (0) or those for validation (1)."""
        cut = len(self.items) if self.split is None else self.split
        return self.new(self.items.iloc[:cut] if i == 0 else self.items.iloc[cut:])

    @property
    def train(self) -> Any:
        return self.subset(0)

    @property
    def valid(self) -> Any:
        return self.subset(1)

    @property
    def n_subsets(self) -> int:
        return 2

    def new_empty(self) -> Any:
        return self.new(self.items.iloc[:0])

    def copy(self) -> Any:
        return self.new(self.items)

    def setup(self) -> None:
        self.procs.setup(self)

    def process(self) -> None:
        """Apply the procs in place."""
        self.procs(self)

    def decode(self) -> Any:
        """Undo the procs in place."""
        return self.procs.decode(self)

    def decode_row(self, row: Any) -> Any:
        """Return a row with its procs undone."""
        return self.new(pd.DataFrame([dict(row)])).decode().items.iloc[0]

    @takes("ctxs", "ctx")
    def show(self, max_n: int = 10) -> None:
        """Show a few rows in their original form."""
        show(self.new(self.all_cols.iloc[:max_n]).decode().items)

    def transform(self, cols: Any, f: Any, all_col: bool = True) -> None:
        """Apply a function to columns in place."""
        for c in cols:
            if all_col or c in self.items:
                self.items[c] = f(self.items[c])

    # ---- columns

    @property
    def x_names(self) -> L:
        return self.cat_names + self.cont_names

    @property
    def all_col_names(self) -> L:
        there = [n for n in self.y_names if n in self.items.columns]
        return self.x_names + self.y_names if len(there) == len(self.y_names) else self.x_names

    def _columns(self, names: Any) -> Any:
        return self.items[list(names)]

    @property
    def cats(self) -> Any:
        return self._columns(self.cat_names)

    @cats.setter
    def cats(self, value: Any) -> None:
        self.items[list(self.cat_names)] = value

    @property
    def conts(self) -> Any:
        return self._columns(self.cont_names)

    @conts.setter
    def conts(self, value: Any) -> None:
        self.items[list(self.cont_names)] = value

    @property
    def xs(self) -> Any:
        return self._columns(self.x_names)

    @xs.setter
    def xs(self, value: Any) -> None:
        self.items[list(self.x_names)] = value

    @property
    def ys(self) -> Any:
        return self._columns(self.y_names)

    @ys.setter
    def ys(self, value: Any) -> None:
        self.items[list(self.y_names)] = value

    @property
    def targ(self) -> Any:
        return self.ys

    @property
    def y(self) -> Any:
        return self.items[self.y_names[0]]

    @property
    def all_cols(self) -> Any:
        return self._columns(self.all_col_names)

    @property
    def iloc(self) -> _Iloc:
        return _Iloc(self)

    @property
    def loc(self) -> Any:
        return self.items.loc

    def to_device(self, d: Any = None) -> Any:
        self.device = d
        return self

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: Any) -> Any:
        return self.items[list(at) if isinstance(at, L) else at]

    def __setitem__(self, at: Any, value: Any) -> None:
        self.items[at] = value

    def __repr__(self) -> str:
        return repr(self.items)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("procs", "items", "cat_names", "cont_names", "y_names"):
            raise AttributeError(name)
        return getattr(self.procs, name)

    @property
    def loss_func(self) -> Any:
        return self.procs.loss_func

    # ---- tensors

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the table as tensors: categories int64 (n, c), numbers float32 (n, k) unless it has none by design,
        and the targets (n, t) in their own type if there are any."""
        found = [
            torch.from_numpy(self.cats.to_numpy(dtype=np.int64, copy=True).reshape(len(self), len(self.cat_names)))
        ]
        if self.with_cont:
            found.append(
                torch.from_numpy(
                    self.conts.to_numpy(dtype=np.float32, copy=True).reshape(len(self), len(self.cont_names))
                )
            )
        if len(self.y_names) and all(n in self.items.columns for n in self.y_names):
            values = self.ys.to_numpy(copy=True)
            if values.dtype == object:
                try:
                    values = values.astype(np.float32)
                except (TypeError, ValueError):
                    raise DataError(f"the targets in {', '.join(map(str, self.y_names))} are not all numbers") from None
            if values.dtype in (np.uint16, np.uint32, np.uint64):
                values = values.astype(np.int64)
            y = torch.from_numpy(values)
            found.append(y.float() if y.dtype == torch.float64 else y)
        return tuple(found)


class TabularCollab(TabularPandas):
    """A :class:`TabularPandas` for collaborative filtering: no continuous columns."""

    with_cont = False


Tabular = TabularPandas
