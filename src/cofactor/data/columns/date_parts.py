"""Combine times that are spread over several columns into one column of times: ``date_year``, ``date_month``,
``date_day`` and maybe the hour, or ``date`` and ``time``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from cofactor.data.columns.contents import is_time_of_day
from cofactor.data.columns.names import column_of, plain_name
from cofactor.data.tables import Table
from cofactor.data.times.written_dates import is_time

PARTS = ("year", "month", "day")
CLOCK = ("hour", "minute", "second")
_LIMITS = {
    "year": (1900, 2100),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 60),
}


def with_dates(table: Table, asked: Mapping[str, Any]) -> Table:
    """Return the table with one more column: the times made of its columns of year, month and day (and hour, minute,
    second), or of its date and time-of-day columns.

    The table is returned unchanged if it has no such columns or already has a time, or if the caller named a time or
    wanted none.
    """
    if not table.headed or not (asked["time"] is None or isinstance(asked["time"], str)):
        return table
    made = _of_parts(table, asked["time"]) or _of_day_and_clock(table, asked["time"])
    if made is None:
        return table
    name, used, moments = made
    if set(used) & set(asked.values()):
        return table

    def load(columns: list[str], ids: list[str]) -> pl.DataFrame:
        if name not in columns:
            return table.load(columns, ids)
        wanted = [one for one in columns if one != name]
        frame = table.load(list(dict.fromkeys([*wanted, *used])), ids)
        return frame.with_columns(moments(frame).alias(name)).select(columns)

    sample = table.sample.with_columns(moments(table.sample).alias(name))
    stream = table.stream

    def streamed(column: str) -> Any:
        assert stream is not None
        return stream(column) if column != name else (len(load([name], [])), iter([load([name], [])[name]]))

    return replace(
        table,
        names=[*(one for one in table.names if one not in used), name],
        sample=sample,
        load=load,
        stream=None if stream is None else streamed,
        notes=[*table.notes, f"times are combined from the columns {', '.join(map(repr, used))}"],
    )


Made = tuple[str, list[str], Callable[[pl.DataFrame], pl.Series]]
"""A name, the columns that it is made of, and how."""


def _of_parts(table: Table, asked: str | None) -> Made | None:
    parts = _parts(table)
    name, used = " ".join(parts.values()), list(parts.values())
    others = [one for one in table.names if one not in used]
    if not parts or name in table.names or asked not in (None, name):
        return None
    if asked is None and column_of(table.sample, others, "time") is not None:
        return None
    return name, used, lambda frame: _moments(frame, parts)


_CLOCKS = """time clock timeofday hour uhrzeit hora heure ordertime purchasetime transactiontime invoicetime eventtime
    salestime visittime"""
_OF_DAY = frozenset(_CLOCKS.split())
"""Names of a time-of-day column that accompanies a date column."""


def _of_day_and_clock(table: Table, asked: str | None) -> Made | None:
    """Combine ``date`` and ``time``, where these hold days and times of day."""
    day = column_of(table.sample, table.names, "time")
    clocks = [name for name in table.names if plain_name(name) in _OF_DAY and _clock(table.sample[name])]
    if day is None or len(clocks) != 1 or not _days(table.sample[day]):
        return None
    name, used = f"{day} {clocks[0]}", [day, clocks[0]]
    if name in table.names or asked not in (None, name) or not is_time(_with_clock(table.sample, *used)):
        return None
    return name, used, lambda frame: _with_clock(frame, *used)


def _clock(values: pl.Series) -> bool:
    return values.dtype in (pl.String, pl.Time) and is_time_of_day(values)


def _days(values: pl.Series) -> bool:
    return values.dtype == pl.Date or (
        values.dtype == pl.String and is_time(values) and not values.str.contains(":", literal=True).any()
    )


def _with_clock(frame: pl.DataFrame, day: str, clock: str) -> pl.Series:
    """Return the day as text, followed by the time of day where there is one."""
    whole, part = (pl.col(name).cast(pl.String).str.strip_chars() for name in (day, clock))
    return frame.select(whole + (pl.lit(" ") + part.str.replace(r"^(\d):", "0$1:")).fill_null("")).to_series()


def _parts(table: Table) -> dict[str, str]:
    """Return the column of each part, by names that differ only in the part. Returns an empty dict unless year, month
    and day are there and all numbers fit a date."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name in table.names:
        match = re.fullmatch(r"(.*?)(year|month|day|hour|minute|second)s?(.*?)", name.lower())
        if match and table.sample[name].dtype.is_integer():
            found.setdefault((match[1], match[3]), {})[match[2]] = name
    for parts in found.values():
        used = {part: parts[part] for part in (*PARTS, *CLOCK) if part in parts}
        used = {part: name for part, name in used.items() if part in PARTS or _before(part, used)}
        if all(part in used for part in PARTS) and all(_fits(table.sample[name], part) for part, name in used.items()):
            return used
    return {}


def _before(part: str, parts: Mapping[str, str]) -> bool:
    """Return whether the larger parts of a time of day are there."""
    return all(larger in parts for larger in CLOCK[: CLOCK.index(part)])


def _fits(values: pl.Series, part: str) -> bool:
    low, high = _LIMITS[part]
    return not values.null_count() and len(values) > 0 and bool(((values >= low) & (values <= high)).all())


def _moments(frame: pl.DataFrame, parts: Mapping[str, str]) -> pl.Series:
    """Return the date and time of each row, null where the parts are not a valid date."""
    whole = {part: pl.col(parts[part]).cast(pl.Int64) if part in parts else pl.lit(0) for part in (*PARTS, *CLOCK)}
    day = pl.concat_str(
        [whole["year"].cast(pl.String), *(whole[part].cast(pl.String).str.zfill(2) for part in ("month", "day"))],
        separator="-",
    ).str.to_datetime("%Y-%m-%d", strict=False, time_unit="us")
    return frame.select(
        (day + pl.duration(hours=whole["hour"], minutes=whole["minute"], seconds=whole["second"])).alias("moment")
    ).to_series()
