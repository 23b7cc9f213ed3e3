"""Users described by features (age, occupation): the average scores of similar users serve as a prior for their own
ratings.

The scores of the known users are regressed on their features, item by item, with the ridge of ``regression.py``. Each
user has the same weight, since a new user is more like users with few ratings. Where scores are linear in a user's
parameters, this equals predicting these parameters.

The user's own ratings refine this prior. For rating models, the expected scores are subtracted from the ratings before
the fold-in and added back after it: with linear scores this is a fold-in with a prior whose mean depends on the
features. For rankers, the expected scores count as much as ``WORTH`` ratings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.features.encoding import dense, encode_like, feature_groups, known_features
from cofactor.data.interactions import CSR, Features
from cofactor.errors import ConfigError, DataError, did_you_mean
from cofactor.recommend.cold_start.regression import regression, users_spread
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import Unknown

Array = NDArray[Any]
WORTH = 3.0
"""Weight of the features of a ranker's user, in ratings. This value, the ridge and the equal weights of users were
chosen on held-out users within training rows of ml-100k."""
FEATURES, USERS, BLOCK = 200, 3000, 64
"""Upper limits, see :func:`sizes`: the number of features (the most frequent), of users to learn from (evenly spaced by
code), and of users scored at once."""
SCORES, SUMS, SCORED = 300_000_000, 160_000_000, 40_000_000
"""Limits for a large catalogue: the number of scores in all, bytes of the sums, bytes of the scores at once."""


class Sizes(NamedTuple):
    features: int
    users: int
    block: int


class FeaturePrior(NamedTuple):
    """Expected scores by features: ``level`` (n_items,), the mean of the users' scores, plus a user's features minus
    ``means`` (p,), times ``coefficients`` (p, n_items). float32 except the means. ``names`` are the features;
    ``nobody`` (n_items,) are a rating model's scores of a user without ratings."""

    names: tuple[str, ...]
    means: Array
    level: Array
    coefficients: Array
    nobody: Array


class FeatureEffects(NamedTuple):
    """The effect of a user's features: ``expected`` scores (n_items,), and ``parts`` (columns, n_items), what each
    column with its value (``columns``) adds to them; float32."""

    expected: Array
    columns: tuple[str, ...]
    parts: Array

    def reasons(self, items: Array) -> list[str]:
        """Return for each of these items the two columns that raise its score most; "" where none does."""
        found = []
        for parts in self.parts[:, items].T:
            first = np.argsort(-parts, kind="stable")[:2]
            found.append(", ".join(f"{self.columns[c]}: {parts[c]:+.2g}" for c in first if parts[c] > 0))
        return found


def sizes(n_items: int) -> Sizes:
    """Return the sizes for :func:`feature_prior` that keep its arrays within 200 MB, and bound its time.

    Sums (features, n_items) take 16 bytes a number, at most ``SUMS``; scores (block, n_items) take 12, at most
    ``SCORED``; there are at most ``SCORES`` scores in all. So up to 50,000 items all ``FEATURES`` are used, and up to
    100,000 all ``USERS``; with a million items 10 features and 300 users. (Beyond 3 million items even one user at a
    time takes more memory.)
    """
    n = max(n_items, 1)
    return Sizes(
        features=min(FEATURES, max(1, SUMS // (16 * n))),
        users=min(USERS, max(100, SCORES // n)),
        block=min(BLOCK, max(1, SCORED // (12 * n))),
    )


def feature_prior(rec: Fitted) -> FeaturePrior:
    """Return the expected scores by features; they are learned at the first call."""
    return rec.remember("feature_prior", lambda: _learned(rec))


def _learned(rec: Fitted) -> FeaturePrior:
    """Learn the prior from users of the training data (see :func:`sizes`); it has no features without a user table."""
    size = sizes(rec.data.n_items)
    known = known_features(rec.data, "user", size.features)
    some = users_spread(rec, size.users)
    found = regression(dense(Features(known.matrix.take(some), known.names)), np.ones(len(some)))
    level = np.zeros(rec.data.n_items)
    sums = np.zeros((len(known.names), rec.data.n_items))
    with one_thread():
        solved = found.rows @ found.inverse
    for first in range(0, len(some), size.block) if known.names else ():
        rows = slice(first, first + size.block)
        scores = rec.model.scores(some[rows]).astype(np.float64)
        level += scores.sum(axis=0)
        with one_thread():
            sums += solved[rows].T @ scores
    level /= max(len(some), 1)
    return FeaturePrior(
        known.names, found.means, level.astype(np.float32), sums.astype(np.float32), scores_of_nobody(rec)
    )


@one_thread()
def describe(rec: Fitted, features: Mapping[str, Any], unknown: Unknown) -> tuple[FeatureEffects | None, str]:
    """Return the effect of these features (None: no effect), and a text about features that could not be used.

    With ``unknown="error"``, ConfigError for a column without features. DataError for a value that cannot be encoded.
    """
    if not isinstance(features, Mapping):
        raise ConfigError(f"features is {features!r}; give columns of the user table, such as {{'age': 31}}")
    prior = feature_prior(rec)
    groups = feature_groups(prior.names)
    if not groups:
        return None, "no features of known users to learn from"
    strange = [name for name in features if name not in groups]
    if strange and unknown == "error":
        raise ConfigError(
            f"users have no feature {strange[0]!r}; their features are: {', '.join(groups)}."
            f"{did_you_mean(strange[0], groups)}"
        )
    given = {name: value for name, value in features.items() if name in groups}
    table = pl.DataFrame([_series(name, value) for name, value in given.items()] or {"": [None]})
    encoded = encode_like(table, prior.names, rec.data.user_table)
    row = encoded.matrix[0]
    columns = [name for name in given if np.isfinite(row[groups[name]]).any()]
    parts = np.zeros((len(columns), rec.data.n_items), dtype=np.float32)
    for part, name in zip(parts, columns, strict=True):
        places = groups[name]
        part += np.nan_to_num(row[places] - prior.means[places]).astype(np.float32) @ prior.coefficients[places]
    notes = [f"no column {', '.join(map(str, strange))}"] if strange else []
    notes += [f"never seen: {', '.join(encoded.unseen[0][:3])}"] if encoded.unseen[0] else []
    if not columns:
        return None, "; ".join(["no known feature", *notes])
    if np.abs(parts).max(initial=0.0) <= 1e-6 * np.abs(prior.level).max(initial=0.0):  # apart from rounding
        return None, "; ".join([f"features change no score of {rec.name}", *notes])
    labels = tuple(f"{name} {_value(given[name])}" for name in columns)
    return FeatureEffects(prior.level + parts.sum(axis=0), labels, parts), "; ".join(notes)


def without_expected(rec: Fitted, history: CSR, shift: Array) -> CSR:
    """Return a history with the expected scores subtracted from its ratings, clipped to the rating scale."""
    values = np.clip(history.values - shift[history.indices], *rec.data.range)
    return history._replace(values=values.astype(np.float32))


def added(rec: Fitted, described: FeatureEffects) -> Array:
    """Return what the features add, float32 (n_items,), to the scores of a folded-in user."""
    if rec.model.task == "rating":
        return np.asarray(described.expected - feature_prior(rec).nobody)
    counts = rec.data.by_user.counts
    return np.asarray(described.expected * np.float32(WORTH / counts[counts > 0].mean()))


def scores_of_nobody(rec: Fitted) -> Array:
    """Return the scores, float32 (n_items,), of a folded-in user without ratings; zeros for rankers."""
    if rec.model.task == "ranking":
        return np.zeros(rec.data.n_items, dtype=np.float32)
    nothing = np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int64)
    state = rec.model.fold_in(CSR(np.zeros(2, np.int64), *nothing, rec.data.n_items))
    return np.asarray(rec.model.scores_from(state)[0])


def _series(name: str, value: Any) -> pl.Series:
    """Return one value as a column; a list, or a text with ``|``, has several members."""
    value = value.item() if isinstance(value, np.generic) else value
    value = list(value) if isinstance(value, (tuple, set, frozenset, np.ndarray)) else value
    try:
        found = pl.Series(name, [value])
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        found = pl.Series(name, [value], dtype=pl.Object)
    if found.dtype == pl.Object:
        raise DataError(f"the feature {name!r} is {value!r}; give text, a number, or a list of texts")
    return found


def _value(value: Any) -> str:
    several = isinstance(value, (list, tuple, set, frozenset, np.ndarray))
    return ", ".join(map(str, value)) if several else str(value).replace("|", ", ")
