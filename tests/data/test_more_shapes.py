"""More tables in the shapes of downloads and exports: what clients of databases, spreadsheets and dumps put around and
into the rows. Each is read as what it is, or refused in one sentence."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import DataError
from shapes import AGAIN, COUNTS, DAY, STARS, Row, check, lines, put, when

LIKED = [row for row in STARS if row[2] > 2]
PLAIN = lines(STARS, lambda u, i, v, t: f"{u},{i},{v}", "user,item,rating")
BY_USER: dict[int, dict[str, int]] = {}
for one in STARS:
    BY_USER.setdefault(one[0], {})[str(one[1])] = one[2]


def piped(row: Callable[[int, int, Any, int], str], header: str, rule: str) -> str:
    return header + "\n" + rule + "\n" + "".join(row(*one) + "\n" for one in STARS)


DRAWN = {
    "psql": piped(
        lambda u, i, v, t: f" {u:7d} | {i:7d} | {v:6d} ", " user_id | item_id | rating ", "---------+---------+--------"
    )
    + f"({len(STARS)} rows)\n\n",
    "mysql": "+------+------+--------+\n"
    + piped(lambda u, i, v, t: f"| {u:4d} | {i:4d} | {v:6d} |", "| user | item | rating |", "+------+------+--------+")
    + f"+------+------+--------+\n{len(STARS)} rows in set (0.01 sec)\n",
    "markdown": piped(
        lambda u, i, v, t: f"| {u} | {i} | {v} |", "| user | item | rating |", "|:-----|:----:|-------:|"
    ),
    "bare markdown": piped(lambda u, i, v, t: f"{u} | {i} | {v}", "user | item | rating", "--- | --- | ---"),
    "sqlplus": PLAIN + f"\n{len(STARS)} rows selected.\n",
    "psql -A": PLAIN.replace(",", "|") + f"({len(STARS)} rows)\n",
    "a dump": PLAIN.replace(",", "\t") + "\\.\n",
    "Ctrl-Z": PLAIN + "\x1a",
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("client", DRAWN)
def test_tables_as_clients_of_databases_write_them(tmp_path: Path, client: str, end: str) -> None:
    data = cf.read(put(tmp_path, DRAWN[client].replace("\n", end), "out.txt"))
    check(data, STARS, "ratings")
    assert any("left out" in note for note in data.notes)


def test_a_file_that_is_large_ends_like_a_small_one(tmp_path: Path) -> None:
    """What stands below the rows is found where the beginning of the file does not show it."""
    body = "".join(f"{n % 91},{n % 97},{n % 5 + 1}\n" for n in range(12_000))
    for below in ("12000 rows selected.\n", "\\.\n", "\x1a"):
        data = cf.read(put(tmp_path, "user,item,rating\n" + body + below))
        assert len(data.events) == 12_000
        assert data.user_ids.dtype == pl.Int64


RETURNS = {
    "in a text": lambda u, i, v, t: f"u{u},i{i},{v},some\rtext",
    "in few texts": lambda u, i, v, t: f"u{u},i{i},{v},{'a b'.replace(' ', chr(13)) if t % 40 == 0 else 'text'}",
    "in quotes": lambda u, i, v, t: f'u{u},i{i},{v},"some, \rtext"',
    "after an id": lambda u, i, v, t: f"u{u}\r,i{i},{v},text",
}


@pytest.mark.parametrize("where", RETURNS)
def test_returns_that_end_no_line(tmp_path: Path, where: str) -> None:
    data = cf.read(put(tmp_path, lines(STARS, RETURNS[where], "user,item,rating,review")))
    check(data, STARS, "ratings", user="u{}".format, item="i{}".format)
    assert any("carriage returns inside lines" in note for note in data.notes)


@pytest.mark.parametrize("ends", ["\r", "\r\n", "\n \r\n", "\n \r", "\r\r\n"])
def test_ends_of_lines(tmp_path: Path, ends: str) -> None:
    """One of these or several in turn: a file put together of files of several systems."""
    of = ends.split(" ")
    rest = PLAIN.splitlines()
    text = "".join(line + of[n % len(of)] for n, line in enumerate(rest))
    check(cf.read(put(tmp_path, text)), STARS, "ratings")


def test_a_separator_at_the_end_of_each_row(tmp_path: Path) -> None:
    for header in ("user,item,rating", "user,item,rating,"):
        check(cf.read(put(tmp_path, lines(STARS, lambda u, i, v, t: f"{u},{i},{v},", header))), STARS, "ratings")
    half = lines(STARS, lambda u, i, v, t: f"{u},{i},{v}{',' if u % 2 else ''}", "user,item,rating")
    with pytest.raises(DataError, match="more fields than the first"):
        cf.read(put(tmp_path, half))


def test_names_that_come_twice_are_said(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{6 - v}", "user,item,rating,rating")
    data = cf.read(put(tmp_path, text))
    check(data, STARS, "ratings")
    assert any("several columns are named 'rating'" in note for note in data.notes)
    other = cf.read(put(tmp_path, text), rating="rating_2")
    check(other, [(u, i, 6 - v, t) for u, i, v, t in STARS], "ratings")


@pytest.mark.parametrize("mark", [",", ".", " ", "'", "\u202f", "\u00a0"])
def test_marks_between_the_thousands_of_ids(tmp_path: Path, mark: str) -> None:
    def written(n: int) -> str:
        return f"{n:,}".replace(",", mark)

    for factor in (100, 40_000):
        text = lines(STARS, lambda u, i, v, t: f"{written(u * factor)};{written(i * 700)};{v}", "user;item;rating")  # noqa: B023
        data = cf.read(put(tmp_path, text))
        check(data, STARS, "ratings", user=lambda u: u * factor, item=lambda i: i * 700)  # noqa: B023
        assert data.user_ids.dtype == data.item_ids.dtype == pl.Int64
        assert any("between the thousands of ids" in n or "1.234 is 1234" in n for n in data.notes)
    text = lines(
        STARS, lambda u, i, v, t: f"{u + 10}.{i:03d}.{t % 7};{i};{v}", "user;item;rating"
    )  # addresses, versions
    assert cf.read(put(tmp_path, text)).user_ids.dtype == pl.String


def test_marks_that_nobody_sees_are_no_part_of_an_id(tmp_path: Path) -> None:
    for mark in "\ufeff\u200b\u2060":
        text = lines(STARS, lambda u, i, v, t: f"{mark * (t % 2)}u{u},{mark}{i},{v}", "user,item,rating")  # noqa: B023
        data = cf.read(put(tmp_path, text))
        check(data, STARS, "ratings", user="u{}".format)
        assert data.item_ids.dtype == pl.Int64
        assert any("invisible characters" in note for note in data.notes)


def test_ids_in_powers_of_ten(tmp_path: Path) -> None:
    """As MATLAB saves them: exact where all digits are written, refused where some are lost."""
    text = "".join(f"  {u + 4_000.0:.7e}   {i + 1.0:.7e}   {float(v):.7e}\n" for u, i, v, _ in STARS)
    data = cf.read(put(tmp_path, text, "ratings.txt"))
    check(data, STARS, "ratings", user=lambda u: u + 4_000, item=lambda i: i + 1)
    for digits, of in ((5, 76_561_197_960_265_728), (5, 1_234_567), (2, 4_000)):
        text = lines(STARS, lambda u, i, v, t: f"{u + of:.{digits}E},{i},{v}", "user,item,rating")  # noqa: B023
        with pytest.raises(DataError, match="last digits are lost"):
            cf.read(put(tmp_path, text))


def test_thousands_in_counts(tmp_path: Path) -> None:
    hundreds = [(u, i, 100 * v, t) for u, i, v, t in COUNTS]
    text = lines(hundreds, lambda u, i, v, t: f'{u},{i},"{v:,}"', "user,item,plays")
    check(cf.read(put(tmp_path, text)), hundreds, "counts")
    large = [(u, i, 1_000 + 37 * v, t) for u, i, v, t in COUNTS]
    text = lines(large, lambda u, i, v, t: f"{u};{i};{v:,}".replace(",", "."), "Kunde;Artikel;Menge")
    data = cf.read(put(tmp_path, text))  # there are no parts of a thing
    check(data, large, "counts")
    assert any("1.234 is 1234" in note for note in data.notes)
    text = text.replace("Menge", "Score")
    assert float(cf.read(put(tmp_path, text)).values.max()) < 1_000  # a score may have decimals


def test_rows_of_totals_are_no_users(tmp_path: Path) -> None:
    plays = lines(COUNTS, lambda u, i, v, t: f"u{u},i{i},{v}", "user,item,plays")
    total = sum(row[2] for row in COUNTS)
    below = "".join(f"u{u},Total,{sum(v for w, _, v, _ in COUNTS if w == u)}\n" for u in range(30))
    for more in (f"Grand Total,All,{total}\n", f"Gesamtergebnis,,{total}\n", below):
        with pytest.raises(DataError, match=r"totals|item id missing in row 241"):
            cf.read(put(tmp_path, plays + more))
    frame = pl.DataFrame(STARS, schema=["user", "item", "rating", "time"], orient="row").with_columns(
        pl.format("u{}", "user")
    )
    pivot = frame.to_pandas().pivot_table(index="user", columns="item", values="rating", margins=True)
    with pytest.raises(DataError, match=r"row 30 does not belong to one user: 'All' .* the sum or mean of the others"):
        cf.read(put(tmp_path, pivot.to_csv()))
    brand = lines(COUNTS, lambda u, i, v, t: f"u{u},{'Total' if i == 3 else i},{v}", "user,item,plays")
    check(cf.read(put(tmp_path, brand)), COUNTS, "counts", user="u{}".format, item=lambda i: "Total" if i == 3 else i)


MORE_DATES = {
    "%d%b%Y": DAY,
    "%d%b%Y:%H:%M:%S": 0,
    "%Y-%m-%dT%H:%M:%S+00:00[UTC]": 0,
    "%G-W%V-%u": DAY,
    "%GW%V%u": DAY,
    "%G-W%V": 7 * 86_400,
    "%B %Y": 31 * 86_400,
    "%b-%Y": 31 * 86_400,
    "%d %B, %Y": DAY,
}


@pytest.mark.parametrize("form", MORE_DATES)
def test_dates_of_other_programs(tmp_path: Path, form: str) -> None:
    """SAS, Java, ISO weeks, months by name."""
    text = lines(STARS, lambda u, i, v, t: f"{u}|{i}|{v}|{when(t, form)}", "user|item|rating|date")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=MORE_DATES[form])


def test_weeks_and_months_are_times_where_they_say_the_year(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t, '%G-W%V')}", "user,item,rating,week")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=7 * 86_400)
    for name, form in (("month", "%m"), ("week", "%V"), ("quarter", "3")):
        text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t, form)}", f"user,item,rating,{name}")  # noqa: B023
        check(cf.read(put(tmp_path, text)), STARS, "ratings")
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{int(when(t, '%H%M'))}", "user,item,rating,time_stamp")
    notes = cf.read(put(tmp_path, text)).notes
    assert any("'time_stamp' is not taken for the time" in note for note in notes)


def test_zones_differ_from_row_to_row(tmp_path: Path) -> None:
    def here(u: int, t: int) -> str:
        zone = dt.timezone(dt.timedelta(hours=2 if u % 2 else -5))
        return dt.datetime.fromtimestamp(t, zone).isoformat()

    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{here(u, t)}", "user,item,rating,ts")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=0)
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t, '%Y-%m-%d %H:%M:%S')} IST", "user,item,rating,ts")
    with pytest.raises(DataError, match=r"holds no readable times, such as .* IST"):
        cf.read(put(tmp_path, text))


ZONES = {
    "%H:%M:%S CET": 3600,
    "%H:%M CEST": 7200,
    "%H:%M:%S EST": -5 * 3600,
    "%H:%M:%S PDT": -7 * 3600,
    "%H:%M:%S JST": 9 * 3600,
    "%H:%M:%S GMT+1": 3600,
    "%H:%M:%S UTC-03:00": -3 * 3600,
}


@pytest.mark.parametrize("form", ZONES)
def test_zones_may_have_a_short_name(tmp_path: Path, form: str) -> None:
    text = lines(
        STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t + ZONES[form], '%Y-%m-%d ' + form)}", "user,item,rating,ts"
    )
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=59)


@pytest.mark.parametrize("form", ["{year}Q{quarter}", "{year}-Q{quarter}", "Q{quarter} {year}"])
def test_quarters_are_times(tmp_path: Path, form: str) -> None:
    def named(t: int) -> str:
        moment = dt.datetime.fromtimestamp(t, dt.UTC)
        return form.format(year=moment.year, quarter=(moment.month + 2) // 3)

    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{named(t)}", "user,item,rating,time")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=92 * DAY)


@pytest.mark.parametrize("head", ["user,item,rating,time", None])
@pytest.mark.parametrize("sep", ["^", "~", "#", ":", "~~"])
def test_separators_that_few_use(tmp_path: Path, sep: str, head: str | None) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{t}", head).replace(",", sep)
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=0)


def test_times_in_powers_of_ten_are_said(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{t:.1E}", "user,item,rating,time")
    assert any("their last digits are lost" in note for note in cf.read(put(tmp_path, text)).notes)
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{t:.9E}", "user,item,rating,time")
    data = cf.read(put(tmp_path, text))
    check(data, STARS, "ratings", within=0)
    assert not any("digits are lost" in note for note in data.notes)


def test_a_number_of_the_row_is_no_rating_where_ids_are_named(tmp_path: Path) -> None:
    text = "".join(f"{n}\tU{u}\tN{i}\t{when(t, '%Y-%m-%d')}\n" for n, (u, i, _, t) in enumerate(STARS, 1))
    assert cf.read(put(tmp_path, text), user=1, item=2).columns.rating is None


def test_an_id_that_comes_again_is_that_of_the_item(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},name{u},{v},{i},Game {i}", ",user,rating,ID,name")
    assert set(cf.read(put(tmp_path, text)).item_ids) == {row[1] for row in STARS}


WORDS = {
    "hearts": lambda v: "\N{HEAVY BLACK HEART}" * v,
    "red hearts": lambda v: "\N{HEAVY BLACK HEART}\ufe0f" * v,
    "empty stars": lambda v: "★" * v + "☆" * (5 - v),
    "Amazon": lambda v: f"{v}.0 out of 5 stars",
    "percent": lambda v: f"{v}%",
    "asterisk": lambda v: f"{v}*",
}


@pytest.mark.parametrize("form", WORDS)
def test_ratings_in_words_and_signs(tmp_path: Path, form: str) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{WORDS[form](v)}", "user,item,rating")
    check(cf.read(put(tmp_path, text)), STARS, "ratings")


@pytest.mark.parametrize(
    "write",
    [
        lambda v: f"{v}/5" if v % 2 else f"{2 * v}/10",
        lambda v: ["one", "two", "three", "four", "five"][v - 1],
        lambda v: "EDCBA"[v - 1],
        lambda v: "+" if v > 2 else "-",
    ],
    ids=["two scales", "words", "letters", "signs"],
)
def test_ratings_that_are_no_numbers_are_told(tmp_path: Path, write: Callable[[int], str]) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{write(v)}", "user,item,rating")
    with pytest.raises(DataError, match=r"which is not a number.*(behaviour='rating' and weights=|mend or drop)"):
        cf.read(put(tmp_path, text))


@pytest.mark.parametrize("name", ["vote", "feedback", "opinion"])
def test_votes_for_and_against(tmp_path: Path, name: str) -> None:
    """A vote against is not one more thing that was liked."""
    votes = [(u, i, 1 if v > 2 else -1, t) for u, i, v, t in STARS]
    for form in ("{:+d}", "{}"):
        text = lines(votes, lambda u, i, v, t: f"{u},{i},{form.format(v)}", f"user,item,{name}")  # noqa: B023
        check(cf.read(put(tmp_path, text)), votes, "ratings")
    text = lines(
        STARS, lambda u, i, v, t: f"{u},{i},{1 if i % 2 else -1}", "user,item,hemisphere"
    )  # a fact of the item
    check(cf.read(put(tmp_path, text)), STARS, "events", value=False)


def test_objects_of_items_and_values(tmp_path: Path) -> None:
    """``{"ratings": {item: value}}``, one a user; and one object for all."""
    records = [{"user": u, "ratings": of} for u, of in BY_USER.items()]
    ways = {
        "a.jsonl": "\n".join(map(json.dumps, records)),
        "a.json": json.dumps(records),
        "all.json": json.dumps({str(u): of for u, of in BY_USER.items()}),
        "named.json": json.dumps({f"u{u}": {f"Film {i}": v for i, v in of.items()} for u, of in BY_USER.items()}),
    }
    for name, text in ways.items():
        named = name == "named.json"
        data = cf.read(put(tmp_path, text, name))
        check(data, STARS, "ratings", user="u{}".format if named else str, item="Film {}".format if named else str)
        assert data.item_ids.dtype == (pl.String if named else pl.Int64)
    place = [
        {"user": u, "item": i, "rating": v, "geo": {"lat": u / 7 if u % 3 else None, "lon": i / 3}}
        for u, i, v, _ in STARS
    ]
    check(cf.read(put(tmp_path, json.dumps(place), "geo.json")), STARS, "ratings")


WRAPPED = {
    "Elasticsearch": lambda u, i, v, t: {
        "_index": "r",
        "_id": f"x{t}",
        "_score": 1.0,
        "_source": {"user_id": u, "item_id": i, "rating": v, "timestamp": t * 1000},
    },
    "DynamoDB": lambda u, i, v, t: {
        "Item": {
            "userId": {"S": str(u)},
            "itemId": {"N": str(i)},
            "rating": {"N": f"{v}.0"},
            "timestamp": {"N": str(t)},
        }
    },
    "a queue": lambda u, i, v, t: {"payload": {"user": u, "item": i, "rating": v, "ts": t}},
    "BigQuery": lambda u, i, v, t: {
        "user_id": str(u),
        "item_id": str(i),
        "rating": str(v),
        "ts": when(t, "%Y-%m-%d %H:%M:%S UTC"),
    },
}


@pytest.mark.parametrize("store", WRAPPED)
def test_records_as_stores_export_them(tmp_path: Path, store: str) -> None:
    text = lines(STARS, lambda *row: json.dumps(WRAPPED[store](*row)))
    check(cf.read(put(tmp_path, text, "export.json")), STARS, "ratings", within=0)


DOWNLOADS: dict[str, tuple[str, Callable[[int, int, Any, int], str], list[Row], str, dict[str, Any]]] = {
    "Kaggle's number of the row": (
        ",user_id,item_id,rating",
        lambda u, i, v, t: f"{t % 977},{u},{i},{v}",
        STARS,
        "ratings",
        {},
    ),
    "two of them": (
        "Unnamed: 0.1,Unnamed: 0,user_id,item_id,rating",
        lambda u, i, v, t: f"{t},{t},{u},{i},{v}",
        STARS,
        "ratings",
        {},
    ),
    "Goodreads": (
        "user_id,book_id,is_read,rating,is_reviewed",
        lambda u, i, v, t: f"{u},{i},1,{v},{int(v > 3)}",
        STARS,
        "ratings",
        {},
    ),
    "Book-Crossing": (
        '"User-ID";"ISBN";"Book-Rating"',
        lambda u, i, v, t: f'"{u}";"{i:010d}";"{v}"',
        STARS,
        "ratings",
        {"item": "{:010d}".format},
    ),
    "MyAnimeList": (
        "user_id,Username,anime_id,Anime Title,rating",
        lambda u, i, v, t: f"{u},jo{u},{i},Anime {i},{v}",
        STARS,
        "ratings",
        {},
    ),
    "BoardGameGeek": (
        "BGGId,Rating,Username",
        lambda u, i, v, t: f"{i},{v}.0,Jo {u}",
        STARS,
        "ratings",
        {"user": "Jo {}".format},
    ),
    "Douban": (
        "userId,movieId,rating,time",
        lambda u, i, v, t: f"{u},{i},{v},{when(t, '%Y-%m-%d %H:%M:%S')}",
        STARS,
        "ratings",
        {"within": 0},
    ),
    "RetailRocket": (
        "timestamp,visitorid,event,itemid,transactionid",
        lambda u, i, v, t: f"{t * 1000},{u},{['view', 'addtocart', 'transaction'][v % 3]},{i},",
        AGAIN,
        "events",
        {"within": 0, "value": False},
    ),
    "Online Retail II": (
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country",
        lambda u, i, v, t: f"4894{u},{i}B,LAMP {i},{v},{when(t, '%Y-%m-%d %H:%M:%S')},6.95,{u}.0,United Kingdom",
        AGAIN,
        "counts",
        {"within": 0, "item": "{}B".format},
    ),
    "Last.fm 360K": (
        "",
        lambda u, i, v, t: f"{u:040x}\t{'' if i % 5 == 0 else f'{i:08x}-aaaa'}\tArtist {i}\t{v}",
        COUNTS,
        "counts",
        {"user": "{:040x}".format, "item": "Artist {}".format},
    ),
    "Foursquare": (
        "",
        lambda u, i, v, t: (
            f"{u}\t{i:024x}\t4bf{i % 7:x}\tCafe\t40.7{i}\t-73.9{i}\t-240\t" + when(t, "%a %b %d %H:%M:%S +0000 %Y")
        ),
        AGAIN,
        "events",
        {"within": 0, "value": False, "item": "{:024x}".format},
    ),
    "MongoDB's CSV": (
        "userId,itemId,rating,createdAt",
        lambda u, i, v, t: f"ObjectId({u:024x}),{i},{v},{when(t, '%Y-%m-%dT%H:%M:%S.000Z')}",
        STARS,
        "ratings",
        {"within": 0, "user": "ObjectId({:024x})".format},
    ),
    "PostgreSQL's booleans": (
        "user_id\titem_id\tliked\tcreated_at",
        lambda u, i, v, t: f"{u}\t{i}\t{'t' if v > 2 else 'f'}\t{when(t, '%Y-%m-%d %H:%M:%S')}+00",
        LIKED,
        "events",
        {"within": 0, "value": False},
    ),
    "units in the names": (
        "User ID,Item ID,Rating (1-5)",
        lambda u, i, v, t: f"{u},{i},{v}",
        STARS,
        "ratings",
        {},
    ),
    "minutes in the names": (
        "user id,track id,playtime (min)",
        lambda u, i, v, t: f"{u},{i},{v}",
        COUNTS,
        "counts",
        {},
    ),
    "an empty last column": ("user,item,rating,notes", lambda u, i, v, t: f"{u},{i},{v},", STARS, "ratings", {}),
    "quotes in quotes": (
        "user,title,rating",
        lambda u, i, v, t: f'{u},"The ""Best"" of, {i}",{v}',
        STARS,
        "ratings",
        {"item": 'The "Best" of, {}'.format},
    ),
    "a French spreadsheet": (
        "client;produit;note",
        lambda u, i, v, t: f"C{u};P{i};{v},0",
        STARS,
        "ratings",
        {"user": "C{}".format, "item": "P{}".format},
    ),
    "microseconds": (
        "user,item,rating,ts",
        lambda u, i, v, t: f"{u},{i},{v},{t * 1_000_000}",
        STARS,
        "ratings",
        {"within": 0},
    ),
    "two marks": ("user||item||rating", lambda u, i, v, t: f"{u}||{i}||{v}", STARS, "ratings", {}),
}


@pytest.mark.parametrize("name", DOWNLOADS)
def test_downloads(tmp_path: Path, name: str) -> None:
    header, line, table, kind, how = DOWNLOADS[name]
    shown = LIKED if table is LIKED else table
    rows = STARS if table is LIKED else shown
    check(cf.read(put(tmp_path, lines(rows, line, header), "table.txt")), shown, kind, **how)
