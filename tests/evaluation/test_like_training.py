"""Test rows are read as the training table was: its kind, columns, dates, behaviours and types of ids, however few rows
there are and however alike they look."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor.data.interactions import Interactions
from cofactor.errors import DataError
from cofactor.evaluation import evaluate
from cofactor.evaluation.held_out import held_out_rows

DAY = dt.date(2021, 1, 1)
FORMS = {
    "seconds": lambda day: int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()),
    "milliseconds": lambda day: 1000 * int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()),
    "iso": lambda day: day.isoformat(),
    "dmy": lambda day: day.strftime("%d/%m/%Y"),
    "mdy": lambda day: day.strftime("%m/%d/%Y"),
    "points": lambda day: day.strftime("%d.%m.%Y"),
    "digits": lambda day: int(day.strftime("%Y%m%d")),
    "digits, the year last": lambda day: int(day.strftime("%d%m%Y")),
}
"""How a day may be written."""
IDS = {"numbers": int, "text": lambda n: f"{'ab'[n % 2]}{n}", "some look like numbers": lambda n: n if n else "x"}
VALUES = {
    "ratings": lambda rng, n: rng.integers(1, 6, n).astype(float),
    "half stars": lambda rng, n: rng.integers(1, 11, n) / 2,
    "counts": lambda rng, n: np.floor(np.exp(rng.normal(2, 2, n))) + 1,
    "ones": lambda rng, n: np.ones(n),
}


def table(kind: str, ids: str, form: str, seed: int) -> pl.DataFrame:
    """300 rows of 30 users and 20 items on days of 2021, whose forms tell the day from the month."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(600)[:300]
    make = IDS[ids]
    days = [DAY + dt.timedelta(days=int(d)) for d in rng.integers(0, 365, 300)]
    days[0] = dt.date(2021, 12, 31)
    users, items = ([make(int(n)) for n in part] for part in (cells // 20, cells % 20))
    if ids == "some look like numbers":
        users, items = ([str(x) for x in part] for part in (users, items))
    return pl.DataFrame(
        {"who": users, "what": items, "value": VALUES[kind](rng, 300), "when": [FORMS[form](d) for d in days]}
    )


def as_source(frame: pl.DataFrame, way: str, train: Interactions, folder: Path) -> Any:
    if way == "path":
        frame.write_csv(folder / "test.csv")
        return folder / "test.csv"
    return frame.to_pandas() if way == "pandas" else frame


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(VALUES)),
    st.sampled_from(list(IDS)),
    st.sampled_from(list(FORMS)),
    st.sampled_from(["path", "frame", "pandas"]),
    st.lists(st.integers(0, 299), min_size=1, max_size=4, unique=True),
    st.permutations(["who", "what", "value", "when"]),
    st.booleans(),
)
def test_any_few_rows_are_read_as_they_were_in_training(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    ids: str,
    form: str,
    way: str,
    rows: list[int],
    order: list[str],
    given_parts: bool,
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    frame = table(kind, ids, form, len(rows))
    if way == "path":
        frame.write_csv(folder / "train.csv")
    named = {"user": "who", "item": "what", "rating": "value", "time": "when"}
    train = cf.read(folder / "train.csv" if way == "path" else frame, **named)
    few = as_source(frame[rows].select(order), way, train, folder)
    if given_parts:
        split = cf.split.given(train, few)
        assert split.valid.kind == split.train.kind == train.kind
        found = held_out_rows(split, split.train)
        assert split.train.user_ids == train.user_ids
    else:
        found = held_out_rows(few, train)
    seen = sorted(zip(found.users.tolist(), found.items.tolist(), found.values.tolist(), found.times.tolist()))  # type: ignore[union-attr]
    there = (train.users[rows], train.items[rows], train.values[rows], train.times[rows])  # type: ignore[index]
    assert seen == sorted(zip(*(part.tolist() for part in there)))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(FORMS)), st.sampled_from(list(FORMS)), st.integers(0, 364))
def test_dates_in_another_form(tmp_path_factory: pytest.TempPathFactory, mine: str, theirs: str, day: int) -> None:
    """The right day, or a refusal in words; where both have three numbers, the order of training."""
    train = cf.read(table("ratings", "numbers", mine, 0), user="who", item="what", rating="value", time="when")
    when = DAY + dt.timedelta(days=day)
    one = pl.DataFrame({"who": [1], "what": [2], "value": [4.0], "when": [FORMS[theirs](when)]})
    try:
        found = held_out_rows(one, train)
    except DataError:
        return
    assert found.values.tolist() == [4.0]
    assert found.times is not None
    right = FORMS["seconds"](when)
    if found.times.tolist() != [right]:
        numbers = {"dmy", "mdy", "points", "digits, the year last"}
        assert {mine, theirs} <= numbers
        assert "mdy" in (mine, theirs)
        swapped = dt.date(when.year, when.day, when.month)  # the order of training was taken
        assert found.times.tolist() == [FORMS["seconds"](swapped)]


def test_numbers_that_say_an_order_are_no_years() -> None:
    frame = table("ratings", "numbers", "seconds", 0).with_columns(when=pl.Series(np.arange(1900, 2200)))
    train = cf.read(frame, user="who", item="what", rating="value", time="when")
    for row in (0, 5, 299):
        found = held_out_rows(frame[[row]], train)
        assert found.times is not None
        assert found.times.tolist() == [1900 + row]
    dated = frame[:1].with_columns(when=pl.lit("2021-05-06"))
    with pytest.raises(DataError, match="these rows are dates, and those of the training data an order"):
        held_out_rows(dated, train)


def test_behaviours_missing_values_and_folded_ids(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells = rng.permutation(600)[:300]
    frame = pl.DataFrame(
        {
            "user": [f"User {c // 20}" for c in cells],
            "item": [f"i{c % 20}" for c in cells],
            "event": rng.choice(["view", "cart", "buy"], 300).tolist(),
        }
    )
    train = cf.read(frame, behaviour="event", weights={"view": 0, "cart": 1, "buy": 3}, fold_ids=True)
    rec = cf.fit(train, model="item-cosine", calibrate=False)
    rec.save(tmp_path / "m")
    test = pl.DataFrame(
        {"user": ["user 3", "USER 3", " user 4"], "item": ["i1", "i2", "I3"], "event": ["view", "buy", "view"]}
    )
    again = cf.load(tmp_path / "m")
    assert again.data.reading == train.reading
    for data in (train, again.data):
        found = held_out_rows(test, data)
        assert data.user_ids.decode(found.users).to_list() == ["user 3"]
        assert data.item_ids.decode(found.items).to_list() == ["i2"]
        assert found.values.tolist() == [3.0]
        assert len(held_out_rows(test.drop("event"), data)) == 3
        assert len(cf.split.given(data, test).valid) == 1
    graded = pl.DataFrame({"user": cells // 20, "item": cells % 20, "rating": rng.choice([1, 2, 3, 4, 5, 99], 300)})
    train = cf.read(graded, missing=[99])
    found = held_out_rows(graded[:6].with_columns(rating=pl.Series([99, 4, 99, 99, 99, 2])), train)
    assert sorted(found.values.tolist()) == [2.0, 4.0]


def test_rows_that_were_read_elsewhere_as_events() -> None:
    train = cf.read(table("ratings", "numbers", "iso", 0), user="who", item="what", rating="value", time="when")
    test = pl.DataFrame({"who": [1, 2], "what": [3, 4], "value": [4.0, 4.0], "when": ["2022-01-01"] * 2})
    read = cf.read(test, user="who", item="what", rating="value", time="when")
    assert read.kind == "events"
    with pytest.raises(DataError, match="read them with kind='ratings'"):
        held_out_rows(read, train)
    with pytest.raises(DataError, match="read them with kind='ratings'"):
        cf.split.given(train, read)
    right = cf.read(test, user="who", item="what", rating="value", time="when", kind="ratings")
    rec = cf.fit(train, model="bias", calibrate=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert evaluate(rec, right, ["mae"])["value"].to_list() == evaluate(rec, test, ["mae"])["value"].to_list()


def test_given_parts_whose_ids_look_like_numbers_in_one_alone(tmp_path: Path) -> None:
    users = [f"{n}" for n in range(10, 20)] + ["x1", "x2"]
    train = pl.DataFrame({"user": [u for u in users for _ in range(5)], "item": [f"{n}" for n in range(100, 112)] * 5})
    train = train.with_columns(rating=pl.Series([1, 2, 3, 4, 5] * 12))
    train.write_csv(tmp_path / "train.csv")
    pl.DataFrame({"user": ["12", "13"], "item": ["101", "999"], "rating": [5, 5]}).write_csv(tmp_path / "test.csv")
    for first, second, known in (("train", "test", "13"), ("test", "train", "x1")):
        split = cf.split.given(tmp_path / f"{first}.csv", tmp_path / f"{second}.csv", kind="ratings")
        assert split.train.user_ids.dtype == pl.String
        assert known in split.train.user_ids
        assert "999" in split.train.item_ids or split.train.item_ids.code(999) >= 0
    with pytest.raises(DataError, match="make them the same type"):
        cf.split.given(train, train.with_columns(user=pl.Series(range(60))))
