"""Dates that stand in several columns (``date_year``, ``date_month``, ``date_day``, maybe the hour) -> one of times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from cofactor.data.column_names import column_of
from cofactor.data.tables import Table

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
    """The table with one more column, the moments that its columns of years, months and days (and hours, minutes,
    seconds) make. As it is where there are no such columns, or a time besides, or one was named (or none wanted)."""
    if not table.headed or not (asked["time"] is None or isinstance(asked["time"], str)):
        return table
    parts = _parts(table)
    name = " ".join(parts.values())
    if not parts or name in table.names or asked["time"] not in (None, name):
        return table
    others = [one for one in table.names if one not in parts.values()]
    if asked["time"] is None and column_of(table.sample, others, "time") is not None:
        return table

    def load(columns: list[str], ids: list[str]) -> pl.DataFrame:
        if name not in columns:
            return table.load(columns, ids)
        wanted = [one for one in columns if one != name]
        frame = table.load(list(dict.fromkeys([*wanted, *parts.values()])), ids)
        return frame.with_columns(_moments(frame, parts).alias(name)).select(columns)

    sample = table.sample.with_columns(_moments(table.sample, parts).alias(name))
    stream = table.stream

    def streamed(column: str) -> Any:
        assert stream is not None
        return stream(column) if column != name else (len(load([name], [])), iter([load([name], [])[name]]))

    return replace(
        table,
        names=[*table.names, name],
        sample=sample,
        load=load,
        stream=None if stream is None else streamed,
        notes=[*table.notes, f"times are made of the columns {', '.join(map(repr, parts.values()))}"],
    )


def _parts(table: Table) -> dict[str, str]:
    """The column of each part, by names that differ in the part alone; empty unless year, month and day are there and
    all numbers are of a date."""
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
    """Whether the larger parts of a time of day are there."""
    return all(larger in parts for larger in CLOCK[: CLOCK.index(part)])


def _fits(values: pl.Series, part: str) -> bool:
    low, high = _LIMITS[part]
    return not values.null_count() and len(values) > 0 and bool(((values >= low) & (values <= high)).all())


def _moments(frame: pl.DataFrame, parts: Mapping[str, str]) -> pl.Series:
    """Null where the parts make no date."""
    whole = {part: pl.col(parts[part]).cast(pl.Int64) if part in parts else pl.lit(0) for part in (*PARTS, *CLOCK)}
    day = pl.concat_str(
        [whole["year"].cast(pl.String), *(whole[part].cast(pl.String).str.zfill(2) for part in ("month", "day"))],
        separator="-",
    ).str.to_datetime("%Y-%m-%d", strict=False, time_unit="us")
    return frame.select(
        (day + pl.duration(hours=whole["hour"], minutes=whole["minute"], seconds=whole["second"])).alias("moment")
    ).to_series()
