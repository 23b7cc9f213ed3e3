"""Which column is the user, the item, the rating, the time, the behaviour: as given, or guessed from its name, or
(where columns have no names) from what stands in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from cofactor.data.kind import GRID, guess_kind
from cofactor.data.tables import Table
from cofactor.data.timestamps import is_time
from cofactor.errors import DataError, did_you_mean

_KNOWN = {
    "user": """user user_id uid users customer customer_id cust_id client client_id visitor visitor_id member
        member_id account account_id person person_id reviewer reviewer_id viewer viewer_id profile profile_id
        buyer buyer_id shopper author author_id listener reader player_id steam_id household_key household
        session session_id u""",
    "item": """item item_id iid items movie movie_id film film_id product product_id asin isbn book book_id song
        song_id track track_id artist artist_id article article_id game game_id show show_id business business_id
        stock_code item_code product_code sku anime anime_id joke joke_id content content_id document document_id doc_id
        recipe recipe_id place place_id venue venue_id poi poi_id location_id listing listing_id hotel hotel_id beer
        beer_id wine_id news news_id video video_id course course_id app app_id url page parent_asin goods_id subject
        subject_id title name i""",
    "rating": """rating ratings score scores stars star_rating overall value values rate preference user_rating
        review_score overall_rating play_count plays count weight r""",
    "time": """timestamp time date datetime ts unix_time unix_review_time review_time rated_at created_at event_time
        created review_date utc_timestamp utc_time rating_timestamp rating_date invoice_date order_date
        purchase_date date_added t""",
    "behaviour": """event event_type behaviour behavior behaviour_type behavior_type action action_type interaction
        interaction_type event_name""",
}
SYNONYMS: dict[str, tuple[str, ...]] = {role: tuple(names.split()) for role, names in _KNOWN.items()}
"""Names by which a column is known, likeliest first; compared without case, spaces, dashes and underscores."""
TITLES = [
    "title",
    "name",
    "item_name",
    "product_name",
    "product_title",
    "item_title",
    "movie_title",
    "film_title",
    "book_title",
    "song_title",
    "track_name",
    "artist_name",
    "game_name",
    "description",
    "desc",
    "product",
    "stock_description",
]
"""Names of a column that says what an item is called, likeliest first."""

Wanted = str | int | bool | None
ROLES = ("user", "item", "rating", "time")


def plain_name(name: str) -> str:
    """A name without case, spaces and marks."""
    return "".join(c for c in name.lower() if c.isalnum())


_ALL = frozenset(plain_name(name) for names in SYNONYMS.values() for name in names if len(name) > 1) | frozenset(
    plain_name(name) for name in (*TITLES, "id", "genre", "genres", "category", "age", "gender", "price", "year")
)


def is_known_name(cell: str) -> bool:
    """Whether a cell is a usual name of a column."""
    return plain_name(cell.split(":")[0]) in _ALL


class Roles(NamedTuple):
    """``columns``: the column of each role; ``behaviour``: the column that says what happened, or None; ``note``: what
    was guessed, in words."""

    columns: dict[str, str]
    behaviour: str | None
    note: str | None


def resolve(table: Table, asked: Mapping[str, Wanted], behaviour: Wanted = None) -> Roles:
    """The column of each role (``user`` and ``item`` always, ``rating`` and ``time`` where there are).

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
    happened = None if behaviour is None or behaviour is False else named(table, behaviour, "behaviour")
    taken = [*chosen.values(), *([happened] if happened else [])]
    twice = [name for name in taken if taken.count(name) > 1]
    if twice:
        raise DataError(f"column {twice[0]!r} is given twice; user, item, rating and time must be different columns")
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
            match = _by_name(free, role)
            if match is not None:
                chosen[role] = match
        if behaviour is None and "rating" not in chosen:
            free = [name for name in table.names if name not in chosen.values()]
            match = _by_name(free, "behaviour")
            happened = match if match is not None and _is_behaviour(table.sample[match]) else None
    _complete(table, chosen, happened)
    guessed = [
        f"{role} = {chosen[role]!r}" if table.headed else f"{role} = column {table.names.index(chosen[role])}"
        for role in open_roles
        if role in chosen
    ]
    if happened is not None and behaviour is None:
        guessed.append(
            f"behaviour = {happened!r}" if table.headed else f"behaviour = column {table.names.index(happened)}"
        )
    return Roles(chosen, happened, f"columns guessed: {', '.join(guessed)}{reason}" if guessed else None)


def _complete(table: Table, chosen: dict[str, str], behaviour: str | None) -> None:
    """The column that is left over for the one role that is; DataError where a user or item is missing still."""
    missing = [role for role in ("user", "item") if role not in chosen]
    free = [name for name in table.names if name not in chosen.values() and name != behaviour]
    if len(missing) == 1 and len(free) == 1 and not table.sample[free[0]].dtype.is_float():
        chosen[missing[0]] = free[0]
    elif missing and table.headed and len(table.names) == 1 and table.parsed_at_once:
        raise DataError(
            f"{table.label} seems to have one column, {table.names[0]!r}; name what separates the fields with sep=..."
            " (on the command line --sep, such as --sep ';')"
        )
    elif missing:
        wide = len(table.names) > 6 and sum(table.sample[name].dtype.is_numeric() for name in table.names) > 4
        raise DataError(
            f"cannot tell which column of {table.label} is the {missing[0]}; there are: {_listed(table.names)};"
            f" name it with {missing[0]}=... (on the command line --{missing[0]} NAME)"
            + (", or say wide=True (--wide) if each item has a column of its own" if wide else "")
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


def _by_name(names: Sequence[str], role: str) -> str | None:
    plain = {plain_name(name): name for name in reversed(names)}
    for synonym in SYNONYMS[role]:
        if plain_name(synonym) in plain:
            return plain[plain_name(synonym)]
    stems = {synonym for synonym in SYNONYMS[role] if len(synonym) >= 4 and "_" not in synonym} - {"name", "value"}
    alike = [name for name in names if stems & set(re.findall(r"[a-z]+", name.lower().replace("_", " ")))]
    return alike[0] if len(alike) == 1 else None


def _by_content(
    table: Table, roles: Sequence[str], chosen: Mapping[str, str], behaviour: str | None, may_behave: bool
) -> Roles:
    """Columns without names: u.data's order (user, item, rating, time), except columns that cannot be what their place
    says: times, behaviours, coordinates, categories, columns of one value, and ids that are missing in some rows."""
    sample, said = table.sample, list[str]()
    free = [name for name in table.names if name not in chosen.values() and name != behaviour]
    need = sum(role in roles for role in ("user", "item"))
    what = _contents(sample, free, need)
    if free and (_clock(sample[free[0]]) or _counts_rows(sample[free[0]])):  # a moment or a number of the row first
        without = _contents(sample, free, need, free[0])
        if sum(kind == "id" for kind in without.values()) >= 2:
            what = without
            first = "the time" if _clock(sample[free[0]]) else "a number of the row"
            said.append(f"column {table.names.index(free[0])} is {first}")
    for left, right in pairwise(free):  # latitude and longitude
        if what[left] == what[right] == "decimals" and _fine(sample[left]) and _fine(sample[right]):
            what[left] = what[right] = "coordinate"
    found: dict[str, str] = {}

    def take(role: str, kinds: Sequence[str]) -> None:
        for kind in kinds:
            for name in free:
                if role not in found and what[name] == kind and name not in found.values():
                    found[role] = name

    if may_behave and behaviour is None:
        behaviour = next((name for name in free[1:] if what[name] == "behaviour"), None)
    if "user" in roles:
        take("user", ("id", "gaps"))
    if "item" in roles:
        take("item", ("id", "text", "gaps"))
        skipped = [name for name in free if what[name] == "gaps" and name != found.get("item")]
        if skipped and "item" in found and free.index(skipped[0]) < free.index(found["item"]):
            said.append(f"column {table.names.index(skipped[0])} has no id in some rows, so it is not the item")
    both = found.get("user"), found.get("item")
    if both[0] and both[1] and {"user", "item"} <= set(roles) and _items_first(sample[both[0]], sample[both[1]]):
        found["user"], found["item"] = both[1], both[0]
        said.append("the first column has ids of items")
    if "rating" in roles and behaviour is None:
        take("rating", ("value", "decimals"))
    if "time" in roles:
        take("time", ("time",))
    if {"user", "item"} <= set(found) and not said:
        said.append("by their place and content; name them if that is wrong")
    return Roles(found, behaviour, f" ({'; '.join(said)})" if said else None)


def _contents(sample: pl.DataFrame, names: Sequence[str], need: int, aside: str | None = None) -> dict[str, str]:
    """What each column holds, where ``need`` columns of ids are wanted; ``aside`` is none of them."""
    what: dict[str, str] = {}
    for name in names:
        before = sum(kind in ("id", "gaps") for kind in what.values())
        if name == aside:
            what[name] = "time" if _clock(sample[name]) else "nothing"
        else:
            what[name] = _content(sample[name], before, need)
    for name in names:  # few things that happen, or few items
        if what[name] == "behaviour" and sum(kind in ("id", "gaps") for kind in what.values()) < need:
            what[name] = "id"
    return what


def _content(values: pl.Series, at: int, need: int) -> str:
    """What a column without a name holds, with so many columns of ids before it: ``id``, ``text``, ``gaps`` (ids,
    missing in some rows), ``time``, ``behaviour``, ``value``, ``decimals``, or ``nothing`` of use."""
    present = values.drop_nulls()
    if values.dtype == pl.String:
        present = present.filter(~present.str.strip_chars().is_in(["", "\\N", "NULL", "NA", "null", "nan", "NaN"]))
    if not len(present):
        return "nothing"
    if values.dtype.is_temporal():
        return "time"
    distinct = present.n_unique()
    if values.dtype == pl.String:
        if is_time(present):
            return "time"
        if at > 0 and _is_behaviour(values):
            return "behaviour"
        return "gaps" if len(present) < len(values) else "id"
    if values.dtype == pl.Boolean:
        return "value" if distinct > 1 else "nothing"
    if not values.dtype.is_numeric():
        return "nothing"
    numbers = present.cast(pl.Float64)
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    if values.dtype.is_float() and not (numbers == numbers.floor()).all():
        return "decimals"
    if at > 0 and low >= 6e8 and _clock(values):
        return "time"
    if at < need:
        return "gaps" if len(present) < len(values) else "id"
    if distinct == 1 and len(present) > 1:
        return "nothing" if low in (0.0, -1.0) else "value"
    if low >= 1e8 or (low >= 19_000_101 and high <= 21_001_231) or (low >= 1_900 and high <= 2_100):
        return "time"
    kind = guess_kind(numbers.to_numpy(), "value").kind
    if kind == "counts" or (distinct <= GRID and high <= 1_000) or high <= 100:
        return "value"
    return "nothing"


def _is_behaviour(values: pl.Series) -> bool:
    """Whether a column of text names a few things that happen: view, cart, purchase."""
    present = values.drop_nulls()
    if values.dtype != pl.String or len(present) < 20:
        return False
    distinct = present.n_unique()
    return (
        2 <= distinct <= 12
        and distinct <= max(2, len(present) // 8)
        and bool(present.str.contains(r"^[A-Za-z][A-Za-z_ \-]*$").all())
    )


def _clock(values: pl.Series) -> bool:
    """Whether whole numbers are most likely moments: milliseconds, or seconds in order, since 1990."""
    if not values.dtype.is_integer() or values.null_count():
        return False
    low, high = int(values.min()), int(values.max())  # type: ignore[arg-type]
    if low >= 631_152_000_000 and high <= 2_200_000_000_000:
        return True
    in_order = values.is_sorted() and values.n_unique() > 0.9 * len(values)
    return low >= 631_152_000 and high <= 2_200_000_000 and in_order and len(values) > 2


def _counts_rows(values: pl.Series) -> bool:
    """Whether whole numbers go up by one from row to row."""
    if not values.dtype.is_integer() or values.null_count() or len(values) < 10:
        return False
    return bool((values.diff().drop_nulls() == 1).all())


def _fine(values: pl.Series) -> bool:
    """Whether numbers have many decimals, as coordinates have."""
    present = values.drop_nulls().cast(pl.Float64)
    return bool(((present * 1e3).round() != present * 1e3).mean() or 0 > 0.5) and bool(present.abs().max() <= 360)  # type: ignore[operator]


_ITEM_IDS = (
    r"^(B0[0-9A-Z]{8}|\d{9}[\dX]|tt\d{7,8}|SO[A-Z0-9]{16}|spotify:track:\w+"
    r"|(item|movie|film|product|book|track|song|artist|game|i|m|p)[_\-:]?\d+)$"
)
_USER_IDS = r"^(A[0-9A-Z]{11,20}|[0-9a-f]{40}|(user|customer|client|member|visitor|u|c)[_\-:]?\d+)$"


def _items_first(first: pl.Series, second: pl.Series) -> bool:
    """Whether the ids of the first column are of a form that items have, and those of the second are not."""

    def share(values: pl.Series, pattern: str) -> float:
        present = values.drop_nulls().cast(pl.String)
        return float(present.str.contains(pattern).mean() or 0)  # type: ignore[arg-type]

    items, users = share(first, _ITEM_IDS), share(second, _USER_IDS)
    return (items > 0.9 and users > 0.5) or (users > 0.9 and share(first, _USER_IDS) < 0.1 and items > 0.5)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def coordinates(values: pl.Series) -> bool:
    """Whether a column may be a latitude or longitude: decimals finer than any scale of grades."""
    return values.dtype.is_float() and _fine(values) and bool(np.isfinite(values.drop_nulls().to_numpy()).all())
