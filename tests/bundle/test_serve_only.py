"""Bundles without users: the lists of the whole model for any history, and a sentence for what needs the users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from polars.testing import assert_frame_equal

import cofactor as cf
from cofactor import bundle
from cofactor.bundle import manifest
from cofactor.errors import BundleError, ConfigError, UnknownIdError
from cofactor.model import DropsUsers
from cofactor.models import REGISTRY, model_class
from serve_tools import client, ok, refused
from toys import two_tastes

QUICK: dict[str, dict[str, Any]] = {
    "als": {"n_factors": 3, "epochs": 2},
    "ials": {"n_factors": 3, "epochs": 2},
    "svd++": {"n_factors": 3, "epochs": 2},
    "bpr": {"n_factors": 3, "epochs": 2},
    "warp": {"n_factors": 3, "epochs": 2},
    "next-item": {"neighbours": 3},
}
ABLE = sorted(name for name in REGISTRY if issubclass(model_class(name), DropsUsers))
HISTORY = {103: 5.0, 104: 1.0, 120: 4.0}


def saved(name: str, folder: Path) -> tuple[Any, Any, Path]:
    """A model, and the same without users."""
    rec = cf.fit(two_tastes(), model=name, seed=1, **QUICK.get(name, {}))
    place = folder / "served.cofactor"
    rec.save(place, serve_only=True)
    return rec, cf.load(place), place


def test_which_models_can() -> None:
    assert {"als", "bias", "ials", "svd++", "ease", "slim", "item-cosine", "next-item", "popular", "bpr"} <= {*ABLE}


@pytest.mark.parametrize("name", ABLE)
def test_histories_get_what_the_whole_model_gives(name: str, tmp_path: Path) -> None:
    rec, served, place = saved(name, tmp_path)
    assert served.data.n_users == 0
    assert served.scale == rec.scale
    for options in ({"n": 5}, {"n": 4, "seen": True, "deny": [105]}, {"n": 3, "where": "genres contains C"}):
        expected = rec.recommend(history=HISTORY, **options)
        assert_frame_equal(served.recommend(history=HISTORY, **options), expected, check_exact=True)
    newer = [("somebody", item, value) for item, value in HISTORY.items()]
    if served.data.user_ids.values.dtype.is_integer():
        newer = [(10_001, item, value) for _, item, value in newer]
    who = newer[0][0]
    told, expected = served.update(newer), rec.update(newer)
    assert_frame_equal(told.recommend(who), expected.recommend(who), check_exact=True)
    assert_frame_equal(told.predict([(who, 107)]), expected.predict([(who, 107)]), check_exact=True)
    info = bundle.info(place)
    assert info["data"]["users"] == 0
    assert info["data"]["rows"] == len(rec.data) == len(served.data)
    cf.load(place, verify=True)
    served.save(tmp_path / "again.cofactor")  # as it is
    again = cf.load(tmp_path / "again.cofactor")
    assert_frame_equal(again.recommend(history=HISTORY), rec.recommend(history=HISTORY), check_exact=True)


def test_a_server_of_one(tmp_path: Path) -> None:
    _, served, place = saved("ials", tmp_path)
    with client(place, read_only=True, wait_seconds=60) as http:
        history = [{"item": item, "rating": rating} for item, rating in HISTORY.items()]
        found = ok(http.post("/v1/recommend", json={"history": history, "n": 4}))["recommendations"]
        assert found == served.recommend(history=HISTORY, n=4).to_dicts()
        assert ok(http.get("/v1/info"))["users"] == 0
        refused(http.get("/v1/similar?item=103"), 422, "saved for serving")


def test_what_needs_users_says_so(tmp_path: Path) -> None:
    _, served, place = saved("als", tmp_path)
    for ask in (
        lambda: served.refit(),
        lambda: served.ratings().to_frame(),
        lambda: served.similar_items(103),
        lambda: served.explain(history=HISTORY, item=107),
        lambda: cf.evaluate(served, two_tastes()),
    ):
        with pytest.raises(ConfigError, match="saved for serving"):
            ask()
    assert served.recommend_all(3).is_empty()
    with pytest.raises(UnknownIdError):
        served.recommend(1)
    whole = cf.fit(two_tastes(), model="user-knn", seed=1)
    with pytest.raises(ConfigError, match="user-knn needs its training users"):
        whole.save(place, serve_only=True)
    assert cf.load(place).name == "als"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"users": 3}, "items only, but has users"),
        ({"items_only": {"low": 1.0}}, "lacks the field"),
        ({"rows": 7}, "does not add up"),
    ],
)
def test_a_forged_one_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    _, _, place = saved("bias", tmp_path)
    found = manifest.parse((place / "manifest.json").read_bytes(), "it")
    found["data"] |= change
    (place / "manifest.json").write_bytes(manifest.dump(found))
    with pytest.raises(BundleError, match=words):
        cf.load(place)


def test_a_saved_index(tmp_path: Path) -> None:
    pytest.importorskip("usearch")
    rec = cf.fit(two_tastes(), model="ials", seed=1, **QUICK["ials"])
    near = rec.approximate(above=0, sample=20)
    for serve_only in (False, True):
        place = tmp_path / f"{serve_only}.cofactor"
        near.save(place, serve_only=serve_only)
        assert cf.load(place).index is None
        found = cf.load(place, index=True)
        assert (found.index.recall, found.index.sample, found.index.settings) == (
            near.index.recall,
            near.index.sample,
            near.index.settings,
        )
        np.testing.assert_array_equal(*(r.index.search(np.ones((2, 4), np.float32), 8)[0] for r in (found, near)))
        assert_frame_equal(found.recommend(history=HISTORY), near.recommend(history=HISTORY))
    data = (place / "index.usearch").read_bytes()
    (place / "index.usearch").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"index\.usearch"):
        cf.load(place, index=True)
    rec.save(place)
    with pytest.raises(BundleError, match="holds no index"):
        cf.load(place, index=True)
