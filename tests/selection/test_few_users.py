"""``auto-ranking`` on tables of few users and known structure: the test part is cut as the choice cuts its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.interactions import Interactions, Split
from cofactor.models.base.windows import comes_next, ranking_windows

DAY, START = 86_400, 1_500_000_000
N_ITEMS = 300
POPULARITY = np.arange(1, N_ITEMS + 1) ** -0.9


def rows_of(chances: Callable[[int, np.random.Generator], Any], n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return a table in which each user takes 5 to 24 different items with their ``chances``."""
    rows = []
    for user in range(n_users):
        chance = chances(user, rng)
        taken = rng.choice(N_ITEMS, rng.integers(5, 25), replace=False, p=chance / chance.sum())
        rows += [(user, item) for item in taken.tolist()]
    return pl.DataFrame(rows, schema=["user", "item"], orient="row")


def popular(n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """Everybody takes what is popular, and nothing else matters."""
    return rows_of(lambda user, rng: POPULARITY, n_users, rng)


def timed(n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """The same at times that say nothing."""
    table = popular(n_users, rng)
    return table.with_columns(time=pl.Series(START + rng.integers(0, 200 * DAY, len(table))))


def groups(n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """Each user takes the items of a group ten times as often as others."""
    group = rng.integers(0, 6, N_ITEMS)
    return rows_of(lambda user, rng: POPULARITY * np.where(group == user % 6, 10, 1), n_users, rng)


def fads(n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """Each item has its weeks, and everybody takes what is on."""
    user = np.repeat(np.arange(n_users), rng.integers(5, 25, n_users))
    day = rng.integers(0, 200, len(user))
    item = np.maximum((day * N_ITEMS / 200 - rng.exponential(9, len(user))).astype(int), 0)
    table = pl.DataFrame({"user": user, "item": item, "time": START + day * DAY + rng.integers(0, DAY, len(user))})
    return table.unique(["user", "item"], keep="first", maintain_order=True)


def sparse(n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """Each user has two or three rows."""
    table = groups(n_users, rng)
    return table.filter(pl.int_range(pl.len()).over("user") < 2 + pl.col("user") % 2)


def steps(n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """Two of five items follow from the item before."""
    follower, rows = rng.permutation(N_ITEMS), []
    for user in range(n_users):
        item, seen = -1, set()
        for day in range(int(rng.integers(5, 25))):
            follows = item >= 0 and rng.random() < 0.4
            item = int(follower[item] if follows else rng.choice(N_ITEMS, p=POPULARITY / POPULARITY.sum()))
            if item not in seen:
                rows.append((user, item, START + 1000 * user + DAY * day))
            seen.add(item)
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


def tastes(n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """Users and items have six factors each."""
    factors = rng.normal(size=(N_ITEMS, 6))
    return rows_of(lambda user, rng: POPULARITY * np.exp(0.8 * factors @ rng.normal(size=6)), n_users, rng)


def reached(split: Split, model: str, config: dict[str, Any]) -> Any:
    """Return NDCG@10 on the held-out rows."""
    rec = cf.fit(split.train, model=model, seed=1, **config)
    relevant = 0 if comes_next(split) else None
    return cf.evaluate(rec, split, ["ndcg@10"], relevant=relevant, draws=0)["value"][0]


def tables(make: Callable[[int, np.random.Generator], pl.DataFrame], n_users: int) -> list[Interactions]:
    """Return three tables of a kind."""
    return [
        cf.read(make(n_users, np.random.default_rng(seed)), user="user", item="item", rating=False) for seed in range(3)
    ]


SINGLES: list[tuple[str, dict[str, Any]]] = [("popular", {}), ("item-cosine", {}), ("ease", {}), ("ials", {})]


@pytest.mark.slow
@pytest.mark.parametrize("make", [popular, timed, groups, fads, sparse, steps, tastes])
def test_few_users_get_what_popularity_gives_and_nearly_what_the_best_ranker_gives(make: Any) -> None:
    chosen, singles = [], []
    for data in tables(make, 250):
        split = ranking_windows(data, 7)[-1]
        chosen.append(reached(split, "auto-ranking", {}))
        recent = [("popular", {"half_life": 7.0}), ("next-item", {})] if data.times is not None else []
        singles.append([reached(split, *one) for one in SINGLES + recent])
    mean, alone = np.mean(chosen), np.mean(singles, axis=0)
    assert mean > 0.98 * alone[0]
    assert mean > 0.95 * alone.max()
