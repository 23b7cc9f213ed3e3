"""Subsets of a table for choosing a model: random rows, or the rows of some users."""

from __future__ import annotations

import numpy as np

from cofactor.data.interactions import Interactions, Split
from cofactor.data.kind import rows_of


def random_rows(data: Interactions, share: float, seed: int, at_most: int = 500_000) -> Split:
    """Hold out a random share of the rows for validation, no more than ``at_most``."""
    n = min(max(1, round(len(data) * share)), at_most)
    mask = np.zeros(len(data), dtype=np.bool_)
    mask[np.random.default_rng([seed, 3]).permutation(len(data))[:n]] = True
    how = f"random: {n:,} of {len(data):,} {rows_of(data.kind)} for validation, seed {seed}"
    return Split(data.take(np.flatnonzero(~mask)), data.take(np.flatnonzero(mask)), how, seed)


def few_users(split: Split, n: int, seed: int) -> Split:
    """Keep the training rows, and the validation rows of at most ``n`` users who have training rows."""
    present = np.unique(split.valid.users)
    present = present[split.train.by_user.counts[present] > 0]
    if len(present) <= n:
        return split
    chosen = np.zeros(split.train.n_users, dtype=np.bool_)
    chosen[np.random.default_rng([seed, 5]).permutation(present)[:n]] = True
    return Split(split.train, split.valid.take(chosen[split.valid.users]), split.how, split.seed)


def some_users(split: Split, share: float, seed: int) -> Split:
    """Keep all rows of a random share of the users."""
    if share >= 1:
        return split
    kept = np.zeros(split.train.n_users, dtype=np.bool_)
    n = max(2, round(share * len(kept)))
    kept[np.random.default_rng([seed, 4]).permutation(len(kept))[:n]] = True
    train, valid = (part.take(kept[part.users]) for part in (split.train, split.valid))
    return Split(train, valid, f"{split.how}, on a sample of {n:,} of {len(kept):,} users", split.seed)
