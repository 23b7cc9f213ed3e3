"""Columns that are read in parts, kernels that look for repeats, leading zeros in a file: against plain references."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cofactor.data.arrays import room
from cofactor.data.ids import leading_zeros
from cofactor.data.ids.factorize import factorize
from cofactor.data.read import read
from cofactor.data.rows import repeats
from cofactor.data.times import timestamps
from cofactor.errors import DataError
from cofactor.kernels import group


def table(ids: pl.DataType, rows: int = 3000, low: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "user": pl.Series(rng.integers(low, low + 100, rows)).cast(ids),
            "item": pl.Series(rng.integers(low, low + 90, rows)).cast(ids),
            "rating": rng.integers(1, 11, rows) / 2,
            "time": rng.integers(10**9, 2 * 10**9, rows),
        }
    )


@pytest.mark.parametrize(
    ("ids", "low"),
    [
        (pl.Int8(), -50),
        (pl.UInt16(), 0),
        (pl.Int32(), 2**31 - 100),
        (pl.Int32(), -(2**31)),
        (pl.UInt32(), 2**32 - 100),
        (pl.Int64(), -(10**12)),
        (pl.Int64(), 2**63 - 100),
        (pl.UInt64(), 2**64 - 100),
        (pl.String(), 0),
        (pl.Float64(), 5),
    ],
)
@pytest.mark.parametrize("duplicates", ["last", "first", "mean", "all"])
def test_a_file_in_parts_reads_like_the_frame(tmp_path: Path, ids: pl.DataType, low: int, duplicates: str) -> None:
    rng = np.random.default_rng(0)
    frame = table(pl.Int64() if low < 2**62 else pl.UInt64(), low=0)
    frame = frame.with_columns(
        [
            (pl.col(c).cast(pl.Int128) + low).cast(ids) if ids != pl.String else pl.col(c).cast(ids)
            for c in ("user", "item")
        ]
    )
    frame = frame.with_columns(rating=pl.Series(rng.integers(1, 11, len(frame)) / 2))
    frame.write_parquet(tmp_path / "r.parquet", row_group_size=700)
    one, other = read(frame, duplicates=duplicates), read(tmp_path / "r.parquet", duplicates=duplicates)  # type: ignore[arg-type]
    assert one.user_ids == other.user_ids
    assert one.item_ids == other.item_ids
    assert one.notes == other.notes
    for name in ("users", "items", "values", "times"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    if duplicates == "all":
        assert (
            one.user_ids.decode(one.users).to_list()
            == (frame["user"].cast(pl.Int64) if ids == pl.Float64 else frame["user"]).to_list()
        )


@pytest.mark.parametrize(
    ("column", "bad"),
    [*((c, None) for c in ("user", "item", "rating", "time")), ("rating", float("nan")), ("rating", float("inf"))],
)
def test_what_is_wrong_is_said_alike_in_a_file_and_a_frame(tmp_path: Path, column: str, bad: float | None) -> None:
    frame = table(pl.Int64())
    frame[1234, column] = bad
    frame[2345, column] = bad
    frame.write_parquet(tmp_path / "r.parquet", row_group_size=700)
    said = []
    for source in (frame, tmp_path / "r.parquet"):
        with pytest.raises(DataError, match="row 1235") as error:
            read(source)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_of_several_faults_the_user_column_is_named_first(tmp_path: Path) -> None:
    frame = table(pl.Int64())
    for column in ("time", "rating", "item", "user"):
        frame[7, column] = None
        frame.write_parquet(tmp_path / "r.parquet")
        for source in (frame, tmp_path / "r.parquet"):
            with pytest.raises(DataError, match=f"column '{column}'" if column != "time" else "time missing"):
                read(source)


def test_times_in_milliseconds_from_a_file(tmp_path: Path) -> None:
    frame = table(pl.Int64()).with_columns(pl.col("time") * 1000 + 7)
    frame.write_parquet(tmp_path / "r.parquet", row_group_size=700)
    one, other = read(frame), read(tmp_path / "r.parquet")
    assert one.times is not None
    assert other.times is not None
    np.testing.assert_array_equal(one.times, other.times)
    assert any("milliseconds" in note for note in other.notes)


@pytest.mark.parametrize("low", [0, 5, -7, 2**40, -(2**40), 2**31 - 3, 2**30])
def test_codes_of_integers_in_chunks(low: int) -> None:
    parts = [np.array([3, 9, 3, 4]), np.array([2, 8]), np.array([4, 0, 9])]
    column = pl.concat([pl.Series(low + part) for part in parts], rechunk=False)
    ids, codes = factorize(column, "user")
    values, expected = np.unique(np.concatenate(parts), return_inverse=True)
    assert ids.values.to_list() == (values + low).tolist()
    assert codes.tolist() == expected.tolist()


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32])
def test_codes_of_integers_of_any_width(dtype: type[pl.DataType]) -> None:
    """The lowest comes neither first nor in the first chunk, and the distance to it may not fit the type."""
    for low in (0, 3, 100, -100):
        if low < 0 and dtype in (pl.UInt8, pl.UInt16, pl.UInt32):
            continue
        parts = [[low + 27, low + 20, low + 27], [low + 5], [low, low + 26, low + 5]]
        column = pl.concat([pl.Series(part, dtype=dtype) for part in parts], rechunk=False)
        ids, codes = factorize(column, "user")
        values, expected = np.unique(column.to_numpy(), return_inverse=True)
        assert ids.values.to_list() == values.tolist()
        assert codes.tolist() == expected.tolist()
    if dtype in (pl.Int8, pl.UInt8):
        low, high = (-128, 127) if dtype == pl.Int8 else (0, 255)
        column = pl.concat([pl.Series([high, 5], dtype=dtype), pl.Series([low, high], dtype=dtype)], rechunk=False)
        assert factorize(column, "user")[1].tolist() == [2, 1, 0, 2]


@pytest.mark.parametrize("sizes", [(50, 40), (5000, 40), (40, 5000), (700_000, 9)])
def test_repeats_however_they_are_counted(sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    n_users, n_items = sizes
    rng = np.random.default_rng(n_users)
    users, items = rng.integers(0, n_users, 3000).astype(np.int32), rng.integers(0, n_items, 3000).astype(np.int32)
    expected = len(users) - len({*zip(users.tolist(), items.tolist())})
    for bits in (23, 0):  # by one bit for each pair of a block, or not
        monkeypatch.setattr(repeats, "_CACHED", bits)
        for scratch in (None, np.empty(len(users), dtype=np.uint32)):
            assert repeats.count_repeats(users, items, n_users, n_items, scratch) == expected


@pytest.mark.parametrize("n_users", [1, 7, 600, 5000])
@pytest.mark.parametrize("word", [np.uint32, np.uint64])
def test_repeats_by_blocks_of_users(n_users: int, word: type) -> None:
    rng = np.random.default_rng(n_users)
    n, n_items = 4000, 300
    users, items = rng.integers(0, n_users, n).astype(np.int32), rng.integers(0, n_items, n).astype(np.int32)
    users[users == n_users // 2] = 0  # somebody without a row
    starts = group.row_starts(users, n_users)
    expected = n - len({*zip(users.tolist(), items.tolist())})
    for shift in (0, 1, 3, 20):
        packed = np.empty(n, dtype=word)
        blocks = group.block_starts(users, shift, ((n_users - 1) >> shift) + 1)
        group.pack(users, items, blocks, shift, 9, packed)
        back = (packed.astype(np.int64) >> 9) + ((np.sort(users >> shift)) << shift)
        assert sorted(zip(back.tolist(), (packed & word(511)).tolist())) == sorted(zip(users.tolist(), items.tolist()))
        assert group.packed_repeats(packed, blocks, shift, 9, n_items) == expected
        assert group.marked_repeats(packed, blocks, shift, 9) == expected
    order = np.argsort(users, kind="stable")
    assert group.repeats(starts, items[order], n_items) == expected


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet='0017,"\na', max_size=60), block=st.integers(3, 12))
def test_leading_zeros_wherever_they_stand(tmp_path_factory: pytest.TempPathFactory, text: str, block: int) -> None:
    path = tmp_path_factory.getbasetemp() / "leading_zeros.csv"
    path.write_bytes(text.encode())
    expected = re.search(r'(^|[,"\n])0[0-9]', text) is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leading_zeros, "BLOCK", block)
        assert leading_zeros.in_file(path, ord(","), ord('"')) is expected
    assert leading_zeros.in_text(text.encode(), ord(","), ord('"')) is expected


@pytest.mark.parametrize("n", [3, 1_200_000])
def test_room_and_extent(n: int) -> None:
    numbers = room(n, np.int64)
    assert len(numbers) == n
    assert numbers.flags.writeable
    numbers[:] = np.random.default_rng(0).integers(-(2**62), 2**62, n)
    assert group.extent(numbers) == (numbers.min(), numbers.max())
    assert timestamps.from_integers(np.abs(numbers) % 10**9 + 10**9, "t")[1] is None
