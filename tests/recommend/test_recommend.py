"""The Recommender on toy data: ids and titles, unknown ids, filters, neighbours, accounts that add up."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import ConfigError, DataError, UnknownIdError
from cofactor.recommend.topn import mask_rows, top_n


def table(n_users=60, n_items=30, seed=0):
    """Two tastes: users like the items of their own half. Titles differ from ids; two items share one title."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)
    own = (users < n_users // 2) == (items < n_items // 2)
    rating = np.clip(np.where(own, 4.4, 2.0) + rng.normal(0, 0.4, len(users)), 1, 5).round(1)
    titles = [f"Film {i}" for i in range(n_items)]
    titles[7] = titles[8] = "Twins"
    side = pl.DataFrame({"item": np.arange(n_items) + 100, "title": titles})
    frame = pl.DataFrame({"user": users + 1, "item": items + 100, "rating": rating})
    return cf.read(frame, items=side)


@pytest.fixture(scope="module")
def rec():
    return cf.fit(table(), model="als", seed=1, n_factors=4)


# ---- top n


def test_top_n_against_a_full_sort():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (50, 17)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    codes, best = top_n(scores.copy(), 5)
    for r in range(50):
        order = np.lexsort((np.arange(17), -scores[r]))[:5]
        expected = np.where(np.isneginf(scores[r, order]), -1, order)
        np.testing.assert_array_equal(codes[r], expected)
        np.testing.assert_array_equal(best[r], scores[r, order])


def test_top_n_of_more_than_there_are():
    codes, _ = top_n(np.array([[1.0, 3.0, 2.0]], dtype=np.float32), 10)
    assert codes.tolist() == [[1, 2, 0]]


def test_mask_rows():
    data = table()
    scores = np.zeros((3, data.n_items), dtype=np.float32)
    mask_rows(scores, data.by_user.take(np.array([4, 0, 9])))
    for r, u in enumerate([4, 0, 9]):
        seen, _ = data.by_user.row(u)
        assert set(np.flatnonzero(np.isneginf(scores[r]))) == set(seen.tolist())


# ---- predictions


def test_predict_by_id_and_by_title(rec):
    frame = rec.predict([(1, 103), (1, 104)])
    assert frame.columns == ["user", "item", "prediction", "status"]
    assert frame["status"].to_list() == ["known", "known"]
    by_title = rec.predict([(1, "Film 3"), (1, "Film 4")])
    np.testing.assert_array_equal(frame["prediction"], by_title["prediction"])
    direct = rec.model.predict(rec.data.user_ids.encode([1, 1]), rec.data.item_ids.encode([103, 104]))
    np.testing.assert_array_equal(frame["prediction"], direct)


def test_unknown_ids_are_an_error_that_helps(rec):
    with pytest.raises(UnknownIdError, match=r"Film 3"):
        rec.predict([(1, "Flim 3")])
    with pytest.raises(UnknownIdError, match=r"write 1"):
        rec.predict([("1", 103)])
    with pytest.raises(UnknownIdError, match=r"2 items are called 'Twins'.*107, 108"):
        rec.similar_items("Twins")
    with pytest.raises(UnknownIdError, match="unknown user 999"):
        rec.recommend(999)


def test_unknown_ids_by_policy(rec):
    pairs = [(1, 103), (999, 103), (1, 999), (999, 999)]
    frame = rec.predict(pairs, unknown="popular")
    assert frame["status"].to_list() == ["known", "unknown user", "unknown item", "unknown user and item"]
    assert frame["prediction"].is_finite().all()
    assert rec.predict(pairs, unknown="skip").rows() == frame.filter(pl.col("status") == "known").rows()
    assert len(rec.recommend(999, unknown="skip")) == 0
    popular = rec.recommend(999, n=3, unknown="popular")
    counts = rec.data.by_item.counts
    assert counts[rec.data.item_ids.encode(popular["item"])].tolist() == sorted(counts, reverse=True)[:3]
    with pytest.raises(ConfigError, match="unknown is 'whatever'"):
        rec.predict(pairs, unknown="whatever")


def test_pairs_that_are_none(rec):
    with pytest.raises(DataError, match="pair 1 is 5"):
        rec.predict([5])
    with pytest.raises(DataError, match="no column 'user'"):
        rec.predict(pl.DataFrame({"who": [1], "item": [103]}))


def test_intervals_from_held_out_residuals(rec):
    frame = rec.predict([(u, 100 + i) for u in range(1, 20) for i in range(30)], interval=True)
    assert (frame["low"] <= frame["prediction"]).all()
    assert (frame["prediction"] <= frame["high"]).all()
    wide = rec.predict([(1, 103)], interval=True, level=0.99)
    narrow = rec.predict([(1, 103)], interval=True, level=0.5)
    assert wide["high"][0] - wide["low"][0] > narrow["high"][0] - narrow["low"][0]
    plain = cf.fit(table(), model="als", calibrate=False, n_factors=4)
    with pytest.raises(ConfigError, match="calibrate=True"):
        plain.predict([(1, 103)], interval=True)


# ---- recommendations


def test_recommend_leaves_seen_items_out_unless_asked(rec):
    code = rec.data.user_ids.code(5)
    seen = set(rec.data.item_ids.decode(rec.data.by_user.row(code)[0]).to_list())
    frame = rec.recommend(5, n=100)
    assert frame.columns == ["rank", "item", "title", "score", "reason", "status"]
    assert not seen & set(frame["item"].to_list())
    assert len(frame) == rec.data.n_items - len(seen)
    assert frame["score"].is_sorted(descending=True)
    assert len(rec.recommend(5, n=100, seen=True)) == rec.data.n_items


def test_recommend_finds_the_taste(rec):
    first = rec.recommend(3, n=4)
    assert all(item < 115 for item in first["item"])
    new = rec.recommend(history={125: 5, 126: 4.5, 127: 5, 103: 1, 104: 1.5}, n=4)
    assert all(item >= 115 for item in new["item"])
    assert not {125, 126, 127} & set(new["item"].to_list())
    assert any("you gave" in r for r in new["reason"])


def test_allow_and_deny(rec):
    allowed = rec.recommend(3, n=50, allow=[101, 102, 120, "Film 4"], seen=True)
    assert set(allowed["item"].to_list()) == {101, 102, 120, 104}
    denied = rec.recommend(3, n=50, deny=["Film 4"], seen=True)
    assert 104 not in denied["item"].to_list()
    assert len(denied) == rec.data.n_items - 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r: r.recommend(), ConfigError, "either a user"),
        (lambda r: r.recommend(1, history={103: 5}), ConfigError, "not both"),
        (lambda r: r.recommend(1, n=0), ConfigError, "n is 0"),
        (lambda r: r.recommend(history="Film 3"), DataError, "history is the text"),
        (lambda r: r.recommend(history={"Film 3": "five"}), DataError, "must be a number"),
        (lambda r: r.recommend(history={"Film 3": float("nan")}), DataError, "finite"),
        (lambda r: r.recommend(history={"Film 3": 5, 103: 4}), DataError, "twice"),
        (lambda r: r.recommend(history={"Film 333": 4}), UnknownIdError, "Did you mean"),
    ],
)
def test_what_makes_no_sense_is_said(rec, call, error, message):
    with pytest.raises(error, match=message):
        call(rec)


def test_recommend_all_is_recommend_for_each(rec, tmp_path):
    frame = rec.recommend_all(4)
    assert frame["user"].n_unique() == rec.data.n_users
    for user in (1, 30, 60):
        mine = frame.filter(pl.col("user") == user)
        single = rec.recommend(user, n=4)
        assert mine["item"].to_list() == single["item"].to_list()
        np.testing.assert_allclose(mine["score"], single["score"], rtol=1e-5)
    rec.recommend_all(4, out=tmp_path / "recs.parquet")
    assert pl.read_parquet(tmp_path / "recs.parquet").equals(frame)


# ---- what it learned


def test_a_cosine_counts_the_more_the_more_raters_are_shared(rec):
    bare, every = rec.similar_items(103, n=500, shrink=0), rec.similar_items(103, n=500)
    cosines = dict(zip(bare["item"], bare["similarity"]))
    shared = every["shared_raters"].to_numpy()
    expected = np.array([cosines[item] for item in every["item"]]) * shared / (shared + 20)
    np.testing.assert_allclose(every["similarity"], expected, atol=1e-6)
    assert rec.similar_items(103, n=500, shrink=1e-9)["similarity"].to_list() != every["similarity"].to_list()
    factors = rec.model.factors("item").astype(np.float64)
    unit = factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-12)
    codes = rec.data.item_ids.encode(bare["item"])
    np.testing.assert_allclose(bare["similarity"], unit[codes] @ unit[rec.data.item_ids.code(103)], atol=1e-5)
    for wrong in (-1, float("nan"), float("inf"), "a"):
        with pytest.raises(ConfigError, match="shrink"):
            rec.similar_items(103, shrink=wrong)


def test_similar_items(rec):
    frame = rec.similar_items("Film 3", n=5)
    assert 103 not in frame["item"].to_list()
    assert frame["similarity"].is_sorted(descending=True)
    assert all(item < 115 for item in frame["item"])
    data, code = rec.data, rec.data.item_ids.code(103)
    mine = set(data.by_item.row(code)[0].tolist())
    other = set(data.by_item.row(data.item_ids.code(frame["item"][0]))[0].tolist())
    assert frame["shared_raters"][0] == len(mine & other)


def test_biases_and_embeddings(rec):
    frame = rec.biases(3)
    assert frame["end"].to_list() == ["lowest"] * 3 + ["highest"] * 3
    bias = rec.model.bias("item")
    assert frame["bias"][0] == pytest.approx(bias.min())
    assert frame["bias"][3] == pytest.approx(bias.max())
    vectors = rec.embeddings("user")
    assert vectors["id"].to_list() == rec.data.user_ids.values.to_list()
    np.testing.assert_array_equal(vectors["factors"].to_numpy(), rec.model.factors("user"))


def test_explanations_sum_to_the_prediction(rec):
    for user, item in [(1, 103), (40, 120), (60, 129)]:
        account = rec.explain(user, item)
        assert account.linked_sum() == pytest.approx(account.prediction, abs=1e-5)
        assert account.prediction == pytest.approx(rec.predict([(user, item)])["prediction"][0])
        assert account.grouped()["value"].sum() == pytest.approx(account.terms["value"].sum())
        assert f"{account.prediction:.3f}" in str(account)
        assert account.to_dict()["prediction"] == account.prediction
        rated = rec.data.item_ids.decode(rec.data.by_user.row(rec.data.user_ids.code(user))[0]).to_list()
        assert set(account.neighbours["item"].to_list()) <= set(rated)


def test_models_without_a_thing_say_so():
    popular = cf.fit(table(), model="popular")
    with pytest.raises(ConfigError, match="no factors or biases"):
        popular.biases()
    with pytest.raises(ConfigError, match="not ratings and have no interval"):
        popular.predict([(1, 103)], interval=True)
    assert len(popular.similar_items(103, n=3)) == 3


# ---- the scale of the ratings


def test_liked_without_a_rating_is_the_upper_quartile():
    rec = cf.fit(table(), model="als", n_factors=4, epochs=3)
    items = rec.data.item_ids.values[:3].to_list()
    quartile = float(np.quantile(rec.data.values, 0.75, method="higher"))
    assert rec.scale.liked == quartile
    wanted = rec.recommend(history=dict.fromkeys(items, quartile)).drop("reason")  # which says "liked", not "rated"
    assert rec.recommend(history=items).drop("reason").equals(wanted)
    assert rec.recommend(history=dict.fromkeys(items)).drop("reason").equals(wanted)


def test_a_rating_off_the_scale_is_refused():
    data = table()
    data = data.replace(values=np.round(data.values))
    low, high = data.range
    item = data.item_ids.values[0]
    for model in ("als", "ease"):
        rec = cf.fit(data, model=model)
        for value in (low - 1, high + 1, 1e9):
            with pytest.raises(DataError, match=f"the ratings here range from {low:g} to {high:g}"):
                rec.recommend(history={item: value})
            with pytest.raises(DataError, match="ratings here range"):
                rec.explain(item=item, history={item: value})
            with pytest.raises(DataError, match="ratings here range"):
                rec.update([(1, item, value)])
    counts = np.random.default_rng(0).integers(1, 5000, len(data)).astype(np.float32)
    plays = cf.fit(data.replace(values=counts), model="ease")
    assert len(plays.recommend(history={item: 20_000}, n=3)) == 3  # a count has no scale
