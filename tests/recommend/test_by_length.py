"""The index by length: its lists are those of exact search, whatever the vectors, filters and ties."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor.errors import BundleError
from cofactor.model import HasVectors
from cofactor.models import model_class
from cofactor.recommend.ann import search
from cofactor.recommend.ann.by_length import by_length
from cofactor.recommend.index import Index
from cofactor.recommender import Recommender


def ials_of(items: Any, users: Any) -> Any:
    """A model with these factors."""
    cls = model_class("ials")
    items, users = np.asarray(items, np.float32), np.asarray(users, np.float32)
    state = {"user_factors": users, "item_factors": items, "item_bias": np.zeros(len(items), np.float32)}
    state |= {"popularity": np.linspace(1, 0, len(items)).astype(np.float32), "range": np.float32([1, 5])}
    state |= {"mean_count": np.array(10.0), "average": np.zeros(items.shape[1], np.float32)}
    return cls.from_state(cls.Config(n_factors=items.shape[1]), state)


def recommender(n_items: int, k: int, power: float, seed: int = 0, n_users: int = 60) -> Recommender:
    """Lengths of vectors fall with a power of their place, in any order of codes."""
    rng = np.random.default_rng(seed)
    lengths = (1 + rng.permutation(n_items)[:, None]) ** -power
    model = ials_of(rng.standard_normal((n_items, k)) * lengths, rng.standard_normal((n_users, k)))
    users = np.concatenate([np.arange(n_items) % n_users, np.repeat(np.arange(n_users), 8)])
    items = np.concatenate([np.arange(n_items), rng.integers(0, n_items, 8 * n_users)])
    frame = pl.DataFrame({"user": users, "item": items}).unique(maintain_order=True)
    return Recommender(model, cf.read(frame, user="user", item="item"))


@given(
    power=st.sampled_from([0.0, 0.5, 2.0]),
    k=st.sampled_from([1, 3, 20]),
    n=st.integers(1, 12),
    ties=st.booleans(),
    kept=st.sampled_from([1.0, 0.5, 0.01]),
    seed=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_lists_are_the_exact_ones(power: float, k: int, n: int, ties: bool, kept: float, seed: int) -> None:
    rec = recommender(600, k, power, seed)
    if ties:  # forty items alike
        factors = rec.model.factors("item").copy()
        factors[100:140] = factors[100] * 5
        rec = Recommender(ials_of(factors, rec.model.factors("user")), rec.data)
    assert isinstance(rec.model, HasVectors)
    index = Index(by_length(rec.model.item_vectors()), Lock(), rec.model, 16, 256)
    users = np.arange(rec.data.n_users, dtype=np.int32)
    states, seen = rec.model.user_state(users), rec.data.by_user
    keep = np.random.default_rng(seed).random(rec.data.n_items) < kept
    for among in (None, keep):
        for had in (None, seen):
            codes, scores = search.best_of(index, states, had, among, n)
            wanted, exact = search._exact(index, states, had, among, n)
            assert np.array_equal(codes, wanted)
            assert np.array_equal(scores, exact)


def test_it_is_taken_where_lengths_differ(tmp_path: Any) -> None:
    rec = recommender(5_000, 24, 0.8)
    fast = rec.approximate(above=0, sample=50)
    assert fast.index is not None
    assert fast.index.exact
    assert "exact" in repr(fast.index)
    assert fast.recommend_all(10).equals(rec.recommend_all(10))
    for user in (0, 7):
        assert fast.recommend(user, n=10).equals(rec.recommend(user, n=10))
        assert fast.recommend(user, n=10, deny=[1, 2, 3]).equals(rec.recommend(user, n=10, deny=[1, 2, 3]))
    flat = recommender(5_000, 24, 0.0)
    assert search._worth_it(flat.model, flat.model.item_vectors(), np.arange(20), flat, 10) is None
    fast.save(tmp_path / "a.cofactor")
    back = cf.load(tmp_path / "a.cofactor", index=True)
    assert back.index.exact
    assert back.recommend_all(10).equals(rec.recommend_all(10))
    assert cf.load(tmp_path / "a.cofactor").index is None
    newer = fast.update([(7, 3, 1)])
    assert newer.recommend(7, n=5).equals(rec.update([(7, 3, 1)]).recommend(7, n=5))


def test_few_items_are_looked_at() -> None:
    rec = recommender(20_000, 24, 1.0)
    found = by_length(rec.model.item_vectors())
    _, _, looked = found.search(rec.model.query_vectors(rec.model.user_state(np.arange(60))), 30, None, None)
    assert looked[:, 0].mean() < 1_000
    assert (looked[:, 1] <= looked[:, 0]).all()


def test_a_file_that_is_no_such_index_is_refused() -> None:
    from cofactor.bundle import index as file

    rec = recommender(300, 4, 1.0)
    facts = {"usearch": "", "connectivity": 16, "effort": 256, "n": 10, "sample": 5, "recall": 1.0, "worst": 1.0}
    with pytest.raises(BundleError, match="does not say what its manifest says"):
        file.read(np.frombuffer(b"other", np.uint8), facts, rec.model, "index.usearch")


def test_a_list_scores_what_it_lists_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rec = recommender(5_000, 8, 0.8).approximate(above=0, sample=20)

    def refuse(*_: Any) -> Any:
        raise AssertionError("all items are scored")

    monkeypatch.setattr(type(rec.model), "scores_from", refuse)
    assert len(rec.recommend(3, n=10)) == 10
