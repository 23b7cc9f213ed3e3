"""Side tables -> sparse features: one-hot text, multi-hot lists, numbers in bins or standardised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from cofactor.data.ids import Array, IdMap
from cofactor.data.interactions import CSR, Features, Interactions, csr
from cofactor.data.side_tables import align
from cofactor.errors import ConfigError, DataError, did_you_mean

Numbers = Literal["bins", "standardise"]
_Part = tuple[Array, Array, Array, list[str]]
"""Rows, columns (from 0), values, names of the columns."""


def with_features(
    data: Interactions, user: Any = None, item: Any = None, *, numbers: Numbers = "bins", bins: int = 10
) -> Interactions:
    """The same data with ``user_features`` and ``item_features`` made from side tables.

    ``user``, ``item``: names of columns of ``user_table``/``item_table``; or a frame or path with an id
    column, all of whose other columns are used; None leaves that side as it is. Text becomes one column a
    value (``"gender=F"``); lists, and text with ``|`` in it, a column for each member (``"genres=Drama"``);
    true/false one column. Numbers are cut at up to ``bins`` quantiles, one column a bin (``"age=18..24"``),
    because that lets a linear model bend; or ``numbers="standardise"`` keeps one column with mean 0 and
    variance 1. Nulls give no feature.

    Raises ConfigError for a column that is not there, DataError for one that cannot be used.
    """
    if numbers not in ("bins", "standardise"):
        raise ConfigError(f"numbers={numbers!r}; it may be 'bins' or 'standardise'")
    if bins < 2:
        raise ConfigError(f"bins={bins}; at least 2 are needed")
    changes: dict[str, Any] = {}
    for kind, wanted, ids, table, key in (
        ("user", user, data.user_ids, data.user_table, data.columns.user),
        ("item", item, data.item_ids, data.item_table, data.columns.item),
    ):
        if wanted is None:
            continue
        frame = _wanted(wanted, ids, table, key)
        changes[f"{kind}_features"] = features(frame, numbers, bins)
        if table is None:
            changes[f"{kind}_table"] = frame.select(ids.values.alias(key), *frame.columns)
    return data.replace(**changes)


def features(frame: pl.DataFrame, numbers: Numbers = "bins", bins: int = 10) -> Features:
    """Every column of a frame as sparse features; row r of the frame is row r of the matrix."""
    parts: list[_Part] = [_encode(frame[name], numbers, bins) for name in frame.columns]
    starts = np.cumsum([0, *(len(names) for *_, names in parts)])
    rows = np.concatenate([np.empty(0, np.int64), *(p[0] for p in parts)])
    cols = np.concatenate([np.empty(0, np.int64), *(p[1] + at for p, at in zip(parts, starts))])
    values = np.concatenate([np.empty(0, np.float32), *(p[2] for p in parts)])
    matrix: CSR = csr(rows, cols, values, len(frame), int(starts[-1]))
    return Features(matrix, tuple(name for p in parts for name in p[3]))


def _wanted(wanted: Any, ids: IdMap, table: pl.DataFrame | None, key: str) -> pl.DataFrame:
    """The feature columns, aligned with the id map, without the id."""
    if isinstance(wanted, Features):
        raise ConfigError("these are features already; set them with data.replace(item_features=...)")
    if isinstance(wanted, (list, tuple)) and all(isinstance(name, str) for name in wanted):
        names: Sequence[str] = list(wanted)
        if table is None:
            raise ConfigError(
                f"no {ids.kind} table to take {', '.join(names)} from; give one with read(..., {ids.kind}s=...)"
            )
        for name in names:
            if name not in table.columns[1:]:
                raise ConfigError(
                    f"no column {name!r} in the {ids.kind} table; there are: {', '.join(table.columns[1:])}."
                    f"{did_you_mean(name, table.columns[1:])}"
                )
        return table.select(names)
    if isinstance(wanted, str) and table is not None and wanted in table.columns[1:]:
        return table.select(wanted)
    aligned, _ = align(wanted, ids, key)
    if aligned.width < 2:
        raise DataError(f"the {ids.kind} features have no column besides the id")
    return aligned.drop(aligned.columns[0])


def makes_feature(dtype: pl.DataType) -> bool:
    """Whether a column of this type can be encoded: text, numbers, dates, true/false, or lists of these."""
    if isinstance(dtype, (pl.List, pl.Array)):
        inner = dtype.inner
        return inner == pl.Null or (isinstance(inner, pl.DataType) and not inner.is_nested() and makes_feature(inner))
    plain = (pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime)
    return dtype.is_numeric() or dtype in plain


def check_feature(column: pl.Series) -> None:
    """DataError for a column of a type that makes no feature."""
    if not makes_feature(column.dtype):
        raise DataError(
            f"column {column.name!r} has type {column.dtype}, which makes no feature; give text, lists or numbers"
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
