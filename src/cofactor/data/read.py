"""``read``: any table of who rated what -> :class:`Interactions`, with a note on everything that had to be decided."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from cofactor.data import columns, side_tables, timestamps
from cofactor.data.arrays import Array, filled, gathered, is_plain
from cofactor.data.ids import IdMap, factorize, factorize_parts
from cofactor.data.interactions import Columns, Interactions
from cofactor.data.open import open_table
from cofactor.data.tables import Table
from cofactor.errors import ConfigError, DataError

Duplicates = Literal["last", "first", "mean", "error", "all"]


def read(
    source: Any,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | Literal[False] | None = None,
    time: str | int | Literal[False] | None = None,
    *,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    duplicates: Duplicates = "last",
    items: Any = None,
    users: Any = None,
    name: str | None = None,
) -> Interactions:
    """Read a table of ratings, or of clicks, plays, purchases.

    ``source``: a path to CSV, TSV, ``::``-separated text (also gzipped), Parquet or Arrow; or a pandas, polars or Arrow
    frame. ``user``, ``item``, ``rating``, ``time``: column names, or positions counted from 0; guessed where not given,
    and the guess stands in ``.notes``. ``rating=False`` or no such column: every value is 1 (implicit feedback);
    ``time=False``: no times. Times may be seconds (or milli-, micro-, nanoseconds), ISO text, dates or date-times.

    ``sep``, ``encoding`` and ``header`` (whether the first line holds names) of a text are guessed where not given; the
    encoding is UTF-8, or else latin-1, and what is given holds for the side tables too.

    ``duplicates``: of rows with the same user and item keep the ``last`` by time (by position without times), the
    ``first``, the ``mean`` rating at the time of the last, keep ``all``, or raise an ``error``. ``items`` and
    ``users``: side tables (frame or path) joined by id. Ids keep their type: integers stay integers, text stays text,
    ``007`` is text.

    Raises DataError in one sentence: no such file or column, no rows, a rating that is not a number (with row and
    value), a missing id, mixed types of ids, duplicates under ``error``.
    """
    if duplicates not in ("last", "first", "mean", "error", "all"):
        raise ConfigError(f"duplicates={duplicates!r}; it may be 'last', 'first', 'mean', 'all' or 'error'")
    if isinstance(source, Interactions):
        return source
    table = open_table(source, sep=sep, encoding=encoding, header=header)
    roles, guess = columns.resolve(table, user, item, rating, time)
    used = Columns(*_names(table, roles))
    notes = [guess] if guess else []
    column = _columns(table, roles)

    def coded(kind: str) -> tuple[IdMap, Array, list[str]]:
        name = roles[kind]
        return _streamed_ids(table, name, kind) or _coded(column(kind), kind, name)

    work: dict[str, Callable[[], Any]] = {
        "user": lambda: coded("user"),
        "item": lambda: coded("item"),
        "time": lambda: _streamed_times(table, roles["time"]) or timestamps.to_seconds(column("time"), roles["time"]),
    }
    when: Array | None = None
    text = any(table.sample[roles[kind]].dtype == pl.String for kind in ("user", "item"))
    with ThreadPoolExecutor(1 if text else min(2, pl.thread_pool_size())) as pool:  # text takes memory: one at a time
        parts = {role: pool.submit(task) for role, task in work.items() if role in roles}
        try:  # what is wrong with the user's column is said first, whichever thread comes first
            user_ids, user_codes, said = parts["user"].result()
            notes += said
            if not len(user_codes):
                raise DataError(f"{table.label} has no rows; at least two users and two items are needed")
            item_ids, item_codes, said = parts["item"].result()
            notes += said
            values = np.empty(len(user_codes), dtype=np.float32)
            repeated = 0
            if duplicates != "all":
                repeated = _repeated(user_codes, item_codes, len(user_ids), len(item_ids), values.view(np.uint32))
            if "rating" in roles:
                values = _ratings(table, column, roles["rating"], values)
            else:
                values.fill(1.0)
                if rating is None:
                    notes.append("no rating column: implicit feedback, every value is 1")
            if "time" in roles:
                when, unit = parts["time"].result()
                notes += [unit] if unit else []
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    data = Interactions(user_codes, item_codes, values, when, user_ids, item_ids, used, name=_label(source, name))
    data, note = merge(data, duplicates, repeated) if repeated else (data, [])
    tables: dict[str, pl.DataFrame] = {}
    for kind, given in (("item", items), ("user", users)):
        if given is not None:
            ids = data.item_ids if kind == "item" else data.user_ids
            tables[f"{kind}_table"], said = side_tables.align(
                given, ids, used.item if kind == "item" else used.user, encoding
            )
            note += said
    return data.replace(notes=(*table.notes, *notes, *note), **tables)


def _repeated(users: Array, items: Array, n_users: int, n_items: int, room: Array) -> int:
    """How many rows repeat the user and item of another one. O(n). ``room``: uint32 (n,), to be written over."""
    from cofactor.kernels import group

    starts = group.row_starts(users, n_users)
    if group.is_sorted(users):
        return int(group.repeats(starts, items, n_items))
    shift = max((n_users - 1).bit_length() - 9, 0)
    bits = (n_items - 1).bit_length()
    packed = room if shift + bits <= 32 else np.empty(len(users), dtype=np.uint64)
    group.pack(users, items, starts, shift, bits, packed)
    return int(group.packed_repeats(packed, starts, shift, bits, n_items))


def merge(data: Interactions, duplicates: Duplicates, count: int) -> tuple[Interactions, list[str]]:
    """One row for each user and item, chosen as in :func:`read`, and a note with the ``count`` of those that repeat
    another one. O(n), stable in order."""
    from cofactor.kernels import group

    starts = group.row_starts(data.users, data.n_users)
    n, position = len(data), np.int32 if len(data) < 2**31 else np.int64
    order = np.empty(n, dtype=position)
    group.group(data.users, starts, order)
    keep, mean = np.ones(n, dtype=np.bool_), data.values.copy()
    when = data.times if data.times is not None else np.empty(0, dtype=np.int64)
    group.resolve_repeats(starts, order, data.items, when, data.values, data.n_items, duplicates == "first", keep, mean)
    if duplicates == "error":
        row = int(np.argmin(keep))
        who, what = data.user_ids.values[int(data.users[row])], data.item_ids.values[int(data.items[row])]
        raise DataError(
            f"{count:,} rows repeat a user and item, such as user {who!r} with item {what!r} (row {row + 1});"
            f" remove them or choose duplicates='last', 'first' or 'mean'"
        )
    if duplicates == "mean":
        data = data.replace(values=mean)
    how = {"last": "the last", "first": "the first", "mean": "their mean"}[duplicates]
    by = " by time" if data.times is not None and duplicates != "mean" else ""
    return data.take(keep), [f"{count:,} duplicate rows of the same user and item merged: {how}{by} kept"]


def _streamed_ids(table: Table, name: str, kind: str) -> tuple[IdMap, Array, list[str]] | None:
    """A column of ids that is encoded while it is read; None where it must be read first."""
    if table.stream is None or not table.sample[name].dtype.is_integer():
        return None
    found = factorize_parts(*table.stream(name), kind)
    return None if found is None else (*found, [])


def _streamed_times(table: Table, name: str) -> tuple[Array, str | None] | None:
    dtype = table.sample[name].dtype
    if table.stream is None or not dtype.is_integer() or dtype == pl.UInt64:
        return None
    rows, parts = table.stream(name)
    numbers = gathered(rows, parts, np.empty(rows, dtype=np.int64))
    return None if numbers is None else timestamps.from_integers(numbers, name)


def _ratings(table: Table, column: Callable[[str], pl.Series], name: str, room: Array) -> Array:
    """The ratings, in ``room`` (float32 (n,)) where they can be had in parts."""
    if table.stream is not None and table.sample[name].dtype.is_numeric():
        values = gathered(*table.stream(name), room)
        if values is not None and _all_finite(values):
            return values
    return _numbers(column("rating"), name)


def _all_finite(values: Array) -> bool:
    with np.errstate(all="ignore"):
        total = values.sum()
    return bool(np.isfinite(total) or np.isfinite(values).all())


def _numbers(column: pl.Series, name: str) -> Array:
    """float32 ratings; DataError with row and value for the first that is not a finite number."""
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Float32)
    if column.dtype == pl.String:
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    elif column.dtype.is_numeric():
        numbers = column
    else:
        raise DataError(f"column {name!r} has type {column.dtype}, which is not a rating; give numbers")
    if numbers.null_count():
        row = int(numbers.is_null().arg_max() or 0)
        value = column[row]
        what = "missing" if value is None or value == "" else f"{value!r}, which is not a number"
        raise DataError(f"the rating in row {row + 1} (column {name!r}) is {what}; mend or drop that row")
    values = filled(numbers if is_plain(numbers) else numbers.cast(pl.Float32), np.float32)
    if not _all_finite(values):
        row = int(np.argmin(np.isfinite(values)))
        raise DataError(f"the rating in row {row + 1} (column {name!r}) is {numbers[row]}; mend or drop that row")
    return values


def _columns(table: Table, roles: dict[str, str]) -> Callable[[str], pl.Series]:
    """The column of a role. Text is parsed once and given away column by column; other tables are read a column at a
    time, so that no more than one is held besides what has been made of it."""
    ids = [roles["user"], roles["item"]]
    if not table.parsed_at_once:
        return lambda role: table.load([roles[role]], ids)[roles[role]]
    frame = table.load(list(roles.values()), ids)
    series = {role: frame[name] for role, name in roles.items()}
    return series.pop


def _coded(column: pl.Series, kind: str, name: str) -> tuple[IdMap, Array, list[str]]:
    column, notes = _ids(column, kind, name)
    ids, codes = factorize(column, kind)
    return ids, codes, notes


def _ids(column: pl.Series, kind: str, name: str) -> tuple[pl.Series, list[str]]:
    """Ids without gaps in a type of their own: floats that are whole become integers, categories text."""
    notes: list[str] = []
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    missing = column.is_null() if not column.dtype.is_float() else column.is_null() | column.is_nan()
    if (column.null_count() or column.dtype.is_float()) and missing.any():
        row = int(missing.arg_max() or 0)
        raise DataError(f"{kind} id missing in row {row + 1} (column {name!r}); fill it in or drop the row")
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        odd = (whole.cast(pl.Float64) != column.cast(pl.Float64)).fill_null(True)
        if odd.any():
            row = int(odd.arg_max() or 0)
            raise DataError(
                f"{kind} id {column[row]!r} in row {row + 1} (column {name!r}) is a decimal number;"
                f" ids are whole numbers or text"
            )
        column = whole
        if not len(column):  # an empty column of pandas
            return column, notes
        notes.append(f"{kind} ids of column {name!r} were decimals such as {whole[0]}.0; taken as whole numbers")
    return column, notes


def _names(table: Table, roles: dict[str, str]) -> list[Any]:
    """The names to show: the table's own, or plain ones where it has no header."""
    return [
        roles.get(role) if table.headed or role not in roles else role for role in ("user", "item", "rating", "time")
    ]


def _label(source: Any, name: str | None) -> str:
    if name is not None:
        return name
    if not isinstance(source, (str, os.PathLike)):
        return ""
    return re.sub(r"(\.(csv|tsv|txt|dat|data|parquet|arrow|feather))?(\.gz)?$", "", Path(source).name)


def check_trainable(data: Interactions) -> None:
    """DataError where there is nothing to learn: no rows, one user, one item, or the same rating everywhere.

    A table of implicit feedback (``columns.rating`` is None) may hold one value only.
    """
    if not len(data):
        raise DataError("no ratings to learn from; the table, or this part of a split, has no rows")
    for kind, codes, ids in (("user", data.users, data.user_ids), ("item", data.items, data.item_ids)):
        if (codes == codes[0]).all():
            raise DataError(
                f"only one {kind} ({ids.values[int(codes[0])]!r}); at least two are needed to learn anything"
            )
    low, high = data.range
    if low == high and data.columns.rating is not None:
        raise DataError(
            f"every rating is {low:g}; nothing to learn; choose another rating column, or rating=False for implicit"
            f" feedback"
        )
