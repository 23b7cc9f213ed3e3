"""Read a later table of the same source, such as test rows, like the training table; few rows are not enough to
guess."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.columns.by_contents import MANY
from cofactor.data.formats.open import open_table
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions
from cofactor.data.read import ALONE, COUNTS_ONE, read
from cofactor.data.tables import Table
from cofactor.data.times.timestamps import is_order
from cofactor.errors import DataError


def read_alike(source: Any, train: Interactions, *, guess: bool = False, **given: Any) -> Interactions:
    """Read a path or frame with the columns, kind, date format and other options of the training table. ``given``:
    arguments of :func:`cofactor.read` that override them.

    Ids of a file are text if those of the training data are, and numbers if all are written as numbers. Column names
    may differ in case. With ``guess``, columns that are missing are guessed, with a note, and times may be missing.
    Raises DataError if a column does not exist.
    """
    asked = _options(source, train, given) | given
    try:
        found = read(source, **asked)
    except DataError as error:
        again = asked | _other_names(source, train, given, asked, guess)
        if "%" in (asked.get("dates") or "") and "dates" not in given:
            again["dates"] = None  # dates in another format
        if again == asked:
            raise
        found = read(source, **again)
        if asked.get("rating") and found.columns.rating is None and found.reading.behaviour is False:
            raise error from None
        if asked.get("time") and found.times is None:
            said = f"no times here, though column {asked['time']!r} of the training data has some: each row counts as"
            found = found.replace(notes=(*found.notes, f"{said} later than all of those"))
    if train.reading.unit is not None and found.columns.rating is None:  # its column was left out: each row counts 1
        columns = found.columns._replace(rating=train.columns.rating)
        found = found.replace(columns=columns, reading=found.reading._replace(unit=train.reading.unit))
    if is_file(source):
        for side in ("user", "item"):
            mine = getattr(train, f"{side}_ids").dtype
            if mine == pl.String:
                found = as_text(found, side)
            elif mine.is_integer():
                found = _as_numbers(found, side)
    check_alike(found, train)
    return found.replace(notes=tuple(note for note in found.notes if ALONE not in note))


def _other_names(
    source: Any, train: Interactions, given: dict[str, Any], asked: dict[str, Any], guess: bool
) -> dict[str, Any]:
    """Return the columns of the training table that are not in this one: a name that differs in case, or None (to be
    guessed)."""
    table = _opened(source, train.columns.user, given)
    found: dict[str, Any] = {}
    parsed = (train.item_ids.code(train.item_ids.parse(name)) for name in table.names)
    if guess and not {"item", "wide"} & given.keys() and 2 * sum(code >= 0 for code in parsed) > len(table.names):
        user = asked["user"] if asked["user"] in table.names else None
        return {"user": user, "item": None, "rating": None, "time": False, "wide": True}  # a column for each known item
    if guess and not table.headed and len(table.names) > MANY and not {"user", "item"} & given.keys():
        return {"user": None, "item": None, "rating": None, "time": False}  # a matrix without names
    for role in ("user", "item", "rating", "time"):
        name = asked.get(role)
        if role in given or not isinstance(name, str) or name in table.names or (name == role and not table.headed):
            continue
        alike = [one for one in table.names if one.lower() == name.lower()]
        if len(alike) == 1:
            found[role] = alike[0]
        elif guess:
            found[role] = None
    return found


def check_alike(rows: Interactions, train: Interactions) -> None:
    """Raise DataError if rows were read as another kind, so that their ratings are lost; if they are on another scale;
    or if their times are an order and those of training are dates."""
    if train.kind == "ratings" and rows.kind == "events" and any(COUNTS_ONE in note for note in rows.notes):
        raise DataError(
            "these rows were read as events, each counting 1, because their ratings are all equal; read them with"
            " kind='ratings', or give the path or the frame itself"
        )
    if train.kind == rows.kind == "ratings" and len(rows) and len(train) >= _FEW:
        _check_scale(rows, train)
    if train.times is not None and rows.times is not None and len(train.times) and len(rows.times):
        mine, theirs = (("an order" if is_order(times) else "dates") for times in (train.times, rows.times))
        if mine != theirs:
            raise DataError(
                f"the times of these rows are {theirs}, and those of the training data {mine}; write both in one unit,"
                " or read both without times (time=False, on the command line --no-time)"
            )


_FEW = 100
"""Fewer ratings do not determine their scale."""


def _check_scale(rows: Interactions, train: Interactions) -> None:
    """Raise DataError if most ratings lie outside the range of the training data, or if one does by more than half that
    range."""
    (low, high), (lowest, highest) = train.range, rows.range
    outside = (rows.values < low) | (rows.values > high)
    beyond = max(low - lowest, highest - high)
    if beyond > 0 and (2 * int(outside.sum()) > len(rows) or 2 * beyond > high - low > 0):
        odd = lowest if low - lowest >= highest - high else highest
        raise DataError(
            f"the ratings of these rows go from {lowest:g} to {highest:g}, and those of the training data from {low:g}"
            f" to {high:g}; convert them to one scale, or leave out values for 'no rating' with missing=[{odd:g}] (on"
            f" the command line --missing {odd:g})"
        )


def is_file(source: Any) -> bool:
    """Return whether a table is a path: the types of its ids are then guessed from its own rows."""
    return isinstance(source, (str, os.PathLike))


def _options(source: Any, train: Interactions, given: dict[str, Any]) -> dict[str, Any]:
    columns, reading = train.columns, train.reading
    asked: dict[str, Any] = {"user": columns.user, "item": columns.item}
    asked["rating"] = False if columns.rating is None or reading.unit is not None else columns.rating
    asked["time"] = columns.time if train.times is not None and columns.time is not None else False
    asked |= {"missing_ids": reading.missing_ids, "fold_ids": reading.fold_ids, "dates": reading.dates}
    asked["missing"] = None if reading.missing is None else list(reading.missing)
    asked["duplicates"] = None if train.duplicates == "error" else train.duplicates
    if columns.weight is not None and "weight" not in given and _has(source, columns.weight, given):
        asked["weight"] = columns.weight
    if given.get("count") is not None:
        del asked["rating"]
    elif given.get("behaviour") is None and given.get("kind") is None and asked["rating"] is not False:
        asked["kind"] = train.kind
    if reading.behaviour is False:
        asked["behaviour"] = False
    elif reading.behaviour is not None and given.get("behaviour") is None:
        asked |= _behaviours(source, reading.behaviour, reading.weights, given)
    return asked


def _opened(source: Any, name: str, given: dict[str, Any]) -> Table:
    return open_table(source, named=[name], **{way: given.get(way) for way in ("sep", "encoding", "header", "table")})


def _has(source: Any, name: str, given: dict[str, Any]) -> bool:
    """Return whether a table has a column of this name: test rows need no weights."""
    return name in _opened(source, name, given).names


def _behaviours(source: Any, name: str, weights: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options for the column of behaviours, if the table has it (otherwise every row counts 1), and the
    weights of the behaviours that occur in it."""
    opened = _opened(source, name, given)
    if name not in opened.names:
        return {"behaviour": False}
    if weights is None:
        return {"behaviour": name}
    occur = opened.load([name], [])[name].cast(pl.String).str.strip_chars().drop_nulls().unique().to_list()
    return {"behaviour": name, "weights": {one: weights.get(one, 0.0) for one in occur}}


def as_text(data: Interactions, side: str) -> Interactions:
    """Return the data with user or item ids as text: whole numbers as they were written in a file."""
    ids, table = getattr(data, f"{side}_ids"), getattr(data, f"{side}_table")
    if not ids.dtype.is_integer():
        return data
    if table is not None and table.to_series(0).dtype.is_integer():
        table = table.with_columns(pl.col(table.columns[0]).cast(pl.String))
    return data.replace(**{f"{side}_ids": IdMap(ids.values.cast(pl.String), side), f"{side}_table": table})


def _as_numbers(data: Interactions, side: str) -> Interactions:
    """Return the data with ids as numbers, if all texts are whole numbers without leading zeros or signs."""
    ids, table = getattr(data, f"{side}_ids"), getattr(data, f"{side}_table")
    if ids.dtype != pl.String or table is not None:
        return data
    numbers = ids.values.cast(pl.Int64, strict=False)
    if numbers.null_count() or not (numbers.cast(pl.String) == ids.values).all():
        return data
    place = numbers.arg_sort()
    codes = np.empty(len(place), dtype=np.int32)
    codes[place.to_numpy()] = np.arange(len(place), dtype=np.int32)
    changes: dict[str, Any] = {f"{side}_ids": IdMap(numbers.gather(place), side)}
    if data.unmerged is not None:
        rows = data.unmerged
        changes["unmerged"] = rows.replace(**changes, **{f"{side}s": codes[getattr(rows, f"{side}s")]})
    return data.replace(**changes, **{f"{side}s": codes[getattr(data, f"{side}s")]})
