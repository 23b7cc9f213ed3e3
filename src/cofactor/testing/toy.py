"""Toy data with known answers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions

Array = NDArray[Any]


class Toy(NamedTuple):
    """``train`` and ``test`` share id maps; ``truth`` float64 (n_users, n_items) is what they were drawn from.

    The last user and the last item have no row at all, and user 0 has a single one.
    """

    train: Interactions
    test: Interactions
    truth: Array


@one_thread()
def toy_ratings(
    n_users: int = 80,
    n_items: int = 40,
    *,
    k: int = 2,
    density: float = 0.5,
    noise: float = 0.3,
    low: float = 1.0,
    high: float = 5.0,
    cut: bool = True,
    seed: int = 0,
) -> Toy:
    """Ratings with planted biases and ``k`` planted factors: ``truth`` is the rating without noise, not clipped.

    Ratings are ``truth`` plus normal noise of sd ``noise`` quarters of the scale, cut to ``low`` .. ``high`` (unless
    ``cut=False``); biases and factors each explain about half of the variance of ``truth``. A fifth of the rated pairs
    is the test part.
    """
    rng = np.random.default_rng([seed, 1])
    unit = (high - low) / 8
    biases = unit * (rng.normal(size=(n_users, 1)) + rng.normal(size=n_items))
    tastes = rng.normal(size=(n_users, k)) @ rng.normal(size=(k, n_items))
    truth = (low + high) / 2 + biases + unit * np.sqrt(2 / k) * tastes
    ratings = truth + noise * unit * 2 * rng.normal(size=truth.shape)
    if cut:
        ratings = np.clip(ratings, low, high)
    return _toy(rng.random((n_users, n_items)) < density, ratings, truth, rng, "toy ratings")


def toy_blocks(n_users: int = 80, n_items: int = 48, *, blocks: int = 4, seed: int = 0) -> Toy:
    """Choices (every value is 1) of users who each like one block of the items best: ``truth`` is the chance
    of each.

    User ``u`` likes the items ``i`` with ``i % blocks == u % blocks``. Within a block some items are more popular.
    """
    rng = np.random.default_rng([seed, 2])
    own = np.arange(n_users)[:, None] % blocks == np.arange(n_items) % blocks
    appeal = np.linspace(1.0, 0.3, n_items)
    truth = np.where(own, 0.8, 0.06) * appeal
    return _toy(rng.random(truth.shape) < truth, np.ones_like(truth), truth, rng, "toy blocks")


def _toy(chosen: Array, values: Array, truth: Array, rng: np.random.Generator, name: str) -> Toy:
    """Rows in random order, a fifth of them for the test; user 0, the last user and the last item kept nearly empty."""
    n_users, n_items = truth.shape
    chosen[0] = np.arange(n_items) == 1
    chosen[-1] = False
    chosen[:, -1] = False
    users, items = np.nonzero(chosen)
    order = rng.permutation(len(users))
    users, items = users[order], items[order]
    data = Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        values[users, items].astype(np.float32),
        np.int64(1_000_000_000) + rng.integers(0, 10**7, len(users)),
        IdMap(pl.Series(np.arange(n_users) + 1), "user"),
        IdMap(pl.Series([f"item {i:03d}" for i in range(n_items)]), "item"),
        name=name,
    )
    held_out = (rng.random(len(users)) < 0.2) & (users != 0)
    return Toy(data.take(~held_out), data.take(held_out), truth)
