"""What must not matter to a model does not: unit and origin of ratings, order of rows, type of ids; no NaN."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import sparse

import cofactor as cf
from cofactor.errors import DataError
from cofactor.models.base import strength

RNG = np.random.default_rng(3)
USERS, ITEMS = np.divmod(RNG.permutation(60 * 40)[:1_500], 40)
TASTE = np.sign(RNG.standard_normal(60))[USERS] * np.sign(RNG.standard_normal(40))[ITEMS]
VALUES = np.clip(
    np.round(3.2 + 0.4 * RNG.standard_normal(60)[USERS] + 1.1 * TASTE + 0.4 * RNG.standard_normal(1_500)), 1, 5
)
CONFIG = {"als": {"n_factors": 4}, "svd++": {"n_factors": 4, "epochs": 20}, "dot-bias": {"n_factors": 8}}


def table(unit: float = 1.0, origin: float = 0.0) -> pl.DataFrame:
    return pl.DataFrame({"user": USERS, "item": ITEMS, "rating": VALUES * unit + origin})


def predicted(model: str, frame: pl.DataFrame, **options: object) -> np.ndarray:
    data = cf.read(frame, kind="ratings", **options)  # type: ignore[arg-type]
    rec = cf.fit(data, model=model, seed=0, calibrate=False, **CONFIG.get(model, {}))
    codes = data.user_ids.encode(np.arange(60)), data.item_ids.encode(np.arange(60) % 40)
    return rec.model.predict(*codes).astype(np.float64)


@pytest.mark.parametrize("model", ["bias", "als", "svd++", "item-knn", "dot-bias"])
def test_the_unit_of_the_ratings_does_not_matter(model: str) -> None:
    plain = predicted(model, table())
    for unit in (1e-6, 1e7):
        np.testing.assert_allclose(predicted(model, table(unit)) / unit, plain, atol=0.05)
    np.testing.assert_allclose(predicted(model, table(origin=100.0)) - 100.0, plain, atol=0.05)


@pytest.mark.parametrize("model", ["bias", "als", "ials", "popular"])
def test_the_order_of_rows_and_the_type_of_ids_do_not_matter(model: str) -> None:
    plain = predicted(model, table())
    shuffled = table()[RNG.permutation(1_500)]
    np.testing.assert_allclose(predicted(model, shuffled), plain, atol=1e-4)
    text = cf.read(table().with_columns(pl.col("user", "item").cast(pl.String)), kind="ratings")
    rec = cf.fit(text, model=model, seed=0, calibrate=False, **CONFIG.get(model, {}))
    codes = text.user_ids.encode([str(u) for u in range(60)]), text.item_ids.encode([str(i % 40) for i in range(60)])
    np.testing.assert_allclose(rec.model.predict(*codes), plain, atol=0.05)


def test_nothing_is_learned_from_numbers_that_no_model_can_hold() -> None:
    for model in ("bias", "als", "svd++", "dot-bias", "item-knn", "ials"):
        with pytest.raises(DataError, match=r"values reach .*; divide the column by a power of ten"):
            cf.fit(cf.read(table(1e30), kind="ratings"), model=model)


def test_counts_are_no_ratings_but_make_rankers_no_worse() -> None:
    counted = table().with_columns(plays=pl.Series(np.ceil(RNG.lognormal(4, 1.5, 1_500)))).drop("rating")
    data = cf.read(counted)
    assert data.kind == "counts"
    with pytest.raises(DataError, match=r"column 'plays' are counts.*use a ranker.*kind='ratings'"):
        cf.fit(data, model="als")
    split = cf.split.random(data, seed=1)
    without = cf.read(counted, rating=False)
    other = cf.split.random(without, seed=1)
    for model in ("ials", "item-cosine", "ease"):
        figures = [
            cf.evaluate(cf.fit(part.train, model=model, seed=0), part.valid, metrics=["ndcg"]).to_dicts()[0]["value"]
            for part in (split, other)
        ]
        assert figures[0] >= figures[1] - 0.01, model


def test_counts_that_say_something_lower_the_floor() -> None:
    from cofactor.models.base.strength import strength_of, strengths

    rng = np.random.default_rng(0)
    groups, of_items = rng.integers(0, 3, 600), rng.integers(0, 3, 200)
    rows = {}
    for user, group in enumerate(groups):
        for item in rng.choice(np.flatnonzero(of_items == group), 6, replace=False):
            rows[user, int(item)] = float(50 * rng.integers(1, 20))
        for item in rng.choice(200, 14, replace=False):
            rows[user, int(item)] = 1.0
    told = cf.read(
        pl.DataFrame([(u, i, c) for (u, i), c in rows.items()], schema=["user", "item", "plays"], orient="row")
    )
    strength = strength_of(told)
    assert strength[2] < 1
    weights = strengths(np.array([0, 1, 50, 1e9], dtype=np.float32), strength, 0.0)
    assert weights[0] == pytest.approx(strength[2])
    assert weights[-1] == 1
    assert (np.diff(weights) >= 0).all()
    noise = told.replace(values=rng.permutation(told.values))
    assert strength_of(noise)[2] == 1
    assert strengths(noise.values, strength_of(noise), 0.0).tolist() == [1.0] * len(noise)


def test_of_equal_scores_the_lower_item_comes_first_in_the_choice_of_the_floor() -> None:
    """What is listed among ties must not depend on how a processor sorts."""
    ones = sparse.csr_array(np.ones((1, 60)))
    own = sparse.csr_array(np.eye(1, 60, 30))  # the user has item 30; every other item is as near
    for item, place in ((0, 1), (19, 20), (20, None), (31, None)):
        held = sparse.csr_array(np.eye(1, 60, item))
        found = strength._ndcg(sparse.vstack([own, ones]).tocsr(), own, held, np.array([0]))
        assert found[0] == pytest.approx(0.0 if place is None else 1 / np.log2(place + 1))
