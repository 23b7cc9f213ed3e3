"""A list option is declared once, and reaches Python, the command line, HTTP and the key of a job."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

import cofactor as cf
from cofactor.cli.list_flags import list_options_of
from cofactor.cli.recommend import command
from cofactor.errors import ConfigError
from cofactor.recommend.batch.job_key import RESOLVED, job_key
from cofactor.recommend.options import OPTIONS, ListOptions, list_options
from cofactor.recommend.recommend import rules_of
from toys import two_tastes

OTHER: dict[str, Any] = {
    "n": 3,
    "seen": True,
    "allow": [100, 101, 102],
    "deny": [100],
    "where": "year >= 1990",
    "per_group": ("genres", 2),
    "diversity": 0.5,
    "calibration": ("genres", 0.5),
    "sure": 0.9,
    "explore": 0.9,
    "interval": 0.8,
    "seed": 3,
    "unknown": "skip",
}
"""A value of each option that is not its default."""
FLAGS: dict[str, list[str]] = {
    "n": ["-n", "3"],
    "seen": ["--seen"],
    "allow": ["--allow", "100", "--allow", "101", "--allow", "102"],
    "deny": ["--deny", "100"],
    "where": ["--where", "year >= 1990"],
    "per_group": ["--per-group", "genres=2"],
    "diversity": ["--diversity", "0.5"],
    "calibration": ["--calibration", "genres=0.5"],
    "sure": ["--sure", "0.9"],
    "explore": ["--explore", "0.9"],
    "interval": ["--interval", "0.8"],
    "seed": ["--seed", "3"],
    "unknown": ["--unknown", "skip"],
}


@pytest.fixture(scope="module")
def rec() -> cf.Recommender:
    return cf.fit(two_tastes(), model="bayes-mf", seed=1, n_factors=3, epochs=12, burn_in=4)


@pytest.fixture(scope="module")
def bundle(rec, tmp_path_factory):
    place = tmp_path_factory.mktemp("options") / "m.cofactor"
    rec.save(place)
    return place


def test_every_option_has_a_case():
    assert set(OTHER) == set(FLAGS) == set(OPTIONS) == set(ListOptions.__annotations__)
    for name, option in OPTIONS.items():
        assert list_options()[name] == option.default != OTHER[name]
        assert option.help.endswith(".")


@pytest.mark.parametrize("name", OPTIONS)
def test_the_command_line_says_the_same_as_python(name, rec, bundle, typed):
    code, out, err = typed("recommend", bundle, "--user", "5", *FLAGS[name], "--json")
    assert code == 0, err
    wanted = rec.recommend(5, **{name: OTHER[name]})
    assert [row["item"] for row in json.loads(out)] == wanted["item"].to_list()
    assert all(list(row) == wanted.columns for row in json.loads(out))


def test_flags_carry_the_declared_help_and_default():
    parameters = inspect.signature(command).parameters
    for name, option in OPTIONS.items():
        declared = parameters[name].default
        assert declared.help.startswith(option.help)
        assert list_options_of({name: declared.default}, None)[name] == option.default  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OPTIONS)
def test_http_says_the_same_as_python(name, rec):
    schemas = pytest.importorskip("cofactor.serve.http.schemas", reason="the serve extra is not installed")
    value = OTHER[name] if name != "calibration" else 0.5
    asked = schemas.Recommend.model_validate_json(json.dumps({"user": 5, name: value}))
    given = asked.model_dump(exclude={"user", "history", "features"}, exclude_defaults=True)
    assert given == {name: value}
    assert rec.recommend(5, **given).equals(rec.recommend(5, **{name: value}))
    assert schemas.Recommend.model_fields[name].description == OPTIONS[name].help


@pytest.mark.parametrize("name", OPTIONS)
def test_a_job_with_another_option_is_another_job(name, rec):
    def key(**given: Any) -> str:
        return job_key(rec, rules_of(rec, list_options(**given)), 100, np.arange(3))

    assert key() == key(**{name: OPTIONS[name].default})
    if OPTIONS[name].kind != "policy":
        assert key() != key(**{name: OTHER[name]})
    assert {"ids", "predicate", "policy"} == set(RESOLVED)


def test_intervals_are_those_of_predictions(rec):
    frame = rec.recommend(5, n=6, interval=0.8)
    found = rec.predict([(5, item) for item in frame["item"]], interval=True, level=0.8)
    np.testing.assert_allclose(frame["low"], found["low"], atol=1e-5)
    np.testing.assert_allclose(frame["high"], found["high"], atol=1e-5)
    every = rec.recommend_all(n=6, interval=0.8)
    mine = every.filter(every["user"] == 5)
    assert mine["low"].equals(frame["low"])
    assert mine["high"].equals(frame["high"])
    assert rec.recommend(999, n=2, interval=0.8, unknown="popular")["low"].null_count() == 2


def test_a_history_has_intervals_with_one_fold_in(rec, monkeypatch):
    calls = []
    plain = type(rec.model).fold_in
    monkeypatch.setattr(type(rec.model), "fold_in", lambda self, rows: calls.append(rows) or plain(self, rows))
    frame = rec.recommend(history={100: 5.0, 101: 4.0}, n=3, interval=0.9)
    assert len(calls) == 1
    assert (frame["low"] <= frame["score"]).all()
    assert (frame["high"] >= frame["score"]).all()


def test_what_makes_no_sense_is_said(rec):
    with pytest.raises(ConfigError, match="no list option 'intervall'"):
        rec.recommend(5, intervall=0.9)
    with pytest.raises(ConfigError, match=r"interval is 2.*level between 0 and 1"):
        rec.recommend(5, interval=2)
    with pytest.raises(ConfigError, match="per-group is 'genres'"):
        list_options_of({"per_group": "genres"}, None)  # type: ignore[arg-type]
