"""Lists for all users: in memory, or into a Parquet file, part by part, so that a killed run can be resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._progress import progress
from cofactor._validate import check_iterable
from cofactor.errors import ConfigError
from cofactor.recommend.ann.search import best_for_many, serves
from cofactor.recommend.batch.job_key import job_key
from cofactor.recommend.batch.list_files import TEXTS, check_lists, write_table
from cofactor.recommend.batch.parquet_parts import ParquetParts
from cofactor.recommend.fitted import Fitted, unrated
from cofactor.recommend.options import ListOptions, Unknown, needs_each_user
from cofactor.recommend.profiles import KNOWN, NO_RATINGS, UPDATED, known_user, scores_of_many
from cofactor.recommend.recommend import Rules, best_for, rules_of
from cofactor.recommend.topn import blocks, mask_items, mask_rows, top_n

Array = NDArray[Any]
PART_ROWS = 200_000
"""Approximate number of rows in a part of a file."""
AT_ONCE = 1024
"""Number of items that a user counts for in the size of a block when lists come from an index; it gives blocks of some
thousand users."""


def recommend_all(
    rec: Fitted, options: ListOptions, users: Iterable[Any] | None, out: str | Path | None
) -> pl.DataFrame | None:
    """Implement :meth:`Recommender.recommend_all`. CSV and TSV, by the name of ``out``, are written at the end."""
    if out is not None:
        check_lists(out)
    rules = rules_of(rec, options)
    every = np.arange(rec.data.n_users + len(rec.updates.new_ids), dtype=np.int64)
    if users is not None:
        every = chosen(rec, users, options["unknown"])
    step = max(1, PART_ROWS // longest(rec, rules))
    shares = [every[first : first + step] for first in range(0, len(every), step)] or [every]
    none = _frame(rec, every[:0], *_nothing(), interval=options["interval"] is not None)
    with progress("lists for all users", len(every)) as tick:
        if out is None or Path(out).suffix.lower() in TEXTS:
            frames = [frame for share in shares for frame in lists(rec, share, rules, tick)]
            found = pl.concat([none, *frames])
            if out is None:
                return found
            write_table(found, out)
            return None

        with ParquetParts(out, job_key(rec, rules, step, every), len(shares)) as file:
            for at, share in enumerate(shares):
                if file.has(at):
                    tick("", len(share))
                else:
                    file.write(at, pl.concat([none, *lists(rec, share, rules, tick)]))
        return None


def chosen(rec: Fitted, users: Iterable[Any], unknown: Unknown) -> Array:
    """Return the codes, int64, of these users, each once, in the order given. An unknown user raises UnknownIdError, or
    is left out with ``unknown="skip"``."""
    if unknown == "popular":
        raise ConfigError(
            "unknown='popular' does not apply to users=; give 'error', or 'skip' to leave unknown users out"
        )
    given = check_iterable("users", users, "[196, 186]")
    given = given if isinstance(given, (pl.Series, np.ndarray)) else list(given)
    codes = rec.users.codes(given)
    if unknown == "error":
        for at in np.flatnonzero(codes < 0)[:1]:
            rec.data.user_ids.index(given[int(at)])
    found = codes[codes >= 0]
    return found[np.sort(np.unique(found, return_index=True)[1])]


def longest(rec: Fitted, rules: Rules) -> int:
    """Return the largest length of a list: ``n``, or fewer where fewer items are allowed; at least 1."""
    most = rec.data.n_items if rules.keep is None else int(rules.keep.sum())
    return max(1, min(rules.options["n"], most))


def lists(rec: Fitted, users: Array, rules: Rules, tick: Any) -> Iterator[pl.DataFrame]:
    """Yield frames with columns user, rank, item, [title,] score, status, one for each block of users."""
    options = rules.options
    slow = needs_each_user(options)
    by_index = serves(rec, options)
    for block in blocks(len(users), AT_ONCE if by_index else rec.data.n_items):
        codes = users[block]
        if by_index:
            yield _frame(rec, codes, *best_for_many(rec, codes, rules.keep, options))
            tick("", len(codes))
            continue
        scores = scores_of_many(rec, codes, rules.keep)
        if slow:
            yield _frame(rec, codes, *_one_by_one(rec, codes, scores, rules), interval=options["interval"] is not None)
        else:
            if not options["seen"]:
                mask_rows(scores, rec.seen_by(codes))
            mask_items(scores, rules.keep)
            yield _frame(rec, codes, *top_n(scores, longest(rec, rules)))
        tick("", len(codes))


def _one_by_one(rec: Fitted, users: Array, scores: Array, rules: Rules) -> tuple[Array, Array, Array]:
    codes = np.full((len(users), rules.options["n"]), -1, dtype=np.int32)
    best = np.full(codes.shape, -np.inf, dtype=np.float32)
    bounds = np.full((2, *codes.shape), np.nan, dtype=np.float32)
    for row, user in enumerate(users.tolist()):
        found, values, interval = best_for(rec, known_user(rec, user), scores[row], rules)
        codes[row, : len(found)], best[row, : len(found)] = found, values
        if interval is not None:
            bounds[0, row, : len(found)], bounds[1, row, : len(found)] = interval.low, interval.high
    return codes, best, bounds


def _nothing() -> tuple[Array, Array, Array]:
    return np.empty((0, 1), np.int32), np.empty((0, 1), np.float32), np.empty((2, 0, 1), np.float32)


_STATUSES = (KNOWN, NO_RATINGS, UPDATED)


def _frame(
    rec: Fitted, users: Array, codes: Array, best: Array, bounds: Array | None = None, *, interval: bool = False
) -> pl.DataFrame:
    width = codes.shape[1]
    kept = (codes >= 0).ravel()
    who = np.repeat(users, width)[kept]
    found = codes.ravel()[kept]
    how = np.repeat(_how_known(rec, users), width)[kept] + 3 * (rec.data.item_counts[found] == 0)
    status = pl.Series("status", [*_STATUSES, *map(unrated, _STATUSES)])
    return pl.DataFrame(
        [
            rec.users.column(who).alias("user"),
            pl.Series("rank", np.tile(np.arange(1, width + 1, dtype=np.int32), len(codes))[kept]),
            *rec.item_columns(found),
            pl.Series("score", rec.on_scale(best.ravel()[kept])),
            *_bounds(bounds if interval else None, kept),
            status.gather(how),
        ]
    )


def _bounds(bounds: Array | None, kept: Array) -> list[pl.Series]:
    """Return the bounds (2, users, n) as columns ``low`` and ``high``."""
    if bounds is None:
        return []
    return [pl.Series(name, side.ravel()[kept]) for name, side in zip(("low", "high"), bounds, strict=True)]


def _how_known(rec: Fitted, users: Array) -> Array:
    """Return the index, int64, of each user's status in ``_STATUSES``."""
    trained = users < rec.data.n_users
    counts = rec.data.by_user.counts[np.where(trained, users, 0)]
    return np.where(rec.updates.among(users), 2, np.where(trained & (counts > 0), 0, 1)).astype(np.int64)
