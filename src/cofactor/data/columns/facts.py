"""Recognise columns whose value depends only on the user or only on the item: attributes of these, not of a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from cofactor.data.columns.contents import counts_rows, holds_moments, is_behaviour
from cofactor.data.columns.names import says_attribute, words_of
from cofactor.data.columns.values import as_numbers
from cofactor.data.kind import says_amount
from cofactor.data.times.timestamps import DAY, to_seconds
from cofactor.data.times.written_dates import is_time as is_written_time
from cofactor.errors import DataError

_ASIDE = "id index lat lon latitude longitude year month day hour minute second weekday"
_NO_VALUES = frozenset(_ASIDE.split())


def is_fact(sample: pl.DataFrame, name: str, ids: Sequence[str]) -> bool:
    """Return whether a column has one value for all rows of a user (or of an item), but differs among users (or
    items)."""
    if sample[name].n_unique() < 2:
        return False
    for one in ids:
        seen = sample.select(pl.col(one).alias("id"), pl.col(name).alias("value")).drop_nulls()
        often = (
            seen.group_by("id").agg(pl.len(), pl.col("value").n_unique().alias("different")).filter(pl.col("len") > 1)
        )
        if len(often) >= 3 and int(often["len"].sum()) >= 10 and bool((often["different"] == 1).all()):
            return True
    return False


def is_finer(sample: pl.DataFrame, name: str, one: str) -> bool:
    """Return whether nearly all values that repeat occur with one user (or one item) alone, as the ids of its parts do:
    an album has one artist."""
    seen = sample.select(pl.col(name).alias("value"), pl.col(one).alias("id")).drop_nulls()
    often = seen.group_by("value").agg(pl.len(), pl.col("id").n_unique().alias("different")).filter(pl.col("len") > 1)
    rows = int(often["len"].sum())
    return len(often) >= 3 and rows >= 10 and int(often.filter(pl.col("different") == 1)["len"].sum()) >= 0.95 * rows


def may_be_ids(values: pl.Series, role: str) -> bool:
    """Return whether a column that is left over may hold ids: it is not by its name an amount or a total, nor an
    attribute (a tag, a city) in place of a user, and holds no decimals and no times."""
    said = words_of(values.name)
    if _AMOUNTS & set(said) or (role == "user" and says_attribute(values.name)):
        return False
    return not (says_amount(values.name) or values.dtype.is_float() or values.dtype.is_temporal())


_SUMS = "total totals sum average avg mean count counts number rate share percent"
_AMOUNTS = frozenset(_SUMS.split())


def finest_time(sample: pl.DataFrame, names: Sequence[str]) -> str | None:
    """Of columns of moments the one of which all others say the day, here or in another zone; None where they say
    different moments."""
    try:
        times = {name: to_seconds(sample[name], name)[0] for name in names}
    except DataError:
        return None
    days = {name: bool((when % DAY == 0).all()) for name, when in times.items()}
    fine = [name for name in names if not days[name]]
    if len(fine) != 1:
        return None
    apart = [np.abs(times[name] - times[fine[0]] + DAY // 2).max() for name in names if days[name]]
    return fine[0] if max(apart) <= 1.2 * DAY else None


def varies(sample: pl.DataFrame, name: str, item: str) -> bool:
    """Return whether a column of numbers varies within the rows of an item."""
    values = sample[name]
    if not values.dtype.is_numeric() and (values.dtype != pl.String or as_numbers(values.drop_nulls()).null_count()):
        return False
    seen = sample.select(pl.col(item).alias("item"), pl.col(name).alias("value")).drop_nulls()
    often = seen.group_by("item").agg(pl.len(), pl.col("value").n_unique().alias("different")).filter(pl.col("len") > 1)
    return not len(often) or bool((often["different"] > 1).any())


def may_be_a_value(sample: pl.DataFrame, name: str, ids: Sequence[str]) -> bool:
    """Whether a column that no name tells holds numbers, or few texts (yes and no), that differ from row to row of a
    user and of an item: no ids, no moments and no numbers of the rows."""
    values = sample[name]
    if is_behaviour(values):
        return not set(words_of(name)) & _NO_VALUES and not is_fact(sample, name, ids)
    if values.dtype == pl.String and values.str.contains(r"\d").any() and not is_written_time(values):
        values = as_numbers(values)
    if values.dtype == pl.Duration:
        values = values.dt.total_milliseconds()
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean) or values.drop_nulls().n_unique() < 2:
        return False
    if set(words_of(name)) & _NO_VALUES or name.lower().endswith("id"):
        return False
    if values.dtype != pl.Boolean and (holds_moments(values) or counts_rows(values)):
        return False
    return not is_fact(sample, name, ids)
