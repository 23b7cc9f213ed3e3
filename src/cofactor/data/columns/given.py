"""The columns that the caller gives by name or position, and the state of the search for the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cofactor.data.tables import Table
from cofactor.errors import ConfigError, DataError, did_you_mean

Wanted = str | int | bool | None
ROLES = ("user", "item", "rating", "time")
"""The roles that are guessed. A column of weights must be named."""


@dataclass
class Found:
    """The column of each role found so far.

    ``behaviour``: the column of behaviours; ``said``: sentences for the note on what was guessed.
    """

    columns: dict[str, str]
    behaviour: str | None = None
    said: str = ""
    keeps_amount: bool = False
    """Whether what happened says which rows count, and the rating how much each of them does."""

    def free(self, table: Table) -> list[str]:
        """Return the columns that have no role yet."""
        return [name for name in table.names if name not in self.columns.values() and name != self.behaviour]


def given_columns(table: Table, asked: Mapping[str, Wanted], behaviour: Wanted) -> Found:
    """The columns that the caller named; DataError where one is not there, or is named twice."""
    for role, wanted in (*asked.items(), ("behaviour", behaviour)):
        _check_wanted(role, wanted)
    unnamed = taken_by_place(table, asked)
    found = Found({})
    for role in (*ROLES, "weight"):
        wanted = asked.get(role)
        if wanted is not None and wanted is not False and role not in unnamed:
            found.columns[role] = named(table, wanted, role)
    if behaviour is not None and behaviour is not False:
        found.behaviour = named(table, behaviour, "behaviour")
    taken = [*found.columns.values(), *([found.behaviour] if found.behaviour else [])]
    if twice := [name for name in taken if taken.count(name) > 1]:
        raise DataError(
            f"column {twice[0]!r} is given twice; user, item, rating, time and weight must be different columns"
        )
    return found


def _check_wanted(role: str, wanted: Any) -> None:
    """ConfigError unless it is a column's name or position, None or a flag: a column itself may have been given."""
    if wanted is not None and not isinstance(wanted, (str, int, np.integer)):
        raise ConfigError(
            f"{role} is of type {type(wanted).__name__}; give the name of the column, or its position from 0"
        )


def taken_by_place(table: Table, asked: Mapping[str, Wanted]) -> list[str]:
    """Return the roles that the caller asks for by their own names in a table without names. Their columns are found by
    position."""
    return [role for role in ROLES if asked[role] == role and not table.headed and role not in table.names]


def named(table: Table, wanted: str | int | bool, role: str) -> str:
    """Return the name of a column given by name or position. Raises DataError if it does not exist."""
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if not -len(table.names) <= wanted < len(table.names):
            raise DataError(
                f"no column {wanted} for the {role} in {table.label}; it has {len(table.names)} columns, counted from 0"
            )
        return table.names[wanted]
    if isinstance(wanted, str) and wanted in table.names:
        return wanted
    if isinstance(wanted, str) and not table.headed and wanted.isdecimal() and int(wanted) < len(table.names):
        return table.names[int(wanted)]
    hint = "" if table.headed else " (no header line: give positions, counted from 0)"
    raise DataError(
        f"no column {wanted!r} in {table.label}; there are: {listed(table.names)}{hint}."
        f"{did_you_mean(wanted, table.names)}"
    )


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
