"""Approximate search: what it finds, against exact search; what it must not change."""

from __future__ import annotations

import json
import sys

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import ConfigError, MissingExtraError
from cofactor.model import HasVectors
from cofactor.models import model_class
from cofactor.recommend.ann import search as module
from cofactor.recommend.options import list_options
from cofactor.recommender import Recommender

pytest.importorskip("usearch", reason="approximate search needs the extra ann")

K = 16


def catalogue(n_items, n_users=150):
    """Ratings of every item by somebody, some 10 a user and more of the first users (their lists fetch more)."""
    rng = np.random.default_rng(3)
    items = np.concatenate([np.arange(n_items), rng.integers(0, n_items, 10 * n_users)])
    users = np.concatenate([rng.integers(0, n_users // 2, n_items), np.repeat(np.arange(n_users), 10)])
    frame = pl.DataFrame({"user": users, "item": items, "rating": rng.integers(1, 6, len(items))})
    return cf.read(frame.unique(["user", "item"], keep="first", maintain_order=True))


def planted(data, name):
    """A model with vectors as trained ones are: few directions count most, norms differ, items have biases."""
    rng = np.random.default_rng(4)
    falling = 1 / np.sqrt(1 + np.arange(K))
    users = (rng.standard_normal((data.n_users, K)) * falling).astype(np.float32)
    items = rng.standard_normal((data.n_items, K)) * falling * np.exp(0.3 * rng.standard_normal((data.n_items, 1)))
    bias = 0.5 * rng.standard_normal((data.n_items, 1))
    cls = model_class(name)
    if name == "als":
        table = np.hstack([items, bias]).astype(np.float32)
        users = np.hstack([users, rng.standard_normal((data.n_users, 1)).astype(np.float32)])
        state = {"mean": np.float32(3), "range": np.float32([1, 5]), "users": users, "items": table}
        state |= {"spread": np.zeros_like(table), "ridge": np.ones(K + 1, np.float32)}
        state["mean"] = np.array(3, np.float32)
        return cls.from_state(cls.Config(n_factors=K), state)
    counts = data.by_item.counts.astype(np.float32)
    users[0] = 0  # of whom nothing is known: gets what is popular
    state = {"user_factors": users, "item_factors": items.astype(np.float32), "item_bias": bias[:, 0].astype("f4")}
    state |= {"popularity": counts, "range": np.float32([1, 5]), "mean_count": np.array(10.0)}
    return cls.from_state(cls.Config(n_factors=K), state)


@pytest.fixture(scope="module", params=["als", "bpr"])
def pair(request):
    """An exact Recommender of 20,000 items, and the approximate one."""
    data = catalogue(20_000)
    rec = Recommender(planted(data, request.param), data)
    return rec, rec.approximate(above=0, sample=100)


def lists(frame):
    return {user: group["item"].to_list() for (user,), group in frame.group_by(["user"], maintain_order=True)}


def test_recall_is_measured_and_shown(pair):
    rec, fast = pair
    assert rec.index is None
    assert 0.95 <= fast.index.recall <= 1
    assert fast.index.worst <= fast.index.recall
    assert f"recall@10 {fast.index.recall:.3f}" in repr(fast)
    exact, found = lists(rec.recommend_all(10)), lists(fast.recommend_all(10))
    assert exact.keys() == found.keys()
    share = np.mean([len(set(exact[u]) & set(found[u])) / 10 for u in exact])
    assert 0.95 <= share <= 1
    assert abs(share - fast.index.recall) < 0.03  # 100 of the 150 users


def test_what_is_found_is_scored_and_ordered_exactly(pair):
    rec, fast = pair
    users = np.arange(rec.data.n_users)
    exact = rec.model.scores(users)
    codes, values = module.best_for_many(fast, users, None, list_options(n=10))
    np.testing.assert_allclose(values, np.take_along_axis(exact, codes.astype(np.int64), axis=1), rtol=1e-5, atol=1e-5)
    assert (np.diff(values, axis=1) <= 0).all()
    for user in users:
        seen = rec.data.by_user.row(user)[0]
        assert not np.isin(codes[user], seen).any()
        assert len(set(codes[user].tolist())) == 10
        among = np.sort(codes[user])
        assert among[np.argsort(-exact[user, among], kind="stable")].tolist() == codes[user].tolist()


def test_one_list_is_that_of_everybody(pair):
    _, fast = pair
    every = lists(fast.recommend_all(5))
    for user in (0, 3, 140):
        assert fast.recommend(user, n=5)["item"].to_list() == every[user]


def test_filters_leave_whole_lists(pair):
    rec, fast = pair
    users = [0, 3, 140]
    best = {u: rec.recommend(u, n=60)["item"].to_list() for u in users}
    denied = best[3][:40]
    found = fast.recommend(3, n=10, deny=denied)["item"].to_list()
    assert len(found) == 10
    assert not set(found) & set(denied)
    few = list(range(30))  # so few that all are scored
    for user in users:
        exact, mine = (r.recommend(user, n=8, allow=few, seen=True) for r in (rec, fast))
        assert mine.equals(exact)
    shaped = {"n": 5, "diversity": 0.3}
    assert fast.recommend(3, **shaped).equals(rec.recommend(3, **shaped))


def test_histories_and_newer_ratings(pair):
    rec, fast = pair
    history = {5: 5.0, 77: 1.0, 300: 4.0}
    if rec.name == "als":
        exact, found = (r.recommend(history=history, n=10)["item"].to_list() for r in (rec, fast))
        assert len(set(exact) & set(found)) >= 8
    newer = fast.update([(3, 77, 5), (9999, 5, 4), (9999, 300, 5)])
    assert newer.index is fast.index
    every = lists(newer.recommend_all(5))
    assert every[9999] == newer.recommend(9999, n=5)["item"].to_list()
    assert 77 not in every[3]
    assert newer.recommend("nobody", unknown="popular")["status"][0] == "unknown user: most rated"


def test_users_without_a_vector_get_exact_lists(pair):
    rec, fast = pair
    if rec.name == "bpr":
        assert fast.recommend(rec.data.user_ids.values[0]).equals(rec.recommend(rec.data.user_ids.values[0]))


def test_building_again_gives_the_same():
    data = catalogue(3000)
    rec = Recommender(planted(data, "als"), data)
    one, two = (rec.approximate(above=0, sample=20, seed=5) for _ in range(2))
    assert one.recommend_all(10).equals(two.recommend_all(10))
    assert (one.index.recall, one.index.worst) == (two.index.recall, two.index.worst)


def test_only_where_it_is_of_use(toy, monkeypatch):
    rec = cf.fit(toy, model="als", epochs=2, n_factors=4, calibrate=False)
    assert rec.approximate().index is None  # 25 items
    small = rec.approximate(above=0)  # more candidates than a tenth of the items: all of it exact
    assert small.recommend(3, n=5).equals(rec.recommend(3, n=5))
    with pytest.raises(ConfigError, match="popular has no vectors"):
        cf.fit(toy, model="popular").approximate()
    with pytest.raises(ConfigError, match="effort is 0"):
        rec.approximate(effort=0)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(MissingExtraError, match=r"cofactor\[ann\]"):
        rec.approximate(above=0)


@pytest.mark.parametrize("name", ["als", "svd++", "dot-bias", "ials", "bpr", "warp"])
def test_vectors_order_the_items(toy, name):
    model = cf.fit(toy, model=name, epochs=2, n_factors=4, calibrate=False).model
    assert isinstance(model, HasVectors)
    states = model.user_state(np.arange(toy.n_users))
    scores, dots = model.scores_from(states), model.query_vectors(states) @ model.item_vectors().T
    inner = scores
    if name == "dot-bias":  # what goes into the sigmoid, which rises with it
        low, high = model.y_range
        inner = -np.log((high - low) / (scores - low) - 1)
    gaps = inner - dots
    np.testing.assert_allclose(gaps, np.broadcast_to(gaps[:, :1], gaps.shape), atol=1e-5)
    some = np.random.default_rng(0).integers(0, toy.n_items, (toy.n_users, 7))
    np.testing.assert_allclose(model.scores_at(states, some), np.take_along_axis(scores, some, axis=1), atol=1e-5)


def test_from_the_command_line_with_an_index(tmp_path, monkeypatch, typed):
    data = catalogue(6_000)
    rec = Recommender(planted(data, "als"), data)
    rec.save(tmp_path / "m.cofactor")
    wanted = rec.approximate(10, above=6_000)
    assert 0.9 < wanted.index.recall <= 1
    monkeypatch.chdir(tmp_path)

    def run(*args):
        return typed("recommend", "m.cofactor", "--all", "--approximate", *args)

    code, out, err = run("--above", "6000", "--out", "found.parquet")
    assert (code, out) == (0, "")
    said = f"the index finds {wanted.index.recall:.1%} of the 10 best items (mean of 150 users; the worst:"
    assert f"{said} {wanted.index.worst:.0%})" in err
    found = pl.read_parquet(tmp_path / "found.parquet")
    assert found.rows() == wanted.recommend_all(10).rows()
    exact = lists(rec.recommend_all(10))
    shares = [len(set(items) & set(exact[user])) / 10 for user, items in lists(found).items()]
    assert np.mean(shares) == pytest.approx(wanted.index.recall, abs=1e-9)  # these are the 150 users it was measured on
    code, out, _ = run("--above", "6000", "--out", "found.csv", "--json")
    assert json.loads(out)["recall"] == wanted.index.recall
    assert pl.read_csv(tmp_path / "found.csv")["item"].to_list() == found["item"].to_list()
    code, out, err = run("--out", "exact.parquet")
    assert "exact search: with 6,000 items it is as fast as an index (which pays from 100,000 on)" in err
    assert pl.read_parquet(tmp_path / "exact.parquet").rows() == rec.recommend_all(10).rows()
    code, out, err = run("--above", "-1", "--out", "exact.parquet")
    assert code == 2
    assert "above is -1" in err


def test_ctrl_c_while_the_index_is_built(toy, monkeypatch):
    from usearch.index import Index

    def terminated(*_, **__):
        raise RuntimeError("Operation has been terminated")

    monkeypatch.setattr(Index, "add", terminated)
    with pytest.raises(KeyboardInterrupt):
        cf.fit(toy, model="als", epochs=1).approximate(above=0)
