"""Encode a later table with the features of an earlier one: the same columns, names and bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.features.features import check_feature, features, makes_feature
from cofactor.data.interactions import CSR, Features, Interactions
from cofactor.errors import DataError

Array = NDArray[Any]


class Encoded(NamedTuple):
    """A later table as features.

    ``matrix`` float32 (rows, features): NaN in all features of a column where the row has no known value of it.
    ``absent``: columns behind the features that the table lacks. ``unseen``: for each row, the values without a
    feature, such as ``genres=Zombie``.
    """

    matrix: Array
    absent: tuple[str, ...]
    unseen: list[list[str]]


def feature_groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the features (their positions in ``names``) that each column became."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name.partition("=")[0], []).append(place)
    return found


def dense(features: Features) -> Array:
    """Return features as ``Encoded.matrix``: NaN where a row has none of a column's several features."""
    m = features.matrix
    out = np.zeros((m.n_rows, m.n_cols), dtype=np.float32)
    out[np.repeat(np.arange(m.n_rows), m.counts), m.indices] = m.values
    for places in feature_groups(features.names).values():
        if "=" in features.names[places[0]]:
            nothing = np.flatnonzero(~out[:, places].any(axis=1))
            out[np.ix_(nothing, np.array(places))] = np.nan
    return out


def common_features(features: Features, most: int) -> Features:
    """Return the ``most`` features that occur in the most rows, or all if there are no more."""
    m = features.matrix
    if m.n_cols <= most:
        return features
    kept = np.sort(np.argsort(-np.bincount(m.indices, minlength=m.n_cols), kind="stable")[:most])
    place = np.full(m.n_cols, -1, dtype=np.int32)
    place[kept] = np.arange(most, dtype=np.int32)
    stays = place[m.indices] >= 0
    before = np.concatenate([[0], np.cumsum(stays)])
    matrix = CSR(before[m.indptr], place[m.indices[stays]], m.values[stays], m.rows[:0], most)
    return Features(matrix, tuple(features.names[j] for j in kept))


def known_features(data: Interactions, kind: Literal["item", "user"], most: int) -> Features:
    """Return up to ``most`` common features of all items (or users): those that a model was trained with, or else those
    that the side table makes. Without a table there are none."""
    item = kind == "item"
    found, table = (data.item_features, data.item_table) if item else (data.user_features, data.user_table)
    if found is None:
        key = data.columns.item if item else data.columns.user
        wanted = []
        for column in [] if table is None else table.iter_columns():
            if column.name not in (key, "title") and makes_feature(column.dtype):
                ids = not column.dtype.is_nested() and column.n_unique() == len(column)  # names each one uniquely
                wanted += [] if ids else [column]
        if not wanted:
            indptr = np.zeros(1 + (data.n_items if item else data.n_users), dtype=np.int64)
            none = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64)
            return Features(CSR(indptr, *none, 0), ())
        found = features(pl.DataFrame(wanted))
    return common_features(found, most)


def encode_like(table: pl.DataFrame, names: Sequence[str], known: pl.DataFrame | None) -> Encoded:
    """Encode ``table`` with the features ``names`` that :func:`cofactor.data.features.features.with_features` made.

    ``known``: the table that the features were made from, for the mean and spread of standardised numbers. A number
    falls into the bin that contains it, or the first or last bin if it lies beyond them. A text such as 1990-05-01
    counts as a date where the column held dates. Raises DataError for a column of a type that makes no feature.
    """
    out = np.full((len(table), len(names)), np.nan, dtype=np.float32)
    unseen: list[list[str]] = [[] for _ in range(len(table))]
    absent = []
    for column, places in feature_groups(names).items():
        if column not in table.columns:
            absent.append(column)
            continue
        if table[column].dtype == pl.Null:
            continue
        check_feature(table[column])
        series = _dated(table[column], known)
        if "=" not in names[places[0]]:
            out[:, places[0]] = _plain(series, known)
        else:
            _one_hot(series, [names[j].partition("=")[2] for j in places], np.array(places), out, unseen)
    return Encoded(out, tuple(absent), unseen)


def _plain(column: pl.Series, known: pl.DataFrame | None) -> Array:
    """Return a true/false column, or a number that was standardised."""
    before = _years(known[column.name] if known is not None and column.name in known.columns else column)
    column = _years(column)
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(f"the column {column.name!r} is {column.dtype}; it was {before.dtype} in training")
    values = column.cast(pl.Float64).to_numpy()
    if before.dtype == pl.Boolean:
        return np.asarray(np.nan_to_num(values))
    old = before.cast(pl.Float64).drop_nulls().drop_nans().to_numpy()
    spread = float(old.std()) if len(old) else 0.0
    return np.asarray((values - old.mean()) / spread if spread > 0 else np.zeros(len(values)))


def _one_hot(column: pl.Series, labels: list[str], places: Array, out: Array, unseen: list[list[str]]) -> None:
    """Write the features of one column into ``out``. Rows without any of them stay NaN."""
    column = _years(column)
    lows = [_low(label) for label in labels]
    if None not in lows and (column.dtype.is_numeric() or _all_numbers(column)):
        rows, at, texts = _numbers(column, labels, np.array(lows, dtype=np.float64))
    else:
        rows, at, texts = _texts(column, labels)
    known = at >= 0
    out[np.ix_(np.unique(rows[known]), places)] = 0.0
    out[rows[known], places[at[known]]] = 1.0
    for n in np.flatnonzero(~known):
        unseen[rows[n]].append(f"{column.name}={texts[n]}")


def _years(column: pl.Series) -> pl.Series:
    """Return the years of dates."""
    return column.cast(pl.Date, strict=False).dt.year() if column.dtype.is_temporal() else column


def _dated(column: pl.Series, known: pl.DataFrame | None) -> pl.Series:
    """Return texts that are all dates, with or without a time of day, as dates, if the column held dates in
    training."""
    before = known[column.name].dtype if known is not None and column.name in known.columns else None
    if column.dtype != pl.String or before is None or not before.is_temporal():
        return column
    dates = (
        column.str.strip_chars().str.extract(r"^(\d{4}-\d{2}-\d{2})(?:[T ].*)?$").str.to_date("%Y-%m-%d", strict=False)
    )
    return dates if dates.null_count() == column.null_count() else column


def _all_numbers(column: pl.Series) -> bool:
    """Return whether a column of texts could be one of numbers."""
    return column.dtype == pl.String and column.cast(pl.Float64, strict=False).null_count() == column.null_count()


def _low(label: str) -> float | None:
    """Return the lower end of the bin that a label such as ``18..24`` or ``18`` names; None for a text."""
    try:
        return float(label.partition("..")[0])
    except ValueError:
        return None


def _numbers(column: pl.Series, labels: list[str], lows: Array) -> tuple[Array, Array, list[str]]:
    """Return (rows, positions in ``labels`` or -1, values as text) for a column of numbers."""
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    rows = np.flatnonzero(np.isfinite(values))
    texts = [f"{v:g}" for v in values[rows]]
    if any(".." in label for label in labels):
        return rows, np.maximum(np.searchsorted(lows, values[rows], side="right") - 1, 0), texts
    place = {label: j for j, label in enumerate(labels)}
    return rows, np.array([place.get(t, -1) for t in texts], dtype=np.int64), texts


def _texts(column: pl.Series, labels: list[str]) -> tuple[Array, Array, list[str]]:
    """Return the same for the members of a column of texts or lists."""
    nested = column.dtype.is_nested()
    lists = column.cast(pl.List(pl.String)) if nested else column.cast(pl.String).str.split("|")
    long = pl.DataFrame({"row": np.arange(len(lists), dtype=np.int64), "value": lists}).explode("value")
    long = long.with_columns(pl.col("value").str.strip_chars()).filter(pl.col("value") != "")
    long = long.unique(maintain_order=True)
    place = {label: j for j, label in enumerate(labels)}
    texts = long["value"].to_list()
    return long["row"].to_numpy(), np.array([place.get(t, -1) for t in texts], dtype=np.int64), texts
