"""Checks of columns as they were read: missing values, unreadable ratings, mixed types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.columns.values import NO_IDS, NOTHING, as_numbers
from cofactor.data.doctor.findings import Finding, shown_rows
from cofactor.data.ids.id_map import Array


def blank(column: pl.Series, role: str) -> Array:
    """Return a bool array (n,): where a column is empty. Texts such as NA are neither ids nor ratings."""
    gone = column.is_null()
    if column.dtype == pl.String:
        texts = NOTHING if role == "rating" else tuple(NO_IDS)
        gone = gone | column.str.strip_chars().is_in(texts).fill_null(False)
    if column.dtype.is_float():
        gone = gone | column.is_nan().fill_null(False)
    found: Array = gone.to_numpy()
    return found


def missing_values(column: pl.Series, role: str, wanted: Array) -> Iterator[Finding]:
    """Yield a finding for rows without an id or rating, among the ``wanted`` rows."""
    gone = pl.Series(blank(column, role) & wanted)
    n = int(gone.sum())
    if n:
        texts: list[str] = column.filter(gone).drop_nulls().unique().to_list() if column.dtype == pl.String else []
        shown = f", written {', '.join(repr(t) for t in sorted(texts)[:3])}" if len(texts) and any(texts) else ""
        what = f"{n:,} of {len(column):,} rows have no {role} (column {column.name!r}{shown})"
        option = "missing=['NA'] (--missing NA)" if role == "rating" else "missing_ids='drop' (--missing-ids drop)"
        todo = f"fill them in, or leave such rows out with {option}"
        yield Finding("error", "missing values", "rows", what, n, shown_rows(gone), todo)


def unreadable_ratings(column: pl.Series, wanted: Array) -> Iterator[Finding]:
    """Yield a finding for ratings that are text or infinite, among the ``wanted`` rows."""
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        bad = as_numbers(text).is_null() & ~text.is_in(NOTHING).fill_null(True)
    elif column.dtype.is_float():
        bad = column.is_infinite().fill_null(False)
    else:
        return
    bad = bad & pl.Series(wanted)
    n = int(bad.sum())
    if n:
        shown = [f"row {r + 1}: {column[int(r)]!r}" for r in np.flatnonzero(bad.to_numpy())[:5]]
        what = f"{n:,} ratings are not finite numbers (column {column.name!r})"
        yield Finding("error", "ratings", "rows", what, n, tuple(shown), "correct or drop those rows")


def mixed_types(values: Iterable[Any], name: str, role: str) -> Iterator[Finding]:
    """Yield a finding for a frame's column of Python objects that mixes types of ids."""
    counts: dict[str, int] = {}
    sample: dict[str, Any] = {}
    for value in values:
        kind = type(value).__name__
        counts[kind] = counts.get(kind, 0) + 1
        sample.setdefault(kind, value)
    if len(counts) > 1:
        said = ", ".join(f"{n:,} {kind}" for kind, n in counts.items())
        yield Finding(
            "error",
            "mixed id types",
            f"{role}s",
            f"{role} ids in column {name!r} are of several types: {said}",
            min(counts.values()),
            tuple(repr(v) for v in sample.values()),
            "make them all text, or all whole numbers",
        )
