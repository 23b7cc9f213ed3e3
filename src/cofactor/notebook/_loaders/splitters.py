"""Functions that split a table in two. Each returns a function of the rows that returns positions (train, valid)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from cofactor._validate import check_number
from cofactor.errors import ConfigError
from cofactor.notebook._fastcore.lists import L, mask2idxs

__all__ = [
    "ColSplitter",
    "EndSplitter",
    "FuncSplitter",
    "IndexSplitter",
    "MaskSplitter",
    "RandomSplitter",
    "RandomSubsetSplitter",
    "RegexLabeller",
    "TrainTestSplitter",
]

Splitter = Callable[[Any], tuple[Any, Any]]


def RandomSplitter(valid_pct: float = 0.2, seed: int | None = None) -> Splitter:
    """Draw a share of the rows by torch's generator after ``seed``: the same rows in the same order as in fastai."""
    if not 0 <= check_number("valid_pct", valid_pct) < 1:
        raise ConfigError(f"valid_pct is {valid_pct}; it is a share of the rows, from 0 to below 1 (such as 0.2)")

    def split(o: Any) -> tuple[Any, Any]:
        if seed is not None:
            torch.manual_seed(seed)
        order = L(torch.randperm(len(o)).tolist())
        cut = int(valid_pct * len(o))
        return order[cut:], order[:cut]

    return split


def TrainTestSplitter(
    test_size: float = 0.2, random_state: Any = None, stratify: Any = None, train_size: Any = None, shuffle: bool = True
) -> Splitter:
    """Split by scikit-learn's ``train_test_split``."""

    def split(o: Any, **kwargs: Any) -> tuple[Any, Any]:
        try:
            from sklearn.model_selection import train_test_split
        except ImportError:
            raise ConfigError(
                "TrainTestSplitter needs scikit-learn (pip install scikit-learn); RandomSplitter does not"
            ) from None
        train, valid = train_test_split(
            list(range(len(o))),
            test_size=test_size,
            random_state=random_state,
            stratify=stratify,
            train_size=train_size,
            shuffle=shuffle,
        )
        return L(train), L(valid)

    return split


def IndexSplitter(valid_idx: Any) -> Splitter:
    """Use the rows at these positions for validation."""

    def split(o: Any) -> tuple[Any, Any]:
        valid = np.asarray(list(valid_idx), dtype=np.int64).reshape(-1)
        if len(valid) and (valid.max() >= len(o) or valid.min() < -len(o)):
            raise ConfigError(f"IndexSplitter: there are {len(o)} rows, but position {int(valid.max())} is requested")
        return L(np.setdiff1d(np.arange(len(o)), valid).tolist()), L(valid.tolist())

    return split


def EndSplitter(valid_pct: float = 0.2, valid_last: bool = True) -> Splitter:
    """Use the last (or first) share of the rows for validation: for tables ordered by time."""
    if not 0 < valid_pct < 1:
        raise ConfigError(f"valid_pct is {valid_pct}; it lies between 0 and 1")

    def split(o: Any) -> tuple[Any, Any]:
        at = L(list(range(len(o))))
        cut = int(valid_pct * len(o))
        if cut == 0:
            return at, L()
        return (at[:-cut], at[-cut:]) if valid_last else (at[cut:], at[:cut])

    return split


def MaskSplitter(mask: Any) -> Splitter:
    """Use the rows where ``mask`` holds for validation."""
    return lambda o: IndexSplitter(mask2idxs(mask))(o)


def FuncSplitter(func: Callable[[Any], bool]) -> Splitter:
    """Use the rows for which ``func`` holds for validation."""

    def rows(o: Any) -> Any:
        return (r for _, r in o.iterrows()) if isinstance(o, pd.DataFrame) else iter(o)

    return lambda o: IndexSplitter(mask2idxs(bool(func(r)) for r in rows(o)))(o)


def ColSplitter(col: Any = "is_valid", on: Any = None) -> Splitter:
    """Split by a column: rows where it is true (or equals ``on``, or is in it) are for validation."""

    def split(o: Any) -> tuple[Any, Any]:
        if not isinstance(o, pd.DataFrame):
            raise ConfigError(f"ColSplitter takes a pandas frame, not a {type(o).__name__}")
        if not isinstance(col, int) and col not in o:
            raise ConfigError(f"ColSplitter: no column {col!r}; there are: {', '.join(map(str, o.columns))}")
        c = o.iloc[:, col] if isinstance(col, int) else o[col]
        if on is None:
            valid = c.astype(bool)
        else:
            valid = c.isin(list(on)) if isinstance(on, (list, tuple, set)) else c == on
        return IndexSplitter(mask2idxs(valid.to_numpy()))(o)

    return split


def RandomSubsetSplitter(train_sz: float, valid_sz: float, seed: int | None = None) -> Splitter:
    """Draw random subsets of the rows."""
    if not (0 < train_sz < 1 and 0 < valid_sz < 1 and train_sz + valid_sz <= 1):
        raise ConfigError("train_sz and valid_sz are shares of the rows, together at most 1")

    def split(o: Any) -> tuple[Any, Any]:
        if seed is not None:
            torch.manual_seed(seed)
        order = L(torch.randperm(len(o)).tolist())
        n, m = int(len(o) * train_sz), int(len(o) * valid_sz)
        return order[:n], order[n : n + m]

    return split


class RegexLabeller:
    """Returns the first group of a pattern in a text."""

    def __init__(self, pat: str, match: bool = False) -> None:
        self.pat = re.compile(pat)
        self.matcher = self.pat.match if match else self.pat.search

    def __call__(self, o: Any) -> str:
        found = self.matcher(str(o).replace("\\", "/"))
        if found is None:
            raise ConfigError(f"{self.pat.pattern!r} is not in {o!r}")
        return found.group(1)
