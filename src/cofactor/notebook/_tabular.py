"""The part of the table layer that collaborative filtering uses: ``TabularPandas``, ``TabularCollab`` and their
procs."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cofactor.errors import DataError, did_you_mean
from cofactor.models.torch.layers import MSELossFlat
from cofactor.notebook._keywords import takes, takes_its_own
from cofactor.notebook._lists import L
from cofactor.notebook._losses import CrossEntropyLossFlat
from cofactor.notebook._texts import camel2snake

__all__ = [
    "AttrGetter",
    "Categorify",
    "Categorize",
    "CategoryBlock",
    "CategoryMap",
    "ColReader",
    "FillMissing",
    "FillStrategy",
    "InplaceTransform",
    "ItemGetter",
    "Normalize",
    "Pipeline",
    "RegressionBlock",
    "RegressionSetup",
    "Tabular",
    "TabularCollab",
    "TabularPandas",
    "TabularProc",
    "TransformBlock",
    "add_datepart",
    "cont_cat_split",
    "df_shrink",
    "df_shrink_dtypes",
    "display_df",
    "make_date",
]

NA = "#na#"
"""Class 0: an id that the training rows do not have."""


class _Codes(dict[Any, int]):
    """Class -> number; 0 for a class that is not there, with a warning."""

    def __missing__(self, key: Any) -> int:
        if isinstance(key, np.generic):
            return self[key.item()]
        hint = (
            did_you_mean(key, [k for k in list(self)[:100_000] if isinstance(k, str)]) if isinstance(key, str) else ""
        )
        warnings.warn(
            f"{key!r} is not among the classes, so it gets the number 0 ({NA}).{hint}", UserWarning, stacklevel=2
        )
        return 0


class _StrictCodes(dict[Any, int]):
    def __missing__(self, key: Any) -> int:
        raise KeyError(f"{key!r} is not among the classes.{did_you_mean(key, list(self)[:100_000])}")


class CategoryMap(Sequence[Any]):
    """The classes of a column: in ascending order, ``#na#`` at 0 where ``add_na``. ``o2i`` gives the number of a
    class."""

    def __init__(self, col: Any, sort: bool = True, add_na: bool = False, strict: bool = False) -> None:
        if isinstance(getattr(col, "dtype", None), pd.CategoricalDtype):
            values = col.cat.categories.tolist() if hasattr(col, "cat") else list(col.categories)
            if strict:
                there = set(col.unique())
                values = [v for v in values if v in there]
        else:
            values = [
                v
                for v in pd.unique(pd.Series(list(col)) if not hasattr(col, "unique") else col)
                if v == v and v is not None
            ]
            values = [v.item() if isinstance(v, np.generic) else v for v in values]
            if sort:
                try:
                    values = sorted(values)
                except TypeError:
                    kinds = sorted({type(v).__name__ for v in values})
                    raise DataError(
                        f"the column {getattr(col, 'name', '')!r} mixes {', '.join(kinds)}; make its ids one type"
                    ) from None
        self.items = L([NA, *values] if add_na else values, use_list=True)
        self.o2i: dict[Any, int] = (_Codes if add_na else _StrictCodes)({c: i for i, c in enumerate(self.items)})

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
        return L([self.items[int(i)] for i in ids])


# ---- procs


class TabularProc:
    """Changes a table in place: ``setups(to)`` looks at the training rows, ``encodes(to)`` changes, ``decodes(to)``
    undoes."""

    order = 0

    def setup(self, to: Any, train_setup: bool = False) -> Any:
        self.setups(to.train if to.split is not None else to)
        return self(to)

    def setups(self, to: Any) -> None: ...

    def encodes(self, to: Any) -> None: ...

    def decodes(self, to: Any) -> None: ...

    def __call__(self, to: Any) -> Any:
        self.encodes(to)
        return to

    def decode(self, to: Any) -> Any:
        self.decodes(to)
        return to

    @property
    def name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return self.name


InplaceTransform = TabularProc


class Categorify(TabularProc):
    """Categorical columns as numbers: ``classes`` holds their names, 0 is ``#na#``."""

    order = 1

    def setups(self, to: Any) -> None:
        self.classes = {n: CategoryMap(to.items[n], add_na=True) for n in to.cat_names}

    def encodes(self, to: Any) -> None:
        for n in to.cat_names:
            to.items[n] = _encoded(to.items[n], self.classes[n], 1)

    def decodes(self, to: Any) -> None:
        for n in to.cat_names:
            if n in to.items:
                to.items[n] = _decoded(to.items[n], self.classes[n])

    def __getitem__(self, k: Any) -> CategoryMap:
        return self.classes[k]


def _encoded(column: pd.Series[Any], classes: CategoryMap, first: int) -> pd.Series[Any]:
    """The numbers of a column's values; ``first - 1`` for those that are not among the classes."""
    known = list(classes.items[first:])
    values = column.astype(column.cat.categories.dtype) if isinstance(column.dtype, pd.CategoricalDtype) else column
    texts = sum(isinstance(v, str) for v in known[:50])
    if len(column) and known and len(values.dropna()):
        given = values.dropna().iloc[:50]
        strange = (texts > 0) != any(isinstance(v, str) for v in given)
        if strange and not isinstance(known[0], (bool, pd.Timestamp)):
            a, b = ("numbers", "text") if texts else ("text", "no text")
            raise DataError(f"the ids in column {column.name!r} are {a}, in training they were {b}; convert them")
    codes = pd.Index(known).get_indexer(pd.Index(values)).astype(np.int64) + first
    kind = np.int8 if len(known) < 127 else np.int16 if len(known) < 2**15 - 1 else np.int32
    return pd.Series(codes.astype(kind), index=column.index, name=column.name)


def _decoded(column: pd.Series[Any], classes: CategoryMap) -> pd.Series[Any]:
    at = column.to_numpy().astype(np.int64)
    values = [classes.items[i] if 0 <= i < len(classes) else NA for i in at.tolist()]
    return pd.Series(values, index=column.index, name=column.name, dtype=object if NA in values else None)


class Categorize(TabularProc):
    """The target's classes as numbers."""

    order = 1
    loss_func = CrossEntropyLossFlat()

    def __init__(self, vocab: Any = None, sort: bool = True, add_na: bool = False) -> None:
        self.vocab: Any = None if vocab is None else CategoryMap(vocab, sort=sort, add_na=add_na)
        self.given, self.sort, self.add_na = vocab, sort, add_na

    def setups(self, to: Any) -> None:
        if self.vocab is None:
            self.vocab = CategoryMap(to.items[to.y_names[0]], strict=True)
        self.c = len(self.vocab)

    def fresh(self) -> Categorize:
        """As it was made."""
        return Categorize(self.given, sort=self.sort, add_na=self.add_na)

    def setup_items(self, values: Any) -> None:
        """The classes are those of these values."""
        if self.vocab is None:
            self.vocab = CategoryMap(pd.Series(values), sort=self.sort, add_na=self.add_na, strict=True)
        self.c = len(self.vocab)

    def encode_item(self, o: Any) -> torch.Tensor:
        return torch.tensor(self.vocab.o2i[o])

    def decode_item(self, o: Any) -> Any:
        return self.vocab[int(o)]

    def encodes(self, to: Any) -> None:
        for n in to.y_names:
            if n in to.items:
                to.items[n] = _encoded(to.items[n], self.vocab, 0)

    def decodes(self, to: Any) -> None:
        for n in to.y_names:
            if n in to.items:
                to.items[n] = _decoded(to.items[n], self.vocab)


class RegressionSetup(TabularProc):
    """Numbers as targets."""

    loss_func = MSELossFlat()

    def __init__(self, c: int | None = None) -> None:
        self.c = c

    def setups(self, to: Any) -> None:
        if self.c is None:
            self.c = len(to.y_names)

    def fresh(self) -> RegressionSetup:
        """As it was made."""
        return RegressionSetup(self.c)

    def setup_items(self, values: Any) -> None:
        """As many outputs as each of these values has numbers."""
        if self.c is None:
            self.c = int(np.size(values[0])) if values else 0

    def encode_item(self, o: Any) -> torch.Tensor:
        return torch.as_tensor(list(o) if isinstance(o, (L, tuple)) else o).float()

    def decode_item(self, o: Any) -> Any:
        return o


class Normalize(TabularProc):
    """Continuous columns less their mean, divided by their standard deviation."""

    order = 2

    def __init__(self, mean: Any = None, std: Any = None, axes: Any = None) -> None:
        self.means, self.stds = mean, std

    @classmethod
    def from_stats(cls, mean: Any, std: Any, dim: int = 1, ndim: int = 4, cuda: bool = True) -> Self:
        return cls(mean, std)

    def setups(self, to: Any) -> None:
        self.means, self.stds = dict(to.conts.mean()), dict(to.conts.std(ddof=0) + 1e-7)

    def encodes(self, to: Any) -> None:
        for n in to.cont_names:
            to.items[n] = ((to.items[n] - self.means[n]) / self.stds[n]).astype(np.float32)

    def decodes(self, to: Any) -> None:
        for n in to.cont_names:
            if n in to.items:
                to.items[n] = to.items[n] * self.stds[n] + self.means[n]


class FillStrategy:
    """What missing numbers are filled with."""

    @staticmethod
    def median(c: pd.Series[Any], fill: Any) -> Any:
        return c.median()

    @staticmethod
    def constant(c: pd.Series[Any], fill: Any) -> Any:
        return fill

    @staticmethod
    def mode(c: pd.Series[Any], fill: Any) -> Any:
        return c.dropna().value_counts().idxmax()


class FillMissing(TabularProc):
    """Missing numbers in continuous columns filled in; a column ``_na`` says where."""

    def __init__(self, fill_strategy: Any = FillStrategy.median, add_col: bool = True, fill_vals: Any = None) -> None:
        self.fill_strategy, self.add_col, self.fill_vals = fill_strategy, add_col, fill_vals or {}

    def setups(self, to: Any) -> None:
        missing = to.conts.isna().any()
        self.na_dict = {n: self.fill_strategy(to.items[n], self.fill_vals.get(n, 0)) for n in missing[missing].index}

    def encodes(self, to: Any) -> None:
        for n in to.cont_names:
            gone = to.items[n].isna()
            if gone.any() and n not in self.na_dict:
                raise DataError(f"column {n!r} has missing values, and in training it had none")
            if n in self.na_dict:
                to.items[n] = to.items[n].fillna(self.na_dict[n])
                if self.add_col:
                    to.items[f"{n}_na"] = gone
                    if f"{n}_na" not in to.cat_names:
                        to.cat_names.append(f"{n}_na")


class Pipeline:
    """Procs in order; their attributes (``classes``, ``means``) are its own too."""

    def __init__(self, funcs: Any = None, split_idx: Any = None) -> None:
        made = [f() if isinstance(f, type) else f for f in L(funcs)]
        self.fs = L(sorted(made, key=lambda f: getattr(f, "order", 0)))

    def setup(self, to: Any = None, train_setup: bool = False) -> None:
        for f in self.fs:
            if hasattr(f, "setup"):
                f.setup(to)
            else:
                f(to)

    def __call__(self, o: Any) -> Any:
        for f in self.fs:
            found = f(o)
            o = o if found is None else found
        return o

    def decode(self, o: Any, full: bool = True) -> Any:
        for f in reversed(self.fs):
            if hasattr(f, "decode"):
                f.decode(o)
        return o

    def __getitem__(self, i: Any) -> Any:
        return self.fs[i]

    def __len__(self) -> int:
        return len(self.fs)

    def __repr__(self) -> str:
        return "Pipeline: " + " -> ".join(getattr(f, "name", getattr(f, "__name__", repr(f))) for f in self.fs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "fs":
            raise AttributeError(name)
        for f in self.fs:
            if camel2snake(type(f).__name__) == name:
                return f
            if name in getattr(f, "__dict__", {}) or (name == "loss_func" and hasattr(f, name)):
                return getattr(f, name)
        raise AttributeError(name)


# ---- what a target is


class TransformBlock:
    """How a column is treated: ``type_tfms`` change it, ``dls_kwargs`` go to the loaders."""

    def __init__(
        self,
        type_tfms: Any = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        dl_type: Any = None,
        dls_kwargs: Any = None,
    ) -> None:
        self.type_tfms, self.item_tfms, self.batch_tfms = L(type_tfms), L(item_tfms), L(batch_tfms)
        self.dl_type, self.dls_kwargs = dl_type, dls_kwargs or {}


def CategoryBlock(vocab: Any = None, sort: bool = True, add_na: bool = False) -> TransformBlock:
    """The target is one of several classes."""
    return TransformBlock(type_tfms=Categorize(vocab=vocab, sort=sort, add_na=add_na))


def RegressionBlock(n_out: int | None = None) -> TransformBlock:
    """The target is a number."""
    return TransformBlock(type_tfms=RegressionSetup(c=n_out))


# ---- tables


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
                shown = [str(c) for c in df.columns]
                raise DataError(
                    f"no column {missing[0]!r}; there are: {', '.join(shown)}.{did_you_mean(str(missing[0]), shown)}"
                )
            df = df.copy()
            if reduce_memory:
                floats = [n for n in L(cat_names) if pd.api.types.is_float_dtype(df[n].dtype)]  # ids stay exact
                df = df_shrink(df, skip=floats, only=names)
        if splits is not None:
            parts = [[int(i) for i in part] for part in splits]
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
        """Another table with the same columns and procs, which are not applied to it."""
        found = copy.copy(self)
        found.items = df if inplace or isinstance(df, pd.Series) else df.copy()
        found.split = None
        return found

    def subset(self, i: int) -> Any:
        """The training rows (0) or those for validation (1)."""
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
        """A row with its procs undone."""
        return self.new(pd.DataFrame([dict(row)])).decode().items.iloc[0]

    @takes("ctxs", "ctx")
    def show(self, max_n: int = 10) -> None:
        """Show a few rows as they came."""
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

    @property
    def conts(self) -> Any:
        return self._columns(self.cont_names)

    @property
    def xs(self) -> Any:
        return self._columns(self.x_names)

    @property
    def ys(self) -> Any:
        return self._columns(self.y_names)

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
        """The table as tensors: categories int64 (n, c), numbers float32 (n, k) unless it has none by design, and the
        targets (n, t) in their own type where they are there."""
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

# ---- frames


def as_pandas(table: Any) -> pd.DataFrame:
    """A pandas frame of a pandas, polars or Arrow one."""
    if isinstance(table, pd.DataFrame):
        return table
    if type(table).__module__.startswith("polars") and hasattr(
        table, "columns"
    ):  # column by column: polars' own way needs pyarrow
        return pd.DataFrame({column.name: column.to_list() for column in table})
    if hasattr(table, "to_pandas") and len(getattr(table, "shape", (0, 0))) == 2:
        found: pd.DataFrame = table.to_pandas()
        return found
    if isinstance(table, (dict, list)):
        try:
            return pd.DataFrame(table)
        except (TypeError, ValueError) as exc:
            raise DataError(f"no table can be made of this {type(table).__name__} ({exc})") from None
    raise DataError(f"a table is needed (pandas, polars, Arrow), not a {type(table).__name__}")


def show(frame: pd.DataFrame) -> None:
    """Show a table: nicely in a notebook, as text elsewhere."""
    try:
        from IPython import get_ipython  # type: ignore[import-not-found]
        from IPython.display import display  # type: ignore[import-not-found]
    except ImportError:
        print(frame.to_string())
        return
    display(frame) if get_ipython() is not None else print(frame.to_string())


display_df = show


def df_shrink_dtypes(df: pd.DataFrame, skip: Any = (), obj2cat: bool = True, int2uint: bool = False) -> dict[str, Any]:
    """The smallest types that hold the columns' values, by column; only those that change."""
    found: dict[str, Any] = {}
    for name, kind in df.dtypes.items():
        if name in set(skip):
            continue
        if isinstance(kind, np.dtype) and kind.kind == "i" and len(df):
            low, high = df[name].min(), df[name].max()
            sizes: list[Any] = (
                [np.uint8, np.uint16, np.uint32] if int2uint and low >= 0 else [np.int8, np.int16, np.int32]
            )
            small: Any = next((t for t in sizes if np.iinfo(t).min <= low and high <= np.iinfo(t).max), None)
            if small is not None and np.dtype(small) != kind:
                found[str(name)] = np.dtype(small)
        elif isinstance(kind, np.dtype) and kind.kind == "f" and kind.itemsize == 8:
            found[str(name)] = np.dtype(np.float32)
        elif obj2cat and (kind.kind == "O" or isinstance(kind, pd.StringDtype)):
            found[str(name)] = "category"
    return found


def df_shrink(
    df: pd.DataFrame, skip: Any = (), obj2cat: bool = True, int2uint: bool = False, only: Any = None
) -> pd.DataFrame:
    """The frame with each column in the smallest type that holds it; texts become categories."""
    kinds = df_shrink_dtypes(df, skip, obj2cat, int2uint)
    return df.astype({k: v for k, v in kinds.items() if k in df and (only is None or k in only or v != "category")})


def cont_cat_split(df: pd.DataFrame, max_card: int = 20, dep_var: Any = None) -> tuple[list[Any], list[Any]]:
    """The names of columns to take as numbers, and as categories (few whole numbers, or no numbers)."""
    cont: list[Any] = []
    cat: list[Any] = []
    for name in df:
        if name in L(dep_var):
            continue
        kind = df[name].dtype
        many = pd.api.types.is_integer_dtype(kind) and df[name].nunique(dropna=False) > max_card
        (cont if many or pd.api.types.is_float_dtype(kind) else cat).append(name)
    return cont, cat


def make_date(df: pd.DataFrame, date_field: str) -> None:
    """The column as dates, in place."""
    if not pd.api.types.is_datetime64_any_dtype(df[date_field].dtype):
        df[date_field] = pd.to_datetime(df[date_field])


def add_datepart(
    df: pd.DataFrame, field_name: str, prefix: str | None = None, drop: bool = True, time: bool = False
) -> pd.DataFrame:
    """Columns of a date: year, month, week, day and so on, in place."""
    make_date(df, field_name)
    field = df[field_name]
    start = re.sub("[Dd]ate$", "", field_name) if prefix is None else prefix
    parts = ["Year", "Month", "Week", "Day", "Dayofweek", "Dayofyear", "Is_month_end", "Is_month_start"]
    parts += ["Is_quarter_end", "Is_quarter_start", "Is_year_end", "Is_year_start"]
    parts += ["Hour", "Minute", "Second"] if time else []
    for part in parts:
        df[start + part] = field.dt.isocalendar().week if part == "Week" else getattr(field.dt, part.lower())
    seconds = field.to_numpy().astype("datetime64[s]").astype(np.int64)
    df[start + "Elapsed"] = np.where(field.notna(), seconds, np.nan)
    if drop:
        df.drop(field_name, axis=1, inplace=True)
    return df


class ColReader:
    """Reads columns of a row."""

    def __init__(self, cols: Any, pref: str = "", suff: str = "", label_delim: str | None = None) -> None:
        self.cols, self.pref, self.suff, self.label_delim = L(cols), str(pref), suff, label_delim

    def _one(self, r: Any, c: Any) -> Any:
        o = (
            (r.iloc[c] if hasattr(r, "iloc") else r[c])
            if isinstance(c, int)
            else getattr(r, c)
            if hasattr(r, "_fields")
            else r[c]
        )
        if self.label_delim is not None:
            return o.split(self.label_delim) if len(o) else []
        return f"{self.pref}{o}{self.suff}" if self.pref or self.suff else o

    def __call__(self, o: Any, **kwargs: Any) -> Any:
        return self._one(o, self.cols[0]) if len(self.cols) == 1 else L([self._one(o, c) for c in self.cols])


class ItemGetter:
    """Element ``i``."""

    def __init__(self, i: Any) -> None:
        self.i = i

    def __call__(self, x: Any) -> Any:
        return x[self.i]


class AttrGetter:
    """An attribute."""

    def __init__(self, nm: str, default: Any = None) -> None:
        self.nm, self.default = nm, default

    def __call__(self, x: Any) -> Any:
        return getattr(x, self.nm, self.default)
