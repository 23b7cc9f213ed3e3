"""Times of any kind -> int64 seconds since 1970-01-01 UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.arrays import Array, filled, is_plain
from cofactor.errors import DataError

_UNITS = (
    (1e11, 1, ""),
    (1e14, 1_000, "milliseconds"),
    (1e17, 1_000_000, "microseconds"),
    (float("inf"), 10**9, "nanoseconds"),
)
"""Largest number, numbers a second, name."""


def to_seconds(values: pl.Series, name: str) -> tuple[Array, str | None]:
    """int64 seconds, and a note where a unit had to be guessed from the size of the numbers.

    Numbers are seconds below 1e11, else milli-, micro- or nanoseconds. Text is read as ISO dates or times; without an
    offset they are UTC. DataError names the first row that is missing or no time.
    """
    if values.dtype == pl.String:
        values = _parse(values, name)
    missing = values.is_null()
    if values.dtype.is_float():
        missing = missing | ~values.is_finite().fill_null(False)
    if missing.any():
        row = int(missing.arg_max() or 0)
        raise DataError(
            f"time missing in row {row + 1} (column {name!r}); fill it in, drop the row, or pass time=False to do"
            f" without times"
        )
    if values.dtype.is_temporal() and values.dtype not in (pl.Time, pl.Duration):
        if values.dtype == pl.Date:
            return values.cast(pl.Int64).to_numpy() * 86_400, None
        return values.dt.epoch("s").cast(pl.Int64).to_numpy(), None
    if not values.dtype.is_numeric():
        raise DataError(
            f"column {name!r} has type {values.dtype}, which is not a time; give seconds, dates or date-times"
        )
    if values.dtype.is_float():
        divisor, unit = _unit(values.min(), values.max(), name) if len(values) else (1, None)
        return np.floor(values.to_numpy() / divisor).astype(np.int64), unit
    in_parts = is_plain(values) and values.n_chunks() > 1
    return from_integers(filled(values, np.int64) if in_parts else values.to_numpy().astype(np.int64, copy=False), name)


def from_integers(numbers: Array, name: str) -> tuple[Array, str | None]:
    """The same of whole numbers (int64), none of them missing."""
    divisor, unit = _unit(numbers.min(), numbers.max(), name) if len(numbers) else (1, None)
    return numbers if divisor == 1 else numbers // divisor, unit


def _unit(lowest: Any, highest: Any, name: str) -> tuple[int, str | None]:
    largest = max(abs(float(lowest)), abs(float(highest)))
    divisor, unit = next((d, u) for limit, d, u in _UNITS if largest < limit)
    return divisor, f"times of column {name!r} are {unit}, by their size" if unit else None


def moment(value: object) -> int:
    """One moment as seconds: an int, an ISO text, a date or a date-time (UTC unless it says otherwise)."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise DataError(
                f"{value!r} is not a date or time; use a form such as 1998-03-01 or 1998-03-01T12:00"
            ) from None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    if isinstance(value, dt.datetime):
        value = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return int(value.timestamp())
    raise DataError(f"{value!r} is not a date or time; give seconds, a date or an ISO text")


def _parse(values: pl.Series, name: str) -> pl.Series:
    text = values.str.strip_chars()
    text = text.set(text == "", None)
    present = text.drop_nulls()
    numbers = text.cast(pl.Int64, strict=False)
    if numbers.null_count() == text.null_count():
        return numbers
    floats = text.cast(pl.Float64, strict=False)
    if floats.null_count() == text.null_count():
        return floats
    parsers: tuple[Callable[[pl.Series], pl.Series], ...] = (
        lambda s: s.str.to_date("%Y-%m-%d", strict=False),
        lambda s: s.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us"),
        lambda s: s.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us"),
        lambda s: s.str.to_datetime("%+", strict=False, time_unit="us", time_zone="UTC"),
        lambda s: s.str.to_datetime("%Y-%m-%d %H:%M", strict=False, time_unit="us"),
        lambda s: s.str.to_date("%d-%b-%Y", strict=False),
        lambda s: s.str.to_date("%Y/%m/%d", strict=False),
    )
    for parse in parsers:
        try:
            if parse(present.head(1)).null_count():
                continue
            parsed: pl.Series = parse(text)
        except pl.exceptions.PolarsError:
            continue
        bad = parsed.is_null() & text.is_not_null()
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise DataError(f"row {row + 1} of column {name!r} is not a time like the others: {values[row]!r}")
        return parsed
    raise DataError(
        f"column {name!r} has no times that can be read, such as {present[0]!r}; write ISO dates or seconds"
    )
