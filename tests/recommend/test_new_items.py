"""Items that came after training: encoded as the known ones, scored by what features say, with an open account."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.features.encoding import common_features, dense, encode_like, feature_groups
from cofactor.data.features.features import features
from cofactor.data.features.with_features import with_features
from cofactor.errors import ConfigError, DataError, UnknownIdError
from cofactor.recommend.cold_start.regression import RIDGE, regression
from toys import two_tastes as table

TABLE = pl.DataFrame(
    {
        "kind": ["A|B", "B", None, "", "C", "A"] * 5,
        "tags": [["x"], ["x", "y"], [], ["z"], None, ["y"]] * 5,
        "price": [float(n) * 1.5 for n in range(29)] + [None],
        "year": [1990, 1991, 1992] * 10,
        "day": pl.Series(["1995-02-01"] * 15 + ["1996-02-01"] * 15).str.to_date(),
        "open": [True, False, None] * 10,
        "code": ["1", "2", "3"] * 10,
    }
)


def test_the_known_table_is_encoded_as_it_was():
    for numbers in ("bins", "standardise"):
        made = features(TABLE, numbers=numbers, bins=4)
        found = encode_like(TABLE, made.names, TABLE)
        wanted = dense(made)
        if numbers == "standardise":  # what was missing stood for the mean, and is now said to be unknown
            wanted[29, made.names.index("price")] = np.nan
        np.testing.assert_allclose(found.matrix, wanted, atol=1e-6)
        assert found.absent == ()
        assert not any(found.unseen)


def test_what_training_did_not_see_is_said_and_says_nothing():
    made = features(TABLE, bins=4)
    new = pl.DataFrame(
        {
            "kind": ["A|Zombie", "Zombie", None],
            "price": [-50.0, 1e6, None],
            "year": [1991, 2005, None],
            "tags": [["x", "q"], ["q"], []],
            "code": [1, 2, 9],
            "open": [True, None, False],
        }
    )
    found = encode_like(new, made.names, TABLE)
    where = feature_groups(made.names)
    assert found.absent == ("day",)
    assert found.unseen == [["kind=Zombie", "tags=q"], ["kind=Zombie", "tags=q", "year=2005"], ["code=9"]]
    assert found.matrix[0, where["kind"]].tolist() == [1, 0, 0]
    assert np.isnan(found.matrix[1, where["kind"]]).all()
    assert found.matrix[:2, where["price"]].argmax(axis=1).tolist() == [0, 3]  # beyond the bins: the outermost ones
    assert np.isnan(found.matrix[2, where["price"]]).all()
    assert found.matrix[0, where["code"]].tolist() == [1, 0, 0]
    assert found.matrix[:, where["open"][0]].tolist() == [1, 0, 0]
    assert np.isnan(found.matrix[:, where["day"]]).all()
    with pytest.raises(DataError, match="'kind' has type Struct"):
        encode_like(pl.DataFrame({"kind": [{"a": 1}]}), made.names, TABLE)
    with pytest.raises(DataError, match="'open' is String; it was Boolean"):
        encode_like(pl.DataFrame({"open": ["yes"]}), made.names, TABLE)


def test_the_commonest_features_stay():
    made = features(TABLE.select("kind", "year"))
    few = common_features(made, 3)
    counts = dict(zip(made.names, np.bincount(made.matrix.indices), strict=True))
    assert sorted(counts[n] for n in few.names) == sorted(counts.values())[-3:]
    np.testing.assert_array_equal(
        np.nan_to_num(dense(few)), np.nan_to_num(dense(made))[:, [made.names.index(n) for n in few.names]]
    )
    assert common_features(made, 100) is made


def by_hand(matrix, counts, scores):
    """Ridge regression with an intercept that is not shrunk, by least squares."""
    weights = np.sqrt(counts) / np.sqrt(counts).mean()
    design = np.column_stack([np.ones(len(matrix)), matrix])
    ridge = np.sqrt(RIDGE) * np.eye(design.shape[1])[1:]
    rows = np.concatenate([np.sqrt(weights)[:, None] * design, ridge])
    return np.linalg.lstsq(rows, np.append(np.sqrt(weights) * scores, np.zeros(len(ridge))), rcond=None)[0]


def test_the_regression_and_each_item_without_itself():
    rng = np.random.default_rng(0)
    matrix, counts = rng.normal(size=(40, 3)), rng.integers(1, 50, 40)
    counts[[3, 7]] = 0
    scores = rng.normal(size=(2, 40)) + matrix @ [1.0, -1.0, 0.5]
    rated = counts > 0
    found = regression(matrix, counts)
    level, coefficients = found.learn(scores)
    wanted = by_hand(matrix[rated], counts[rated], scores[1, rated])
    np.testing.assert_allclose(coefficients[1], wanted[1:], atol=1e-8)
    new = rng.normal(size=3)
    assert level[1] + coefficients[1] @ found.centred(new) == pytest.approx(wanted[0] + wanted[1:] @ new)
    assert (found.centred(np.full(3, np.nan)) == 0).all()
    # one left out, at the weights as they are
    left = np.flatnonzero(rated)[5]
    others = rated & (np.arange(40) != left)
    weights = np.sqrt(counts) / np.sqrt(counts[rated]).mean()
    design = np.column_stack([np.ones(40), matrix])
    a = (design[others].T * weights[others]) @ design[others] + RIDGE * np.diag([0, 1, 1, 1])
    alone = np.linalg.solve(a, (design[others].T * weights[others]) @ scores[1, others])
    assert found.without_itself(scores)[1, 5] == pytest.approx(design[left] @ alone)


@pytest.fixture(scope="module")
def rec():
    return cf.fit(table(), model="als", seed=1, n_factors=4)


NEW = pl.DataFrame({"item": [900, 901, 902], "genres": ["A", "B", "Z"], "year": [None, None, None]}).with_columns(
    pl.col("year").cast(pl.Int64)
)


def test_new_items_score_as_their_features_go(rec):
    for user, best in ((3, 900), (50, 901)):
        frame = rec.recommend_new(NEW, user)
        assert frame["item"].to_list() == [best, 902, 1801 - best]
        assert frame["score"][0] > frame["score"][2] + 0.5
        by_item = {row["item"]: row for row in frame.to_dicts()}
        assert by_item[902]["status"] == "new item: no known feature; never seen: genres=Z"
        assert by_item[902]["reason"] == "the mean over known items"
        assert by_item[900]["status"] == "new item: from its features"
        assert by_item[900]["reason"].startswith("genres A: +" if best == 900 else "genres A: -")
    assert rec.recommend_new(NEW, history={125: 5, 126: 5, 103: 1}, n=1)["item"].to_list() == [901]
    assert rec.recommend_new(NEW, history={125: 5}, n=1)["status"][0] == "new item: from its features; from the history"
    assert len(rec.recommend_new(NEW, 999, unknown="skip")) == 0
    assert "unknown user" in rec.recommend_new(NEW, 999, unknown="popular")["status"][0]
    one = rec.recommend_new(NEW.head(1), 3)
    assert one["score"][0] == rec.recommend_new(NEW, 3)["score"][0]  # whatever else is in the table


def test_columns_that_make_no_features_are_passed_over(rec):
    side = rec.data.item_table
    odd = side.with_columns(
        empty=pl.lit(None), lasts=pl.duration(seconds=pl.col("item") % 3), box=pl.struct(pl.col("item") % 3)
    )
    other = cf.fit(rec.data.replace(item_table=odd), model="als", seed=1, n_factors=4)
    assert other.recommend_new(NEW, 3).equals(rec.recommend_new(NEW, 3))
    for name in ("lasts", "box"):
        with pytest.raises(DataError, match=f"column '{name}' has type .*, which cannot be made into features"):
            with_features(rec.data.replace(item_table=odd), item=[name])


def test_known_items_are_scored_as_ever(rec):
    frame = rec.recommend_new(pl.DataFrame({"item": [103, 900], "genres": ["A", "A"]}), 3, interval=True)
    known = frame.filter(pl.col("item") == 103)
    assert known["status"].to_list() == ["known item"]
    assert known["score"][0] == pytest.approx(rec.predict([(3, 103)])["prediction"][0], abs=1e-5)
    assert known["low"].to_list() == [None]


def test_without_a_column_or_a_table_there_is_the_mean(rec):
    frame = rec.recommend_new(pl.DataFrame({"item": [900]}), 3)
    assert frame["status"].to_list() == ["new item: no known feature; no column genres"]
    scores, counts = rec.model.scores(np.array([rec.data.user_ids.code(3)]))[0], rec.data.by_item.counts
    wanted = np.average(scores[counts > 0], weights=np.sqrt(counts[counts > 0]))
    assert frame["score"][0] == pytest.approx(np.clip(wanted, *rec.data.range), abs=1e-5)
    bare = cf.fit(rec.data.replace(item_table=None), model="bias")
    frame = bare.recommend_new(NEW, 3)
    assert set(frame["status"]) == {"new item: no known feature; no features of known items to learn from"}
    assert frame["score"].null_count() == 0


@pytest.mark.parametrize("name", ["bayes-mf", "als", "ease", "popular"])
def test_every_model_and_the_features_it_was_trained_with(rec, name):
    quick = {"epochs": 30, "burn_in": 10, "n_factors": 3} if name == "bayes-mf" else {}
    found = cf.fit(with_features(rec.data, item=["genres"]), model=name, calibrate=False, **quick)
    frame = found.recommend_new(NEW, 3)
    assert np.isfinite(frame["score"].to_numpy()).all()
    assert not any("year" in said for said in frame["status"])  # the model was trained without years
    if found.model.task == "rating":
        assert frame["item"][0] == 900


def test_bundles_give_the_same(rec, tmp_path):
    rec.save(tmp_path / "m.cofactor")
    again = cf.load(tmp_path / "m.cofactor").recommend_new(NEW, 3, interval=True)
    assert again.equals(rec.recommend_new(NEW, 3, interval=True))


def test_intervals_of_new_items_hold_what_they_say():
    rng = np.random.default_rng(3)
    n_users, n_items = 150, 120
    genre = rng.integers(0, 4, n_items)
    taste, quality = rng.normal(size=(n_users, 4)), 0.6 * rng.normal(size=n_items)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.3)
    rating = taste[users, genre[items]] + quality[items] + 0.4 * rng.normal(size=len(users))
    known = items < 90
    side = pl.DataFrame({"item": np.arange(n_items), "genre": [f"g{g}" for g in genre]})
    frame = pl.DataFrame({"user": users[known], "item": items[known], "rating": rating[known]})
    rec = cf.fit(cf.read(frame, items=side.head(90)), model="als", n_factors=6, calibrate=False)
    inside = []
    for user in range(0, n_users, 3):
        found = rec.recommend_new(side.tail(30), user, n=30, interval=True)
        truth = dict(zip(items[~known & (users == user)], rating[~known & (users == user)], strict=True))
        inside += [low <= truth[i] <= high for i, low, high in found.select("item", "low", "high").rows() if i in truth]
        assert (found["low"] <= found["score"]).all()
    assert 0.84 < np.mean(inside) < 0.96
    with pytest.raises(ConfigError, match="scores are not ratings"):
        cf.fit(rec.data, model="ease").recommend_new(side.tail(3), 1, interval=True)


def test_new_items_that_are_none(rec):
    with pytest.raises(DataError, match="no column 'item'"):
        rec.recommend_new(pl.DataFrame({"genres": ["A"]}), 3)
    with pytest.raises(DataError, match="give new items as a frame"):
        rec.recommend_new([900], 3)
    with pytest.raises(DataError, match="row 2 of the new items has no id"):
        rec.recommend_new(pl.DataFrame({"item": [900, None]}), 3)
    with pytest.raises(DataError, match="ids of the new items are of type List"):
        rec.recommend_new(pl.DataFrame({"item": [[900]]}), 3)
    with pytest.raises(
        DataError, match=r"'genres' has type List\(List\(String\)\), which cannot be made into features"
    ):
        rec.recommend_new(pl.DataFrame({"item": [900], "genres": [[["A"]]]}), 3)
    with pytest.raises(UnknownIdError, match="unknown user"):
        rec.recommend_new(NEW, 999)
    assert len(rec.recommend_new(NEW.head(0), 3, interval=True)) == 0
