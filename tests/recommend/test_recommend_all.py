"""Lists for everybody: filters, bounded memory by parts, and runs that are killed and go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import ConfigError, DataError, UnknownIdError
from toys import two_tastes as table


@pytest.fixture(scope="module")
def rec():
    return cf.fit(table(), model="als", seed=1, n_factors=4)


WISHES = [
    {},
    {"where": "genres contains C"},
    {"deny": [100, 101], "seen": True},
    {"allow": list(range(105, 130)), "per_group": ("genres", 2)},
    {"diversity": 0.4},
    {"calibration": 0.5},
    {"sure": 0.9},
]


@pytest.mark.parametrize("wish", WISHES, ids=lambda w: "-".join(w) or "plain")
def test_the_same_as_one_by_one(rec, wish):
    frame = rec.recommend_all(4, **wish)
    assert frame.columns == ["user", "rank", "item", "score", "status"]
    for user in (1, 17, 60):
        mine, single = frame.filter(pl.col("user") == user), rec.recommend(user, n=4, **wish)
        assert mine["item"].to_list() == single["item"].to_list()
        np.testing.assert_allclose(mine["score"], single["score"], rtol=1e-5)
        assert mine["status"].to_list() == single["status"].to_list()


def test_options_that_do_not_exist(rec):
    with pytest.raises(ConfigError, match="no list option 'dny'; the options are: n, seen, allow, deny"):
        rec.recommend_all(4, dny=[1])


@pytest.mark.parametrize("given", [[17, 2, 60, 2], np.array([17, 2, 60]), pl.Series([17, 2, 60]), {17: 0, 2: 0, 60: 0}])
def test_some_users_in_their_order(rec, given):
    frame, every = rec.recommend_all(3, users=given), rec.recommend_all(3)
    assert frame["user"].unique(maintain_order=True).to_list() == [17, 2, 60]
    expected = pl.concat([every.filter(pl.col("user") == user) for user in (17, 2, 60)])
    assert frame.drop("score").equals(expected.drop("score"))
    np.testing.assert_allclose(frame["score"], expected["score"], rtol=1e-5)


def test_some_users_with_newer_ratings_and_unknown_ones(rec, tmp_path):
    newer = rec.update([(999, 103, 5), (4, 103, 1)])
    frame = newer.recommend_all(2, users=[999, 4])
    assert frame["status"].unique().to_list() == ["known, with newer ratings"]
    for nobody in ({"users": []}, {"users": [1000], "unknown": "skip"}):
        empty = rec.recommend_all(2, **nobody)
        assert empty.is_empty()
        assert empty.schema == frame.schema
        rec.recommend_all(2, out=tmp_path / "none.parquet", **nobody)
        assert pl.read_parquet(tmp_path / "none.parquet").equals(empty)
    assert newer.recommend_all(2, users=[999, 1000], unknown="skip")["user"].unique().to_list() == [999]
    with pytest.raises(UnknownIdError, match="unknown user 1000"):
        newer.recommend_all(2, users=[999, 1000])
    with pytest.raises(UnknownIdError, match="'4': it is text"):
        rec.recommend_all(2, users=["4"])
    with pytest.raises(ConfigError, match="users is 'abc'; give a list"):
        rec.recommend_all(2, users="abc")
    with pytest.raises(ConfigError, match="does not apply to users="):
        rec.recommend_all(2, users=[1], unknown="popular")
    out = tmp_path / "some.parquet"
    for users in ([999, 4], [4]):  # other users are other work
        newer.recommend_all(2, users=users, out=out)
        assert pl.read_parquet(out).equals(newer.recommend_all(2, users=users))


def test_users_without_ratings_are_said(rec):
    data = rec.data.take(rec.data.users != 4)
    short = cf.fit(data, model="als", seed=1, n_factors=4, calibrate=False)
    frame = short.recommend_all(3)
    assert frame.filter(pl.col("user") == 5)["status"].to_list() == ["user without ratings"] * 3
    assert short.recommend(5, n=1)["status"].to_list() == ["user without ratings"]
    assert short.predict([(5, 103), (6, 103)])["status"].to_list() == ["user without ratings", "known"]


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr("cofactor.recommend.batch.recommend_all.PART_ROWS", 40)


def test_a_file_of_many_parts_is_the_frame(rec, tmp_path, small_parts):
    rec.recommend_all(4, out=tmp_path / "a.parquet")
    assert pl.read_parquet(tmp_path / "a.parquet").equals(rec.recommend_all(4))
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


class Stop(Exception):
    pass


def stopping(rec, monkeypatch, after):
    """Make the recommender fail after some blocks of scores; gives the codes of the users asked for."""
    asked, scores = [], type(rec.model).scores

    def broken(self, users):
        if len(asked) >= after:
            raise Stop
        asked.append(users.tolist())
        return scores(self, users)

    monkeypatch.setattr(type(rec.model), "scores", broken)
    return asked


def test_a_run_that_stopped_goes_on_where_it_was(rec, tmp_path, monkeypatch, small_parts):
    whole = tmp_path / "whole.parquet"
    rec.recommend_all(4, out=whole)
    out = tmp_path / "a.parquet"
    with monkeypatch.context() as patch:
        stopping(rec, patch, after=3)
        with pytest.raises(Stop):
            rec.recommend_all(4, out=out)
    assert not out.exists()
    assert len(list((tmp_path / "a.parquet.parts").glob("*.parquet"))) == 3
    with monkeypatch.context() as patch:
        asked = stopping(rec, patch, after=3)  # three more parts are all that is left
        rec.recommend_all(4, out=out)
        assert sum(len(a) for a in asked) == 30
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "a.parquet.parts").exists()


@pytest.mark.parametrize("change", ["n", "where", "model", "update"])
def test_parts_of_other_work_are_not_used(rec, tmp_path, monkeypatch, small_parts, change):
    out = tmp_path / "a.parquet"
    with monkeypatch.context() as patch:
        stopping(rec, patch, after=3)
        with pytest.raises(Stop):
            rec.recommend_all(4, out=out)
    other, n, wish = rec, 4, {}
    if change == "n":
        n = 5
    elif change == "where":
        wish = {"where": "year > 1990"}
    elif change == "model":
        other = cf.fit(table(), model="als", seed=2, n_factors=4, calibrate=False)
    else:
        other = rec.update([(5, 120, 1.0)])
    other.recommend_all(n, out=out, **wish)
    assert pl.read_parquet(out).equals(other.recommend_all(n, **wish))


def test_what_cannot_be_written_is_said(rec, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="it is a folder"):
        rec.recommend_all(4, out=tmp_path / "folder")
    with pytest.raises(ConfigError, match=r"cannot write .*no/a.parquet: there is no folder"):
        rec.recommend_all(4, out=tmp_path / "no" / "a.parquet")
    from cofactor.recommend.batch.parquet_parts import ParquetParts

    with ParquetParts(tmp_path / "b.parquet", "key", 1) as file:
        with pytest.raises(DataError, match="another run is writing it"):
            ParquetParts(tmp_path / "b.parquet", "key", 1).__enter__()
        file.write(0, pl.DataFrame({"user": [1]}))
    assert pl.read_parquet(tmp_path / "b.parquet")["user"].to_list() == [1]


SLOW = """
import sys, time
import cofactor as cf
from cofactor.recommend.batch import recommend_all
recommend_all.PART_ROWS = 40
rec = cf.load(sys.argv[1])
scores = type(rec.model).scores
def slow(self, users):
    time.sleep(float(sys.argv[3]))
    return scores(self, users)
type(rec.model).scores = slow
rec.recommend_all(4, out=sys.argv[2])
"""


def run(bundle: Path, out: Path, pause: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SLOW, str(bundle), str(out), str(pause)])


@pytest.mark.slow
def test_killed_for_real(rec, tmp_path):
    bundle, out, parts = tmp_path / "m.cofactor", tmp_path / "a.parquet", tmp_path / "a.parquet.parts"
    rec.save(bundle)
    rec.recommend_all(1).write_parquet(out)
    earlier = out.read_bytes()
    victim = run(bundle, out, 0.3)
    for _ in range(600):
        if len(list(parts.glob("*.parquet"))) >= 2:
            break
        assert victim.poll() is None
        time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert out.read_bytes() == earlier
    finished = {p.name: p.stat().st_mtime_ns for p in parts.glob("*.parquet")}
    assert 2 <= len(finished) < 6
    assert run(bundle, out, 0).wait() == 0
    fresh = tmp_path / "b.parquet"
    assert run(bundle, fresh, 0).wait() == 0
    assert out.read_bytes() == fresh.read_bytes()
    assert pl.read_parquet(out).equals(rec.recommend_all(4))
    assert not parts.exists()


def test_names_of_files_say_what_is_written_and_no_other_table_is_replaced(rec, tmp_path):
    expected = rec.recommend_all(3)
    for name, separator in (("lists.csv", ","), ("lists.tsv", "\t")):
        assert rec.recommend_all(3, out=tmp_path / name) is None
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(separator.join(["user", "rank", "item"]))
        assert len(pl.read_csv(tmp_path / name, separator=separator)) == len(expected)
        rec.recommend_all(2, out=tmp_path / name)  # lists take the place of lists
    rec.data.to_frame().write_csv(tmp_path / "ratings.csv")
    rec.data.to_frame().write_parquet(tmp_path / "ratings.parquet")
    for name in ("ratings.csv", "ratings.parquet"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ConfigError, match="does not hold lists"):
            rec.recommend_all(3, out=tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(ConfigError, match=r"not as \.xlsx"):
        rec.recommend_all(3, out=tmp_path / "lists.xlsx")
