"""What could be understood in two ways is refused: a field twice in a body, a header twice, an id in other words."""

from __future__ import annotations

import json

import pytest

from cofactor.serve.http.reading import fields_of, read_body
from cofactor.serve.http.routes import ROUTES
from serve_tools import TOKEN, client, ok, refused, said, saved, serving


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("ambiguous"), "bias")


BODIES = {
    "/v1/recommend": {"history": [{"item": 101, "rating": 5}, {"item": 102}], "features": {"a:b": "c"}, "n": 3},
    "/v1/recommend-many": {"histories": [[{"item": 101, "rating": 5}], [], [{"item": 102}, {"item": 101}]]},
    "/v1/predict": {"pairs": [{"user": 1, "item": 101}], "interval": True},
    "/v1/explain": {"user": 1, "item": 101},
    "/v1/what-if": {"user": 1, "instead": [{"item": 101, "rating": 5}], "without": [102]},
    "/v1/events": {"events": [{"user": 1, "item": 101, "time": "2020-01-01T10:00:00"}, {"user": 2, "item": 102}]},
    "/v1/reload": {"path": "x:y"},
    "/v1/rollback": {"version": 1},
    "/v1/refit": {"warm": True},
    "/v1/feedback": {
        "events": [
            {"what": "shown", "request": "a:b", "version": 1, "items": [101, "x:y"]},
            {"what": "clicked", "request": "a", "item": 101},
        ]
    },
    "/v1/experiment": {"version": 1, "share": 0.5},
}


def objects(value, path=()):
    """The paths of all objects in a body."""
    if isinstance(value, dict):
        yield path
        for name, one in value.items():
            yield from objects(one, (*path, name))
    if isinstance(value, list):
        for at, one in enumerate(value):
            yield from objects(one, (*path, at))


def with_one_twice(value, path, name):
    """JSON of a body in which the object at a path (None: none here) gives a field again."""

    def inside(step, one):
        return with_one_twice(one, path[1:] if path and path[0] == step else None, name)

    if isinstance(value, dict):
        parts = [f"{json.dumps(field)}: {inside(field, one)}" for field, one in value.items()]
        again = [f"{json.dumps(name)}: {json.dumps(value[name])}"] if path == () else []
        return "{" + ", ".join(parts + again) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inside(at, one) for at, one in enumerate(value)) + "]"
    return json.dumps(value)


def test_every_body_is_here():
    assert set(BODIES) == {route.path for route in ROUTES if route.body is not None}


@pytest.mark.parametrize("path", BODIES)
def test_a_field_that_comes_twice_is_refused_wherever_it_stands(path):
    model = next(route.body for route in ROUTES if route.path == path and route.body is not None)
    body = BODIES[path]
    found = read_body(model, json.dumps(body).encode(), 100)
    plain = json.dumps(body).replace("a:b", "").replace("x:y", "").replace("10:00:00", "")
    assert fields_of(found) == plain.count(":")  # so that most bodies are looked at once only
    for place in objects(body):
        inside = body
        for step in place:
            inside = inside[step]
        for name in inside:
            text = with_one_twice(body, place, name)
            assert json.loads(text) == body
            with pytest.raises(Exception, match=f"'{name}' twice"):
                read_body(model, text.encode(), 100)


def test_a_field_that_comes_twice_over_http(bundle):
    typed = {"content-type": "application/json"}
    with client(bundle, read_only=True) as http:
        for sent in ('{"user": 1, "user": 2}', '{"user": 1, "n": 3, "\\u006e": 4}'):
            refused(http.post("/v1/recommend", content=sent, headers=typed), 422, "twice")


HEAD = b"GET /v1/recommend?user=5 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "more",
    [
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\nAuthorization: Bearer other\r\n",
        b"Authorization: Bearer other\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n",
        b"Origin: http://localhost\r\nOrigin: http://evil\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n",
        b"Host: evil\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n",
    ],
)
def test_headers_that_decide_come_once(bundle, more):
    with serving(bundle, read_only=True, token=TOKEN) as (port, _):
        assert said(port, HEAD + more + b"\r\n")[0] == 400
        assert said(port, HEAD + b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n")[0] == 200


def test_who_may_not_list_users_learns_of_none(tmp_path):
    from cofactor.serve.guard.tokens import line_of

    scopes = frozenset({"read", "events"})
    for text_ids in (True, False):
        bundle = saved(tmp_path, "bias", name=f"m{text_ids}.cofactor", text_ids=text_ids)
        (tmp_path / "tokens").write_text(line_of("shop", scopes, TOKEN) + "\n")
        headers = {"authorization": f"Bearer {TOKEN}"}
        known = "31" if text_ids else 31
        with client(bundle, state=tmp_path / f"s{text_ids}", tokens=tmp_path / "tokens", headers=headers) as http:
            for wrong in (310, "310", "3l", 'a.b; c: O\'Brien "x"', -1, 2**62, "\u00e9", "e\u0301"):
                asked = [
                    http.post("/v1/recommend", json={"user": wrong}),
                    http.post("/v1/explain", json={"user": wrong, "item": "101" if text_ids else 101}),
                    http.post("/v1/predict", json={"pairs": [{"user": wrong, "item": 101}]}),
                    http.post("/v1/recommend-many", json={"users": [known, wrong]}),
                    http.post("/v1/recommend", json={"user": known, "deny": [wrong]}),
                ]
                if isinstance(wrong, str) != text_ids:
                    asked.append(http.post("/v1/events", json={"events": [{"user": wrong, "item": 101}]}))
                for answer in asked:
                    if answer.status_code == 200 or "unknown user" not in (said := answer.json()["detail"]):
                        continue
                    assert said.partition("unknown user ")[2] == repr(wrong), said
            assert ok(http.post("/v1/recommend", json={"user": known}))


def test_parts_of_a_file_are_not_given(bundle):
    """Of ranges that overlap a thousand times an answer could be made that is much larger than the file."""
    with client(bundle, read_only=True) as http:
        whole = http.get("/assets/explorer.js")
        many = "bytes=" + ",".join(f"0-{k}" for k in range(900))
        for ranges in ("bytes=0-0", many, "bytes=-1", "nonsense"):
            answer = http.get("/assets/explorer.js", headers={"range": ranges})
            assert (answer.status_code, answer.content) == (200, whole.content)
