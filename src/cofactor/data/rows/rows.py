"""Turn an opened table into its rows of a user, an item and a value: find the columns, and leave out unwanted rows."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl

from cofactor.data.arrays import Array
from cofactor.data.columns import behaviours, roles, values
from cofactor.data.columns.date_parts import with_dates
from cofactor.data.columns.roles import Roles
from cofactor.data.ids.leading_zeros import MARKED
from cofactor.data.interactions import LEAST_WEIGHT, MOST_WEIGHT
from cofactor.data.rows import lists, wide
from cofactor.data.tables import Table, loaded
from cofactor.errors import ConfigError, DataError

MissingIds = Literal["error", "drop", "keep"]


def with_roles(
    table: Table,
    asked: dict[str, Any],
    behaviour: str | int | Literal[False] | None,
    is_wide: bool | None,
    gone: tuple[Any, ...] | None,
) -> tuple[Table, Roles, tuple[Any, ...] | None]:
    """Return the table with a row for each user, item and value; the roles of its columns; and those values for "no
    rating" that are still in it."""
    table = with_dates(lists.unfold_records(table, asked), asked)
    table, asked, gone = long_form(table, asked, is_wide, gone)
    found = roles.resolve(table, asked, behaviour)
    if (beside := lists.with_lists_beside(table, found)) is not table:
        ids = {role: found.columns[role] for role in ("user", "item")}
        table, found = beside, roles.resolve(beside, asked, behaviour)
        if ids.items() - found.columns.items():
            found = roles.resolve(table, {**asked, **ids}, behaviour)
    unfolded = lists.unfold_items(table, found)
    if unfolded is table and asked["user"] is None and asked["item"] is None:
        roles.refuse_a_list_of_things(table, found)
    return unfolded, found, gone


def long_form(
    table: Table, asked: dict[str, Any], is_wide: bool | None, gone: tuple[Any, ...] | None
) -> tuple[Table, dict[str, Any], tuple[Any, ...] | None]:
    """Convert a wide table to a long one, with its own columns for the roles and missing values left out. Any other
    table is returned unchanged."""
    if is_wide is False or (is_wide is None and (asked["item"] is not None or not wide.looks_wide(table))):
        return table, asked, gone
    if asked.get("weight") is not None:
        raise ConfigError("a wide table has no column of weights; convert it to rows of user, item, rating and weight")
    long = wide.unpivot(table, asked["user"], gone)
    return long, {**dict(zip(("user", "item", "rating"), long.names)), "time": False}, None


def cleaned(
    table: Table,
    found: Roles,
    gone: tuple[Any, ...] | None,
    missing_ids: MissingIds,
    fold_ids: bool,
    weights: dict[str, float] | None,
) -> tuple[Table, Roles, list[str]]:
    """Return the table with the requested cleaning applied, or unchanged.

    The cleaning leaves out rows without an id or a rating, replaces each behaviour by a weight, leaves out rows of
    weight 0, and folds case and blanks of ids.
    """
    weighed = found.columns.get("weight")
    if not gone and missing_ids != "drop" and not fold_ids and found.behaviour is None and weighed is None:
        return table, found, []
    columns, notes = dict(found.columns), []
    names = [*columns.values(), *([found.behaviour] if found.behaviour else [])]
    ids = [columns["user"], columns["item"]]
    frame = table.load(list(dict.fromkeys(names)), ids)
    keep = np.ones(len(frame), dtype=np.bool_)
    if missing_ids == "drop":
        for role in ("user", "item"):
            absent = _absent(frame[columns[role]])
            if absent.any():
                notes.append(f"{int((absent & keep).sum()):,} of {len(frame):,} rows without a {role} left out")
                keep &= ~absent
    if gone and "rating" in columns:
        without = values.gone(frame[columns["rating"]], gone) & keep
        notes.append(f"{int(without.sum()):,} rows whose value means no rating left out")
        keep &= ~without
    if found.behaviour is not None:
        weight, said = behaviours.weigh(frame[found.behaviour].filter(pl.Series(keep)), weights)
        notes.append(said)
        full = np.zeros(len(frame))
        full[keep] = weight.to_numpy()
        keep &= full != 0
        if "rating" in columns:
            full = full * values.to_floats(frame[columns["rating"]], columns["rating"])
        place = columns.get("rating", found.behaviour)
        frame = frame.with_columns(pl.Series(place, full))
        columns["rating"] = place
    if weighed is not None:
        numbers = row_weights(frame[weighed], keep)
        frame = frame.with_columns(pl.Series(weighed, numbers))
        if nothing := int((keep & (numbers == 0)).sum()):
            notes.append(f"{nothing:,} rows of weight 0 left out")
        keep &= numbers > 0
    frame = frame.filter(pl.Series(keep))
    for name in ids:
        if table.parsed_at_once and frame[name].dtype == pl.String and not frame[name].str.contains(MARKED).any():
            whole = frame[name].cast(pl.Int64, strict=False)
            frame = frame.with_columns(whole) if not whole.null_count() else frame
        if fold_ids and frame[name].dtype == pl.String:
            folded = without_case(frame[name])
            before = frame[name].n_unique()
            frame = frame.with_columns(folded)
            if (fewer := before - folded.n_unique()) > 0:
                notes.append(f"{fewer:,} ids of column {name!r} differ from others only in case and blanks")
    table = loaded(frame, table.label, table.notes, table.headed)
    return table, found._replace(columns=columns), notes


def row_weights(column: pl.Series, keep: Array) -> Array:
    """Return float32: the weight of each row, 0 for a row that does not count. Raises DataError for the first row of
    ``keep`` whose weight is missing, below 0, or so small or large that float32 sums would lose it."""
    text = column.dtype == pl.String
    if not (text or column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(f"column {column.name!r} has type {column.dtype}, which is not a weight; give numbers")
    numbers = values.as_numbers(column) if text else column.cast(pl.Float64, strict=False)
    found = numbers.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    good = (found == 0) | ((found >= LEAST_WEIGHT) & (found <= MOST_WEIGHT))
    if (bad := keep & ~good).any():
        row = int(bad.argmax())
        value = column[row]
        what = "is missing" if value is None or value in values.NOTHING else f"is {value!r}"
        several = f", and {int(bad.sum()) - 1:,} more are invalid" if bad.sum() > 1 else ""
        raise DataError(
            f"the weight in row {row + 1} (column {column.name!r}) {what}{several}; weights lie between"
            f" {LEAST_WEIGHT:g} and {MOST_WEIGHT:g}, or are 0 for rows to leave out: correct or scale them"
        )
    return np.asarray(np.where(good, found, 0.0), dtype=np.float32)


def without_case(ids: pl.Series) -> pl.Series:
    """Return text ids without what ``fold_ids`` ignores: case, blanks, and other Unicode forms of a letter."""
    return ids.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()


def _absent(ids: pl.Series) -> Array:
    missing = ids.is_null()
    if ids.dtype == pl.String:
        missing = missing | ids.str.strip_chars().is_in(list(values.NO_IDS)).fill_null(True)
    if ids.dtype.is_float():
        missing = missing | ids.is_nan().fill_null(True)
    found: Array = missing.to_numpy()
    return found
