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
from cofactor.errors import ConfigError, DataError

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
_JULIAN_EPOCH, _JULIAN = 2_440_587.5, (2_415_020, 2_488_070)
"""1970-01-01 as a Julian day, and the days of 1900 to 2100."""
_SINCE_OTHER_YEARS = (
    ((116_000_000_000_000_000, 140_000_000_000_000_000), 11_644_473_600, "file times of Windows (since 1601)"),
    ((620_000_000_000_000_000, 650_000_000_000_000_000), 62_135_596_800, "ticks of .NET (since the year 1)"),
)
"""Numbers of tenths of a microsecond: from and to, the seconds before 1970 at which they begin, in words."""
_YEAR_2100 = 4_102_444_800

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
_CLOCK = r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?$"
_YEAR_LAST = r"^(\d{1,2})([/.\-])(\d{1,2})[/.\-](\d{4}|\d{2})" + _CLOCK
_YEAR_FIRST = r"^(\d{4}|\d{2})([/.\-])(\d{1,2})[/.\-](\d{1,2})" + _CLOCK
ORDERS = {"dmy": "the day first", "mdy": "the month first", "ymd": "the year first"}
"""Orders of day, month and year in a date of three numbers, in words."""


def check_dates(dates: Any) -> str | None:
    """``dates``, an order of day, month and year or a form as of strptime; ConfigError for anything else."""
    if dates is None or (isinstance(dates, str) and (dates in ORDERS or "%" in dates)):
        return dates
    raise ConfigError(
        f"dates is {dates!r}; it may be 'dmy', 'mdy', 'ymd' (the order of day, month and year) or a form such as"
        " '%d/%m/%Y %H:%M'"
    )


def to_seconds(
    values: pl.Series, name: str, *, in_order: bool = False, dates: str | None = None
) -> tuple[Array, str | None]:
    """int64 seconds, and a note where the unit or the form had to be guessed.

    Numbers are told apart by their size over the whole column: seconds, milli-, micro- or nanoseconds, dates such as
    20200705, years, days of a spreadsheet, or (below 100,000,000) a mere order, which stays as it is; ``in_order`` says
    that it is one. Text without an offset is UTC. ``dates``: the order of dates of three numbers (``dmy``, ``mdy``,
    ``ymd``), or the form of all times, as of strptime. DataError for the first row that is missing or no time, for
    columns of several units, and for dates whose day cannot be told from the month.
    """
    if dates is not None and "%" in dates and not values.dtype.is_temporal():
        values, note = _by_form(values, name, dates), None
    elif values.dtype == pl.String:
        values, note = _parse(values, name, dates)
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
    numbers: Array, name: str, *, in_order: bool = False, dates: str | None = None
) -> tuple[Array, str | None]:
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
    if low >= 1_900_010_100 and (by_digits := _digits_with_clock(numbers, low, high)) is not None:
        return by_digits, f"times of column {name!r} are dates and times such as {low}, by their digits"
    for limits, since, said in _SINCE_OTHER_YEARS:
        if limits[0] <= low and high <= limits[1]:
            return numbers // 10_000_000 - since, f"times of column {name!r} are {said}, by their size"
    divisor, unit = _unit(low, high, name)
    if low // divisor > _YEAR_2100:
        raise DataError(
            f"the times of column {name!r}, such as {low}, would all lie after the year 2100, so their unit cannot be"
            " told; write them as seconds since 1970 or as dates, or pass time=False"
        )
    if divisor == 1:
        if low >= 1_011_900 and high <= 31_122_100 and (years_last := _digits_year_last(numbers, name, dates)):
            return years_last
        if low >= 0 and high < ORDER_LIMIT:
            return numbers, f"times of column {name!r} are an order and no dates, by their size"
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
        return from_integers(numbers.astype(np.int64), name, in_order=in_order, dates=dates)
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


def _digits_with_clock(numbers: Array, low: int, high: int) -> Array | None:
    """Dates with a time of day as the digits of a number: 2019071123, 201907112316, 20190711231613; None where one is
    no such time."""
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
    """Dates as digits with the year last: 31122019, 12312019. None where one is no such date; DataError where the
    day cannot be told from the month."""
    first, second, years = numbers // 1_000_000, numbers // 10_000 % 100, numbers % 10_000
    if len(numbers) < 5 or (years < 1_900).any() or (years > 2_100).any():
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
        raise DataError(_either(name, str(numbers[0])))
    return None


def _either(name: str, shown: str) -> str:
    return (
        f"the day cannot be told from the month in the dates of column {name!r}, such as {shown!r}; say dates='dmy' or"
        " dates='mdy' where the table is read (on the command line --dates dmy), write ISO dates (2019-12-31), or pass"
        " time=False"
    )


def far_times(times: Array) -> str | None:
    """What to say of times that probably stand for none: of 1970-01-01 or after 2100, where most are not."""
    if len(times) < 10 or is_order(times):
        return None
    odd = (np.abs(times) <= DAY) | (times > _YEAR_2100)
    n = int(odd.sum())
    if not n or 2 * n > len(times) or int(np.abs(times[~odd]).min()) < 315_532_800:  # 1980
        return None
    day = np.datetime64(int(times[np.argmax(odd)]), "s").astype("datetime64[D]")
    return (
        f"{n:,} times are far from the others, such as {day} in row {int(np.argmax(odd)) + 1}: they may stand for none,"
        " and splits by time take them as they are"
    )


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


def _by_form(values: pl.Series, name: str, form: str) -> pl.Series:
    """Times of the one ``form``; numbers by their digits, with the zeros at the start that numbers lose."""
    if values.dtype.is_numeric():
        if values.dtype.is_float():
            values = values.fill_nan(None)
        text = values.cast(pl.Int64, strict=False).cast(pl.String)
        text = text.str.zfill(len(dt.datetime(2000, 11, 11, 11, 11, 11).strftime(form)))
    else:
        text = _present(values)
    parsed = _datetimes(text, form)
    bad = parsed.is_null() & text.is_not_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(f"row {row + 1} of column {name!r} is {values[row]!r}, which is not of the form dates={form!r}")
    return parsed


def _present(values: pl.Series) -> pl.Series:
    """Text without blanks around it; null where it stands for a missing value."""
    text = values.str.strip_chars()
    return text.set(text.is_in(["", "\\N", "NULL", "null", "NaN", "nan", "NaT", "None", "NA"]), None)


def _parse(values: pl.Series, name: str, dates: str | None = None) -> tuple[pl.Series, str | None]:
    """Text as numbers or date-times; null where the text is null or blank. And a note where the form was guessed."""
    text = _present(values)
    present = text.drop_nulls()
    if not len(present):
        return pl.Series(values.name, [None] * len(values), dtype=pl.Int64), None
    for dtype in (pl.Int64, pl.Float64):
        numbers = text.cast(dtype, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers, None
    text = (
        text.str.replace(r"^(\d{4}-\d{2})$", "$1-01")
        .str.replace(r"^(\d{4}-\d{2}-\d{2}[ T]\d{2})$", "$1:00")
        .str.replace(r"\s*(UTC|GMT)$", "")
        .str.replace(r"(\d)Z$", "$1+00:00")
        .str.replace(r"^\((.*)\)$", "$1")
        .str.replace(r"^(\d{4})(?:\.|年) ?(\d{1,2})(?:\.|月) ?(\d{1,2})(?:\.|日)$", "$1-$2-$3")
    )
    present = text.drop_nulls()
    written = _written(text, present, name, dates)
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
    if "%Y" in form and (short := (found.dt.year() < 1_000).fill_null(False)).any():  # 11-Jul-19 is not of the year 19
        found = found.set(short, None)
    return found


def _written(text: pl.Series, present: pl.Series, name: str, dates: str | None) -> tuple[pl.Series, str | None] | None:
    """Dates of three numbers, the year last (12/31/2019 8:26, 31.12.2019, 1-2-19) unless ``dates`` says otherwise; None
    where they are none."""
    form = _YEAR_FIRST if dates == "ymd" else _YEAR_LAST
    if not present.head(1).str.contains(form)[0]:
        return None
    parts = text.str.extract_groups(form).struct.unnest()
    a, mark, b, c, hour, minute, second, half = (parts.to_series(i) for i in range(8))
    bad = a.is_null() & text.is_not_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(f"row {row + 1} of column {name!r} is not a time like the others: {text[row]!r}")
    numbers = [part.cast(pl.Int64) for part in (a, b, c)]
    short = form == _YEAR_LAST and bool((c.str.len_chars() == 2).all())
    order = dates if dates in ORDERS else _order_of(text, numbers, mark.drop_nulls()[0], short, name)
    places = dict(zip(order, numbers))
    day, month, years = places["d"], places["m"], places["y"]
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
        asked = f" with {ORDERS[order]}, as dates={order!r} says" if dates == order else ""
        raise DataError(f"row {row + 1} of column {name!r} is not a date{asked}: {text[row]!r}")
    guessed = dates is None and mark.drop_nulls()[0] != "."
    return found, f"times of column {name!r} are dates with {ORDERS[order]}" if guessed else None


def _order_of(text: pl.Series, numbers: list[pl.Series], mark: str, short: bool, name: str) -> str:
    """``dmy``, ``mdy`` or (where years are ``short``, of two digits) ``ymd``: the only order in which all are dates of
    the past; with points between them ``dmy`` where it is one of those. DataError where none is, or several are."""
    first, middle, last = numbers
    day_first, month_first = bool((first > 12).any()), bool((middle > 12).any())
    now = dt.date.today().year + 1
    fits = []
    if not month_first and not (first > 31).any():
        fits.append("dmy")
    if not day_first and not (middle > 31).any():
        fits.append("mdy")
    if short and fits:
        if not month_first and not (last > 31).any() and not ((first < 69) & (first + 2000 > now)).any():
            fits.append("ymd")
        if ((last < 69) & (last + 2000 > now)).any():
            fits = [order for order in fits if order == "ymd"]
    elif short and not month_first and not (last > 31).any():
        fits = ["ymd"]
    if not fits:
        row = int((first > 12).arg_max() or 0)
        raise DataError(
            f"the dates of column {name!r} are of two forms: some have the month first, but row {row + 1} is"
            f" {text[row]!r}; write ISO dates (2019-12-31)"
        )
    if mark == "." and "dmy" in fits:
        return "dmy"
    if len(fits) > 1:
        raise DataError(_either(name, text.drop_nulls()[0]))
    return fits[0]
