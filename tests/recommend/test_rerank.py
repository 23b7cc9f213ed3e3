"""Filters, caps, diversity, calibration, safe bets and what is worth a try."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import ConfigError, UnknownIdError
from cofactor.recommend.rerank import RerankSpec, divergence, rerank, scaled_similarity
from cofactor.recommend.similar import co_ratings, co_ratings_among, shared_among, shared_raters
from toys import two_tastes as table


@pytest.fixture(scope="module")
def rec():
    return cf.fit(table(), model="als", seed=1, n_factors=4)


@pytest.fixture(scope="module")
def bayes():
    return cf.fit(table(), model="bayes-mf", seed=1, n_factors=3, epochs=30, burn_in=10)


def genres(rec, frame):
    return rec.data.item_table["genres"].gather(rec.data.item_ids.encode(frame["item"])).to_list()


# ---- filters


def test_where(rec):
    frame = rec.recommend(3, n=50, seen=True, where="genres contains C and year >= 1990")
    assert sorted(frame["item"].to_list()) == [100 + i for i in range(40) if i % 3 == 0 and i >= 10]
    wanted = pl.col("genres").str.contains("C") & (pl.col("year") >= 1990)
    assert rec.recommend(3, n=50, seen=True, where=wanted).equals(frame)
    assert rec.recommend(3, n=50, seen=True, where="genres contains C and year >= 1990").equals(frame)  # remembered
    with pytest.raises(ConfigError, match=r"no column 'jahr'; the columns are: item, genres, year"):
        rec.recommend(3, where="jahr > 1990")


def test_filters_together_are_all_met(rec):
    frame = rec.recommend(
        3, n=50, seen=True, where="year >= 1990", allow=np.arange(105, 125), deny=pl.Series([110, 111])
    )
    assert sorted(frame["item"].to_list()) == list(range(112, 125))
    assert len(rec.recommend(3, where="year > 3000")) == 0


def test_unknown_items_in_lists_follow_the_policy(rec):
    with pytest.raises(UnknownIdError, match="unknown item 999"):
        rec.recommend(3, deny=[999, 101])
    frame = rec.recommend(3, n=50, seen=True, allow=[999, 101, 102], unknown="skip")
    assert sorted(frame["item"].to_list()) == [101, 102]


# ---- the greedy loop


def test_without_a_wish_the_order_is_that_of_the_scores():
    scores = np.sort(np.random.default_rng(0).random(20))[::-1].astype(np.float32)
    assert rerank(scores, 7, RerankSpec()).tolist() == list(range(7))


def slow_mmr(scores, similarity, n, d):
    """Maximal marginal relevance, word for word."""
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    chosen = []
    while len(chosen) < n:
        best = max(
            (i for i in range(len(scores)) if i not in chosen),
            key=lambda i: (1 - d) * relevance[i] - d * max((similarity[i, j] for j in chosen), default=0.0),
        )
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("d", [0.2, 0.5, 0.9])
def test_diversity_against_the_definition(d):
    rng = np.random.default_rng(1)
    scores = np.sort(rng.normal(size=30))[::-1]
    vectors = rng.normal(size=(30, 3))
    similarity = scaled_similarity(vectors @ vectors.T)
    found = rerank(scores, 10, RerankSpec(diversity=d, similarity=similarity)).tolist()
    assert found == slow_mmr(scores, similarity, 10, d)
    assert found != list(range(10))


def test_divergence_against_the_definition():
    target, lists = np.array([0.5, 0.5, 0.0]), np.array([[1.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    expected = []
    for q in lists / lists.sum(axis=1, keepdims=True):
        mixed = 0.99 * q + 0.01 * target
        expected.append(sum(p * np.log(p / m) for p, m in zip(target, mixed, strict=True) if p > 0))
    np.testing.assert_allclose(divergence(target, lists), expected)
    assert divergence(target, np.array([1.0, 1.0, 0.0])) == pytest.approx(0, abs=1e-12)


def test_full_calibration_brings_the_shares_of_the_target():
    rng = np.random.default_rng(2)
    shares = np.eye(3)[rng.integers(0, 3, 60)]
    places = rerank(
        np.sort(rng.random(60))[::-1], 20, RerankSpec(calibration=1.0, shares=shares, target=np.array([0.6, 0.3, 0.1]))
    )
    np.testing.assert_allclose(shares[places].mean(axis=0), [0.6, 0.3, 0.1], atol=0.051)


# ---- shapes of real lists


def test_caps_hold_and_keep_the_best(rec):
    frame = rec.recommend(3, n=8, per_group=("genres", 2))
    counts = pl.Series(genres(rec, frame)).str.split("|").explode().value_counts()
    assert counts["count"].max() == 2
    plain = rec.recommend(3, n=8)
    assert frame["item"][:2].to_list() == plain["item"][:2].to_list()
    assert frame["score"].is_sorted(descending=True)
    by_year = rec.recommend(3, n=8, per_group=("year", 1))
    assert by_year["item"].to_list() == plain["item"].to_list()  # every year has one item


def test_diversity_makes_lists_less_alike(rec):
    from cofactor.recommend.similar import similarity_among

    def alike(frame):
        codes = rec.data.item_ids.encode(frame["item"])
        return similarity_among(rec.model, rec.data, codes, codes).mean()

    plain, half, full = (rec.recommend(3, n=6, diversity=d) for d in (0, 0.5, 1))
    assert alike(full) < alike(plain)
    assert alike(half) <= alike(plain)
    assert plain["item"][0] == half["item"][0]
    assert half["score"].sum() <= plain["score"].sum()


def test_calibration_brings_genres_in_proportion():
    data = table()
    rec = cf.fit(data, model="als", seed=1, n_factors=4)
    history = {100: 5, 101: 5, 102: 5, 120: 5, 121: 5, 122: 5}  # as much A as B
    shares = []
    for strength in (0, 1, ("genres", 1.0)):
        frame = rec.recommend(history=history, n=10, calibration=strength)
        shares.append(np.mean([g.startswith("A") for g in genres(rec, frame)]))
    assert abs(shares[1] - 0.5) <= 0.11
    assert abs(shares[1] - 0.5) <= abs(shares[0] - 0.5)
    assert shares[1] == shares[2]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"diversity": 1.5}, "diversity is 1.5"),
        ({"diversity": "much"}, "diversity is 'much'"),
        ({"diversity": float("nan")}, "diversity is nan"),
        ({"calibration": -1}, "calibration is -1"),
        ({"calibration": ("language", 0.5)}, "no column 'language' to group by; its columns are: item, genres, year"),
        ({"per_group": ("genre", 2)}, "Did you mean 'genres'"),
        ({"per_group": ("genres", 0)}, r"give a column and the most items"),
        ({"per_group": "genres"}, r"\('genres', 3\)"),
        ({"sure": 1.0}, "sure is 1.0"),
        ({"sure": True}, "sure is True"),
        ({"explore": 0}, "explore is 0.*or 'draw'"),
        ({"explore": "drawn"}, "explore is 'drawn'"),
        ({"sure": 0.5, "explore": 0.5}, "not both"),
        ({"n": 2.5}, "n is 2.5"),
        ({"n": True}, "n is True"),
    ],
)
def test_wishes_that_make_no_sense(rec, wish, message):
    with pytest.raises(ConfigError, match=message):
        rec.recommend(3, **wish)


def test_groups_need_a_table():
    frame = table().to_frame()
    rec = cf.fit(cf.read(frame), model="bias", calibrate=False)
    with pytest.raises(ConfigError, match="grouping items needs an item table"):
        rec.recommend(3, per_group=("genres", 1))


# ---- uncertainty


def test_safe_bets_rank_by_the_lower_bound(bayes):
    plain = bayes.recommend(5, n=40, seen=True)
    sure = bayes.recommend(5, n=40, seen=True, sure=0.9)
    bounds = bayes.predict([(5, item) for item in sure["item"]], interval=True, level=0.9)
    inside = ((bounds["low"] > 1.01) & (bounds["high"] < 4.99)).to_numpy()
    np.testing.assert_allclose(sure["score"].to_numpy()[inside], bounds["low"].to_numpy()[inside], atol=1e-4)
    assert inside.any()
    assert sure["item"].to_list() != plain["item"].to_list()
    assert (sure.sort("item")["score"] < plain.sort("item")["score"]).all()
    tried = bayes.recommend(5, n=40, seen=True, explore=0.9)
    assert (tried.sort("item")["score"] > plain.sort("item")["score"]).all()
    assert tried["item"].to_list() != plain["item"].to_list()
    low, middle, high = (f.sort("item")["score"].to_numpy() for f in (sure, plain, tried))
    whole = (high < bayes.data.range[1]) & (low > bayes.data.range[0])  # not cut at the ends of the scale
    assert whole.any()
    np.testing.assert_allclose((low + high)[whole] / 2, middle[whole], atol=1e-4)


def test_doubt_of_a_history_is_that_of_the_same_user(bayes):
    history = dict(zip(range(100, 108), [5, 4, 5, 4, 2, 5, 4, 5], strict=True))
    plain, sure = (bayes.recommend(history=history, n=40, sure=s) for s in (None, 0.8))
    gap = plain.sort("item")["score"] - sure.sort("item")["score"]
    assert (gap > 0.1).all()
    assert gap.n_unique() > 10


def test_draws_are_seeded_and_centre_on_the_scores(bayes):
    first, again, other = (bayes.recommend(5, n=40, seen=True, explore="draw", seed=s) for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.sort("item")["score"].equals(other.sort("item")["score"])
    many = [bayes.recommend(5, n=40, seen=True, explore="draw", seed=s).sort("item")["score"] for s in range(200)]
    plain = bayes.recommend(5, n=40, seen=True).sort("item")["score"]
    np.testing.assert_allclose(np.mean(many, axis=0), plain, atol=0.25)


def test_doubt_from_held_out_residuals(rec):
    sure = rec.recommend(5, n=40, seen=True, sure=0.9)
    plain = rec.recommend(5, n=40, seen=True)
    assert (sure.sort("item")["score"] < plain.sort("item")["score"]).all()
    with pytest.raises(ConfigError, match="needs a posterior"):
        rec.recommend(5, explore="draw")
    with pytest.raises(ConfigError, match="not ratings and have no interval"):
        cf.fit(table(), model="popular").recommend(5, sure=0.9)


def test_large_lists(rec):
    expected = rec.recommend(3, n=50, seen=True, deny=[101, 102])
    many = np.arange(101, 103)
    assert rec.recommend(3, n=50, seen=True, deny=many).equals(expected)
    huge = np.concatenate([many, np.arange(1000, 300_000)])
    assert rec.recommend(3, n=50, seen=True, deny=huge, unknown="skip").equals(expected)
    assert rec.recommend(3, n=50, seen=True, deny=huge.tolist(), unknown="skip").equals(expected)


def test_shared_raters_are_counted(rec):
    data = rec.data
    rated = np.zeros((data.n_users, data.n_items), dtype=np.int64)
    rated[data.users, data.items] = 1
    some, others = np.array([3, 0, 7, 7, 1, 2, 9, 4, 5, 6, 8]), np.arange(data.n_items)[::-2]
    np.testing.assert_array_equal(shared_among(data, some, others), (rated.T @ rated)[np.ix_(some, others)])
    assert shared_among(data, some[:0], others).shape == (0, len(others))
    assert shared_among(data, some, others[:0]).shape == (len(some), 0)
    for item in range(data.n_items):
        for few in (others, others[:1], others[:0]):  # by what its raters rated, and by who rated the others
            np.testing.assert_array_equal(shared_raters(data, item, few), (rated.T @ rated)[item, few])
    cosines = co_ratings(data, some)[:, others]
    np.testing.assert_allclose(co_ratings_among(data, some, others), cosines, rtol=1e-6)
