"""Two versions asked side by side, similar users, and browsing: what the page compares."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import ConfigError
from cofactor.evaluation import evaluate, with_figures
from cofactor.serve import Settings
from serve_tools import NEW, TOKEN, client, ok, ratings, refused, saved

HISTORY = [{"item": 101, "rating": 5}, {"item": 104, "rating": 1}]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    first = saved(folder)
    split = cf.split.random(ratings(), valid=0.1, seed=0)
    rec = cf.fit(split.train, model="popular", seed=0)
    with_figures(rec, evaluate(rec, split.valid, metrics=["ndcg"]), "other rows").save(folder / "p.cofactor")
    return first, folder / "p.cofactor"


@pytest.fixture
def http(bundles, tmp_path):
    with client(bundles[0], state=tmp_path / "s", beside=bundles[1]) as found:
        yield found


def listed(http, **more):
    return [r["item"] for r in ok(http.post("/v1/recommend", json={"history": HISTORY, **more}))["recommendations"]]


def test_the_second_model_is_a_version_and_the_first_is_live(http, bundles):
    rows = ok(http.get("/v1/versions"))["versions"]
    assert [(v["model"], v["active"], v["source"]) for v in rows] == [
        ("als", True, "given"),
        ("popular", False, "beside"),
    ]
    assert rows[1]["figures"][0]["rows"] == "other rows"
    assert ok(http.get("/v1/info"))["model"] == "als"


def test_a_version_answers_as_its_bundle_does(http, bundles):
    live, beside = (cf.load(b) for b in bundles)
    history = {101: 5.0, 104: 1.0}
    assert listed(http) == live.recommend(history=history)["item"].to_list()
    assert listed(http, version=2) == beside.recommend(history=history)["item"].to_list()
    assert listed(http, version=1) == listed(http)
    said = ok(http.post("/v1/recommend", json={"history": HISTORY, "version": 2}))
    assert said["version"] == 2
    assert ok(http.get("/v1/info"))["version"] == 1
    refused(http.post("/v1/recommend", json={"history": HISTORY, "version": 9}), 404, "no version 9")


def test_newer_ratings_and_erasures_reach_the_version_too(http):
    before = ok(http.post("/v1/recommend", json={"user": 5, "version": 2, "n": 25}))["recommendations"]
    item = before[0]["item"]
    ok(http.post("/v1/events", json={"events": [{"user": 5, "item": item, "rating": 1.0}, *NEW[1:]]}))
    after = ok(http.post("/v1/recommend", json={"user": 5, "version": 2, "n": 25}))["recommendations"]
    assert item not in [r["item"] for r in after]
    assert ok(http.post("/v1/recommend", json={"user": 999, "version": 2}))["recommendations"]
    ok(http.delete("/v1/user?user=999"))
    refused(http.post("/v1/recommend", json={"user": 999, "version": 2}), 404, "999")


def test_it_is_kept_over_a_restart_and_not_made_twice(bundles, tmp_path):
    for _ in range(2):
        with client(bundles[0], state=tmp_path / "s", beside=bundles[1]) as http:
            assert [v["model"] for v in ok(http.get("/v1/versions"))["versions"]] == ["als", "popular"]
            assert ok(http.get("/v1/info"))["model"] == "als"


def test_another_one_takes_its_place_and_a_refit_does_not(bundles, tmp_path):
    other = tmp_path / "bias.cofactor"
    cf.fit(ratings(), model="bias", seed=0).save(other)

    def kept(http):
        return [(v["version"], v["model"]) for v in ok(http.get("/v1/versions"))["versions"]]

    with client(bundles[0], state=tmp_path / "s", beside=bundles[1]) as http:
        ok(http.post("/v1/reload", json={}))
        assert kept(http) == [(1, "als"), (2, "popular"), (3, "als")]
    with client(bundles[0], state=tmp_path / "s", beside=other) as http:
        assert kept(http) == [(1, "als"), (3, "als"), (4, "bias")]
    with client(bundles[0], state=tmp_path / "s") as http:
        assert kept(http) == [(1, "als"), (3, "als")]


def test_only_an_admin_wakes_another_version(bundles, tmp_path):
    from cofactor.serve.guard.tokens import hashed

    tokens = tmp_path / "tokens"
    tokens.write_text(f"shop read sha256:{hashed(TOKEN)}\n", encoding="utf-8")
    with client(bundles[0], state=tmp_path / "s", beside=bundles[1], tokens=tokens) as http:
        told = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
        assert ok(http.post("/v1/recommend", json={"history": HISTORY, "version": 1}, **told))
        refused(http.post("/v1/recommend", json={"history": HISTORY, "version": 2}, **told), 403, "admin")
        refused(http.get("/v1/similar-users?user=5", **told), 403, "admin")


def test_a_read_only_server_has_one_version(bundles):
    with pytest.raises(ConfigError, match="read-only"):
        Settings(bundles[0], read_only=True, beside=bundles[1])
    with client(bundles[0], read_only=True) as http:
        refused(http.post("/v1/recommend", json={"history": HISTORY, "version": 2}), 404, "no version 2")
        assert ok(http.get("/v1/versions"))["versions"][0]["figures"] == []


def test_similar_users_are_those_of_the_recommender(http, bundles):
    found = ok(http.get("/v1/similar-users?user=5&n=4"))["similar"]
    assert found == cf.load(bundles[0]).similar_users(5, 4).to_dicts()
    refused(http.get("/v1/similar-users?user=12345"), 404, "12345")


def browsed(http, query):
    return ok(http.get(f"/v1/items?{query}"))


def test_items_can_be_browsed_by_a_condition_and_in_an_order(http):
    found = browsed(http, "where=genres+contains+Comedy+and+year+%3E%3D+1960&order=year&limit=50")
    assert [i["item"] for i in found["items"]] == [100 + i for i in range(24, 9, -1) if i % 2]
    assert found["total"] == len(found["items"])
    data, means = ratings(), {}
    overall = data.values.mean(dtype=np.float64)
    for row in (
        pl.DataFrame({"i": data.items, "v": data.values})
        .group_by("i")
        .agg(pl.col("v").sum(), pl.len().alias("n"))
        .to_dicts()
    ):
        means[int(data.item_ids.values[row["i"]])] = (row["v"] + 10 * overall) / (row["n"] + 10)
    order = [i["item"] for i in browsed(http, "order=mean&limit=100")["items"]]
    assert [means[i] for i in order] == sorted(means.values(), reverse=True)
    titles = [i["title"] for i in browsed(http, "order=title&limit=100")["items"]]
    assert titles == sorted(titles, key=str.lower)
    assert browsed(http, "q=film+2&order=title&limit=3")["total"] == browsed(http, "q=film+2")["total"]
    refused(http.get("/v1/items?order=colour"), 422, "sorted by 'colour'")
    refused(http.get("/v1/items?where=colour+is+missing"), 422, "colour")


def test_the_page_learns_of_options_and_of_users_from_the_server(http, bundles, tmp_path):
    from cofactor.recommend.options import OPTIONS

    about = ok(http.get("/v1/info"))
    assert {o["name"]: (o["kind"], o["help"]) for o in about["options"]} == {
        n: (o.kind, o.help) for n, o in OPTIONS.items()
    }
    assert about["orders"] == ["ratings", "mean", "title", "year"]
    assert about["user_features"] == {}
    assert about["image_column"] is None
    data = ratings()
    table = pl.DataFrame(
        {"user": data.user_ids.values, "age": 20 + 5 * (np.arange(40) % 8), "job": ["nurse", "cook"] * 20}
    )
    place = tmp_path / "u.cofactor"
    cf.fit(cf.read(data.to_frame(), "user", "item", "rating", users=table), model="als", seed=0).save(place)
    with client(place, read_only=True) as other:
        found = ok(other.get("/v1/info"))["user_features"]
        assert found["age"] == {"range": [20, 55]}
        assert sorted(found["job"]["values"]) == ["cook", "nurse"]
        assert ok(other.post("/v1/recommend", json={"features": {"job": "cook", "age": 30}}))["recommendations"]


def test_pictures_are_loaded_only_where_the_server_was_told_so(bundles, tmp_path):
    data = ratings()
    table = data.item_table.with_columns(poster=pl.format("https://pictures.example/{}.png", "item"))
    place = tmp_path / "i.cofactor"
    cf.fit(cf.read(data.to_frame(), "user", "item", "rating", items=table), model="popular").save(place)
    for images, column in ((False, None), (True, "poster")):
        with client(place, read_only=True, images=images) as http:
            assert ok(http.get("/v1/info"))["image_column"] == column
            assert ("https:" in http.get("/").headers["content-security-policy"]) == images
