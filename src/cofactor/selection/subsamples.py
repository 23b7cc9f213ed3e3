"""Parts of a table: held-out rows to choose a model by, and small tables to forecast its cost from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.ids import IdMap
from cofactor.data.interactions import Features, Interactions, Split
from cofactor.errors import DataError

Array = NDArray[Any]


def held_out(data: Interactions, share: float, seed: int, at_most: int = 500_000) -> Split:
    """A random share of the rows for validation, no more than ``at_most``."""
    if len(data) < 10:
        raise DataError(f"{len(data)} ratings are too few to choose a model by; name one, such as model='bias'")
    n = min(max(1, round(len(data) * share)), at_most)
    mask = np.zeros(len(data), dtype=np.bool_)
    mask[np.random.default_rng([seed, 3]).permutation(len(data))[:n]] = True
    return Split(
        data.take(np.flatnonzero(~mask)), data.take(np.flatnonzero(mask)), f"inner validation, {n:,} rows", seed
    )


def few_users(split: Split, n: int, seed: int) -> Split:
    """The same training rows; the validation rows of ``n`` users at most."""
    present = np.unique(split.valid.users)
    if len(present) <= n:
        return split
    chosen = np.random.default_rng([seed, 5]).permutation(present)[:n]
    return Split(split.train, split.valid.take(np.isin(split.valid.users, chosen)), split.how, split.seed)


def smaller(split: Split, share: float, seed: int) -> Split | None:
    """A share of the users and of the items, with ids of their own; None where hardly a row would be left."""
    rng = np.random.default_rng([seed, 4])
    train = split.train
    users = np.sort(rng.permutation(train.n_users)[: max(2, int(train.n_users * share))])
    items = np.sort(rng.permutation(train.n_items)[: max(2, int(train.n_items * share))])
    parts = [_restricted(part, users, items) for part in (train, split.valid)]
    if len(parts[0]) < 50 or len(parts[1]) < 5 or parts[0].range[0] == parts[0].range[1] != train.range[1]:
        return None
    return Split(parts[0], parts[1], split.how, split.seed)


def _restricted(data: Interactions, users: Array, items: Array) -> Interactions:
    new_user = np.full(data.n_users, -1, dtype=np.int32)
    new_user[users] = np.arange(len(users))
    new_item = np.full(data.n_items, -1, dtype=np.int32)
    new_item[items] = np.arange(len(items))
    kept = data.take(np.flatnonzero((new_user[data.users] >= 0) & (new_item[data.items] >= 0)))
    return replace(
        kept,
        users=new_user[kept.users],
        items=new_item[kept.items],
        user_ids=IdMap(data.user_ids.values.gather(users), "user"),
        item_ids=IdMap(data.item_ids.values.gather(items), "item"),
        user_table=None if data.user_table is None else data.user_table[users],
        item_table=None if data.item_table is None else data.item_table[items],
        user_features=_rows(data.user_features, users),
        item_features=_rows(data.item_features, items),
    )


def _rows(features: Features | None, which: Array) -> Features | None:
    return None if features is None else Features(features.matrix.take(which), features.names)
