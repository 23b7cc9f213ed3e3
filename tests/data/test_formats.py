"""Tables in the shapes that people have: each is read as what it is, or refused in one sentence."""

from __future__ import annotations

# ruff: noqa: E501, E741, RUF043  # rows of tables are easier to read in one line
import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import io as scipy_io
from scipy import sparse

import cofactor as cf
from cofactor.errors import ConfigError, DataError

RNG = np.random.default_rng(1)
PAIRS = RNG.permutation(40 * 30)[:300]
U, I = PAIRS // 30 + 1, PAIRS % 30 + 1
R = RNG.integers(1, 6, 300)
T = 881_250_949 + np.arange(300) * 1_000
E = RNG.choice(["view", "addtocart", "transaction"], 300, p=[0.7, 0.2, 0.1])


def lines(*columns: Any, sep: str = ",") -> str:
    return "".join(sep.join(map(str, row)) + "\n" for row in zip(*columns))


def iso(times: Any) -> list[str]:
    return [str(np.datetime64(int(t), "s")) for t in times]


def json_lines(**columns: Any) -> str:
    return "".join(
        json.dumps(dict(zip(columns, (v.item() if hasattr(v, "item") else v for v in row)))) + "\n"
        for row in zip(*columns.values())
    )


HEADED = "user,item,rating\n" + lines(U, I, R)
TEXTS: dict[str, tuple[str, str, Any]] = {
    "u.data": (lines(U, I, R, T, sep="\t"), "ratings", "time"),
    "ratings.dat": (lines(U, I, R, T, sep="::"), "ratings", "time"),
    "ratings.csv": ("userId,movieId,rating,timestamp\n" + lines(U, I, R, T), "ratings", "time"),
    "amazon.csv": (lines([f"A{u:013d}" for u in U], [f"B00{i:07d}" for i in I], R, T), "ratings", "time"),
    "amazon_items_first.csv": (lines([f"B00{i:07d}" for i in I], [f"A{u:013d}" for u in U], R, T), "ratings", "time"),
    "gowalla.txt": (lines(U, [t + "Z" for t in iso(T)], 30.2359 + U / 1e4, -97.795139 - I / 1e4, I + 22_000, sep="\t"), "events", "time"),
    "foursquare.csv": (
        "userId,venueId,venueCategory,latitude,longitude,timezoneOffset,utcTimestamp\n"
        + lines(U, [f"4bd{i}" for i in I], ["Bar"] * 300, 40.7 + U / 1e4, -74 + I / 1e4, [-240] * 300, ["Tue Apr 03 18:00:09 +0000 2012"] * 300),
        "events",
        "time",
    ),
    "goodreads.csv": ("user_id,book_id,is_read,rating,is_reviewed\n" + lines(U, I, [1] * 300, R, [0] * 300), "ratings", None),
    "retailrocket.csv": (lines(T * 1000, U + 257_000, E, I + 355_900), "events", "time"),
    "listening.tsv": (lines([f"user_{u:06d}" for u in U], iso(T), [f"f1b1-{i}" for i in I], ["Deep Dish"] * 300, [""] * 300, sep="\t"), "events", "time"),
    "taobao.csv": (lines(U, I + 2_268_318, I % 5 + 2_520_377, E, T), "events", "time"),
    "douban.csv": ("USER_MD5,MOVIE_ID,RATING,RATING_TIME\n" + lines([f"{u:032x}" for u in U], I, R, [t.replace("T", " ") for t in iso(T)]), "ratings", "time"),
    "konect.txt": ("% bip weighted\n% 300 40 30\n" + lines(U, I, R, T, sep=" "), "ratings", "time"),
    "commented.txt": ("# user item rating\n" + lines(U, I, R, sep=" "), "ratings", None),
    "aligned.txt": ("".join(f"  {u:4d} \t {i:4d}   {v}  \n" for u, i, v in zip(U, I, R)), "ratings", None),
    "two_tabs.txt": (lines(U, [""] * 300, I, [""] * 300, R, sep="\t"), "ratings", None),
    "hive_default": (lines(U, I, R, sep="\x01"), "ratings", None),
    "impressions.tsv": (lines(range(300), [f"U{u}" for u in U], ["11/13/2019 8:36:57 AM"] * 300, [f"N{i}" for i in I], sep="\t"), "events", "time"),
    "spreadsheet.csv": ("user;item;rating;date\n" + lines(U, I, [f"{v},5" for v in R], 43_831 + np.arange(300) / 2, sep=";").replace(".", ","), "ratings", None),
    "digits.csv": ("user,item,rating,date\n" + lines(U, I, R, [20_200_705] * 300), "ratings", "time"),
    "rees46.csv": (
        "event_time,event_type,product_id,category_id,brand,price,user_id\n"
        + lines([t.replace("T", " ") + " UTC" for t in iso(T)], E, I + 44_600_000, I + 2_103_807_459_595_387_000, ["x"] * 300, R * 1.5, U + 541_312_000),
        "events",
        "time",
    ),
    "yelp.json": (json_lines(review_id=range(300), user_id=[f"u{u}" for u in U], business_id=[f"b{i}" for i in I], stars=R * 1.0, text=["a\nb,\"c\""] * 300, date=["2018-07-07 22:09:11"] * 300), "ratings", "time"),
    "two_keys.json": (json_lines(user=U, item=I), "events", None),
    "nested.jsonl": ("".join(json.dumps({"user": {"id": int(u)}, "item": {"id": int(i)}, "rating": int(v)}) + "\n" for u, i, v in zip(U, I, R)), "ratings", None),
    "array.json": (json.dumps([{"user": int(u), "item": int(i), "rating": int(v)} for u, i, v in zip(U, I, R)], indent=1), "ratings", None),
    "pandas.json": (pd.DataFrame({"user": U, "item": I, "rating": R}).to_json(), "ratings", None),
    "ffm.txt": (lines(R, [f"0:{u}:1" for u in U], [f"1:{i + 100}:1" for i in I], sep=" "), "ratings", None),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name: str, tmp_path: Path) -> None:
    text, kind, time = TEXTS[name]
    (tmp_path / name).write_text(text)
    options = {"user": "user.id", "item": "item.id"} if name == "nested.jsonl" else {}
    data = cf.read(tmp_path / name, **options)
    assert (len(data), data.n_users, data.n_items, data.kind) == (300, len(set(U)), len(set(I)), kind)
    assert len({*zip(data.users.tolist(), data.items.tolist())}) == 300
    assert (data.times is not None) is (time is not None or name == "spreadsheet.csv")
    if kind == "ratings":
        assert data.values.sum() == R.sum() + (150 if name == "spreadsheet.csv" else 0)
    else:
        assert set(data.values.tolist()) == {1.0}
    owner = {user: {*data.items[data.users == code].tolist()} for code, user in enumerate(sorted(set(U.tolist())))}
    assert sorted(map(len, owner.values())) == sorted(np.bincount(U)[np.unique(U)].tolist())  # users are the users


def compressed(kind: str, text: bytes) -> bytes:
    if kind == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("folder/ratings.csv", text)
            archive.writestr("README.txt", "read me")
            archive.writestr("__MACOSX/._ratings.csv", "x")
        return out.getvalue()
    if kind == "tar.gz":
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            entry = tarfile.TarInfo("ratings.csv")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
        return out.getvalue()
    if kind == "zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(text)
        return sink.getvalue().to_pybytes()
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[kind](text)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "zip", "tar.gz"])
@pytest.mark.parametrize("inner", ["csv", "json", "parquet"])
def test_compressed_files_hold_any_table(tmp_path: Path, kind: str, inner: str) -> None:
    frame = pl.DataFrame({"user": U, "item": I, "rating": R})
    out = io.BytesIO()
    {"csv": frame.write_csv, "json": frame.write_ndjson, "parquet": frame.write_parquet}[inner](out)
    whole = compressed(kind, out.getvalue())
    (tmp_path / "r").write_bytes(whole)
    assert cf.read(tmp_path / "r").to_frame().rows() == cf.read(frame).to_frame().rows()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged|cannot be read") as error:
        cf.read(tmp_path / "cut")
    assert "\n" not in str(error.value)


def test_an_archive_of_several_tables_asks_which(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("ml/ratings.csv", HEADED)
        archive.writestr("ml/movies.csv", "movieId,title\n1,x\n")
    with pytest.raises(DataError, match="has 2 files .*ml/ratings.csv, ml/movies.csv.*--table"):
        cf.read(tmp_path / "ml.zip")
    assert len(cf.read(tmp_path / "ml.zip", table="ratings.csv")) == 300
    with pytest.raises(DataError, match="has no file 'x'"):
        cf.read(tmp_path / "ml.zip", table="x")


def test_folders_patterns_and_lists_of_files(tmp_path: Path) -> None:
    whole = cf.read(pl.DataFrame({"user": U, "item": I, "rating": R}))
    folder = tmp_path / "out"
    folder.mkdir()
    for at, rows in enumerate((slice(0, 100), slice(100, 300))):
        (folder / f"part-0000{at}").write_text(lines(U[rows], I[rows], R[rows]))
        (tmp_path / f"part-{at}.csv").write_text("user,item,rating\n" + lines(U[rows], I[rows], R[rows]))
    (folder / "_SUCCESS").touch()
    (folder / ".part-00000.crc").write_bytes(b"x")
    parts = [tmp_path / "part-0.csv", str(tmp_path / "part-1.csv")]
    for source in (folder, tmp_path / "part-*.csv", parts):
        assert cf.read(source).to_frame().rows() == whole.to_frame().rows()
    (folder / "part-00002").write_text("1,2\n")
    with pytest.raises(DataError, match="not parts of one table"):
        cf.read(folder)
    with pytest.raises(DataError, match="no file matches"):
        cf.read(tmp_path / "nothing-*.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="contains no file"):
        cf.read(tmp_path / "empty")


def test_partitions_are_columns(tmp_path: Path) -> None:
    for stars in range(1, 6):
        of = stars == R
        for root, name in (("csv", "x.csv"), ("parquet", "x.parquet")):
            place = tmp_path / root / f"rating={stars}"
            place.mkdir(parents=True)
            frame = pl.DataFrame({"user": U[of], "item": I[of]})
            (frame.write_csv if root == "csv" else frame.write_parquet)(place / name)
    for root in ("csv", "parquet"):
        assert cf.read(tmp_path / root).values.sum() == R.sum()


@pytest.mark.parametrize("name", ["a[1].csv", "what?.csv", "all*.csv", "{x}.csv", "100%.csv", "[ab].parquet"])
def test_marks_in_a_name_are_part_of_the_name(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"user": U, "item": I, "rating": R})
    other = pl.DataFrame({"user": [7, 8], "item": [7, 8], "rating": [1, 2]})
    suffix = name.rsplit(".", 1)[1]
    for file in (f"a1.{suffix}", f"whatx.{suffix}", f"all.{suffix}", f"a.{suffix}", f"b.{suffix}"):
        (other.write_csv if suffix == "csv" else other.write_parquet)(tmp_path / file)
    with (tmp_path / name).open("wb") as out:
        (frame.write_csv if suffix == "csv" else frame.write_parquet)(out)
    assert len(cf.read(tmp_path / name)) == 300


def test_databases(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "shop?.db")
    connection.execute("create table ratings (user integer, item text, rating real)")
    connection.executemany(
        "insert into ratings values (?, ?, ?)", [(int(u), f"m{i}", float(v)) for u, i, v in zip(U, I, R)]
    )
    connection.commit()
    expected = cf.read(tmp_path / "shop?.db").to_frame().rows()
    assert len(expected) == 300
    assert cf.read(connection).to_frame().rows() == expected
    assert len(cf.read(connection, table="select * from ratings where rating > 2")) == int((R > 2).sum())
    connection.execute("create table users (user integer, age integer)")
    connection.commit()
    with pytest.raises(DataError, match=r"has 2 tables \(ratings, users\); name one with table="):
        cf.read(tmp_path / "shop?.db")
    assert cf.read(tmp_path / "shop?.db", table="ratings").to_frame().rows() == expected
    with pytest.raises(DataError, match="no such table"):
        cf.read(connection, table="nothing")
    connection.close()
    with pytest.raises(DataError, match="name the table"):
        cf.read("postgresql://me:secret@host/shop")


def test_matrices_and_arrays(tmp_path: Path) -> None:
    matrix = sparse.csr_array((R.astype(float), (U, I)), shape=(50, 40))
    expected = sorted(zip(U.tolist(), I.tolist(), R.tolist()))
    sparse.save_npz(tmp_path / "r.npz", sparse.csr_matrix(matrix))
    np.savez(tmp_path / "columns.npz", user=U, item=I, rating=R)
    np.save(tmp_path / "r.npy", np.c_[U, I, R])
    sources: list[Any] = [
        matrix,
        sparse.coo_matrix(matrix),
        np.c_[U, I, R],
        (U, I, R),
        list(zip(U.tolist(), I.tolist(), R.tolist())),
    ]
    sources += [tmp_path / "r.npz", tmp_path / "columns.npz", tmp_path / "r.npy"]
    sources += [[{"user": int(u), "item": int(i), "rating": int(v)} for u, i, v in zip(U, I, R)]]
    for source in sources:
        assert sorted(cf.read(source).to_frame().rows()) == expected, type(source)
    scipy_io.mmwrite(tmp_path / "r.mtx", sparse.coo_matrix(matrix))
    assert sorted(cf.read(tmp_path / "r.mtx").to_frame().rows()) == [(u + 1, i + 1, v) for u, i, v in expected]
    (tmp_path / "p.mtx").write_text("%%MatrixMarket matrix coordinate pattern general\n3 3 2\n1 2\n3 1\n")
    assert cf.read(tmp_path / "p.mtx").kind == "events"
    full = np.full((50, 40), np.nan)
    full[U, I] = R
    assert sorted(cf.read(full).to_frame().rows()) == expected
    with pytest.raises(DataError, match="0 may mean a value or no value"):
        cf.read(np.nan_to_num(full))
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="not a numpy array"):
        cf.read(tmp_path / "o.npy")


def workbook(rows: list[list[Any]]) -> bytes:
    """A minimal .xlsx."""

    def cell(value: Any) -> str:
        return (
            f"<c><v>{value}</v></c>" if not isinstance(value, str) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        )

    body = "".join("<row>" + "".join(map(cell, row)) + "</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Ratings" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
    }  # fmt: skip
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def test_a_workbook(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    rows = [["user", "item", "rating"], *([int(u), f"m{i}", int(v)] for u, i, v in zip(U, I, R))]
    (tmp_path / "r.xlsx").write_bytes(workbook(rows))
    data = cf.read(tmp_path / "r.xlsx")
    assert (len(data), data.n_users, data.values.sum()) == (300, len(set(U)), R.sum())
    assert data.user_ids.values.dtype == pl.Int64
    with pytest.raises(DataError, match="has no sheet 'x'; there are: Ratings"):
        cf.read(tmp_path / "r.xlsx", table="x")


def test_frames_keep_their_ids(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": U, "item": I, "rating": R})
    expected = sorted(zip(U.tolist(), I.tolist(), R.tolist()))
    categories = frame.astype({"user": "category", "item": "category"})
    arrow = pa.table(
        {"user": pa.array(U).dictionary_encode(), "item": pa.array(I).dictionary_encode(), "rating": pa.array(R)}
    )
    for source in (
        frame.set_index(["user", "item"]),
        frame.set_index("user"),
        categories,
        arrow,
        frame[frame.user > 0],
    ):
        data = cf.read(source)
        assert sorted(data.to_frame().rows()) == expected
        assert data.user_ids.values.dtype == pl.Int64
    pivot = frame.pivot(index="user", columns="item", values="rating")
    assert sorted(cf.read(pivot).to_frame().rows()) == expected
    names = frame.assign(user=[f"u{u}" for u in U]).pivot(index="user", columns="item", values="rating")
    assert cf.read(names).n_users == len(set(U))


WIDE = "user,a,b,c,d,e,f,g\n" + "".join(
    f"{k}," + ",".join(map(str, row)) + "\n" for k, row in enumerate(RNG.integers(1, 6, (30, 7)))
)


def test_wide_tables(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(WIDE)
    data = cf.read(tmp_path / "w.csv")
    assert (data.n_users, data.n_items, len(data)) == (30, 7, 210)
    assert any("a wide table" in note for note in data.notes)
    assert cf.read(tmp_path / "w.csv", wide=True, user="user").n_items == 7
    rows = RNG.integers(1, 6, (30, 12))
    (tmp_path / "n.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    with pytest.raises(DataError, match="repeats values, so it cannot hold the users.*user=False.*wide=False"):
        cf.read(tmp_path / "n.csv")
    assert (cf.read(tmp_path / "n.csv", user=False, wide=True).values.sum()) == rows.sum()  # type: ignore[arg-type]
    holes = np.where(RNG.random((30, 12)) < 0.7, 0, rows)
    ids = "u," + ",".join(f"m{at}" for at in range(12)) + "\n"
    (tmp_path / "z.csv").write_text(
        ids + "".join(f"x{k}," + ",".join(map(str, row)) + "\n" for k, row in enumerate(holes))
    )
    with pytest.raises(DataError, match=r"are 0; set missing=\[0\]"):
        cf.read(tmp_path / "z.csv", wide=True)
    assert len(cf.read(tmp_path / "z.csv", wide=True, missing=[0])) == int((holes > 0).sum())
    (tmp_path / "n99.csv").write_text(WIDE.replace(",1,", ",99,"))
    with pytest.raises(DataError, match=r"99 is outside the scale .*missing=\[99\]"):
        cf.read(tmp_path / "n99.csv")
    (tmp_path / "small.csv").write_text("user,Matrix,Alien,Titanic\n1,5,3,4\n2,3,4,4\n")
    with pytest.raises(DataError, match="cannot guess which column .* is the item"):
        cf.read(tmp_path / "small.csv")
    assert len(cf.read(tmp_path / "small.csv", wide=True)) == 6


def test_what_the_first_line_is(tmp_path: Path) -> None:
    def read(text: str, **options: Any) -> cf.Interactions:
        (tmp_path / "x.csv").write_text(text)
        return cf.read(tmp_path / "x.csv", **options)

    people, films = [f"k{u}" for u in U], [f"a{i}" for i in I]
    table = "kto,co,2020\n" + lines(people, films, R)  # a name that is a number
    assert len(read(table, user="kto", item="co", rating="2020")) == 300
    with pytest.raises(DataError, match="cannot guess which column"):
        read(table)
    assert len(read(lines(people, films, iso(T)))) == 300  # no header, all of it text
    assert len(read("anna,Matrix\nbob,Alien\nanna,Heat\nbob,Matrix\n")) == 4
    with pytest.raises(DataError, match="it is not clear whether the first line .*header=False.*--no-header"):
        read("anna,Matrix\nbob,Alien\ncarl,Heat\ndora,Up\n")
    assert len(read("anna,Matrix\nbob,Alien\ncarl,Heat\ndora,Up\n", header=False)) == 4
    assert len(read("anna,Matrix\nbob,Alien\ncarl,Heat\ndora,Up\n", header=True, user=0, item=1)) == 3
    assert len(read("0,1,2\n" + lines(U + 10, I + 10, R))) == 300  # a frame without names, by to_csv
    assert len(read("0,1,2\n" + lines(U - 1, I, R))) == 301  # a row like any other: user 0 is there again


@pytest.mark.parametrize("name", ["item", "rating"])
def test_a_wide_table_with_a_column_named_as_a_role_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "w.csv").write_text(f"who,A,B,{name}\n1,5,3,2\n2,4,1,5\n3,2,2,3\n")
    with pytest.raises(cf.CofactorError, match=f"one of its columns of items is called '{name}'; set wide=False"):
        cf.read(tmp_path / "w.csv", wide=True)


def test_ids_are_never_merged_or_made_up(tmp_path: Path) -> None:
    def read(text: str, **options: Any) -> cf.Interactions:
        (tmp_path / "x.csv").write_text(text)
        return cf.read(tmp_path / "x.csv", **options)

    big = [f"{123456789012345670 + k}.0" for k in range(300)]
    data = read("user,item,rating\n" + lines(big, I, R))
    assert data.n_users == 300
    assert 123456789012345677 in data.user_ids
    with pytest.raises(DataError, match="more digits than a float can hold"):
        cf.read(pl.DataFrame({"user": [2.0**60, 1.0], "item": [1, 2], "rating": [1, 2]}))
    for absent in ("NA", "NULL", "nan", '""', "", "\\N", " "):
        text = f"user,item,rating\n{absent},1,3\na,2,3\nb,1,4\n{absent},2,2\n"
        with pytest.raises(DataError, match=r"user id missing in row 1.* in 2 of 4 rows.*missing_ids='drop'"):
            read(text)
        data = read(text, missing_ids="drop")
        assert (len(data), data.n_users) == (2, 2)
        assert any("2 of 4 rows without a user left out" in note for note in data.notes)
        numbers = (
            text.replace("a,", "1,").replace("b,", "2,").replace("N1,", "NA,")
            if absent != "NA" and absent != "nan"
            else None
        )
        if numbers is not None and absent != "NULL":
            assert read(numbers, missing_ids="drop").user_ids.values.dtype == pl.Int64
    assert read("user,item,rating\nNA,1,3\na,2,3\nb,1,4\n", missing_ids="keep").n_users == 3
    with pytest.raises(ConfigError, match="one of error, drop, keep"):
        read("user,item\n1,2\n", missing_ids="no")
    folded = read("user,item,rating\nAnna,1,3\nanna ,2,3\nBob,1,4\n", fold_ids=True)
    assert folded.user_ids.values.to_list() == ["anna", "bob"]
    assert any("1 ids of column 'user' differ from others" in note for note in folded.notes)


def test_one_dash_does_not_make_text_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item,price\n" + lines(range(1, 31), [*range(10, 38), "-", "NA"]))
    data = cf.read(pl.DataFrame({"user": U, "item": I, "rating": R}), items=tmp_path / "items.csv")
    assert data.item_table is not None
    assert data.item_table["price"].dtype.is_numeric()
    assert data.item_table["price"].null_count() == 2


@pytest.mark.parametrize("column", ["name", "product_name", "Description", "title"])
def test_titles_in_the_table_itself_or_in_a_side_table(column: str) -> None:
    frame = pl.DataFrame({"user": U, "item": I, "rating": R})
    titled = frame.with_columns(("Film " + pl.col("item").cast(pl.String)).alias(column))
    data = cf.read(titled, user="user", item="item")
    assert data.item_table is not None
    assert data.item_table["title"].to_list() == [f"Film {i}" for i in data.item_ids.values]
    assert any(f"titles of items: column '{column}'" in note for note in data.notes)
    side = titled.select("item", column).unique()
    by_side = cf.read(frame, items=side)
    assert by_side.item_table is not None
    assert by_side.item_table["title"].to_list() == data.item_table["title"].to_list()
    review = frame.with_columns(pl.Series(column, [f"text {k}" for k in range(300)]))
    assert cf.read(review, user="user", item="item").item_table is None  # says something of the row
    odd = titled.rename({column: "called"})
    assert cf.read(odd).item_table is None
    named = cf.read(odd, title="called").item_table
    assert named is not None
    assert named["title"][0] == "Film 1"


REFUSED: dict[str, tuple[bytes, str]] = {
    "zeros": (bytes(500), "zero bytes"),
    "noise": (RNG.integers(0, 256, 5_000, dtype=np.uint8).tobytes(), "not a text table"),
    "noise without zeros": (RNG.integers(1, 256, 5_000, dtype=np.uint8).tobytes(), "not a text table"),
    "orc": (b"ORC" + RNG.integers(1, 256, 500, dtype=np.uint8).tobytes(), "an ORC file; write it as Parquet"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
    "avro": (b"Obj\x01" + bytes(99), "an Avro file"),
    "pickle": (b"\x80\x04\x95" + bytes(99), "a pickle, which is never opened"),
    "pdf": (b"%PDF-1.7\n", "a PDF"),
    "python": (b"{'user': 1, 'item': 2}\n{'user': 2, 'item': 2}\n", "quotes are single"),
    "broken json": (b'{"user": 1, "item": 2}\n{"user": 2,\n', "line 2 of .* is not JSON"),
    "an open quote": (b'user,item,rating\n"1,2,3\n1,2,3\n', "."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    content, message = REFUSED[name]
    (tmp_path / "x.bin").write_bytes(content)
    for act in (cf.read, cf.check):
        with pytest.raises(DataError, match=message) as error:
            act(tmp_path / "x.bin")
        assert "\n" not in str(error.value)


WAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "seconds": lambda t: t,
    "milliseconds": lambda t: t * 1_000,
    "microseconds": lambda t: t * 10**6,
    "nanoseconds": lambda t: t * 10**9,
    "decimals": lambda t: t * 1.0,
    "text of numbers": lambda t: [str(x) for x in t],
    "ISO": iso,
    "ISO, UTC": lambda t: [x + "Z" for x in iso(t)],
    "with blanks": lambda t: [x.replace("T", " ") for x in iso(t)],
    "dates": lambda t: [np.datetime64(int(x), "s").item() for x in t],
    "spreadsheet": lambda t: t / 86_400 + 25_569,
    "American": lambda t: pd.to_datetime(t, unit="s").strftime("%m/%d/%Y %H:%M:%S").tolist(),
    "German": lambda t: pd.to_datetime(t, unit="s").strftime("%d.%m.%Y %H:%M:%S").tolist(),
    "Twitter": lambda t: pd.to_datetime(t, unit="s").strftime("%a %b %d %H:%M:%S +0000 %Y").tolist(),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_unit_of_time_does_not_matter(way: str) -> None:
    when = 1_262_304_000 + np.arange(300) * 86_399
    data = cf.read(pl.DataFrame({"user": U, "item": I, "rating": R, "time": WAYS[way](when)}))
    assert data.times is not None
    assert data.times.tolist() == when.tolist()


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([10**9, 10**9 * 1_500], "several units"),
        (["01/02/2020", "03/04/2020"], "day and month are ambiguous"),
        (["13/02/2020", "02/13/2020"], "two forms"),
        ([1.25, 2.5], "in an unknown unit"),
        (["soon", "later"], "holds no readable times"),
        (["2020-02-30", "2020-01-01"], "not a time like the others"),
    ],
)
def test_times_that_cannot_be_told_are_refused(times: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        cf.read(pl.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1, 2], "time": times}))


def test_numbers_that_are_no_seconds() -> None:
    def seconds(times: list[Any]) -> list[str]:
        data = cf.read(pl.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1, 2], "time": times}))
        assert data.times is not None
        return [str(np.datetime64(int(t), "s")) for t in data.times]

    assert seconds([20200705, 20191231]) == ["2020-07-05T00:00:00", "2019-12-31T00:00:00"]
    assert seconds([1999, 2010]) == ["1999-01-01T00:00:00", "2010-01-01T00:00:00"]
    assert seconds([43831, 43832]) == ["2020-01-01T00:00:00", "2020-01-02T00:00:00"]
    assert any(
        "an order" in note
        for note in cf.read(pl.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1, 2], "time": [0, 1]})).notes
    )


def test_a_number_that_the_database_has_and_polars_has_not() -> None:
    """ADBC gives PostgreSQL's ``numeric`` as a type of its own, stored as text."""
    numeric = pa.opaque(pa.string(), "numeric", "PostgreSQL")
    ratings = pa.ExtensionArray.from_storage(numeric, pa.array(["1.5", "2.0", "4.5", "3.0"]))
    found = cf.read(pa.table({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "rating": ratings}))
    assert found.values.tolist() == [1.5, 2.0, 4.5, 3.0]


def test_files_and_addresses_of_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    place = tmp_path / "shop.duckdb"
    with duckdb.connect(str(place)) as connection:
        connection.execute(
            "create table ratings as select i % 7 as user, i // 7 as item, i % 5 + 1.0 as rating from range(35) t(i)"
        )
    for source, table in (
        (place, None),
        (place, "ratings"),
        (f"duckdb:///{place}", None),
        (f"duckdb://{place}", "ratings"),
    ):
        found = cf.read(source, table=table)
        assert (len(found), found.n_users, found.n_items) == (35, 7, 5)
    with duckdb.connect(str(place)) as connection:
        connection.execute("create table other (x int)")
    with pytest.raises(DataError, match=r"has 2 tables \(other, ratings\)"):
        cf.read(place)
    with pytest.raises(DataError, match="the database says"):
        cf.read(place, table="none")
