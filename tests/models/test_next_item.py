"""``next-item``: order counts, a new event moves the list, reasons say what came before."""

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import ConfigError, DataError


def chains(n_users=400, n_items=30, seed=0):
    """Users who walk a ring of items in one direction, from a random start, three times out of four."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        item, seen = int(rng.integers(n_items)), []
        for _ in range(8):
            item = (item + 1) % n_items if rng.random() < 0.75 else int(rng.integers(n_items))
            if item not in seen:
                seen.append(item)
        rows += [(f"u{user}", f"i{i:02d}", 1000 * user + 10 * at) for at, i in enumerate(seen)]
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


@pytest.fixture(scope="module")
def table():
    return chains()


@pytest.fixture(scope="module")
def rec(table):
    return cf.fit(cf.read(table.sample(fraction=1.0, shuffle=True, seed=1), rating=False), model="next-item")


def first(frame):
    return frame["item"][0]


def test_the_next_item_of_the_ring_comes_first(rec):
    assert first(rec.recommend(history=["i03", "i04", "i05"], n=3)) == "i06"
    assert first(rec.recommend(history=["i20", "i10"], n=3)) == "i11"


def test_the_order_of_a_history_counts(rec):
    there, back = (rec.recommend(history=h, n=1) for h in (["i10", "i20"], ["i20", "i10"]))
    assert first(there) == "i21"
    assert first(back) == "i11"
    timed = rec.recommend(history=[("i10", None, 2000), ("i20", None, 1000)], n=1)
    assert first(timed) == "i11"
    with pytest.raises(DataError, match="entry 2 of the history"):
        rec.recommend(history=[("i10", None, 2000), ("i20", None)])


def test_the_order_of_the_table_counts_where_there_are_no_times(table):
    rec = cf.fit(cf.read(table.drop("time"), rating=False), model="next-item")
    assert first(rec.recommend(history=["i10", "i20"], n=1)) == "i21"
    shuffled = cf.fit(
        cf.read(table.drop("time").sample(fraction=1.0, shuffle=True, seed=0), rating=False), model="next-item"
    )
    assert shuffled.model.chosen != rec.model.chosen


def test_a_known_user_gets_what_the_same_history_gets(rec, table):
    rows = table.filter(pl.col("user") == "u7").sort("time")
    known = rec.recommend("u7", n=5)
    new = rec.recommend(history=rows["item"].to_list(), n=5)
    assert known["item"].to_list() == new["item"].to_list()
    assert np.allclose(known["score"], new["score"], atol=1e-6)


def test_an_event_moves_the_list_at_once(rec):
    after = rec.update([("u7", "i15")]) or rec
    assert first(after.recommend("u7", n=1)) == "i16"
    later = after.update([("u7", "i25")]) or after
    assert first(later.recommend("u7", n=1)) == "i26"
    earlier = rec.update([("somebody", "i15", 1.0, 500), ("somebody", "i25", 1.0, 400)]) or rec
    assert first(earlier.recommend("somebody", n=1)) == "i16"


def test_reasons_and_explanations_name_what_came_before(rec):
    assert rec.recommend(history=["i20", "i10"], n=1)["reason"][0] == "others took this after i10"
    why = rec.explain(history=["i20", "i10"], item="i11")
    assert why.rated["item"][0] == "i10"
    assert float(why.rated["contribution"].sum()) + why.rest == pytest.approx(why.prediction, abs=1e-6)


def test_a_bundle_keeps_the_order(rec, tmp_path):
    rec.save(tmp_path / "rec")
    again = cf.load(tmp_path / "rec")
    assert again.recommend_all(n=5).equals(rec.recommend_all(n=5))
    assert again.recommend(history=["i20", "i10"], n=5).equals(rec.recommend(history=["i20", "i10"], n=5))


def test_given_constants_are_kept(table):
    data = cf.read(table, rating=False)
    found = cf.fit(data, model="next-item", decay=0.25, backward=0.0, share=0.0).model.chosen
    assert (found.decay, found.backward, found.share) == (0.25, 0.0, 0.0)
    with pytest.raises(ConfigError, match=r"decay is 1\.5"):
        cf.fit(data, model="next-item", decay=1.5)
