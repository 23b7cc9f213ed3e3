"""Recommendations for all users at once, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from cofactor.errors import ConfigError
from cofactor.recommend.topn import blocks, mask_rows, top_n

if TYPE_CHECKING:
    from cofactor.recommend.recommender import Recommender


def recommend_all(rec: Recommender, n: int, *, out: str | Path | None, seen: bool) -> pl.DataFrame | None:
    """The work of :meth:`Recommender.recommend_all`."""
    if n < 1:
        raise ConfigError(f"n is {n}; it must be at least 1")
    users = np.arange(rec.data.n_users, dtype=np.int32)
    parts = []
    for block in blocks(len(users), rec.data.n_items):
        scores = np.array(rec.model.scores(users[block]), dtype=np.float32)
        if not seen:
            mask_rows(scores, rec.seen_by(users[block]))
        codes, best = top_n(scores, n)
        kept = codes >= 0
        width = codes.shape[1]
        parts.append(
            pl.DataFrame(
                [
                    rec.data.user_ids.decode(np.repeat(users[block], width)[kept.ravel()]).alias("user"),
                    pl.Series("rank", np.tile(np.arange(1, width + 1, dtype=np.int32), len(codes))[kept.ravel()]),
                    *rec.item_columns(codes[kept]),
                    pl.Series("score", best[kept]),
                ]
            )
        )
    frame = pl.concat(parts)
    if out is None:
        return frame
    frame.write_parquet(out)
    return None
