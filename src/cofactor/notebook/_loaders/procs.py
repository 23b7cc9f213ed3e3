"""Procs, which change the columns of a table (ids to codes, numbers to a common scale), and blocks of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from cofactor.errors import DataError, did_you_mean
from cofactor.models.torch.layers import MSELossFlat
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.texts import camel2snake
from cofactor.notebook._loaders.transforms import InOrder, InplaceTransform, is_tuple, step, undone
from cofactor.notebook._measures.losses import CrossEntropyLossFlat

__all__ = [
    "Categorify",
    "Categorize",
    "CategoryBlock",
    "CategoryMap",
    "FillMissing",
    "FillStrategy",
    "Normalize",
    "Pipeline",
    "RegressionBlock",
    "RegressionSetup",
    "TabularProc",
    "TransformBlock",
]

NA = "#na#"
"""Class 0: an id that the training rows do not have."""


class _Codes(dict[Any, int]):
    """Class -> number; 0 for an unknown class, with a warning."""

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
    """The classes of a column: in ascending order, with ``#na#`` at 0 if ``add_na``. ``o2i`` maps a class to its
    number."""

    def __init__(self, col: Any, sort: bool = True, add_na: bool = False, strict: bool = False) -> None:
        if isinstance(getattr(col, "dtype", None), pd.CategoricalDtype):
            values = col.cat.categories.tolist() if hasattr(col, "cat") else list(col.categories)
            if strict:
                there = set(col.unique())
                values = [v for v in values if v in there]
        else:
            values = [
                v
                for v in pd.unique(col if isinstance(col, (pd.Series, pd.Index)) else pd.Series(list(col)))
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
        """Return the numbers of classes."""
        return L([self.o2i[o] for o in objs])

    def map_ids(self, ids: Any) -> L:
        """Return the classes with these numbers."""
        return L([self.items[int(i)] for i in ids])


# ---- procs


class TabularProc(InplaceTransform):
    """Changes a table in place: ``setups(to)`` looks at the training rows, ``encodes(to)`` changes, ``decodes(to)``
    undoes."""

    def setup(self, to: Any = None, train_setup: bool = False) -> Any:
        self.setups(to.train if to.split is not None else to)
        return self(to)

    def setups(self, to: Any) -> None: ...

    def encodes(self, to: Any) -> None: ...

    def decodes(self, to: Any) -> None: ...

    def __repr__(self) -> str:
        return self.name


class _OfTarget(TabularProc):
    """A proc of a table's targets, and a transform of single ones: ``encode_item``, ``decode_item``,
    ``setup_items``."""

    def setup(self, to: Any = None, train_setup: bool = False) -> Any:
        if hasattr(to, "y_names"):
            return super().setup(to, train_setup)
        return self.setup_items(list(to))

    def setup_items(self, values: Any) -> None: ...

    def encode_item(self, o: Any) -> Any:
        return o

    def decode_item(self, o: Any) -> Any:
        return o

    def __call__(self, x: Any, split_idx: Any = None, **kwargs: Any) -> Any:
        return super().__call__(x, split_idx) if hasattr(x, "y_names") else _each(self.encode_item, x)

    def decode(self, x: Any, split_idx: Any = None, **kwargs: Any) -> Any:
        return super().decode(x, split_idx) if hasattr(x, "y_names") else _each(self.decode_item, x)


def _each(f: Any, x: Any) -> Any:
    return tuple(_each(f, one) for one in x) if is_tuple(x) else f(x)


class Categorify(TabularProc):
    """Encodes categorical columns as numbers: ``classes`` holds their names, 0 is ``#na#``."""

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
    """Return the numbers of a column's values; ``first - 1`` for unknown ones."""
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
    """Return the values that a column's numbers stand for."""
    if any(isinstance(v, str) for v in column):
        return column  # decoded already
    at = column.to_numpy().astype(np.int64)
    values = [classes.items[i] if 0 <= i < len(classes) else NA for i in at.tolist()]
    return pd.Series(values, index=column.index, name=column.name, dtype=object if NA in values else None)


class Categorize(_OfTarget):
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
        """Return a copy in its initial state."""
        return Categorize(self.given, sort=self.sort, add_na=self.add_na)

    def setup_items(self, values: Any) -> None:
        """Set the classes to these values."""
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


class RegressionSetup(_OfTarget):
    """Numbers as targets."""

    loss_func = MSELossFlat()

    def __init__(self, c: int | None = None) -> None:
        self.c = c

    def setups(self, to: Any) -> None:
        if self.c is None:
            self.c = len(to.y_names)

    def fresh(self) -> RegressionSetup:
        """Return a copy in its initial state."""
        return RegressionSetup(self.c)

    def setup_items(self, values: Any) -> None:
        """Set the number of outputs to the number of values in each of these."""
        if self.c is None:
            self.c = int(np.size(values[0])) if values else 0

    def encode_item(self, o: Any) -> torch.Tensor:
        return torch.as_tensor(list(o) if isinstance(o, (L, tuple)) else o).float()

    def decode_item(self, o: Any) -> Any:
        numbers = torch.as_tensor(o).reshape(-1).tolist()
        return numbers[0] if len(numbers) == 1 else tuple(numbers)


class Normalize(TabularProc):
    """Subtracts the mean of continuous columns, and divides by their standard deviation."""

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
            to.items[n] = (to.items[n].astype(np.float64) - self.means[n]) / self.stds[n]

    def decodes(self, to: Any) -> None:
        for n in to.cont_names:
            if n in to.items:
                to.items[n] = to.items[n] * self.stds[n] + self.means[n]


class FillStrategy:
    """The values that fill in missing numbers."""

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
    """Fills in missing numbers in continuous columns. A column ``_na`` marks them."""

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


class Pipeline(InOrder):
    """Functions, transforms and procs in order; their attributes (``classes``, ``means``) are its own too."""

    def __init__(self, funcs: Any = None, split_idx: int | None = None) -> None:
        super().__init__(funcs)
        self.split_idx = split_idx

    def add(self, funcs: Any) -> Pipeline:
        """Add functions. Those of a lower ``order`` still come first."""
        self.fs = InOrder([*self.fs, *L(funcs)]).fs
        return self

    def setup(self, to: Any = None, train_setup: bool = False) -> None:
        for f in self.fs:
            if hasattr(f, "setup"):
                f.setup(to)
            else:
                f(to)

    def __call__(self, o: Any) -> Any:
        for f in self.fs:
            found = step(f, o, self.split_idx)
            o = o if found is None else found
        return o

    def decode(self, o: Any, full: bool = True) -> Any:
        for f in reversed(self.fs):
            o = undone(f, o, self.split_idx)
        return o

    def __repr__(self) -> str:
        return "Pipeline: " + " -> ".join(getattr(f, "name", getattr(f, "__name__", repr(f))) for f in self.fs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("fs", "split_idx"):
            raise AttributeError(name)
        for f in self.fs:
            if camel2snake(type(f).__name__) == name:
                return f
            if name in getattr(f, "__dict__", {}) or (name == "loss_func" and hasattr(f, name)):
                return getattr(f, name)
        raise AttributeError(name)


# ---- what a target is


class TransformBlock:
    """The treatment of a column: ``type_tfms`` change it, ``dls_kwargs`` go to the loaders."""

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
    """Return a block for a target that is one of several classes."""
    return TransformBlock(type_tfms=Categorize(vocab=vocab, sort=sort, add_na=add_na))


def RegressionBlock(n_out: int | None = None) -> TransformBlock:
    """Return a block for a target that is a number."""
    return TransformBlock(type_tfms=RegressionSetup(c=n_out))
