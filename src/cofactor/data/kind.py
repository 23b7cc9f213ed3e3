"""Decide what the values of a table mean: ratings on a scale, counts, or mere events.

This is the only module that decides it. All others use :attr:`Interactions.kind`.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import ConfigError

Kind = Literal["ratings", "counts", "events"]
KINDS: tuple[Kind, ...] = ("ratings", "counts", "events")

SAMPLE = 200_000
"""Size of the sample of values, evenly spaced in the table."""
GRID = 24
"""A rating scale has at most this many different values (0.5 to 10 in halves has 20)."""
TAIL = 4.0
"""Counts reach at least this many times further above their median than below it; a normal distribution
reaches equally far."""

_COUNT_WORDS = frozenset(
    [
        "plays",
        "play",
        "playcount",
        "count",
        "counts",
        "cnt",
        "weight",
        "listens",
        "listening",
        "scrobbles",
        "quantity",
        "qty",
        "amount",
        "amounts",
        "units",
        "hours",
        "minutes",
        "seconds",
        "duration",
        "playtime",
        "playtimeforever",
        "watched",
        "dwell",
        "clicks",
        "views",
        "visits",
        "purchases",
        "orders",
        "frequency",
        "freq",
        "times",
        "occurrences",
        "sales",
        "spend",
        "spent",
        "total",
        "volume",
        "n",
        "num",
        "number",
        "menge",
        "anzahl",
        "cantidad",
        "quantite",
        "quantidade",
        "aantal",
    ]
)
_GRADE_WORDS = frozenset(
    [
        "rating",
        "ratings",
        "stars",
        "star",
        "score",
        "scores",
        "overall",
        "grade",
        "grades",
        "rate",
        "vote",
        "votes",
        "preference",
    ]
)


class Guess(NamedTuple):
    """The guess: ``kind``, the reason in words, and the values (``codes``) that probably mean "no rating"."""

    kind: Kind
    reason: str
    codes: tuple[float, ...] = ()


def check_kind(kind: Any) -> Kind | None:
    """ConfigError unless it is None or the name of a kind."""
    if kind is not None and (not isinstance(kind, str) or kind not in KINDS):
        raise ConfigError(f"kind is {kind!r}; it may be 'ratings', 'counts' or 'events'")
    found: Kind | None = kind
    return found


def guess_kind(values: NDArray[Any], column: str | None = "rating") -> Guess:
    """Guess the kind of these values, with a reason, from their distribution and the name of their ``column``.

    ``column=None``: the table has no column of values. Codes outside the scale (99 beside 1 to 5) are ignored. The
    guess does not depend on the unit of the values, nor on their order up to 200,000 rows.
    """
    if column is None:
        return Guess("events", "the table has no column of values")
    if not len(values):
        return Guess("ratings", "the table has no values")
    found, counts = np.unique(values[:: max(1, len(values) // SAMPLE)], return_counts=True)
    found = found.astype(np.float64)
    if len(found) == 1:
        return Guess("events", f"every value is {found[0]:g}")
    codes = tuple(float(v) for v in found[no_rating(found, counts)])
    keep = ~apart(found, counts)
    found, counts = found[keep], counts[keep]
    shown = f"{len(found):,} different values from {found[0]:g} to {found[-1]:g}"
    said = _words(column)
    if said & _GRADE_WORDS and not (said & _COUNT_WORDS):
        if found[0] >= 0 and len(found) > GRID and _stretch(found, counts) > 4 * TAIL:
            return Guess("counts", f"{shown} with a long tail")
        return Guess("ratings", shown, codes)
    if said & _COUNT_WORDS and _may_count(found, counts):
        return Guess("counts", f"the column is named {column!r}; {shown}")
    if found[0] < 0:
        return Guess("ratings", f"{shown}, some below 0", codes)
    if len(found) > GRID:
        if _stretch(found, counts) > TAIL and found[-1] >= 2 * found[0]:  # 50,000 to 50,179 counts nothing
            return Guess("counts", f"{shown} with a long tail")
        return Guess("ratings", f"{shown} without a long tail", codes)
    if len(found) == 2 and found[1] == 2 * found[0] and counts[0] > 3 * counts[1]:
        return Guess("counts", f"{found[1]:g} beside the far more frequent {found[0]:g}")
    if _few_but_counted(found, counts):
        return Guess("counts", f"{shown}, the smallest most frequent, with a long tail")
    return Guess("ratings", f"{shown}: a scale", codes)


def scale_of(values: NDArray[Any]) -> tuple[float, float]:
    """Return the lowest and highest rating, without codes for "no rating"."""
    found, counts = np.unique(values[:: max(1, len(values) // SAMPLE)], return_counts=True)
    marks = no_rating(found, counts)
    if not marks.any():
        return float(values.min()), float(values.max())
    return float(found[~marks][0]), float(found[~marks][-1])


def apart(values: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which of the distinct ``values`` (ascending; ``counts``: how often each occurs) lie outside the scale at
    either end, like 99, -1 or 999 for "no rating".

    Only the gaps between values decide, not the share of the rows. A value lies outside if the gap before it is more
    than one and a half times as wide as all others together, or if it is the only one below 0 and at least one and a
    half typical steps away.
    """
    low, high = 0, len(values)
    while high - low > 2 and _is_code(values[low:high][::-1], counts[low:high][::-1]):
        high -= 1
    while high - low > 2 and _is_code(values[low:high], counts[low:high]):
        low += 1
    marks = np.ones(len(values), dtype=np.bool_)
    marks[low:high] = False
    return marks


def _is_code(values: NDArray[Any], counts: NDArray[Any]) -> bool:
    """Return whether the first value lies outside the scale of the others."""
    gap, rest = abs(values[1] - values[0]), values[1:]
    span, steps = abs(rest[-1] - rest[0]), np.abs(np.diff(rest))
    if len(values) > 10 * GRID and counts[0] < max(5, 20 * np.median(counts)):  # the end of a long tail
        return False
    if gap > 1.5 * span:
        return True
    below = values[0] < 0 < rest.min()
    return bool(below and len(values) <= GRID and gap >= 1.5 * np.median(steps))


def no_rating(values: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the distinct ``values`` probably mean "no rating": those that stand :func:`apart`, a 9 after an even
    scale that ends at 5, say, and a 0 below a scale of few grades: one of five stars (or of halves of them), or one
    whose grades get rarer towards its end, 0 aside.
    """
    marks = apart(values, counts)
    rest, often = values[~marks], counts[~marks]
    if 5 <= len(rest) <= GRID and counts.sum() >= _MANY and _skips(rest[:-1], rest[-1]):
        marks[int(np.flatnonzero(~marks)[-1])] = True
        rest, often = rest[:-1], often[:-1]
    if not 4 <= len(rest) <= GRID or rest[0] != 0:
        return marks
    steps = np.diff(rest)
    even = bool(np.ptp(steps) < 1e-6 * steps[0])
    stars = even and (len(rest) == 6 or (len(rest) == 11 and abs(rest[-1] - 5) < 1e-6))
    odd = often[0] > 1.3 * often[1] and often[1] <= 1.3 * np.median(often[1:5])
    if stars or odd or steps[0] > 1.5 * np.median(steps[1:]):
        marks[int(np.flatnonzero(~marks)[0])] = True
    return marks


_MANY = 100
"""Among so many ratings no grade of a scale is missing by chance, and the one after it there."""


def _skips(scale: NDArray[Any], last: float) -> bool:
    """Whether grades go up in even steps, and the ``last`` value comes three steps later or more."""
    steps = np.diff(scale)
    return bool(np.ptp(steps) < 1e-6 * steps[0] and last - scale[-1] > 2.5 * steps[0])


_SURE = """cnt plays playcount listens listening scrobbles quantity qty amount amounts units hours minutes playtime
    playtimeforever watched dwell clicks views visits purchases frequency freq spend spent occurrences"""
_AMOUNTS = frozenset(_SURE.split())
"""Words in a column name that always mean counts."""


def says_amount(column: str) -> bool:
    """Return whether a column name always means counts or amounts."""
    return bool(_words(column) & _AMOUNTS)


_WHOLE = """cnt count plays playcount listens scrobbles quantity qty units clicks views visits purchases occurrences
    menge anzahl cantidad quantite quantité quantita quantità quantidade aantal"""
_PIECES = frozenset(_WHOLE.split())
"""Words in a column name that mean whole numbers without fractions."""


def says_pieces(column: str) -> bool:
    """Return whether a column name means counts that are whole numbers."""
    return bool(_words(column) & _PIECES)


def says_grade(column: str) -> bool:
    """Return whether a column name means ratings, such as ``score``."""
    return bool(_words(column) & _GRADE_WORDS)


def says_count(column: str) -> bool:
    """Return whether a column name means counts or amounts, such as ``quantity``."""
    return bool(_words(column) & _COUNT_WORDS)


def _words(column: str) -> set[str]:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", column)
    words = re.findall(r"[^\W\d_]+", spaced.lower())
    return {*words, "".join(words)}


def _may_count(found: NDArray[Any], counts: NDArray[Any]) -> bool:
    """Return whether values under a name such as "weight" may be counts, and not a bounded scale of shares or
    grades."""
    return not (len(found) <= GRID and found[0] >= 0 and found[-1] <= 1)


def _stretch(found: NDArray[Any], counts: NDArray[Any]) -> float:
    """Return how much further the values reach above their median than below it (99th and 1st percentile)."""
    places = np.cumsum(counts) / counts.sum()
    low, middle, high = (float(found[min(int(np.searchsorted(places, q)), len(found) - 1)]) for q in (0.01, 0.5, 0.99))
    return (high - middle) / max(middle - low, (high - low) * 1e-3, 1e-300)


def _few_but_counted(found: NDArray[Any], counts: NDArray[Any]) -> bool:
    """Return whether a small set of whole numbers is counts, not a scale.

    The smallest is by far the most frequent, frequencies fall, and the top is rare and far away, or there are gaps that
    a scale would not have.
    """
    unit = float(np.diff(found).min())
    ranks = found / unit
    if len(found) < 3 or not np.allclose(ranks, np.round(ranks), atol=1e-3) or found[0] > 2 * unit:
        return False
    share = counts / counts.sum()
    start = 1 if found[0] == 0 and share[0] < share[1] else 0
    falls = bool(share[start] == share.max() and share[start] > 2 * share[min(start + 2, len(share) - 1)])
    gaps = bool(np.diff(ranks).max() > 1.5)
    return falls and share[-1] < 0.03 and (gaps or ranks[-1] > 10 or share[start] > 0.5)


def rows_of(kind: Kind) -> str:
    """Return what a row is called: a rating, or merely a row (of counts, or of events that were merged)."""
    return "ratings" if kind == "ratings" else "rows"


_VERBS = (  # durations first: "minutes_watched" says how long, not how often
    (("hours", "hour"), "spent {value} hours on {label}"),
    (("minutes", "minute"), "spent {value} minutes on {label}"),
    (("seconds", "second"), "spent {value} seconds on {label}"),
    (("play", "plays", "playcount", "listens", "scrobbles", "played"), "played {counted}"),
    (("quantity", "qty", "units", "purchases", "orders", "bought"), "bought {counted}"),
    (("views", "viewed", "watched"), "viewed {counted}"),
    (("clicks",), "clicked {counted}"),
)


_TIMES = _PIECES | {"counts", "times", "frequency", "freq", "orders", "play", "played", "bought", "viewed", "watched"}


def unit_of(kind: Kind, column: str | None, counted: bool = True) -> str | None:
    """Return what follows a value: "×" for a number of times, "hours", or the name of the column of counts. None where
    the value says nothing (events, values that are not ``counted``) or stands alone (ratings)."""
    if kind != "counts" or not counted:
        return None
    said = _words(column) if column is not None else set()
    long = next((unit for unit in ("hours", "minutes", "seconds") if said & {unit, unit[:-1]}), None)
    return long or ("×" if column is None or said & _TIMES else column)


def in_words(kind: Kind, column: str | None, label: object, value: float, counted: bool = True) -> str:
    """What a user did, of counts or events: "played Blur 31 times", "chose Fargo", "chose Fargo 3 times".

    ``counted``: the value says how often, or how much (:attr:`Interactions.counted`); otherwise it is not said.
    """
    if kind == "events" and value < 0:
        return f"disliked {label}"
    if not counted:
        return f"chose {label}"
    number = f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
    often = "once" if number == "1" else f"{number} times"
    done = f"{label}{',' if str(label)[-1:].isdigit() else ''} {often}"  # "Blink 182, 31 times"
    said = _words(column) if kind == "counts" and column is not None else set()
    phrase = next((phrase for words, phrase in _VERBS if said & set(words)), None)
    if phrase is not None:
        phrase = phrase.replace("s on", " on") if number == "1" else phrase
        return phrase.format(label=label, value=number, counted=done)
    if kind == "counts":
        return f"chose {label} ({column}: {number})" if column else f"chose {done}"
    return f"chose {label}" if value == 1 or value != round(value) else f"chose {done}"
