"""Columns that are easily taken for what they are not, and texts with line breaks within quotes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cofactor as cf
from cofactor.errors import DataError
from shapes import AGAIN, COUNTS, DAY, STARS, check, lines, put, when

BREAKS = ["good", 'It is "great"\nreally, yes', "a\n\nb", "one\ntwo\n", "x, y; z\t.", "\n", "5,5,5\n\t"]
"""Texts of reviews."""


@pytest.mark.parametrize("sep", [",", "\t", ";", "|"])
@pytest.mark.parametrize("place", [0, 2, 3])
@pytest.mark.parametrize("often", [1, 40])
def test_line_breaks_within_quotes(tmp_path: Path, sep: str, place: int, often: int) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sep, lineterminator="\n")
    names: list[Any] = ["user_id", "item_id", "rating"]
    writer.writerow([*names[:place], "text", *names[place:]])
    for at, (u, i, v, _) in enumerate(STARS):
        row: list[Any] = [f"u{u}", f"i{i}", v]
        text = BREAKS[at // often % len(BREAKS)] if at % often == 0 else "fine"
        writer.writerow([*row[:place], text, *row[place:]])
    check(cf.read(put(tmp_path, out.getvalue())), STARS, "ratings", user="u{}".format, item="i{}".format)


def test_stray_quotes_join_no_lines(tmp_path: Path) -> None:
    """A quote that is an inch opens no text."""
    text = lines(STARS, lambda u, i, v, t: f"u{u}\t{i}{chr(34) * (i % 2)} tall\t{v}", "user\titem\trating")
    check(
        cf.read(put(tmp_path, text)), STARS, "ratings", user="u{}".format, item=lambda i: f"{i}{chr(34) * (i % 2)} tall"
    )


NAMELESS: dict[str, tuple[Callable[[int, int, Any, int], str], str]] = {
    "an artist, a record, a song (LFM-1b)": (
        lambda u, i, v, t: f"{u + 31_435_736}\t{i + 7}\t{(i * 3 + t % 3) ** 3 + 11}\t{(i * 9 + t % 9) ** 3 + 5}\t{t}",
        "one user or item",
    ),
    "numbers far from 0": (
        lambda u, i, v, t: f"{u + 31_435_736}\t{i + 7}\t{50_000 + v}\t{t}",
        "column 2 holds numbers",
    ),
}


@pytest.mark.parametrize("name", NAMELESS)
def test_numbers_after_the_ids_that_count_nothing(tmp_path: Path, name: str) -> None:
    write, said = NAMELESS[name]
    data = cf.read(put(tmp_path, lines(AGAIN, write)))
    check(data, AGAIN, "events", user=lambda u: u + 31_435_736, item=lambda i: i + 7, value=False, within=0)
    assert any(said in note for note in data.notes)


def test_a_word_for_users_alone_makes_no_user(tmp_path: Path) -> None:
    text = lines(
        STARS,
        lambda u, i, v, t: f"{t * 1000},{t % 99},q{i},{'abcd'[v % 4]},{v * 9000}",
        "timestamp,solving_id,question_id,user_answer,elapsed_time",
    )
    with pytest.raises(DataError, match="is the user"):
        cf.read(put(tmp_path, text))
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{v % 2}", "customer_unique_id,book_no,rating,user_answer")
    check(cf.read(put(tmp_path, text)), STARS, "ratings")


def test_groceries(tmp_path: Path) -> None:
    text = lines(AGAIN, lambda u, i, v, t: f"{u},{when(t, '%d-%m-%Y')},thing {i}", "Member_number,Date,itemDescription")
    check(cf.read(put(tmp_path, text)), AGAIN, "events", item="thing {}".format, value=False, within=DAY)


def test_lists_of_texts_beside_lists_of_items(tmp_path: Path) -> None:
    """Food.com: a user's items and ratings, as Python writes lists."""
    rows = {u: [row for row in STARS if row[0] == u] for u in range(30)}
    text = "u,items,n_items,ratings\n" + "".join(
        f'{u},"{[row[1] for row in own]}",{len(own)},"{[float(row[2]) for row in own]}"\n' for u, own in rows.items()
    )
    check(cf.read(put(tmp_path, text)), STARS, "ratings")


def test_names_of_items_have_no_other_titles(tmp_path: Path) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u},Band {i % 5},Song {i}", "user_id,artistname,trackname")
    data = cf.read(put(tmp_path, text))
    assert data.columns.item == "trackname"
    assert not any("titles of items" in note for note in data.notes)


def test_times_since_the_first_of_each_user_are_said(tmp_path: Path) -> None:
    """Milliseconds from 0 to some years lie in the next centuries if they are taken for seconds since 1970."""
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{(t - 1_300_000_000) * 200}", "user,item,rating,timestamp")
    assert any("count from another moment" in note for note in cf.read(put(tmp_path, text)).notes)
    text = lines(STARS, lambda u, i, v, t: f"{u},{i},{v},{t}", "user,item,rating,timestamp")
    assert not any("another moment" in note for note in cf.read(put(tmp_path, text)).notes)


def test_a_wide_table_with_a_separator_at_the_end(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = "User," + ",".join(f"Category {at}" for at in range(1, 9)) + ",\n"
    text += "".join(f"User {u}," + ",".join(f"{x:.2f}" for x in rng.uniform(1, 5, 8)) + ",\n" for u in range(60))
    data = cf.read(put(tmp_path, text), wide=True)
    assert (data.n_users, data.n_items, len(data)) == (60, 8, 480)
    assert any("8 columns of items" in note for note in data.notes)


def read(tmp_path: Path, header: str, line: Callable[[int, int, Any, int], str], rows: Any = STARS) -> cf.Interactions:
    return cf.read(put(tmp_path, lines(rows, line, header)))


def test_what_weighs_a_thing_is_no_count(tmp_path: Path) -> None:
    data = read(tmp_path, "user,item,weight,time", lambda u, i, v, t: f"{u},{i},{i * 3 + 50},{t}", AGAIN)
    check(data, AGAIN, "events", value=False, within=0)
    assert any("'weight' has one value for all rows" in note for note in data.notes)
    data = read(tmp_path, "user,item,weight,quantity", lambda u, i, v, t: f"{u},{i},{i * 3 + 50},{v}", COUNTS)
    check(data, COUNTS, "counts")
    data = read(tmp_path, "user,item,count,quantity", lambda u, i, v, t: f"{u},{i},1,{v}", COUNTS)
    check(data, COUNTS, "counts")
    data = read(tmp_path, "userID,artistID,weight", lambda u, i, v, t: f"{u},{i},{v}", COUNTS)
    check(data, COUNTS, "counts")


def test_several_columns_that_may_be_the_rating_are_said(tmp_path: Path) -> None:
    data = read(tmp_path, "user,item,score,overall", lambda u, i, v, t: f"{u},{i},{t % 50},{v}")
    assert any("'overall' may be the rating too" in note for note in data.notes)
    data = read(tmp_path, "user,item,rating", lambda u, i, v, t: f"{u},{i},{i % 5 + 1}")
    assert any("'rating' has one value for all rows of an item" in note for note in data.notes)
    data = read(tmp_path, "user,item,rating,score", lambda u, i, v, t: f"{u},{i},{v},{i % 50}")
    assert not any("may be the rating too" in note or "one value" in note for note in data.notes)


def test_of_two_columns_of_one_moment_the_finer_is_the_time(tmp_path: Path) -> None:
    data = read(tmp_path, "user,item,rating,unix_time,date", lambda u, i, v, t: f"{u},{i},{v},{t},{when(t, '%F')}")
    check(data, STARS, "ratings", within=0)
    data = read(tmp_path, "user,item,rating,date,unix_time", lambda u, i, v, t: f"{u},{i},{v},{when(t, '%F')},{t}")
    check(data, STARS, "ratings", within=0)


def test_a_moment_that_all_rows_share_is_not_the_time_where_another_is(tmp_path: Path) -> None:
    data = read(tmp_path, "user,item,rating,date,ts", lambda u, i, v, t: f"{u},{i},{v},2024-01-01,{t}")
    check(data, STARS, "ratings", within=0)


def test_the_finer_of_an_artist_and_a_song_is_the_item(tmp_path: Path) -> None:
    for name in ("song_title", "StockCode", "asin"):
        data = read(tmp_path, f"user,artist,{name}", lambda u, i, v, t: f"{u},Band {i % 5},S{i}")
        check(data, STARS, "events", item="S{}".format, value=False)
