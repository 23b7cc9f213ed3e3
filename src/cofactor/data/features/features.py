"""Convert side tables to sparse features: one-hot text, multi-hot lists, numbers in bins or standardised."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from cofactor.data.ids.id_map import Array, IdMap
from cofactor.data.interactions import CSR, Features, csr
from cofactor.errors import DataError

GROUPS = ("genres", "genre", "categories", "category", "tags")
"""Names of a column of item groups (such as genres), most likely first."""
Numbers = Literal["bins", "standardise"]
_Part = tuple[Array, Array, Array, list[str]]
"""Rows, columns (from 0), values, names of the columns."""


def features(frame: pl.DataFrame, numbers: Numbers = "bins", bins: int = 10) -> Features:
    """Encode every column of a frame as sparse features. Row r of the frame is row r of the matrix."""
    parts: list[_Part] = [_encode(frame[name], numbers, bins) for name in frame.columns]
    starts = np.cumsum([0, *(len(names) for *_, names in parts)])
    rows = np.concatenate([np.empty(0, np.int64), *(p[0] for p in parts)])
    cols = np.concatenate([np.empty(0, np.int64), *(p[1] + at for p, at in zip(parts, starts))])
    values = np.concatenate([np.empty(0, np.float32), *(p[2] for p in parts)])
    matrix: CSR = csr(rows, cols, values, len(frame), int(starts[-1]))
    return Features(matrix, tuple(name for p in parts for name in p[3]))


def makes_feature(dtype: pl.DataType) -> bool:
    """Return whether a column of this type can be encoded: text, numbers, dates, true/false, or lists of these."""
    if isinstance(dtype, (pl.List, pl.Array)):
        inner = dtype.inner
        return inner == pl.Null or (isinstance(inner, pl.DataType) and not inner.is_nested() and makes_feature(inner))
    plain = (pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime)
    return dtype.is_numeric() or dtype in plain


def check_feature(column: pl.Series) -> None:
    """Raise DataError for a column of a type that makes no feature."""
    if not makes_feature(column.dtype):
        raise DataError(
            f"column {column.name!r} has type {column.dtype}, which cannot be made into features; give text, lists or"
            " numbers"
        )


def _encode(column: pl.Series, numbers: Numbers, bins: int) -> _Part:
    check_feature(column)
    if column.dtype == pl.Boolean:
        rows = np.flatnonzero(column.fill_null(False).to_numpy())
        return rows, np.zeros(len(rows), np.int64), np.ones(len(rows), np.float32), [column.name]
    if column.dtype.is_temporal():
        column = column.cast(pl.Date, strict=False).dt.year().alias(column.name)
    if column.dtype.is_numeric():
        return _standardised(column) if numbers == "standardise" else _binned(column, bins)
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    return _members(column.str.split("|") if column.dtype == pl.String else column.cast(pl.List(pl.String)))


def _members(lists: pl.Series) -> _Part:
    long = pl.DataFrame({"row": np.arange(len(lists), dtype=np.int64), "value": lists}).explode("value")
    long = long.with_columns(pl.col("value").str.strip_chars()).filter(pl.col("value") != "")
    long = long.unique(maintain_order=True)
    values = long["value"].unique().sort()
    cols = IdMap(values, "feature").encode(long["value"]).astype(np.int64)
    names = [f"{lists.name}={value}" for value in values]
    return long["row"].to_numpy(), cols, np.ones(len(long), np.float32), names


def _finite(column: pl.Series) -> tuple[Array, Array]:
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    rows = np.flatnonzero(np.isfinite(values))
    return rows, values[rows]


def _standardised(column: pl.Series) -> _Part:
    rows, values = _finite(column)
    spread = float(values.std()) if len(values) else 0.0
    scaled = (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))
    return rows, np.zeros(len(rows), np.int64), scaled.astype(np.float32), [column.name]


def _binned(column: pl.Series, bins: int) -> _Part:
    rows, values = _finite(column)
    if not len(values):
        return rows, np.empty(0, np.int64), np.empty(0, np.float32), []
    distinct = np.unique(values)
    if len(distinct) <= bins:
        cols, names = np.searchsorted(distinct, values), [f"{column.name}={v:g}" for v in distinct]
    else:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
        cols = np.searchsorted(edges, values, side="right")
        used = np.unique(cols)
        names = [f"{column.name}={values[cols == b].min():g}..{values[cols == b].max():g}" for b in used]
        cols = np.searchsorted(used, cols)
    return rows, cols.astype(np.int64), np.ones(len(rows), np.float32), names
