"""Convert times of any kind to int64 seconds since 1970-01-01 UTC.

Seconds, milli-, micro- and nanoseconds, days as numbers (20200705), years, spreadsheet days, ISO text and the usual
written forms are distinguished by examining the whole column. Ambiguous times are refused.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.arrays import Array, filled, group_kernels, is_plain
from cofactor.data.times.written_dates import AN_ORDER, NO_DATES, ORDERS, by_form, either_order, parse
from cofactor.errors import DataError

DAY = 86_400
ORDER_LIMIT = 100_000_000
"""Numbers below this (1973 as seconds since 1970) give only the order of the rows, not dates."""
_UNITS = (
    (1e11, 1, ""),
    (1e14, 1_000, "milliseconds"),
    (1e17, 1_000_000, "microseconds"),
    (float("inf"), 10**9, "nanoseconds"),
)
"""Largest number, units per second, name."""
_SPREADSHEET_EPOCH = 25_569
"""1970-01-01 in spreadsheet days (counted from 1899-12-30)."""
_JULIAN_EPOCH, _JULIAN = 2_440_587.5, (2_415_020, 2_488_070)
"""1970-01-01 as a Julian day, and the Julian days of 1900 to 2100."""
_SINCE_OTHER_YEARS = (
    ((116_000_000_000_000_000, 140_000_000_000_000_000), 11_644_473_600, "file times of Windows (since 1601)"),
    ((620_000_000_000_000_000, 650_000_000_000_000_000), 62_135_596_800, "ticks of .NET (since the year 1)"),
)
"""Counts of tenths of a microsecond: range, the seconds before 1970 at which they start, and their name."""


_YEAR_1900, _YEAR_1980, _YEAR_1995, _YEAR_2100 = -2_208_988_800, 315_532_800, 788_918_400, 4_102_444_800


def to_seconds(
    values: pl.Series, name: str, *, in_order: bool = False, dates: str | None = None
) -> tuple[Array, str | None]:
    """Return int64 seconds, and a note if the unit or the format had to be guessed.

    Numbers are classified by their size over the whole column: seconds, milli-, micro- or nanoseconds, dates such as
    20200705, years, spreadsheet days, or (below 100,000,000) a mere order, which is kept unchanged; ``in_order``
    declares such an order. Text without an offset is UTC. ``dates``: the order of dates of three numbers (``dmy``,
    ``mdy``, ``ymd``), the format of all times, as for strptime, or ``order``, like ``in_order``. Raises DataError for
    the first row that is missing or not a time, for columns of several units, and for dates whose day and month are
    ambiguous.
    """
    in_order = in_order or dates == NO_DATES
    if dates is not None and "%" in dates and not values.dtype.is_temporal():
        values, note = by_form(values, name, dates), None
    elif values.dtype == pl.String:
        values, note = parse(values, name, dates)
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
        return _from_floats(values.to_numpy().astype(np.float64), name, in_order, dates)
    in_parts = is_plain(values) and values.n_chunks() > 1
    numbers = filled(values, np.int64) if in_parts else values.to_numpy().astype(np.int64, copy=False)
    return from_integers(numbers, name, in_order=in_order, dates=dates)


def from_integers(
    numbers: Array,
    name: str,
    *,
    in_order: bool = False,
    dates: str | None = None,
    limits: tuple[int, int] | None = None,
) -> tuple[Array, str | None]:
    """Return the same for whole numbers (int64), none of them missing. ``limits``: their :func:`extent`, if it is
    known."""
    if not len(numbers):
        return numbers, None
    in_order = in_order or dates == NO_DATES
    low, high = limits or extent(numbers)
    if in_order and high < ORDER_LIMIT:
        return numbers, None
    if low >= 19_000_101 and high <= 21_001_231 and (found := _from_digits(numbers)) is not None:
        return found, f"times of column {name!r} are read as dates such as {low}, by their digits"
    if (
        low >= 190_001
        and high <= 210_012
        and len(numbers) > 1
        and (months := _from_digits(numbers * 100 + 1)) is not None
    ):
        return (
            months,
            f"times of column {name!r} are read as months such as {low}, by their digits; a month counts as its first"
            " day",
        )
    if low >= 1_900 and high <= 2_100:
        found = (numbers - 1970).astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
        return found, f"times of column {name!r} are read as years, by their size; a year counts as its 1 January"
    if low >= 30_000 and high <= 60_000:
        return (
            numbers - _SPREADSHEET_EPOCH
        ) * DAY, f"times of column {name!r} are days of a spreadsheet, by their size"
    if low >= 1_900_010_100 and (by_digits := _digits_with_clock(numbers, low, high)) is not None:
        return by_digits, f"times of column {name!r} are dates and times such as {low}, by their digits"
    for limits, since, said in _SINCE_OTHER_YEARS:
        if limits[0] <= low and high <= limits[1]:
            return numbers // 10_000_000 - since, f"times of column {name!r} are {said}, by their size"
    divisor, unit = _unit(low, high, name)
    if low // divisor > _YEAR_2100:
        raise DataError(
            f"the times of column {name!r}, such as {low}, would all lie after the year 2100, so their unit is"
            " unknown; write them as seconds since 1970 or as dates, or pass time=False"
        )
    if divisor == 1:
        if low >= 1_011_900 and high <= 31_122_100 and (years_last := _digits_year_last(numbers, name, dates)):
            return years_last
        if low > -ORDER_LIMIT and high < ORDER_LIMIT:
            return numbers, f"times of column {name!r} {AN_ORDER}, by their size"
        return numbers, None
    _one_unit(numbers, divisor, unit, name)
    return numbers // divisor, f"times of column {name!r} are {unit}, by their size"


def _from_floats(numbers: Array, name: str, in_order: bool, dates: str | None) -> tuple[Array, str | None]:
    if not len(numbers):
        return numbers.astype(np.int64), None
    low, high = float(numbers.min()), float(numbers.max())
    if not in_order and low >= 20_000 and high <= 60_000:
        seconds = np.floor((numbers - _SPREADSHEET_EPOCH) * DAY + 0.5).astype(np.int64)
        return seconds, f"times of column {name!r} are days of a spreadsheet, by their size"
    if not in_order and low >= _JULIAN[0] and high <= _JULIAN[1]:
        seconds = np.floor((numbers - _JULIAN_EPOCH) * DAY + 0.5).astype(np.int64)
        return seconds, f"times of column {name!r} are Julian days, by their size"
    if low >= -(2**62) and high <= 2**62 and bool((numbers == np.floor(numbers)).all()):
        when, note = from_integers(numbers.astype(np.int64), name, in_order=in_order, dates=dates)
        if len(numbers) >= 10 and low >= 1e8 and bool((numbers % 1e5 == 0).all()):
            rounded = (
                f"times of column {name!r} were rounded by a spreadsheet to values such as {low:.1E}: their last"
                " digits are lost"
            )
            note = rounded if note is None else f"{rounded}; {note}"
        return when, note
    if high >= 2**62:
        raise DataError(f"a time of column {name!r} is {high:g}, which is not a time")
    divisor, unit = _unit(low, high, name)
    if divisor > 1:
        _one_unit(numbers, divisor, unit, name)
    elif low >= 0 and high < 10_000 and not in_order:  # many fractions of a small number: an order would be lost
        raise DataError(
            f"the times of column {name!r} are fractions from {low:g} to {high:g} in an unknown unit; give seconds,"
            " dates or date-times, or time=False"
        )
    seconds = np.floor(numbers / divisor).astype(np.int64)
    if not unit and is_order(seconds):
        return seconds, f"times of column {name!r} {AN_ORDER}, by their size, of which fractions are left out"
    return seconds, f"times of column {name!r} are {unit}, by their size" if unit else None


def _one_unit(numbers: Array, divisor: int, unit: str, name: str) -> None:
    """Raise DataError if some numbers are in a smaller unit than the largest."""
    other = (numbers > ORDER_LIMIT) & (numbers // divisor < ORDER_LIMIT // 10)
    if other.any():
        row = int(np.argmax(other))
        raise DataError(
            f"the times of column {name!r} mix several units: {numbers[row]} in row {row + 1} cannot be {unit} like"
            " the others; write them all in one unit"
        )


def _from_digits(numbers: Array) -> Array | None:
    """Return dates written as the digits of a number; None if one is not a date."""
    years, months, days = numbers // 10_000, numbers // 100 % 100, numbers % 100
    if not ((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)).all():
        return None
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    found = first.astype("datetime64[D]") + (days - 1).astype("timedelta64[D]")
    if (found.astype("datetime64[M]") != first).any():  # 31 February
        return None
    seconds: Array = found.astype("datetime64[s]").astype(np.int64)
    return seconds


def _digits_with_clock(numbers: Array, low: int, high: int) -> Array | None:
    """Return dates with a time of day written as the digits of a number: 2019071123, 201907112316, 20190711231613; None
    if one is not such a time."""
    for digits, pairs in ((100, 1), (10_000, 2), (1_000_000, 3)):
        if low >= 19_000_101 * digits and high <= 21_001_231 * digits + digits:
            days = _from_digits(numbers // digits)
            clock = numbers % digits * 100 ** (3 - pairs)
            hours, minutes, seconds = clock // 10_000, clock // 100 % 100, clock % 100
            if days is None or (hours > 23).any() or (minutes > 59).any() or (seconds > 59).any():
                return None
            found: Array = days + hours * 3600 + minutes * 60 + seconds
            return found
    return None


def _digits_year_last(numbers: Array, name: str, dates: str | None) -> tuple[Array, str] | None:
    """Return dates as digits with the year last: 31122019, 12312019. Returns None if one is not such a date; raises
    DataError if day and month are ambiguous."""
    first, second, years = numbers // 1_000_000, numbers // 10_000 % 100, numbers % 10_000
    if (len(numbers) < 5 and dates is None) or (years < 1_900).any() or (years > 2_100).any():
        return None
    found = {
        order: days
        for order, day, month in (("dmy", first, second), ("mdy", second, first))
        if dates in (None, order) and (days := _from_digits(years * 10_000 + month * 100 + day)) is not None
    }
    if len(found) == 1:
        order, days = found.popitem()
        return days, f"times of column {name!r} are dates such as {numbers[0]}, by their digits, with {ORDERS[order]}"
    if found:
        raise DataError(either_order(name, str(numbers[0])))
    return None


def far_times(times: Array, limits: tuple[int, int] | None = None) -> str | None:
    """What to say of times that probably stand for none (of 1970-01-01 or after 2100, where most are not), or that all
    lie where none is likely. ``limits``: their :func:`extent`, where it is known."""
    if len(times) < 10:
        return None
    low, high = limits or extent(times)
    late, early = low > time.time() + 366 * DAY, high < _YEAR_1900
    if late or early or (ORDER_LIMIT < low <= high < _YEAR_1995 and (times % DAY != 0).any()):
        first, last = (np.datetime64(at, "s").astype("datetime64[D]") for at in (low, high))
        calendar = ", or dates of another calendar (2020 is 2563 in Thailand, 1399 in Iran)" if late or early else ""
        return (
            f"all times lie between {first} and {last}, which is unlikely: they may be seconds since another year than"
            f" 1970 (1904 and 2001 on Apple's systems){calendar}; dates of the usual one can be given in place of them"
        )
    if (low > DAY and high <= _YEAR_2100) or is_order(times):
        return None
    odd = (np.abs(times) <= DAY) | (times > _YEAR_2100)
    n = int(odd.sum())
    if not n or 2 * n > len(times) or int(np.abs(times[~odd]).min()) < _YEAR_1980:
        ahead = float((times > time.time() + 366 * DAY).mean())
        if low < _YEAR_1980 and ahead > 0.01:
            first, last = (np.datetime64(at, "s").astype("datetime64[D]") for at in (low, high))
            return (
                f"the times lie between {first} and {last}, {ahead:.0%} of them in the future, so they may not be"
                " seconds since 1970 but count from another moment, such as the first of each user; splits by time use"
                " them unchanged"
            )
        return None
    day = np.datetime64(int(times[np.argmax(odd)]), "s").astype("datetime64[D]")
    return (
        f"{n:,} times are far from the others, such as {day} in row {int(np.argmax(odd)) + 1}: they may mean"
        " 'unknown', but splits by time use them unchanged"
    )


def extent(numbers: Array) -> tuple[int, int]:
    """Return the lowest and highest of whole numbers."""
    if len(numbers) < _FEW:
        return int(numbers.min()), int(numbers.max())
    low, high = group_kernels().extent(numbers)
    return int(low), int(high)


_FEW = 1_000_000
"""Below this many numbers, two passes of NumPy are as fast as loading a kernel."""


def _unit(lowest: Any, highest: Any, name: str) -> tuple[int, str]:
    largest = max(abs(float(lowest)), abs(float(highest)))
    return next((d, u) for limit, d, u in _UNITS if largest < limit)


def is_order(times: Array) -> bool:
    """Return whether these numbers only give the order of the rows: none is a time before 1967 or after 1973."""
    return bool(len(times)) and int(times.min()) > -ORDER_LIMIT and int(times.max()) < ORDER_LIMIT


def moment(value: object, *, in_order: bool = False) -> int:
    """One moment as seconds, read by the same rules as a column: a number, a text, a date or a date-time."""
    if isinstance(value, bool) or value is None or (isinstance(value, dt.date) and value != value):  # NaT is not itself
        raise DataError(f"{value!r} is not a date or time; give seconds, a date or a text such as 1998-03-01")
    if isinstance(value, (int, np.integer)) and abs(int(value)) < 2**62:
        return int(from_integers(np.array([int(value)]), "time", in_order=in_order)[0][0])
    if isinstance(value, (str, dt.date)):
        try:
            return int(to_seconds(pl.Series([value]), "time", in_order=in_order)[0][0])
        except (DataError, UnicodeEncodeError):
            raise DataError(
                f"{value!r} is not a date or time; use a form such as 1998-03-01 or 1998-03-01T12:00"
            ) from None
    raise DataError(f"{value!r} is not a date or time; give seconds, a date or an ISO text")
