"""read: paths and frames of every kind, columns given or guessed, duplicates, times, and what is refused."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor.data.read import read
from cofactor.data.trainable import check_trainable
from cofactor.errors import BundleError, ConfigError, DataError

T = 1_000_000_000
ROWS = [(1, "Fargo", 5.0, T), (2, "Fargo", 3.0, T + 1), (1, "Kolya", 4.0, T + 2), (3, "Kolya", 1.5, T + 3)]
FRAME = pl.DataFrame(ROWS, schema=["user", "item", "rating", "time"], orient="row")


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def delimited(sep: str, header: bool = True) -> str:
    lines = [sep.join(["user", "item", "rating", "time"])] if header else []
    return "\n".join(lines + [sep.join(map(str, row)) for row in ROWS]) + "\n"


def same(data, expected=FRAME) -> bool:
    got = data.to_frame()
    return got.rows() == expected.select(pl.col("user"), pl.col("item"), pl.col("rating"), pl.col("time")).rows()


@pytest.mark.parametrize("sep", [",", "\t", ";", "|", "::"])
@pytest.mark.parametrize("header", [True, False])
def test_delimited_text(tmp_path: Path, sep: str, header: bool) -> None:
    data = read(write(tmp_path / "r.txt", delimited(sep, header)))
    assert same(data)
    assert data.user_ids.values.dtype == pl.Int64
    assert any("guessed" in note for note in data.notes)
    assert any("header" in note for note in data.notes) is not header


def test_gzip_parquet_arrow_and_frames_agree(tmp_path: Path) -> None:
    zipped = tmp_path / "r.csv.gz"
    zipped.write_bytes(gzip.compress(delimited(",").encode()))
    FRAME.write_parquet(tmp_path / "r.parquet")
    FRAME.write_ipc(tmp_path / "r.arrow")
    for source in (
        zipped,
        tmp_path / "r.parquet",
        str(tmp_path / "r.arrow"),
        FRAME,
        FRAME.lazy(),
        FRAME.to_pandas(),
        FRAME.to_arrow(),
        FRAME.to_dict(as_series=False),
    ):
        assert same(read(source)), type(source)


ids_ = st.one_of(
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=30),
    st.lists(
        st.text(min_size=1, max_size=8, alphabet=st.characters(codec="utf-8", exclude_characters="\x00")),
        min_size=1,
        max_size=30,
    ),
)


@settings(max_examples=40, deadline=None)
@given(users=ids_, data=st.data())
def test_frames_of_every_library_read_alike(users: list[object], data: st.DataObject) -> None:
    items = data.draw(st.lists(st.integers(0, 5), min_size=len(users), max_size=len(users)))
    frame = pl.DataFrame({"user": users, "item": items, "rating": [float(i % 3) for i in range(len(users))]})
    reads = [read(f, kind="ratings", missing_ids="keep") for f in (frame, frame.to_pandas(), frame.to_arrow())]
    for other in reads[1:]:
        assert other.to_frame().equals(reads[0].to_frame())
        assert other.user_ids == reads[0].user_ids
        assert other.notes == reads[0].notes
    pairs = {(u, i): r for u, i, r in frame.rows()}  # the last row of a pair wins
    assert {(u, i): r for u, i, r in reads[0].to_frame().rows()} == pairs


def test_names_are_guessed_whatever_their_case_and_can_be_given(tmp_path: Path) -> None:
    frame = FRAME.rename({"user": "User_ID", "item": "movieId", "rating": "Stars", "time": "Timestamp"})
    data = read(frame)
    assert (data.columns.user, data.columns.item) == ("User_ID", "movieId")
    assert (data.columns.rating, data.columns.time) == ("Stars", "Timestamp")
    guess = "columns guessed: user = 'User_ID', item = 'movieId', rating = 'Stars', time = 'Timestamp'"
    assert data.notes[0] == guess
    assert data.notes[1].startswith("kind: ratings (4 different values from 1.5 to 5)")
    odd = FRAME.rename({"user": "a", "item": "b", "rating": "c", "time": "d"})
    assert same(read(odd, user="a", item="b", rating="c", time="d").replace(columns=read(FRAME).columns))
    assert same(read(odd, user=0, item=1, rating=2, time=3).replace(columns=read(FRAME).columns))
    with pytest.raises(
        DataError, match="cannot guess which column of the frame is the user; there are: 'a', 'b', 'c', 'd'"
    ):
        read(odd)
    with pytest.raises(DataError, match=r"no column 'usr' in the frame; there are: 'user', .*Did you mean 'user'"):
        read(FRAME, user="usr")
    with pytest.raises(DataError, match="no column 9 for the user"):
        read(FRAME, user=9)
    with pytest.raises(DataError, match="given twice"):
        read(FRAME, user="user", item="user")


def test_columns_without_names_may_come_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "300,5,7,9\n300,4,8,9\n301,3,7,2\n")
    data = read(path, user=3, item=0, rating=1, time=False)
    assert data.to_frame().rows() == [(9, 300, 4.0), (2, 301, 3.0)]
    assert "merged" in data.notes[-1]


def test_plain_names_of_columns_without_names_are_positions(tmp_path: Path) -> None:
    path = write(tmp_path / "u.data", "1\t50\t5\t1000000000\n2\t60\t3\t1000000001\n")
    expected = [(1, 50, 5.0, 1_000_000_000), (2, 60, 3.0, 1_000_000_001)]
    assert read(path, user="user", item="item", rating="rating", time="time").to_frame().rows() == expected
    assert read(path, user=1, item="item", rating="rating").to_frame().row(0)[:3] == (50, 1, 5.0)
    bare = write(tmp_path / "bare.csv", "1,50\n2,60\n")
    with pytest.raises(DataError, match=r"no column 'rating' .*give positions"):
        read(bare, user="user", item="item", rating="rating")


def test_no_rating_column_means_implicit_feedback() -> None:
    data = read(FRAME.select("user", "item"))
    assert data.columns.rating is None
    assert data.values.tolist() == [1.0] * 4
    assert any("implicit" in note for note in data.notes)
    assert read(FRAME, rating=False).values.tolist() == [1.0] * 4
    check_trainable(data)


def test_leading_zeros_keep_ids_text_and_other_columns_numbers(tmp_path: Path) -> None:
    data = read(write(tmp_path / "r.dat", "7::0110912::9::1375657563\n8::1110912::5::1375657564\n"))
    assert data.item_ids.values.to_list() == ["0110912", "1110912"]
    assert data.user_ids.values.to_list() == [7, 8]
    assert data.times is not None
    assert data.times.tolist() == [1375657563, 1375657564]


def test_an_id_that_is_text_far_down_makes_all_of_them_text(tmp_path: Path) -> None:
    lines = "".join(f"{i},{i % 7},3,{10**9 + i}\n" for i in range(5000))
    data = read(write(tmp_path / "r.csv", "user,item,rating,time\n" + lines + "abc,1,4,1000000000\n"))
    assert data.user_ids.values.dtype == pl.String
    assert "abc" in data.user_ids
    assert data.item_ids.values.dtype == pl.Int64


def test_latin_1_is_read_and_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "user,item,rating\n1,Café,3\n2,Été,4\n", "latin-1")
    data = read(path)
    assert data.item_ids.values.to_list() == ["Café", "Été"]
    assert any("latin-1" in note for note in data.notes)
    assert read(path, encoding="cp1252").item_ids == data.item_ids
    wide = write(tmp_path / "w.csv", "user,item,rating\n1,Café,3\n2,Été,4\n", "utf-16")
    assert read(wide).item_ids == data.item_ids
    with pytest.raises(DataError, match="no encoding 'nonsense'"):
        read(path, encoding="nonsense")


def test_quoted_fields_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = '\ufeffuser,title,rating\n1,"Silence of the Lambs, The (1991)",5\n2,"Say ""hi""",3\n'
    data = read(write(tmp_path / "r.csv", text))
    assert data.columns.user == "user"
    assert data.item_ids.values.to_list() == ['Say "hi"', "Silence of the Lambs, The (1991)"]


def test_names_of_columns_in_latin_1(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "identité,article,note\n1,été,3\n2,b,4\n", "latin-1")
    for encoding in (None, "latin-1"):
        data = read(path, user="identité", item="article", rating="note", encoding=encoding)
        assert data.to_frame().rows() == [(1, "été", 3.0), (2, "b", 4.0)]
    assert any("latin-1" in note for note in read(path, user=0, item=1, rating=2).notes)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_empty_rows_are_left_out_and_noted(tmp_path: Path, end: str) -> None:
    lines = ["user,item,rating,comment", "1,2,4,", "", ",,,", "3,4,3,fine", "", ""]
    data = read(write(tmp_path / "r.csv", end.join(lines)))
    assert data.to_frame().rows() == [(1, 2, 4.0), (3, 4, 3.0)]
    assert "3 empty rows left out" in data.notes
    assert cf.check(tmp_path / "r.csv").worst != "error"
    with pytest.raises(DataError, match="user id missing in row 2"):  # a row with a comment is not empty
        read(write(tmp_path / "c.csv", "user,item,rating,comment\n1,2,4,\n,,,why\n"))


def test_lines_may_end_as_on_an_old_macintosh(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "user,item,rating\r1,Été,4\r3,b,3\r")
    assert read(path).to_frame().rows() == [(1, "Été", 4.0), (3, "b", 3.0)]


def test_a_first_line_of_any_length(tmp_path: Path) -> None:
    more = [f"{'long_' * 20}name_{i}" for i in range(1300)]
    head, row = ",".join([*more, "user", "item", "rating"]), ",".join(["1"] * 1300)
    assert len(head) > 1 << 17
    data = read(write(tmp_path / "r.csv", f"{head}\n{row},1,2,4\n{row},3,4,3\n"))
    assert data.to_frame().rows() == [(1, 2, 4.0), (3, 4, 3.0)]


def test_quotes_of_tab_separated_text(tmp_path: Path) -> None:
    all_quoted = '"user"\t"item"\t"rating"\n"u1"\t"a b"\t3\n"u2"\t"c"\t4\n'
    data = read(write(tmp_path / "r.tsv", all_quoted))
    assert data.to_frame().rows() == [("u1", "a b", 3.0), ("u2", "c", 4.0)]
    where_needed = 'user\titem\trating\nu1\t"Say ""hi"""\t3\nu2\tc\t4\n'
    assert read(write(tmp_path / "n.tsv", where_needed)).item_ids.values.to_list() == ['Say "hi"', "c"]
    no_quotes = 'user\titem\trating\nu1\t12" disc\t3\nu2\t"Great" Cats\t4\n'
    assert read(write(tmp_path / "s.tsv", no_quotes)).item_ids.values.to_list() == ['"Great" Cats', '12" disc']
    names = 'user\titem\trating\nu1\t"Crocodile" Dundee\t3\nu2\t"Heroes"\t4\n'
    assert read(write(tmp_path / "t.tsv", names)).item_ids.values.to_list() == ['"Crocodile" Dundee', '"Heroes"']


@pytest.mark.skipif(int(pl.__version__.split(".")[0]) < 2, reason="polars 1 refuses 2^63 in a CSV")
def test_whole_numbers_of_any_size_are_ids(tmp_path: Path) -> None:
    big = read(write(tmp_path / "b.csv", "user,item,rating\n9223372036854775808,1,4\n7,2,3\n"))
    assert big.user_ids.values.to_list() == [7, 2**63]
    assert big.user_ids.code(2**63) == 1
    huge = read(write(tmp_path / "h.csv", f"user,item,rating\n{10**20},1,4\n7,2,3\n"))
    assert sorted(huge.user_ids.values.to_list()) == [str(10**20), "7"]
    assert cf.check(tmp_path / "h.csv").worst != "error"
    decimals = pl.DataFrame({"user": [1, 2], "item": [5, 6], "rating": [1.0, 2.0]}).with_columns(
        pl.col("user").cast(pl.Decimal(38, 0))
    )
    data = read(decimals)
    assert data.user_ids.values.dtype == pl.Int64
    assert data.user_ids.encode(decimals["user"]).tolist() == [0, 1]


def test_an_empty_frame_of_pandas_has_no_rows() -> None:
    with pytest.raises(DataError, match="has no rows"):
        read(pd.DataFrame({"user": [], "item": [], "rating": []}))


def test_floats_that_are_whole_numbers_become_integers() -> None:
    data = read(pd.DataFrame({"user": [1.0, 2.0], "item": ["a", "b"], "rating": [1, 2]}))
    assert data.user_ids.values.to_list() == [1, 2]
    assert any("whole numbers" in note for note in data.notes)
    with pytest.raises(DataError, match=r"user id 1.5 in row 2 .* is a decimal number"):
        read(pd.DataFrame({"user": [1.0, 1.5], "item": ["a", "b"], "rating": [1, 2]}))


def test_categories_of_pandas_and_arrow_are_text() -> None:
    frame = pd.DataFrame({"user": pd.Categorical(["x", "y"]), "item": [1, 2], "rating": [1, 2]})
    assert read(frame).user_ids.values.to_list() == ["x", "y"]
    table = pa.table({"user": pa.array(["x", "y"]).dictionary_encode(), "item": [1, 2], "rating": [1, 2]})
    assert read(table).user_ids.values.to_list() == ["x", "y"]


@pytest.mark.parametrize(
    ("times", "seconds", "note"),
    [
        ([10**9, 10**9 + 1], [10**9, 10**9 + 1], None),
        ([10**12, 10**12 + 1500], [10**9, 10**9 + 1], "milliseconds"),
        ([10**15, 10**15 + 10**6], [10**9, 10**9 + 1], "microseconds"),
        ([10**18, 10**18 + 10**9], [10**9, 10**9 + 1], "nanoseconds"),
        ([1.5e9, 1.5e9 + 0.5], [1_500_000_000, 1_500_000_000], None),
        (["2001-09-09", "2001-09-10"], [999_993_600, 1_000_080_000], None),
        (["2001-09-09T01:46:40", "2001-09-09T01:46:41"], [10**9, 10**9 + 1], None),
        (["2001-09-09 01:46:40", "2001-09-09 01:46:41"], [10**9, 10**9 + 1], None),
        (["2001-09-09T01:46:40Z", "2001-09-09T03:46:41+02:00"], [10**9, 10**9 + 1], None),
        ([dt.datetime(2001, 9, 9, 1, 46, 40), dt.datetime(2001, 9, 9, 1, 46, 41)], [10**9, 10**9 + 1], None),
        ([dt.date(2001, 9, 9), dt.date(2001, 9, 10)], [999_993_600, 1_000_080_000], None),
    ],
)
def test_times_of_every_kind(times: list[object], seconds: list[int], note: str | None) -> None:
    frame = pl.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1, 2], "time": times})
    for source in (frame, frame.to_pandas()):
        data = read(source)
        assert data.times is not None
        assert data.times.tolist() == seconds
        assert any("by their size" in n and (note or "-") in n for n in data.notes) is (note is not None)


def test_times_in_a_zone_become_utc() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1, 2]})
    frame["time"] = pd.Series([dt.datetime(2001, 9, 9, 3, 46, 40, tzinfo=zone)] * 2)
    data = read(frame)
    assert data.times is not None
    assert data.times.tolist() == [10**9] * 2


DOUBLED = pl.DataFrame(
    {"user": [1, 1, 2, 1], "item": [7, 7, 7, 7], "rating": [1.0, 5.0, 3.0, 3.0], "time": [30, 10, 20, 30]}
)


@pytest.mark.parametrize(
    ("policy", "timed", "rating", "time"),
    [
        ("last", True, 3.0, 30),
        ("last", False, 3.0, None),
        ("first", True, 5.0, 10),
        ("first", False, 1.0, None),
        ("mean", True, 3.0, 30),
    ],
)
def test_duplicates(policy: str, timed: bool, rating: float, time: int | None) -> None:
    data = read(DOUBLED if timed else DOUBLED.drop("time"), duplicates=policy)  # type: ignore[arg-type]
    assert len(data) == 2
    frame = data.to_frame().filter(pl.col("user") == 1)
    assert frame["rating"].to_list() == [rating]
    if time is not None:
        assert frame["time"].to_list() == [time]
    assert "2 duplicate rows" in data.notes[-1]


def test_duplicates_may_all_be_kept() -> None:
    data = read(DOUBLED, duplicates="all")
    assert data.to_frame().rows() == DOUBLED.rows()
    assert data.by_user.row(0)[1].tolist() == [1.0, 5.0, 3.0]


def test_duplicates_may_be_an_error() -> None:
    with pytest.raises(DataError, match=r"2 rows repeat a user and item, such as user 1 with item 7"):
        read(DOUBLED, duplicates="error")
    with pytest.raises(ConfigError, match="it may be 'last', 'first', 'mean', 'sum', 'count', 'all' or 'error'"):
        read(DOUBLED, duplicates="max")  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=40
    ),
    st.sampled_from(["last", "first", "mean"]),
    st.booleans(),
)
def test_duplicates_against_a_plain_reference(rows: list[tuple[int, ...]], policy: str, timed: bool) -> None:
    frame = pl.DataFrame(rows, schema=["user", "item", "rating", "time"], orient="row")
    data = read(frame, kind="ratings", duplicates=policy, time="time" if timed else False)  # type: ignore[arg-type]
    groups: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for at, (u, i, r, t) in enumerate(rows):
        groups.setdefault((u, i), []).append((t if timed else 0, at, r))
    expected = {}
    for pair, seen in groups.items():
        if policy == "mean":
            expected[pair] = np.float32(np.mean([r for *_, r in seen]))
        elif policy == "last":
            expected[pair] = np.float32(max(seen)[2])
        else:
            expected[pair] = np.float32(min(seen)[2])
    got = data.to_frame()
    assert len(got) == len(expected)
    for row in got.rows():
        assert row[2] == pytest.approx(expected[row[0], row[1]], rel=1e-6)


def test_side_tables_are_aligned_with_the_codes(tmp_path: Path) -> None:
    side = write(
        tmp_path / "items.csv", "movieId,title,genres\n9,Nine,Drama\n7,Seven,\n8,Eight,Comedy\n7,Again,Horror\n"
    )
    frame = pl.DataFrame({"user": [1, 2, 1], "movieId": [7, 8, 6], "rating": [1, 2, 3]})
    people = pd.DataFrame({"age": [30, 20], "user": [2, 1]})
    data = read(frame, items=side, users=people)
    assert data.item_table is not None
    assert data.item_table.rows() == [(6, None, None), (7, "Seven", None), (8, "Eight", "Comedy")]
    assert data.user_table is not None
    assert data.user_table.rows() == [(1, 20), (2, 30)]
    assert any("repeat an id" in note for note in data.notes)
    assert any("1 of 3 items are not in the item table" in note for note in data.notes)
    assert data.take(np.array([0])).item_table is data.item_table
    with pytest.raises(DataError, match="item ids are numbers in the ratings but text in the side table"):
        read(frame, items=pl.DataFrame({"movieId": ["7"], "title": ["x"]}))
    with pytest.raises(DataError, match="no item of the ratings is in the side table"):
        read(frame, items=pl.DataFrame({"movieId": [100], "title": ["x"]}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("user,item,rating\n", "has no rows"),
        ("user,item,rating\n1,2,3\n1,3,x\n", r"rating in row 2 \(column 'rating'\) is 'x', which is not a number"),
        ("user,item,rating\n1,2,3\n1,3,\n", "rating in row 2 .* is missing"),
        ("user,item,rating\n1,2,3\n1,3,nan\n", "rating in row 2 .* is missing .*nan"),
        ("user,item,rating\n1,2,inf\n1,3,1\n", "rating in row 1 .* is inf"),
        ("user,item,rating\n1,2,3\n,3,1\n", r"user id missing in row 2 \(column 'user'\)"),
        ("user,item,rating\na,b,3\na,,1\n", "item id missing in row 2"),
        ("user,item,rating,time\n1,2,3,5\n1,3,1,\n", "time missing in row 2"),
        ("user,item,rating,time\n1,2,3,2001-01-01\n1,3,1,soon\n", "row 2 of column 'time' is not a time"),
        ("user,item,rating\n1,2,3,4,5\n", "line 2 .* has more fields than the first, which has 3"),
    ],
)
def test_bad_files_say_what_and_where(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_bad_value_far_down_is_found(tmp_path: Path) -> None:
    lines = "".join(f"{i % 50},{i},3\n" for i in range(3000))
    path = write(tmp_path / "bad.csv", "user,item,rating\n" + lines + "1,2999999,five\n")
    with pytest.raises(DataError, match=r"rating in row 3001 .* is 'five'"):
        read(path)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="contains no file"):
        read(tmp_path)
    with pytest.raises(DataError, match="zip archive"):
        read(write(tmp_path / "a.zip", "PK\x03\x04whatever"))
    cut = tmp_path / "cut.parquet"
    FRAME.write_parquet(cut)
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read as a table"):
        read(cut)
    broken = tmp_path / "r.csv.gz"
    broken.write_bytes(gzip.compress(delimited(",").encode() * 100)[:60])
    with pytest.raises(DataError, match="damaged gzip"):
        read(broken)
    with pytest.raises(DataError, match="cannot read ratings from a int"):
        read(42)


def test_mixed_types_of_ids_name_row_and_types() -> None:
    frame = pd.DataFrame({"user": [1, 2, "2"], "item": [1, 2, 3], "rating": [1, 2, 3]}, dtype=object)
    with pytest.raises(DataError, match=r"'2' in row 3 is str, but 1 is int"):
        read(frame)
    gaps = pd.DataFrame({"user": [1, None, 2], "item": [1, 2, 3], "rating": [1, 2, 3]})
    with pytest.raises(DataError, match="user id missing in row 2"):
        read(gaps)
    with pytest.raises(DataError, match=r"rating in row 3 .* is 'x'"):
        read(pd.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3], "rating": [1, 2, "x"]}, dtype=object))


def test_integers_and_text_never_mix() -> None:
    numbers, text = read(FRAME), read(FRAME.with_columns(pl.col("user").cast(pl.String)))
    assert numbers.user_ids.code(1) == 0
    assert numbers.user_ids.code("1") == -1
    assert text.user_ids.code("1") == 0
    assert text.user_ids.code(1) == -1


def test_check_trainable() -> None:
    check_trainable(read(FRAME))
    with pytest.raises(DataError, match="only one user"):
        check_trainable(read(FRAME.filter(pl.col("user") == 1)))
    with pytest.raises(DataError, match=r"only one item \('Fargo'\)"):
        check_trainable(read(FRAME.filter(pl.col("item") == "Fargo")))
    with pytest.raises(DataError, match="every rating is 3, so there is nothing to learn"):
        check_trainable(read(FRAME.with_columns(rating=pl.lit(3.0)), kind="ratings"))
    check_trainable(read(FRAME.with_columns(rating=pl.lit(3.0))))  # events
    with pytest.raises(DataError, match="no ratings to learn from"):
        check_trainable(read(FRAME).take(np.empty(0, dtype=np.int64)))


def test_arrays_are_frozen_and_typed() -> None:
    data = read(FRAME)
    assert (data.users.dtype, data.items.dtype, data.values.dtype) == (np.int32, np.int32, np.float32)
    assert data.times is not None
    assert data.times.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        data.values[0] = 1


@pytest.mark.parametrize("text", ["01,2,3\n1,2,4\n", "1,2,3\n2,02,4\n", "1,2,3\n02,2,4\n", '"1",2,3\n"02",2,4\n'])
def test_a_leading_zero_anywhere_counts(tmp_path: Path, text: str) -> None:
    data = read(write(tmp_path / "r.csv", text))
    assert (data.user_ids.values.dtype == pl.String) is (text[0] == "0" or "\n0" in text or '"0' in text)
    assert (data.item_ids.values.dtype == pl.String) is (",02" in text)


def test_fields_that_start_with_zero_and_no_digit_do_not(tmp_path: Path) -> None:
    data = read(write(tmp_path / "r.csv", "0,20,0.5\n10,0,0\n"))
    assert data.to_frame().rows() == [(0, 20, 0.5), (10, 0, 0.0)]


def test_nonsense_is_refused_in_one_sentence() -> None:
    good = pd.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1, 2]})
    with pytest.raises(DataError, match="same name"):
        cf.read(pd.concat([good, good], axis=1))
    with pytest.raises(DataError, match=r"not a table|from a Series"):
        cf.read(good["rating"])
    with pytest.raises(DataError, match=r"sep is .*--sep"):
        cf.read("ratings.csv", sep="")
    with pytest.raises(DataError, match="Did you mean 'ml-100k'"):
        cf.read("ml-100")
    for nonsense in (None, 3, "\0", b"x", ["a"]):
        with pytest.raises(BundleError):
            cf.load(nonsense)  # type: ignore[arg-type]


def test_arguments_of_fit_are_checked() -> None:
    data = cf.read(pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "rating": [1, 2, 3, 5]}))
    for wrong in ({"seed": -1}, {"seed": 1.5}, {"resume": True}, {"valid": 0.2}, {"warm_from": "x"}, {"epochs": 1.5}):
        with pytest.raises(ConfigError):
            cf.fit(data, model="bias", **wrong)  # type: ignore[arg-type]


def test_what_left_no_rows_is_said(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("user,item,rating,w,event\n1,2,5,0,view\n3,4,1,0,view\n")
    with pytest.raises(DataError, match=r"w.csv has no rows left: 2 rows of weight 0 left out"):
        read(path, weight="w")
    with pytest.raises(DataError, match=r"no rows left: .*2 rows whose value means no rating left out"):
        read(path, missing=[5, 1])
    with pytest.raises(DataError, match=r"no rows left: .*view \(2 rows, counts 0"):
        read(path, rating=False, behaviour="event", weights={"view": 0})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoding": "\x00"}, "no encoding"),
        ({"encoding": "rot13"}, "no encoding"),
        ({"wide": True, "user": 99}, "no column 99 for the user"),
        ({"wide": True, "user": -99}, "no column -99 for the user"),
        ({"wide": True, "user": "usr"}, "Did you mean 'user'"),
    ],
)
def test_what_the_file_does_not_have(options: dict[str, object], said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user,a,b,c\nx,1,2,3\ny,2,,5\nz,4,5,1\n")
    with pytest.raises(DataError, match=said):
        read(tmp_path / "t.csv", **options)  # type: ignore[arg-type]
