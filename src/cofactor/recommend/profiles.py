"""Resolve the target user: known, known with newer ratings, or described by a history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.errors import ConfigError, DataError
from cofactor.model import ScoresSome
from cofactor.recommend.cold_start.users import FeatureEffects, added, describe, without_expected
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.histories import from_frame
from cofactor.recommend.options import Unknown
from cofactor.recommend.rating_scale import Scale, check_on_scale
from cofactor.recommend.updates import as_rows, folded, read_times, states_of, trained_on

Array = NDArray[Any]
KNOWN, UPDATED, NO_RATINGS = "known", "known, with newer ratings", "user without ratings"
FROM_FEATURES, FROM_BOTH = "from features", "from the history and features"
FROM_HISTORY, UNKNOWN = "from the history", "unknown user: most rated"


class UserProfile(NamedTuple):
    """The target user of a list.

    ``code`` is the code in the training data or updates (-1: neither), ``items`` and ``values`` the ratings, ``state``
    the folded-in state or None, ``status`` a text on how the user is known. For a user with features, ``described`` is
    the effect of the features, and ``shift`` what it adds to the scores (to those of the state where there is one).
    """

    code: int
    items: Array
    values: Array
    state: Array | None
    status: str
    described: FeatureEffects | None = None
    shift: Array | None = None
    stated: Array | None = None
    """Mask of the ratings that were given (None: all); the other items were liked without a rating."""
    order: Array | None = None
    """Positions of the ratings in time; larger is newer (None: unknown)."""
    weights: Array | None = None
    """Weights of the ratings (None: all equal)."""

    @property
    def trained(self) -> int:
        """The code, where all that is known of them was in the training data; else -1."""
        return self.code if self.state is None else -1

    @property
    def history(self) -> tuple[Array, Array, Array | None, Array | None]:
        """(items, values, order, weights), as :func:`as_rows` takes them."""
        return self.items, self.values, self.order, self.weights


def known_user(rec: Fitted, code: int) -> UserProfile:
    """Return the profile of a user by code."""
    touched = rec.updates.users.get(code)
    if touched is not None:
        items, values, order, weights = touched.history
        return UserProfile(code, items, values, touched.state[None], UPDATED, order=order, weights=weights)
    rated = trained_on(rec.data, code)
    status = KNOWN if len(rated.items) else NO_RATINGS
    return UserProfile(code, rated.items, rated.values, None, status, order=rated.order, weights=rated.weights)


def find_user(rec: Fitted, user: object, unknown: Unknown) -> UserProfile | None:
    """Return the profile of a user by id. An unknown id raises UnknownIdError, or gives None (``skip``) or the average
    user (``popular``)."""
    code = rec.users.code(user)
    if code >= 0:
        return known_user(rec, code)
    if unknown == "error":
        rec.data.user_ids.index(user)
    empty = np.empty(0, np.int32), np.empty(0, np.float32)
    return None if unknown == "skip" else UserProfile(-1, *empty, None, UNKNOWN)


def new_user(
    rec: Fitted,
    history: Mapping[Any, float] | Iterable[Any] | None,
    unknown: Unknown,
    features: Mapping[str, Any] | None = None,
) -> UserProfile:
    """Return the profile of a new user with these ratings, folded in, and these features.

    Unknown items raise UnknownIdError, or are left out and counted in the status. The status also names features that
    could not be used.
    """
    items, values, missing, stated, order = read_history(rec, {} if history is None else history, unknown)
    described, said = (None, "") if features is None else describe(rec, features, unknown)
    notes = [f"{missing} unknown item{'s' if missing > 1 else ''} left out"] if missing else []
    notes += [said] if said else []
    if described is not None:
        status = "; ".join([FROM_BOTH if len(items) else FROM_FEATURES, *notes])
        return profile_from_features(rec, items, values, order, described, status)._replace(stated=stated)
    status = "; ".join([FROM_HISTORY if len(items) else "empty history", *notes])
    state = fold_in(rec, as_rows([(items, values, order)], rec.data.n_items))
    return UserProfile(-1, items, values, state, status, stated=stated, order=order)


def profile_from_features(
    rec: Fitted, items: Array, values: Array, order: Array, described: FeatureEffects, status: str
) -> UserProfile:
    """Return the profile of a user with these ratings and the effect of their features."""
    rating = rec.model.task == "rating"
    if not len(items) and not rating:
        return UserProfile(-1, items, values, None, status, described, described.expected)
    rows, shift = as_rows([(items, values, order)], rec.data.n_items), added(rec, described)
    state = fold_in(rec, without_expected(rec, rows, shift) if rating else rows)
    return UserProfile(-1, items, values, state, status, described, shift, order=order)


def resolve_user(rec: Fitted, user: object, history: Mapping[Any, float] | Iterable[Any] | None) -> UserProfile:
    """Return the profile of a known user, or of a new user with a history; exactly one of the two must be given."""
    if (user is None) == (history is None):
        raise ConfigError("give either a user of the training data or a history of items, not both")
    if history is not None:
        return new_user(rec, history, "error")
    found = find_user(rec, user, "error")
    assert found is not None
    return found


def read_history(
    rec: Fitted, history: Mapping[Any, float] | Iterable[Any], unknown: Unknown = "error"
) -> tuple[Array, Array, int, Array, Array]:
    """Return (item codes ascending, ratings, number of unknown items, mask of the ratings that were given, positions in
    time).

    An item of a plain list, or with a rating None, counts as liked: its rating is the upper quartile of the training
    ratings. Items are ordered from oldest to newest, or by the times of tuples (item, rating, time). A frame has the
    training table's column names. DataError for a rating off the scale.
    """
    if hasattr(history, "columns"):
        history = from_frame(rec, history)
    elif hasattr(history, "to_dict"):
        _check_series(history)
    if isinstance(history, str):
        raise DataError(f"the history is the text {history!r}; give items with ratings, such as {{{history!r}: 5}}")
    several = hasattr(history, "__iter__") and getattr(history, "ndim", 1) > 0  # a NumPy scalar has no entries
    if not isinstance(history, Mapping) and not several:
        raise DataError(f"the history is {history!r}; give items with ratings, such as {{'Fargo (1996)': 5}}")
    pairs, times = (dict(history.items()), None) if isinstance(history, Mapping) else _listed(history)
    values = np.empty(len(pairs), dtype=np.float32)
    stated = np.array([value is not None for value in pairs.values()], dtype=bool)
    scale = rec.scale
    for at, (item, value) in enumerate(pairs.items()):
        values[at] = scale.liked if value is None else rating_of(scale, item, value)
    find = rec.items.code if unknown == "error" else rec.items.find
    codes = np.array([find(item) for item in pairs], dtype=np.int32)
    when = np.arange(len(codes)) if times is None else read_times(times, rec.data)
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] >= 0]
    found = codes[order]
    if (np.diff(found) == 0).any():
        raise DataError("the history names an item twice (once by its id, once by its title?); name each item once")
    return found, values[order], len(codes) - len(found), stated[order], when[order]


def _check_series(series: Any) -> None:
    """Raise DataError for a pandas Series that could mean items, or ratings by item."""
    labels = series.index
    numbered = type(labels).__name__ == "RangeIndex" and (labels.start, labels.step) == (0, 1)
    if not numbered and getattr(series.dtype, "kind", "O") in "iufb":
        raise DataError(
            "the history is a Series with labels and numbers: give ratings by item as series.to_dict(), or items as"
            " series.tolist()"
        )


def rating_of(scale: Scale, item: object, value: Any) -> float:
    """Return a user-supplied rating as a float; DataError where it is not a number, or is off the scale."""
    if type(value) is float and scale.low <= value <= scale.high:  # as most are
        return value
    try:
        number = float("" if isinstance(value, (bool, np.bool_)) else value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"the rating of {item!r} is {value!r}; it must be a number") from None
    if not abs(number) < 3e38:  # about the largest float32
        raise DataError(f"the rating of {item!r} is {value!r}; it must be a finite number")
    check_on_scale(scale, item, number)
    return number


def _listed(history: Iterable[Any]) -> tuple[dict[Any, Any], list[Any] | None]:
    """Return (ratings by item, times or None) from items, or from tuples (item, rating) or (item, rating, time)."""
    entries = list(history)
    try:
        if not any(isinstance(entry, tuple) for entry in entries):
            return dict.fromkeys(entries), None
        for at, entry in enumerate(entries):
            if not isinstance(entry, tuple) or not 2 <= len(entry) <= 3 or len(entry) != len(entries[0]):
                raise DataError(
                    f"entry {at + 1} of the history is {entry!r}; give all as (item, rating), or all as "
                    "(item, rating, time)"
                )
        pairs = {entry[0]: entry[1] for entry in entries}
    except TypeError:
        raise DataError(
            "the history holds a value that cannot be an id; give ids or titles, such as ['Fargo (1996)']"
        ) from None
    if len(pairs) < len(entries):
        raise DataError("the history names an item twice; name each item once")
    return pairs, [entry[2] for entry in entries] if len(entries[0]) == 3 else None


def fold_in(rec: Fitted, histories: CSR) -> Array:
    """Return the model's states of users that were not in training."""
    return folded(rec.model, histories)


def scores_of(rec: Fitted, who: UserProfile) -> Array:
    """Return a copy of the scores of all items, float32 (n_items,); for an unknown user, each item's number of
    ratings."""
    if who.state is not None:
        scores = np.array(rec.model.scores_from(who.state)[0], dtype=np.float32)
        return scores if who.shift is None else scores + who.shift
    if who.shift is not None:
        return np.array(who.shift)
    if who.code < 0:
        return popularity(rec)
    return np.array(rec.model.scores(np.array([who.code], dtype=np.int32))[0], dtype=np.float32)


def scores_of_many(rec: Fitted, codes: Array, keep: Array | None = None) -> Array:
    """Return a copy of the scores, float32 (len(codes), n_items), newer ratings included. Items where ``keep`` (bool,
    n_items) is False may score -inf."""
    trained = np.where(codes < rec.data.n_users, codes, -1).astype(np.int32)
    rows = [r for r, code in enumerate(codes.tolist()) if code in rec.updates.users] if rec.updates.users else []
    newer = np.stack(states_of([rec.updates.users[int(codes[r])] for r in rows])) if rows else None
    model = rec.model
    if keep is not None and isinstance(model, ScoresSome):
        states = model.user_state(trained)
        if newer is not None:
            states = np.array(states)
            states[rows] = newer
        out = np.full((len(codes), rec.data.n_items), -np.inf, dtype=np.float32)
        out[:, keep] = model.scores_among(states, np.flatnonzero(keep))
        return out
    out = np.array(model.scores(trained), dtype=np.float32)
    if newer is not None:
        out[rows] = model.scores_from(newer)
    return out


def popularity(rec: Fitted) -> Array:
    """Return the number of ratings of each item, float32 (n_items,), to rank by for an unknown user."""
    return rec.data.item_counts.astype(np.float32)
