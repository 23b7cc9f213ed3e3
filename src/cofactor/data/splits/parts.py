"""What every way of splitting needs: checks of arguments, and two parts from a mask of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from cofactor.data.ids.id_map import Array
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError, DataError


def check_share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not 0 < value < 1:
        raise ConfigError(f"{name}={value!r}; it is a share of the whole, between 0 and 1 (such as 0.2)")
    return float(value)


def check_seed(seed: Any) -> np.random.Generator:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed={seed!r}; it is a whole number, 0 or more")
    return np.random.default_rng(int(seed))


def check_rows(data: Any, at_least: int) -> int:
    if not isinstance(data, Interactions):
        raise ConfigError(
            f"a split is made of Interactions, not of a {type(data).__name__}; read it first: cofactor.read(...)"
        )
    if len(data) < at_least:
        raise DataError(f"{len(data)} ratings cannot be split; {at_least} or more are needed")
    return len(data)


def masked(data: Interactions, mask: Array, how: str, seed: int | None = None) -> Split:
    """Return the split that holds out the rows of a mask, which was drawn by chance."""
    train = data.take(np.flatnonzero(~mask)).replace(held_out="random")
    return Split(train, data.take(np.flatnonzero(mask)), how, seed)


def rank_in(groups: Array, key: Array) -> Array:
    """Return the rank of each row by ``key`` within its group, from 0."""
    order = np.lexsort((key, groups))
    starts = np.zeros(len(groups), dtype=np.int64)
    sorted_groups = groups[order]
    new = np.flatnonzero(np.diff(sorted_groups)) + 1
    starts[new] = new
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - np.maximum.accumulate(starts)
    return rank
