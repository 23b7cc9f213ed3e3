"""Splits: parts that cover the rows once, share the id maps, and say how they were cut."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cofactor.data import splits
from cofactor.data.interactions import Interactions, Split
from cofactor.data.read import read
from cofactor.errors import ConfigError, DataError


def rows(*parts: Interactions | None) -> Counter[tuple[object, ...]]:
    return Counter(row for part in parts if part is not None for row in part.to_frame().rows())


def table(n: int, seed: int, timed: bool = True) -> Interactions:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, max(n // 4, 2), n),
            "item": np.arange(n),
            "rating": rng.integers(1, 6, n),
            "time": rng.integers(0, 2 * n, n),
        }
    )
    return read(frame, time="time" if timed else False)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(4, 80), seed=st.integers(0, 99), share=st.floats(0.01, 0.99))
def test_every_split_covers_the_rows_once(n: int, seed: int, share: float) -> None:
    data = table(n, seed)
    cuts = [splits.random(data, share, seed=seed)]
    for cut, args in (
        (splits.temporal, {"valid": share}),
        (splits.leave_last, {}),
        (splits.by_user, {"users": share, "seed": seed}),
    ):
        try:
            cuts.append(cut(data, **args))  # type: ignore[operator]
        except DataError:  # all at one moment, or nobody with two ratings
            continue
    for split in cuts:
        assert rows(split.train, split.valid, split.given) == rows(data)
        assert len(split.train) > 0
        assert len(split.valid) > 0
        assert split.train.user_ids is data.user_ids
        assert split.valid.item_ids is data.item_ids
        assert split.how


@settings(max_examples=30, deadline=None)
@given(n=st.integers(5, 60), k=st.integers(2, 5), seed=st.integers(0, 99))
def test_kfold_tests_every_row_once(n: int, k: int, seed: int) -> None:
    data = table(n, seed)
    cuts = splits.kfold(data, k, seed=seed)
    assert len(cuts) == k
    assert rows(*(cut.valid for cut in cuts)) == rows(data)
    for cut in cuts:
        assert rows(cut.train, cut.valid) == rows(data)
        assert abs(len(cut.valid) - n / k) < 1


def test_random_is_exact_and_repeats_with_its_seed() -> None:
    data = table(1000, 0)
    a, b, c = (splits.random(data, 0.2, seed=s) for s in (1, 1, 2))
    assert (len(a.train), len(a.valid)) == (800, 200)
    assert a.valid.items.tolist() == b.valid.items.tolist()
    assert a.valid.items.tolist() != c.valid.items.tolist()
    assert a.seed == 1
    assert a.how == "random: 200 of 1,000 ratings (20%) for validation, seed 1"


def test_by_user_holds_out_whole_users() -> None:
    data = table(400, 3)
    cut = splits.by_user(data, users=0.25, given=0.5, seed=5)
    assert cut.given is not None
    held, kept = set(cut.valid.users.tolist()), set(cut.train.users.tolist())
    assert not held & kept
    assert set(cut.given.users.tolist()) == held
    assert len(held) == round(0.25 * len(held | kept))
    for u in held:
        a, b = int((cut.given.users == u).sum()), int((cut.valid.users == u).sum())
        assert a >= 1
        assert b >= 1
        assert abs(a - b) <= 1
    few = splits.by_user(data, users=3, given=1, seed=5)
    assert few.given is not None
    assert len(few.given) == 3


def test_temporal_never_looks_ahead() -> None:
    data = table(300, 1)
    cut = splits.temporal(data, 0.3)
    assert cut.train.times is not None
    assert cut.valid.times is not None
    assert cut.train.times.max() < cut.valid.times.min()
    assert len(cut.valid) >= 90
    for cutoff in (200, "1970-01-01T00:03:20", dt.datetime(1970, 1, 1, 0, 3, 20)):
        at = splits.temporal(data, cutoff=cutoff)
        assert at.valid.times is not None
        assert at.train.times is not None
        assert at.valid.times.min() >= 200 > at.train.times.max()
    with pytest.raises(DataError, match=r"no rating from 2,524,608,000 on; the ratings run from "):
        splits.temporal(data, cutoff="2050-01-01")
    with pytest.raises(DataError, match="is not a date or time"):
        splits.temporal(data, cutoff="yesterday")


def test_leave_last_takes_the_latest_of_each_user() -> None:
    frame = pl.DataFrame(
        {
            "user": [1, 1, 1, 2, 3, 3],
            "item": [1, 2, 3, 1, 1, 2],
            "rating": [1, 2, 3, 4, 5, 1],
            "time": [5, 9, 7, 1, 4, 4],
        }
    )
    cut = splits.leave_last(read(frame))
    assert cut.valid.to_frame().rows() == [(1, 2, 2.0, 9), (3, 2, 1.0, 4)]
    assert splits.leave_last(read(frame), n=2).valid.to_frame()["user"].to_list() == [1, 1]


def test_given_joins_ids_and_side_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\n1,x,3\n2,y,4\n")
    (tmp_path / "b.csv").write_text("user,item,rating\n2,z,5\n7,x,1\n")
    cut = splits.given(tmp_path / "a.csv", tmp_path / "b.csv")
    assert cut.train.to_frame().rows() == [(1, "x", 3.0), (2, "y", 4.0)]
    assert cut.valid.to_frame().rows() == [(2, "z", 5.0), (7, "x", 1.0)]
    assert cut.train.item_ids is cut.valid.item_ids
    assert cut.train.item_ids.values.to_list() == ["x", "y", "z"]
    left = read(tmp_path / "a.csv", items=pl.DataFrame({"item": ["x"], "title": ["X"]}))
    both = splits.given(left, read(tmp_path / "b.csv", items=pl.DataFrame({"item": ["z"], "title": ["Z"]})))
    assert both.train.item_table is not None
    assert both.train.item_table["title"].to_list() == ["X", None, "Z"]
    with pytest.raises(DataError, match=r"user ids are numbers .* in one part and text"):
        splits.given(left, read(pl.DataFrame({"user": ["1"], "item": ["x"], "rating": [1]})))


@pytest.mark.parametrize("bad", [0, 1, -0.1, 1.5, "half", True, None])
def test_shares_outside_of_0_and_1_are_refused(bad: object) -> None:
    data = table(20, 0)
    with pytest.raises(ConfigError, match="share"):
        splits.random(data, bad)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="share"):
        splits.temporal(data, bad)  # type: ignore[arg-type]


def test_other_bad_input() -> None:
    data = table(20, 0)
    with pytest.raises(ConfigError, match="k=1"):
        splits.kfold(data, 1)
    with pytest.raises(ConfigError, match="n=0"):
        splits.leave_last(data, 0)
    with pytest.raises(ConfigError, match="seed"):
        splits.random(data, seed=-1)
    with pytest.raises(ConfigError, match="read it first"):
        splits.random(data.to_frame())  # type: ignore[arg-type]
    with pytest.raises(DataError, match="cannot be split"):
        splits.random(data.take(np.array([0])))
    with pytest.raises(DataError, match="cannot hold out"):
        splits.by_user(data, users=500)
    for cut in (splits.temporal, splits.leave_last):
        with pytest.raises(DataError, match="needs the time of each rating"):
            cut(table(20, 0, timed=False))  # type: ignore[operator]


@pytest.mark.movielens
def test_ml_100k(ml100k: Interactions, ml100k_folds: list[Split]) -> None:
    cut = splits.random(ml100k, valid=0.2, seed=42)
    assert (len(cut.train), len(cut.valid)) == (80_000, 20_000)
    assert [(len(s.train), len(s.valid)) for s in ml100k_folds] == [(80_000, 20_000)] * 5
    assert rows(*(s.valid for s in ml100k_folds)) == rows(ml100k_folds[0].train, ml100k_folds[0].valid)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(10, 80), seed=st.integers(0, 99), k=st.integers(1, 4), share=st.floats(0.05, 0.2))
def test_rolling_windows_follow_each_other_and_never_look_ahead(n: int, seed: int, k: int, share: float) -> None:
    data = table(n, seed)
    try:
        cuts = splits.rolling(data, k, share)
    except DataError:  # so many rows of one moment that a window is empty
        return
    assert len(cuts) == k
    for cut in cuts:
        assert cut.train.times is not None
        assert cut.valid.times is not None
        assert cut.train.times.max() < cut.valid.times.min()
        assert cut.train.user_ids is data.user_ids
    for one, following in pairwise(cuts):
        assert rows(one.train, one.valid) == rows(following.train)
    assert rows(cuts[-1].train, cuts[-1].valid) == rows(data)


def test_rolling_by_hand() -> None:
    data = read(pl.DataFrame({"user": [1] * 6, "item": list("abcdef"), "rating": [3] * 6, "time": [1, 2, 3, 4, 5, 6]}))
    cuts = splits.rolling(data, cutoffs=[3, 5])
    found = [[part.to_frame()["time"].to_list() for part in (cut.train, cut.valid)] for cut in cuts]
    assert found == [[[1, 2], [3, 4]], [[1, 2, 3, 4], [5, 6]]]
    assert cuts[0].how == "rolling, window 1 of 2: 2 rows, 3 to 5"  # an order, and no dates
    for bad in ({"k": 0}, {"k": 4, "valid": 0.3}, {"cutoffs": [5, 3]}, {"cutoffs": []}, {"cutoffs": "2013"}):
        with pytest.raises(ConfigError):
            splits.rolling(data, **bad)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="use fewer windows"):
        splits.rolling(data, cutoffs=[1, 3])
    with pytest.raises(DataError, match="no times"):
        splits.rolling(table(20, 0, timed=False))


def test_leave_last_by_share() -> None:
    frame = pl.DataFrame({"user": [1] * 10 + [2] * 2 + [3], "item": list(range(13)), "time": list(range(13))})
    split = splits.leave_last(read(frame.with_columns(rating=pl.lit(1))), 0.2)
    assert split.valid.item_ids.decode(split.valid.items).to_list() == [8, 9, 11]


def test_auto_holds_out_the_future_where_there_is_one() -> None:
    rng = np.random.default_rng(0)
    n = 600
    frame = pl.DataFrame({"user": rng.integers(0, 30, n), "item": rng.integers(0, 500, n), "rating": np.ones(n)})
    frame = frame.unique(["user", "item"], maintain_order=True)
    steady = frame.with_columns(time=pl.Series(rng.integers(10**9, 10**9 + 10**7, len(frame))))
    once = frame.with_columns(time=10**9 + pl.col("user") * 10**6 + pl.Series(rng.integers(0, 100, len(frame))))
    numbered = frame.with_columns(time=pl.int_range(pl.len()).over("user"))
    found = {
        name: splits.auto(read(one), 0.2, last=1).how
        for name, one in (("steady", steady), ("once", once), ("numbered", numbered), ("none", frame))
    }
    assert found["steady"].startswith("temporal: ")
    assert found["once"].startswith("leave last: the last 1 ")
    assert found["once"].endswith("(few users come back later)")
    assert found["numbered"].endswith("(times number the rows of each user)")
    assert found["none"].startswith("random: ")
    assert found["none"].endswith("(there are no times)")
    assert splits.auto(read(frame.with_columns(time=pl.lit(10**9)))).how.endswith("(all times are the same)")
    single = pl.DataFrame({"user": range(20), "item": [1, 2] * 10, "rating": [1.0] * 20, "time": range(20)})
    assert splits.auto(read(single)).how.endswith("(no user has two rows)")


def test_rows_of_a_pair_stay_together() -> None:
    """Rows that repeat a user and item are on one side, whichever random split it is; without such rows nothing
    changes."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 40, 1200), rng.integers(0, 12, 1200)
    table = pl.DataFrame({"user": users, "item": items})
    data, merged = read(table, duplicates="all"), read(table)
    assert len(data) == 1200

    def of(part: Interactions) -> set[tuple[int, int]]:
        return set(zip(part.users.tolist(), part.items.tolist()))

    cuts = [splits.random(data, 0.3, seed=1), *splits.kfold(data, 4, seed=2)]
    for cut in cuts:
        assert not of(cut.train) & of(cut.valid)
        assert len(cut.train) + len(cut.valid) == 1200
        assert "rows of the same user and item together" in cut.how
    assert abs(len(cuts[0].valid) - 360) < 15
    assert set.union(*(of(cut.valid) for cut in cuts[1:])) == of(data)
    people = splits.by_user(data, 0.3, 0.5, seed=3)
    assert people.given is not None
    assert not of(people.given) & of(people.valid)
    assert not set(people.train.users.tolist()) & set(people.valid.users.tolist())
    assert len(people.train) + len(people.given) + len(people.valid) == 1200
    assert len(of(people.valid)) >= len(of(people.given)) - 12
    for plain in (splits.random(merged), splits.kfold(merged)[0]):
        assert "together" not in plain.how
    with pytest.raises(DataError, match="2 pairs of a user and an item are needed"):
        splits.random(read([(1, 1, 5.0), (1, 1, 4.0)], duplicates="all"))
