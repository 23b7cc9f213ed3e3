"""What one worker of a cluster does: lists for ratings that come user by user, a block of users at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from cofactor.recommend.options import Unknown
from cofactor.recommender import Recommender

USERS_AT_ONCE = 1000
"""How many users are folded in together: enough for matrix products, few enough for the memory of a worker."""


def lists_of(
    rec: Recommender, frames: Iterable[pl.DataFrame], n: int, unknown: Unknown, options: dict[str, Any]
) -> Iterator[pl.DataFrame]:
    """Frames user, rank, item, [title,] score, status for ``frames`` of ratings, each user's rows together.

    Every user is folded in; what the training data hold of a user counts too. A user without a row of a known item gets
    no list with ``unknown="skip"``.
    """
    user = rec.data.columns.user
    for block in whole_users(frames, user, USERS_AT_ONCE):
        known = rec.update(block, unknown=unknown)
        lists = known.recommend_all(n, users=block[user].unique(maintain_order=True), unknown="skip", **options)
        assert lists is not None  # they go to no file
        yield lists


def whole_users(frames: Iterable[pl.DataFrame], user: str, at_once: int) -> Iterator[pl.DataFrame]:
    """The same rows in blocks of ``at_once`` users or a few more, no user torn in two; ``user``: the column of ids."""
    kept: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        if frame.is_empty():
            continue
        kept.append(frame)
        count += frame[user].n_unique()
        if count > at_once:  # the last user may go on in the next frame
            rows = pl.concat(kept)
            runs = rows[user].rle_id()
            first = int((runs == runs[-1]).arg_max() or 0)
            if first:
                yield rows[:first]
            kept, count = [rows[first:]], 1
    if kept:
        yield pl.concat(kept)
