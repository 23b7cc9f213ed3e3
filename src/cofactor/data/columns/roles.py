"""Resolve the role of each column: user, item, rating, time, behaviour. Roles are given, or guessed from names, or from
contents where columns have no names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from cofactor.data.columns.by_contents import find_by_contents
from cofactor.data.columns.by_names import find_by_names
from cofactor.data.columns.contents import is_behaviour
from cofactor.data.columns.facts import may_be_a_value, may_be_ids
from cofactor.data.columns.given import ROLES, Found, Wanted, given_columns, listed, named, taken_by_place
from cofactor.data.columns.names import is_weak, never_again
from cofactor.data.columns.values import is_duration
from cofactor.data.tables import Table
from cofactor.errors import DataError


class Roles(NamedTuple):
    """``columns``: the column of each role; ``behaviour``: the column that says what happened, or None; ``note``: what
    was guessed, in words; ``durations``: the values are such; ``keeps_amount``: the behaviour says which rows count,
    and the rating how much each of them does."""

    columns: dict[str, str]
    behaviour: str | None
    note: str | None
    durations: bool = False
    keeps_amount: bool = False


def resolve(table: Table, asked: Mapping[str, Wanted], behaviour: Wanted = None) -> Roles:
    """Resolve the column of each role: always ``user`` and ``item``; ``rating`` and ``time`` where the table has them;
    ``weight`` where it is given.

    Given names must exist. ``False`` means that there is no such column. An int is a position from 0. In a table
    without names, the columns are called ``user``, ``item``, ``rating`` and ``time``. A DataError lists the columns of
    the table.
    """
    found = given_columns(table, asked, behaviour)
    by_place = taken_by_place(table, asked)
    open_roles = [role for role in ROLES if asked[role] is None or role in by_place]
    if table.headed:
        find_by_names(table, asked, found, open_roles, behaviour is None)
    else:
        find_by_contents(table, found, open_roles, behaviour is None)
        for role in ("rating", "time"):
            if role in by_place and role not in found.columns:
                named(table, role, role)
    _complete(table, found)
    if table.headed and asked["rating"] is None and not found.said and "rating" not in found.columns:
        found.said = _may_be_ratings(table, found)
    return Roles(
        found.columns,
        found.behaviour,
        _note(table, found, open_roles, behaviour is None),
        "rating" in found.columns and is_duration(table.sample[found.columns["rating"]]),
        found.keeps_amount,
    )


def _may_be_ratings(table: Table, found: Found) -> str:
    """Return a note on columns with unknown names that may be ratings, if no rating was found."""
    if found.behaviour is not None:
        return ""
    ids = [found.columns["user"], found.columns["item"]]
    left = [name for name in found.free(table) if may_be_a_value(table.sample, name, ids)]
    if not left:
        return ""
    texts = [name for name in left if table.sample[name].dtype == pl.String and is_behaviour(table.sample[name])]
    others = [name for name in left if name not in texts][:3]
    said = (
        f"; no rating column used: {listed(others)} may hold a value for each row, rating=... would use it"
        if others
        else ""
    )
    if texts:
        shown = ", ".join(map(repr, table.sample[texts[0]].drop_nulls().unique().sort().head(4).to_list()))
        said += (
            f"; {listed(texts[:3])} may say what happened ({shown}): behaviour=... with weights={{...}} would use it"
        )
    return said


def _note(table: Table, found: Found, open_roles: list[str], may_behave: bool) -> str | None:
    """Return a sentence on what was guessed."""
    guessed = {role: found.columns[role] for role in open_roles if role in found.columns}
    if found.behaviour is not None and may_behave:
        guessed["behaviour"] = found.behaviour
    if not guessed:
        return None
    if table.headed:
        said = [f"{role} = {name!r}" for role, name in guessed.items()]
    else:
        said = [f"{role} = column {table.names.index(name)}" for role, name in guessed.items()]
    return f"columns guessed: {', '.join(said)}{found.said}"


def _complete(table: Table, found: Found) -> None:
    """Give the last open role to the last free column. Raises DataError if a user or item is still missing."""
    missing = [role for role in ("user", "item") if role not in found.columns]
    free = found.free(table)
    plain = [name for name in free if name.lower() == "id" and table.sample[name].is_duplicated().any()]
    if missing == ["item"] and len(plain) == 1:  # ids that repeat are not row ids
        found.columns["item"] = plain[0]
    elif len(missing) == 1 and len(free) == 1 and may_be_ids(table.sample[free[0]], missing[0]):
        found.columns[missing[0]] = free[0]
    elif missing and len(table.names) == 1 and table.parsed_at_once:
        begins = f", {table.names[0]!r}" if table.headed else f" (it begins with {str(table.sample.item(0, 0))[:40]!r})"
        raise DataError(
            f"{table.label} seems to have one column{begins}; name the separator with sep=..."
            " (on the command line --sep, such as --sep ';')"
        )
    elif missing:
        wide = len(table.names) > 6 and sum(table.sample[name].dtype.is_numeric() for name in table.names) > 4
        raise DataError(
            f"cannot guess which column of {table.label} is the {missing[0]}; there are: {listed(table.names)};"
            f" name it with {missing[0]}=... (on the command line --{missing[0]} NAME)"
            + (", or set wide=True (--wide) if each item has a column of its own" if wide else "")
            + (
                "; the text is not UTF-8, and its names may be in another encoding than latin-1: encoding=..."
                " (--encoding) such as cp932, gb18030, big5, cp949, cp1251"
                if any(note.startswith("encoding: not UTF-8") for note in table.notes)
                else ""
            )
        )


def refuse_a_list_of_things(table: Table, found: Roles) -> None:
    """Raise DataError if columns without names seem to describe users or items, one per row.

    That is so if no user has several items and each item occurs once; or if rows are numbered and no user repeats, or
    most pairs repeat, and there is no time.
    """
    user, item = found.columns["user"], found.columns["item"]
    users, items = table.sample[user], table.sample[item]
    rows = len(users)
    if table.headed:
        _refuse_named_things(table, user, item)
        return
    if rows < 10 or not table.parsed_at_once:
        return
    once = users.n_unique() == rows
    numbered = "is a number of the row" in (found.note or "")
    pairs = pl.DataFrame([users, items]).n_unique()
    if (once and items.n_unique() == rows) or (
        numbered and (once or never_again(items) or (2 * pairs < rows and "time" not in found.columns))
    ):
        raise DataError(
            f"the rows of {table.label} seem to describe users or items, not ratings of items by users: columns"
            f" {table.names.index(user)} and {table.names.index(item)} would be the user and the item; if they are,"
            " name them by position with user=... and item=... (on the command line --user, --item)"
        )


def _refuse_named_things(table: Table, user: str, item: str) -> None:
    """Raise DataError if each user occurs once, and the item is the column of names or titles beside an id."""
    if is_weak(item) and never_again(table.sample[user]):
        raise DataError(
            f"each user of {table.label} (column {user!r}) has one row, with a {item!r}: it seems to describe users,"
            f" not what they chose; if {item!r} is the item, name both columns with user=... and item=... (on the"
            " command line --user, --item)"
        )
