"""Descriptions of factors: the items at their ends, and the genres that correlate with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import Interactions
from cofactor.model import HasFactors
from cofactor.recommend.groups import USUAL
from cofactor.recommend.ids import item_labels

Array = NDArray[Any]


@dataclass(frozen=True)
class NamedFactor:
    """One axis of the item factors. ``genres`` are (genre, correlation), strongest first."""

    share: float
    low: list[str]
    high: list[str]
    genres: list[tuple[str, float]]


@one_thread()
def name_factors(
    model: HasFactors, data: Interactions, *, n: int = 6, ends: int = 5, least: int = 20
) -> list[NamedFactor]:
    """Return the ``n`` strongest principal axes of the item factors, over the items with at least ``least`` ratings.

    Single factors have no meaning by themselves (any rotation fits as well), so they are rotated to the principal axes
    first. ``share`` is the share of the factors' variance along an axis.
    """
    counts = data.by_item.counts
    items = np.flatnonzero(counts >= min(least, int(np.sort(counts)[-min(50, len(counts))])))
    vectors = model.factors("item")[items].astype(np.float64)
    if len(items) < 3 or vectors.shape[1] == 0:
        return []
    centred = vectors - vectors.mean(axis=0)
    spread, axes = np.linalg.eigh(centred.T @ centred)
    spread, axes = spread[::-1], axes[:, ::-1]
    total = max(float(spread.sum()), 1e-12)
    genres, member = genre_table(data, items)
    found = []
    for a in range(min(n, vectors.shape[1])):
        along = centred @ axes[:, a]
        if abs(along.min()) > along.max():
            along = -along
        order = np.argsort(along, kind="stable")
        correlated = [(g, _correlation(along, member[:, i])) for i, g in enumerate(genres)]
        correlated.sort(key=lambda pair: -abs(pair[1]))
        found.append(
            NamedFactor(
                float(spread[a] / total),
                item_labels(data, items[order[:ends]]),
                item_labels(data, items[order[::-1][:ends]]),
                [(g, round(c, 3)) for g, c in correlated[:3] if abs(c) > 0.1],
            )
        )
    return found


def genre_table(data: Interactions, items: Array) -> tuple[list[str], Array]:
    """Return genre names, and a bool matrix (len(items), genres), from the column of genres (or categories, tags),
    split at ``|``. Both are empty where there is no such column."""
    table = data.item_table
    column = None if table is None else next((name for name in USUAL if name in table.columns), None)
    if table is None or column is None:
        return [], np.zeros((len(items), 0), dtype=bool)
    lists = table[column].gather(items).to_list()
    split = [g.split("|") if isinstance(g, str) else list(g or []) for g in lists]
    names = sorted({g for row in split for g in row if g and not g.startswith("(")})
    at = {g: i for i, g in enumerate(names)}
    member = np.zeros((len(items), len(names)), dtype=bool)
    for r, row in enumerate(split):
        for g in row:
            if g in at:
                member[r, at[g]] = True
    return names, member


@one_thread()
def _correlation(x: Array, y: Array) -> float:
    if y.all() or not y.any() or x.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
