"""Lists for a stream of ratings: blocks of whole users, the same lists as without, and the same on Spark."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cofactor as cf
from cofactor.engines import batches
from cofactor.engines.batches import lists_of, whole_users
from cofactor.errors import BundleError, ConfigError, DataError, UnknownIdError
from toys import two_tastes as table


@pytest.fixture(scope="module")
def rec() -> Any:
    """Trained on the first 40 of 60 users."""
    data = table()
    return cf.fit(data.take(data.users < 40), model="ease")


@pytest.fixture(scope="module")
def everybody() -> pl.DataFrame:
    """The ratings of all 60, those of a user together."""
    frame: pl.DataFrame = table().to_frame()
    return frame.sort("user", maintain_order=True)


@given(st.lists(st.integers(1, 4), max_size=12), st.integers(1, 5), st.integers(1, 4))
def test_no_user_is_torn(lengths: list[int], size: int, at_once: int) -> None:
    rows = pl.DataFrame({"user": np.repeat(np.arange(len(lengths)), lengths), "at": np.arange(sum(lengths))})
    blocks = list(whole_users((rows[i : i + size] for i in range(0, len(rows) + 1, size)), "user", at_once))
    assert sum(map(len, blocks)) == len(rows)
    if blocks:
        assert pl.concat(blocks).equals(rows)
    found = [user for block in blocks for user in block["user"].unique()]
    assert len(found) == len(set(found)) == len(lengths)
    assert all(block["user"].n_unique() <= at_once + size for block in blocks)


def test_lists_of_a_stream(rec: Any, everybody: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "USERS_AT_ONCE", 7)
    stream = (everybody[i : i + 50] for i in range(0, len(everybody), 50))
    found = pl.concat(lists_of(rec, stream, 4, "error", {"where": "genres contains C"}))
    expected = rec.update(everybody).recommend_all(4, where="genres contains C")
    assert found["user"].n_unique() == 60
    assert found.sort("user", "rank").drop("score").equals(expected.sort("user", "rank").drop("score"))
    np.testing.assert_allclose(found.sort("user", "rank")["score"], expected.sort("user", "rank")["score"], rtol=1e-5)


def test_unknown_items_are_left_out_if_asked(rec: Any, everybody: pl.DataFrame) -> None:
    strange = pl.concat([everybody, everybody[:3].with_columns(user=pl.lit(99, pl.Int64), item=pl.lit(7, pl.Int64))])
    strange = strange.with_columns(item=pl.when(pl.col("user") == 2).then(7).otherwise(pl.col("item")))
    found = pl.concat(lists_of(rec, [strange], 4, "skip", {}))
    assert sorted(set(found["user"])) == [*range(1, 61)]  # 99 has no known item; 2 is known from training
    with pytest.raises(UnknownIdError, match="unknown item 7"):
        list(lists_of(rec, [strange], 4, "error", {}))


def test_spark(rec: Any, everybody: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    from cofactor import engines as engine

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    bundle = str(tmp_path / "few.cofactor")
    rec.save(bundle)
    here = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1", "spark.ui.enabled": "false"}
    options = here | {"spark.sql.shuffle.partitions": "3"}
    session = sql.SparkSession.builder.master("local[2]").config(map=options).getOrCreate()
    try:
        ratings = session.createDataFrame(everybody.rows(), everybody.columns)
        lists = engine.recommend(ratings, bundle, 4, deny=[101])
        found = pl.DataFrame([r.asDict() for r in lists.collect()]).sort("user", "rank")
        expected = rec.update(everybody).recommend_all(4, deny=[101]).sort("user", "rank")
        assert found.columns == expected.columns
        assert found["item"].to_list() == expected["item"].to_list()
        np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)
        for columns, words in (
            ([ratings.user.alias("who")], "no column 'user'; there are: who"),
            ([ratings.user, ratings.item], "no column 'rating'"),
        ):
            with pytest.raises(DataError, match=words):
                engine.recommend(ratings.select(*columns), bundle)
        for wrong in ({"out": "x.parquet"}, {"users": [1]}, {"unknown": "popular"}, {"where": "nothing = 1"}):
            with pytest.raises(ConfigError):
                engine.recommend(ratings, bundle, **wrong)
        cf.fit(rec.data, model="popular").save(bundle)  # replaced between the plan and the work
        with pytest.raises(Exception, match="not the driver's model") as failed:
            lists.collect()
        assert BundleError.__name__ in str(failed.value)
    finally:
        session.stop()
