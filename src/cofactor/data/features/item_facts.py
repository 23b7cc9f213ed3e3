"""Item attributes from the ratings table itself or from side tables: titles, genres."""

from __future__ import annotations

from typing import Any

import polars as pl

from cofactor.data.columns import names as column_names
from cofactor.data.features import side_tables
from cofactor.data.features.features import GROUPS
from cofactor.data.interactions import Interactions
from cofactor.data.tables import Table
from cofactor.errors import DataError


def described(
    data: Interactions, table: Table, items: Any, users: Any, title: str | None, encoding: str | None
) -> Interactions:
    """Return the data with side tables, and with item titles where the table itself holds them."""
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
    """Return a table of items with the titles in their rows, if each item has one; else None.

    Raises DataError if ``title`` is not a column, or differs within the rows of an item.
    """
    if title is not None and title not in table.names:
        raise DataError(
            f"no column {title!r} in {table.label} for the titles; there are: {', '.join(table.names[:20])}"
        )
    item = data.columns.item
    if item not in table.names or (title is None and (not table.headed or _is_a_title(item))):
        return None
    taken = (data.columns.user, item, data.columns.rating, data.columns.time)
    plain = {column_names.plain_name(name): name for name in reversed(table.names) if name not in taken}
    if _REVIEWS & set(plain):  # the title of a review is beside its text
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


def _is_a_title(item: str) -> bool:
    """Whether the ids of items are their names, which need no other (``trackname`` beside ``artistname``)."""
    return column_names.plain_name(item).endswith(("name", "title", "description"))


def _groups(table: Table, data: Interactions) -> pl.DataFrame | None:
    """Return a table of items with the groups (such as genres) in their rows, which are the same in all rows of an
    item; None if there is no such column."""
    item, taken = data.columns.item, (data.columns.user, data.columns.rating, data.columns.time)
    if item not in table.names or not table.headed:
        return None
    plain = {column_names.plain_name(name): name for name in reversed(table.names) if name not in (item, *taken)}
    name = next((plain[group] for group in GROUPS if group in plain), None)
    if name is None or table.sample[name].dtype != pl.String:
        return None
    frame = table.load([item, name], [item]).drop_nulls().unique(maintain_order=True)
    if len(frame) > 1.05 * frame[item].n_unique():  # belongs to the row, not to the item
        return None
    try:
        return side_tables.align_frame(side_tables.with_groups(frame, item), item, data.item_ids, item)[0]
    except DataError:  # ids of another type than the cleaned ones
        return None
