"""Convert wide tables (one row per user, one column per item) to rows of user, item and value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.columns.contents import holds_moments
from cofactor.data.columns.given import named
from cofactor.data.columns.names import SYNONYMS, is_usual, plain_name
from cofactor.data.kind import GRID, apart
from cofactor.data.tables import Table, loaded
from cofactor.errors import DataError

_MANY = 6
"""A table of fewer columns is read as wide only on request."""
_ITEMS = frozenset(plain_name(name) for name in SYNONYMS["item"])
_ROLES = frozenset(plain_name(name) for names in SYNONYMS.values() for name in names)


def looks_wide(table: Table) -> bool:
    """Return whether each item has a column of its own: many columns of numbers on one scale, under names that are not
    usual column names (such as numbers); or many columns of numbers without names."""
    if len(table.names) <= _MANY:
        return False
    names = [name for name in table.names if not _says_when(table.sample[name])]
    of_users = len(names) == len(table.names) or table.sample[names[0]].dtype == pl.String
    rest = names[1:] if of_users else names
    if any(not (table.sample[name].dtype.is_numeric() or table.sample[name].dtype == pl.Null) for name in rest):
        return False
    if table.headed and any(plain_name(name) in _ROLES for name in rest):
        return False
    body = table.sample.select(rest)
    if not table.headed:
        if len(rest) >= 10 and _lists_of_ids(body):
            raise DataError(
                f"{table.label} has {len(rest)} columns of whole numbers after the first, and no number occurs twice"
                " in a row: these are lists of items (top lists, or test items), not a matrix of ratings; give the"
                " table with one row for each user and item, or set wide=True (--wide) if they are ratings"
            )
        return len(rest) >= 10
    if sum(plain_name(name) in _PERIODS for name in rest) > 0.6 * len(rest):  # sums by month are no ratings
        return False
    numbered = sum(name.strip().isdecimal() for name in rest) > 0.6 * len(rest)
    found = _distinct(body)
    return len(found) > 1 and (numbered or (len(found) <= GRID and _mixed(body)))


_SHORT_MONTHS = "jan feb mar apr may jun jul aug sep sept oct nov dec"
_MONTHS = "january february march april june july august september october november december"
_DAYS = "mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday"
_PERIODS = frozenset(f"{_SHORT_MONTHS} {_MONTHS} {_DAYS} q1 q2 q3 q4".split())


def _says_yes_or_no(body: pl.DataFrame) -> bool:
    """Return whether all values are 0 and 1."""
    found = _distinct(body)
    return len(found) == 2 and found[0] == 0 and found[1] == 1


def _lists_of_ids(body: pl.DataFrame) -> bool:
    """Return whether every row consists of different whole numbers: ids of items, since ratings would repeat."""
    if len(body) < 2 or any(not column.dtype.is_integer() or column.null_count() for column in body.get_columns()):
        return False
    cells = np.sort(body.to_numpy(), axis=1)
    return bool((cells[:, 1:] != cells[:, :-1]).all())


def _distinct(body: pl.DataFrame) -> Any:
    flat = (
        pl.concat([column.cast(pl.Float64) for column in body.get_columns()])
        if body.width
        else pl.Series([], dtype=pl.Float64)
    )
    return flat.drop_nulls().drop_nans().unique().sort().to_numpy()


def _mixed(body: pl.DataFrame) -> bool:
    """Return whether most columns span most of the scale: ratings of items do, attributes of a user do not."""
    spans = [float(c.max()) - float(c.min()) for c in body.get_columns() if c.len() > c.null_count()]  # type: ignore[arg-type]
    found = _distinct(body)
    return bool(len(found)) and float(np.median(spans or [0.0])) >= 0.5 * (found[-1] - found[0])


def unpivot(table: Table, user: str | int | bool | None, missing: Sequence[Any] | None) -> Table:
    """Return the long form.

    The user ids are in the column ``user``; else in one that is named like users or is not numeric; else in the first
    one. If the first column counts the values of its row, users are numbered by row. Empty cells, NaN and values in
    ``missing`` are left out.
    """
    frame = table.load(table.names, [])
    notes = [*table.notes]
    when = [name for name in table.names if user is None and _says_when(frame[name])]
    frame = frame.drop(when)
    key = _user_column(table, frame, user)
    if when:
        notes.append(f"column {_shown(table, when[0])} says when a row was written: left out")
        key = key if key is not None and (frame[key].dtype == pl.String or is_usual(key, "user")) else None
    turned = user is None and key is not None and table.headed and plain_name(key) in _ITEMS
    gone = [float(v) for v in missing or () if isinstance(v, (int, float)) and not isinstance(v, bool)]
    items = [name for name in frame.columns if name != key and (name.strip() or frame[name].null_count() < len(frame))]
    body = frame.select(pl.col(name).cast(pl.Float64, strict=False) for name in items)
    bad = next((name for name in items if body[name].null_count() > frame[name].null_count()), None)
    if bad is not None and _texts(frame[bad]):
        raise DataError(
            f"column {bad!r} of {table.label} has text, so it cannot be an item of a wide table; name the users' column"
            " with user=..., and drop what is not an item"
        )
    body = body.fill_nan(None)
    values, counts = np.unique(_flat(body), return_counts=True)
    codes = values[apart(values, counts)] if missing is None else np.array(gone)
    if key is None or user is None:
        counted = _counted(body, items[0] if key is None else key, frame, codes)
        if counted is not None:
            key = None
            items = [name for name in items if name != counted]
            body = body.select(items)
            notes.append(
                f"column {_shown(table, counted)} counts the values of each row; users are numbered by row, from 0"
            )
            gone = gone or codes.tolist()
    if key is not None and frame[key].n_unique() < len(frame) and user is None:
        raise DataError(
            f"{table.label} seems to be a wide table, but its column {_shown(table, key)} repeats values, so it cannot"
            " hold the users; name the users' column with user=..., or set user=False if each row is a"
            " user, or wide=False"
        )
    if missing is None and len(codes) and not gone:
        shown = ", ".join(f"{v:g}" for v in codes)
        raise DataError(
            f"{table.label} is a wide table in which {shown} is outside the scale of the other values; set"
            f" missing=[{shown}] (--missing {shown}) if it is not a rating, or missing=[] if it is one"
        )
    if gone:
        body = body.with_columns(pl.when(pl.all().is_in(gone)).then(None).otherwise(pl.all()).name.keep())
        notes.append(f"{', '.join(f'{v:g}' for v in gone)} means no rating")
    elif missing is None and ((zeros := float((_flat(body) == 0).mean())) > 0.5 or (zeros and _says_yes_or_no(body))):
        raise DataError(
            f"{table.label} is a wide table of which {zeros:.0%} are 0; set missing=[0] (--missing 0) if 0 means no"
            " rating, or missing=[] if it is one"
        )
    of_rows = "user" if key is None or not table.headed else "row" if turned else key
    ids = (pl.Series(np.arange(len(frame))) if key is None else frame[key]).alias(of_rows)
    names = items if table.headed else [str(at) for at in range(1, len(items) + 1)]
    if ids.name in {*names, "item", "rating"}:
        raise DataError(f"{table.label} has a column {ids.name!r} for both users and items; rename one")
    for name in ("item", "rating"):
        if name in names:
            raise DataError(
                f"{table.label} is read as a wide table, and one of its columns of items is called {name!r}; set"
                " wide=False if each row is one rating, or rename the column"
            )
    body = body.rename(dict(zip(items, names)))
    long = pl.concat([ids.to_frame(), body], how="horizontal").unpivot(
        index=ids.name, variable_name="item", value_name="rating"
    )
    long = long.filter(pl.col("rating").is_not_null())
    if all(name.isdecimal() and (name == "0" or name[0] != "0") for name in names):
        long = long.with_columns(pl.col("item").cast(pl.Int64))
    if turned:  # one row per item, one column per user
        long = long.select(pl.col("item").alias("user"), pl.col(ids.name).alias("item"), "rating")
        notes.append(
            f"a wide table: {len(frame):,} rows of items (column {key!r}), {len(items):,} columns of users,"
            f" {len(long):,} values"
        )
        return loaded(long, table.label, notes)
    notes.append(f"a wide table: {len(frame):,} rows of users, {len(items):,} columns of items, {len(long):,} values")
    return loaded(long, table.label, notes)


def _says_when(values: pl.Series) -> bool:
    """Whether a column holds moments, as the first one of answers to a form."""
    return holds_moments(values) and (values.dtype == pl.String or values.dtype.is_temporal())


def _user_column(table: Table, frame: pl.DataFrame, user: str | int | bool | None) -> str | None:
    if user is False:
        return None
    if user is not None and user is not True:
        return named(table, user, "user")
    known = [name for name in frame.columns if plain_name(name) in {plain_name(s) for s in (*SYNONYMS["user"], "id")}]
    text = [name for name in frame.columns if not frame[name].dtype.is_numeric() and frame[name].dtype != pl.Null]
    return (known or text or frame.columns)[0]


def _counted(body: pl.DataFrame, name: str, frame: pl.DataFrame, codes: Any) -> str | None:
    """Return the column if it holds, for each row, the number of its other cells with a value."""
    if not frame[name].dtype.is_numeric() or frame[name].null_count():
        return None
    others = body.select(pl.all().exclude(name)) if name in body.columns else body
    held = others.select(
        pl.sum_horizontal(
            (pl.col(c).is_not_null() & ~pl.col(c).is_in(list(codes))).cast(pl.Int64) for c in others.columns
        )
    ).to_series()
    return name if len(frame) > 1 and bool((held == frame[name].cast(pl.Int64, strict=False)).all()) else None


def _flat(body: pl.DataFrame) -> Any:
    return pl.concat([column.drop_nulls() for column in body.get_columns()]).to_numpy() if body.width else np.empty(0)


def _texts(column: pl.Series) -> bool:
    return column.dtype == pl.String


def _shown(table: Table, name: str) -> str:
    return repr(name) if table.headed else str(table.names.index(name))
