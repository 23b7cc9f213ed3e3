"""Convert written dates and times to date-times of polars."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from cofactor.data.times.month_names import with_english_months
from cofactor.errors import ConfigError, DataError

_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f %#z",
    "%Y-%m-%d %H:%M %#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%dT%H:%M:%S%.f",
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
    "%b %d %Y",
    "%b %d %Y %I:%M%p",
    "%b %d %Y %H:%M:%S",
    "%m %d, %Y",
    "%d %b %Y %H:%M:%S",
    "%d-%b-%Y %H:%M:%S",
    "%d-%b-%Y %I:%M:%S %p",
    "%b %d, %Y %H:%M:%S",
    "%b %d, %Y %I:%M:%S %p",
    "%b %d, %Y %I:%M %p",
    "%B %d, %Y %I:%M %p",
    "%d %b %Y, %I:%M %p",
    "%d %b %Y %I:%M %p",
    "%d %b %Y, %H:%M",
    "%d %b %Y %H:%M",
    "%d-%b-%Y %H:%M",
    "%d-%b-%y %I.%M.%S%.f %p",
    "%A, %B %d, %Y",
    "%A %B %d %Y",
    "%A, %d %B %Y",
    "%a, %d %b %Y",
    "%a %b %d %Y",
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d %I:%M %p",
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S",
    "%A, %d-%b-%y %H:%M:%S",
    "%a %b %d %Y %H:%M:%S %z",
    "%a %b %d %Y %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S %z",
    "%d/%b/%Y",
    "%d%b%Y",
    "%d%b%Y:%H:%M:%S%.f",
    "%G-W%V-%u",
    "%d %B %Y",
    "%d %B, %Y",
)


_CLOCK = r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?$"
_YEAR_LAST = r"^(\d{1,2})([/.\-])(\d{1,2})[/.\-](\d{4}|\d{2})" + _CLOCK


_YEAR_FIRST = r"^(\d{4}|\d{2})([/.\-])(\d{1,2})[/.\-](\d{1,2})" + _CLOCK
ORDERS = {"dmy": "the day first", "mdy": "the month first", "ymd": "the year first"}
"""Orders of day, month and year in a date of three numbers, in words."""
NO_DATES, AN_ORDER = "order", "are an order, not dates"
"""Another value of ``dates``, and the note for it."""


class UnclearOrder(DataError):
    """The values are dates, but the order of day and month differs among them or is ambiguous."""


def check_dates(dates: Any) -> str | None:
    """Return ``dates`` if it is an order of day, month and year, or a strptime format. Raises ConfigError for anything
    else."""
    if dates is None or (isinstance(dates, str) and (dates in ORDERS or dates == NO_DATES or "%" in dates)):
        return dates
    raise ConfigError(
        f"dates is {dates!r}; it may be 'dmy', 'mdy', 'ymd' (the order of day, month and year), a format such as"
        " '%d/%m/%Y %H:%M', or 'order' (times are numbers that only give the order of the rows)"
    )


def told(note: str | None) -> str | None:
    """Return the ``dates`` option with which a column would be read in the same way, from the note on how it was read;
    None if any option would do."""
    if note is None:
        return None
    if AN_ORDER in note:
        return NO_DATES
    return next((order for order, words in ORDERS.items() if note.endswith(f" with {words}")), None)


def is_time(values: pl.Series) -> bool:
    """Return whether a column of text holds times in one of the written forms (not numbers)."""
    present = values.drop_nulls()
    present = present.str.strip_chars() if values.dtype == pl.String else present
    if values.dtype != pl.String or not len(present) or not present.str.contains(r"\d").all():
        return False
    if present.head(50).cast(pl.Float64, strict=False).null_count() < min(len(present), 50):
        return False
    try:
        return not parse(present, "")[0].null_count()
    except UnclearOrder:
        return True
    except DataError:
        return False


def seems_time(values: pl.Series) -> bool:
    """Return whether most texts of a column hold a date or a time of day in some form, which may be none that can be
    read."""
    present = values.drop_nulls().head(200)
    return values.dtype == pl.String and len(present) > 0 and float(present.str.contains(_DATED).mean() or 0) > 0.8  # type: ignore[arg-type]


_DATED = (
    r"(?i)\b(?:19|20)\d\d(?:[-/.]|, ?)\d\d?(?:[-/.]|, ?)\d\d?\b"
    r"|\b\d\d?[-/. ](?:\d\d?|[a-z]{3,9})[-/., ]+(?:19|20)\d\d\b|\d:[0-5]\d:[0-5]\d"
)


def by_form(values: pl.Series, name: str, form: str) -> pl.Series:
    """Parse times in the one ``form``. Numbers are read by their digits, with the leading zeros that they have lost."""
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
        raise DataError(f"row {row + 1} of column {name!r} is {values[row]!r}, which does not match dates={form!r}")
    return parsed


_ZONES = {
    "WET": "+00:00",
    "WEST": "+01:00",
    "CET": "+01:00",
    "CEST": "+02:00",
    "MEZ": "+01:00",
    "MESZ": "+02:00",
    "EET": "+02:00",
    "EEST": "+03:00",
    "MSK": "+03:00",
    "EST": "-05:00",
    "EDT": "-04:00",
    "CDT": "-05:00",
    "MST": "-07:00",
    "MDT": "-06:00",
    "PST": "-08:00",
    "PDT": "-07:00",
    "JST": "+09:00",
    "KST": "+09:00",
    "AEST": "+10:00",
    "AEDT": "+11:00",
    "NZST": "+12:00",
    "NZDT": "+13:00",
}
"""UTC offsets by the short names of time zones, without ambiguous names (CST, IST, BST)."""
_ZONED = r"(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(" + "|".join(_ZONES) + r")( \d{4})?$"


def _offsets(text: pl.Series) -> pl.Series:
    """Replace the short name of a time zone, or GMT+1, by its offset."""
    text = text.str.replace(r" ?(?:UTC|GMT)([+-])(\d)$", " ${1}0$2:00")
    text = text.str.replace(r" ?(?:UTC|GMT)([+-]\d{2}):?(\d{2})$", " $1:$2")
    zones = text.str.extract(_ZONED, 2)
    if zones.null_count() == len(zones):
        return text
    frame = pl.DataFrame({"text": text, "offset": zones.replace(_ZONES)})
    offset = (
        pl.when(pl.col("offset").is_null())
        .then(None)
        .otherwise(
            pl.col("text").str.replace(_ZONED, "$1 ")
            + pl.col("offset").str.replace(":", "", literal=True)
            + pl.col("text").str.extract(_ZONED, 3).fill_null("")
        )
    )
    return frame.select(offset.fill_null(pl.col("text"))).to_series()


_MONTH = r"(?i)^((?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)[\s,-]+(\d{4})$"
"""May 2015."""


_MILLISECONDS = r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$"
"""A time as .NET writes it in JSON."""


def _present(values: pl.Series) -> pl.Series:
    """Return text without blanks around it, null where it means a missing value."""
    text = values.str.strip_chars()
    return text.set(text.is_in(["", "\\N", "NULL", "null", "NaN", "nan", "NaT", "None", "NA"]), None)


def parse(values: pl.Series, name: str, dates: str | None = None) -> tuple[pl.Series, str | None]:
    """Parse text as numbers or date-times, null where the text is null or blank. Also return a note if the form was
    guessed."""
    text = _present(values)
    present = text.drop_nulls()
    if not len(present):
        return pl.Series(values.name, [None] * len(values), dtype=pl.Int64), None
    for dtype in (pl.Int64, pl.Float64):
        numbers = text.cast(dtype, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers, None
    if present.head(50).str.contains(_MILLISECONDS).all() and present.str.contains(_MILLISECONDS).all():
        return text.str.extract(_MILLISECONDS, 1).cast(pl.Int64), None
    text = with_english_months(text)
    for quarter, month in zip("1234", ("01", "04", "07", "10"), strict=True):
        text = text.str.replace(rf"^(\d{{4}})[- ]?[Qq]{quarter}$", f"$1-{month}-01")
        text = text.str.replace(rf"^[Qq]{quarter}[- /]?(\d{{4}})$", f"$1-{month}-01")
    text = text.str.replace(r"\s+\([A-Z][\w ]+\)$", "").str.replace(r" m=[+-]\d+\.\d+$", "")
    text = (
        _offsets(text)
        .str.replace(r"^(\d{4}-\d{2})$", "$1-01")
        .str.replace(r"^(\d{4})-?[Ww](\d{2})$", "$1-W$2-1")
        .str.replace(r"^(\d{4})-?[Ww](\d{2})(?:-?([1-7]))$", "$1-W$2-$3")
        .str.replace(_MONTH, "1 $1 $2")
        .str.replace(r"(\d|Z)\[[\w/+-]+\]$", "$1")
        .str.replace(r"^(\d{4}-\d{2}-\d{2}[ T]\d{2})$", "$1:00")
        .str.replace(r"\s*(UTC|GMT)$", "")
        .str.replace(r"(\d{4}),? at (\d)", "$1 $2")
        .str.replace(r"\b(\d{1,2})(?:st|nd|rd|th)\b", "$1")
        .str.replace(r"(\d)Z$", "$1+00:00")
        .str.replace(r"^\((.*)\)$", "$1")
        .str.replace(r"(?i)\b([ap])\.\s?m\.$", "${1}m")
        .str.replace(r"^(\d{4})(?:\.|年) ?(\d{1,2})(?:\.|月) ?(\d{1,2})(?:\.|日)( \d.*)?$", "$1-$2-$3$4")
        .str.replace(r"(:\d{2}),(\d{1,9})$", "$1.$2")
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
        if day != form and parsed.null_count() > text.null_count():  # some dates without a time of day
            parsed = parsed.zip_with(parsed.is_not_null(), _datetimes(text, day).cast(parsed.dtype))
        bad = parsed.is_null() & text.is_not_null()
        if not bad.any():
            return parsed, None
        row = int(bad.arg_max() or 0)
        unlike = max(unlike or (row, values[row]), (row, values[row]), key=lambda found: found[0])
    if unlike is not None:
        raise DataError(f"row {unlike[0] + 1} of column {name!r} is not a time like the others: {unlike[1]!r}")
    shown = _present(values).drop_nulls()[0]
    raise DataError(f"column {name!r} holds no readable times, such as {shown!r}; write ISO dates or seconds")


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
    if "%Y" in form and (short := (found.dt.year() < 1_000).fill_null(False)).any():  # 11-Jul-19 is not in the year 19
        found = found.set(short, None)
    return found


def _written(text: pl.Series, present: pl.Series, name: str, dates: str | None) -> tuple[pl.Series, str | None] | None:
    """Parse dates of three numbers, with the year last (12/31/2019 8:26, 31.12.2019, 1-2-19) unless ``dates`` gives
    another order; None if they are not such dates."""
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
    order = dates if dates in ORDERS else _one_order(text, numbers, mark, short, name)
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
        asked = f" with {ORDERS[order]}, as dates={order!r} demands" if dates == order else ""
        raise DataError(f"row {row + 1} of column {name!r} is not a date{asked}: {text[row]!r}")
    guessed = dates is None and mark.drop_nulls()[0] != "."
    return found, f"times of column {name!r} are dates with {ORDERS[order]}" if guessed else None


def _one_order(text: pl.Series, numbers: list[pl.Series], mark: pl.Series, short: bool, name: str) -> str:
    """Return the order of all dates. Each notation (01/02/2019, 01.02.2019) is examined by itself, because its writers
    may mean another order. Raises DataError if the notations differ in order, or if one of them is ambiguous."""
    orders: dict[str, str] = {}
    for one in mark.drop_nulls().unique(maintain_order=True):
        rows = (mark == one).fill_null(False)
        orders[one] = _order_of(text.filter(rows), [part.filter(rows) for part in numbers], one, short, name)
    if len(set(orders.values())) > 1:
        shown = [
            f"{text.filter((mark == one).fill_null(False))[0]!r} ({ORDERS[order]})" for one, order in orders.items()
        ]
        raise UnclearOrder(
            f"the dates of column {name!r} are written in several ways with different orders:"
            f" {' and '.join(shown)}; write ISO dates (2019-12-31), or set dates='dmy' or dates='mdy' for all of them"
        )
    return next(iter(orders.values()))


def _order_of(text: pl.Series, numbers: list[pl.Series], mark: str, short: bool, name: str) -> str:
    """Return ``dmy``, ``mdy`` or (if years are ``short``, of two digits) ``ymd``: the only order in which all are dates
    of the past. With points between the numbers, ``dmy`` wins if it is one of several. Raises DataError if there is
    none, or if several remain."""
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
        raise UnclearOrder(
            f"the dates of column {name!r} have two forms: some have the month first, but row {row + 1} is"
            f" {text[row]!r}; write ISO dates (2019-12-31)"
        )
    if mark == "." and "dmy" in fits:
        return "dmy"
    if len(fits) > 1:
        raise UnclearOrder(either_order(name, text.drop_nulls()[0]))
    return fits[0]


def either_order(name: str, shown: str) -> str:
    return (
        f"day and month are ambiguous in the dates of column {name!r}, such as {shown!r}; set dates='dmy' or"
        " dates='mdy' where the table is read (on the command line --dates dmy), write ISO dates (2019-12-31), or pass"
        " time=False"
    )
