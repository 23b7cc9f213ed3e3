"""Rows that rankers are chosen by: the future, or rows of each of some users."""

from __future__ import annotations

import numpy as np

from cofactor.data import splits
from cofactor.data.interactions import Interactions
from cofactor.models.base.windows import comes_next, ranking_windows, rows_of_users
from toys import interactions, noise

DAY = 86_400


def test_a_share_of_the_rows_of_each_user() -> None:
    data = noise(80, 50, 0.3)
    split = rows_of_users(data, 0.2, 1000, 0)
    before, held = (np.bincount(part.users, minlength=80) for part in (data, split.valid))
    np.testing.assert_array_equal(held, np.clip(np.round(0.2 * before), 1, before - 1))
    assert len(split.train) + len(split.valid) == len(data)
    pairs = {(u, i) for part in (split.train, split.valid) for u, i in zip(part.users.tolist(), part.items.tolist())}
    assert len(pairs) == len(data)
    assert split.how.startswith("random: 20% of the rows of each user, ")
    few = rows_of_users(data, 0.2, 7, 0)
    assert len(np.unique(few.valid.users)) == 7
    assert "each of 7 users" in few.how


def test_users_with_one_row_keep_it() -> None:
    data = interactions([0, 1, 1, 2], [0, 0, 1, 2], np.ones(4), 3, 3)
    split = rows_of_users(data, 0.2, 10, 1)
    assert split.valid.users.tolist() == [1]
    alone = interactions(np.arange(10), np.arange(10) % 3, np.ones(10), 10, 3)
    assert len(rows_of_users(alone, 0.2, 10, 1).valid) == 2


def test_the_future_where_there_are_times() -> None:
    data = noise(80, 50, 0.3)
    timed = data.replace(times=np.random.default_rng(0).integers(0, 100, len(data)) * DAY + 1_500_000_000)
    windows = ranking_windows(timed, 0)
    assert len(windows) == 3
    for one in windows:
        assert _last(one.train) < _first(one.valid)
    assert len(ranking_windows(timed, 0, most=1)) == 1
    assert len(ranking_windows(timed, 0, share=0.3)[-1].valid) > 1.8 * len(windows[-1].valid)
    plain = ranking_windows(data, 0)
    assert len(plain) == 3
    assert all(one.how.startswith("random: 20%") for one in plain)
    assert len({one.valid.items.tobytes() for one in plain}) == 3


def test_what_comes_next_is_one_row_of_each_user_the_last() -> None:
    data = noise(80, 50, 0.3)
    timed = data.replace(times=np.random.default_rng(0).integers(0, 100, len(data)) * DAY + 1_500_000_000)
    assert comes_next(splits.leave_last(timed))
    assert not comes_next(splits.leave_last(timed, 2))
    assert not comes_next(splits.temporal(timed, 0.02))
    assert not comes_next(rows_of_users(data, 0.01, 80, 0))


def _last(data: Interactions) -> int:
    assert data.times is not None
    return int(data.times.max())


def _first(data: Interactions) -> int:
    assert data.times is not None
    return int(data.times.min())


def test_rows_of_the_kind_that_a_split_held_out() -> None:
    rng = np.random.default_rng(0)
    data = noise(200, 50, 0.3)
    timed = data.replace(times=rng.integers(0, 100, len(data)) * DAY + 1_500_000_000)
    assert ranking_windows(timed, 0)[-1].how.startswith("rolling")
    made = {
        "random": splits.random(timed),
        "leave last": splits.leave_last(timed),
        "rolling": splits.temporal(timed),
    }
    for way, split in made.items():
        elsewhere = splits.given(split.train.replace(held_out=None), split.valid)
        assert elsewhere.train.held_out == split.train.held_out
        for train in (split.train, split.train.take(np.arange(len(split.train))), elsewhere.train):
            assert {window.how[: len(way)] for window in ranking_windows(train, 0)} == {way}
    assert splits.kfold(timed)[0].train.held_out == "random"
    assert splits.rolling(timed)[0].train.held_out == "future"
    assert splits.given(data.take(np.arange(100)), data.take(np.arange(100, 200))).train.held_out is None
