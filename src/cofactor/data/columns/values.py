"""Convert the column of values to float32 numbers; and the texts that mean a missing value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.arrays import Array, filled, gathered, is_plain
from cofactor.data.tables import Table
from cofactor.errors import ConfigError, DataError

NOTHING = (
    "",
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "NaN",
    "nan",
    "NULL",
    "null",
    "Null",
    "None",
    "none",
    "\\N",
    "#N/A",
    "#REF!",
    "#VALUE!",
    "#NAME?",
    "#DIV/0!",
    "#NUM!",
    "#NULL!",
    "-",
    "--",
    "?",
)
"""Texts that mean a missing value."""
NO_IDS = frozenset(text for text in NOTHING if text not in ("-", "--", "?", "none", "n/a"))
"""Texts that are not ids."""


def check_missing(missing: Any) -> tuple[Any, ...] | None:
    """Check the values that mean "no rating": a list of numbers, texts or None. Raises ConfigError for anything
    else."""
    if missing is None:
        return None
    if isinstance(missing, (str, int, float)) or not isinstance(missing, Sequence):
        raise ConfigError(f"missing is {missing!r}; give a list of the values that mean no rating, such as [99, -1]")
    for value in missing:
        if isinstance(value, bool) or not (value is None or isinstance(value, (str, int, float, np.number))):
            raise ConfigError(f"missing has {value!r} in it; give numbers or texts, such as [99, -1]")
    return tuple(missing)


def gone(column: pl.Series, missing: Sequence[Any]) -> Array:
    """Return a bool array (n,): where a value is one of those that mean "no rating".

    A text or None in ``missing`` stands for empty fields and for all the usual texts of that meaning.
    """
    numbers = [float(v) for v in missing if isinstance(v, (int, float, np.number))]
    texts = [v for v in missing if isinstance(v, str)]
    mask = pl.Series(np.zeros(len(column), dtype=np.bool_))
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        if texts or None in missing:
            mask = mask | text.is_null() | text.is_in([*NOTHING, *texts])
        column = as_numbers(column)
    elif texts or None in missing:
        mask = mask | column.is_null() | (column.is_nan().fill_null(True) if column.dtype.is_float() else False)
    if numbers and (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        single = column.cast(pl.Float64)
        mask = mask | single.is_in(numbers).fill_null(False)
    found: Array = mask.to_numpy()
    return found


def as_numbers(text: pl.Series) -> pl.Series:
    """Convert text to float64, with null where it is not a number.

    Where all fields agree in form, these are numbers too: 9,5; 1,234.5; 1.234,5; 1 234; 90%; 4/5; 4 stars; ★★★★½.
    Durations (1:03:25 or 03:25) become seconds. A mark that may separate thousands or decimals (12,037) is not
    interpreted.
    """
    text = text.str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() == text.null_count():
        return numbers
    text = _minus_first(text.str.replace_many(_DIGITS, [*"0123456789" * 4, "-"]))
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() == text.null_count():
        return numbers
    present = text.drop_nulls()
    present = present.filter(~present.is_in(NOTHING))
    money = False
    if _labelled(present):
        return text.str.extract(_LABEL, 1).cast(pl.Float64, strict=False)
    if (dress := _dress(present)) is not None:
        present, text, money = present.str.replace(*dress[:2]), text.str.replace(*dress[:2]), dress[2]
    if _in_units_of_time(present):
        of = [text.str.extract(_UNITS_OF_TIME, at).cast(pl.Float64, strict=False).fill_null(0) for at in range(1, 5)]
        seconds = 86_400 * of[0] + 3600 * of[1] + 60 * of[2] + of[3]
        return seconds.set(text.is_null() | text.is_in(NOTHING), None)
    if is_duration(present):
        parts = text.str.split(":").list.reverse()
        places = [parts.list.get(at, null_on_oob=True).cast(pl.Float64, strict=False) for at in range(3)]
        return places[0] + 60 * places[1] + 3600 * places[2].fill_null(0)
    if len(present) and present.str.contains(r"^(?:\d+½?|½)$").all():
        text = text.str.replace(r"^½$", "0.5").str.replace("½", ".5", literal=True)
        return text.cast(pl.Float64, strict=False)
    if len(present) and present.str.contains(_GLYPHS).all():
        return text.str.count_matches(_STAR) + 0.5 * text.str.count_matches("½")
    for mark, point in ((",", "."), (".", ",")):
        whole = rf"[-+]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})*(?:{re.escape(point)}\d+)?"
        plain = rf"[-+]?\d+(?:{re.escape(point)}\d+)?"
        sure = rf"^[-+]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+(?:{re.escape(mark)}\d{{3}}|{re.escape(point)}\d+)$"
        grouped = present.str.contains(rf"^[-+]?[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}$")
        below = present.str.contains(r"^[-+]?\d{1,3}$")  # below 1,000: no mark
        if present.str.contains(f"^(?:{whole}|{plain})$").all() and (
            present.str.contains(sure).any()
            or (money and present.str.contains(rf"\d{re.escape(mark)}\d{{3}}$").any())
            or (int(grouped.sum()) >= 2 and int(below.sum()) >= 2 and (grouped | below).all())
        ):
            text = text.str.replace_all(mark, "", literal=True).str.replace(point, ".", literal=True)
            return text.cast(pl.Float64, strict=False)
    if (spaced := present.str.contains(_SPACED)).any() and (spaced | present.str.contains(r"^[-+]?\d{1,3}$")).all():
        return text.str.replace_all(_SPACES, "").cast(pl.Float64, strict=False)
    commas = text.str.contains(r"^[-+]?\d+,\d+$")
    if (
        commas.any()
        and not text.str.contains(r"\.").any()
        and not text.filter(commas).str.contains(r"^[-+]?\d{1,3},\d{3}$").all()
    ):
        return text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return text.cast(pl.Float64, strict=False)


_DIGITS = [*"٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९", *map(chr, range(0xFF10, 0xFF1A)), "\N{MINUS SIGN}"]
"""Digits of Arabic, Persian, Hindi, and wide ones, and the minus of typesetters."""


def is_duration(column: pl.Series) -> bool:
    """Return whether values are durations: by type, as a spreadsheet's times of day, or written 1:03:25 or 03:25."""
    if column.dtype in (pl.Duration, pl.Time):
        return True
    if column.dtype != pl.String:
        return False
    present = column.drop_nulls().str.strip_chars()
    present = present.filter(~present.is_in(NOTHING))
    if not len(present):
        return False
    return bool(present.str.contains(_DURATION).all() or (_in_units_of_time(present)))


_DURATION = r"^\d+:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?$"
_UNITS_OF_TIME = (
    r"(?i)^(?:PT?)?(?:(\d+(?:\.\d+)?)\s*(?:d|days?)T?)?\s*(?:(\d+(?:\.\d+)?)\s*(?:h|hrs?|hours?))?\s*"
    r"(?:(\d+(?:\.\d+)?)\s*(?:m|mins?|minutes?))?\s*(?:(\d+(?:\.\d+)?)\s*(?:s|secs?|seconds?))?$"
)
"""1h 5m, 45 min, PT1H5M3S."""
_LABEL = r"^\(?(\d{1,2})(?:\s+[-–—=]\s+|\s*[:=.)]\s*)\p{L}"
"""4 - Agree, (4) Agree, 4: good."""


def _in_units_of_time(present: pl.Series) -> bool:
    """Whether all fields are durations by their units, of which there are several."""
    return (
        len(present) > 0
        and bool((present.str.contains(_UNITS_OF_TIME) & present.str.contains(r"\d")).all())
        and _dress(present) is None
    )


def _labelled(present: pl.Series) -> bool:
    """Whether each field is a number and what it stands for (4 - Agree), each of several numbers with a text of its
    own."""
    if not len(present) or not present.str.contains(_LABEL).all():
        return False
    each = pl.DataFrame({"text": present.str.to_lowercase(), "number": present.str.extract(_LABEL, 1)}).unique()
    words = each["text"].str.replace(r"^\D*\d+\W*", "").unique()
    return len(each) > 1 and each["number"].is_unique().all() and len(words) == len(each)


def _minus_first(text: pl.Series) -> pl.Series:
    """Numbers below 0 as (5) or 5-, as in books of account, as -5, where other fields are numbers as they are."""
    below = text.str.contains(_BELOW_0)
    if not below.any() or (below | text.is_in(NOTHING)).all():
        return text
    return text.str.replace(_BELOW_0, "-$1$2")


_BELOW_0 = r"^(?:\((\d[\d.,]*)\)|(\d[\d.,]*)-)$"


def _dress(present: pl.Series) -> tuple[str, str, bool] | None:
    """Return what all fields have around their number: its pattern, the group of the number in it, and whether it is a
    currency. It must be the same in each field: a sign or code of a currency, a unit, stars, or ``of`` a maximum."""
    if not len(present):
        return None
    for pattern, number, rest in ((_OF, 1, 2), (_BEFORE, 2, 1), (_AFTER, 1, 2)):
        if present.str.contains(pattern).all():
            around = present.str.extract(pattern, rest).str.strip_chars().str.to_lowercase()
            money = pattern == _BEFORE or bool(around.str.contains(r"\p{Sc}").all())
            return (pattern, f"${number}", money) if around.str.replace(r"(\D)s$", "$1").n_unique() == 1 else None
    return None


_OF = r"(?i)^(?:rated\s+)?([-+]?\d+(?:[.,]\d+)?)\s*(?:/|out\s+of|of)\s*(\d+(?:\.0+)?)(?:\s*stars?)?$"
_FIGURE = r"([-+]?\d(?:[\d.,'’\x{a0}\x{202f}\x{2009} ]*\d)?)"
_BEFORE = rf"^(\p{{Sc}}|[A-Z]{{2,3}}\s)\s*{_FIGURE}$"
_AFTER = rf"^{_FIGURE}(\s*[%\p{{Sc}}kKMx*★⭐]|\s+\p{{L}}[^\d]{{0,15}}|(?i:stars?))$"
"""Text that a field may have around its number."""
_STAR = r"[★⭐*❤♥🌟]"
_GLYPHS = r"^(?:(?:[★⭐*❤♥🌟]\x{fe0f}?)+½?|½)☆*$"
_SPACES = r"[ '’\x{a0}\x{202f}\x{2009}]"
_SPACED = rf"^[-+]?\d{{1,3}}(?:{_SPACES}\d{{3}})+$"


def ratings(table: Table, column: Callable[[str], pl.Series], name: str, room: Array) -> Array:
    """Return the values of the column ``name``, written into ``room`` (float32 (n,)) if the column comes in parts."""
    if table.stream is not None and table.sample[name].dtype.is_numeric():
        values = gathered(*table.stream(name), room)
        if values is not None and _all_finite(values):
            return values
    return to_floats(column("rating"), name)


def to_floats(column: pl.Series, name: str) -> Array:
    """Convert to float32. Raises DataError with row and value for the first that is not a finite number."""
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Float32)
    if column.dtype in (pl.Duration, pl.Time):
        column = column.cast(pl.Duration("us")).dt.total_microseconds() / 1e6
    if column.dtype == pl.String:
        numbers = as_numbers(column)
        empty = column.str.strip_chars().is_in(NOTHING).fill_null(True)
    elif column.dtype.is_numeric():
        numbers, empty = column, column.is_null()
    elif column.dtype == pl.Null:
        numbers, empty = column.cast(pl.Float32), column.is_null()
    else:
        raise DataError(f"column {name!r} has type {column.dtype}, which is not a rating; give numbers")
    if numbers.dtype.is_float() and numbers.is_nan().any():  # pandas' form of a missing value
        empty, numbers = empty | numbers.is_nan().fill_null(False), numbers.fill_nan(None)
    if numbers.null_count():
        bad = numbers.is_null()
        row = int(bad.arg_max() or 0)
        value = column[row]
        several = f", and {int(bad.sum()) - 1:,} more are" if bad.sum() > 1 else ""
        if empty[row]:
            shown = f" ({value!r})" if isinstance(value, str) and value else ""
            text = value if shown else "NA"
            raise DataError(
                f"the rating in row {row + 1} (column {name!r}) is missing{shown}{several}; correct or drop such rows,"
                f" or leave them out with missing=[{text!r}] (on the command line --missing {text})"
            )
        todo = "mend or drop that row"
        words = column.dtype == pl.String and not column.filter(bad).str.contains(r"\d").any()
        if words and numbers.null_count() > len(column) // 2 and column.n_unique() <= 12:
            todo = (
                f"if the column holds behaviours, give behaviour={name!r} and weights={{{value!r}: 1, ...}} (on the"
                f" command line --behaviour {name} --weights {value}=1)"
            )
        elif bad.sum() > 1 and column.filter(bad).n_unique() == 1:
            todo = f"if it means no rating, missing=[{value!r}] (on the command line --missing {value!r}) leaves it out"
        raise DataError(
            f"the rating in row {row + 1} (column {name!r}) is {value!r}, which is not a number{several}; {todo}"
        )
    values = filled(numbers if is_plain(numbers) else numbers.cast(pl.Float32), np.float32)
    if not _all_finite(values):
        row = int(np.argmin(np.isfinite(values)))
        infinite = int((~np.isfinite(values)).sum())
        raise DataError(
            f"the rating in row {row + 1} (column {name!r}) is {numbers[row]}"
            f"{f', and {infinite - 1:,} more are not finite' if infinite > 1 else ''}; correct or drop that row"
        )
    return values


def _all_finite(values: Array) -> bool:
    with np.errstate(all="ignore"):
        total = values.sum()
    return bool(np.isfinite(total) or np.isfinite(values).all())
