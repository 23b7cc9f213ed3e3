"""People of whom features are known: what users like them score, alone and as a start for what they rated."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.features.with_features import with_features
from cofactor.errors import ConfigError, DataError
from cofactor.models import REGISTRY
from cofactor.recommend.cold_start import users as described
from cofactor.recommend.cold_start.regression import RIDGE
from cofactor.recommend.cold_start.users import WORTH, feature_prior, sizes
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.profiles import new_user, scores_of
from cofactor.recommend.uncertainty import interval_of
from toys import two_tastes as table

QUICK = {
    "bayes-mf": {"epochs": 30, "burn_in": 10, "n_factors": 3},
    "dot-bias": {"n_factors": 3, "epochs": 20},
    "als": {"n_factors": 4},
    "ials": {"n_factors": 4},
    "neural": {"epochs": 2},
    "bpr": {"epochs": 5},
    "warp": {"epochs": 5},
}


def people(data=None):
    """The toy table, with a table of users: their taste goes by ``club``, and nothing by ``age``."""
    data = table() if data is None else data
    n = data.n_users
    side = pl.DataFrame(
        {
            "user": data.user_ids.values,
            "club": ["red" if i < n // 2 else "blue" for i in range(n)],
            "age": [20 + i % 30 for i in range(n)],
            "tags": [["x", "y"] if i % 3 else ["z"] for i in range(n)],
            "name": [f"person {i}" for i in range(n)],
        }
    )
    return data.replace(user_table=side)


@pytest.fixture(scope="module")
def rec():
    return cf.fit(people(), model="als", seed=1, n_factors=4)


def test_what_is_expected_is_a_ridge_regression_of_each_items_scores(rec):
    assert feature_prior(rec).names[-3:] == ("tags=x", "tags=y", "tags=z")
    assert not any(name.startswith("name") for name in feature_prior(rec).names)  # which names each one apart
    table, scores = rec.data.user_table, rec.model.scores(np.arange(60, dtype=np.int32))
    columns = [[float(club == c) for club in table["club"]] for c in ("blue", "red")]
    data = with_features(rec.data, user=["club"])
    found = cf.fit(data, model="als", seed=1, n_factors=4)
    who = new_user(found, None, "error", {"club": "blue"})
    rows = np.array(columns).T - np.mean(columns, axis=1)
    design = np.concatenate([np.column_stack([np.ones(60), rows]), np.sqrt(RIDGE) * np.eye(3)[1:]])
    wanted = np.linalg.lstsq(design, np.concatenate([scores, np.zeros((2, 40))]), rcond=None)[0]
    mine = np.array([1.0, 1.0, 0.0]) - np.array([0.0, *np.mean(columns, axis=1)])
    np.testing.assert_allclose(scores_of(found, who), mine @ wanted, atol=1e-5)
    assert who.status == "from features"


@pytest.mark.parametrize("name", ["als", "bayes-mf", "dot-bias", "item-knn", "ease", "ials", "blend"])
def test_lists_go_by_the_club(name):
    data = people()
    if name == "ials":  # it goes by what is rated, which in this table says nothing
        data = data.take(data.values > 3.3)
    found = cf.fit(data, model=name, calibrate=False, **QUICK.get(name, {}))
    for club, mine, theirs in (("red", 100, 120), ("blue", 120, 100)):
        frame = found.recommend(features={"club": club}, n=5)
        assert all(mine <= item < mine + 20 for item in frame["item"]), frame
        assert set(frame["status"]) == {"from features"}
        assert all(reason.startswith(f"club {club}: +") for reason in frame["reason"])
        both = found.recommend(features={"club": club}, history={mine + 1: 5}, n=3)
        assert set(both["status"]) == {"from the history and features"}
        assert all(r == f"you gave 5 to {mine + 1}" or r.startswith(f"club {club}: +") for r in both["reason"])
        assert mine + 1 not in both["item"].to_list()
        low = found.data.range[0]
        ratings = dict.fromkeys(range(theirs, theirs + 15), 5) | dict.fromkeys(range(mine, mine + 5), low)
        turned = found.recommend(features={"club": club}, history=ratings, n=3)  # ratings say more than a club
        assert all(theirs <= item < theirs + 20 for item in turned["item"]), turned


@pytest.mark.parametrize("name", [n for n in sorted(REGISTRY) if n not in ("bias", "popular")])
def test_every_model_takes_features_alone_and_with_a_history(name):
    if name == "neural":
        pytest.importorskip("torch", reason="the torch extra is not installed")
    found = cf.fit(people(), model=name, calibrate=False, **QUICK.get(name, {}))
    for history, status in ((None, "from features"), ({103: 5.0, 125: 1.0}, "from the history and features")):
        red, blue = (found.recommend(features={"club": c}, history=history, n=20) for c in ("red", "blue"))
        assert {*red["status"], *blue["status"]} == {status}
        assert np.isfinite(red["score"].to_numpy()).all()
        assert not red.equals(blue)


def test_ratings_go_on_from_what_is_expected():
    """With biases alone: the mean of what is expected and of the ratings, as many as they are."""
    found = cf.fit(people(), model="bias", calibrate=False, reg_user=5.0)
    expected = scores_of(found, new_user(found, None, "error", {"age": 23}))
    mean, bias, _, _ = found.model._arrays()
    prior = expected[0] - mean - bias[0]
    assert abs(prior) > 1e-3
    history = {103: 3.5, 110: 3.0, 125: 2.5}
    left = [value - mean - bias[found.items.code(item)] for item, value in history.items()]
    who = new_user(found, history, "error", {"age": 23})
    np.testing.assert_allclose(scores_of(found, who), mean + bias + (5.0 * prior + sum(left)) / (5.0 + 3), atol=1e-5)


def test_for_rankers_it_counts_as_some_more_ratings():
    found = cf.fit(people(), model="ease")
    alone = scores_of(found, new_user(found, {103: 5}, "error"))
    expected = scores_of(found, new_user(found, None, "error", {"club": "red"}))
    both = scores_of(found, new_user(found, {103: 5}, "error", {"club": "red"}))
    np.testing.assert_allclose(both, alone + WORTH / found.data.by_user.counts.mean() * expected, rtol=1e-5)


def test_what_cannot_be_used_is_said(rec):
    def status(features, **more):
        return rec.recommend(features=features, n=1, **more)["status"][0]

    assert status({"club": "Zombie"}) == "empty history; no known feature; never seen: club=Zombie"
    assert status({"club": None}) == "empty history; no known feature"
    assert status({}) == "empty history; no known feature"
    assert status({"club": "red", "tags": ["x", "q"]}) == "from features; never seen: tags=q"
    assert status({"club": "red", "tags": "x|q"}) == "from features; never seen: tags=q"
    assert status({"age": 23}, history={103: 5, 999: 1}, unknown="skip").endswith("features; 1 unknown item left out")
    assert status({"club": "red", "klub": 1}, unknown="popular") == "from features; no column klub"
    assert status({"klub": 1}, unknown="skip", history=[103]) == "from the history; no known feature; no column klub"
    same = rec.recommend(features={"club": "Zombie"}).drop("status")
    assert same.equals(rec.recommend(history={}).drop("status"))
    with pytest.raises(
        ConfigError, match=r"no feature 'klub'; their features are: club, age, tags. Did you mean 'club'"
    ):
        rec.recommend(features={"klub": "red"})
    with pytest.raises(DataError, match=r"'club' is <object object at .*; give text, a number, or a list of texts"):
        rec.recommend(features={"club": object()})
    with pytest.raises(DataError, match="cannot be made into features"):
        rec.recommend(features={"club": {"a": 1}})
    with pytest.raises(ConfigError, match=r"features is \['red'\]; give columns"):
        rec.recommend(features=["red"])
    for given in ({}, {"user": 3, "features": {"age": 23}}, {"user": 3, "history": [103], "features": {"age": 23}}):
        with pytest.raises(ConfigError, match="give either a user"):
            rec.recommend(**given)


def test_numbers_go_to_their_bins(rec):
    one, text, numpy = (rec.recommend(features={"age": age}) for age in (23, "23", np.int64(23)))
    assert one.equals(text)
    assert one.equals(numpy)
    assert rec.recommend(features={"age": 7})["score"].equals(rec.recommend(features={"age": 20})["score"])
    standard = cf.fit(with_features(rec.data, user=["age"], numbers="standardise"), model="als", n_factors=4)
    assert standard.recommend(features={"age": 23})["status"][0] == "from features"
    with pytest.raises(DataError, match="'age' is String; it was Int64 in training"):
        standard.recommend(features={"age": "old"})


def test_a_model_or_table_that_says_nothing_says_so(rec):
    alike = cf.fit(people(), model="popular")
    frame = alike.recommend(features={"club": "red"})
    assert set(frame["status"]) == {"empty history; features change no score of popular"}
    assert frame["item"].equals(alike.recommend(history={})["item"])
    bare = cf.fit(rec.data.replace(user_table=None), model="als", n_factors=4)
    frame = bare.recommend(features={"club": "red"}, history=[103])
    assert set(frame["status"]) == {"from the history; no features of known users to learn from"}
    assert frame.drop("status").equals(bare.recommend(history=[103]).drop("status"))


def test_doubt_is_about_what_is_expected_too():
    bayes = cf.fit(people(), model="bayes-mf", seed=1, **QUICK["bayes-mf"])
    plain = bayes.recommend(features={"club": "blue"}, n=40)
    scores = dict(plain.select("item", "score").rows())
    for options, sign in (({"sure": 0.9}, -1), ({"explore": 0.9}, 1)):
        bound = dict(bayes.recommend(features={"club": "blue"}, n=40, **options).select("item", "score").rows())
        assert all(sign * (bound[item] - scores[item]) >= 0 for item in scores)
    who = new_user(bayes, {103: 4, 125: 2}, "error", {"club": "blue"})
    mean, low, high = interval_of(bayes, who, scores_of(bayes, who), 0.3)
    _, before_low, before_high = (a[0] for a in bayes.model.interval_from(who.state, 0.3))
    bottom, top = bayes.data.range
    cut = (before_low <= bottom) | (before_high >= top)
    assert 0 < cut.sum() < 40
    np.testing.assert_allclose(
        (high - before_high)[~cut], np.clip(who.shift, bottom - before_high, top - before_high)[~cut], atol=1e-5
    )
    assert (low[before_low <= bottom] == bottom).all()
    assert (high[before_high >= top] == top).all()
    assert (low <= mean).all()
    assert (mean <= high).all()
    drawn = bayes.recommend(features={"club": "blue"}, n=10, explore="draw")
    assert np.mean([item >= 120 for item in drawn["item"]]) > 0.7
    with pytest.raises(ConfigError, match="scores are not ratings"):
        cf.fit(people(), model="ease").recommend(features={"club": "blue"}, sure=0.9)


def test_large_catalogues_take_fewer_features_and_users(rec, monkeypatch):
    assert sizes(2000) == (200, 3000, 64)
    assert sizes(50_000) == (200, 3000, 64)
    assert sizes(1_000_000) == (10, 300, 3)
    for n in (1, 10_000, 70_000, 300_000, 3_000_000):
        size = sizes(n)
        assert 16 * size.features * n + 12 * size.block * n <= 200e6
        assert min(size) >= 1
    monkeypatch.setattr(described, "SUMS", 16 * 40 * 4)
    monkeypatch.setattr(described, "SCORED", 12 * 40 * 7)
    asked = []
    scores = type(rec.model).scores
    monkeypatch.setattr(type(rec.model), "scores", lambda self, users: asked.append(len(users)) or scores(self, users))
    few = feature_prior(Fitted(rec.model, rec.data))
    assert few.coefficients.shape == (4, 40)
    assert asked == [7] * 8 + [4]
    np.testing.assert_allclose(few.level, feature_prior(rec).level, rtol=1e-5)


def test_texts_count_as_dates_where_the_table_has_dates(rec, tmp_path, typed):
    data = rec.data
    born = [dt.date(1950 if i < 30 else 1990, 5, 1 + i % 20) for i in range(60)]
    side = pl.DataFrame({"user": data.user_ids.values, "born": born})
    found = cf.fit(data.replace(user_table=side), model="als", seed=1, n_factors=4, calibrate=False)
    assert feature_prior(found).names == ("born=1950", "born=1990")
    for text in ("1990-05-01", "1990-12-31 10:30", "1990-01-02T10:30:00", 1990, "1990"):
        frame = found.recommend(features={"born": text}, n=5)
        assert set(frame["status"]) == {"from features"}
        assert all(item >= 120 for item in frame["item"])
    wanted = found.recommend(features={"born": dt.date(1990, 5, 1)}, n=5)
    assert found.recommend(features={"born": "1990-05-01"}, n=5).drop("reason").equals(wanted.drop("reason"))
    for text in ("1990-13-01", "1990-05-01st", "May"):
        status = found.recommend(features={"born": text}, n=1)["status"][0]
        assert status.endswith(f"never seen: born={text}")
    standard = with_features(found.data, user=["born"], numbers="standardise")
    plain = cf.fit(standard, model="als", seed=1, n_factors=4, calibrate=False)
    lists = [plain.recommend(features={"born": b}, n=5)["item"] for b in ("1990-05-01", dt.date(1990, 5, 1))]
    assert lists[0].equals(lists[1])
    named = cf.fit(data, model="als", seed=1, n_factors=4, calibrate=False)  # a text stays one where texts are known
    assert named.recommend(features={"club": "1990-05-01"}, n=1)["status"][0].endswith("never seen: club=1990-05-01")
    plain.save(tmp_path / "m.cofactor")
    ask = ("recommend", str(tmp_path / "m.cofactor"), "-n", 5, "--json", "--feature")
    for given in ("born=1990-05-01", "born=1990"):
        code, out, err = typed(*ask, given)
        assert code == 0, err
        if given == "born=1990-05-01":
            assert [row["item"] for row in json.loads(out)] == lists[0].to_list()
        assert {row["status"] for row in json.loads(out)} == {"from features"}


def test_bundles_and_updated_recommenders_give_the_same(rec, tmp_path):
    wanted = rec.recommend(features={"club": "red"}, history={103: 4})
    rec.save(tmp_path / "m.cofactor")
    assert cf.load(tmp_path / "m.cofactor").recommend(features={"club": "red"}, history={103: 4}).equals(wanted)
    assert rec.update([(3, 130, 5)]).recommend(features={"club": "red"}, history={103: 4}).equals(wanted)


def test_filters_and_shapes_hold(rec):
    frame = rec.recommend(features={"club": "red"}, n=5, deny=[100, 101], where="year >= 1990", per_group=("genres", 3))
    assert not {100, 101} & set(frame["item"])
    assert all(item >= 110 for item in frame["item"])


def test_on_the_command_line(rec, tmp_path, typed):
    rec.save(tmp_path / "m.cofactor")
    ask = ("recommend", str(tmp_path / "m.cofactor"), "-n", 3, "--json")
    code, out, err = typed(*ask, "--feature", "club=red", "--feature", "age=23")
    assert code == 0, err
    wanted = rec.recommend(features={"club": "red", "age": 23}, n=3)
    assert pl.DataFrame(json.loads(out)).drop("score").equals(wanted.drop("score").cast({"rank": pl.Int64}))
    _, out, _ = typed(*ask, "--feature", "tags=z|q", "--liked", "103=4")
    assert json.loads(out)[0]["status"] == "from the history and features; never seen: tags=q"
    for args, words in (
        (("--feature", "klub=red"), "no feature 'klub'"),
        (("--feature", "club"), "write it as 'club=VALUE'"),
        (("--feature", "club=red", "--feature", "club=blue"), "names 'club' twice"),
        (("--feature", "club=red", "--user", "3"), "give exactly one of"),
    ):
        code, _, err = typed(*ask, *args)
        assert code == 2
        assert words in err


def test_over_http(tmp_path):
    pytest.importorskip("fastapi", reason="the serve extra is not installed")
    from serve_tools import client

    bayes = cf.fit(people(), model="bayes-mf", seed=1, **QUICK["bayes-mf"])
    bayes.save(tmp_path / "m.cofactor")
    with client(tmp_path / "m.cofactor", read_only=True) as http:
        rec, asked = http.app.state.live.now.rec, []
        rec.remember("feature_prior", lambda: asked.append(1))
        assert not asked  # it was learned before anybody asks

        def ask(**body):
            return http.post("/v1/recommend", json=body | {"n": 3})

        features = {"club": "red", "tags": ["x"], "age": 23}
        wanted = bayes.recommend(features=features, n=3)
        assert ask(features=features).json()["recommendations"] == wanted.to_dicts()
        both = ask(features=features, history=[{"item": 103, "rating": 4}]).json()["recommendations"]
        assert both == bayes.recommend(features=features, history={103: 4}, n=3).to_dicts()
        bounded = ask(features=features, interval=0.9).json()["recommendations"]
        assert all(row["low"] < row["score"] <= row["high"] for row in bounded)
        for body, words in (
            ({"user": 3, "features": features}, "(or features) of a new user, not both"),
            ({}, "(or features) of a new user, not both"),
            ({"features": {"klub": 1}}, "no feature 'klub'"),
            ({"features": {"club": {"a": 1}}}, "features.club"),
        ):
            answer = ask(**body)
            assert answer.status_code == 422
            assert words in answer.json()["error"]
        only = http.post("/v1/explain", json={"item": 103}).json()["error"]
        assert "give either a user or a history of items, not both" in only
