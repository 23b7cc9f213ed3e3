"""Side tables of items and users, aligned with an id map: row ``c`` describes code ``c``."""

from __future__ import annotations

from typing import Any

import polars as pl
from polars import selectors

from cofactor.data.columns import SYNONYMS
from cofactor.data.ids import IdMap
from cofactor.data.open import open_table
from cofactor.data.tables import Table, no_objects
from cofactor.errors import DataError


def align(source: Any, ids: IdMap, column: str, encoding: str | None = None) -> tuple[pl.DataFrame, list[str]]:
    """One row for each id, in order of the codes, the id column (named ``column``) first; nulls where nothing is known.

    The id column of ``source`` is the one named like ``column``, else one named like a user or item, else the first.
    Rows that repeat an id are dropped except the first. DataError where no id matches.
    """
    table = open_table(source, encoding=encoding)
    key = _key(table, ids.kind, column)
    frame = table.load(table.names, [key])
    no_objects(frame, f"the {ids.kind} table")
    return align_frame(frame, key, ids, column)


def align_frame(frame: pl.DataFrame, key: str, ids: IdMap, column: str) -> tuple[pl.DataFrame, list[str]]:
    """The same for a polars frame whose id column is known."""
    notes: list[str] = []
    frame = frame.select(key, *[name for name in frame.columns if name != key])
    frame = frame.rename({name: f"{name}_2" for name in frame.columns if name == column and name != key})
    frame = frame.rename({key: column}).filter(pl.col(column).is_not_null())
    mine, theirs = ids.values.dtype, frame[column].dtype
    if theirs in (pl.Categorical, pl.Enum):
        frame = frame.with_columns(pl.col(column).cast(pl.String))
    elif theirs.is_float() and mine.is_integer():
        frame = frame.with_columns(pl.col(column).cast(pl.Int64, strict=False))
    if frame[column].dtype.is_nested() or frame[column].dtype == pl.Boolean:
        raise DataError(
            f"the {ids.kind} table has ids of type {frame[column].dtype} (column {key!r}); give text or numbers"
        )
    if {_kind(frame[column].dtype), _kind(mine)} == {"text", "numbers"}:
        raise DataError(
            f"{ids.kind} ids are {ids.text} in the ratings but {_kind(frame[column].dtype)} in the side table"
            f" (column {key!r}); make them the same type"
        )
    frame = frame.with_columns(selectors.float().fill_nan(None))  # as pandas has what is missing
    before = len(frame)
    frame = frame.unique(column, keep="first", maintain_order=True)
    if len(frame) < before:
        notes.append(f"{before - len(frame):,} rows of the {ids.kind} table repeat an id; the first of each kept")
    frame = frame.with_columns(pl.col(column).cast(mine, strict=False))
    wanted = pl.DataFrame({column: ids.values})
    known = wanted.join(frame.select(column), on=column, how="semi").height
    if not known and len(ids):
        raise DataError(
            f"no {ids.kind} of the ratings stands in the side table, whose id column is taken to be {key!r};"
            f" rename the right one to {column!r}"
        )
    if known < len(ids):
        notes.append(f"{len(ids) - known:,} of {len(ids):,} {ids.kind}s are not in the {ids.kind} table")
    return wanted.join(frame, on=column, how="left", maintain_order="left"), notes


def _key(table: Table, kind: str, column: str) -> str:
    if column in table.names:
        return column
    plain = {name.lower().replace("_", "").replace(" ", ""): name for name in reversed(table.names)}
    for synonym in (*SYNONYMS[kind], "id"):
        if synonym.replace("_", "") in plain and synonym not in ("title", "name", "u", "i"):
            return plain[synonym.replace("_", "")]
    if not table.names:
        raise DataError(f"the {kind} table has no columns; it needs one with the {kind} ids")
    return plain.get("id", table.names[0])


def _kind(dtype: pl.DataType) -> str:
    return "text" if dtype == pl.String else "numbers" if dtype.is_integer() else str(dtype)
