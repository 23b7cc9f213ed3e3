"""The histories of several new users: a list of them, or a frame with a row for each rating."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import polars as pl

from cofactor.data.frames import select_columns
from cofactor.errors import CofactorError, DataError
from cofactor.recommend.fitted import Fitted

History = Mapping[Any, float] | Iterable[Any]


def read_histories(rec: Fitted, histories: Any) -> tuple[pl.Series, list[History]]:
    """(labels, histories), each as :meth:`Recommender.recommend` takes one.

    A frame has the columns of the training table: users, in the order in which they first come, are the labels; the
    column of ratings may be absent, or null where an item was liked; without times, rows come oldest first. The labels
    of a list are its positions, from 0. DataError for anything else.
    """
    c = rec.data.columns
    rating, time = c.rating or "rating", c.time or "time"
    table = select_columns(histories, [c.user, c.item], [], [rating, time], "the histories")
    if table is None:
        if isinstance(histories, (str, Mapping)) or not isinstance(histories, Iterable):
            raise DataError(
                "give histories as a list of them, such as [['Fargo (1996)'], {'Kolya (1996)': 5}], or as a frame with"
                " a row for each rating"
            )
        found = list(histories)
        return pl.Series(range(len(found)), dtype=pl.Int64), found
    for name in (c.user, c.item):
        if table[name].null_count():
            row = int(table[name].is_null().arg_max() or 0) + 1
            raise DataError(f"row {row} of the histories has no {'user' if name == c.user else 'item'}")
    rated, timed = rating in table.columns, time in table.columns
    made: list[History] = []
    users = table[c.user].unique(maintain_order=True)
    for _, rows in table.group_by(c.user, maintain_order=True):
        items = rows[c.item].to_list()
        values = rows[rating].to_list() if rated else [None] * len(items)
        entries = zip(items, values, rows[time].to_list(), strict=True) if timed else zip(items, values, strict=True)
        made.append(list(entries) if rated or timed else items)
    return users, made


@contextmanager
def naming(label: Any) -> Iterator[None]:
    """Errors say whose history they are about."""
    try:
        yield
    except CofactorError as error:
        error.args = (f"in the history of {label!r}: {error}", *error.args[1:])
        raise
