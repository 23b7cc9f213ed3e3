"""Histories of new users: read from a frame with a row for each rating, or from a list of histories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import polars as pl

from cofactor.data.formats.frames import select_columns
from cofactor.errors import CofactorError, DataError
from cofactor.recommend.fitted import Fitted

History = Mapping[Any, float] | Iterable[Any]


def read_histories(rec: Fitted, histories: Any) -> tuple[pl.Series, list[History]]:
    """Return (labels, histories), with each history as :meth:`Recommender.recommend` takes one.

    A frame has the columns of the training table. Its users, in order of first appearance, are the labels. The column
    of ratings may be absent, or null for items liked without a rating. Without times, rows are ordered from oldest to
    newest. The labels of a list are its positions, from 0. DataError for anything else.
    """
    c = rec.data.columns
    table = select_columns(histories, [c.user, c.item], [], [c.rating or "rating", c.time or "time"], "the histories")
    if table is None:
        if (
            isinstance(histories, (str, Mapping))
            or not isinstance(histories, Iterable)
            or getattr(histories, "ndim", 1) == 0
        ):
            raise DataError(
                "give histories as a list, such as [['Fargo (1996)'], {'Kolya (1996)': 5}], or as a frame with"
                " a row for each rating"
            )
        found = list(histories)
        return pl.Series(range(len(found)), dtype=pl.Int64), found
    for name in (c.user, c.item):
        _check_whole(table[name], "user" if name == c.user else "item", "the histories")
    made = [_entries(rec, rows) for _, rows in table.group_by(c.user, maintain_order=True)]
    return table[c.user].unique(maintain_order=True), made


def from_frame(rec: Fitted, history: Any) -> History:
    """Return the history of one user from a frame with the training table's columns (ratings and times are optional).

    DataError where ``history`` is not a frame, or has no column of items.
    """
    c = rec.data.columns
    table = select_columns(history, [c.item], [], [c.rating or "rating", c.time or "time"], "the rows of the history")
    if table is None:
        raise DataError(f"the history is a {type(history).__name__}; give a frame, or items with ratings")
    _check_whole(table[c.item], "item", "the history")
    return _entries(rec, table)


def _entries(rec: Fitted, rows: pl.DataFrame) -> History:
    c = rec.data.columns
    items = rows[c.item].to_list()
    rating, time = c.rating or "rating", c.time or "time"
    rated, timed = rating in rows.columns, time in rows.columns
    values = rows[rating].to_list() if rated else [None] * len(items)
    if timed:
        return list(zip(items, values, rows[time].to_list(), strict=True))
    return list(zip(items, values, strict=True)) if rated else items


def _check_whole(column: pl.Series, role: str, what: str) -> None:
    if column.null_count():
        raise DataError(f"row {int(column.is_null().arg_max() or 0) + 1} of {what} has no {role}")


@contextmanager
def naming(label: Any) -> Iterator[None]:
    """Add the user's label to the message of an error raised in this context."""
    try:
        yield
    except CofactorError as error:
        error.args = (f"in the history of {label!r}: {error}", *error.args[1:])
        raise
