"""Dislikes: rows that say no, as zeros that count in ials and as nothing in rankers that know no such thing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import ConfigError, DataError
from cofactor.models.base.strength import strength_of, strengths
from cofactor.models.ials import basis, improve, ridges, turn_rows
from toys import noise

RANKERS = ("popular", "item-cosine", "ease", "slim", "graph-filter", "ials", "bpr", "next-item", "blend")


def signed_rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = noise().by_user
    values = rng.uniform(0.1, 1, len(rows.values)) * np.where(rng.random(len(rows.values)) < 0.3, -1, 1)
    return rows._replace(values=values.astype(np.float32))


@pytest.mark.parametrize("how", [{"width": 16}, {"width": 32}, {"steps": 40}])
def test_a_row_of_ials_has_zeros_for_targets_of_dislikes(how):
    rng, rows = np.random.default_rng(0), signed_rows()
    y = rng.normal(0, 0.3, (40, 16 if "steps" in how else 32)).astype(np.float32)
    k = y.shape[1]
    x = np.zeros((60, k), dtype=np.float32)
    ridge = ridges(rows.counts, float(rows.counts.mean()), 0.7, 0.5)
    product = y.T @ y
    if "steps" in how:
        turn, product = basis(product, k)
        turn_rows(y, turn)
    for _ in range(40 if how == {"width": 16} else 1):  # blocks: until nothing moves
        losses = improve(rows, 2.0, y, product, ridge, x, **how)
    for r in range(60):
        items, w = rows.row(r)
        mine, size, goal = y[items].astype(float), 2.0 * np.abs(w.astype(float)), (w > 0).astype(float)
        matrix = y.T @ y + ridge[r] * np.eye(k) + (mine.T * size) @ mine
        wanted = np.linalg.solve(matrix, mine.T @ (size * goal))
        np.testing.assert_allclose(x[r], wanted, atol=2e-3)
        fit = y @ wanted
        left = (size * (goal - fit[items]) ** 2).sum() + (fit**2).sum() + ridge[r] * (wanted**2).sum()
        assert losses[r] == pytest.approx(left, rel=1e-2)


def events(dislikes: bool = True) -> pl.DataFrame:
    """Two groups of items; everybody likes those of one, and says no to one item that all others like."""
    rng = np.random.default_rng(1)
    rows = []
    for user in range(80):
        group = 15 * (user % 2)
        for item in rng.choice(15, 8, replace=False):
            rows.append((user, int(item) + group, "like", len(rows)))
        rows += [(user, 30, "like", len(rows))] if user >= 20 else []
        rows += [(user, 30, "no", len(rows))] if dislikes and user < 20 else []
    return pl.DataFrame(rows, schema=["user", "item", "what", "time"], orient="row")


def read(dislikes: bool = True) -> cf.data.interactions.Interactions:
    weights = {"like": 1.0, "no": -1.0} if dislikes else {"like": 1.0}
    return cf.read(events(dislikes), behaviour="what", weights=weights, time="time")


def test_weights_below_0_are_kept_as_dislikes():
    data = read()
    assert data.kind == "events"
    assert (data.values == -1).sum() == 20
    assert np.array_equal(strengths(data.values, strength_of(data), 0.0), data.values)
    with pytest.raises(ConfigError, match="weight of 'no'"):
        cf.read(events(), behaviour="what", weights={"no": float("nan")})


def test_likes_and_dislikes_of_one_pair_add_up():
    frame = pl.DataFrame({"user": [1, 1, 1, 2, 2], "item": [1, 1, 2, 1, 3], "what": ["a", "b", "a", "b", "a"]})
    data = cf.read(frame, behaviour="what", weights={"a": 1.0, "b": -1.0})
    assert sorted(zip(data.users.tolist(), data.items.tolist(), data.values.tolist(), strict=True)) == [
        (0, 1, 1.0),
        (1, 0, -1.0),
        (1, 2, 1.0),
    ]
    assert any("sum to 0" in note for note in data.notes)


@pytest.mark.parametrize("name", RANKERS)
def test_a_dislike_is_not_a_like(name):
    """Who says no to an item finds it no better than where there is no row; and it is not listed again."""
    config = {"models": ("ials", "ease"), "weights": (0.5, 0.5)} if name == "blend" else {}
    said = cf.fit(read(), model=name, seed=0, **config)
    silent = cf.fit(read(dislikes=False), model=name, seed=0, **config)
    users = np.arange(20)
    scores, before = said.model.scores(users), silent.model.scores(users)
    assert (np.argsort(-scores, axis=1) == 30).argmax(axis=1).mean() >= (np.argsort(-before, axis=1) == 30).argmax(
        axis=1
    ).mean() - 0.5
    assert 30 not in said.recommend(0, n=40)["item"].to_list()


def test_ials_learns_from_dislikes():
    """Two that like the same; one said no to an item: its score falls below what silence gives it."""
    said, silent = (cf.fit(read(d), model="ials", seed=0, n_factors=16) for d in (True, False))
    gap = said.model.scores(np.arange(20))[:, 30] - silent.model.scores(np.arange(20))[:, 30]
    assert gap.mean() < -0.05


def test_low_ratings_as_dislikes():
    data = noise()
    data = data.replace(values=np.tile([1.0, 5.0], len(data))[: len(data)].astype(np.float32), kind="ratings")
    assert set(strengths(data.values, strength_of(data), -1.0).tolist()) == {-1.0, 1.0}
    cf.fit(data, model="ials", seed=0, min_rating_weight=-1.0)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        cf.fit(data, model="ease", min_rating_weight=-1.0)


def test_a_list_is_not_measured_by_dislikes():
    data = read()
    split = cf.split.given(data, read().take(read().values < 0))
    rec = cf.fit(split.train, model="popular")
    with pytest.raises(DataError, match="no list can be measured"):
        cf.evaluate(rec, split.valid, "ndcg", exclude=None)
