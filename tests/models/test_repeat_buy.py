"""``repeat-buy``: what is taken again, and the figures that measure it."""

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.models.repeat_buy import RepeatBuy, RepeatBuyConfig

DAY = 86_400


def purchases(seed=0, n_users=120, n_items=30, days=200):
    """Items 0 to 9 are bought again every ten days or so by those who buy them, the others once."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        for item in rng.choice(10, 3, replace=False):
            day = rng.uniform(0, 20)
            while day < days:
                rows.append((user, int(item), int(day * DAY)))
                day += rng.uniform(5, 15)
                if rng.random() < 0.05:  # they change to another one
                    break
        rows += [(user, int(i), int(rng.uniform(0, days) * DAY)) for i in rng.choice(np.arange(10, n_items), 6, False)]
    return cf.read(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"), time="time")


@pytest.fixture(scope="module")
def split():
    return cf.split.temporal(purchases(), 0.2)


def test_it_lists_what_is_taken_again(split):
    figures = {}
    for model in ("repeat-buy", "popular", "ials"):
        rec = cf.fit(split.train, model=model, seed=0)
        frame = cf.evaluate(rec, split, ["ndcg", "recall"], n=3, exclude="new", draws=0)
        figures[model] = frame["value"][0]
        assert "only items of the user's training rows" in frame["note"][0]
    assert figures["repeat-buy"] > 0.85
    assert figures["repeat-buy"] > max(figures["popular"], figures["ials"]) + 0.05


def test_the_exponents_are_chosen_and_used(split):
    rec = cf.fit(split.train, model="repeat-buy", seed=0)
    chosen = rec.model.settled()
    assert chosen.age_power > 0  # who stopped does not come back
    again = cf.fit(split.train, model="repeat-buy", seed=0, rate_power=1.0, count_power=0.0, age_power=0.0)
    assert again.model.settled() == RepeatBuyConfig(1.0, 0.0, 0.0)
    rates = again.model.rate
    assert rates[:10].min() > 3 * rates[10:].max()


def test_what_was_taken_comes_before_all_else(split):
    rec = cf.fit(split.train, model="repeat-buy", seed=0)
    assert isinstance(rec.model, RepeatBuy)
    user = split.train.user_ids.values[3]
    mine = set(split.train.to_frame().filter(pl.col("user") == user)["item"].to_list())
    listed = rec.recommend(user, n=30, seen=True)["item"].to_list()
    assert set(listed[: len(mine)]) == mine
    assert not mine & set(rec.recommend(user, n=30)["item"].to_list())
    counts = split.train.item_counts
    rest = listed[len(mine) :]
    assert [counts[i] for i in rest] == sorted((counts[i] for i in rest), reverse=True)


def test_plain_scores(split):
    model = cf.fit(split.train, model="repeat-buy", seed=0, rate_power=0.5, count_power=1.0, age_power=0.5).model
    data = split.train
    events = pl.DataFrame({"u": data.events.users, "i": data.events.items, "t": data.events.times})
    pairs = events.group_by("u", "i").agg(n=pl.len(), last=pl.col("t").max())
    gaps = events.sort("t").with_columns(gap=pl.col("t").diff().over("u", "i"))["gap"].drop_nulls()
    gap, mean = float(gaps.filter(gaps > 0).median()), float((pairs["n"] > 1).mean())
    for u, i, n, last in pairs.sort("u", "i").head(40).iter_rows():
        of_item = pairs.filter(pl.col("i") == i)["n"]
        rate = ((of_item > 1).sum() + 5 * mean) / (len(of_item) + 5)
        age = (data.times.max() - last) / gap
        wanted = 100 + np.log(rate**0.5 * n / (1 + age) ** 0.5)
        assert model.scores(np.array([u]))[0, i] == pytest.approx(wanted, rel=1e-4)


def test_tables_without_repeats_or_times():
    frame = purchases().to_frame().drop("time").with_columns(pl.col("rating").cast(pl.Int64))
    rec = cf.fit(cf.read(frame, count="rating"), model="repeat-buy", seed=0)
    assert len(rec.recommend(0, n=5, seen=True)) == 5
    once = cf.read(frame.select("user", "item"))
    rec = cf.fit(once, model="repeat-buy", seed=0)
    assert len(rec.recommend(history=[0, 1], n=5, seen=True)) == 5
