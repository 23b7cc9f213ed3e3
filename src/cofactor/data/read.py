"""Read any table of user-item interactions as :class:`Interactions`, with a note on each decision."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from cofactor._validate import check_bool, check_choice, check_text
from cofactor.data.arrays import Array, filled, gathered, room
from cofactor.data.columns import behaviours, values
from cofactor.data.columns.roles import Roles
from cofactor.data.features.item_facts import described
from cofactor.data.formats.open import open_table
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Columns, Duplicates, Interactions, Reading
from cofactor.data.kind import Kind, check_kind, guess_kind
from cofactor.data.rows.coded import (
    coded_column,
    refuse_second_header,
    refuse_texts_for_nothing,
    refuse_totals,
    streamed_ids,
)
from cofactor.data.rows.repeats import check_duplicates, count_repeats, merged, usual_policy
from cofactor.data.rows.rows import MissingIds, cleaned, with_roles
from cofactor.data.tables import Table
from cofactor.data.times import timestamps
from cofactor.data.times.written_dates import check_dates, told
from cofactor.errors import ConfigError, DataError


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
    weight: str | int | None = None,
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

    Columns, kind and layout that are not given are guessed; ``Interactions.notes`` lists each guess. Ids keep their
    type: integers stay integers, text stays text, ``007`` is text.

    Args:
        source: a path to delimited text (CSV, TSV, ``::``, blanks), JSON (one object per line, or an array), Parquet,
            Arrow, a workbook, SQLite or a matrix (``.mtx``, ``.npz``), also compressed or the one table of an archive;
            a folder of such files, a name pattern, a list of paths; a connection to a database; a pandas, polars or
            Arrow frame, a matrix of scipy.sparse, an array or a list of (user, item, rating).
        user: the column of users: its name, or its position from 0.
        item: the column of items.
        rating: the column of values. False: every value is 1.
        time: the column of times: seconds (or milli-, micro-, nanoseconds), dates as text or digits, spreadsheet days,
            date-times. False: no times.
        count: a column of counts, amounts or durations, in place of ``rating``.
        behaviour: a column of behaviours (view, cart, buy).
        weights: the weight of each behaviour (1 each unless given; 0 for those not named; below 0 for a dislike).
        weight: a column of row weights (confidence, or the inverse of the probability of being shown). Weight 2 counts
            like the row twice, and 0 leaves it out. Models without support for weights refuse such a table.
        kind: what the values are: ``"ratings"``, ``"counts"`` or ``"events"``.
        sep: the separator of a text.
        encoding: of a text; UTF-8, or else cp1252 or latin-1, unless given.
        header: whether the first line holds names.
        table: which sheet, which file of an archive, which table of a database, or a SELECT.
        wide: whether the table has one row for each user and one column for each item.
        dates: the order of day and month where it is ambiguous (``"dmy"``, ``"mdy"``, ``"ymd"``), or the format of the
            times, as for strptime (``"%d/%m/%Y %H:%M"``).
        duplicates: of rows with the same user and item keep the ``"last"`` by time (by position without times), the
            ``"first"``, the ``"mean"``, the ``"sum"``, or their number (``"count"``), at the time of the last; keep
            ``"all"``; or raise an ``"error"``. Unless given: ``"last"`` of ratings, ``"sum"`` of counts and events. The
            unmerged rows stay in ``.events``; temporal splits cut these before merging.
        missing: values that mean "no rating", such as ``[99, -1]``; their rows are left out.
        missing_ids: rows without a user or item are an ``"error"``, or left out (``"drop"``). ``"keep"`` treats texts
            such as NA as ids.
        fold_ids: ignore case and blanks of ids.
        items: a side table of items (a frame or a path), joined by id.
        users: a side table of users.
        title: the column of item titles, in either table.
        name: the name of the data set.

    Returns:
        The Interactions.

    Raises:
        DataError: no such file or column, no rows, a rating that is not a number (with row and value), a missing id,
            mixed types of ids, or duplicates under ``"error"``. The message is one sentence.
    """
    check_duplicates(duplicates)
    check_kind(kind)
    gone = values.check_missing(missing)
    weighing = behaviours.check_weights(weights)
    check_dates(dates)
    check_choice("missing_ids", missing_ids, "error", "drop", "keep")
    check_bool("fold_ids", fold_ids)
    for what, text in (("name", name), ("title", title)):
        if text is not None:
            check_text(what, text)
    if count is not None and rating is not None and rating is not False:
        raise ConfigError("give rating=... or count=..., not both: a value is a rating or a count")
    if count is not None and kind not in (None, "counts"):
        raise ConfigError(f"count={count!r} names a column of counts, but kind is {kind!r}; leave one of them out")
    if isinstance(source, Interactions):
        return source
    asked: dict[str, Any] = {"user": user, "item": item, "rating": count if count is not None else rating, "time": time}
    asked["weight"] = weight
    given = [one for one in (*asked.values(), behaviour, title) if isinstance(one, str)]
    opened = open_table(source, sep=sep, encoding=encoding, header=header, table=table, named=given)
    opened, found, gone = with_roles(opened, asked, behaviour, wide, gone)
    data, repeated = unmerged(opened, found, weighing, gone, missing_ids, fold_ids, dates, duplicates != "all")
    kind = kind or ("counts" if count is not None else None)
    kind, reason = kind_of(data.values, found, kind)
    unit = unit_of_events(kind, found, data.values)
    if unit is not None and unit != 1:  # a 5 in each row is not five times
        data = data.replace(values=np.ones(len(data), dtype=np.float32))
        reason = [*reason, COUNTS_ONE]
    said = Reading(
        found.behaviour or False,
        weighing,
        dates or next((d for note in data.notes if (d := told(note)) is not None), None),
        values.check_missing(missing),
        missing_ids,
        fold_ids,
        unit,
    )
    data = data.replace(kind=kind, name=_label(source, name), notes=(*data.notes, *reason), reading=said)
    _refuse_below_zero(data, chosen=count is not None)
    data = merged(data, duplicates or usual_policy(kind), repeated)
    if not len(data):
        raise NoRows(f"{opened.label} has no rows left: {data.notes[-1]}")
    data = data.replace(notes=(*data.notes, *_alone(data)))
    return described(data, opened, items, users, title, encoding)


COUNTS_ONE = "each row counts 1"
"""The note on values that were dropped because all are equal."""


class NoRows(DataError):
    """The table is empty, or becomes empty when rows are left out."""


def _refuse_below_zero(data: Interactions, chosen: bool) -> None:
    """Raise DataError if most counts lie below 0, unless the caller named their column: they are no returns."""
    if data.kind != "counts" or chosen or (below := int((data.values < 0).sum())) * 2 <= len(data):
        return
    name = data.columns.rating
    raise DataError(
        f"{below:,} of {len(data):,} values of column {name!r} lie below 0, so they are no counts; take each row once"
        f" with rating=False (on the command line --no-rating), or only those above 0 with count={name!r}"
    )


def unmerged(
    opened: Table,
    found: Roles,
    weighing: dict[str, float] | None,
    gone: tuple[Any, ...] | None,
    missing_ids: MissingIds,
    fold_ids: bool,
    dates: str | None,
    count: bool,
) -> tuple[Interactions, int]:
    """Return the rows of an opened table with their notes, unmerged and without a kind; and the number of rows that
    repeat a pair (0 unless they are to be counted)."""
    if weighing is not None and found.behaviour is None:
        raise ConfigError("weights need the column of behaviours; name it with behaviour=...")
    opened, found, notes = cleaned(opened, found, gone, missing_ids, fold_ids, weighing)
    try:
        data, repeated = _arrays(opened, found, count, missing_ids == "keep", dates)
    except NoRows as error:
        if not notes:
            raise
        raise NoRows(f"{opened.label} has no rows left: {'; '.join(notes)}") from error
    said = (*opened.notes, *([found.note] if found.note else []), *notes, *data.notes)
    return data.replace(notes=said), repeated


def _arrays(table: Table, found: Roles, count: bool, keep_texts: bool, dates: str | None) -> tuple[Interactions, int]:
    """Return the table in arrays, unmerged, and the number of rows that repeat a pair (0 unless they are to be
    counted)."""
    columns = found.columns
    column = _loader(table, columns)

    def coded(kind: str) -> tuple[IdMap, Array, list[str]]:
        ids, codes, said = streamed_ids(table, columns[kind], kind) or coded_column(
            column(kind), kind, columns[kind], table.parsed_at_once
        )
        if not keep_texts:
            refuse_texts_for_nothing(ids, codes, columns[kind])
        return ids, codes, said

    def timed() -> tuple[Array, list[str]]:
        name = columns["time"]
        if (streamed := _streamed_times(table, name, dates)) is not None:
            return streamed
        when, unit = timestamps.to_seconds(column("time"), name, dates=dates)
        return when, [said for said in (unit, timestamps.far_times(when)) if said]

    work: dict[str, Callable[[], Any]] = {
        "user": lambda: coded("user"),
        "item": lambda: coded("item"),
        "time": timed,
    }
    notes: list[str] = []
    when: Array | None = None
    text = any(table.sample[columns[kind]].dtype == pl.String for kind in ("user", "item"))
    with ThreadPoolExecutor(1 if text else min(2, pl.thread_pool_size())) as pool:  # text takes memory: one at a time
        parts = {role: pool.submit(task) for role, task in work.items() if role in columns}
        try:  # an error in the user's column is reported first, whichever thread ends first
            user_ids, user_codes, said = parts["user"].result()
            notes += said
            if not len(user_codes):
                raise NoRows(f"{table.label} has no rows; at least two users and two items are needed")
            item_ids, item_codes, said = parts["item"].result()
            notes += said
            refuse_second_header(user_ids, user_codes, item_ids, item_codes, columns)
            numbers = room(len(user_codes), np.float32)
            repeated = 0
            if count:
                repeated = count_repeats(user_codes, item_codes, len(user_ids), len(item_ids), numbers.view(np.uint32))
            if "rating" in columns:
                numbers = values.ratings(table, column, columns["rating"], numbers)
                refuse_totals(user_ids, user_codes, item_codes, numbers, columns["user"])
                refuse_totals(item_ids, item_codes, user_codes, numbers, columns["item"])
            else:
                numbers.fill(1.0)
            if "time" in columns:
                when, said = parts["time"].result()
                notes += said
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    used = Columns(*_names(table, found))._replace(weight=columns.get("weight"))
    weights = filled(column("weight"), np.float32) if "weight" in columns else None
    data = Interactions(
        user_codes,
        item_codes,
        numbers,
        when,
        user_ids,
        item_ids,
        used,
        notes=tuple(notes),
        kind="ratings",
        weights=weights,
    )
    return data, repeated


_DURATIONS = "durations, in seconds; two numbers such as 03:25 are minutes and seconds"


def kind_without_values(found: Roles) -> tuple[Kind, list[str]] | None:
    """Return the kind and its note where the columns determine it, whatever the values are; otherwise None."""
    if found.behaviour is not None and not found.keeps_amount:
        return "events", ["kind: events, by their behaviours"]
    if "rating" not in found.columns:
        return "events", ["no rating column: implicit feedback, every value is 1"]
    if found.durations:
        return "counts", [f"kind: counts ({_DURATIONS})"]
    return None


def unit_of_events(kind: Kind, found: Roles, numbers: Array) -> float | None:
    """Return the value that all rows of a table of events have, each of which counts 1; None where there is none."""
    if kind != "events" or found.behaviour is not None or "rating" not in found.columns or not len(numbers):
        return None
    first = float(numbers[0])
    return first if bool((numbers == numbers[0]).all()) else None


def kind_of(numbers: Array, found: Roles, chosen: Kind | None) -> tuple[Kind, list[str]]:
    """Return the kind of the values, and a note if it was guessed."""
    if chosen is not None:
        return chosen, [f"the values are {_DURATIONS}"] if found.durations else []
    if (certain := kind_without_values(found)) is not None:
        return certain
    guess = guess_kind(numbers, found.columns["rating"])
    notes = [f"kind: {guess.kind} ({guess.reason}); kind=... (on the command line --kind) overrides it"]
    if guess.codes and guess.kind == "ratings":
        shown = ", ".join(f"{code:g}" for code in guess.codes)
        verb = "is" if len(guess.codes) == 1 else "are"
        notes.append(
            f"{shown} {verb} outside the scale of the other ratings, which may mean 'no rating'; missing=[{shown}]"
            f" (on the command line --missing {shown}) leaves such rows out"
        )
    return guess.kind, notes


def _streamed_times(table: Table, name: str, dates: str | None) -> tuple[Array, list[str]] | None:
    dtype = table.sample[name].dtype
    if table.stream is None or (dates is not None and "%" in dates) or not dtype.is_integer() or dtype == pl.UInt64:
        return None
    rows, parts = table.stream(name)
    numbers = gathered(rows, parts, room(rows, np.int64))
    if numbers is None:
        return None
    limits = timestamps.extent(numbers) if rows else (0, 0)  # looked for once
    when, unit = timestamps.from_integers(numbers, name, dates=dates, limits=limits)
    far = timestamps.far_times(when, limits if when is numbers else None)
    return when, [said for said in (unit, far) if said]


def _alone(data: Interactions) -> list[str]:
    """What to say where no item has two users, or no user two items."""
    if len(data.events) < _SOME or data.duplicates == "all" or len(data) > max(data.n_users, data.n_items):
        return []
    found = [
        f"no {one} has more than one {other}, so {ALONE}: if the columns are not the user and the item, name these"
        " with user=... and item=..."
        for one, other, n in (("item", "user", data.n_items), ("user", "item", data.n_users))
        if len(data) == n
    ]
    return found[:1]


_SOME = 50
"""Of fewer rows nothing is said."""

ALONE = "nothing is learned from what others chose"
"""What a note on a table to learn from says, and one on a later table need not."""


def _loader(table: Table, roles: dict[str, str]) -> Callable[[str], pl.Series]:
    """Return a function that loads the column of a role.

    Text is parsed once and released column by column. Other tables are read a column at a time, so at most one column
    is held beside its result.
    """
    ids = [roles["user"], roles["item"]]
    if not table.parsed_at_once:
        return lambda role: table.load([roles[role]], ids)[roles[role]]
    frame = table.load(list(roles.values()), ids)
    series = {role: frame[name] for role, name in roles.items()}
    return series.pop


def _names(table: Table, found: Roles) -> list[Any]:
    """Return the names to show: the table's own, or generic ones if it has no header."""
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
