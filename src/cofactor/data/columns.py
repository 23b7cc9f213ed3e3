"""Which column is the user, the item, the rating, the time: as given, or guessed from its name or position."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from cofactor.data.tables import Table
from cofactor.errors import DataError, did_you_mean

_KNOWN = {
    "user": """user user_id uid users customer customer_id cust_id client client_id visitor visitor_id member
        member_id account account_id person person_id reviewer reviewer_id viewer viewer_id profile profile_id
        session session_id u""",
    "item": """item item_id iid items movie movie_id film film_id product product_id asin isbn book book_id song
        song_id track track_id artist artist_id article article_id game game_id show show_id business business_id
        sku anime anime_id joke joke_id content content_id document document_id doc_id recipe recipe_id place
        place_id title name i""",
    "rating": """rating ratings score scores stars star_rating overall value values rate preference user_rating
        review_score overall_rating play_count plays count weight r""",
    "time": """timestamp time date datetime ts unix_time unix_review_time review_time rated_at created_at event_time
        created review_date rating_timestamp rating_date t""",
}
SYNONYMS: dict[str, tuple[str, ...]] = {role: tuple(names.split()) for role, names in _KNOWN.items()}
"""Names by which a column is known, likeliest first; compared without case, spaces, dashes and underscores."""

Wanted = str | int | bool | None


def resolve(
    table: Table, user: Wanted, item: Wanted, rating: Wanted, time: Wanted
) -> tuple[dict[str, str], str | None]:
    """The column of each role (``user`` and ``item`` always, ``rating`` and ``time`` where there are), and a note on
    what was guessed. Given names must exist; ``False`` says that there is no such column; an int is a position from 0.
    A table without names has a ``user``, an ``item``, a ``rating`` and a ``time`` all the same: by their positions.

    DataError names the columns that there are.
    """
    asked = {"user": user, "item": item, "rating": rating, "time": time}
    chosen: dict[str, str] = {}
    plain = [role for role, wanted in asked.items() if wanted == role and not table.headed and role not in table.names]
    for role, wanted in asked.items():
        if wanted is None or wanted is False or role in plain:
            continue
        chosen[role] = named(table, wanted, role)
    twice = [name for name in chosen.values() if list(chosen.values()).count(name) > 1]
    if twice:
        raise DataError(f"column {twice[0]!r} is given twice; user, item, rating and time must be different columns")
    open_roles = [role for role, wanted in asked.items() if wanted is None or role in plain]
    for role in open_roles:
        free = [name for name in table.names if name not in chosen.values()]
        found = _by_name(free, role) if table.headed else _by_position(table, role, chosen)
        if found is not None:
            chosen[role] = found
        elif role in ("rating", "time") and role in plain:
            named(table, role, role)
    missing = [role for role in ("user", "item") if role not in chosen]
    free = [name for name in table.names if name not in chosen.values()]
    if len(missing) == 1 and len(free) == 1:  # one column is left over, and one role
        chosen[missing[0]] = free[0]
    elif missing and table.headed and len(table.names) == 1 and table.parsed_at_once:
        raise DataError(
            f"{table.label} seems to have one column, {table.names[0]!r}; name what separates the fields with sep=..."
            " (on the command line --sep, such as --sep ';')"
        )
    elif missing:
        raise DataError(
            f"cannot tell which column of {table.label} is the {missing[0]}; there are: {_listed(table.names)};"
            f" name it with {missing[0]}=... (on the command line --{missing[0]} NAME)"
        )
    guessed = [
        f"{role} = {chosen[role]!r}" if table.headed else f"{role} = column {table.names.index(chosen[role])}"
        for role in open_roles
        if role in chosen
    ]
    return chosen, f"columns guessed: {', '.join(guessed)}" if guessed else None


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


def _by_name(names: Sequence[str], role: str) -> str | None:
    plain = {_plain(name): name for name in reversed(names)}
    for synonym in SYNONYMS[role]:
        if _plain(synonym) in plain:
            return plain[_plain(synonym)]
    stems = {synonym for synonym in SYNONYMS[role] if len(synonym) >= 4 and "_" not in synonym} - {"name", "value"}
    alike = [name for name in names if stems & set(re.findall(r"[a-z]+", name.lower().replace("_", " ")))]
    return alike[0] if len(alike) == 1 else None


def _by_position(table: Table, role: str, chosen: dict[str, str]) -> str | None:
    """u.data's order: user, item, rating, time; a third column of large integers is a time."""
    order = [name for name in table.names if name not in chosen.values()]
    if role in ("user", "item"):
        return order[0] if order else None
    for name in order[:1]:
        values = table.sample[name]
        if not values.dtype.is_numeric():
            return name if role == "time" and _dates(values) else None
        large = (values.cast(pl.Float64).abs().min() or 0) >= 1e8  # type: ignore[operator]
        return name if large == (role == "time") else None
    return None


def _dates(values: pl.Series) -> bool:
    return values.dtype == pl.String and bool(values.str.contains(r"^\d{4}-\d{2}-\d{2}").all())


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
