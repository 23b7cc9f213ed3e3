"""The index by length: its lists are those of exact search, whatever the vectors, filters and ties."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor import _tensors as tensors
from cofactor.bundle import loading, manifest
from cofactor.errors import BundleError
from cofactor.model import HasVectors
from cofactor.models import model_class
from cofactor.recommend.ann import by_length as made
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


def refuse(*_: Any) -> Any:
    raise AssertionError("this is not to be done")


def test_it_is_taken_where_lengths_differ(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
    for serve_only in (False, True):
        fast.save(tmp_path / "a.cofactor", serve_only=serve_only)
        monkeypatch.setattr(made, "by_length", refuse)  # it is not made again
        for how in ({}, {"index": True}, {"verify": True}):
            back = cf.load(tmp_path / "a.cofactor", **how)
            assert back.index.exact
            assert (back.index.n, back.index.sample) == (fast.index.n, fast.index.sample)
            assert back.recommend(history=[3, 5], n=10).equals(rec.recommend(history=[3, 5], n=10))
            if not serve_only:
                assert back.recommend_all(10).equals(rec.recommend_all(10))
    newer = fast.update([(7, 3, 1)])
    assert newer.recommend(7, n=5).equals(rec.update([(7, 3, 1)]).recommend(7, n=5))


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_few_items_are_looked_at(scale: float) -> None:
    """Also where vectors of users are short beside the constant of the biases of items, and there are none."""
    rec = recommender(20_000, 24, 1.0)
    rec = Recommender(ials_of(rec.model.factors("item"), rec.model.factors("user") * scale), rec.data)
    found = by_length(rec.model.item_vectors())
    _, _, looked = made.search(found, rec.model.query_vectors(rec.model.user_state(np.arange(60))), 30, None, None)
    assert looked[:, 0].mean() < 1_000
    assert (looked[:, 1] <= looked[:, 0]).all()


def test_a_bundle_of_before_has_it_made_again(tmp_path: Path) -> None:
    """Such a bundle holds a line that says what index it is."""
    rec = recommender(5_000, 24, 0.8)
    place = tmp_path / "old.cofactor"
    rec.approximate(above=0, sample=50).save(place)
    (place / "index.safetensors").unlink()
    (place / "index.usearch").write_bytes(b"by length\n")
    found = manifest.parse((place / "manifest.json").read_bytes(), "it")
    del found["files"]["index.safetensors"]
    digest = hashlib.blake2b(b"by length\n", digest_size=32).hexdigest()
    found["files"]["index.usearch"] = {"bytes": 10, "blake2b": digest}
    (place / "manifest.json").write_bytes(manifest.dump(found))
    assert cf.load(place).index is None
    back = cf.load(place, index=True)
    assert back.index.exact
    assert back.recommend_all(10).equals(rec.recommend_all(10))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda a: a | {"codes": a["codes"] + 1},
        lambda a: a | {"codes": a["codes"] - 1},
        lambda a: a | {"codes": np.zeros_like(a["codes"])},
        lambda a: a | {"codes": a["codes"].astype(np.int64)},
        lambda a: a | {"lengths": a["lengths"][::-1].copy()},
        lambda a: a | {"lengths": a["lengths"][:-1]},
        lambda a: a | {"rest_lengths": np.full_like(a["rest_lengths"], np.nan)},
        lambda a: a | {"turn": a["turn"][:, :-1]},
        lambda a: a | {"heads": a["heads"][:, 0]},
        lambda a: a | {"rests": a["rests"][:, 1:]},
        lambda a: {name: array for name, array in a.items() if name != "turn"},
        lambda a: a | {"more": a["turn"]},
    ],
)
def test_a_forged_index_is_refused(change: Any, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a.cofactor"
    rec = recommender(500, 24, 0.8)
    graph = by_length(rec.model.item_vectors())
    rec.replace(index=Index(graph, Lock(), rec.model, 16, 256, exact=True)).save(place)
    if large:  # as files of more than some megabytes are
        monkeypatch.setattr(loading, "SMALL", 0)
    arrays = tensors.views(np.frombuffer((place / "index.safetensors").read_bytes(), np.uint8), "it")
    with open(place / "index.safetensors", "wb") as file:
        tensors.write(file, change(arrays))
    data = (place / "index.safetensors").read_bytes()
    found = manifest.parse((place / "manifest.json").read_bytes(), "it")
    digest = hashlib.blake2b(data, digest_size=32).hexdigest()
    found["files"]["index.safetensors"] = {"bytes": len(data), "blake2b": digest}
    (place / "manifest.json").write_bytes(manifest.dump(found))
    with pytest.raises(BundleError, match=r"does not hold an index of 500 vectors|not finite"):
        cf.load(place)


def test_an_index_of_other_vectors_is_refused_at_first_use(tmp_path: Path) -> None:
    rec = recommender(5_000, 24, 0.8).approximate(above=0, sample=20)
    other = recommender(5_000, 12, 0.8).approximate(above=0, sample=20)
    mixed = rec.replace(index=dataclasses.replace(other.index, vectors=rec.model))
    mixed.save(tmp_path / "a.cofactor")
    with pytest.raises(BundleError, match="holds vectors of 13 numbers, but the model's have 25"):
        cf.load(tmp_path / "a.cofactor").recommend(3)


def test_a_list_scores_what_it_lists_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rec = recommender(5_000, 8, 0.8).approximate(above=0, sample=20)
    monkeypatch.setattr(type(rec.model), "scores_from", refuse)
    assert len(rec.recommend(3, n=10)) == 10


def test_a_server_uses_the_saved_index(tmp_path: Path) -> None:
    rec = recommender(5_000, 8, 0.8)
    rec.approximate(above=0, sample=20).save(tmp_path / "fast.cofactor")
    served = pytest.importorskip("cofactor.serve.models.served")
    fast = served.unwritten(tmp_path / "fast.cofactor", 1, 100).rec
    assert fast.index is not None
    assert fast.index.exact
    assert fast.recommend(history=[3, 5], n=10).equals(rec.recommend(history=[3, 5], n=10))
