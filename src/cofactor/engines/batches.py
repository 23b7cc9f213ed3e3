"""The job of one cluster worker: lists for ratings that arrive user by user, a block of users at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from cofactor.recommend.options import Unknown
from cofactor.recommender import Recommender

USERS_AT_ONCE = 1000
"""Number of users that are folded in together: enough for matrix products, few enough for a worker's memory."""


def lists_of(
    rec: Recommender, frames: Iterable[pl.DataFrame], n: int, unknown: Unknown, options: dict[str, Any]
) -> Iterator[pl.DataFrame]:
    """Yield frames user, rank, item, [title,] score, status for ``frames`` of ratings, in which each user's rows are
    together.

    Every user is folded in. Ratings in the training data count too. With ``unknown="skip"``, users without a rating of
    a known item get no list.
    """
    user = rec.data.columns.user
    for block in whole_users(frames, user, USERS_AT_ONCE):
        known = rec.update(block, unknown=unknown)
        lists = known.recommend_all(n, users=block[user].unique(maintain_order=True), unknown="skip", **options)
        assert lists is not None  # the lists are not written to a file
        yield lists


def whole_users(frames: Iterable[pl.DataFrame], user: str, at_once: int) -> Iterator[pl.DataFrame]:
    """Yield the same rows in blocks of ``at_once`` users or a few more, with no user split between blocks. ``user``:
    the id column."""
    kept: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        if frame.is_empty():
            continue
        kept.append(frame)
        count += frame[user].n_unique()
        if count > at_once:  # the last user may continue in the next frame
            rows = pl.concat(kept)
            runs = rows[user].rle_id()
            first = int((runs == runs[-1]).arg_max() or 0)
            if first:
                yield rows[:first]
            kept, count = [rows[first:]], 1
    if kept:
        yield pl.concat(kept)
