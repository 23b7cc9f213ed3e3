"""A bundle in shards gives the bits of one file, and refuses shards that are damaged, missing or of another model."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import cofactor as cf
from cofactor import engines
from cofactor.bundle import manifest
from cofactor.data.ids.id_map import IdMap
from cofactor.errors import BundleError, ConfigError
from cofactor.models import model_class
from cofactor.models.als import ALSConfig
from cofactor.recommender import Recommender
from toys import two_tastes

MODELS: dict[str, dict[str, Any]] = {
    "als": {"n_factors": 3, "epochs": 2},
    "svd++": {"n_factors": 3, "epochs": 2},
    "bias": {},
    "ials": {"n_factors": 3, "epochs": 2},
    "ease": {},
    "item-cosine": {},
    "popular": {},
    "graph-filter": {"n_factors": 4},
    "next-item": {},
}


def with_times() -> cf.Interactions:
    frame = two_tastes().to_frame()
    return cf.read(frame.with_columns(when=pl.Series(1_000_000_000 + 90_000 * np.arange(len(frame)))), time="when")


def texts() -> cf.Interactions:
    data = two_tastes()
    frame = data.to_frame()
    user = data.columns.user
    return cf.read(frame.with_columns(pl.format("u{}", pl.col(user)).alias(user)), user=user, item=data.columns.item)


def same(a: Any, b: Any, test: cf.Interactions) -> None:
    """Assert that all that two recommenders say has the same bits."""
    users = b.data.user_ids.to_series()
    some = users[[0, len(users) // 2, len(users) - 1]].to_list()
    for user in some:
        assert_frame_equal(a.recommend(user, n=4), b.recommend(user, n=4), check_exact=True)
    assert_frame_equal(a.recommend(users=some, n=3), b.recommend(users=some, n=3), check_exact=True)
    pairs = test.to_frame().select(test.columns.user, test.columns.item)[:50]
    assert_frame_equal(a.predict(pairs), b.predict(pairs), check_exact=True)
    assert_frame_equal(a.recommend_all(3), b.recommend_all(3), check_exact=True)
    assert_frame_equal(cf.evaluate(a, test, draws=20), cf.evaluate(b, test, draws=20), check_exact=True)
    item = b.data.item_ids.to_series()[1]
    assert str(a.explain(some[1], item)) == str(b.explain(some[1], item))
    if b.name != "popular" and b.name != "bias":
        assert_frame_equal(a.similar_items(item), b.similar_items(item), check_exact=True)
    assert a.model.config == b.model.config
    assert a.metrics == b.metrics
    assert a.scale == b.scale
    for name, array in b.model.state().items():
        assert np.asarray(a.model.state()[name]).tobytes() == np.asarray(array).tobytes(), name
    for column in ("users", "items", "values", "times"):
        assert np.array_equal(getattr(a.data, column), getattr(b.data, column)), column


@pytest.mark.parametrize("model", MODELS)
def test_any_number_of_shards_is_one_file(tmp_path: Path, model: str) -> None:
    split = cf.split.random(with_times(), valid=0.2, seed=3)
    rec = cf.fit(split.train, model=model, seed=1, calibrate=False, **MODELS[model])
    for size in (7, 10_000):
        rec.save(tmp_path / "s.cofactor", users_per_shard=size)
        same(cf.load(tmp_path / "s.cofactor"), rec, split.valid)
    loaded = cf.load(tmp_path / "s.cofactor", verify=True)
    loaded.save(tmp_path / "one.cofactor")
    same(cf.load(tmp_path / "one.cofactor"), rec, split.valid)


@pytest.fixture
def sharded(tmp_path: Path) -> tuple[Any, Path]:
    rec = cf.fit(texts(), model="als", seed=1, n_factors=3, epochs=2, calibrate=False)
    rec.save(tmp_path / "s.cofactor", users_per_shard=8)
    return rec, tmp_path / "s.cofactor"


def test_ids_that_are_text(sharded: tuple[Any, Path]) -> None:
    rec, place = sharded
    ids = rec.data.user_ids.to_series()
    found = cf.load(place).data.user_ids
    assert [found.code(i) for i in ids] == list(range(len(ids)))
    assert [found.code(x) for x in ("", "u", "zzz", 3, None, ids[3] + "x")] == [-1] * 6
    assert found.decode([2, -1, len(ids) - 1]).to_list() == [ids[2], None, ids[-1]]
    assert found.encode([ids[9], "nobody", ids[0]]).tolist() == [9, -1, 0]
    assert found == rec.data.user_ids
    assert len(found) == len(ids)
    again = pickle.loads(pickle.dumps(cf.load(place)))
    assert_frame_equal(again.recommend(ids[5]), rec.recommend(ids[5]), check_exact=True)


def test_a_list_opens_one_shard(sharded: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from cofactor.bundle import shards

    opened = []
    inner = shards._Shard._opened
    monkeypatch.setattr(shards._Shard, "_opened", lambda one: opened.append(one.number) or inner(one))
    rec, place = sharded
    found = cf.load(place)
    user = rec.data.user_ids.to_series()[17]
    found.recommend(user)
    found.predict([(user, rec.data.item_ids.to_series()[0])])
    assert opened == [2]


def test_items_alone_are_a_bundle(sharded: tuple[Any, Path]) -> None:
    rec, place = sharded
    history = dict.fromkeys(rec.data.item_ids.to_series()[:2], 5.0)
    assert_frame_equal(cf.load(place / "items").recommend(history=history), rec.recommend(history=history))


def test_damage_is_refused(sharded: tuple[Any, Path], tmp_path: Path) -> None:
    rec, place = sharded
    one, ids = place / "users/000001.safetensors", place / "users/000001.ids.safetensors"
    whole, names = one.read_bytes(), ids.read_bytes()
    user = rec.data.user_ids.to_series()[9]

    def refused(match: str, *, load: bool) -> None:
        found = None if load else cf.load(place)
        with pytest.raises(BundleError, match=match):
            (found or cf.load(place)).recommend(user)
        if load:
            with pytest.raises(BundleError, match=match):
                cf.load(place)

    one.write_bytes(whole[:-9])
    refused("cut short", load=True)
    one.unlink()
    refused("has no users/000001", load=True)
    one.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused("was changed", load=False)
    assert len(cf.load(place).recommend(rec.data.user_ids.to_series()[0]))  # of another shard
    one.write_bytes((place / "users/000000.safetensors").read_bytes())
    refused("changed|bytes", load=False) if len(whole) == one.stat().st_size else refused("bytes", load=True)
    one.write_bytes(whole)
    ids.write_bytes(names[:-1] + b"!")
    refused("was changed", load=False)
    ids.write_bytes(names)
    cf.fit(rec.data, model="als", seed=2, n_factors=3, epochs=2, calibrate=False).save(
        tmp_path / "other.cofactor", users_per_shard=8
    )
    shutil.rmtree(place / "items")
    shutil.copytree(tmp_path / "other.cofactor/items", place / "items")
    refused("another model", load=True)


def test_large_shards_of_another_model_are_refused(
    sharded: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)  # large files are mapped, and not read for their digest
    rec, place = sharded
    other = tmp_path / "other.cofactor"
    cf.fit(rec.data, model="als", seed=2, n_factors=3, epochs=2, calibrate=False).save(other, users_per_shard=8)
    shutil.copy(other / "users/000001.safetensors", place / "users/000001.safetensors")
    with pytest.raises(BundleError, match="belongs to another model"):
        cf.load(place).recommend(rec.data.user_ids.to_series()[9])
    with pytest.raises(BundleError, match="was changed"):
        cf.load(place, verify=True)


def test_a_save_that_fails_leaves_the_earlier_bundle(
    sharded: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rec, place = sharded
    from cofactor.bundle import id_tables

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(id_tables, "write", full)
    with pytest.raises(BundleError, match="No space left"):
        rec.save(place, users_per_shard=3)
    monkeypatch.undo()
    assert [p.name for p in place.parent.iterdir()] == [place.name]
    assert len(cf.load(place, verify=True).recommend_all(2))
    rec.save(place)  # one bundle takes the place of the folder
    assert not (place / "users").exists()


def test_what_has_no_shards(tmp_path: Path) -> None:
    rec = cf.fit(two_tastes(), model="dot-bias", epochs=1, seed=1, calibrate=False)
    with pytest.raises(ConfigError, match="needs its training users"):
        rec.save(tmp_path / "a", users_per_shard=5)
    with pytest.raises(ConfigError, match="serve_only or users_per_shard"):
        rec.save(tmp_path / "a", users_per_shard=5, serve_only=True)
    with pytest.raises(ConfigError, match="users_per_shard"):
        rec.save(tmp_path / "a", users_per_shard=0)


@pytest.mark.parametrize("timed", [True, False])
def test_rows_in_any_order(tmp_path: Path, timed: bool) -> None:
    rng = np.random.default_rng(0)
    frame = two_tastes().to_frame()[rng.permutation(len(two_tastes()))]
    if timed:
        frame = frame.with_columns(pl.Series("when", rng.integers(10**9, 2 * 10**9, len(frame))))
    data = cf.read(frame, time="when" if timed else None)
    split = cf.split.random(data, valid=0.2, seed=3)
    data = split.train
    rec = cf.fit(data, model="item-cosine", seed=1, half_life=400 if timed else 0)
    rec.save(tmp_path / "s.cofactor", users_per_shard=9)
    same(cf.load(tmp_path / "s.cofactor"), rec, split.valid)
    user, item = data.user_ids.to_series()[4], data.item_ids.to_series()[3]
    more = [(user, item, 4.0)] if not timed else [(user, item, 4.0, 2 * 10**9)]
    a, b = (r.update(more) for r in (cf.load(tmp_path / "s.cofactor"), rec))
    assert_frame_equal(a.recommend(user), b.recommend(user), check_exact=True)
    assert_frame_equal(a.refit().recommend(user), b.refit().recommend(user), check_exact=True)


def test_a_server_takes_the_items(sharded: tuple[Any, Path], tmp_path: Path) -> None:
    from cofactor.serve.storage.versions import adopt

    with pytest.raises(BundleError, match="a server takes its items alone"):
        adopt(sharded[1], tmp_path / "a")
    assert adopt(sharded[1] / "items", tmp_path / "b")


def test_facts_without_loading(sharded: tuple[Any, Path]) -> None:
    from cofactor.bundle import info

    rec, place = sharded
    rec.save(place.with_name("one"))
    found, one = info(place, verify=True), info(place.with_name("one"))
    assert found["data"] == one["data"]
    assert found["config"] == one["config"]
    assert found["bytes"] == sum(p.stat().st_size for p in place.rglob("*.safetensors"))


def test_a_changed_manifest_is_refused(sharded: tuple[Any, Path]) -> None:
    place = sharded[1] / "manifest.json"
    text = place.read_text()
    for change in (('"first"', '"last"'), ('"users": 8', '"users": 9'), ("shards-1", "shards-2")):
        place.write_text(text.replace(*change, 1))
        with pytest.raises(BundleError, match=r"was changed|has the format version"):
            cf.load(sharded[1])


JUNK: list[Any] = [None, True, -1, 0, 1, 2**40, 1.5, "", "x", "../items", [], {}, [[]], {"a": 1}]


def places(found: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each field of an object."""
    for name, value in found.items() if isinstance(found, dict) else enumerate(found):
        yield (*way, name)
        if isinstance(value, (dict, list)):
            yield from places(value, (*way, name))


def test_a_forged_manifest_is_refused(sharded: tuple[Any, Path]) -> None:
    """Each field in turn is junk, under a digest that fits: an error in a sentence, or a model that answers."""
    rec, place = sharded
    facts = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    users = rec.data.user_ids.to_series()
    for way in list(places(facts)):
        for junk in JUNK:
            forged = copy.deepcopy(facts)
            within = forged
            for name in way[:-1]:
                within = within[name]
            if within[way[-1]] == junk:
                continue
            within[way[-1]] = junk
            (place / "manifest.json").write_bytes(manifest.dump(forged))
            with contextlib.suppress(BundleError):
                found = cf.load(place)
                for user in (users[0], users[9]):
                    found.recommend(user)


@pytest.mark.parametrize("model", ["als", "ials"])
def test_training_in_blocks_writes_shards(tmp_path: Path, model: str) -> None:
    data = with_times()
    config = MODELS[model]
    rec = cf.fit(data, model=model, seed=3, calibrate=False, **config)
    out = tmp_path / "s.cofactor"
    made = engines.fit(data, model, tmp_path / "work", out, seed=3, block_rows=256, users_per_shard=25, **config)
    assert len(list((out / "users").iterdir())) == 6
    shutil.rmtree(tmp_path / "work")
    user = data.user_ids.to_series()[30]
    for found in (made, cf.load(out)):
        assert_frame_equal(found.recommend(user), rec.recommend(user), check_exact=True)
        for name, array in rec.model.state().items():
            assert np.asarray(found.model.state()[name]).tobytes() == np.asarray(array).tobytes(), name


ONE_LIST = """
import sys
import cofactor as cf

def high():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

rec = cf.load(sys.argv[1] + "/warm")
rec.recommend("u0000001")
rec.predict([("u0000001", 1)])
before = high()
rec = cf.load(sys.argv[1] + "/large")
assert len(rec.recommend("u0234567")) == 10
rec.predict([("u0234567", 1)])
print(high() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_one_list_of_many_users_takes_little_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, n, shard in (("warm", 20_000, 5_000), ("large", 800_000, 50_000)):
        users = np.repeat(np.arange(n, dtype=np.int32), 2)
        items = np.tile(np.array([1, 7], np.int32), n) + np.repeat(rng.integers(0, 90, n), 2).astype(np.int32)
        values = rng.integers(1, 6, len(users)).astype(np.float32)
        names = pl.select(pl.format("u{}", pl.int_range(n).cast(pl.String).str.zfill(7))).to_series()
        ids = IdMap(names, "user"), IdMap(pl.Series(range(100)), "item")
        state = {
            "mean": np.array(3, np.float32),
            "range": np.array([1, 5], np.float32),
            "users": rng.standard_normal((n, 33), np.float32),
            "items": rng.standard_normal((100, 33), np.float32),
            "spread": np.zeros((100, 33), np.float32),
            "ridge": np.ones(33, np.float32),
        }
        model = model_class("als").from_state(ALSConfig(n_factors=32), state)
        Recommender(model, cf.Interactions(users, items, values, None, *ids)).save(
            tmp_path / name, users_per_shard=shard
        )
    size = sum(p.stat().st_size for p in (tmp_path / "large").rglob("*.safetensors")) / 2**20
    done = subprocess.run([sys.executable, "-c", ONE_LIST, str(tmp_path)], capture_output=True, text=True, check=True)
    print(f"{float(done.stdout):.0f} of {size:.0f} MB")
    assert float(done.stdout) < 50 < 100 < size
