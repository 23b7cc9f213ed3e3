"""Lists for several new users in one call: those of each one alone."""

import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import CofactorError, ConfigError, DataError
from toys import two_tastes


@pytest.fixture(scope="module", params=["ials", "als", "next-item"])
def rec(request):
    return cf.fit(two_tastes(), model=request.param, seed=1, calibrate=False)


NEW = pl.DataFrame({"item": [900, 901, 902], "genres": ["A", "B", "Z"]})


def alone(rec, histories, ask):
    return pl.concat(
        [ask(rec, h).insert_column(0, pl.Series("user", [name] * len(ask(rec, h)))) for name, h in histories.items()],
        how="vertical_relaxed",
    )


def histories_of(rec):
    ids = rec.data.item_ids.values.to_list()
    low, high = rec.data.scale
    liked = [ids[3], ids[9]]
    return {
        0: {ids[0]: high, ids[5]: low, ids[7]: high},
        1: liked,
        2: [(ids[11], high, 100), (ids[2], high, 50)],
        3: [],
    }


def test_lists_of_several_histories_are_those_of_each(rec):
    histories = histories_of(rec)
    found = rec.recommend(histories=list(histories.values()), n=4)
    assert found.equals(alone(rec, histories, lambda r, h: r.recommend(history=h, n=4)))
    assert found["user"].unique(maintain_order=True).to_list() == [0, 1, 2, 3]
    assert rec.recommend(histories=[]).columns == found.columns


def test_a_frame_of_histories(rec):
    ids, c = rec.data.item_ids.values, rec.data.columns
    high = rec.data.scale[1]
    rows = {c.user: ["b", "a", "b"], c.item: ids[[1, 4, 6]], c.rating or "rating": [high, None, high]}
    frame = pl.DataFrame(rows)
    wanted = {"b": [(ids[1], high), (ids[6], high)], "a": [ids[4]]}
    found = rec.recommend(histories=frame, n=3)
    assert found.equals(alone(rec, wanted, lambda r, h: r.recommend(history=h, n=3)))
    without = frame.drop(c.rating or "rating")
    assert len(rec.recommend(histories=without, n=3)) == 6


def test_new_items_for_several(rec):
    histories = histories_of(rec)
    found = rec.recommend_new(NEW, histories=list(histories.values()), n=2)
    assert found.equals(alone(rec, histories, lambda r, h: r.recommend_new(NEW, history=h, n=2)))
    users = rec.data.user_ids.values.to_list()[:3]
    found = rec.recommend_new(NEW, users=users, n=2)
    assert found.equals(alone(rec, {u: u for u in users}, lambda r, u: r.recommend_new(NEW, u, n=2)))
    assert rec.recommend_new(NEW, users=[]).columns == found.columns


def test_what_is_wrong_names_the_history(rec):
    ids = rec.data.item_ids.values.to_list()
    with pytest.raises(CofactorError, match=r"in the history of 1: .*no-such"):
        rec.recommend(histories=[[ids[0]], ["no-such"]])
    with pytest.raises(DataError, match="give histories as a list"):
        rec.recommend(histories="abc")
    with pytest.raises(ConfigError, match=r"cannot be combined|give only one|not both"):
        rec.recommend(users=[1], histories=[[ids[0]]])
    with pytest.raises(ConfigError, match=r"cannot be combined|give only one|not both"):
        rec.recommend_new(NEW, 1, histories=[[ids[0]]])
    c = rec.data.columns
    with pytest.raises(DataError, match="row 2 of the histories has no item"):
        rec.recommend(histories=pl.DataFrame({c.user: [1, 1], c.item: [ids[0], None]}))


def test_a_frame_of_one_history(rec):
    ids, c = rec.data.item_ids.values.to_list(), rec.data.columns
    low, high = rec.data.scale
    rows = [(ids[0], high, 100), (ids[5], low, 50), (ids[7], high, 70)]
    frame = pl.DataFrame(rows, schema=[c.item, c.rating or "rating", c.time or "time"], orient="row")
    for given in (frame, frame.to_pandas()):
        assert rec.recommend(history=given, n=4).equals(rec.recommend(history=rows, n=4))
    liked = frame.select(c.item)
    assert rec.recommend(history=liked, n=4).equals(rec.recommend(history=[row[0] for row in rows], n=4))
    with pytest.raises(DataError, match="the rows of the history have no column"):
        rec.recommend(history=frame.drop(c.item))
    with pytest.raises(DataError, match="row 3 of the history has no item"):
        rec.recommend(history=pl.DataFrame({c.item: [ids[0], ids[1], None]}))


def test_a_series_is_items_or_is_asked_about(rec):
    pd = pytest.importorskip("pandas")
    ids = rec.data.item_ids.values.to_list()
    some = pd.Series([ids[0], ids[5]])
    assert rec.recommend(history=some, n=3).equals(rec.recommend(history=[ids[0], ids[5]], n=3))
    with pytest.raises(DataError, match=r"series\.to_dict\(\), or items as series\.tolist\(\)"):
        rec.recommend(history=pd.Series({ids[0]: 1, ids[5]: 2}), n=3)
