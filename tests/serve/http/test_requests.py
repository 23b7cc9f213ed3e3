"""The HTTP interface: what it answers is what the Recommender says; nonsense gets one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cofactor as cf
from serve_tools import client, ok, refused, saved


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="module")
def rec(bundle):
    return cf.load(bundle)


@pytest.fixture(scope="module")
def http(bundle):
    with client(bundle, read_only=True, wait_seconds=60) as found:
        yield found


def test_lists_are_those_of_the_recommender(http, rec):
    for query, asked in (
        ("user=5&n=7", {"user": 5, "n": 7}),
        ("user=5", {"user": 5}),
        ("user=5&seen=true", {"user": 5, "seen": True}),
    ):
        expected = rec.recommend(**asked).to_dicts()
        assert ok(http.get(f"/v1/recommend?{query}"))["recommendations"] == expected
        assert ok(http.post("/v1/recommend", json=asked))["recommendations"] == expected


@pytest.mark.parametrize(
    "options",
    [
        {"n": 3, "where": "genres contains Drama and year >= 1960"},
        {"diversity": 0.5, "n": 5},
        {"calibration": 0.5},
        {"per_group": ["genres", 2]},
        {"sure": 0.9},
        {"explore": 0.9},
        {"allow": [101, 102, "Film 7 (1957)"], "seen": True},
        {"deny": [101, 102]},
    ],
)
def test_options_reach_the_recommender(http, rec, options):
    history = {101: 5.0, 103: 4.0, 104: 1.0}
    said = ok(
        http.post("/v1/recommend", json={"history": [{"item": i, "rating": r} for i, r in history.items()]} | options)
    )
    options = {k: tuple(v) if k == "per_group" else v for k, v in options.items()}
    assert said["recommendations"] == rec.recommend(history=history, **options).to_dicts()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("recommend", {"user": 5, "n": 3, "deny": [101, 102], "per_group": ["genres", 2], "seed": 3, "version": 1}),
        ("recommend", {"history": [{"item": 101, "rating": 4}], "n": 3}),
        ("recommend-many", {"users": list(range(1, 40)) * 2, "n": 1}),
        ("predict", {"pairs": [{"user": 5, "item": 101}]}),
        ("explain", {"user": 5, "item": 101, "n": 2}),
        ("what-if", {"user": 5, "without": [101], "instead": [{"item": 103, "rating": 1}], "n": 2}),
    ],
)
def test_whole_numbers_may_be_written_as_decimals(http, path, asked):
    """They are the same numbers in JSON, and some clients write all numbers that way."""

    def decimals(value):
        if isinstance(value, dict):
            return {name: decimals(one) for name, one in value.items()}
        if isinstance(value, list):
            return [decimals(one) for one in value]
        return float(value) if type(value) is int else value

    assert ok(http.post(f"/v1/{path}", json=decimals(asked))) == ok(http.post(f"/v1/{path}", json=asked))


def test_a_history_without_ratings_is_of_liked_items(http, rec):
    said = ok(http.post("/v1/recommend", json={"history": [{"item": 101}, {"item": "Film 3 (1953)"}]}))
    assert said["recommendations"] == rec.recommend(history=[101, 103]).to_dicts()
    assert {row["status"] for row in said["recommendations"]} == {"from the history"}


def test_bounds_of_a_list(http, rec):
    rows = ok(http.post("/v1/recommend", json={"user": 5, "interval": 0.9}))["recommendations"]
    pairs = rec.predict([(5, row["item"]) for row in rows], interval=True)
    np.testing.assert_allclose([row["low"] for row in rows], pairs["low"], atol=1e-6)
    np.testing.assert_allclose([row["high"] for row in rows], pairs["high"], atol=1e-6)
    assert all(row["low"] <= row["score"] <= row["high"] for row in rows)
    nobody = ok(http.post("/v1/recommend", json={"user": 999, "unknown": "popular", "interval": 0.9}))[
        "recommendations"
    ]
    assert nobody[0]["low"] is None
    assert nobody[0]["status"] == "unknown user: most rated"


def test_predictions(http, rec):
    asked = {"pairs": [{"user": 5, "item": 101}, {"user": 6, "item": "Film 2 (1952)"}], "interval": True}
    found = ok(http.post("/v1/predict", json=asked))["predictions"]
    assert found == rec.predict([(5, 101), (6, 102)], interval=True).to_dicts()
    unknown = ok(http.post("/v1/predict", json={"pairs": [{"user": 99, "item": 101}], "unknown": "popular"}))
    assert "unknown user" in unknown["predictions"][0]["status"]


def test_explanations_sum(http, rec):
    said = ok(http.post("/v1/explain", json={"user": 5, "item": 101}))
    assert sum(row["value"] for row in said["terms"]) == pytest.approx(said["prediction"], abs=1e-5)
    assert sum(row["contribution"] for row in said["rated"]) + said["rest"] == pytest.approx(
        said["prediction"], abs=1e-5
    )
    assert said["because"] == rec.explain(5, 101).because()
    told = ok(http.post("/v1/explain", json={"history": [{"item": 101, "rating": 5}], "item": 103}))
    assert told["user"] is None


def test_what_if(http, rec):
    rated = rec.data.item_ids.decode(rec.data.by_user.row(rec.data.user_ids.code(5))[0]).to_list()
    found = ok(http.post("/v1/what-if", json={"user": 5, "without": rated[:2]}))["changes"]
    assert found == rec.what_if(5, without=rated[:2]).to_dicts()


def test_looking_around(http, rec):
    assert ok(http.get("/health")) == {"status": "ok"}
    assert ok(http.get("/ready"))["version"] == 1
    about = ok(http.get("/v1/info"))
    assert about["model"] == "als"
    assert about["scale"] == {"low": 1.0, "high": 5.0, "step": 1.0, "liked": 4.0} | {"liked": rec.scale.liked}
    assert about["read_only"] is True
    assert about["can"]["update"] is False
    assert about["groups"] == ["genres"]
    assert about["group_values"] == {"genres": ["Crime", "Drama", "Comedy"]}
    found = ok(http.get("/v1/items?q=film+7"))
    assert found["items"][0]["title"] == "Film 7 (1957)"
    everything = ok(http.get("/v1/items?limit=100"))
    assert everything["total"] == 25
    counts = [row["ratings"] for row in everything["items"]]
    assert counts == sorted(counts, reverse=True)
    assert ok(http.get("/v1/items?q=nothing+at+all")) == {"items": [], "total": 0}
    item = ok(http.get("/v1/item?item=107"))
    assert item["title"] == "Film 7 (1957)"
    assert sum(bar["count"] for bar in item["histogram"]) == item["ratings"]
    assert item["table"] == {"year": 1957, "genres": "Comedy"}
    assert item["neighbours"] == rec.similar_items(107).to_dicts()
    assert ok(http.get("/v1/similar?item=107&n=3"))["similar"] == rec.similar_items(107, 3).to_dicts()
    assert ok(http.get("/v1/biases?n=2"))["biases"] == rec.biases(2).to_dicts()
    assert ok(http.get("/v1/users?q=4&limit=3"))["total"] == 5
    user = ok(http.get("/v1/user?user=5"))
    assert user["total"] == len(user["ratings"])
    times = [row["time"] for row in user["ratings"]]
    assert times == sorted(times, reverse=True)
    placed = ok(http.get("/v1/map?limit=10"))
    assert len(placed["items"]) == 10
    assert all(-0.1 <= row["x"] <= 1.1 and row["group"] in placed["groups"] for row in placed["items"])
    assert set(placed["groups"]) == {"Drama", "Crime", "Comedy"}
    for row in placed["items"][:5]:
        own = http.get(f"/v1/item?item={row['item']}").json()["table"]["genres"].split("|")
        assert row["group"] == max(own, key=placed["groups"].index)  # the rarest that it has
    assert ok(http.get("/v1/versions"))["versions"][0]["active"] is True
    assert "cofactor_requests_total" in http.get("/metrics").text


def test_the_page_and_the_description(http):
    page = http.get("/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == http.get("/assets/base.css").headers["cache-control"] == "no-cache"
    assert http.get("/v1/info").headers["cache-control"] == "no-store"
    assert http.head("/health").status_code == http.head("/v1/info").status_code == 200
    paths = ok(http.get("/openapi.json"))["paths"]
    assert {"/v1/recommend", "/v1/events", "/v1/explain"} <= set(paths)
    assert http.get("/assets/../app.py").status_code == 404
    assert http.get("/assets/%2e%2e/app.py").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"user": 999}, 404, ["unknown user 999", "from 1 to 40"]),
        ({"user": "5"}, 404, ["it is text", "write 5"]),
        ({"user": True}, 422, ["user"]),
        ({"user": 10**30}, 422, ["user"]),
        ({"user": [5]}, 422, ["user"]),
        ({}, 422, ["either a user or a history"]),
        ({"user": 5, "history": []}, 422, ["not both"]),
        ({"history": [{"item": "Film 7"}]}, 404, ["Did you mean"]),
        ({"history": [{"item": 101, "rating": 9}]}, 422, ["from 1 to 5"]),
        ({"history": [{"item": 101, "rating": "x"}]}, 422, ["history.0.rating"]),
        ({"history": [{"item": 101}, {"item": 101}]}, 422, ["twice"]),
        ({"history": [{"item": 101}, {"item": "Film 1 (1951)"}]}, 422, ["twice"]),
        ({"user": 5, "n": 0}, 422, ["n"]),
        ({"user": 5, "n": 1001}, 422, ["n"]),
        ({"user": 5, "n": 2.5}, 422, ["n"]),
        ({"user": 5, "count": 3}, 422, ["count"]),
        ({"user": 5, "where": "genre contains Drama"}, 422, ["genre"]),
        ({"user": 5, "where": "("}, 422, []),
        ({"user": 5, "diversity": 2}, 422, ["diversity"]),
        ({"user": 5, "per_group": ["colour", 1]}, 422, ["colour"]),
        ({"user": 5, "sure": 0.9, "explore": 0.9}, 422, ["not both"]),
        ({"user": 5, "explore": "draw"}, 422, ["posterior"]),
        ({"user": 5, "allow": [{"a": 1}]}, 422, ["allow"]),
        ({"user": "\ud800"}, 422, ["JSON"]),
    ],
)
def test_nonsense_gets_one_sentence(http, asked, status, words):
    body = json.dumps(asked).encode()
    refused(http.post("/v1/recommend", content=body, headers={"content-type": "application/json"}), status, *words)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 200_000,
        b"nul",
        b'{"user": NaN}',
        b'{"user": 1e999}',
        b"\xff\xfe",
        b'{"user": 5' + b" " * 100 + b",}",
        b'"text"',
        b"7",
    ],
)
def test_bodies_that_are_no_request(http, body):
    answer = http.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["detail"]


def test_other_ways_to_ask_wrongly(http):
    refused(http.get("/v1/nothing"), 404)
    refused(http.put("/v1/recommend", json={}), 405)
    refused(http.get("/v1/recommend"), 422, "user")
    refused(http.get("/v1/recommend?user=5&n=0"), 422, "n")
    refused(http.get("/v1/recommend?user=abc"), 404, "it is text")
    refused(http.get("/v1/item?item=5"), 404, "unknown item 5")
    refused(http.get("/v1/items?limit=100000"), 422, "limit")
    refused(http.get("/v1/items?offset=-1"), 422, "offset")
    refused(http.post("/v1/explain", json={"user": 5, "item": 1}), 404, "unknown item 1")
    refused(http.post("/v1/what-if", json={"user": 5, "without": [1]}), 404, "unknown item 1")
    refused(http.post("/v1/events", json={"events": [{"user": 5, "item": 101, "rating": 5}]}), 422, "read-only")
    refused(http.post("/v1/refit", json={}), 422, "read-only")
    refused(http.post("/v1/rollback", json={}), 422, "read-only")


def test_every_model_can_be_served(tmp_path):
    for model, options in (
        ("bayes-mf", {"epochs": 12, "burn_in": 4}),
        ("ease", {}),
        ("popular", {}),
        ("bias", {}),
        ("item-knn", {}),
    ):
        with client(saved(tmp_path, model, f"{model}.cofactor", **options), read_only=True, wait_seconds=60) as http:
            about = ok(http.get("/v1/info"))
            assert about["model"] == model
            assert ok(http.get("/v1/recommend?user=5"))["recommendations"]
            told = {"history": [{"item": 101}], "n": 3} | ({"interval": 0.8} if about["can"]["intervals"] else {})
            assert ok(http.post("/v1/recommend", json=told))["recommendations"]
            assert http.post("/v1/explain", json={"user": 5, "item": 101}).status_code == 200
            assert ok(http.get("/v1/item?item=101"))["item"] == 101
            assert ok(http.get("/v1/map"))["items"]


def test_ids_of_text(tmp_path):
    with client(saved(tmp_path, "bias", text_ids=True), read_only=True) as http:
        assert ok(http.get("/v1/info"))["id_types"] == {"user": "text", "item": "text"}
        assert ok(http.get("/v1/recommend?user=5"))["recommendations"]
        refused(http.post("/v1/recommend", json={"user": 5}), 404, "a number")
