"""Find the roles of columns without names, by their positions and their contents."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cofactor.data.columns.contents import (
    contents_of,
    counts_rows,
    is_clock,
    is_fine,
    items_first,
    out_of_place,
    says_what_happened,
)
from cofactor.data.columns.facts import is_fact, is_finer
from cofactor.data.columns.given import Found
from cofactor.data.columns.names import never_again
from cofactor.data.kind import GRID
from cofactor.data.tables import Table
from cofactor.errors import DataError

MANY = 15
"""In a table with more nameless columns, no user or item is guessed."""


class _Columns:
    """The free columns of a table without names.

    ``what``: what each column holds; ``found``: the columns found for a role; ``said``: sentences for the note.
    """

    def __init__(self, table: Table, free: list[str], need: int) -> None:
        self.table, self.sample, self.free = table, table.sample, free
        self.found: dict[str, str] = {}
        aside = out_of_place(self.sample, free, need)
        self.what = contents_of(self.sample, free, need, aside)
        self.said = [
            f"{self.at(name)} is {'the time' if kind == 'time' else 'a grade'}" for name, kind in aside.items()
        ]
        if free and not aside:
            self._first_aside(need)
        for pair in pairwise(free):  # latitude and longitude
            if all(self.what[name] == "decimals" for name in pair) and all(is_fine(self.sample[name]) for name in pair):
                self.what |= dict.fromkeys(pair, "coordinate")

    def _first_aside(self, need: int) -> None:
        """Set the first column aside as the time or a row number, if two other columns are left for the ids."""
        first = self.free[0]
        timed = is_clock(self.sample[first])
        if not timed and not (self.table.parsed_at_once and counts_rows(self.sample[first])):
            return
        without = contents_of(self.sample, self.free, need, {first: "time" if timed else "nothing"})
        if sum(kind == "id" for kind in without.values()) >= need:
            self.what = without
            self.said.append(f"{self.at(first)} is {'the time' if timed else 'a number of the row'}")

    def at(self, name: str) -> str:
        return f"column {self.table.names.index(name)}"

    def holding(self, *kinds: str) -> list[str]:
        """Return the columns of one of these kinds that have no role yet."""
        return [name for name in self.free if self.what[name] in kinds and name not in self.found.values()]

    def take(self, role: str, *kinds: str) -> None:
        """Give the role to the first column of the first of these kinds that occurs."""
        for kind in kinds:
            if role not in self.found and (left := self.holding(kind)):
                self.found[role] = left[0]


def find_by_contents(table: Table, given: Found, roles: Sequence[str], may_behave: bool) -> None:
    """Find the columns of ``roles`` in a table without names, and add them to ``given``.

    The expected order is that of u.data: user, item, rating, time. A column is skipped if it cannot have the role of
    its position: times, behaviours, coordinates, categories, columns of one value, and ids that are missing in some
    rows.
    """
    ids = [role for role in ("user", "item") if role in roles]
    if len(table.names) > MANY and ids:
        raise DataError(
            f"{table.label} has {len(table.names)} columns without names, so the user and the item cannot be guessed;"
            " give their positions, counted from 0, with user=... and item=... (on the command line --user 0"
            " --item 3)"
        )
    columns = _Columns(table, given.free(table), len(ids))
    if may_behave and given.behaviour is None:
        later = (name for name in columns.free[1:] if columns.what[name] == "behaviour")
        given.behaviour = next((name for name in later if says_what_happened(table.sample[name])), None)
    _take_ids(columns, roles)
    if "rating" in roles and given.behaviour is None:
        _take_rating(columns)
    elif "rating" in roles:
        amounts = [name for name in columns.free if columns.what[name] in ("value", "decimals")]
        if amounts := [name for name in amounts if table.sample[name].n_unique() > 2]:
            at = columns.at(amounts[0])
            columns.said.append(
                f"{at} holds numbers: count={at.removeprefix('column ')} with behaviour=False would use them"
            )
    if "time" in roles:
        columns.take("time", "time")
    if {"user", "item"} <= set(columns.found) and not columns.said:
        columns.said.append("by position and content; name them if that is wrong")
    given.columns |= columns.found
    if columns.said:
        given.said = f" ({'; '.join(columns.said)})"


def _take_ids(columns: _Columns, roles: Sequence[str]) -> None:
    found, free = columns.found, columns.free
    numbers = [name for name in columns.holding("id") if never_again(columns.sample[name])]
    others = len(columns.holding("id", "text")) - len(numbers)
    if numbers and others >= len({"user", "item"} & set(roles)):
        for name in numbers:
            columns.what[name] = "nothing"
            columns.said.append(
                f"{columns.at(name)} has another value in each row, so it is not an id of a user or item"
            )
    if "user" in roles:
        columns.take("user", "id", "gaps")
    if "item" in roles:
        columns.take("item", "id", "text", "gaps")
        skipped = [name for name in free if columns.what[name] == "gaps" and name != found.get("item")]
        if skipped and "item" in found and free.index(skipped[0]) < free.index(found["item"]):
            columns.said.append(f"{columns.at(skipped[0])} has no id in some rows, so it is not the item")
    if "item" in found:
        _refuse_quantities(columns, found["item"])
    if {"user", "item"} <= set(found) and items_first(columns.sample[found["user"]], columns.sample[found["item"]]):
        found["user"], found["item"] = found["item"], found["user"]
        columns.said.append("the first column has ids of items")


def _refuse_quantities(columns: _Columns, item: str) -> None:
    """Raise DataError if the column of items comes after the time and holds small numbers, most of them 1 to 3: how
    many, not what (CDNOW's lines: customer, date, quantity, amount)."""
    values = columns.sample[item]
    timed = any(columns.what[name] == "time" for name in columns.free[: columns.free.index(item)])
    if not timed or not values.dtype.is_integer() or len(values) < _LINES:
        return
    low, median, high = (float(values.quantile(at) or 0) for at in (0.0, 0.5, 1.0))
    if 0 <= low <= 1 and median <= 3 and high <= 1_000:
        at = columns.at(item)
        raise DataError(
            f"no column of {columns.table.label} looks like items: {at} comes after the time and holds small numbers,"
            f" like quantities; if it is the item, say so with item={at.removeprefix('column ')} (on the command line"
            " --item)"
        )


_LINES = 50
"""Of fewer rows no column is taken for quantities."""


def _take_rating(columns: _Columns) -> None:
    sample, what = columns.sample, columns.what
    ids = [columns.found[role] for role in ("user", "item") if role in columns.found]
    for name in columns.holding("value", "decimals", "nothing"):
        if any(is_finer(sample, name, one) for one in ids):
            if what[name] != "nothing":
                columns.said.append(f"each value of {columns.at(name)} has one user or item, as its parts have")
            what[name] = "nothing"
            ids = [*ids, name]
    for name in columns.holding("value", "decimals"):
        if is_fact(sample, name, ids):
            what[name] = "fact"
            columns.said.append(f"{columns.at(name)} has one value for all rows of an id, so it is not a rating")
    for name in columns.free:
        if what[name] == "value" and sample[name].drop_nulls().n_unique() == 1:
            what[name] = "ones"
        elif what[name] == "decimals" and sample[name].n_unique() <= GRID:
            what[name] = "grades"
    columns.take("rating", "value", "grades", "ones", "decimals")
    odd = [name for name in columns.holding("nothing") if sample[name].dtype.is_numeric()]
    if "rating" not in columns.found and odd and sample[odd[0]].n_unique() > GRID:
        columns.said.append(f"{columns.at(odd[0])} holds numbers; count=... or rating=... would use them")
