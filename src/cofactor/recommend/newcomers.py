"""Items that came after training: scored by the known items that have the most alike features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._checks import whole
from cofactor.data.features import features
from cofactor.errors import ConfigError, DataError
from cofactor.recommend.options import Unknown, check_policy
from cofactor.recommend.people import find_user, new_user, scores_of

if TYPE_CHECKING:
    from cofactor.recommend.recommender import Recommender

Array = NDArray[Any]
NEAREST = 30
"""How many of the most alike known items speak for a new one."""
ALIKE, NOTHING = "new item: from its features", "new item: it shares no feature with a known one"


def recommend_new(
    rec: Recommender,
    items: Any,
    user: Any,
    history: Mapping[Any, float] | Iterable[Any] | None,
    n: int,
    unknown: Unknown,
) -> pl.DataFrame:
    """The work of :meth:`Recommender.recommend_new`."""
    check_policy(unknown)
    whole("n", n)
    if (user is None) == (history is None):
        raise ConfigError("give either a user of the training data, or a history of items, and not both")
    ids, table, columns = new_table(rec, items)
    who = new_user(rec, history, unknown) if history is not None else find_user(rec, user, unknown)
    if who is None:
        ids, table, n = ids.head(0), table.head(0), 0
    near, weights = most_alike(rec, table, columns)
    scores = np.zeros(0, dtype=np.float32) if who is None else scores_of(rec, who)
    found = mean_scores(scores, near, weights)
    order = np.argsort(np.where(np.isnan(found), np.inf, -found), kind="stable")[:n]
    labels = [rec.items.labels(near[row][weights[row] > 0][:2]) for row in order]
    status = [
        f"{ALIKE if said else NOTHING}{'' if who is None or who.code >= 0 else '; ' + who.status}" for said in labels
    ]
    out = [pl.Series("rank", np.arange(1, len(order) + 1, dtype=np.int32)), ids.gather(order).alias("item")]
    if "title" in table.columns:
        out.append(table["title"].gather(order))
    return pl.DataFrame(
        [
            *out,
            pl.Series("score", found[order].astype(np.float32), nan_to_null=True),
            pl.Series(
                "reason",
                [f"like {' and '.join(two)}" if two else "nothing to go by" for two in labels],
                dtype=pl.String,
            ),
            pl.Series("status", status, dtype=pl.String),
        ]
    )


def new_table(rec: Recommender, items: Any) -> tuple[pl.Series, pl.DataFrame, list[str]]:
    """(ids, table, names of the columns to compare by); ConfigError or DataError where there is nothing to compare."""
    import narwhals as nw

    known, key = rec.data.item_table, rec.data.columns.item
    if known is None:
        raise ConfigError(
            "new items are scored by their features, and there is no table of items; give read(..., items=)"
        )
    frame = nw.from_native(items, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise DataError(f"give new items as a frame with an id column {key!r} and columns of the table of items")
    table = frame.to_polars()
    if key not in table.columns:
        raise DataError(f"the new items have no column {key!r}; there are: {', '.join(table.columns)}")
    shared = [c for c in table.columns if c in known.columns and c not in (key, "title")]
    columns = [c for c in shared if known[c].dtype.is_nested() or known[c].n_unique() < len(known)]  # others are ids
    if not columns:
        raise DataError(f"the new items have no column to compare by; the known ones have: {', '.join(known.columns)}")
    return table[key], table, columns


def most_alike(rec: Recommender, table: pl.DataFrame, columns: list[str]) -> tuple[Array, Array]:
    """(codes, weights), both (rows, up to NEAREST): the rated items with the nearest features, by their cosine.

    Rare features weigh more: each by the logarithm of how many items there are for one that has it.
    """
    known = rec.data.item_table
    assert known is not None
    rated = np.flatnonzero(rec.data.by_item.counts > 0)
    try:
        both = pl.concat([known.select(columns)[rated], table.select(columns)], how="vertical_relaxed")
    except pl.exceptions.PolarsError as exc:
        raise DataError(f"the columns of the new items are of other types than the known ones ({exc})") from None
    matrix = features(both).matrix
    dense = np.zeros((len(both), max(matrix.n_cols, 1)), dtype=np.float32)
    dense[np.repeat(np.arange(len(both)), matrix.counts), matrix.indices] = matrix.values
    dense *= np.log(len(both) / np.maximum((dense != 0).sum(axis=0), 1)) + 0.1
    dense /= np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12)
    similarity = dense[len(rated) :] @ dense[: len(rated)].T
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST]
    return rated[order].astype(np.int32), np.maximum(np.take_along_axis(similarity, order, axis=1), 0)


def mean_scores(scores: Array, near: Array, weights: Array) -> Array:
    """float64 (rows,): weighted means of a user's scores; NaN without any weight."""
    total = weights.sum(axis=1)
    summed = (weights * scores[near]).sum(axis=1) if near.size else np.zeros(len(near))
    return np.where(total > 0, summed / np.where(total > 0, total, 1), np.nan)
