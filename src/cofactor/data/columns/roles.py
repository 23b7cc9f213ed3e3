"""Which column is the user, the item, the rating, the time, the behaviour: as given, or guessed from its name, or
(where columns have no names) from what stands in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from cofactor.data.columns.behaviours import says_no
from cofactor.data.columns.contents import (
    contents_of,
    counts_rows,
    holds_moments,
    is_behaviour,
    is_clock,
    is_fine,
    is_vote,
    items_first,
    out_of_place,
    says_what_happened,
)
from cofactor.data.columns.names import column_of, is_usual, outcome_of, unsure_ratings, unsure_times, words_of
from cofactor.data.columns.values import as_numbers, is_duration
from cofactor.data.kind import GRID, says_amount, says_count, says_grade
from cofactor.data.tables import Table
from cofactor.data.times.written_dates import is_time as is_written_time
from cofactor.errors import DataError, did_you_mean

Wanted = str | int | bool | None
MANY = 15
"""Of more columns without names none is taken for a user or an item."""
ROLES = ("user", "item", "rating", "time")
"""Those that are guessed; a column of weights is named."""


class Roles(NamedTuple):
    """``columns``: the column of each role; ``behaviour``: the column that says what happened, or None; ``note``: what
    was guessed, in words; ``durations``: the values are such."""

    columns: dict[str, str]
    behaviour: str | None
    note: str | None
    durations: bool = False


def resolve(table: Table, asked: Mapping[str, Wanted], behaviour: Wanted = None) -> Roles:
    """The column of each role (``user`` and ``item`` always, ``rating`` and ``time`` where there are, ``weight`` where
    it is given).

    Given names must exist; ``False`` says that there is no such column; an int is a position from 0. A table without
    names has a ``user``, an ``item``, a ``rating`` and a ``time`` all the same. DataError names the columns there are.
    """
    chosen: dict[str, str] = {}
    unnamed = [role for role in ROLES if asked[role] == role and not table.headed and role not in table.names]
    for role in ROLES:
        wanted = asked[role]
        if wanted is None or wanted is False or role in unnamed:
            continue
        chosen[role] = named(table, wanted, role)
    if (weight := asked.get("weight")) is not None:
        chosen["weight"] = named(table, weight, "weight")
    happened = None if behaviour is None or behaviour is False else named(table, behaviour, "behaviour")
    taken = [*chosen.values(), *([happened] if happened else [])]
    twice = [name for name in taken if taken.count(name) > 1]
    if twice:
        raise DataError(
            f"column {twice[0]!r} is given twice; user, item, rating, time and weight must be different columns"
        )
    open_roles = [role for role in ROLES if asked[role] is None or role in unnamed]
    reason = ""
    if not table.headed:
        found = _by_content(table, open_roles, chosen, happened, behaviour is None)
        chosen |= found.columns
        happened, reason = found.behaviour or happened, found.note or ""
        for role in ("rating", "time"):
            if role in unnamed and role not in chosen:
                named(table, role, role)
    else:
        for role in open_roles:
            free = [name for name in table.names if name not in chosen.values() and name != happened]
            if role == "time":
                match = _time_of(table.sample, free, chosen)
            else:
                match = column_of(table.sample, free, role)
            if match is not None:
                chosen[role] = match
        if "rating" in open_roles and "rating" not in chosen and "item" in chosen:
            free = [name for name in table.names if name not in chosen.values() and name != happened]
            amounts = [name for name in free if says_amount(name) and _varies(table.sample, name, chosen["item"])]
            if len(amounts) == 1:
                chosen["rating"] = amounts[0]
        guessed_value = chosen.get("rating") if asked["rating"] is None else None
        if behaviour is None and guessed_value and _says_no_in_words(table.sample[guessed_value]):
            happened = chosen.pop("rating")
            guessed_value = None
        if (
            behaviour is None
            and happened is None
            and ("rating" not in chosen or (guessed_value and says_count(guessed_value)))
        ):
            free = [name for name in table.names if name not in chosen.values()]
            match = column_of(table.sample, free, "behaviour")
            happened = match if match is not None and is_behaviour(table.sample[match]) else None
            if happened is not None:  # what happened says more than how many of it
                chosen.pop("rating", None)
            elif (happened := outcome_of(table.sample, free)) is not None:
                zero = "no" if table.sample[happened].dtype == pl.String else "0"
                reason += f"; {happened} = {zero} is taken as shown alone, or as a no, and left out"
                if (amount := chosen.pop("rating", None)) is not None:  # many hours of what one advises against
                    reason += f"; count={amount!r} with behaviour=False would take the {amount} instead"
            elif match is None and (deeds := _deeds(table.sample, free)) is not None:
                if says_no(table.sample[deeds]):  # a dislike is not one more thing that was liked
                    happened = deeds
                else:
                    reason += f"; {deeds!r} says what happened: behaviour={deeds!r} uses it"
            elif match is not None and table.sample[match].dtype.is_integer():
                reason += f"; {match!r} says in numbers what happened: behaviour={match!r} with weights={{...}} uses it"
        free = [name for name in table.names if name not in chosen.values() and name != happened]
        if asked["rating"] is None and "rating" not in chosen and happened is None:
            ids = [chosen[role] for role in ("user", "item") if role in chosen]
            votes = [name for name in free if is_vote(table.sample[name]) and not _is_fact(table.sample, name, ids)]
            if len(votes) == 1:
                chosen["rating"] = votes[0]
                free.remove(votes[0])
        unread = [name for name in free if _unreadable(table.sample, name)]
        if asked["rating"] is None and "rating" not in chosen and unread:
            reason += f"; {unread[0]!r} holds texts such as {table.sample[unread[0]].drop_nulls()[0]!r}, which are no"
            reason += " numbers, so it is not taken"
        clocks = [name for name in free if is_usual(name, "time") and is_duration(table.sample[name])]
        if asked["time"] is None and "time" not in chosen and clocks:
            shown = table.sample[clocks[0]].drop_nulls()[0]
            reason += f"; {clocks[0]!r} holds times of day or durations such as {shown}, so it is not the time:"
            reason += f" count={clocks[0]!r} takes them as amounts"
        undated = [
            name for name in free if is_usual(name, "time") and name not in clocks and name.lower() not in _PARTS
        ]
        if asked["time"] is None and "time" not in chosen and undated:
            shown = table.sample[undated[0]].drop_nulls().head(1).to_list()
            reason += (
                f"; {undated[0]!r} is not taken for the time: its values{f', such as {shown[0]},' if shown else ''}"
            )
            reason += f" say no date (time={undated[0]!r} takes it)"
        for role, what, unsure in (("rating", "rating", unsure_ratings), ("time", "times", unsure_times)):
            if asked[role] is None and role not in chosen and (several := unsure(table.sample, free)):
                reason += f"; no {what} taken, of {_listed(several)} none is the likeliest: name one with {role}=..."
    _complete(table, chosen, happened)
    if table.headed and asked["rating"] is None and "rating" not in chosen and happened is None and not reason:
        free = [name for name in table.names if name not in chosen.values()]
        if left := [name for name in free if _may_be_a_value(table.sample, name, [chosen["user"], chosen["item"]])]:
            reason = f"; no rating taken: {_listed(left[:3])} may say something of each row, rating=... would use it"
    guessed = [
        f"{role} = {chosen[role]!r}" if table.headed else f"{role} = column {table.names.index(chosen[role])}"
        for role in open_roles
        if role in chosen
    ]
    if happened is not None and behaviour is None:
        guessed.append(
            f"behaviour = {happened!r}" if table.headed else f"behaviour = column {table.names.index(happened)}"
        )
    note = f"columns guessed: {', '.join(guessed)}{reason}" if guessed else None
    return Roles(chosen, happened, note, "rating" in chosen and is_duration(table.sample[chosen["rating"]]))


def _says_no_in_words(values: pl.Series) -> bool:
    return is_behaviour(values) and says_what_happened(values) and says_no(values)


def _unreadable(sample: pl.DataFrame, name: str) -> bool:
    """Whether a column named as one of amounts or grades holds texts that are no numbers: 1.2k, or A to F."""
    present = sample[name].drop_nulls()
    if present.dtype != pl.String or not len(present) or not as_numbers(present).null_count():
        return False
    return (says_amount(name) and bool(present.str.contains(r"\d").all())) or (
        says_grade(name) and 1 < present.n_unique() <= GRID
    )


def _deeds(sample: pl.DataFrame, free: Sequence[str]) -> str | None:
    """The one column of which the texts are things that people do, such as like and dislike, whatever its name."""
    found = [name for name in free if is_behaviour(sample[name]) and says_what_happened(sample[name])]
    return found[0] if len(found) == 1 else None


def _time_of(sample: pl.DataFrame, free: Sequence[str], chosen: Mapping[str, str]) -> str | None:
    """The time by its name; or the one column that holds moments, where these are no facts of a user or an item, such
    as a date of birth."""
    ids = [chosen[role] for role in ("user", "item") if role in chosen]
    match = column_of(sample, free, "time")
    if match is not None and (is_usual(match, "time") or not _is_fact(sample, match, ids)):
        return match
    if match is None and unsure_times(sample, free):
        return None
    dated = [name for name in free if _holds_dates(sample[name]) and not _is_fact(sample, name, ids)]
    return dated[0] if len(dated) == 1 else None


def _holds_dates(values: pl.Series) -> bool:
    """Whether a column holds dates, as such or as text, or milliseconds."""
    if values.dtype in (pl.Date, pl.Datetime):
        return bool(values.is_not_null().any())
    return (is_written_time(values) if values.dtype == pl.String else is_clock(values)) and values.n_unique() > 1


def _is_fact(sample: pl.DataFrame, name: str, ids: Sequence[str]) -> bool:
    """Whether a column says the same in all rows of a user, or in all of an item, though it differs among these."""
    if sample[name].n_unique() < 2:
        return False
    for one in ids:
        seen = sample.select(pl.col(one).alias("id"), pl.col(name).alias("value")).drop_nulls()
        often = (
            seen.group_by("id").agg(pl.len(), pl.col("value").n_unique().alias("different")).filter(pl.col("len") > 1)
        )
        if len(often) >= 3 and int(often["len"].sum()) >= 10 and bool((often["different"] == 1).all()):
            return True
    return False


_PARTS = frozenset(("day", "week", "month", "quarter", "t"))
"""Names of times that may also be a part of a date."""
_ASIDE = "id index lat lon latitude longitude year month day hour minute second weekday"
_NO_VALUES = frozenset(_ASIDE.split())


def _may_be_a_value(sample: pl.DataFrame, name: str, ids: Sequence[str]) -> bool:
    """Whether a column that no name tells holds numbers, or yes and no, that differ from row to row of a user and of an
    item: no ids, no moments and no numbers of the rows."""
    values = sample[name]
    if values.dtype == pl.String and values.str.contains(r"\d").any() and not is_written_time(values):
        values = as_numbers(values)
    if values.dtype == pl.Duration:
        values = values.dt.total_milliseconds()
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean) or values.drop_nulls().n_unique() < 2:
        return False
    if set(words_of(name)) & _NO_VALUES or name.lower().endswith("id"):
        return False
    if values.dtype != pl.Boolean and (holds_moments(values) or counts_rows(values)):
        return False
    return not _is_fact(sample, name, ids)


def _varies(sample: pl.DataFrame, name: str, item: str) -> bool:
    """Whether a column of numbers says something of a row, and not the same of an item in all of its rows."""
    values = sample[name]
    if not values.dtype.is_numeric() and (values.dtype != pl.String or as_numbers(values.drop_nulls()).null_count()):
        return False
    seen = sample.select(pl.col(item).alias("item"), pl.col(name).alias("value")).drop_nulls()
    often = seen.group_by("item").agg(pl.len(), pl.col("value").n_unique().alias("different")).filter(pl.col("len") > 1)
    return not len(often) or bool((often["different"] > 1).any())


def _complete(table: Table, chosen: dict[str, str], behaviour: str | None) -> None:
    """The column that is left over for the one role that is; DataError where a user or item is missing still."""
    missing = [role for role in ("user", "item") if role not in chosen]
    free = [name for name in table.names if name not in chosen.values() and name != behaviour]
    if len(missing) == 1 and len(free) == 1 and not table.sample[free[0]].dtype.is_float():
        chosen[missing[0]] = free[0]
    elif missing and len(table.names) == 1 and table.parsed_at_once:
        begins = f", {table.names[0]!r}" if table.headed else f" (it begins with {str(table.sample.item(0, 0))[:40]!r})"
        raise DataError(
            f"{table.label} seems to have one column{begins}; name what separates the fields with sep=..."
            " (on the command line --sep, such as --sep ';')"
        )
    elif missing:
        wide = len(table.names) > 6 and sum(table.sample[name].dtype.is_numeric() for name in table.names) > 4
        raise DataError(
            f"cannot tell which column of {table.label} is the {missing[0]}; there are: {_listed(table.names)};"
            f" name it with {missing[0]}=... (on the command line --{missing[0]} NAME)"
            + (", or say wide=True (--wide) if each item has a column of its own" if wide else "")
            + (
                "; the text is not UTF-8, and its names may be in another encoding than latin-1: encoding=..."
                " (--encoding) such as cp932, gb18030, cp949, cp1251"
                if any(note.startswith("encoding: not UTF-8") for note in table.notes)
                else ""
            )
        )


def named(table: Table, wanted: str | int | bool, role: str) -> str:
    """The name of a column that was given by name or position; DataError where there is none."""
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if not -len(table.names) <= wanted < len(table.names):
            raise DataError(
                f"no column {wanted} for the {role} in {table.label}; it has {len(table.names)}, counted from 0"
            )
        return table.names[wanted]
    if isinstance(wanted, str) and wanted in table.names:
        return wanted
    if isinstance(wanted, str) and not table.headed and wanted.isdecimal() and int(wanted) < len(table.names):
        return table.names[int(wanted)]
    hint = "" if table.headed else " (no header line: give positions, counted from 0)"
    raise DataError(
        f"no column {wanted!r} in {table.label}; there are: {_listed(table.names)}{hint}."
        f"{did_you_mean(wanted, table.names)}"
    )


def _by_content(
    table: Table, roles: Sequence[str], chosen: Mapping[str, str], behaviour: str | None, may_behave: bool
) -> Roles:
    """Columns without names: u.data's order (user, item, rating, time), except columns that cannot be what their place
    says: times, behaviours, coordinates, categories, columns of one value, and ids that are missing in some rows."""
    if len(table.names) > MANY and {"user", "item"} & set(roles):
        raise DataError(
            f"{table.label} has {len(table.names)} columns without names, so none can be told to be the user or the"
            " item; give their positions, counted from 0, with user=... and item=... (on the command line --user 0"
            " --item 3)"
        )
    sample, said = table.sample, list[str]()
    free = [name for name in table.names if name not in chosen.values() and name != behaviour]
    need = sum(role in roles for role in ("user", "item"))
    aside = out_of_place(sample, free, need)
    what = contents_of(sample, free, need, aside)
    for name, kind in aside.items():
        word = "the time" if kind == "time" else "a grade"
        said.append(f"column {table.names.index(name)} is {word}")
    numbered = bool(free) and table.parsed_at_once and counts_rows(sample[free[0]])  # as text, not as objects
    if free and not aside and (is_clock(sample[free[0]]) or numbered):
        first = "time" if is_clock(sample[free[0]]) else "nothing"
        without = contents_of(sample, free, need, {free[0]: first})
        if sum(kind == "id" for kind in without.values()) >= 2:
            what = without
            said.append(
                f"column {table.names.index(free[0])} is {'the time' if first == 'time' else 'a number of the row'}"
            )
    for left, right in pairwise(free):  # latitude and longitude
        if what[left] == what[right] == "decimals" and is_fine(sample[left]) and is_fine(sample[right]):
            what[left] = what[right] = "coordinate"
    found: dict[str, str] = {}

    def take(role: str, kinds: Sequence[str]) -> None:
        for kind in kinds:
            for name in free:
                if role not in found and what[name] == kind and name not in found.values():
                    found[role] = name

    if may_behave and behaviour is None:
        happening = (name for name in free[1:] if what[name] == "behaviour" and says_what_happened(sample[name]))
        behaviour = next(happening, None)
    if "user" in roles:
        take("user", ("id", "gaps"))
    if "item" in roles:
        take("item", ("id", "text", "gaps"))
        skipped = [name for name in free if what[name] == "gaps" and name != found.get("item")]
        if skipped and "item" in found and free.index(skipped[0]) < free.index(found["item"]):
            said.append(f"column {table.names.index(skipped[0])} has no id in some rows, so it is not the item")
    both = found.get("user"), found.get("item")
    if both[0] and both[1] and {"user", "item"} <= set(roles) and items_first(sample[both[0]], sample[both[1]]):
        found["user"], found["item"] = both[1], both[0]
        said.append("the first column has ids of items")
    if "rating" in roles and behaviour is None:
        ids = [found[role] for role in ("user", "item") if role in found]
        for name in free:
            if what[name] in ("value", "decimals") and name not in found.values() and _is_fact(sample, name, ids):
                what[name] = "fact"
                column = table.names.index(name)
                said.append(f"column {column} says the same in all rows of an id, so it is not a rating")
        for name in free:
            if what[name] == "value" and sample[name].drop_nulls().n_unique() == 1:
                what[name] = "ones"
            elif what[name] == "decimals" and sample[name].n_unique() <= GRID:
                what[name] = "grades"
        take("rating", ("value", "grades", "ones", "decimals"))
        odd = [n for n in free if what[n] == "nothing" and n not in found.values() and sample[n].dtype.is_numeric()]
        if "rating" not in found and odd and all(sample[n].n_unique() > GRID for n in odd[:1]):
            said.append(f"column {table.names.index(odd[0])} holds numbers, which count=... or rating=... would use")
    elif "rating" in roles:
        amounts = [n for n in free if what[n] in ("value", "decimals") and sample[n].n_unique() > 2]
        if amounts:
            column = table.names.index(amounts[0])
            said.append(f"column {column} holds numbers: count={column} with behaviour=False would take them")
    if "time" in roles:
        take("time", ("time",))
    if {"user", "item"} <= set(found) and not said:
        said.append("by their place and content; name them if that is wrong")
    return Roles(found, behaviour, f" ({'; '.join(said)})" if said else None)


def refuse_a_list_of_things(table: Table, found: Roles) -> None:
    """DataError where columns without names seem to describe users or items, a row each, and no user has items: each of
    them stands once; or rows are numbered, and no user comes again, or most pairs do, and there is no time."""
    user, item = found.columns["user"], found.columns["item"]
    users, items = table.sample[user], table.sample[item]
    rows = len(users)
    if rows < 10 or table.headed or not table.parsed_at_once:
        return
    once = users.n_unique() == rows
    numbered = "is a number of the row" in (found.note or "")
    pairs = pl.DataFrame([users, items]).n_unique()
    if (once and items.n_unique() == rows) or (
        numbered and (once or (2 * pairs < rows and "time" not in found.columns))
    ):
        raise DataError(
            f"the rows of {table.label} seem to describe users or items, one each, and not who rated what: columns"
            f" {table.names.index(user)} and {table.names.index(item)} would be the user and the item; if they are,"
            " name them by position with user=... and item=... (on the command line --user, --item)"
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
