"""Repeats are events: what each policy makes of them, and what splits by time leave to the past."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor.errors import ConfigError, DataError

BOUGHT = pl.DataFrame(
    [("u", "i", 1), ("u", "i", 9), ("u", "j", 2), ("v", "i", 3), ("v", "k", 4)],
    schema=["user", "item", "time"],
    orient="row",
)


def rows(data: cf.Interactions) -> set[tuple[object, ...]]:
    return set(data.to_frame().rows())


def test_a_split_by_time_leaves_the_past_of_whoever_comes_again() -> None:
    data = cf.read(BOUGHT)
    assert len(data) == 4
    assert len(data.events) == 5
    split = cf.split.temporal(data, cutoff=5)
    assert rows(split.train) == {("u", "i", 1, 1), ("u", "j", 1, 2), ("v", "i", 1, 3), ("v", "k", 1, 4)}
    assert rows(split.valid) == {("u", "i", 1, 9)}
    last = cf.split.leave_last(data)
    assert rows(last.train) == {("u", "i", 1, 1), ("u", "j", 1, 2), ("v", "i", 1, 3)}
    assert rows(last.valid) == {("u", "i", 1, 9), ("v", "k", 1, 4)}


def test_policies() -> None:
    frame = pl.DataFrame({"user": [1, 1, 1, 2], "item": [7, 7, 7, 7], "plays": [2.0, 3, 5, 9], "time": [3, 1, 2, 4]})
    expected = {"last": 2, "first": 3, "mean": 10 / 3, "sum": 10, "count": 3}
    for policy, value in expected.items():
        data = cf.read(frame, duplicates=policy)  # type: ignore[arg-type]
        found = data.to_frame().filter(pl.col("user") == 1)
        assert found["plays"].to_list() == pytest.approx([value]), policy
        assert found["time"].to_list() == [1 if policy == "first" else 3]
    assert len(cf.read(frame, duplicates="all")) == 4
    assert cf.read(frame, count="plays").values.tolist() == [10, 9]  # the usual one of counts
    assert cf.read(frame, kind="ratings").values.tolist() == [2, 9]  # and of ratings
    with pytest.raises(DataError, match="2 rows repeat a user and item"):
        cf.read(frame, duplicates="error")
    with pytest.raises(ConfigError, match="it may be 'last', 'first', 'mean', 'sum', 'count', 'all' or 'error'"):
        cf.read(frame, duplicates="max")  # type: ignore[arg-type]


def test_returns_are_taken_off_and_pairs_of_nothing_left_out() -> None:
    frame = pl.DataFrame({"user": [1, 1, 2, 2, 3], "item": [7, 7, 7, 8, 8], "quantity": [5, -2, 4, -4, 1]})
    data = cf.read(frame, count="quantity")
    assert data.to_frame().rows() == [(1, 7, 3.0), (2, 7, 4.0), (3, 8, 1.0)]
    assert any("1 pairs whose counts sum to 0 or less" in note for note in data.notes)


def test_behaviours_have_weights() -> None:
    happened = ["view"] * 15 + ["cart"] * 5 + ["purchase"] * 5
    frame = pl.DataFrame({"user": np.arange(25) % 5, "item": np.arange(25) % 3, "event": happened})
    data = cf.read(frame)
    assert data.kind == "events"
    assert data.columns.rating is None
    assert data.values.sum() == 25
    assert any("view (15 rows, counts 1)" in note for note in data.notes)
    weighed = cf.read(frame, behaviour="event", weights={"view": 1, "purchase": 5})
    assert weighed.values.sum() == 15 + 25
    assert cf.read(frame, behaviour=False).values.sum() == 25
    with pytest.raises(DataError, match=r"there is no behaviour 'buy'.*'view', .*"):
        cf.read(frame, weights={"buy": 2})
    with pytest.raises(ConfigError, match="weights need the column"):
        cf.read(frame.drop("event"), weights={"view": 2})
    taken_back = frame.with_columns(pl.col("event").replace("cart", "remove_from_cart"))
    assert cf.read(taken_back).values.sum() == 20


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 9), st.integers(0, 9)), min_size=4, max_size=40
    ),
    st.sampled_from(["last", "first", "mean", "sum", "count"]),
    st.integers(1, 9),
)
def test_a_cut_in_time_equals_reading_each_part(events: list[tuple[int, ...]], policy: str, cutoff: int) -> None:
    frame = pl.DataFrame(events, schema=["user", "item", "value", "time"], orient="row").sort(
        "time", maintain_order=True
    )
    before, after = frame.filter(pl.col("time") < cutoff), frame.filter(pl.col("time") >= cutoff)
    if not len(before) or not len(after):
        return
    data = cf.read(frame, kind="counts", duplicates=policy)  # type: ignore[arg-type]
    try:
        split = cf.split.temporal(data, cutoff=cutoff)
    except DataError:  # a part would hold nobody that the other one knows
        assume(False)
    for part, own in ((split.train, before), (split.valid, after)):
        alone = cf.read(own, kind="counts", duplicates=policy)  # type: ignore[arg-type]
        assert rows(part) == rows(alone)


def order_lines(seed: int = 0) -> pl.DataFrame:
    """Invented lines of a shop's orders: everybody buys their own few things again and again."""
    rng = np.random.default_rng(seed)
    users = rng.integers(0, 120, 4_000)
    items = (users * 7 + rng.geometric(0.12, 4_000)) % 90
    return pl.DataFrame({"user": users, "item": items, "quantity": rng.geometric(0.5, 4_000), "time": np.arange(4_000)})


def test_the_figure_of_order_lines_equals_one_from_events_by_hand() -> None:
    frame = order_lines()
    split = cf.split.temporal(cf.read(frame, count="quantity"), valid=0.2)
    rec = cf.fit(split.train, model="item-cosine", seed=0)
    found = cf.evaluate(rec, split.valid, metrics=["recall@10"]).to_dicts()[0]
    past, future = frame.filter(pl.col("time") < 3_200), frame.filter(pl.col("time") >= 3_200)
    recalls = []
    for user in future["user"].unique().sort():
        had = set(past.filter(pl.col("user") == user)["item"])
        new = set(future.filter(pl.col("user") == user)["item"]) - had
        if had and new:
            scores = rec.model.scores(rec.data.user_ids.encode([user]))[0]
            order = np.argsort(-scores, kind="stable")
            items = [item for item in rec.data.item_ids.decode(order) if item not in had]
            recalls.append(len(new & set(items[:10])) / len(new))
    assert found["value"] == pytest.approx(np.mean(recalls), abs=1e-9)
    assert len(recalls) > 80
    assert len(split.train.events) == 3_200


@pytest.mark.parametrize("how", ["random", "temporal", "leave_last", "by_user", "auto"])
def test_splits_keep_what_describes_the_table(how: str) -> None:
    """Side tables and names come after the rows were merged; each part has them all the same."""
    items = pl.DataFrame({"item": ["i", "j", "k"], "price": [1.0, 2.0, 3.0]})
    users = pl.DataFrame({"user": ["u", "v"], "age": [30, 40]})
    data = cf.read(pl.concat([BOUGHT, BOUGHT.with_columns(pl.col("time") + 20)]), items=items, users=users, name="shop")
    assert data.unmerged is not None
    split = getattr(cf.split, how)(data)
    for part in (split.train, split.valid):
        assert part.item_table.equals(data.item_table)
        assert part.user_table.equals(data.user_table)
        assert (part.name, part.columns, part.kind, part.reading) == (data.name, data.columns, data.kind, data.reading)
