"""Times of any kind -> int64 seconds since 1970-01-01 UTC.

Seconds, milli-, micro- and nanoseconds, days as numbers (20200705), years, the days of a spreadsheet, ISO text and the
usual written forms are told apart by looking at the whole column. What cannot be told apart is refused.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.arrays import Array, filled, is_plain
from cofactor.errors import DataError

DAY = 86_400
ORDER_LIMIT = 100_000_000
"""Numbers below this are no seconds since 1970 (it was 1973 then): they say the order of the rows, no date."""
_UNITS = (
    (1e11, 1, ""),
    (1e14, 1_000, "milliseconds"),
    (1e17, 1_000_000, "microseconds"),
    (float("inf"), 10**9, "nanoseconds"),
)
"""Largest number, numbers a second, name."""
_SPREADSHEET_EPOCH = 25_569
"""1970-01-01 as a spreadsheet counts days (from 1899-12-30)."""

_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f %#z",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y.%m.%d",
    "%Y.%m.%d %H:%M:%S%.f",
    "%Y%m%dT%H%M%S",
    "%Y%m%d %H:%M:%S",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%m %d, %Y",
    "%d %b %Y %H:%M:%S",
    "%d-%b-%Y %H:%M:%S",
    "%b %d, %Y %H:%M:%S",
    "%b %d, %Y %I:%M:%S %p",
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S %z",
    "%d/%b/%Y",
)
_NUMERIC_DATE = (
    r"^(\d{1,2})([/.\-])(\d{1,2})[/.\-](\d{4}|\d{2})"
    r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?$"
)


def to_seconds(values: pl.Series, name: str, *, in_order: bool = False) -> tuple[Array, str | None]:
    """int64 seconds, and a note where the unit or the form had to be guessed.

    Numbers are told apart by their size over the whole column: seconds, milli-, micro- or nanoseconds, dates such as
    20200705, years, days of a spreadsheet, or (below 100,000,000) a mere order, which stays as it is; ``in_order`` says
    that it is one. Text without an offset is UTC. DataError for the first row that is missing or no time, for columns
    of several units, and for dates whose day cannot be told from the month.
    """
    if values.dtype == pl.String:
        values, note = _parse(values, name)
    else:
        note = None
    missing = values.is_null()
    if values.dtype.is_float():
        missing = missing | ~values.is_finite().fill_null(False)
    if missing.any():
        row = int(missing.arg_max() or 0)
        several = int(missing.sum())
        raise DataError(
            f"time missing in row {row + 1} (column {name!r}){f', and in {several - 1:,} more' if several > 1 else ''};"
            f" fill it in, drop the row, or pass time=False to do without times (on the command line --no-time)"
        )
    if values.dtype.is_temporal() and values.dtype not in (pl.Time, pl.Duration):
        if values.dtype == pl.Date:
            return values.cast(pl.Int64).to_numpy() * DAY, note
        return values.dt.epoch("s").cast(pl.Int64).to_numpy(), note
    if not values.dtype.is_numeric():
        raise DataError(
            f"column {name!r} has type {values.dtype}, which is not a time; give seconds, dates or date-times"
        )
    if values.dtype.is_float():
        return _from_floats(values.to_numpy().astype(np.float64), name, in_order)
    in_parts = is_plain(values) and values.n_chunks() > 1
    numbers = filled(values, np.int64) if in_parts else values.to_numpy().astype(np.int64, copy=False)
    return from_integers(numbers, name, in_order=in_order)


def from_integers(numbers: Array, name: str, *, in_order: bool = False) -> tuple[Array, str | None]:
    """The same of whole numbers (int64), none of them missing."""
    if not len(numbers):
        return numbers, None
    low, high = int(numbers.min()), int(numbers.max())
    if in_order and high < ORDER_LIMIT:
        return numbers, None
    if low >= 19_000_101 and high <= 21_001_231 and (found := _from_digits(numbers)) is not None:
        return found, f"times of column {name!r} are dates such as {low}, by their digits"
    if low >= 1_900 and high <= 2_100:
        found = (numbers - 1970).astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
        return found, f"times of column {name!r} are years, by their size; a year counts as its 1 January"
    if low >= 30_000 and high <= 60_000:
        return (
            numbers - _SPREADSHEET_EPOCH
        ) * DAY, f"times of column {name!r} are days of a spreadsheet, by their size"
    divisor, unit = _unit(low, high, name)
    if divisor == 1:
        if low >= 0 and high < ORDER_LIMIT:
            return numbers, f"times of column {name!r} are an order and no dates, by their size"
        return numbers, None
    _one_unit(numbers, divisor, unit, name)
    return numbers // divisor, f"times of column {name!r} are {unit}, by their size"


def _from_floats(numbers: Array, name: str, in_order: bool) -> tuple[Array, str | None]:
    if not len(numbers):
        return numbers.astype(np.int64), None
    low, high = float(numbers.min()), float(numbers.max())
    if not in_order and low >= 20_000 and high <= 60_000:
        seconds = np.floor((numbers - _SPREADSHEET_EPOCH) * DAY + 0.5).astype(np.int64)
        return seconds, f"times of column {name!r} are days of a spreadsheet, by their size"
    if low >= -(2**62) and high <= 2**62 and bool((numbers == np.floor(numbers)).all()):
        return from_integers(numbers.astype(np.int64), name, in_order=in_order)
    if high >= 2**62:
        raise DataError(f"a time of column {name!r} is {high:g}, which is not a time")
    divisor, unit = _unit(low, high, name)
    if divisor > 1:
        _one_unit(numbers, divisor, unit, name)
    elif low >= 0 and high < 10_000 and not in_order:  # many a fraction of a small number: an order would be lost
        raise DataError(
            f"the times of column {name!r} are fractions from {low:g} to {high:g}, of no unit that can be told;"
            " give seconds, dates or date-times, or time=False"
        )
    return np.floor(numbers / divisor).astype(np.int64), (
        f"times of column {name!r} are {unit}, by their size" if unit else None
    )


def _one_unit(numbers: Array, divisor: int, unit: str, name: str) -> None:
    """DataError where some of the numbers are of a smaller unit than the largest."""
    other = (numbers > ORDER_LIMIT) & (numbers // divisor < ORDER_LIMIT // 10)
    if other.any():
        row = int(np.argmax(other))
        raise DataError(
            f"the times of column {name!r} are of several units: {numbers[row]} in row {row + 1} cannot be {unit} like"
            " the others; write them all in one"
        )


def _from_digits(numbers: Array) -> Array | None:
    """Dates written as the digits of a number; None where one is not a date."""
    years, months, days = numbers // 10_000, numbers // 100 % 100, numbers % 100
    if not ((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)).all():
        return None
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    found = first.astype("datetime64[D]") + (days - 1).astype("timedelta64[D]")
    if (found.astype("datetime64[M]") != first).any():  # 31 February
        return None
    seconds: Array = found.astype("datetime64[s]").astype(np.int64)
    return seconds


def _unit(lowest: Any, highest: Any, name: str) -> tuple[int, str]:
    largest = max(abs(float(lowest)), abs(float(highest)))
    return next((d, u) for limit, d, u in _UNITS if largest < limit)


def is_order(times: Array) -> bool:
    """Whether these are numbers that only say the order of the rows: none is negative or a moment after 1973."""
    return bool(len(times)) and int(times.min()) >= 0 and int(times.max()) < ORDER_LIMIT


def moment(value: object, *, in_order: bool = False) -> int:
    """One moment as seconds, read by the same rules as a column: a number, a text, a date or a date-time."""
    if isinstance(value, bool) or value is None:
        raise DataError(f"{value!r} is not a date or time; give seconds, a date or a text such as 1998-03-01")
    if isinstance(value, (int, np.integer)):
        return (
            int(from_integers(np.array([int(value)]), "time", in_order=in_order)[0][0])
            if abs(int(value)) < 2**62
            else int(value)
        )
    if isinstance(value, (str, dt.date)):
        try:
            return int(to_seconds(pl.Series([value]), "time", in_order=in_order)[0][0])
        except DataError:
            raise DataError(
                f"{value!r} is not a date or time; use a form such as 1998-03-01 or 1998-03-01T12:00"
            ) from None
    raise DataError(f"{value!r} is not a date or time; give seconds, a date or an ISO text")


def is_time(values: pl.Series) -> bool:
    """Whether a column of text holds times in one of the written forms (no numbers)."""
    present = values.drop_nulls()
    if values.dtype != pl.String or not len(present) or not present.str.contains(r"\d").all():
        return False
    if present.head(50).cast(pl.Float64, strict=False).null_count() < min(len(present), 50):
        return False
    try:
        return not _parse(present, "")[0].null_count()
    except DataError as error:
        return "the month" in str(error)


def _parse(values: pl.Series, name: str) -> tuple[pl.Series, str | None]:
    """Text as numbers or date-times; null where the text is null or blank. And a note where the form was guessed."""
    text = values.str.strip_chars()
    text = text.set(text.is_in(["", "\\N", "NULL", "null", "NaN", "nan", "NaT", "None", "NA"]), None)
    present = text.drop_nulls()
    if not len(present):
        return pl.Series(values.name, [None] * len(values), dtype=pl.Int64), None
    for dtype in (pl.Int64, pl.Float64):
        numbers = text.cast(dtype, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers, None
    text = (
        text.str.replace(r"^(\d{4}-\d{2})$", "$1-01")
        .str.replace(r"\s*(UTC|GMT)$", "")
        .str.replace(r"(\d)Z$", "$1+00:00")
        .str.replace(r"^\((.*)\)$", "$1")
    )
    present = text.drop_nulls()
    written = _written(text, present, name)
    if written is not None:
        return written
    unlike: tuple[int, Any] | None = None
    for form in _FORMATS:
        if _datetimes(present.head(50), form).null_count() == min(len(present), 50):
            continue
        parsed = _datetimes(text, form)
        day = form.split("%H")[0].rstrip(" T:")
        if day != form and parsed.null_count() > text.null_count():  # a date alone here and there
            parsed = parsed.zip_with(parsed.is_not_null(), _datetimes(text, day).cast(parsed.dtype))
        bad = parsed.is_null() & text.is_not_null()
        if not bad.any():
            return parsed, None
        row = int(bad.arg_max() or 0)
        unlike = max(unlike or (row, values[row]), (row, values[row]), key=lambda found: found[0])
    if unlike is not None:
        raise DataError(f"row {unlike[0] + 1} of column {name!r} is not a time like the others: {unlike[1]!r}")
    raise DataError(
        f"column {name!r} has no times that can be read, such as {present[0]!r}; write ISO dates or seconds"
    )


def _datetimes(text: pl.Series, form: str) -> pl.Series:
    zoned = "z" in form
    try:
        found = (
            text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC" if zoned else None)
            if "%H" in form or "%I" in form
            else text.str.to_date(form, strict=False)
        )
    except pl.exceptions.PolarsError:
        return pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    return found


def _written(text: pl.Series, present: pl.Series, name: str) -> tuple[pl.Series, str | None] | None:
    """Dates of three numbers, the year last: 12/31/2019 8:26, 31.12.2019, 1-2-19; None where they are none."""
    if not present.head(1).str.contains(_NUMERIC_DATE)[0]:
        return None
    parts = text.str.extract_groups(_NUMERIC_DATE).struct.unnest()
    a, mark, b, year, hour, minute, second, half = (parts.to_series(i) for i in range(8))
    bad = a.is_null() & text.is_not_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(f"row {row + 1} of column {name!r} is not a time like the others: {text[row]!r}")
    first, last = a.cast(pl.Int64), b.cast(pl.Int64)
    day_first, month_first = (first > 12).any(), (last > 12).any()
    if day_first and month_first:
        row = int((first > 12).arg_max() or 0)
        raise DataError(
            f"the dates of column {name!r} are of two forms: some have the month first, but row {row + 1} is"
            f" {text[row]!r}; write ISO dates (2019-12-31)"
        )
    if not day_first and not month_first and mark.drop_nulls()[0] != ".":
        raise DataError(
            f"the day cannot be told from the month in the dates of column {name!r}, such as {present[0]!r}; write ISO"
            " dates (2019-12-31), or pass time=False"
        )
    order = "month first" if month_first else "day first"
    day, month = (last, first) if month_first else (first, last)
    years = year.cast(pl.Int64)
    frame = pl.DataFrame({"d": day, "m": month, "y": years, "h": hour.cast(pl.Int64).fill_null(0)})
    frame = frame.with_columns(
        minute.cast(pl.Int64).fill_null(0).alias("min"),
        second.cast(pl.Int64).fill_null(0).alias("s"),
        half.str.to_lowercase().alias("half"),
        pl.when(pl.col("y") < 69)
        .then(pl.col("y") + 2000)
        .when(pl.col("y") < 100)
        .then(pl.col("y") + 1900)
        .otherwise(pl.col("y"))
        .alias("y"),
    ).with_columns(
        pl.when(pl.col("half") == "pm")
        .then(pl.col("h") % 12 + 12)
        .when(pl.col("half") == "am")
        .then(pl.col("h") % 12)
        .otherwise(pl.col("h"))
        .alias("h")
    )
    try:
        found = frame.select(pl.datetime("y", "m", "d", "h", "min", "s")).to_series()
    except pl.exceptions.PolarsError:
        found = pl.Series([None] * len(text), dtype=pl.Datetime("us"))
    bad = found.is_null() & text.is_not_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(f"row {row + 1} of column {name!r} is not a date: {text[row]!r}")
    said = f"times of column {name!r} are dates with the {order}" if mark.drop_nulls()[0] != "." else None
    return found, said
