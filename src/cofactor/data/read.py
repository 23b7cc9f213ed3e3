"""``read``: any table of who rated what -> :class:`Interactions`, with a note on everything that had to be decided."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from cofactor.data import behaviours, column_names, lists, roles, side_tables, timestamps, values, wide
from cofactor.data.arrays import Array, gathered
from cofactor.data.ids import IdMap, factorize, factorize_parts
from cofactor.data.interactions import Columns, Duplicates, Interactions
from cofactor.data.kind import Kind, check_kind, guess_kind
from cofactor.data.open import open_table
from cofactor.data.repeats import check_duplicates, count_repeats, merged, usual_policy
from cofactor.data.roles import Roles
from cofactor.data.tables import Table, loaded
from cofactor.errors import ConfigError, DataError

MissingIds = Literal["error", "drop", "keep"]


def read(
    source: Any,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | Literal[False] | None = None,
    time: str | int | Literal[False] | None = None,
    *,
    count: str | int | None = None,
    behaviour: str | int | Literal[False] | None = None,
    weights: Mapping[str, float] | None = None,
    kind: Kind | None = None,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    table: str | None = None,
    wide: bool | None = None,
    dates: str | None = None,
    duplicates: Duplicates | None = None,
    missing: list[Any] | None = None,
    missing_ids: MissingIds = "error",
    fold_ids: bool = False,
    items: Any = None,
    users: Any = None,
    title: str | None = None,
    name: str | None = None,
) -> Interactions:
    """Read a table of ratings, or of clicks, plays, purchases.

    ``source``: a path to delimited text (CSV, TSV, ``::``, blanks), JSON (an object a line, or an array), Parquet,
    Arrow, a workbook, SQLite, a matrix (``.mtx``, ``.npz``), also compressed or the one table of an archive; a folder
    of such files, a pattern of names, a list of paths; a connection to a database; a pandas, polars or Arrow frame, a
    matrix of scipy.sparse, an array or a list of (user, item, rating). ``table``: which sheet, which file of an
    archive, which table of a database, or a SELECT.

    ``user``, ``item``, ``rating``, ``time``: column names, or positions counted from 0; guessed where not given, and
    the guess stands in ``.notes``. ``rating=False`` or no such column: every value is 1; ``time=False``: no times.
    Times may be seconds (or milli-, micro-, nanoseconds), dates as text or digits, days of a spreadsheet,
    date-times. ``dates``: the order of day and month where nothing tells it (``dmy``, ``mdy``, ``ymd``), or the form of
    the times, as of strptime (``%d/%m/%Y %H:%M``).

    The values are ``ratings``, ``counts`` or ``events``: guessed from the values and said in a note. ``kind`` says
    which; ``count`` names a column of counts, amounts or durations; ``behaviour`` a column that says what happened, and
    ``weights`` what each behaviour counts (1 unless given; those not named count 0).

    ``duplicates``: of rows with the same user and item keep the ``last`` by time (by position without times), the
    ``first``, the ``mean``, the ``sum``, or their number (``count``), at the time of the last; keep ``all``; or raise
    an ``error``. Unless given: ``last`` of ratings, ``sum`` of counts and events. Rows as they were stay in
    ``.events``, which splits by time cut before they merge.

    ``missing``: values that mean "no rating" (such as ``[99, -1]``): their rows are left out. ``missing_ids``: rows
    without a user or item are an ``error``, or left out (``drop``); ``keep`` takes texts such as NA for ids.
    ``fold_ids``: case and blanks of ids do not matter. ``wide``: a row a user and a column an item (guessed unless
    given).

    ``sep``, ``encoding`` and ``header`` (whether the first line holds names) of a text are guessed where not given; the
    encoding is UTF-8, or else latin-1. ``items`` and ``users``: side tables (frame or path) joined by id. ``title``:
    the column of either table that says what an item is called. Ids keep their type: integers stay integers, text stays
    text, ``007`` is text.

    Raises DataError in one sentence: no such file or column, no rows, a rating that is not a number (with row and
    value), a missing id, mixed types of ids, duplicates under ``error``.
    """
    check_duplicates(duplicates)
    check_kind(kind)
    gone = values.check_missing(missing)
    weighing = behaviours.check_weights(weights)
    timestamps.check_dates(dates)
    if missing_ids not in ("error", "drop", "keep"):
        raise ConfigError(f"missing_ids is {missing_ids!r}; it may be 'error', 'drop' or 'keep'")
    if count is not None and rating is not None and rating is not False:
        raise ConfigError("give rating=... or count=..., not both: a value is a grade or a count")
    if count is not None and kind not in (None, "counts"):
        raise ConfigError(f"count={count!r} names a column of counts, but kind is {kind!r}; leave one of them out")
    if isinstance(source, Interactions):
        return source
    asked: dict[str, Any] = {"user": user, "item": item, "rating": count if count is not None else rating, "time": time}
    given = [one for one in (*asked.values(), behaviour, title) if isinstance(one, str)]
    opened = open_table(source, sep=sep, encoding=encoding, header=header, table=table, named=given)
    opened, found, gone = with_roles(opened, asked, behaviour, wide, gone)
    if weighing is not None and found.behaviour is None:
        raise ConfigError("weights need the column that says what happened; name it with behaviour=...")
    whole = opened
    opened, found, notes = cleaned(opened, found, gone, missing_ids, fold_ids, weighing)
    data, repeated = _arrays(opened, found, duplicates != "all", missing_ids == "keep", dates)
    kind = kind or ("counts" if count is not None else None)
    kind, reason = kind_of(data.values, found, kind)
    data = data.replace(
        kind=kind,
        name=_label(source, name),
        notes=(*opened.notes, *([found.note] if found.note else []), *notes, *data.notes, *reason),
    )
    data = merged(data, duplicates or usual_policy(kind), repeated)
    return _described(data, whole, items, users, title, encoding)


def with_roles(
    table: Table,
    asked: dict[str, Any],
    behaviour: str | int | Literal[False] | None,
    is_wide: bool | None,
    gone: tuple[Any, ...] | None,
) -> tuple[Table, Roles, tuple[Any, ...] | None]:
    """The table with a row for each user, item and value, and which columns these are; and the values that mean none
    and are still in it."""
    table = lists.unfold_records(table)
    table, asked, gone = long_form(table, asked, is_wide, gone)
    found = roles.resolve(table, asked, behaviour)
    return lists.unfold_items(table, found), found, gone


def long_form(
    table: Table, asked: dict[str, Any], is_wide: bool | None, gone: tuple[Any, ...] | None
) -> tuple[Table, dict[str, Any], tuple[Any, ...] | None]:
    """A wide table as a long one, with its own columns for the roles and what is missing left out; any other as it
    is."""
    if is_wide is False or (is_wide is None and (asked["item"] is not None or not wide.looks_wide(table))):
        return table, asked, gone
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
    """The table without rows that have no id or no rating, where such are to be left out; with a weight for each row in
    the place of its behaviour; with ids of which case and blanks are folded. As it is where none of this is asked
    for."""
    if not gone and missing_ids != "drop" and not fold_ids and found.behaviour is None:
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
        notes.append(f"{int(without.sum()):,} rows whose rating means none left out")
        keep &= ~without
    if found.behaviour is not None:
        weight, said = behaviours.weigh(frame[found.behaviour].filter(pl.Series(keep)), weights)
        notes.append(said)
        full = np.zeros(len(frame))
        full[keep] = weight.to_numpy()
        keep &= full > 0
        if "rating" in columns:
            full = full * values.to_floats(frame[columns["rating"]], columns["rating"])
        place = columns.get("rating", found.behaviour)
        frame = frame.with_columns(pl.Series(place, full))
        columns["rating"] = place
    frame = frame.filter(pl.Series(keep))
    for name in ids:
        if (
            table.parsed_at_once
            and frame[name].dtype == pl.String
            and not frame[name].str.contains(r"^\s*[+-]?0\d").any()
        ):
            whole = frame[name].cast(pl.Int64, strict=False)
            frame = frame.with_columns(whole) if not whole.null_count() else frame
        if fold_ids and frame[name].dtype == pl.String:
            folded = frame[name].str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
            before = frame[name].n_unique()
            frame = frame.with_columns(folded)
            if (fewer := before - folded.n_unique()) > 0:
                notes.append(f"{fewer:,} ids of column {name!r} are the same as others apart from case and blanks")
    table = loaded(frame, table.label, table.notes, table.headed)
    return table, found._replace(columns=columns), notes


def _absent(ids: pl.Series) -> Array:
    missing = ids.is_null()
    if ids.dtype == pl.String:
        missing = missing | ids.str.strip_chars().is_in(list(values.NO_IDS)).fill_null(True)
    if ids.dtype.is_float():
        missing = missing | ids.is_nan().fill_null(True)
    found: Array = missing.to_numpy()
    return found


def _arrays(table: Table, found: Roles, count: bool, keep_texts: bool, dates: str | None) -> tuple[Interactions, int]:
    """The table in arrays, nothing merged yet, and how many rows repeat a pair (0 unless they are to be counted)."""
    columns = found.columns
    column = _loader(table, columns)

    def coded(kind: str) -> tuple[IdMap, Array, list[str]]:
        ids, codes, said = _streamed_ids(table, columns[kind], kind) or _coded(
            column(kind), kind, columns[kind], table.parsed_at_once
        )
        if not keep_texts:
            _refuse_texts_for_nothing(ids, codes, columns[kind])
        return ids, codes, said

    work: dict[str, Callable[[], Any]] = {
        "user": lambda: coded("user"),
        "item": lambda: coded("item"),
        "time": lambda: (
            _streamed_times(table, columns["time"], dates)
            or timestamps.to_seconds(column("time"), columns["time"], dates=dates)
        ),
    }
    notes: list[str] = []
    when: Array | None = None
    text = any(table.sample[columns[kind]].dtype == pl.String for kind in ("user", "item"))
    with ThreadPoolExecutor(1 if text else min(2, pl.thread_pool_size())) as pool:  # text takes memory: one at a time
        parts = {role: pool.submit(task) for role, task in work.items() if role in columns}
        try:  # what is wrong with the user's column is said first, whichever thread comes first
            user_ids, user_codes, said = parts["user"].result()
            notes += said
            if not len(user_codes):
                raise DataError(f"{table.label} has no rows; at least two users and two items are needed")
            item_ids, item_codes, said = parts["item"].result()
            notes += said
            _refuse_second_header(user_ids, user_codes, item_ids, item_codes, columns)
            numbers = np.empty(len(user_codes), dtype=np.float32)
            repeated = 0
            if count:
                repeated = count_repeats(user_codes, item_codes, len(user_ids), len(item_ids), numbers.view(np.uint32))
            if "rating" in columns:
                numbers = values.ratings(table, column, columns["rating"], numbers)
            else:
                numbers.fill(1.0)
            if "time" in columns:
                when, unit = parts["time"].result()
                notes += [said for said in (unit, timestamps.far_times(when)) if said]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    used = Columns(*_names(table, found))
    data = Interactions(
        user_codes, item_codes, numbers, when, user_ids, item_ids, used, notes=tuple(notes), kind="ratings"
    )
    return data, repeated


def kind_of(numbers: Array, found: Roles, chosen: Kind | None) -> tuple[Kind, list[str]]:
    """The kind of the values, and a note where it was guessed."""
    if chosen is not None:
        return chosen, []
    if found.behaviour is not None:
        return "events", ["kind: events, by their behaviours"]
    if "rating" not in found.columns:
        return "events", ["no rating column: implicit feedback, every value is 1"]
    guess = guess_kind(numbers, found.columns["rating"])
    notes = [f"kind: {guess.kind} ({guess.reason}); kind=... (on the command line --kind) says otherwise"]
    if guess.codes and guess.kind == "ratings":
        shown = ", ".join(f"{code:g}" for code in guess.codes)
        stand = "stands" if len(guess.codes) == 1 else "stand"
        notes.append(
            f"{shown} {stand} apart from the other ratings, as what means no rating does; missing=[{shown}] (on the"
            f" command line --missing {shown}) leaves such rows out"
        )
    return guess.kind, notes


def _refuse_texts_for_nothing(ids: IdMap, codes: Array, name: str) -> None:
    """DataError where an id is a text that means "nothing": NA, NULL, or blank."""
    if ids.values.dtype != pl.String:
        return
    none = np.flatnonzero(ids.values.str.strip_chars().is_in(list(values.NO_IDS)).to_numpy())
    if len(none):
        rows = np.flatnonzero(np.isin(codes, none))
        raise DataError(_no_id(ids.kind, name, int(rows[0]), len(rows), len(codes), ids.values[int(codes[rows[0]])]))


def _refuse_second_header(
    user_ids: IdMap, users: Array, item_ids: IdMap, items: Array, columns: Mapping[str, str]
) -> None:
    """DataError where the names of the columns stand among the rows, as in files put one after the other."""
    user, item = user_ids.code(columns["user"]), item_ids.code(columns["item"])
    if user >= 0 and item >= 0 and (both := (users == user) & (items == item)).any():
        raise DataError(
            f"row {int(np.argmax(both)) + 1} holds the names of the columns again ({columns['user']},"
            f" {columns['item']}), as in files put one after the other; drop that row, or give the files as a list"
        )


def _no_id(kind: str, name: str, row: int, n: int, of: int, shown: str | None = None) -> str:
    text = f" ({shown!r})" if shown is not None else ""
    keep = "; missing_ids='keep' takes the text for an id" if shown else ""
    return (
        f"{kind} id missing in row {row + 1}{text} (column {name!r}), in {n:,} of {of:,} rows; fill it in, or leave"
        f" such rows out with missing_ids='drop' (on the command line --missing-ids drop){keep}"
    )


def _described(
    data: Interactions, table: Table, items: Any, users: Any, title: str | None, encoding: str | None
) -> Interactions:
    """With side tables, and with the titles of items where they stand in the table itself."""
    notes: list[str] = []
    tables: dict[str, pl.DataFrame] = {}
    for kind, given in (("item", items), ("user", users)):
        if given is not None:
            ids = data.item_ids if kind == "item" else data.user_ids
            column = data.columns.item if kind == "item" else data.columns.user
            of_items = title if kind == "item" else None
            tables[f"{kind}_table"], said = side_tables.align(given, ids, column, encoding, title=of_items)
            notes += said
    if items is None:
        found = _titles(table, data, title)
        if found is not None:
            tables["item_table"] = found[0]
            notes.append(found[1])
        grouped = _groups(table, data)
        if grouped is not None:
            before = tables.get("item_table")
            groups = grouped.drop(data.columns.item)
            tables["item_table"] = grouped if before is None else before.hstack(groups)
            notes.append(f"groups of items: column {groups.columns[0]!r}")
    return data.replace(notes=(*data.notes, *notes), **tables) if tables else data


_REVIEWS = frozenset(("text", "review", "reviewtext", "reviewbody", "comment", "body"))


def _titles(table: Table, data: Interactions, title: str | None) -> tuple[pl.DataFrame, str] | None:
    """A table of the items with the titles that the rows give them, where each item has one; None where there are none.

    DataError where ``title`` names no column, or one that says different things of an item.
    """
    if title is not None and title not in table.names:
        raise DataError(
            f"no column {title!r} in {table.label} for the titles; there are: {', '.join(table.names[:20])}"
        )
    item = data.columns.item
    if item not in table.names or (title is None and not table.headed):
        return None
    taken = (data.columns.user, item, data.columns.rating, data.columns.time)
    plain = {column_names.plain_name(name): name for name in reversed(table.names) if name not in taken}
    if _REVIEWS & set(plain):  # beside the text of a review stands the title of the review
        plain = {known: name for known, name in plain.items() if known not in ("title", "name", "description")}
    name = title or next((plain[t] for t in map(column_names.plain_name, column_names.TITLES) if t in plain), None)
    if name is None or (title is None and table.sample[name].dtype != pl.String):
        return None
    frame = table.load([item, name], [item]).drop_nulls().unique(maintain_order=True)
    if title is None and len(frame) > 1.2 * frame[item].n_unique():  # a text about the row, not about the item
        return None
    frame = frame.with_columns(pl.col(name).cast(pl.String)).rename({name: "title"} if name != "title" else {})
    try:
        return side_tables.align_frame(frame, item, data.item_ids, item)[0], f"titles of items: column {name!r}"
    except DataError:  # ids of another type than the cleaned ones
        if title is not None:
            raise
        return None


def _groups(table: Table, data: Interactions) -> pl.DataFrame | None:
    """A table of the items with the groups (genres, say) that the rows name, the same in all rows of an item; None
    where there is no such column."""
    item, taken = data.columns.item, (data.columns.user, data.columns.rating, data.columns.time)
    if item not in table.names or not table.headed:
        return None
    plain = {column_names.plain_name(name): name for name in reversed(table.names) if name not in (item, *taken)}
    name = next((plain[group] for group in side_tables.GROUPS if group in plain), None)
    if name is None or table.sample[name].dtype != pl.String:
        return None
    frame = table.load([item, name], [item]).drop_nulls().unique(maintain_order=True)
    if len(frame) > 1.05 * frame[item].n_unique():  # said of the row, not of the item
        return None
    try:
        return side_tables.align_frame(side_tables.with_groups(frame, item), item, data.item_ids, item)[0]
    except DataError:  # ids of another type than the cleaned ones
        return None


def _streamed_ids(table: Table, name: str, kind: str) -> tuple[IdMap, Array, list[str]] | None:
    """A column of ids that is encoded while it is read; None where it must be read first."""
    if table.stream is None or not table.sample[name].dtype.is_integer():
        return None
    found = factorize_parts(*table.stream(name), kind)
    return None if found is None else (*found, [])


def _streamed_times(table: Table, name: str, dates: str | None) -> tuple[Array, str | None] | None:
    dtype = table.sample[name].dtype
    if table.stream is None or (dates is not None and "%" in dates) or not dtype.is_integer() or dtype == pl.UInt64:
        return None
    rows, parts = table.stream(name)
    numbers = gathered(rows, parts, np.empty(rows, dtype=np.int64))
    return None if numbers is None else timestamps.from_integers(numbers, name, dates=dates)


def _loader(table: Table, roles: dict[str, str]) -> Callable[[str], pl.Series]:
    """The column of a role. Text is parsed once and given away column by column; other tables are read a column at a
    time, so that no more than one is held besides what has been made of it."""
    ids = [roles["user"], roles["item"]]
    if not table.parsed_at_once:
        return lambda role: table.load([roles[role]], ids)[roles[role]]
    frame = table.load(list(roles.values()), ids)
    series = {role: frame[name] for role, name in roles.items()}
    return series.pop


def _coded(column: pl.Series, kind: str, name: str, tidy: bool) -> tuple[IdMap, Array, list[str]]:
    """The ids of a column and its codes; ``tidy``: of a text, in which blanks around an id mean nothing."""
    column, notes = _ids(column, kind, name)
    ids, codes = factorize(column, kind)
    if ids.values.dtype != pl.String or not len(ids):
        return ids, codes, notes
    if ids.values.str.contains(r"^\s*-?\d\.\d+[eE]\+\d{2}\s*$").all():
        raise DataError(
            f"{kind} ids of column {name!r} are numbers such as {ids.values[0]}, as spreadsheets write long ones: their"
            " last digits are lost, and different ids may have become one; export the column as text"
        )
    if tidy:
        plain = ids.values.str.strip_chars()
        if plain.str.contains(r'^="[^"]*"$').all():  # how spreadsheets are told to keep zeros
            plain = plain.str.slice(2, plain.str.len_chars() - 3)
        if not (plain == ids.values).all():
            whole = plain.cast(pl.Int64, strict=False)
            zeros = plain.str.contains(r"^[+-]?0\d").any()
            tidied, places = factorize(plain if whole.null_count() or zeros else whole, kind)
            notes.append(f"blanks around ids of column {name!r} left out")
            if len(tidied) < len(ids):
                notes[-1] += f"; {len(ids) - len(tidied):,} were the same as others but for these"
            ids, codes = tidied, places[codes]
    if ids.values.dtype == pl.String and len(ids) <= _LOOKED_AT:
        same = len(ids) - ids.values.str.to_lowercase().n_unique()
        if same:
            notes.append(
                f"{same:,} {kind} ids are the same as others but for capital letters; fold_ids=True (on the command"
                " line --fold-ids) makes them one"
            )
    return ids, codes, notes


_LOOKED_AT = 1_000_000
"""Up to so many ids are looked at for likeness."""


def _ids(column: pl.Series, kind: str, name: str) -> tuple[pl.Series, list[str]]:
    """Ids without gaps in a type of their own: floats that are whole become integers, categories text."""
    notes: list[str] = []
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    missing = column.is_null() if not column.dtype.is_float() else column.is_null() | column.is_nan()
    if (column.null_count() or column.dtype.is_float()) and missing.any():
        raise DataError(_no_id(kind, name, int(missing.arg_max() or 0), int(missing.sum()), len(column)))
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        odd = (whole.cast(pl.Float64) != column.cast(pl.Float64)).fill_null(True)
        if odd.any():
            row = int(odd.arg_max() or 0)
            raise DataError(
                f"{kind} id {column[row]!r} in row {row + 1} (column {name!r}) is a decimal number;"
                f" ids are whole numbers or text"
            )
        if len(column) and (exact := 2**53 if column.dtype == pl.Float64 else 2**24) <= column.abs().max():  # type: ignore[operator]
            row = int((column.abs() >= exact).arg_max() or 0)
            raise DataError(
                f"{kind} id {column[row]:.0f} in row {row + 1} (column {name!r}) is a decimal number of more digits"
                " than such a number holds, so different ids may have become one; read the column as whole numbers"
                " or text"
            )
        column = whole
        if not len(column):  # an empty column of pandas
            return column, notes
        notes.append(f"{kind} ids of column {name!r} were decimals such as {whole[0]}.0; taken as whole numbers")
    return column, notes


def _names(table: Table, found: Roles) -> list[Any]:
    """The names to show: the table's own, or plain ones where it has no header."""
    used = {**found.columns}
    if found.behaviour is not None and used.get("rating") == found.behaviour:  # weights, not a column of the table
        del used["rating"]
    return [used.get(role) if table.headed or role not in used else role for role in ("user", "item", "rating", "time")]


def _label(source: Any, name: str | None) -> str:
    if name is not None:
        return name
    if not isinstance(source, (str, os.PathLike)):
        return ""
    return re.sub(r"(\.(csv|tsv|txt|dat|data|parquet|arrow|feather))?(\.gz)?$", "", Path(source).name)


LARGEST = 1e15
"""Values above this are not learned from: sums of their squares leave single precision."""


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
    if max(abs(low), abs(high)) > LARGEST:
        raise DataError(
            f"values reach {max(abs(low), abs(high)):g}, more than {LARGEST:g}, whose squares no model can hold; divide"
            " the column by a power of ten"
        )
    if low == high and data.columns.rating is not None and data.kind == "ratings":
        raise DataError(
            f"every rating is {low:g}; nothing to learn; choose another rating column, or rating=False for implicit"
            f" feedback"
        )
