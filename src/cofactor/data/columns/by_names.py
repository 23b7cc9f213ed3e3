"""Find the roles of columns with names: by name, and by contents where a name can mean several things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from cofactor.data.columns.behaviours import says_no
from cofactor.data.columns.contents import holds_moments, is_behaviour, is_clock, is_vote, says_what_happened
from cofactor.data.columns.facts import finest_time, is_fact, may_be_a_value, varies
from cofactor.data.columns.given import Found, Wanted, listed
from cofactor.data.columns.names import (
    column_of,
    is_usual,
    outcome_of,
    plain_name,
    unsure_ratings,
    unsure_times,
)
from cofactor.data.columns.values import as_numbers, is_duration
from cofactor.data.kind import GRID, says_amount, says_count, says_grade
from cofactor.data.tables import Table
from cofactor.data.times.written_dates import is_time as is_written_time
from cofactor.data.times.written_dates import seems_time

_PARTS = frozenset(("day", "week", "month", "quarter", "t"))
"""Names of times that may also mean a part of a date."""


def find_by_names(
    table: Table, asked: Mapping[str, Wanted], found: Found, roles: Sequence[str], may_behave: bool
) -> None:
    """Find the columns of ``roles``, and with ``may_behave`` the column of behaviours. The results are added to
    ``found``."""
    for role in roles:
        free = found.free(table)
        match = _time_of(table.sample, free, found.columns) if role == "time" else column_of(table.sample, free, role)
        if match is not None:
            found.columns[role] = match
    if "rating" in roles and "rating" in found.columns:
        _doubt_rating(table.sample, found, found.free(table))
    if "rating" in roles and "rating" not in found.columns and "item" in found.columns:
        item = found.columns["item"]
        amounts = [name for name in found.free(table) if says_amount(name) and varies(table.sample, name, item)]
        if len(amounts) == 1:
            found.columns["rating"] = amounts[0]
    if may_behave:
        _find_behaviour(table, found, guessed_value=found.columns.get("rating") if asked["rating"] is None else None)
    if asked["rating"] is None and "rating" not in found.columns and found.behaviour is None:
        ids = [found.columns[role] for role in ("user", "item") if role in found.columns]
        votes = [name for name in found.free(table) if is_vote(table.sample[name])]
        votes = [name for name in votes if not is_fact(table.sample, name, ids)]
        if len(votes) == 1:
            found.columns["rating"] = votes[0]
    open_roles = [role for role in ("rating", "time") if asked[role] is None and role not in found.columns]
    found.said += "".join(f"; {text}" for text in _left_out(table.sample, found.free(table), open_roles))


_OF_THINGS = frozenset(("weight", "count", "cnt", "value", "values"))
"""Names of amounts that may also be those of a thing: its weight, say."""


def _doubt_rating(sample: pl.DataFrame, found: Found, free: Sequence[str]) -> None:
    """Say where other columns may be the rating too, or where it is the same in all rows of an item; an amount of which
    that is so is none of the row."""
    name, ids = found.columns["rating"], [found.columns[role] for role in ("user", "item") if role in found.columns]
    if sample[name].dtype.is_nested() or sample[name].dtype == pl.Object:
        return
    others = [one for one in free if is_usual(one, "rating") and may_be_a_value(sample, one, ids)]
    if plain_name(name) in _OF_THINGS and is_fact(sample, name, ids):
        del found.columns["rating"]
        found.said += f"; {name!r} has one value for all rows of a user or item: rating={name!r} would use it"
        if others:
            found.columns["rating"] = others.pop(0)
    elif "item" in found.columns and is_fact(sample, name, [found.columns["item"]]):
        found.said += f"; {name!r} has one value for all rows of an item, as its mean would"
    if others:
        found.said += f"; {listed(others)} may be the rating too: rating={others[0]!r} would use it"


def _find_behaviour(table: Table, found: Found, guessed_value: str | None) -> None:
    """Find the column of behaviours: it says more than a plain amount does.

    ``guessed_value``: the column that was guessed to be the rating.
    """
    if guessed_value and _says_no_in_words(table.sample[guessed_value]):
        found.behaviour = found.columns.pop("rating")
    if found.behaviour is not None or ("rating" in found.columns and not (guessed_value and says_count(guessed_value))):
        return
    free = [name for name in table.names if name not in found.columns.values()]
    match = column_of(table.sample, free, "behaviour")
    if match is not None and is_behaviour(table.sample[match]):
        found.behaviour = match
        found.columns.pop("rating", None)
    elif (outcome := outcome_of(table.sample, free)) is not None:
        found.behaviour = outcome
        zero = "no" if table.sample[outcome].dtype == pl.String else "0"
        found.said += f"; {outcome} = {zero} means shown only, or rejected; those rows are left out"
        if (amount := found.columns.pop("rating", None)) is not None:  # hours of a game that is advised against
            found.said += f"; count={amount!r} with behaviour=False would use {amount} instead"
    elif match is None and (deeds := _deeds(table.sample, free)) is not None:
        if says_no(table.sample[deeds]):  # a dislike is not one more thing that was liked
            found.behaviour, found.keeps_amount = deeds, "rating" in found.columns
        else:
            found.said += f"; {deeds!r} holds behaviours: behaviour={deeds!r} uses it"
    elif (status := _taken_back(table, found, free)) is not None:
        found.behaviour, found.keeps_amount = status, "rating" in found.columns
    elif match is not None and table.sample[match].dtype.is_integer():
        found.said += f"; {match!r} holds behaviours as numbers: behaviour={match!r} with weights={{...}} uses it"


def _taken_back(table: Table, found: Found, free: Sequence[str]) -> str | None:
    """The one column of few texts of which some say that a row was taken back (refunded, cancelled) and some do not,
    where it differs from row to row of a user and of an item."""
    ids = [found.columns[role] for role in ("user", "item") if role in found.columns]
    columns = [(name, table.sample[name]) for name in free]
    said = [
        name
        for name, values in columns
        if is_behaviour(values) and not values.null_count() and says_no(values) and not is_fact(table.sample, name, ids)
    ]
    return said[0] if len(said) == 1 else None


def _left_out(sample: pl.DataFrame, free: Sequence[str], roles: Sequence[str]) -> list[str]:
    """Return notes on columns that look like a rating or a time but were not given one of these open roles."""
    said = []
    for name in free:
        if plain_name(name).removeprefix("is") in _TAKEN_BACK and _some_hold(sample[name]):
            said.append(f"{name!r} may say which rows were taken back; they are kept (drop them before reading)")
    unread = [name for name in free if _unreadable(sample, name)]
    if "rating" in roles and unread:
        text = sample[unread[0]].drop_nulls()[0][:40]
        said.append(f"{unread[0]!r} holds texts such as {text!r}, which are not numbers, so it is not used")
    clocks = [name for name in free if is_usual(name, "time") and is_duration(sample[name])]
    if "time" in roles and clocks:
        said.append(
            f"{clocks[0]!r} holds times of day or durations such as {sample[clocks[0]].drop_nulls()[0]}, so it is not"
            f" the time: count={clocks[0]!r} uses them as amounts"
        )
    undated = [name for name in free if is_usual(name, "time") and name not in clocks and name.lower() not in _PARTS]
    undated += [
        name
        for name in free
        if name not in (*clocks, *undated) and seems_time(sample[name]) and not is_written_time(sample[name])
    ]
    if "time" in roles and undated:
        shown = [str(one)[:40] for one in sample[undated[0]].drop_nulls().head(1).to_list()]
        said.append(
            f"{undated[0]!r} is not taken for the time: its values{f', such as {shown[0]},' if shown else ''} are not"
            f" dates (time={undated[0]!r} uses it)"
        )
    for role, what, unsure in (("rating", "rating", unsure_ratings), ("time", "times", unsure_times)):
        if role in roles and (several := unsure(sample, free)):
            said.append(f"no {what} used: {listed(several)} are equally likely; name one with {role}=...")
    return said


_TAKEN_BACK = frozenset(
    ("deleted", "removed", "cancelled", "canceled", "returned", "refunded", "void", "voided", "revoked")
)


def _some_hold(values: pl.Series) -> bool:
    """Return whether a column is true or 1 in some rows, and false or 0 in others."""
    if values.dtype == pl.String:
        values = values.str.to_lowercase().replace(
            {"true": "1", "false": "0", "yes": "1", "no": "0", "y": "1", "n": "0"}
        )
        values = values.cast(pl.Int64, strict=False)
    if not (values.dtype == pl.Boolean or values.dtype.is_integer()) or values.null_count():
        return False
    return values.cast(pl.Int64).unique().sort().to_list() == [0, 1]


def _says_no_in_words(values: pl.Series) -> bool:
    return is_behaviour(values) and says_what_happened(values) and says_no(values)


def _unreadable(sample: pl.DataFrame, name: str) -> bool:
    """Return whether a column named like an amount or a grade holds texts that are not numbers, such as 1.2k or A to
    F."""
    present = sample[name].drop_nulls()
    if present.dtype != pl.String or not len(present) or not as_numbers(present).null_count():
        return False
    return (says_amount(name) and bool(present.str.contains(r"\d").all())) or (
        says_grade(name) and 1 < present.n_unique() <= GRID
    )


def _deeds(sample: pl.DataFrame, free: Sequence[str]) -> str | None:
    """Return the only column whose texts are behaviours, such as like and dislike, whatever its name; else None."""
    found = [name for name in free if is_behaviour(sample[name]) and says_what_happened(sample[name])]
    return found[0] if len(found) == 1 else None


def _time_of(sample: pl.DataFrame, free: Sequence[str], chosen: Mapping[str, str]) -> str | None:
    """Return the time column, by its name. Otherwise return the only column that holds dates, unless it describes a
    user or an item, such as a date of birth."""
    ids = [chosen[role] for role in ("user", "item") if role in chosen]
    match = column_of(sample, free, "time")
    if match is not None and (is_usual(match, "time") or not is_fact(sample, match, ids)):
        same = [name for name in free if is_usual(name, "time") and name != match and holds_moments(sample[name])]
        finer = finest_time(sample, [match, *same]) if same and holds_moments(sample[match]) else None
        return finer or match
    if match is None and (unsure := unsure_times(sample, free)):
        return finest_time(sample, unsure)
    dated = [name for name in free if _holds_dates(sample[name]) and not is_fact(sample, name, ids)]
    return dated[0] if len(dated) == 1 else None


def _holds_dates(values: pl.Series) -> bool:
    """Return whether a column holds dates, dates as text, or milliseconds."""
    if values.dtype in (pl.Date, pl.Datetime):
        return bool(values.is_not_null().any())
    return (is_written_time(values) if values.dtype == pl.String else is_clock(values)) and values.n_unique() > 1
