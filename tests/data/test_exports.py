"""Tables as people and programs export them: what stands around numbers, above the names, between lines, before ids."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.columns.values import as_numbers
from cofactor.errors import DataError

STARS = [(u, i, int(v)) for (u, i), v in zip(itertools.product(range(1, 9), range(1, 7)), np.tile([5, 3, 1, 4, 2], 10))]
AMOUNTS = [(u, i, 15_000 * u * i + 900 * (u == i) + 2) for u, i, _ in STARS]


@pytest.fixture
def file(tmp_path):
    def write(text: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def values_of(data: cf.Interactions) -> dict[tuple, float]:
    users, items = data.user_ids.decode(data.users).to_list(), data.item_ids.decode(data.items).to_list()
    return dict(zip(zip(users, items), data.values.tolist()))


def said(data: cf.Interactions) -> str:
    return " | ".join(data.notes)


STAR_FORMS = (
    "{v} out of 5",
    "{v}.0 out of 5 stars",
    "Rated {v} out of 5",
    "{v}/5",
    "{v} / 5",
    "{v}.0/5.0",
    "{v}/20",
    "{v} of 5",
    "{v} stars",
    "{v}star",
    "{v} points",
    "{v} Sterne",
)


@pytest.mark.parametrize("form", STAR_FORMS)
def test_grades_in_words_are_their_numbers(file, form):
    text = "user;item;rating\n" + "".join(f"{u};{i};{form.format(v=v)}\n" for u, i, v in STARS)
    data = cf.read(file(text))
    assert data.kind == "ratings"
    assert values_of(data) == {(u, i): v for u, i, v in STARS}


@pytest.mark.parametrize("star", ["★", "⭐", "⭐\ufe0f", "*"])
def test_stars_that_are_drawn_are_counted(file, star):
    data = cf.read(file("user,item,rating\n" + "".join(f"{u},{i},{star * v}\n" for u, i, v in STARS)))
    assert values_of(data) == {(u, i): v for u, i, v in STARS}


AMOUNT_FORMS = (
    "${v:,}",
    "₹{v:,}",
    "€ {v}",
    "{v} €",
    "USD {v:,}",
    "CHF {v}",
    "{v} kr",
    "{v} руб.",
    "{v}%",
    "{v}k",
    "{v} plays",
)


@pytest.mark.parametrize("form", AMOUNT_FORMS)
def test_amounts_with_a_sign_or_unit_are_their_numbers(file, form):
    text = "customer;product;amount\n" + "".join(f"{u};{i};{form.format(v=v)}\n" for u, i, v in AMOUNTS)
    data = cf.read(file(text))
    assert data.kind == "counts"
    assert values_of(data) == {(u, i): v for u, i, v in AMOUNTS}


def test_units_that_differ_are_not_mixed():
    for texts in (
        ["5 kr", "5 EUR"],
        ["1/5", "1/10"],
        ["$5", "£5"],
        ["5k", "5"],
        ["1.2k", "3M"],
        ["5 stars", "5 points"],
    ):
        assert as_numbers(pl.Series(texts)).null_count()


@pytest.mark.parametrize(("name", "texts"), [("amount", ["1.2k", "900", "3M"]), ("grade", ["A", "C", "F"])])
def test_values_that_cannot_be_read_do_not_go_unnoticed(file, name, texts):
    lines = "".join(f"{u};{i};{texts[(u + i) % 3]}\n" for u, i, _ in STARS)
    data = cf.read(file(f"user;item;{name}\n" + lines))
    assert data.kind == "events"
    assert f"{name!r} holds texts such as" in said(data)


@pytest.mark.parametrize(
    ("yes", "no"), [("up", "down"), ("thumbs up", "Thumbs Down"), ("👍", "👎"), ("upvote", "downvote")]
)
@pytest.mark.parametrize("name", ["rating", "vote"])
def test_a_no_in_words_is_no_yes(file, yes, no, name):
    data = cf.read(file(f"user,item,{name}\n" + "".join(f"{u},{i},{yes if v > 2 else no}\n" for u, i, v in STARS)))
    assert set(values_of(data)) == {(u, i) for u, i, v in STARS if v > 2}
    assert f"behaviour = {name!r}" in said(data)


def test_durations_are_seconds(file):
    clock = {(u, i): 61 * u + i for u, i, _ in STARS}
    forms = {
        "short": lambda s: f"{s // 60:02d}:{s % 60:02d}",
        "long": lambda s: f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}",
    }
    for name, form in forms.items():
        text = "user,item,duration\n" + "".join(f"{u},{i},{form(s)}\n" for (u, i), s in clock.items())
        data = cf.read(file(text, f"{name}.csv"), count="duration")
        assert data.kind == "counts"
        assert values_of(data) == clock
        assert "durations, in seconds" in said(data)
    frame = pl.DataFrame({"user": [u for u, _ in clock], "item": [i for _, i in clock]})
    for dtype, of in (
        (pl.Duration, lambda s: dt.timedelta(seconds=s)),
        (pl.Time, lambda s: dt.time(0, s // 60, s % 60)),
    ):
        rating = pl.Series("rating", [of(s) for s in clock.values()], dtype=dtype)
        assert values_of(cf.read(frame.with_columns(rating))) == clock


def test_a_clock_that_is_not_taken_is_told(file):
    data = cf.read(file("user,item,rating,time\n" + "".join(f"{u},{i},{v},{u:02d}:{i:02d}\n" for u, i, v in STARS)))
    assert data.times is None
    assert "'time' holds times of day or durations such as 01:01" in said(data)


@pytest.mark.parametrize(
    ("bad", "hint"), [("not rated", "missing=['not rated']"), ("", "missing=['NA']"), ("nan", "missing=['nan']")]
)
def test_what_means_no_rating_comes_with_the_way_out(file, bad, hint):
    path = file("user,item,rating\n" + "".join(f"{u},{i},{v if v > 1 else bad}\n" for u, i, v in STARS))
    with pytest.raises(DataError) as error:
        cf.read(path)
    assert hint in str(error.value)
    data = cf.read(path, missing=[hint.split("'")[1]])
    assert values_of(data) == {(u, i): v for u, i, v in STARS if v > 1}


def test_ids_of_digits_lose_neither_sign_nor_zero(file):
    rng = np.random.default_rng(0)
    for trial in range(12):
        fronts = [("", "+"), ("", "0"), ("", "+", "0", "-", "+0"), ("",)][trial % 4]
        ids = sorted({f"{rng.choice(fronts)}{rng.integers(1, 40)}" for _ in range(30)})
        for quote, sep in (("", ","), ('"', ","), ("", "\t")):
            text = f"user{sep}item{sep}rating\n" + "".join(
                f"{quote}{u}{quote}{sep}7{sep}3\n{quote}{u}{quote}{sep}8{sep}4\n" for u in ids
            )
            found = cf.read(file(text, f"{trial}.csv")).user_ids.values
            assert sorted(found.cast(pl.String)) == ids


TITLES = ("Ratings 2020", "Export\n\nof all ratings", "Report;;\n;;", "Alle Bewertungen\r\nStand: heute")


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_lines_above_the_names_are_left_out(file, title, sep):
    rows = sep.join(("user", "item", "rating")) + "\n" + "".join(f"{u}{sep}{i}{sep}{v}\n" for u, i, v in STARS)
    text = title.replace(";", sep) + "\n" + rows
    for encoded in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        data = cf.read(file(encoded))
        assert values_of(data) == {(u, i): v for u, i, v in STARS}
        assert "above the names left out" in said(data)
    assert "above the names" not in said(cf.read(file(rows)))


def test_lines_may_end_in_any_way(file):
    rng = np.random.default_rng(1)
    for ends in (["\r\n", "\n"], ["\r", "\n"], ["\r\n", "\r"], ["\r\r\n"], ["\n", "\n\n", "\r\n\r\n"], ["\r"]):
        text = "user,item,rating" + ends[0] + "".join(f"{u},{i},{v}{rng.choice(ends)}" for u, i, v in STARS)
        assert values_of(cf.read(file(text))) == {(u, i): v for u, i, v in STARS}


def test_fields_in_other_quotes(file):
    single = "'user','item','rating'\n" + "".join(f"'{u}','it,em {i}','{v}'\n" for u, i, v in STARS)
    spaced = '"user", "item", "rating"\n' + "".join(f'"{u}", "it ""em"" {i}", {v}\n' for u, i, v in STARS)
    assert values_of(cf.read(file(single))) == {(u, f"it,em {i}"): v for u, i, v in STARS}
    assert values_of(cf.read(file(spaced))) == {(u, f'it "em" {i}'): v for u, i, v in STARS}
    apostrophes = "user,item,rating\n" + "".join(f"{u},'n' roll {i},{v}\n" for u, i, v in STARS)
    assert values_of(cf.read(file(apostrophes))) == {(u, f"'n' roll {i}"): v for u, i, v in STARS}


def test_json_ids_of_two_types_are_told(file):
    rows = [{"user": u if u % 2 else str(u), "item": f"i{i}", "rating": v} for u, i, v in STARS]
    for text in (json.dumps(rows), "\n".join(map(json.dumps, rows))):
        data = cf.read(file(text, "t.json"))
        assert "'user': some values are numbers and others quoted text" in said(data)
        assert len(data.user_ids) == 8
    rows = [{"user": str(u), "item": f"i{i}", "rating": v, "n": u} for u, i, v in STARS]
    assert "some values" not in said(cf.read(file(json.dumps(rows), "u.json")))


def test_the_one_list_of_objects_in_a_json_object_is_the_table(file):
    rows = [{"user": u, "item": i, "rating": v} for u, i, v in STARS]
    data = cf.read(file(json.dumps({"version": 2, "info": {"by": "me"}, "ratings": rows}), "t.json"))
    assert values_of(data) == {(u, i): v for u, i, v in STARS}
    with pytest.raises(DataError, match="not a table"):
        cf.read(file(json.dumps({"a": rows, "b": rows[:5]}), "t.json"))


@pytest.mark.parametrize("line", ["{u},{v},2005-09-0{v}", "{u},2005-09-0{v}", "{u}"])
def test_blocks_of_the_netflix_prize(file, line):
    blocks = "".join(
        f"{i}:\n" + "".join(line.format(u=u, v=v) + "\n" for u, j, v in STARS if j == i) for i in range(1, 7)
    )
    data = cf.read(file(blocks, "t.txt"))
    rated, dated = "{v},2" in line, "2005" in line
    assert values_of(data) == {(u, i): v if rated else 1 for u, i, v in STARS}
    assert (data.times is not None) == dated
    if dated:
        days = dict(zip(values_of(data), pl.from_epoch(pl.Series(data.times)).dt.day().to_list()))
        assert days == {(u, i): v for u, i, v in STARS}


@pytest.mark.parametrize("form", ["%b %d %Y", "%B %d, %Y at %I:%M %p", "%b %d %Y %I:%M%p", "%B %d, %Y"])
def test_more_written_dates(file, form):
    days = {(u, i): dt.datetime(2019, 1 + u, 20 + i) for u, i, _ in STARS}
    text = "user;item;date\n" + "".join(f"{u};{i};{day.strftime(form)}\n" for (u, i), day in days.items())
    data = cf.read(file(text))
    assert dict(zip(values_of(data), data.times.tolist())) == {
        pair: int(day.replace(tzinfo=dt.UTC).timestamp()) for pair, day in days.items()
    }


def test_a_user_column_that_holds_nothing_comes_last(file):
    data = cf.read(file("userId,sessionId,itemId\n" + "".join(f"NA,{u},{i}\n" for u, i, _ in STARS)))
    assert set(values_of(data)) == {(u, i) for u, i, _ in STARS}
    assert data.columns.user == "sessionId"


@pytest.mark.parametrize(
    "line", ["({u}, {i}, {v})", "[{u},{i},{v}],", "{u}, {i}, {v}", "{u} ; {i} ; {v}", "{u}| {i}| {v}"]
)
def test_rows_in_brackets_or_with_blanks(file, line):
    data = cf.read(file("".join(line.format(u=u, i=i, v=v) + "\n" for u, i, v in STARS), "t.txt"))
    assert values_of(data) == {(u, i): v for u, i, v in STARS}


def test_quotes_may_be_escaped_by_a_backslash(file):
    rows = "".join(f'{u},{i},"He said \\"no, {v}\\", and left",{v}\n' for u, i, v in STARS)
    data = cf.read(file("user,item,review,rating\n" + rows))
    assert values_of(data) == {(u, i): v for u, i, v in STARS}
    titles = "".join(f'{u},"Say \\"{i}\\"",{v}\n' for u, i, v in STARS)
    assert values_of(cf.read(file("user,item,rating\n" + titles))) == {(u, f'Say "{i}"'): v for u, i, v in STARS}
    paths = "".join(f'{u},"C:\\{i}\\",{v}\n' for u, i, v in STARS)
    assert values_of(cf.read(file("user,item,rating\n" + paths))) == {(u, f"C:\\{i}\\"): v for u, i, v in STARS}


def test_what_a_spreadsheet_could_not_compute_is_no_user(file):
    for error in ("#REF!", "#VALUE!", "#NAME?", "#NULL!"):
        path = file("user,item,rating\n" + "".join(f"{error if u == 3 else u},{i},{v}\n" for u, i, v in STARS))
        with pytest.raises(DataError, match=r"user id missing in row 13 \('#"):
            cf.read(path)
        assert len(cf.read(path, missing_ids="drop").user_ids) == 7


def test_long_numbers_of_items_are_no_lists(file):
    text = "user,item,rating\n" + "".join(f'{u},"{i + 1_000_000:,}",{v}\n' for u, i, v in STARS)
    assert len(cf.read(file(text)).item_ids) == 6


def test_names_with_that_of_their_table(file):
    text = "t.userId,t.movieId,t.rating,t.rated\n" + "".join(f"{u},{i},{v},{u + i}\n" for u, i, v in STARS)
    assert values_of(cf.read(file(text))) == {(u, i): v for u, i, v in STARS}


def test_fields_that_say_their_names_and_one_long_field_are_refused(file):
    with pytest.raises(DataError, match="written name:value"):
        cf.read(file("".join(f"user:{u} item:{i} rating:{v}\n" for u, i, v in STARS)))
    with pytest.raises(DataError, match="seems to have one column"):
        cf.read(file("user=item=rating\n" + "".join(f"{u}={i}={v}\n" for u, i, v in STARS)))


def test_texts_of_rows_without_names_are_the_numbers_that_they_write(file):
    rows = [(f"u{u}", f"i{i}", f"{v}") for u, i, v in STARS]
    want = {(f"u{u}", f"i{i}"): v for u, i, v in STARS}
    stars = "".join(f"{u}\t{i}\t{v} stars\n" for u, i, v in rows)
    for source in (rows, np.array(rows), file(stars, "t.tsv")):
        assert values_of(cf.read(source)) == want


def test_pandas_frames_whose_columns_have_levels():
    frame = pd.DataFrame(STARS, columns=["user", "item", "rating"])
    want = {(u, i): v for u, i, v in STARS}
    assert values_of(cf.read(frame.pivot(index="user", columns="item", values=["rating"]))) == want
    summed = frame.groupby(["user", "item"]).agg({"rating": ["sum", "max"]})
    data = cf.read(summed, rating="rating_sum")
    assert values_of(data) == want
    assert values_of(cf.read(frame.astype({"user": float}).astype({"user": "category"}))) == want


def test_arrays_of_records_and_dicts_of_pairs():
    users, items, stars = zip(*STARS)
    records = np.rec.fromarrays([users, items, stars], names="user,item,rating")
    assert values_of(cf.read(records)) == {(u, i): v for u, i, v in STARS}
    with pytest.raises(DataError, match="give columns by name"):
        cf.read({(u, i): v for u, i, v in STARS})


@pytest.mark.parametrize("day", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y"])
@pytest.mark.parametrize("clock", ["%H:%M", "%H:%M:%S", "%I:%M %p"])
def test_days_and_times_of_day_in_two_columns(file, day, clock):
    moments = {(u, i): dt.datetime(2019, 3, 10 + u, 7 + 2 * i, 5 * u) for u, i, _ in STARS}
    text = "user,item,rating,date,time\n" + "".join(
        f"{u},{i},{v},{moments[u, i].strftime(day)},{moments[u, i].strftime(clock)}\n" for u, i, v in STARS
    )
    want = {pair: int(moment.replace(tzinfo=dt.UTC).timestamp()) for pair, moment in moments.items()}
    data = cf.read(file(text))
    assert dict(zip(values_of(data), data.times.tolist())) == want
    assert "times are combined from the columns 'date', 'time'" in said(data)
    assert cf.read(file(text), time="date").times.max() == max(want.values()) // 86_400 * 86_400
    frame = pl.read_csv(io.StringIO(text)).with_columns(
        date=pl.Series([m.date() for m in moments.values()]), time=pl.Series([m.time() for m in moments.values()])
    )
    assert dict(zip(values_of(cf.read(frame)), cf.read(frame).times.tolist())) == want
