"""Bodies that are checked in parts: the same is read, and the same is said of mistakes, as of a body read at once."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cofactor.errors import ConfigError
from cofactor.serve.http import reading, schemas
from cofactor.serve.http.errors import explained
from cofactor.serve.http.routes import ROUTES

MODELS = [route.body for route in ROUTES if route.body is not None]
BODIES = [
    {"pairs": [{"user": k, "item": "a"} for k in range(5)], "interval": True},
    {"events": [{"user": k, "item": 3, "rating": 3.5, "time": "2020-01-01"} for k in range(5)], "key": "a"},
    {"histories": [[{"item": 1}, {"item": 2, "rating": 3}], [], [{"item": 3}] * 5]},
    {"user": 5, "deny": [1, 2, 3, "a"], "allow": [], "n": 4, "per_group": ["genres", 2]},
    {"history": [{"item": 3}] * 3, "item": 9},
    {"user": 4, "without": [1, 2, 3], "instead": [{"item": 3}]},
    {"events": [{"what": "shown", "request": "a", "version": 1, "items": [1, 2]},
                {"what": "clicked", "request": "b", "item": 3}] * 2},
]  # fmt: skip
PIECES = ["", "null", "1", '"', "[", "]", "{}", "5.5", "true", "-", ",", '"x"', "1e400", "9" * 25, '"\\ud800"']


def told(read, model, text):
    try:
        return "read", read(model, text)
    except ConfigError:
        return "not JSON", None
    except Exception as exc:
        said = explained(exc, "POST", "/")
        return ("not JSON", None) if "Invalid JSON" in said[1] else ("refused", said)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.sampled_from(BODIES),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2), st.sampled_from(PIECES)), max_size=2),
)
def test_in_parts_the_same_is_read(model, body, changes):
    text = json.dumps(body)
    for at, gone, piece in changes:
        at %= len(text)
        text = text[:at] + piece + text[at + gone :]
    before, reading.PART = reading.PART, 2
    try:
        found = told(reading._read_in_parts, model, text.encode())
    finally:
        reading.PART = before
    whole = told(lambda model, text: model.model_validate_json(text), model, text.encode())
    if found[0] == "not JSON":  # a number beyond all floats is none
        assert whole[0] != "read"
    else:
        assert found == whole


def test_every_long_list_of_a_request_is_checked_in_parts():
    assert {model.__name__: [*reading._lists_of(model)] for model in MODELS if reading._lists_of(model)} == {
        "Recommend": ["history", "allow", "deny"], "RecommendMany": ["users", "histories"], "Predict": ["pairs"],
        "Explain": ["history"], "WhatIf": ["history", "without", "instead"], "NewRatings": ["events"],
        "Feedback": ["events"],
    }  # fmt: skip


def test_a_mistake_is_told_with_its_place():
    pairs = [{"user": k, "item": k} for k in range(1000)]
    text = json.dumps({"pairs": [*pairs[:777], {"user": 1, "item": 1.5}, *pairs[777:]]}).encode()
    with pytest.raises(reading.WrongEntry) as exc:
        reading.read_body(schemas.Predict, text, 5000)
    assert reading.mistake(exc.value).startswith("pairs.777.item: an id must be")
    with pytest.raises(ConfigError, match=r"deny: 100,001 entries; at most 100,000"):
        reading.read_body(schemas.Recommend, json.dumps({"user": 1, "deny": [1] * 100_001}).encode(), 5000)


LARGE = {
    "pairs": (schemas.Predict, {"pairs": [{"user": k, "item": k} for k in range(2000)]}),
    "events": (schemas.NewRatings, {"events": [{"user": k, "item": k, "rating": 3} for k in range(1000)]}),
    "items": (schemas.Recommend, {"user": 5, "deny": list(range(100_000))}),
    "histories": (schemas.RecommendMany, {"histories": [[{"item": k} for k in range(300)]] * 20}),
}


@pytest.mark.parametrize("name", LARGE)
def test_no_part_holds_the_interpreter_for_long(name, monkeypatch):
    """In processor time: what is done between two lines of Python."""
    model, body = LARGE[name]
    text, longest = json.dumps(body).encode(), 0.0

    class Watched:
        def __init__(self, inner):
            self.inner = inner

        def validate_python(self, part):
            nonlocal longest
            begun = time.thread_time()
            found = self.inner.validate_python(part)
            longest = max(longest, time.thread_time() - begun)
            return found

    entries = reading._lists_of(model)
    watched = {n: of._replace(part=Watched(of.part)) for n, of in entries.items()}
    watched |= {
        n: of._replace(inner=of.inner._replace(part=Watched(of.inner.part)))
        for n, of in watched.items()
        if of.inner is not None
    }
    monkeypatch.setattr(reading, "_lists_of", lambda _: watched)
    assert reading.read_body(model, text, 8000)
    assert 0 < longest < 0.01  # a tenth of that on a free machine


def test_feedback_of_more_than_may_be_in_it_is_not_read(monkeypatch):
    """To read 100,000 ids takes 12 ms, in which nobody else is answered."""
    shown = {"what": "shown", "request": "x", "version": 1}
    whole = {"events": [shown | {"items": [f"item {k}" for k in range(20)]} for _ in range(100)]}
    assert len(reading.read_body(schemas.Feedback, json.dumps(whole).encode(), 5000).events) == 100
    monkeypatch.setattr("cofactor.serve.http.reading.orjson", None)
    text = json.dumps({"events": [shown | {"items": list(range(99_997))}]}).encode()
    with pytest.raises(ConfigError, match="99,999 values, more than a valid request"):
        reading.read_body(schemas.Feedback, text, 5000)
