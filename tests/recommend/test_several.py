"""Lists and neighbours of several users and items at once, and which users are alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.toys import random_ratings

import cofactor as cf
from cofactor.errors import ConfigError, DataError, UnknownIdError


@pytest.fixture(scope="module", params=["als", "item-cosine", "popular"])
def rec(request: pytest.FixtureRequest) -> cf.Recommender:
    return cf.fit(random_ratings(), model=request.param, seed=0)


def test_lists_of_several_users_are_their_lists(rec: cf.Recommender) -> None:
    users = rec.data.user_ids.values.to_list()[:3]
    found = rec.recommend(users=users, n=2)
    for user in users:
        own = found.filter(pl.col("user") == user).drop("user")
        assert own.equals(rec.recommend(user, n=2))
    assert found["user"].unique(maintain_order=True).to_list() == users
    assert rec.recommend(users=[], n=2).columns == found.columns
    with pytest.raises(UnknownIdError):
        rec.recommend(users=[*users, "nobody"])
    assert len(rec.recommend(users=["nobody"], unknown="skip")) == 0
    for wrong in ({"user": users[0]}, {"history": ["i"]}):
        with pytest.raises(ConfigError, match="users= cannot be combined"):
            rec.recommend(users=users, **wrong)
    with pytest.raises(ConfigError, match="users is 3; give a list"):
        rec.recommend(users=3)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="mix types"):
        rec.recommend(users=[users[0], 5])


def test_neighbours_of_several_items(rec: cf.Recommender) -> None:
    items = rec.data.item_ids.values.to_list()[:2]
    found = rec.similar_items(items, n=3)
    for item in items:
        assert found.filter(pl.col("of") == item).drop("of").equals(rec.similar_items(item, n=3))
    with pytest.raises(ConfigError, match="list of ids is empty"):
        rec.similar_items([])


def test_similar_users_by_hand(rec: cf.Recommender) -> None:
    data = rec.data
    seen = np.zeros((data.n_users, data.n_items))
    seen[data.users, data.items] = 1
    shared = seen @ seen[0]
    factors: Any = rec.model.factors("user") if hasattr(rec.model, "factors") else np.zeros((data.n_users, 0))
    if factors.shape[1]:
        norms = np.linalg.norm(factors, axis=1)
        expected = factors @ factors[0] / np.maximum(norms * norms[0], 1e-30) * shared / (shared + 20)
    else:
        expected = shared / np.sqrt(seen.sum(1) * seen[0].sum())
    expected[0] = -1
    found = rec.similar_users(data.user_ids.values[0], n=data.n_users - 1)
    codes = data.user_ids.encode(found["user"])
    np.testing.assert_allclose(found["similarity"], np.sort(expected)[::-1][: len(found)], atol=1e-5)
    np.testing.assert_allclose(found["similarity"], expected[codes], atol=1e-5)
    assert found["shared_items"].to_list() == shared[codes].astype(int).tolist()
    assert rec.similar_users([data.user_ids.values[0]], n=2)["of"].n_unique() == 1
    with pytest.raises(UnknownIdError):
        rec.similar_users("nobody")
    assert len(rec.similar_users("nobody", unknown="skip")) == 0
    with pytest.raises(ConfigError, match="does not apply to similar users"):
        rec.similar_users("nobody", unknown="popular")


def test_on_the_command_line(rec: cf.Recommender, tmp_path: Path, typed: Any) -> None:
    rec.save(tmp_path / "m")
    users, items = (ids.values.to_list()[:2] for ids in (rec.data.user_ids, rec.data.item_ids))

    def asked(*args: object) -> list[dict[str, Any]]:
        code, out, err = typed(*args, "-n", "2", "--json")
        assert code == 0, err
        return json.loads(out)  # type: ignore[no-any-return]

    found = asked("similar", tmp_path / "m", *items)
    assert [row["of"] for row in found] == [items[0]] * 2 + [items[1]] * 2
    found = asked("similar", tmp_path / "m", "--user", users[0])
    assert [row["user"] for row in found] == rec.similar_users(users[0], n=2)["user"].to_list()
    found = asked("recommend", tmp_path / "m", "--user", users[0], "--user", users[1])
    assert {row["user"] for row in found} == set(users)
    assert typed("similar", tmp_path / "m")[0] == 2


def test_items_that_nobody_rated_have_one_status_everywhere(tmp_path: Path) -> None:
    whole = random_ratings()
    data = whole.take(whole.items != 3)  # an id without rows
    item, user = whole.item_ids.values[3], data.user_ids.values[0]
    for model in ("als", "ials"):
        rec = cf.fit(data, model=model, seed=0)
        one = rec.recommend(user, n=30, seen=True)
        every = rec.recommend_all(n=30, seen=True)
        predicted = rec.predict([(user, item)])
        assert every is not None
        for found in (one, every, rec.recommend(users=[user], n=30, seen=True)):
            assert set(found.filter(pl.col("item") == item)["status"]) == {"item without ratings"}
            assert set(found.filter(pl.col("item") != item)["status"]) == {"known"}
        assert predicted["status"].to_list() == ["item without ratings"]
        assert set(rec.similar_items(item, n=2)["status"]) == {"item without ratings"}
        other = rec.recommend(history={whole.item_ids.values[0]: 4}, n=30)
        assert other.filter(pl.col("item") == item)["status"].to_list() == ["from the history; item without ratings"]


def test_rows_of_a_user_are_those_of_the_grouped_table() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user": rng.integers(0, 30, 400), "item": rng.integers(0, 9, 400), "rating": rng.random(400)})
    data = cf.read(frame, duplicates="all")
    grouped = data.replace().by_user
    for user in range(data.n_users):  # the first few by going through the table
        view = slice(grouped.indptr[user], grouped.indptr[user + 1])
        assert ("by_user" in vars(data)) == (user > 16)
        assert data.rows_of(user).tolist() == grouped.rows[view].tolist()
