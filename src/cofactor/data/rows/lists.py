"""Expand rows that hold several items each (sessions, histories, baskets) to one row for each item."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl
import polars.exceptions

from cofactor.data.columns.names import column_of, is_usual, is_weak
from cofactor.data.columns.roles import Roles
from cofactor.data.ids.leading_zeros import MARKED
from cofactor.data.tables import Table, flattened, loaded
from cofactor.errors import DataError

_IN_BRACKETS = r"^\s*(?:\[.*\]|\(.*\)|\{.*\})\s*$"
_OBJECT = r"^\s*\{\s*\"[^\"]*\"\s*:"
"""An object of JSON."""
_MEMBER = r"\"[^\"]*\"|'[^']*'|[^,;|\s\[\](){}'\"]+"
_TOKEN = re.compile(r"([A-Za-z]{0,4}[_\-]?)\d+|[A-Z0-9]{8,}")
_THOUSANDS = r"^\d{1,3}(?:,\d{3})+$"
_SPACED = r"^(?:0|[1-9]\d{0,2}(?:[, \x{a0}\x{202f}\x{2009}]\d{3})*)$"
_SHOWN = r"-[01]$"
"""The suffix of a shown item: -1 if it was clicked, -0 if not (MIND)."""


def unfold_records(table: Table, asked: Mapping[str, Any]) -> Table:
    """Expand a table whose rows hold a list of objects (the events of a session) to one row for each object. The fields
    of the objects become columns.

    The table is returned unchanged if it has no such column or several, or if its rows also have a user and an item:
    the objects (the pictures of a review) then describe the row.
    """
    nested = [
        name
        for name in table.names
        if isinstance(dtype := table.sample[name].dtype, pl.List) and isinstance(dtype.inner, pl.Struct)
    ]
    if len(nested) != 1:
        return table
    inner = nested[0]
    if all(_has_role(table, role, asked[role], inner) for role in ("user", "item")):
        return table
    frame = table.load(table.names, [])
    fields = [field.name for field in frame.schema[inner].inner.fields]  # type: ignore[attr-defined]
    fresh = {name: name if name not in frame.columns else f"{inner}.{name}" for name in fields}
    rows = frame.filter(pl.col(inner).list.len() > 0).explode(inner)
    objects = flattened(rows[inner].struct.unnest().rename(fresh))
    note = f"one row for each object in the lists of {inner!r}"
    return loaded(pl.concat([rows.drop(inner), objects], how="horizontal"), table.label, [*table.notes, note])


def _has_role(table: Table, role: str, wanted: Any, nested: str) -> bool:
    """Return whether a column other than the one of lists is the user (or the item), as named or by its name."""
    others = [name for name in table.names if name != nested]
    if isinstance(wanted, str):
        return wanted in others
    found = column_of(table.sample, others, role)
    if wanted is not None or found is None or not is_weak(found):
        return wanted is not None or found is not None
    fields = [field.name for field in table.sample.schema[nested].inner.fields]  # type: ignore[attr-defined]
    return not any(is_usual(name, role) and not is_weak(name) for name in fields)


def unfold_items(table: Table, found: Roles) -> Table:
    """Expand a table whose column of items holds lists, as such or as text (``N1 N2 N3``, ``['a', 'b']``), to one row
    for each member.

    Rows that repeat a user's whole list count once. Of shown items (``N1-1 N2-0``), those clicked are kept. The table
    is returned unchanged if the items are not lists.
    """
    item = found.columns["item"]
    sample = table.sample[item]
    for role in ("user", "item"):
        _refuse_objects(table, role, found.columns[role])
    users = table.sample[found.columns["user"]]
    if users.dtype == pl.String and users.str.contains(r"[,;|\]]").any() and _lists_of_text(users):
        raise DataError(
            f"column {users.name!r} of {table.label}, which would be the user, holds lists, such as {users[0][:60]!r};"
            " write one row for each user and item"
        )
    if not isinstance(sample.dtype, (pl.List, pl.Array)) and not _lists_of_text(sample):
        return table
    names = list(dict.fromkeys([*found.columns.values(), *([found.behaviour] if found.behaviour else [])]))
    frame = table.load(names, [found.columns["user"]])
    notes = [*table.notes]
    where = repr(item) if table.headed else f"{table.names.index(item)}"
    once = frame.unique([found.columns["user"], item], keep="first", maintain_order=True)
    if len(once) < len(frame):
        notes.append(f"{len(frame) - len(once):,} rows that repeat a user's list of items left out")
        frame = once
    if frame[item].dtype == pl.String:
        bracketed = [name for name in names if name not in (item, users.name) and _all_in_brackets(frame[name])]
        frame = frame.with_columns(_split(frame[item]), *(_numbers(_split(frame[name])) for name in bracketed))
    nested = [name for name in names if isinstance(frame[name].dtype, (pl.List, pl.Array))]
    frame = frame.with_columns(frame[name].arr.to_list() for name in nested if isinstance(frame[name].dtype, pl.Array))
    frame = frame.filter(pl.col(item).list.len() > 0)
    try:
        frame = frame.explode(nested)
    except polars.exceptions.PolarsError:
        shown = ", ".join(repr(name) for name in nested)
        raise DataError(f"the lists of {shown} in {table.label} differ in length in some rows") from None
    if frame[item].dtype == pl.String and frame[item].str.contains(_SHOWN).all():
        shown_rows = len(frame)
        frame = frame.filter(frame[item].str.ends_with("-1"))
        frame = frame.with_columns(pl.col(item).str.replace(_SHOWN, ""))
        notes.append(
            f"{shown_rows - len(frame):,} of {shown_rows:,} items of column {where} end in -0 (shown, not clicked) and"
            " are left out"
        )
    notes.append(f"column {where} holds lists of items: one row for each item, {len(frame):,} in all")
    return loaded(_typed(frame, item), table.label, notes, table.headed)


def with_lists_beside(table: Table, found: Roles) -> Table:
    """Expand lists of items together with the lists of values or times beside them that have no role yet, so that these
    are found as columns are. The table is returned unchanged if there are none: lists of the same lengths, in all
    rows."""
    item = found.columns["item"]
    if not isinstance(table.sample[item].dtype, pl.List):
        return table
    lengths = table.sample[item].list.len()
    free = [name for name in table.names if name not in (*found.columns.values(), found.behaviour)]
    beside = [
        name
        for name in free
        if isinstance(dtype := table.sample[name].dtype, pl.List)
        and not dtype.inner.is_nested()
        and table.sample[name].list.len().equals(lengths)
    ]
    if not beside or not (lengths > 1).any():
        return table
    flat = [name for name in table.names if not isinstance(table.sample[name].dtype, pl.List)]
    frame = table.load([*flat, item, *beside], [found.columns["user"]])
    frame = frame.filter(pl.col(item).list.len() > 0)
    try:
        frame = frame.explode([item, *beside])
    except polars.exceptions.PolarsError:
        return table
    note = f"column {item!r} holds lists of items: one row for each item, {len(frame):,} in all"
    others = ", ".join(map(repr, beside))
    return loaded(frame.select([*flat, item, *beside]), table.label, [*table.notes, f"{note}, with those of {others}"])


def _refuse_objects(table: Table, role: str, name: str) -> None:
    values = table.sample[name]
    if values.dtype == pl.String and values.null_count() < len(values) and values.str.contains(_OBJECT).all():
        shown = str(values.drop_nulls()[0])[:60]
        raise DataError(
            f"column {name!r} of {table.label}, which would be the {role}, holds objects of JSON, such as"
            f" {shown!r}; write their fields as columns"
        )


def _lists_of_text(values: pl.Series) -> bool:
    """Return whether texts are lists of ids: in brackets, or ids of one form (``N1``, ``17``) separated by blanks or
    commas. At least a third of the cells must hold several ids, and some ids must repeat."""
    if values.dtype != pl.String:
        return False
    present = values.drop_nulls().str.strip_chars()
    present = present.filter(present != "").head(200)
    if not len(present):
        return False
    if present.str.contains(_OBJECT).all():
        return False
    if present.str.contains(_IN_BRACKETS).all():
        return bool((present.str.extract_all(_MEMBER).list.len() > 1).any())
    if present.str.contains(_THOUSANDS).all():
        return False
    if present.str.contains(_SPACED).all() and present.str.contains(r"\D0").any():  # 7 000: no id begins with a 0
        return False
    tokens = [re.split(r"[\s,;|]+", cell) for cell in present]
    if sum(len(cell) > 1 for cell in tokens) < 0.3 * len(tokens):
        return False
    flat = [re.sub(_SHOWN, "", token) for cell in tokens for token in cell]
    matches = [_TOKEN.fullmatch(token) for token in flat]
    return all(matches) and len({match[1] for match in matches if match}) == 1 and len(set(flat)) < len(flat)


def _all_in_brackets(values: pl.Series) -> bool:
    return values.dtype == pl.String and len(values) > 0 and bool(values.str.contains(_IN_BRACKETS).all())


def _numbers(lists: pl.Series) -> pl.Series:
    """Return lists of texts as lists of numbers, where all are."""
    numbers = lists.list.eval(pl.element().cast(pl.Float64, strict=False))
    return lists if numbers.list.eval(pl.element().is_null()).list.any().any() else numbers


def _split(text: pl.Series) -> pl.Series:
    return text.str.extract_all(_MEMBER).list.eval(pl.element().str.strip_chars("\"'"))


def _typed(frame: pl.DataFrame, item: str) -> pl.DataFrame:
    """Return ids that consist of digits as whole numbers, unless one begins with a 0 or a +."""
    text = frame[item]
    if text.dtype != pl.String or text.str.contains(MARKED).any():
        return frame
    whole = text.cast(pl.Int64, strict=False)
    return frame if whole.null_count() > text.null_count() else frame.with_columns(whole)
