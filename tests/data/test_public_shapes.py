"""Tables in the shapes of public data, each with a known truth: every pair, value and time must come out."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.features.side_tables import with_groups
from cofactor.data.read_alike import read_alike
from cofactor.errors import ConfigError, DataError
from cofactor.evaluation.held_out import held_out_rows
from cofactor.report.factors import genre_table
from shapes import AGAIN, COUNTS, DAY, STARS, Row, check, lines, put, when


def test_reviews(tmp_path: Path) -> None:
    asin, reviewer = "00{:08d}".format, "A{:013X}".format
    text = lines(STARS, lambda u, i, v, t: f"{asin(i)},{reviewer(u)},{v}.0,{t}")  # the item first, no header
    check(cf.read(put(tmp_path, text)), STARS, "ratings", user=reviewer, item=asin, within=0)
    objects = lines(
        STARS,
        lambda u, i, v, t: json.dumps(
            {"user_id": f"u{u}", "name": "Jo", "time": t * 1000, "rating": v, "text": "x", "gmap_id": f"0x{i:x}"}
        ),
    )
    found = cf.read(put(tmp_path, objects, "google.json"))  # the name is the user's
    check(found, STARS, "ratings", user="u{}".format, item="0x{:x}".format, within=0)
    beer = "beer/beerId,review/profileName,review/overall,review/time,review/taste"
    text = lines(STARS, lambda u, i, v, t: f"{i},u{u},{v},{t},3", beer)
    check(cf.read(put(tmp_path, text)), STARS, "ratings", user="u{}".format, within=0)
    tips = lines(STARS, lambda u, i, v, t: f"u{u},{i},{int(v > 4)},{t}", "user_id,business_id,compliment_count,date")
    found = cf.read(put(tmp_path, tips))  # what others thought of the text is not a rating
    check(found, STARS, "events", user="u{}".format, value=False, within=0)


def test_a_title_of_a_review_is_not_the_title_of_an_item(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},Great,a text", "user_id,item_id,rating,title,text")
    assert cf.read(put(tmp_path, text)).item_table is None
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},Film {i}", "user_id,item_id,rating,title")
    assert cf.read(put(tmp_path, text)).item_table is not None


def test_shops(tmp_path: Path) -> None:
    form = "%-m/%-d/%Y %-H:%M"
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID"
    text = lines(AGAIN, lambda u, i, v, t: f'5,{i},"Lamp, {i}",{v},{when(t, form)},2.5,{u}.0', header)
    check(cf.read(put(tmp_path, text)), AGAIN, "counts", within=59)
    text = lines(
        AGAIN,
        lambda u, i, v, t: f"{when(t, '%Y-%m-%d')},{u:064x},{i:010d},0.05",
        "t_dat,customer_id,article_id,price",
    )
    found = cf.read(put(tmp_path, text))
    check(found, AGAIN, "events", user="{:064x}".format, item="{:010d}".format, value=False, within=86_399)
    days = [(u, i, v, (t - 1_300_000_000) // 420_000) for u, i, v, t in AGAIN]
    header = "household_key,BASKET_ID,DAY,PRODUCT_ID,QUANTITY,TRANS_TIME"
    text = lines(days, lambda u, i, v, t: f"{u},{u + 7},{t},{i},{v},{i % 24 * 100 + u}", header)
    check(cf.read(put(tmp_path, text)), days, "counts", within=0)


def test_what_happened_says_more_than_how_many(tmp_path: Path) -> None:
    def line(u: int, i: int, v: int, t: int) -> str:
        return f"{u},{i},{'view' if i % 2 else 'buy'},{v},{t}"

    found = cf.read(put(tmp_path, lines(AGAIN, line, "user,item,event,quantity,time")))
    check(found, AGAIN, "events", value=False, within=0)


def test_facts_of_an_item_are_not_the_rating(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{i / 7:.2f},{i * 100}", "user,item,average_rating,views")
    check(cf.read(put(tmp_path, text)), STARS, "events", value=False)
    text = lines(COUNTS, lambda u, i, v, t: f"{u},{i},{v}", "user,item,hours")
    check(cf.read(put(tmp_path, text)), COUNTS, "counts")


def test_check_ins(tmp_path: Path) -> None:
    form = "%a %b %d %H:%M:%S +0000 %Y"

    for zones in (1, 2):  # minutes from UTC

        def line(u: int, i: int, v: int, t: int, zones: int = zones) -> str:
            place = f"{40.7 + i * 0.0017:.6f}\t{-74 - i * 0.0013:.6f}"
            return f"{u}\t{i:024x}\tc{i % 3}\tArts & Crafts\t{place}\t{-240 - 60 * (u % zones)}\t{when(t, form)}"

        found = cf.read(put(tmp_path, lines(AGAIN, line)))
        check(found, AGAIN, "events", item="{:024x}".format, value=False, within=0)


def test_several_items_a_row(tmp_path: Path) -> None:
    once = lines(STARS, lambda u, i, v, t: json.dumps({"session": u, "events": [{"aid": i, "ts": t * 1000}]}))
    check(cf.read(put(tmp_path, once, "otto.jsonl")), STARS, "events", value=False, within=0)
    of: dict[int, list[int]] = {}
    for u, i, _, _ in STARS:
        of.setdefault(u, []).append(i)
    users = sorted(of)
    history = [" ".join(f"N{i}" for i in of[u]) for u in users]
    form = "11/15/2019 8:55:22 AM"
    text = "".join(f"{n}\tU{u}\t{form}\t{h}\tN1-1 N2-0\n" for n, (u, h) in enumerate(zip(users * 2, history * 2), 1))
    found = cf.read(put(tmp_path, text, "behaviors.tsv"), time=False)  # each history twice
    check(found, STARS, "events", user="U{}".format, item="N{}".format, value=False)
    assert any("30 rows that repeat a user's list" in note for note in found.notes)
    found = cf.read(tmp_path / "behaviors.tsv", item=4, time=False)
    assert found.item_ids.values.to_list() == ["N1"]
    assert any("30 of 60 items" in note for note in found.notes)
    text = "user,items\n" + "".join(f'{u},"{of[u]}"\n' for u in users)
    check(cf.read(put(tmp_path, text), item="items"), STARS, "events", value=False)
    frame = pl.DataFrame(STARS, schema=["user", "item", "rating", "time"], orient="row")
    check(cf.read(frame.group_by("user").agg("item", "rating", "time")), STARS, "ratings", within=0)
    with pytest.raises(DataError, match="differ in length"):
        cf.read(frame.group_by("user").agg("item", pl.col("rating").head(2)))
    counted = "".join(f"{len(of[u])} {' '.join(map(str, of[u]))}\n" for u in users)  # CiteULike
    found = cf.read(put(tmp_path, counted, "users.dat"))
    check(found, STARS, "events", value=False)
    assert any("users are numbered by line" in note for note in found.notes)


def test_titles_are_no_lists(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},Alien {i} Resurrection {i % 3},{v}", "user,title,rating")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", item=lambda i: f"Alien {i} Resurrection {i % 3}")


def test_a_pivot_of_items_by_users(tmp_path: Path) -> None:
    frame = pl.DataFrame(STARS, schema=["user", "item", "rating", "time"], orient="row")
    frame = frame.with_columns(pl.format("u{}", "user"), pl.format("i{}", "item"))
    for index, columns in (("user", "item"), ("item", "user")):
        wide = frame.pivot(on=columns, index=index, values="rating")
        wide.write_csv(tmp_path / "wide.csv")
        check(cf.read(tmp_path / "wide.csv"), STARS, "ratings", user="u{}".format, item="i{}".format)
    series = frame.to_pandas().set_index(["user", "item"])["rating"]
    assert isinstance(series, pd.Series)
    check(cf.read(series), STARS, "ratings", user="u{}".format, item="i{}".format)


HALVES = [(u, i, v / 2, t) for u, i, v, t in STARS]
LARGE = [(u, i, v * 1000 + 37, t) for u, i, v, t in COUNTS]


@pytest.mark.parametrize(
    ("table", "write"),
    [
        (HALVES, lambda v: f"{v}".replace(".", ",")),
        (COUNTS, lambda v: f"{v * 37:,}".replace(",", ".") if v * 37 > 999 else f"{v * 37}"),
        (LARGE, lambda v: f"{v:,}".replace(",", " ")),
        (LARGE, lambda v: f"{v:,}".replace(",", "'")),
        (HALVES, lambda v: f"{v * 3000:,.1f}"),
        (HALVES, lambda v: f"{v * 3000:,.1f}".replace(",", "_").replace(".", ",").replace("_", ".")),
        (STARS, lambda v: f"{v * 20} %"),
        (STARS, lambda v: f"{v}/5"),
        (STARS, lambda v: f"{v} star{'s' if v > 1 else ''}"),
        (HALVES, lambda v: "★" * int(v) + ("½" if v % 1 else "")),
        (HALVES, lambda v: f"${v:.2f}"),
        (STARS, lambda v: f"+{v}.0"),
    ],
    ids=["9,5", "1.234", "1 234", "1'234", "1,234.5", "1.234,5", "90 %", "4/5", "4 stars", "glyphs", "$9.50", "+5.0"],
)
def test_how_numbers_are_written(tmp_path: Path, table: list[Row], write: Callable[[Any], str]) -> None:
    text = lines(table, lambda u, i, v, t: f"u{u};i{i};{write(v)}", "user;item;rating")
    found = cf.read(put(tmp_path, text), kind="ratings")
    shown = {write(v): found.values[0] for _, _, v, _ in table[:1]}
    factor = {"%": 20, "3000": 3000}.get("%" if "%" in next(iter(shown)) else "", 1)
    values = found.values / factor
    expected = np.array([v for _, _, v, _ in table])
    ratio = values / expected
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert round(float(ratio[0]), 4) in (1, 37, 3000)


def test_numbers_that_may_be_either_are_refused(tmp_path: Path) -> None:
    text = lines(COUNTS, lambda u, i, v, t: f'u{u},i{i},"{v % 900 + 1},037"', "user,item,plays")
    with pytest.raises(DataError, match=r"'\d+,037', which is not a number"):
        cf.read(put(tmp_path, text))
    first = "".join(f"u{n % 9};i{n};{'1.234' if n % 2 else '12'}\n" for n in range(1200))
    with pytest.raises(DataError, match=r"points between thousands in its first rows, but '1\.5' in row 1201"):
        cf.read(put(tmp_path, "user;item;plays\n" + first + "u1;i1;1.5\n"))
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{'good' if v > 2 else 'bad'}", "user,item,rating")
    with pytest.raises(DataError, match=r"give behaviour='rating' and weights=.*--behaviour rating --weights"):
        cf.read(put(tmp_path, text))


FORMS = {
    "%m/%d/%Y": DAY,
    "%d/%m/%Y": DAY,
    "%-m/%-d/%y": DAY,
    "%d.%m.%y": DAY,
    "%d-%b-%y": DAY,
    "%Y. %m. %d.": DAY,
    "%Y年%m月%d日": DAY,
    "%Y%m%d": DAY,
    "%d%m%Y": DAY,
    "%Y%m%d%H": 3_599,
    "%Y%m%d%H%M": 59,
    "%Y%m%d%H%M%S": 0,
    "%Y-%m-%d %H": 3_599,
    "%Y-%m-%dT%H:%M:%SZ": 0,
    "%m/%d/%Y %I:%M:%S %p": 0,
    "%d/%b/%Y:%H:%M:%S +0000": 0,
}


@pytest.mark.parametrize("form", FORMS)
def test_how_dates_are_written(tmp_path: Path, form: str) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u}|{i}|{v}|{when(t, form)}", "user|item|rating|date")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=FORMS[form])


@pytest.mark.parametrize(
    "write",
    [
        lambda t: f"{t / 86_400 + 2_440_587.5:.6f}",
        lambda t: f"{t / 86_400 + 25_569:.6f}",
        lambda t: t * 10_000_000 + 116_444_736_000_000_000,
        lambda t: t * 10_000_000 + 621_355_968_000_000_000,
        lambda t: t * 1_000_000_000,
        lambda t: f"{t}.0",
    ],
    ids=["Julian day", "spreadsheet", "Windows", ".NET", "nanoseconds", "float"],
)
def test_how_moments_are_counted(tmp_path: Path, write: Callable[[int], object]) -> None:
    table = [(u, i, v, t // 86_400 * 86_400 + 43_200) for u, i, v, t in STARS]
    text = lines(table, lambda u, i, v, t: f"{u},{i},{v},{write(t)}", "user,item,rating,timestamp")
    check(cf.read(put(tmp_path, text)), table, "ratings", within=1)


def test_the_order_of_day_and_month(tmp_path: Path) -> None:
    table = [(u, i, v, 1_577_836_800 + 86_400 * (t % 12)) for u, i, v, t in STARS]  # 1 to 12 January 2020
    for form in ("%d/%m/%Y", "%d-%m-%y", "%d%m%Y"):
        text = "".join(f"{u}|{i}|{v}|{when(t, form)}\n" for u, i, v, t in table)
        path = put(tmp_path, "user|item|rating|date\n" + text)
        with pytest.raises(DataError, match=r"day and month are ambiguous .*dates='dmy'.*--dates dmy"):
            cf.read(path)
        check(cf.read(path, dates="dmy"), table, "ratings", within=DAY)
        check(cf.read(path, dates=form), table, "ratings", within=DAY)
        turned = cf.read(path, dates="mdy")
        assert turned.times is not None
        assert len(np.unique(turned.times // 86_400 // 28)) > 5
    late = [(u, i, v, t + 86_400 * 19) for u, i, v, t in table]  # 20 to 31 January: these tell their order
    for form, shown in (("%d.%m.%Y", r"\.01\.2020' \(the day first\)"), ("%d-%m-%Y", "-01-2020' .the day first")):
        both = [("%m/%d/%Y", late), (form, late)]  # two systems that wrote into one column
        text = "".join(f"{u}|{i}|{v}|{when(t, how)}\n" for how, part in both for u, i, v, t in part)
        with pytest.raises(DataError, match=rf"in several ways with different orders: .*{shown}"):
            cf.read(put(tmp_path, "user|item|rating|date\n" + text))
    text = "".join(
        f"{u}|{i}|{v}|{when(t, how)}\n" for how, t0 in (("%d/%m/%Y", late), ("%d-%m-%Y", table)) for u, i, v, t in t0
    )
    with pytest.raises(
        DataError, match="day and month are ambiguous"
    ):  # what one writing tells says nothing of the other
        cf.read(put(tmp_path, "user|item|rating|date\n" + text))
    assert len(cf.read(put(tmp_path, "user|item|rating|date\n" + text), dates="dmy").events) == 2 * len(table)
    years_first = lines(table, lambda u, i, v, t: f"{u},{i},{v},{when(t, '%y-%m-%d')}", "user,item,rating,date")
    check(cf.read(put(tmp_path, years_first), dates="ymd"), table, "ratings", within=DAY)
    with pytest.raises(DataError, match="row 1 of column 'column_3' is not a date with the day first"):
        cf.read([(1, 1, 5.0, "12/31/2020"), (2, 2, 4.0, "12/30/2020")], time=3, dates="dmy")
    with pytest.raises(DataError, match=r"row 2 .*'2020/3/1', which does not match"):
        cf.read([(1, 1, 5.0, "31/12/2020"), (2, 2, 4.0, "2020/3/1")], time=3, dates="%d/%m/%Y")
    for wrong in ("day", 3, ["dmy"]):
        with pytest.raises(ConfigError, match=r"dates is .*'dmy', 'mdy', 'ymd'"):
            cf.read(path, dates=wrong)  # type: ignore[arg-type]
    report = cf.check(path, dates="ymd")
    assert report.worst != "error"
    assert report.summary["to"] == "2020-01-12T00:00:00"
    assert any("day and month are ambiguous" in finding.what for finding in cf.check(path).findings)


def test_times_that_stand_for_none_are_said(tmp_path: Path) -> None:
    for none in ("0", "-1"):
        text = "".join(f"{u},{i},{v},{t if u % 9 else none}\n" for u, i, v, t in STARS)
        found = cf.read(put(tmp_path, "user,item,rating,timestamp\n" + text))
        assert any("far from the others" in note for note in found.notes)
    late = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{t * 10_000_000}", "user,item,rating,timestamp")
    with pytest.raises(DataError, match="after the year 2100"):  # no unit of which we know
        cf.read(put(tmp_path, late))
    dates = lines(
        STARS,
        lambda u, i, v, t: f"{u},{i},{v},{when(t, '%Y-%m-%d') if u % 9 else '9999-12-31'}",
        "user,item,rating,date",
    )
    assert any("9999-12-31" in note for note in cf.read(put(tmp_path, dates)).notes)


def test_of_several_times_the_moment_is_taken(tmp_path: Path) -> None:
    header = "user,item,rating,time,date,watch_time"
    form = "%Y-%m-%d"
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t, '%H:%M:%S')},{when(t, form)},{u * 7}", header)
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=DAY)
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{t},{t}", "user,item,rating,first_date,last_date")
    assert any("no times used: 'first_date', 'last_date'" in note for note in cf.read(put(tmp_path, text)).notes)


def test_blanks_and_marks_around_ids(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"u{u}{' ' if t % 9 == 0 else ''}, i{i}, {v}", "user, item, rating")
    found = cf.read(put(tmp_path, text))
    check(found, STARS, "ratings", user="u{}".format, item="i{}".format)
    assert any("blanks around ids" in note for note in found.notes)
    text = lines(STARS, lambda u, i, v, t: f"{u}, {i}, {v}", "user, item, rating")
    assert cf.read(put(tmp_path, text)).item_ids.dtype == pl.Int64
    text = lines(STARS, lambda u, i, v, t: f'="{u:04d}",{i},{v}', "user,item,rating")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", user="{:04d}".format)
    text = lines(STARS, lambda u, i, v, t: f"{'U' if t % 9 == 0 else 'u'}{u},{i},{v}", "user,item,rating")
    assert any("only in case" in note for note in cf.read(put(tmp_path, text)).notes)
    frame = pl.DataFrame({"user": ["a", "a ", "b"], "item": [1, 2, 3], "rating": [1, 2, 3]})
    assert cf.read(frame).n_users == 3  # of a frame ids are what they are


def test_what_spreadsheets_do(tmp_path: Path) -> None:
    text = "sep=;\n" + lines(STARS, lambda u, i, v, t: f"u{u};i{i};{v}", "user;item;rating")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", user="u{}".format, item="i{}".format)
    text = lines(STARS, lambda u, i, v, t: f"{76561197960265728 + u * 10**11:.5E},{i},{v}", "user,item,rating")
    with pytest.raises(DataError, match="last digits are lost"):
        cf.read(put(tmp_path, text))
    twice = lines(STARS[:50], lambda u, i, v, t: f"u{u},i{i}", "user,item") * 2
    with pytest.raises(DataError, match="row 51 repeats the column names"):
        cf.read(put(tmp_path, twice))
    text = lines(STARS, lambda u, i, v, t: f'"u{u}","i{i}","{v}"', '"user", "item", "rating"')
    check(cf.read(put(tmp_path, text)), STARS, "ratings", user="u{}".format, item="i{}".format)


@pytest.mark.parametrize(
    "header",
    ["Benutzer;Film;Bewertung", "usuario;película;calificación", "用户;商品;评分", "пользователь;фильм;оценка"],
)
def test_names_in_other_languages(tmp_path: Path, header: str) -> None:
    text = lines(STARS, lambda u, i, v, t: f"u{u};i{i};{v}", header)
    check(cf.read(put(tmp_path, text)), STARS, "ratings", user="u{}".format, item="i{}".format)


def test_addresses_of_databases(tmp_path: Path) -> None:
    frame = pl.DataFrame(STARS, schema=["user", "item", "rating", "time"], orient="row")
    import sqlite3

    with sqlite3.connect(tmp_path / "x.db") as connection:
        frame.to_pandas().to_sql("ratings", connection, index=False)
    connection.close()
    check(cf.read(f"sqlite:///{tmp_path / 'x.db'}", table="ratings"), STARS, "ratings", within=0)
    with pytest.raises(DataError, match=r"no file .*check the path"):
        cf.read("sqlite:///no/such.db", table="ratings")


def test_files_of_which_ids_differ_in_type(tmp_path: Path) -> None:
    put(tmp_path, lines(STARS, lambda u, i, v, t: f"u{u},{i},{v}", "user,item,rating"), "a.csv")
    put(tmp_path, lines(STARS, lambda u, i, v, t: f"{u},{i},{v}", "user,item,rating"), "b.csv")
    assert any("text in some files and numbers in others" in note for note in cf.read(tmp_path).notes)


def test_genres_of_a_text_are_groups(tmp_path: Path) -> None:
    genres = ["Drama, War", "War", "Drama"]
    written = {
        "genres": lambda i: genres[i % 3].replace(", ", "|"),
        "Genres": lambda i: f'"{genres[i % 3]}"',
        "genre": lambda i: f'"{genres[i % 3].split(", ")}"',
        "tags": lambda i: genres[i % 3].replace(", ", "; "),
    }
    for name, write in written.items():
        text = f"user,item,rating,{name}\n" + "".join(f"{u},{i},{v},{write(i)}\n" for u, i, v, _ in STARS)
        side = "item," + name + "\n" + "".join(f"{i},{write(i)}\n" for i in range(20))
        put(tmp_path, "".join(f"{u},{i},{v}\n" for u, i, v, _ in STARS), "plain.csv")
        for data in (
            cf.read(put(tmp_path, text)),
            cf.read(tmp_path / "plain.csv", items=put(tmp_path, side, "side.csv")),
        ):
            found = genre_table(data, np.arange(data.n_items))
            assert found[0] == ["Drama", "War"], name
            known = [set(genres[int(item) % 3].split(", ")) for item in data.item_ids]
            assert [{g for g, has in zip(found[0], row) if has} for row in found[1]] == known
    one = pl.DataFrame({"item": ["a", "b"], "category": ["Arts, Crafts & Sewing", "Books"]})
    assert with_groups(one, "item")["category"].to_list() == one["category"].to_list()


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("uirt")])
def test_columns_without_names_in_any_order(tmp_path: Path, order: str) -> None:
    cells: dict[str, Callable[[Row], str]] = {
        "u": lambda row: f"u{row[0]}",
        "i": lambda row: f"i{row[1]}",
        "r": lambda row: str(row[2]),
        "t": lambda row: str(row[3]),
    }
    text = "".join(",".join(cells[column](row) for column in order) + "\n" for row in STARS)
    check(cf.read(put(tmp_path, text)), STARS, "ratings", user="u{}".format, item="i{}".format, within=0)
    if order.index("u") < order.index("i"):  # of two columns of numbers nothing says which are the users
        cells |= {"u": lambda row: str(row[0] + 1000), "i": lambda row: str(row[1] + 50)}
        text = "".join(",".join(cells[column](row) for column in order) + "\n" for row in MANY)
        found = cf.read(put(tmp_path, text))
        check(found, MANY, "ratings", user=lambda u: u + 1000, item=lambda i: i + 50, within=0)


MANY: list[Row] = [(n % 41, n * 7 % 37, 1 + n * n % 5, 1_300_000_000 + n * 7919 % 1517 * 99_991) for n in range(1517)]


def test_columns_without_names_that_say_something_else(tmp_path: Path) -> None:
    for write in (
        lambda u, i, v, t: f"{u},{i},{['Drama', 'Comedy', 'War'][i % 3]},{v},{t}",
        lambda u, i, v, t: f"{u},{['US', 'DE', 'FR'][u % 3]},{i},{v},{t}",
        lambda u, i, v, t: f"{u},{i},{v},{t},{20 + u},{'MF'[u % 2]}",
    ):
        check(cf.read(put(tmp_path, lines(MANY, write))), MANY, "ratings", within=0)
    text = lines(MANY, lambda u, i, v, t: f"{u},{i},{['pv', 'cart', 'buy'][v % 3]},{t}")
    assert cf.read(put(tmp_path, text)).kind == "events"


def test_blocks_of_keys_and_values(tmp_path: Path) -> None:
    keys = "product/productId: B{1}\nreview/userId: A{0}\nreview/profileName: Jo\nreview/score: {2}.0\nreview/time: {3}"
    found = cf.read(put(tmp_path, "\n\n".join(keys.format(*row) for row in STARS), "finefoods.txt"))
    check(found, STARS, "ratings", user="A{}".format, item="B{}".format, within=0)
    text = lines(STARS, lambda u, i, v, t: f"user=u{u} item=i{i} rating={v}")
    with pytest.raises(DataError, match="written name=value"):
        cf.read(put(tmp_path, text))


def test_of_several_ratings_none_is_taken_unsaid(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{6 - v}", "user,item,taste_rating,look_rating")
    notes = cf.read(put(tmp_path, text)).notes
    assert any("no rating used: 'taste_rating', 'look_rating'" in note for note in notes)


def test_lines_of_vowpal_wabbit(tmp_path: Path) -> None:
    for line in (
        lambda u, i, v, t: f"{v} |u {u} |i {i}",
        lambda u, i, v, t: f"{v} 1.0 'row{t} |user {u} |movie {i}:1 |context sunny:1 warm",
        lambda u, i, v, t: f"{v} | user={u} item={i}",
        lambda u, i, v, t: f"{v}.0 | {u} {i}",
    ):
        check(cf.read(put(tmp_path, lines(STARS, line), "train.vw")), STARS, "ratings")
    found = cf.read(put(tmp_path, lines(STARS, lambda u, i, v, t: f"|user u{u} |item i{i}"), "train.vw"))
    check(found, STARS, "events", user="u{}".format, item="i{}".format, value=False)
    torn = lines(STARS, lambda u, i, v, t: f"{v} |u {u} |i {i}") * 4 + "4 |u 3\n"
    with pytest.raises(DataError, match=r"line \d+ of .* is not of the form"):
        cf.read(put(tmp_path, torn.replace("4 |u 3\n", "4 ||\n"), "torn.vw"))
    with pytest.raises(DataError, match="no two of its namespaces have one feature"):
        cf.read(put(tmp_path, lines(STARS, lambda u, i, v, t: f"{v} |f a{u} b{i} c{t}"), "train.vw"))


def test_blocks_of_the_kdd_cup(tmp_path: Path) -> None:
    text = ""
    for user in range(30):
        mine = [row for row in STARS if row[0] == user]
        text += f"{user}|{len(mine)}\n" + "".join(f"{i}\t{20 * v}\t3811\t13:24:00\n" for _, i, v, _ in mine)
    found = cf.read(put(tmp_path, text, "trainIdx1.txt"))
    check(found, [(u, i, 20 * v, t) for u, i, v, t in STARS], "ratings")
    with pytest.raises(DataError, match="may have been cut short"):
        cf.read(put(tmp_path, text[: text.rindex("\n", 0, -1) + 1], "trainIdx1.txt"))


@pytest.mark.parametrize("name", ["click", "is_click", "clicked", "clk"])
@pytest.mark.parametrize("words", ["0 1", "0.0 1.0", "false true"])
def test_what_was_shown_and_what_was_taken(tmp_path: Path, name: str, words: str) -> None:
    """Rows that say that something was shown, and not taken, are no events; nor are they in a test table."""
    marks = words.split()
    text = lines(
        STARS,
        lambda u, i, v, t: f"{u},{i},{marks[int(v > 2)]},{v * 1000},{t * 1000}",
        f"user_id,video_id,{name},ms,time_ms",
    )
    place = put(tmp_path, text)
    taken = [row for row in STARS if row[2] > 2]
    found = cf.read(place)
    check(found, taken, "events", value=False, within=0)
    assert any(f"{name} = 0 means shown only" in note for note in found.notes)
    few = put(tmp_path, text[: text.index("\n", 200) + 1], "few.csv")
    shown = [row for row in STARS[: few.read_text(encoding="utf-8").count("\n") - 1] if row[2] > 2]
    assert len(held_out_rows(few, found)) == len(shown)
    every = cf.read(place, behaviour=False)
    assert len(every) == len(STARS)


def test_a_column_that_says_the_same_of_an_item_is_not_the_rating(tmp_path: Path) -> None:
    """Ciao, CiaoDVD: a category stands before the grade; LFM-1b: an album and a track; EachMovie: a weight of 1."""
    for line in (
        lambda u, i, v, t: f"{u},{i},{1 + i % 6},{v},{t % 5},{t}",
        lambda u, i, v, t: f"{u},{i},{1 + i % 6},{i * 31 + u},{v},{when(t, '%Y-%m-%d')}",
    ):
        check(cf.read(put(tmp_path, lines(STARS, line), "rating.txt")), STARS, "ratings", within=86_399)
    listened = cf.read(put(tmp_path, lines(AGAIN, lambda u, i, v, t: f"{u}\t{i}\t{i + 4}\t{i + 9}\t{t}"), "LEs.txt"))
    check(listened, AGAIN, "events", value=False, within=0)
    votes = cf.read(
        put(tmp_path, lines(STARS, lambda u, i, v, t: f"{u}\t{i}\t{v / 5}\t1\t{when(t, '%m/%d/%y %H:%M')}"), "vote.txt")
    )
    check(votes, [(u, i, v / 5, t) for u, i, v, t in STARS], "ratings", within=59)


def test_few_of_a_thing_are_counts(tmp_path: Path) -> None:
    few = [(u, i, 1 + (v == 5) * (t % 2), t) for u, i, v, t in STARS]
    found = cf.read(
        put(
            tmp_path,
            lines(few, lambda u, i, v, t: f"{u},{when(t, '%Y-%m-%dT%H:%M:%S.5Z')},{i},{900 - i},{v}"),
            "buys.dat",
        )
    )
    check(found, few, "counts", within=0)
    contexts = lines(COUNTS, lambda u, i, v, t: f"{u}\t{i}\t{v}\tmorning\t{t % 7}", "user\titem\tcnt\tdaytime\tcost")
    check(cf.read(put(tmp_path, contexts)), COUNTS, "counts")


def test_a_date_under_another_name(tmp_path: Path) -> None:
    form = "%-m/%-d/%Y"
    text = lines(
        STARS,
        lambda u, i, v, t: f"{when(t, form)},{u},{when(10**9 - 10**7 * u, form)},{i},{v}",
        "TRANSACTION_DT,CUSTOMER_ID,BIRTH_DATE,PRODUCT_ID,rating",
    )
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=86_399)


def test_many_columns_without_names(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: "\t".join([str(t % 2), str(u), *(f"{i}x" for _ in range(38))]))
    with pytest.raises(DataError, match=r"has 40 columns without names.*give their positions"):
        cf.read(put(tmp_path, text, "train.txt"))
    found = cf.read(put(tmp_path, text, "train.txt"), user=1, item=2, rating=0)
    assert (found.n_users, found.n_items, found.kind) == (30, 20, "ratings")


@pytest.mark.parametrize(
    ("header", "yes", "no"),
    [
        ("feedback", "like", "dislike"),
        ("liked", "TRUE", "FALSE"),
        ("is_recommended", "yes", "no"),
        ("reaction", "Like", "Skip"),
    ],
)
def test_what_says_no_is_not_one_more_thing_that_was_liked(tmp_path: Path, header: str, yes: str, no: str) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{yes if v > 2 else no},{t}", f"user_id,item_id,{header},ts")
    found = cf.read(put(tmp_path, text))
    check(found, [row for row in STARS if row[2] > 2], "events", value=False, within=0)
    weighed = cf.read(
        tmp_path / "table.csv",
        behaviour=header,
        weights={yes.replace("TRUE", "true"): 1, no.replace("FALSE", "false"): -1},
    )
    assert set(weighed.values.tolist()) == {1.0, -1.0}
    assert len(weighed) == len(STARS)
    text = text.replace(no, "play").replace("feedback", "what")
    if header == "feedback":
        assert any("'what' holds behaviours: behaviour='what' uses it" in n for n in cf.read(put(tmp_path, text)).notes)


def test_lists_of_items_are_no_matrix(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for first in ("({u},{i})", "{u}"):  # test items beside a pair, the best for a user
        rows = [[first.format(u=u, i=u % 7), *map(str, rng.permutation(4000)[:40])] for u in range(50)]
        with pytest.raises(DataError, match=r"lists of items .* not a matrix of ratings.*wide=True"):
            cf.read(put(tmp_path, "\n".join("\t".join(row) for row in rows), "lists.tsv"))


def test_names_that_are_in_another_encoding(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t, '%Y/%m/%d')}", "顧客ID,商品ID,評価,購入日")
    path = put(tmp_path, text.encode("cp932"))
    with pytest.raises(DataError, match=r"names may be in another encoding than latin-1: .*cp932"):
        cf.read(path)
    check(cf.read(path, encoding="cp932"), STARS, "ratings", within=DAY)
    for header in ("사용자ID,상품ID,평점,날짜", "N° client,Réf. produit,Évaluation,Date d'achat"):
        text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t, '%Y-%m-%d')}", header)
        check(cf.read(put(tmp_path, text)), STARS, "ratings", within=DAY)


def test_pictures_of_a_review_are_no_rows(tmp_path: Path) -> None:
    """A list of objects beside a user and an item says more of the row; without an item, its objects are the rows."""

    def review(u: int, i: int, v: int, t: int) -> str:
        pictures = [{"small_image_url": "a", "large_image_url": "b"}] * (t % 3)
        row = {"rating": v, "title": "Nice", "images": pictures, "asin": f"B{i}", "user_id": f"A{u}", "timestamp": t}
        return json.dumps(row)

    found = cf.read(put(tmp_path, lines(STARS, review), "All_Beauty.jsonl"))
    check(found, STARS, "ratings", user="A{}".format, item="B{}".format, within=0)
    basket = lines(STARS, lambda u, i, v, t: json.dumps({"customer": u, "lines": [{"sku": f"s{i}", "qty": v}]}))
    check(cf.read(put(tmp_path, basket, "baskets.jsonl")), STARS, "counts", item="s{}".format)
    named = lines(STARS, lambda u, i, v, t: json.dumps({"user": u, "title": "order", "lines": [{"product_id": i}]}))
    check(cf.read(put(tmp_path, named, "orders.jsonl")), STARS, "events", value=False)


def test_what_people_say_goes_before_how_much(tmp_path: Path) -> None:
    """Many hours in a game that somebody advises against are no praise."""
    liked = [row for row in STARS if row[2] > 2]
    for name, yes, no in (("recommended", "1", "0"), ("voted_up", "True", "False"), ("is_recommended", "yes", "no")):
        text = lines(
            STARS,
            lambda u, i, v, t, yes=yes, no=no: f"{u},{i},{v * 7.5},{yes if v > 2 else no}",
            f"user_id,app_id,hours,{name}",
        )
        path = put(tmp_path, text)
        found = cf.read(path)
        check(found, liked, "events", value=False)
        assert any("count='hours' with behaviour=False" in note for note in found.notes)
        check(cf.read(path, count="hours", behaviour=False), [(u, i, 7.5 * v, t) for u, i, v, t in STARS], "counts")
        disliked = cf.read(
            path, weights={yes.lower() if yes == "True" else yes: 1, no.lower() if no == "False" else no: -1}
        )
        assert (disliked.values < 0).sum() == len(STARS) - len(liked)


@pytest.mark.parametrize("name", ["label", "target"])
def test_labels_of_0_and_1(tmp_path: Path, name: str) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{int(v > 2)}", f"user,item,{name}")
    check(cf.read(put(tmp_path, text)), [row for row in STARS if row[2] > 2], "events", value=False)


def test_a_column_that_may_be_the_rating_is_said(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{u % 2},{i * 3}", "user,item,zufriedenheit,sex,pages")
    notes = cf.read(put(tmp_path, text)).notes
    assert any("no rating column used: 'zufriedenheit' may hold a value for each row" in note for note in notes)
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{t},{i % 3},{u + 7}", "user,item,stamp_of_time,genre_id,order_id")
    assert not any("may hold a value" in note for note in cf.read(put(tmp_path, text)).notes)


def test_dates_in_several_columns(tmp_path: Path) -> None:
    def of(*parts: str) -> Callable[[int, int, Any, int], str]:
        return lambda u, i, v, t: f"{u}\t{i}\t{v}\t" + "\t".join(when(t, part) for part in parts)

    header = "userID\tmovieID\trating\tdate_day\tdate_month\tdate_year\tdate_hour\tdate_minute\tdate_second"
    parts = ("%-d", "%-m", "%Y", "%-H", "%-M", "%-S")
    found = cf.read(put(tmp_path, lines(STARS, of(*parts), header)))
    check(found, STARS, "ratings", within=0)
    assert any("times are combined from the columns 'date_year', 'date_month'" in note for note in found.notes)
    days = put(tmp_path, lines(STARS, of("%-d", "%-m", "%Y"), "user\titem\trating\tday\tmonth\tyear"), "d.tsv")
    check(cf.read(days), STARS, "ratings", within=DAY)
    check(cf.read(days, time=False), STARS, "ratings")
    frame = pl.read_csv(days, separator="\t")
    frame.write_parquet(tmp_path / "days.parquet")
    check(cf.read(tmp_path / "days.parquet"), STARS, "ratings", within=DAY)
    both = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{t},1,2,1999", "user,item,rating,timestamp,day,month,year")
    check(cf.read(put(tmp_path, both)), STARS, "ratings", within=0)  # a time goes before its parts
    odd = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{40 + u},{i},2000", "user,item,rating,day,month,year")
    assert not any("times are combined" in note for note in cf.read(put(tmp_path, odd)).notes)
    again = read_alike(days, cf.read(days))  # test rows, say
    check(again, STARS, "ratings", within=DAY)
    wrong = days.read_text(encoding="utf-8") + "1\t1\t5\t31\t2\t2011\n"
    with pytest.raises(DataError, match="time missing in row 230"):
        cf.read(put(tmp_path, wrong))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_wide_letters(tmp_path: Path, encoding: str, end: str) -> None:
    text = lines(STARS, lambda u, i, v, t: f"u{u};é{i};{v}", "user;item;rating").replace("\n", end)
    check(cf.read(put(tmp_path, text.encode(encoding))), STARS, "ratings", user="u{}".format, item="é{}".format)


def test_json_in_other_forms(tmp_path: Path) -> None:
    arrays = json.dumps([[u, i, v, t] for u, i, v, t in STARS])
    check(cf.read(put(tmp_path, arrays, "rows.json")), STARS, "ratings", within=0)
    mongo = lines(
        STARS,
        lambda u, i, v, t: json.dumps(
            {
                "_id": {"$oid": f"{t:024x}"},
                "userId": {"$oid": f"{u:024x}"},
                "itemId": {"$numberLong": str(i)},
                "rating": {"$numberDouble": f"{v}.0"},
                "at": {"$date": {"$numberLong": str(t * 1000)}},
            }
        ),
    )
    found = cf.read(put(tmp_path, mongo, "mongo.json"), time="at")
    check(found, STARS, "ratings", user="{:024x}".format, within=0)


@pytest.mark.parametrize(
    "form",
    ["%d %b %Y, %I:%M %p", "%d-%b-%y %I.%M.%S.000000 %p", "%A, %B %d, %Y", "%a %b %d %Y", "%Y-%m-%d %I:%M:%S %p"],
)
def test_how_more_dates_are_written(tmp_path: Path, form: str) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u}|{i}|{v}|{when(t, form)}", "user|item|rating|date")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=DAY if "%I" not in form else 59)


@pytest.mark.parametrize("sep", [" ", ",", "\t", ";"])
def test_rows_with_names_as_r_writes_them(tmp_path: Path, sep: str) -> None:
    text = sep.join(('"user"', '"item"', '"rating"')) + "\n"
    text += "".join(f'"{n}"{sep}{u}{sep}"i{i}"{sep}{v}\n' for n, (u, i, v, _) in enumerate(STARS, 1))
    data = cf.read(put(tmp_path, text))
    check(data, STARS, "ratings", item="i{}".format)
    assert any("its first is the row's name" in note for note in data.notes)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_last_name_that_stands_for_many_columns(tmp_path: Path, end: str) -> None:
    head = f"user_id,item_id,timestamp,state_label,comma_separated_list_of_features{end}"
    text = head + lines(STARS, lambda u, i, v, t: f"{u},{i},{t},0,{v / 9:.4f},-0.5,{u}.25").replace("\n", end)
    data = cf.read(put(tmp_path, text))
    assert any("the first line names 5 of 7 columns" in note for note in data.notes)
    check(data, STARS, "events", value=False, within=0)
    commas = "user,item,seen,rating\n" + lines(STARS, lambda u, i, v, t: f"{u},{i},2,5,{v},5")
    with pytest.raises(DataError, match="has more fields than the first"):  # 2,5 and 4,5 are two numbers
        cf.read(put(tmp_path, commas))


def test_lines_of_several_kinds_are_told(tmp_path: Path) -> None:
    text = 'I,4,"www"\nA,1287,1,"Page","/p"\nC,"10001",10001\nV,1000,1\nV,1001,1\n'
    with pytest.raises(DataError, match=r"records of several kinds, told by the first field \('A', 'C', 'I', 'V'\)"):
        cf.read(put(tmp_path, text))
    with pytest.raises(DataError, match="a quote stands within a field or is not closed"):
        cf.read(put(tmp_path, '";"8230311685";"10"\n"276727";"8465759984";"0"\n'))
    with pytest.raises(DataError, match=r"line 3 .* has more fields than the first, which has 3"):
        cf.read(put(tmp_path, "user,item,rating\n1,2,3\n1,2,3,4\n"))
    with pytest.raises(
        DataError, match=r"seems to have one column \(it begins with '\d+=\d+=\d'\); name the separator"
    ):
        cf.read(put(tmp_path, lines(STARS, lambda u, i, v, t: f"{u}={i}={v}")))


def test_uuids_in_every_form(tmp_path: Path) -> None:
    """UUIDs as objects, as bytes and as text are the same ids; bytes of a text are that text."""
    import sqlite3
    import uuid

    import pyarrow as pa

    of = [uuid.uuid5(uuid.NAMESPACE_URL, str(u)) for u in range(30)]
    rest = {"item": [i for _, i, _, _ in STARS], "rating": [v for _, _, v, _ in STARS]}
    as_bytes = [of[u].bytes for u, _, _, _ in STARS]
    connection = sqlite3.connect(":memory:")
    connection.execute("create table r (user blob, item int, rating int)")
    connection.executemany("insert into r values (?, ?, ?)", zip(as_bytes, *rest.values()))
    sources: list[Any] = [
        pl.DataFrame({"user": as_bytes, **rest}),
        pl.DataFrame({"user": [of[u] for u, _, _, _ in STARS], **rest}),
        pd.DataFrame({"user": [of[u] for u, _, _, _ in STARS], **rest}),
        pa.table({"user": pa.array(as_bytes, pa.binary(16)), **rest}),
        [(of[u], i, float(v)) for u, i, v, _ in STARS],
        connection,
    ]
    for source in sources:
        data = cf.read(source)
        check(data, STARS, "ratings", user=of.__getitem__)
        assert data.user_ids.code(of[3]) == data.user_ids.code(of[3].bytes) == data.user_ids.code(str(of[3])) >= 0
        assert data.user_ids.encode(of[:4]).min() >= 0
    connection.close()
    words = cf.read(
        pl.DataFrame({"user": [b"anna", "zoé".encode(), b"\x00\xff"], "item": [1, 2, 2], "rating": [1, 2, 3]})
    )
    assert sorted(words.user_ids.values) == ["00ff", "anna", "zoé"]


def test_a_list_of_users_or_items_is_not_who_rated_what(tmp_path: Path) -> None:
    """MovieLens' own users, films and genres, without names."""
    users = "".join(
        f"{u}::{'FM'[u % 2]}::{(1, 18, 25, 35)[u % 4]}::{u % 21}::{48067 + u * 37}\n" for u in range(1, 300)
    )
    films = "".join(f"{i}::Toy Story {i} (1995)::Animation|Comedy\n" for i in range(1, 300))
    genres = "".join(f"Genre{n}|{n}\n" for n in range(19))
    people = "".join(f"{u}|{20 + u % 40}|{'FM'[u % 2]}|writer{u % 4}|{10000 + u * 7}\n" for u in range(1, 300))
    for text in (users, films, genres, people):
        with pytest.raises(DataError, match="seem to describe users or items, not ratings"):
            cf.read(put(tmp_path, text))
    assert cf.read(tmp_path / "table.csv", user=0, item=4).n_users == 299  # who says so is heard
    assert cf.read([(n, n * 7 % 5, 1.0 + n % 5) for n in range(40)]).n_users == 40  # objects have no numbers of rows
    numbered = "".join(f"{n}|{u}|{i}|{v}\n" for n, (u, i, v, _) in enumerate(STARS))
    check(cf.read(put(tmp_path, numbered)), STARS, "ratings")


def test_baskets_are_told(tmp_path: Path) -> None:
    goods = ["whole milk", "rolls", "soda", "yogurt"]
    text = "".join(",".join(goods[(n + k) % 4] for k in range(1 + n * 7 % 5)) + "\n" for n in range(40))
    with pytest.raises(DataError, match=r"have 1 to 5 fields, like lists of items \(baskets, sessions\)"):
        cf.read(put(tmp_path, text))


def test_months_by_their_digits(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t, '%Y%m')}", "user,item,rating,date")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=31 * 86_400)
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{200_000 + t % 1000}", "user,item,rating,time")
    assert any("an order" in note for note in cf.read(put(tmp_path, text)).notes)


def test_numbers_of_the_rows_are_not_their_users(tmp_path: Path) -> None:
    """MyAnimeList's reviews: uid is the review, and profile the user."""
    header = "uid,profile,anime_uid,text,score"
    text = lines(STARS, lambda u, i, v, t: f"{t},jo{u},{i},nice,{v}", header)
    path = put(tmp_path, text.replace("anime_uid", "anime_id"))
    check(cf.read(path), STARS, "ratings", user="jo{}".format)
    assert cf.read(path, user="uid").columns.user == "uid"


@pytest.mark.parametrize("name", ["ratings.csv.zip", "ratings.npz", "ratings.csv.xz", "ratings.csv.zst"])
def test_damaged_archives_are_refused_or_read(tmp_path: Path, name: str) -> None:
    """Bytes that are lost, changed or put in anywhere end in one sentence."""
    whole = (Path(__file__).parent.parent / "cases" / "tables" / name).read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(60):
        at = int(rng.choice([rng.integers(0, 60), rng.integers(0, len(whole)), len(whole) - rng.integers(1, 80)]))
        size = int(rng.integers(1, 500))
        changed = [whole[:at] + whole[at + size :], whole[:at] + rng.bytes(size) + whole[at + size :], whole[at:]]
        path = put(tmp_path, changed[rng.integers(3)], name)
        with contextlib.suppress(DataError):
            cf.read(path)
