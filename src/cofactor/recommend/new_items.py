"""Score cold-start items by a regression of the known items' scores on their features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_bool, check_fraction, check_int, check_iterable
from cofactor.data.features.encoding import Encoded, dense, encode_like, feature_groups, known_features
from cofactor.data.formats import frames
from cofactor.errors import ConfigError, DataError
from cofactor.recommend.cold_start.regression import Regression, regression, residuals_of_new
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.histories import naming, read_histories
from cofactor.recommend.intervals import residual_interval
from cofactor.recommend.options import Unknown, check_policy
from cofactor.recommend.profiles import UserProfile, find_user, new_user, scores_of

Array = NDArray[Any]
MOST = 2000
"""Most features of a regression: the most frequent ones."""
BY_FEATURES, NOTHING, KNOWN = "new item: from its features", "new item: no known feature", "known item"


class FeatureScores(NamedTuple):
    """Scores from features: ``scores`` (rows,), and ``parts`` (rows, columns), the part of each column; float64."""

    scores: Array
    columns: tuple[str, ...]
    parts: Array


class NewItems(NamedTuple):
    """Options of lists of new items."""

    n: int = 10
    unknown: Unknown = "error"
    interval: bool = False
    level: float = 0.9


def recommend_new(
    rec: Fitted,
    items: Any,
    user: Any,
    history: Any,
    users: Any,
    histories: Any,
    given: tuple[int, Unknown, bool, float],
) -> pl.DataFrame:
    """Implement :meth:`Recommender.recommend_new`; ``given`` are the fields of ``NewItems``."""
    options = NewItems(*given)
    if users is not None or histories is not None:
        if user is not None or history is not None or (users is not None and histories is not None):
            raise ConfigError("give only one of user, history, users=[...] and histories=[...]")
        return _several(rec, prepare(rec, items, options), users, histories, options)
    if (user is None) == (history is None):
        raise ConfigError("give either a user of the training data or a history of items, not both")
    table = prepare(rec, items, options)
    known = history is None
    who = find_user(rec, user, options.unknown) if known else new_user(rec, history, options.unknown)
    return _listed(rec, table, who, options)


def _several(rec: Fitted, table: NewTable, users: Any, histories: Any, options: NewItems) -> pl.DataFrame:
    """Return the lists of several users or histories in one frame, with ``user`` as its first column."""
    people: Iterable[UserProfile | None]
    if users is not None:
        asked = list(check_iterable("users", users, "[196, 186]"))
        rec.data.user_ids.encode(asked)  # DataError for ids of several types
        labels = pl.Series(asked, dtype=None if asked else rec.data.user_ids.dtype)
        people = (find_user(rec, user, options.unknown) for user in asked)
    else:
        labels, several = read_histories(rec, histories)
        people = (_named(rec, label, one, options) for label, one in zip(labels.to_list(), several, strict=True))
    frames = [_listed(rec, table, None, options).insert_column(0, labels.head(0).alias("user"))]
    for at, who in enumerate(people):
        found = _listed(rec, table, who, options)
        frames.append(found.insert_column(0, labels[at : at + 1].new_from_index(0, len(found)).alias("user")))
    return pl.concat(frames, how="vertical_relaxed")


def _named(rec: Fitted, label: Any, history: Any, options: NewItems) -> UserProfile:
    with naming(label):
        return new_user(rec, history, options.unknown)


class NewTable(NamedTuple):
    """New items prepared for any user. ``codes`` are -1 for new items, else the codes of items with training ratings;
    ``found`` and ``encoded`` are the regression and the features of the items."""

    ids: pl.Series
    table: pl.DataFrame
    codes: Array
    names: tuple[str, ...]
    found: Regression
    encoded: Encoded


def prepare(rec: Fitted, items: Any, options: NewItems) -> NewTable:
    """Return the part of the work that does not depend on the user. ConfigError for options that make no sense,
    DataError where ``items`` is not a table."""
    check_policy(options.unknown)
    check_int("n", options.n)
    check_fraction("level", options.level)
    if check_bool("interval", options.interval) and rec.model.task == "ranking":
        raise ConfigError(f"{rec.name} ranks items; its scores are not ratings and have no interval")
    trained = known_features(rec.data, "item", MOST)
    names = trained.names
    ids, table = new_table(rec, items, names)
    codes = rec.data.item_ids.encode(ids)
    codes = np.where(rec.data.item_counts[np.maximum(codes, 0)] > 0, codes, -1) if rec.data.n_items else codes
    found = regression(dense(trained), rec.data.item_counts)
    return NewTable(ids, table, codes, names, found, encode_like(table, names, rec.data.item_table))


def _listed(rec: Fitted, new: NewTable, who: UserProfile | None, options: NewItems) -> pl.DataFrame:
    """Return the list of one user; without a user, an empty frame."""
    if who is None:
        order, final = np.empty(0, dtype=np.int64), np.empty(0)
        scores = np.zeros(rec.data.n_items, dtype=np.float32)
        said = say(new.found, new.encoded, new.names, scores)
    else:
        scores = scores_of(rec, who)
        said = say(new.found, new.encoded, new.names, scores)
        final = np.where(new.codes >= 0, scores[np.maximum(new.codes, 0)], said.scores)
        order = np.argsort(-final, kind="stable")[: options.n]
    suffix = "" if who is None or who.code >= 0 else f"; {who.status}"
    shown = rec.on_scale(final[order]).astype(np.float32)
    out = [pl.Series("rank", np.arange(1, len(order) + 1, dtype=np.int32)), new.ids.gather(order).alias("item")]
    if "title" in new.table.columns:
        out.append(new.table["title"].gather(order))
    out.append(pl.Series("score", shown))
    if options.interval:
        out += _bounds(rec, new.found, shown, new.codes[order], options.level)
    words = [
        (KNOWN, "scored by the model") if new.codes[r] >= 0 else _words(said, new.encoded, new.table, int(r))
        for r in order
    ]
    out.append(pl.Series("reason", [reason for _, reason in words], dtype=pl.String))
    out.append(pl.Series("status", [status + suffix for status, _ in words], dtype=pl.String))
    return pl.DataFrame(out)


def new_table(rec: Fitted, items: Any, names: Sequence[str]) -> tuple[pl.Series, pl.DataFrame]:
    """Return (ids, table) of the new items, with the columns of the features ``names``; DataError where ``items`` is
    not a frame with ids."""
    key = rec.data.columns.item
    table = frames.select_columns(items, [key], [], ["title", *feature_groups(names)], "the new items")
    if table is None:
        raise DataError(f"give new items as a frame with an id column {key!r} and columns of the item table")
    if table[key].dtype.is_nested():
        raise DataError(f"the ids of the new items are of type {table[key].dtype}; give text or numbers")
    if table[key].null_count():
        raise DataError(f"row {int(table[key].is_null().arg_max() or 0) + 1} of the new items has no id")
    return table[key], table


def say(found: Regression, encoded: Encoded, names: tuple[str, ...], scores: Array) -> FeatureScores:
    """Return the scores of new items by their features, for a user with these ``scores`` (n_items,) of known items."""
    levels, coefficients = found.learn(scores[None])
    each = found.centred(encoded.matrix) * coefficients[0]
    groups = feature_groups(names)
    parts = np.zeros((len(each), len(groups)))
    for column, places in enumerate(groups.values()):
        parts[:, column] = each[:, places].sum(axis=1)
    return FeatureScores(levels[0] + parts.sum(axis=1), tuple(groups), parts)


def _words(said: FeatureScores, encoded: Encoded, table: pl.DataFrame, row: int) -> tuple[str, str]:
    """Return (status, reason) of a new item."""
    silent = [c for c, part in zip(said.columns, said.parts[row], strict=True) if part == 0.0]
    told = [(c, part) for c, part in zip(said.columns, said.parts[row], strict=True) if part != 0.0]
    missing = [c for c in encoded.absent if c in silent]
    notes = [] if said.columns else ["no features of known items to learn from"]
    notes += [f"no column {', '.join(missing)}"] if missing else []
    notes += [f"never seen: {', '.join(encoded.unseen[row][:3])}"] if encoded.unseen[row] else []
    status = "; ".join([BY_FEATURES if told else NOTHING, *notes])
    if not told:
        return status, "the mean over known items"
    told.sort(key=lambda each: -abs(each[1]))
    return status, ", ".join(f"{c} {_value(table[c][row])}: {part:+.2g}" for c, part in told[:2])


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, pl.Series)) else str(value).replace("|", ", ")


def _bounds(rec: Fitted, found: Regression, shown: Array, codes: Array, level: float) -> list[pl.Series]:
    """Return the columns ``low`` and ``high``, from errors on known items treated as new; null for known items."""
    _, *bounds = residual_interval(residuals_of_new(rec, found), shown, level)
    new = pl.Series(codes < 0)
    return [
        pl.select(pl.when(new).then(pl.Series(bound))).to_series().alias(name)
        for name, bound in zip(("low", "high"), bounds, strict=True)
    ]
