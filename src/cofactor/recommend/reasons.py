"""Reasons of recommended items: a short sentence about the rating that contributes most.

The same rating leads the explanation of that item (``Explanation.because``), since both come from
:func:`cofactor.recommend.contributions.contributions`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.kind import Kind, in_words
from cofactor.model import SumsHistory
from cofactor.recommend.contributions import contributions, entries_compared
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.profiles import UserProfile
from cofactor.recommend.similar import similarity_among
from cofactor.recommend.updates import as_rows

Array = NDArray[Any]
BY_MANY = "liked by many"
MOST_RATED = "among the most rated; nothing is known about this user"
LOOKED_AT = 20
"""Number of a user's best rated items to compare, where leaving ratings out takes too long."""
COMPARED = 100_000
"""Most pairs of a listed and a rated item whose contributions are computed, from the top of the list. Further down the
reason is the most similar rated item."""
LEAST = 1e-7
"""Least contribution, relative to the largest; smaller ones are rounding."""


class Reason(NamedTuple):
    """A reason: ``text`` is the sentence, ``position`` the position of the rated item in the profile (-1: none).
    ``compared`` is True where the reason comes from similarity, since leaving out each rating would take too long."""

    text: str
    position: int = -1
    compared: bool = False


def liked(who: UserProfile) -> Array:
    """Return the positions in ``who.items`` of the items rated at least as high as the user's mean."""
    if not len(who.values):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(who.values >= who.values.mean(dtype=np.float64) - 1e-6)


def reasons(rec: Fitted, who: UserProfile, items: Array) -> list[str]:
    """Return the sentence of the reason for each of ``items``."""
    return [found.text for found in reasons_of(rec, who, items)]


def reasons_of(rec: Fitted, who: UserProfile, items: Array) -> list[Reason]:
    """Return the reason for each of ``items``: the rating with the largest contribution, or that many liked the
    item."""
    if len(items) == 0:
        return []
    if who.described is not None and len(who.items) == 0:
        return [Reason(text or BY_MANY) for text in who.described.reasons(items)]
    if who.code < 0 and who.state is None:
        return [Reason(MOST_RATED)] * len(items)
    if len(who.items) == 0 or not rec.is_personalised:
        return [Reason(BY_MANY)] * len(items)
    if not entries_compared(rec.model, len(who.items)):
        return _nearest(rec, who, items)
    first = max(1, COMPARED // len(who.items))
    history = as_rows([who.history], rec.data.n_items)
    _, found = contributions(rec.model, history, np.asarray(items)[:first], user=who.trained)
    given = strongest(rec, who, found)
    if len(items) > first:
        given += _nearest(rec, who, np.asarray(items)[first:])
    if who.described is None:
        return given
    features = who.described.reasons(items)  # for items to which no rating contributes
    return [one if one.position >= 0 else Reason(text or BY_MANY) for one, text in zip(given, features, strict=True)]


def strongest(rec: Fitted, who: UserProfile, found: Array) -> list[Reason]:
    """Return reasons from contributions ``found`` (items, len(who.items)); of equal ones the first."""
    top, low = found.max(axis=1, initial=-np.inf), found.min(axis=1, initial=np.inf)
    least = LEAST * np.maximum(np.maximum(np.abs(top), np.abs(low)), 1e-30)
    best = (found >= (top - least)[:, None]).argmax(axis=1)
    speaks = (found[np.arange(len(found)), best] > least).tolist()
    places = best.tolist()
    named = list(dict.fromkeys(at for at, good in zip(places, speaks, strict=True) if good))
    said = dict(zip(named, _because(rec, who, named), strict=True))
    return [Reason(said[at], at) if good else Reason(BY_MANY) for at, good in zip(places, speaks, strict=True)]


def _because(rec: Fitted, who: UserProfile, positions: list[int]) -> list[str]:
    """Return sentences about these ratings: what the user did or, for models of sequences, what others took next."""
    labels = rec.items.labels(who.items[positions])
    if isinstance(rec.model, SumsHistory):
        return [f"others took this after {label}" for label in labels]
    words, values = words_of(rec), who.values[positions].tolist()
    return [
        f"you {act(words, label, value, _stated(who, at))}"
        for at, label, value in zip(positions, labels, values, strict=True)
    ]


def _nearest(rec: Fitted, who: UserProfile, items: Array) -> list[Reason]:
    """Return reasons from similarity: for each item the most similar of the user's best rated items."""
    at = liked(who)
    at = at[np.argsort(-who.values[at], kind="stable")[:LOOKED_AT]]
    similarity = similarity_among(rec.model, rec.data, items, who.items[at])
    similarity[np.asarray(items)[:, None] == who.items[at]] = 0.0
    best = similarity.argmax(axis=1)
    return [
        Reason(f"like {which(rec, who, int(at[near]))}", int(at[near]), True)
        if similarity[row, near] > 0
        else Reason(BY_MANY)
        for row, near in enumerate(best)
    ]


def which(rec: Fitted, who: UserProfile, position: int) -> str:
    """Return the rated item and the user's action: "Fargo (1996), which you gave 4"."""
    label = rec.items.labels(who.items[position : position + 1])[0]
    value, stated = float(who.values[position]), _stated(who, position)
    if rec.scale.explicit:
        return f"{label}, which you gave {value:g}" if stated else f"{label}, which you liked"
    return f"{label}, which you {' '.join(act(words_of(rec), '', value, stated).split())}"


class Words(NamedTuple):
    """What determines the words for a value: whether it is a rating (``explicit``), the kind of the values, the name of
    their column, and whether they say how often (``counted``)."""

    explicit: bool
    kind: Kind = "events"
    column: str | None = None
    counted: bool = True


def words_of(rec: Fitted) -> Words:
    """Return what determines the words for the values of this data."""
    return Words(rec.scale.explicit, rec.data.kind, rec.data.columns.rating, rec.data.counted)


def act(words: Words, label: Any, value: float, stated: bool = True) -> str:
    """Return verb, item and amount: "gave 5 to Fargo", "played Blur 31 times"."""
    if words.explicit:
        return f"gave {value:g} to {label}" if stated else f"liked {label}"  # a title may end in a number: value first
    if not stated or words.kind == "ratings":
        return in_words("events", words.column, label, 1.0)
    return in_words(words.kind, words.column, label, value, words.counted)


def _stated(who: UserProfile, position: int) -> bool:
    return who.stated is None or bool(who.stated[position])
