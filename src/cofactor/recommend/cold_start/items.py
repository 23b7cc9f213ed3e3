"""Score cold-start items by a regression of the known items' scores on their features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_fraction, check_int
from cofactor.data import frames
from cofactor.data.encoding import Encoded, dense, encode_like, feature_groups, known_features
from cofactor.errors import ConfigError, DataError
from cofactor.recommend.cold_start.regression import Regression, regression, residuals_of_new
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.intervals import residual_interval
from cofactor.recommend.options import Unknown, check_policy
from cofactor.recommend.profiles import find_user, new_user, scores_of

Array = NDArray[Any]
MOST = 2000
"""Of more features only the commonest count."""
BY_FEATURES, NOTHING, KNOWN = "new item: from its features", "new item: no known feature", "known item"


class FeatureScores(NamedTuple):
    """What features say: ``scores`` (rows,) and the part of each column in them, (rows, columns); float64."""

    scores: Array
    columns: tuple[str, ...]
    parts: Array


def recommend_new(
    rec: Fitted,
    items: Any,
    user: Any,
    history: Mapping[Any, float] | Iterable[Any] | None,
    n: int,
    unknown: Unknown,
    interval: bool = False,
    level: float = 0.9,
) -> pl.DataFrame:
    """The work of :meth:`Recommender.recommend_new`."""
    check_policy(unknown)
    check_int("n", n)
    check_fraction("level", level)
    if (user is None) == (history is None):
        raise ConfigError("give either a user of the training data, or a history of items, and not both")
    if interval and rec.model.task == "ranking":
        raise ConfigError(f"{rec.name} ranks items; its scores are no ratings and have no interval")
    trained = known_features(rec.data, "item", MOST)
    names = trained.names
    ids, table = new_table(rec, items, names)
    who = new_user(rec, history, unknown) if history is not None else find_user(rec, user, unknown)
    if who is None:
        ids, table = ids.head(0), table.head(0)
    found, encoded = regression(dense(trained), rec.data.by_item.counts), encode_like(table, names, rec.data.item_table)
    scores = np.zeros(rec.data.n_items, dtype=np.float32) if who is None else scores_of(rec, who)
    said = say(found, encoded, names, scores)
    codes = rec.data.item_ids.encode(ids)
    codes = np.where(rec.data.by_item.counts[np.maximum(codes, 0)] > 0, codes, -1) if rec.data.n_items else codes
    final = np.where(codes >= 0, scores[np.maximum(codes, 0)], said.scores)
    order = np.argsort(-final, kind="stable")[:n]
    suffix = "" if who is None or who.code >= 0 else f"; {who.status}"
    shown = rec.on_scale(final[order]).astype(np.float32)
    out = [pl.Series("rank", np.arange(1, len(order) + 1, dtype=np.int32)), ids.gather(order).alias("item")]
    if "title" in table.columns:
        out.append(table["title"].gather(order))
    out.append(pl.Series("score", shown))
    if interval:
        out += _bounds(rec, found, shown, codes[order], level)
    words = [(KNOWN, "scored as ever") if codes[r] >= 0 else _words(said, encoded, table, int(r)) for r in order]
    out.append(pl.Series("reason", [reason for _, reason in words], dtype=pl.String))
    out.append(pl.Series("status", [status + suffix for status, _ in words], dtype=pl.String))
    return pl.DataFrame(out)


def new_table(rec: Fitted, items: Any, names: Sequence[str]) -> tuple[pl.Series, pl.DataFrame]:
    """(ids, table) of the new items, with the columns behind the features ``names``; DataError for what is not a frame
    with ids."""
    key = rec.data.columns.item
    table = frames.select_columns(items, [key], [], ["title", *feature_groups(names)], "the new items")
    if table is None:
        raise DataError(f"give new items as a frame with an id column {key!r} and columns of the table of items")
    if table[key].dtype.is_nested():
        raise DataError(f"the ids of the new items are of type {table[key].dtype}; give text or numbers")
    if table[key].null_count():
        raise DataError(f"row {int(table[key].is_null().arg_max() or 0) + 1} of the new items has no id")
    return table[key], table


def say(found: Regression, encoded: Encoded, names: tuple[str, ...], scores: Array) -> FeatureScores:
    """What the features of new items say for a user with these ``scores`` (n_items,) of the known ones."""
    levels, coefficients = found.learn(scores[None])
    each = found.centred(encoded.matrix) * coefficients[0]
    groups = feature_groups(names)
    parts = np.zeros((len(each), len(groups)))
    for column, places in enumerate(groups.values()):
        parts[:, column] = each[:, places].sum(axis=1)
    return FeatureScores(levels[0] + parts.sum(axis=1), tuple(groups), parts)


def _words(said: FeatureScores, encoded: Encoded, table: pl.DataFrame, row: int) -> tuple[str, str]:
    """(status, reason) of a new item."""
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
    """Columns ``low`` and ``high``: from errors on known items that are taken for new ones; null for known ones."""
    _, *bounds = residual_interval(residuals_of_new(rec, found), shown, level)
    new = pl.Series(codes < 0)
    return [
        pl.select(pl.when(new).then(pl.Series(bound))).to_series().alias(name)
        for name, bound in zip(("low", "high"), bounds, strict=True)
    ]
