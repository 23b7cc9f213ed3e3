"""Side tables of items and users, aligned with an id map: row ``c`` describes code ``c``."""

from __future__ import annotations

from typing import Any

import polars as pl
from polars import selectors

from cofactor.data.columns.names import SYNONYMS, TITLES, plain_name
from cofactor.data.columns.values import NOTHING, as_numbers
from cofactor.data.features.features import GROUPS
from cofactor.data.formats.open import open_table
from cofactor.data.ids.id_map import IdMap
from cofactor.data.tables import Table, no_objects
from cofactor.errors import DataError


def align(
    source: Any, ids: IdMap, column: str, encoding: str | None = None, title: str | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """Return one row for each id, in the order of the codes, with the id column (named ``column``) first. Values are
    null where nothing is known.

    The id column of ``source`` is the one named like ``column``, else one named like a user or item, else the first. If
    an id repeats, its first row is kept. The title column (``title``, or one of the usual names) is renamed ``title``.
    Raises DataError if no id matches.
    """
    table = open_table(source, encoding=encoding, named=[title] if title else [])
    key = _key(table, ids.kind, column)
    frame = table.load(table.names, [key])
    no_objects(frame, f"the {ids.kind} table")
    notes: list[str] = []
    if table.parsed_at_once:
        frame, notes = _numbers_of_text(frame, key)
    if ids.kind == "item":
        frame, said = _titled(frame, key, title, table.label)
        notes += said
        frame = with_groups(frame, key)
    aligned, said = align_frame(frame, key, ids, column)
    return aligned, notes + said


def with_groups(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """Rename the usual columns of groups (such as genres) to their usual names, and write ``|`` between the groups of
    an item, however they were written: ``Drama, War``, ``['Drama', 'War']``."""
    for name in frame.columns:
        usual = plain_name(name)
        if name == key or usual not in GROUPS or frame[name].dtype != pl.String:
            continue
        if usual != name and usual not in frame.columns:
            frame, name = frame.rename({name: usual}), usual
        text = frame[name].str.strip_chars()
        present = text.drop_nulls()
        if present.str.contains("|", literal=True).any() or not len(present):
            continue
        if present.str.contains(r"^\[.*\]$").all():
            members = text.str.extract_all(r"\"[^\"]+\"|'[^']+'|[^,\[\]'\"]+").list.eval(
                pl.element().str.strip_chars(" '\"").filter(pl.element().str.strip_chars(" '\"") != "")
            )
            frame = frame.with_columns(members.list.join("|").alias(name))
            continue
        for mark in (";", ",") if usual != "category" else ():  # "Arts, Crafts & Sewing" is one group
            if present.str.contains(mark, literal=True).sum() > 0.1 * len(present):
                frame = frame.with_columns(text.str.replace_all(rf"\s*{mark}\s*", "|").alias(name))
                break
    return frame


def _numbers_of_text(frame: pl.DataFrame, key: str) -> tuple[pl.DataFrame, list[str]]:
    """Convert columns of numbers that a few dashes or NAs made text back to numbers."""
    notes: list[str] = []
    for name in frame.columns:
        if name == key or frame[name].dtype != pl.String:
            continue
        text = frame[name].str.strip_chars()
        empty = text.is_null() | text.is_in(NOTHING)
        if empty.all() or not empty.any() or text.str.contains(r"^0\d").any():
            continue
        numbers = as_numbers(text.set(empty, None))
        if numbers.null_count() == empty.sum():
            frame = frame.with_columns(numbers.alias(name))
            notes.append(f"{int(empty.sum()):,} values of column {name!r} are missing; the others are numbers")
    return frame, notes


def _titled(frame: pl.DataFrame, key: str, title: str | None, label: str) -> tuple[pl.DataFrame, list[str]]:
    """Rename the title column to ``title``, and return a note if it had another name."""
    if title is not None and title not in frame.columns:
        raise DataError(f"no column {title!r} in {label} for the titles; there are: {', '.join(frame.columns[:20])}")
    if title is None and "title" in frame.columns:
        return frame, []
    plain = {
        plain_name(name): name for name in reversed(frame.columns) if name != key and frame[name].dtype == pl.String
    }
    name = title or next((plain[plain_name(t)] for t in TITLES if plain_name(t) in plain), None)
    if name is None or name == "title":
        return frame, []
    if "title" in frame.columns:
        frame = frame.drop("title") if name != key else frame
    column = pl.col(name).cast(pl.String).alias("title")
    frame = frame.with_columns(column) if name == key else frame.with_columns(column).drop(name)
    return frame, [f"titles of items: column {name!r}"]


def align_frame(frame: pl.DataFrame, key: str, ids: IdMap, column: str) -> tuple[pl.DataFrame, list[str]]:
    """Align a polars frame whose id column is known, as :func:`align` does."""
    notes: list[str] = []
    frame = frame.select(key, *[name for name in frame.columns if name != key])
    frame = frame.rename({name: f"{name}_2" for name in frame.columns if name == column and name != key})
    frame = frame.rename({key: column}).filter(pl.col(column).is_not_null())
    mine, theirs = ids.values.dtype, frame[column].dtype
    if theirs in (pl.Categorical, pl.Enum):
        frame = frame.with_columns(pl.col(column).cast(pl.String))
    elif theirs.is_float() and mine.is_integer():
        frame = frame.with_columns(pl.col(column).cast(pl.Int64, strict=False))
    if frame[column].dtype.is_nested() or frame[column].dtype == pl.Boolean:
        raise DataError(
            f"the {ids.kind} table has ids of type {frame[column].dtype} (column {key!r}); give text or numbers"
        )
    if {_kind(frame[column].dtype), _kind(mine)} == {"text", "numbers"}:
        raise DataError(
            f"{ids.kind} ids are {ids.text} in the ratings but {_kind(frame[column].dtype)} in the side table"
            f" (column {key!r}); make them the same type"
        )
    frame = frame.with_columns(selectors.float().fill_nan(None))  # pandas' form of a missing value
    before = len(frame)
    frame = frame.unique(column, keep="first", maintain_order=True)
    if len(frame) < before:
        notes.append(f"{before - len(frame):,} rows of the {ids.kind} table repeat an id; the first of each is kept")
    frame = frame.with_columns(pl.col(column).cast(mine, strict=False))
    wanted = pl.DataFrame({column: ids.values})
    known = wanted.join(frame.select(column), on=column, how="semi").height
    if not known and len(ids):
        raise DataError(
            f"no {ids.kind} of the ratings is in the side table; its id column was guessed to be {key!r}; rename the"
            f" right one to {column!r}"
        )
    if known < len(ids):
        notes.append(f"{len(ids) - known:,} of {len(ids):,} {ids.kind}s are not in the {ids.kind} table")
    return wanted.join(frame, on=column, how="left", maintain_order="left"), notes


def _key(table: Table, kind: str, column: str) -> str:
    if column in table.names:
        return column
    plain = {name.lower().replace("_", "").replace(" ", ""): name for name in reversed(table.names)}
    for synonym in (*SYNONYMS[kind], "id"):
        if synonym.replace("_", "") in plain and synonym not in ("title", "name", "u", "i"):
            return plain[synonym.replace("_", "")]
    if not table.names:
        raise DataError(f"the {kind} table has no columns; it needs one with the {kind} ids")
    return plain.get("id", table.names[0])


def _kind(dtype: pl.DataType) -> str:
    return "text" if dtype == pl.String else "numbers" if dtype.is_integer() else str(dtype)
