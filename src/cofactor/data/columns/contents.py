"""Recognise what a column holds from its values: ids, times, behaviours, coordinates, grades."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from cofactor.data.columns.values import as_numbers, is_duration
from cofactor.data.kind import GRID, guess_kind
from cofactor.data.times.written_dates import is_time


def contents_of(
    sample: pl.DataFrame, names: Sequence[str], need: int, aside: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what each column holds, where ``need`` columns of ids are expected. ``aside``: columns whose contents are
    already known."""
    what: dict[str, str] = {}
    for name in names:
        before = sum(kind in ("id", "gaps") for kind in what.values())
        what[name] = aside[name] if aside and name in aside else _content(sample[name], before, need)
    for name in names:  # few behaviours, or few items
        if what[name] == "behaviour" and sum(kind in ("id", "gaps") for kind in what.values()) < need:
            what[name] = "id"
    return what


def out_of_place(sample: pl.DataFrame, names: Sequence[str], need: int) -> dict[str, str]:
    """Return the leading columns that stand in the place of ids but hold none, with what they hold: grades and times
    before the ``need``-th column that can only be ids. Returns nothing if there are fewer such columns of ids."""
    known: dict[str, str] = {}
    ids = 0
    for name in names:
        values = sample[name]
        if values.dtype == pl.String:
            ids += not is_behaviour(values) and not is_time(values)
        elif is_clock(values) or _different_moments(values) or _are_days(values):
            known[name] = "time"
        elif _grades(values):
            known[name] = "value"
        elif values.dtype.is_integer():
            ids += values.n_unique() > GRID
        if ids == need:
            return known
    return {}


def _different_moments(values: pl.Series) -> bool:
    """Return whether whole numbers are seconds since 1990 that seldom repeat."""
    if not values.dtype.is_integer() or values.null_count() or len(values) < 10:
        return False
    low, high = int(values.min()), int(values.max())  # type: ignore[arg-type]
    return low >= 631_152_000 and high <= 2_200_000_000 and values.n_unique() > 0.9 * len(values)


def _are_days(values: pl.Series) -> bool:
    """Whether whole numbers are many different days by their digits, such as 20110318."""
    if not values.dtype.is_integer() or values.null_count() or values.n_unique() < 20:
        return False
    low, high = int(values.min()), int(values.max())  # type: ignore[arg-type]
    if low < 19_000_101 or high > 21_001_231:
        return False
    return bool((((values // 100) % 100).is_between(1, 12) & (values % 100).is_between(1, 31)).all())


def _grades(values: pl.Series) -> bool:
    """Return whether numbers are grades of up to ten, and too few to be ids."""
    present = values.drop_nulls()
    if not values.dtype.is_numeric() or len(present) < 50:
        return False
    return present.n_unique() <= 21 and float(present.min()) >= -1 and float(present.max()) <= 10  # type: ignore[arg-type]


_DEEDS = """view views click clicks cart carts add addtocart pv fav favorite favourite buy purchase purchased
    transaction order ordered play played listen watch watched read like liked dislike share save skip download follow
    comment rent return refund remove wish wishlist impression shown clickout search collect visit checkin
    rate rated bookmark install upvote downvote up down thumbs thumbsup thumbsdown recommended sale sold love loved"""
_HAPPENS = frozenset(_DEEDS.split())
_REACTIONS = """👍 👎 ❤ ♥ 💔 😂 😄 😮 😢 😡 😕 🎉 🚀 👀 🔥 👏 +1 -1 thumbsup thumbsdown thumbs_up thumbs_down heart
    broken_heart joy smile laughing open_mouth cry rage angry confused tada rocket eyes fire clap"""
_SIGNS = frozenset(_REACTIONS.split())
"""Words of which columns without a name that say what happened consist; and signs, drawn or by their names."""


def says_what_happened(values: pl.Series) -> bool:
    """Whether most of the words in a column of few texts are of things that people do: no genres, no countries."""
    if _are_signs(values):
        return True
    words = values.drop_nulls().unique().str.to_lowercase().str.extract_all(r"[a-z]+").to_list()
    return sum(bool(_HAPPENS & {*cell, "".join(cell)}) for cell in words) > len(words) / 2


def _content(values: pl.Series, at: int, need: int) -> str:
    """Return what a column without a name holds, given ``need`` columns of ids before it: ``id``, ``text``, ``gaps``
    (ids, missing in some rows), ``time``, ``behaviour``, ``value``, ``decimals``, or ``nothing`` of use."""
    present = values.drop_nulls()
    if values.dtype == pl.String:
        present = present.filter(~present.str.strip_chars().is_in(["", "\\N", "NULL", "NA", "null", "nan", "NaN"]))
    if not len(present):
        return "nothing"
    if values.dtype.is_temporal():
        return "time"
    distinct = present.n_unique()
    if values.dtype == pl.String and at >= need and not is_duration(present):  # "4", "4 stars"
        numbers = as_numbers(present)
        values, present = (values, present) if numbers.null_count() else (numbers, numbers)
    if values.dtype == pl.String:
        if is_time(present):
            return "time"
        if distinct == 1 and len(present) >= 20:
            return "nothing"
        if at > 0 and is_behaviour(values):
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
    if at > 0 and low >= 6e8 and is_clock(values):
        return "time"
    if _are_days(values):
        return "time"
    if at < need:
        return "gaps" if len(present) < len(values) else "id"
    if distinct == 1 and len(present) > 1:
        return "value" if low == 1.0 else "nothing"
    if high < 0 or _offsets(numbers):
        return "nothing"
    if low >= 1e8 or (low >= 19_000_101 and high <= 21_001_231) or (low >= 1_900 and high <= 2_100):
        return "time"
    kind = guess_kind(numbers.to_numpy(), "value").kind
    if kind == "counts" or (distinct <= GRID and high <= 1_000) or high <= 100:
        return "value"
    return "nothing"


def _offsets(numbers: pl.Series) -> bool:
    """Return whether numbers are UTC offsets in minutes: quarters of an hour, some below 0, none beyond 14 hours."""
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    return low <= -60 and low >= -720 and high <= 840 and bool((numbers % 15 == 0).all())


def is_behaviour(values: pl.Series) -> bool:
    """Return whether a text column names a few behaviours: view, cart, purchase."""
    present = values.drop_nulls()
    if values.dtype != pl.String or len(present) < 20:
        return False
    distinct = present.n_unique()
    return (
        2 <= distinct <= 12
        and distinct <= max(2, len(present) // 8)
        and (bool(present.str.contains(r"^[A-Za-z][A-Za-z_ \-]*$").all()) or _are_signs(present))
    )


def _are_signs(values: pl.Series) -> bool:
    texts = values.drop_nulls().unique().to_list()
    drawn = any(not text.isalpha() for text in texts) and not {"+1", "-1"}.issuperset(texts)
    return drawn and {plain_sign(text) for text in texts} <= _SIGNS


def plain_sign(text: str) -> str:
    """A sign without the colour of its skin, and a name of one without the colons around it."""
    return re.sub(
        "[\N{EMOJI MODIFIER FITZPATRICK TYPE-1-2}-\N{EMOJI MODIFIER FITZPATRICK TYPE-6}\ufe0f]", "", text
    ).strip(" :")


def is_vote(values: pl.Series) -> bool:
    """Return whether a column holds 1 and -1, and otherwise only 0: votes for and against."""
    present = values.drop_nulls()
    if values.dtype == pl.String:
        present = present.str.strip_chars().cast(pl.Float64, strict=False)
    if not present.dtype.is_numeric() or not len(present) or present.null_count():
        return False
    return {-1.0, 1.0} <= set(present.cast(pl.Float64).unique().to_list()) <= {-1.0, 0.0, 1.0}


def is_clock(values: pl.Series) -> bool:
    """Whether whole numbers are most likely moments: milliseconds, or seconds in order, since 1990."""
    if not values.dtype.is_integer() or values.null_count() or not len(values):
        return False
    low, high = int(values.min()), int(values.max())  # type: ignore[arg-type]
    if low >= 631_152_000_000 and high <= 2_200_000_000_000:
        return True
    in_order = values.is_sorted() and values.n_unique() > 0.9 * len(values)
    return low >= 631_152_000 and high <= 2_200_000_000 and in_order and len(values) > 2


def counts_rows(values: pl.Series) -> bool:
    """Return whether whole numbers go up by one from row to row."""
    if not values.dtype.is_integer() or values.null_count() or len(values) < 10:
        return False
    return bool((values.diff().drop_nulls() == 1).all())


def is_fine(values: pl.Series) -> bool:
    """Return whether numbers have many decimals, as coordinates do."""
    present = values.drop_nulls().cast(pl.Float64)
    return bool(((present * 1e3).round() != present * 1e3).mean() or 0 > 0.5) and bool(present.abs().max() <= 360)  # type: ignore[operator]


_ITEM_IDS = (
    r"^(B0[0-9A-Z]{8}|\d{9}[\dX]|tt\d{7,8}|SO[A-Z0-9]{16}|spotify:track:\w+"
    r"|(item|movie|film|product|book|track|song|artist|game|i|m|p)[_\-:]?\d+)$"
)
_USER_IDS = r"^(A[0-9A-Z]{11,28}|[0-9a-f]{40}|(user|customer|client|member|visitor|u|c)[_\-:]?\d+)$"
_ITEMS_ALONE = (
    r"^(B0[0-9A-Z]{8}|tt\d{7,8}|SO[A-Z0-9]{16}|spotify:track:\w+"
    r"|(item|movie|film|product|book|track|song|artist|game)[_\-:]?\d+)$"
)
_USERS_ALONE = r"^(A[0-9A-Z]{11,28}|(user|customer|client|member|visitor)[_\-:]?\d+)$"
"""Patterns that only ids have."""


def items_first(first: pl.Series, second: pl.Series) -> bool:
    """Return whether the ids of the first column have a form that items have, and those of the second do not."""

    def share(values: pl.Series, pattern: str) -> float:
        present = values.drop_nulls().cast(pl.String)
        return float(present.str.contains(pattern).mean() or 0)  # type: ignore[arg-type]

    if share(first, _ITEMS_ALONE) > 0.9 and share(second, _ITEM_IDS) < 0.1:
        return True
    if share(second, _USERS_ALONE) > 0.9 and share(first, _USER_IDS) < 0.1:
        return True
    items, users = share(first, _ITEM_IDS), share(second, _USER_IDS)
    return (items > 0.9 and users > 0.5) or (users > 0.9 and share(first, _USER_IDS) < 0.1 and items > 0.5)


def coordinates(values: pl.Series) -> bool:
    """Return whether a column may be a latitude or longitude: decimals finer than any rating scale."""
    return values.dtype.is_float() and is_fine(values) and bool(np.isfinite(values.drop_nulls().to_numpy()).all())


def holds_moments(values: pl.Series) -> bool:
    """Return whether a column holds times whose date can be read."""
    present = values.drop_nulls()
    if values.dtype in (pl.Date, pl.Datetime):
        return True
    if values.dtype == pl.String:
        return is_time(present) or (present.str.contains(r"^\d{9,19}$").all() and len(present) > 0)
    if not values.dtype.is_numeric() or not len(present):
        return False
    low, high = float(present.min()), float(present.max())  # type: ignore[arg-type]
    return low >= 3e8 or (low >= 19_000_101 and high <= 21_001_231)


def is_time_of_day(values: pl.Series) -> bool:
    """Return whether a column holds the time of day: 10:33, 1631."""
    if values.dtype == pl.Time:
        return True
    present = values.drop_nulls()
    if values.dtype == pl.String:
        return len(present) > 0 and bool(
            present.str.contains(r"^\s*\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*([AaPp][Mm])?\s*$").all()
        )
    if not values.dtype.is_integer() or len(present) < 20 or present.n_unique() < 20:
        return False
    return bool(((present >= 0) & (present < 2400) & (present % 100 < 60)).all()) and int(present.max()) > 240  # type: ignore[arg-type]
