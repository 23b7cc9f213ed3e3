"""Predicates over side tables: the text form, polars expressions, and what is wrong with a text said in words."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import ConfigError
from cofactor.recommend.predicates import matching

TABLE = pl.DataFrame(
    {
        "item": [1, 2, 3, 4, 5],
        "title": ["Fargo", "Heat", "Big Night", "Alien (1979)", "And or not"],
        "genres": ["Crime|Drama", "Action|Crime", "Drama", "Sci-Fi|Horror", None],
        "year": [1996, 1995, 1996, 1979, None],
        "seen it": [True, False, True, False, None],
        "tags": [["a", "b"], ["b"], [], ["c c"], None],
        "out": pl.Series(["1996-03-08", "1995-12-15", "1996-09-20", "1979-05-25", None]).str.to_date(),
    }
)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("genres contains Drama and year >= 1990", [1, 3]),
        ("genres contains Sci-Fi", [4]),
        ("genres not contains Crime", [3, 4]),
        ("year = 1996 or year == 1979", [1, 3, 4]),
        ("year != 1996", [2, 4]),
        ("year<1995.5", [2, 4]),
        ("year > 1979 and (genres contains Action or title = 'Big Night')", [2, 3]),
        ("title = Big Night", [3]),
        ('title = "And or not"', [5]),
        ("title contains '(1979)'", [4]),
        ("title in (Fargo, 'Heat', Big Night)", [1, 2, 3]),
        ("year not in (1996)", [2, 4]),
        ("year is missing", [5]),
        ("year is not missing and not genres contains Drama", [2, 4]),
        ("not (year >= 1990)", [4, 5]),
        ("`seen it` = true", [1, 3]),
        ("tags contains b", [1, 2]),
        ("tags contains 'c c'", [4]),
        ("out >= 1996-01-01", [1, 3]),
        ("YEAR >= 1990 AND genres CONTAINS Drama".replace("YEAR", "year"), [1, 3]),
        ("genres contains Crime or genres contains Horror and year < 1990", [1, 2, 4]),
    ],
)
def test_texts(text, items):
    assert TABLE["item"].filter(pl.Series(matching(TABLE, text))).to_list() == items


def test_a_polars_expression():
    wanted = pl.col("genres").str.contains("Drama") & (pl.col("year") >= 1990)
    assert matching(TABLE, wanted).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("genre contains Drama", r"no column 'genre'.*item, title, genres.*Did you mean 'genres'"),
        ("year", "'year' must be followed by contains"),
        ("year >=", "a value for 'year' is missing"),
        ("year >= x", "holds numbers, and 'x' is not a number"),
        ("year contains 19", "needs a column of text"),
        ("year >= 1990 year", "holds numbers"),
        ("year = 1990 (", "is not expected here"),
        ("(year = 1990", r"'\)' is missing"),
        ("", "a column name is missing"),
        ("year = 1 and", "a column name is missing"),
        ("year ; drop", "must be followed by contains"),
        ("year = 1 'a'", "is not expected here"),
        ('title = "open', "cannot be read"),
        ("`seen it` = maybe", "true or false"),
        ("out > soon", "holds dates"),
        ("not " * 60 + "year = 1", "nested more than 50 deep"),
        ("(" * 5000 + "year = 1", "nested more than 50 deep"),
        ("x" * 20_000, "at most 10,000"),
        ("__import__('os').system('true')", "no column '__import__'"),
    ],
)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(ConfigError, match=message):
        matching(TABLE, text)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (pl.col("nothing") > 1, "no column 'nothing'; the columns are: item, title"),
        (pl.col("year"), "does not give true or false"),
        (pl.col("year").sum() > 1, "does not give true or false"),
        (pl.col("year") > "a", "cannot be evaluated"),
        (lambda row: True, "polars expression"),
    ],
)
def test_expressions_that_say_nothing(expression, message):
    with pytest.raises(ConfigError, match=message):
        matching(TABLE, expression)


def test_what_pandas_has_missing_meets_no_condition():
    pd = pytest.importorskip("pandas")
    pairs = pl.DataFrame({"user": [1, 1, 2, 2, 3], "item": [1, 2, 2, 3, 3], "rating": [1.0, 2.0, 3.0, 4.0, 5.0]})
    side = pd.DataFrame({"item": [1, 2, 3], "year": [1990.0, float("nan"), 2000.0]})
    rec = cf.fit(cf.read(pairs, items=side), model="popular")
    assert sorted(rec.recommend(1, seen=True, where="year >= 1980")["item"]) == [1, 3]
    assert rec.recommend(1, seen=True, where="year is missing")["item"].to_list() == [2]


def test_without_a_table():
    with pytest.raises(ConfigError, match="needs a table of items"):
        matching(None, "year > 1")


NUMBERS = ("1", "-1", "1.5", "1990", "nan", "1e999", "9" * 20, "-" + "9" * 400, "9" * 5000, "0x10", "1_000", "٣")
COLUMNS = {
    "small": pl.Series([1, 2], dtype=pl.UInt8),
    "whole": pl.Series([1, 1990], dtype=pl.Int64),
    "float": pl.Series([1.5, None]),
    "flag": pl.Series([True, False]),
    "text": pl.Series(["1", "b"]),
    "day": pl.Series(["1990-01-01", "2021-01-01"]).str.to_date(),
    "moment": pl.Series(["1990-01-01", "2021-01-01"]).str.to_datetime(),
    "words": pl.Series([["1"], ["b"]]),
    "numbers": pl.Series([[1], [2]]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_any_value_for_any_column_is_answered_or_refused(name):
    """Numbers beyond 64 bits, lists of both kinds of numbers, dates beyond the calendar."""
    table = pl.DataFrame(COLUMNS)
    values = (
        *NUMBERS,
        "1990-12-31",
        "99999-01-01",
        "0000-00-00",
        "300000-01-01T00:00",
        "true",
        "'",
        "\x00",
        "\U0001f600",
    )
    tests = [f"{name} {sign} {value}" for sign in ("=", "!=", "<", ">=") for value in values]
    tests += [f"{name} contains {value}" for value in values]
    tests += [f"{name} in ({value}, {other})" for value in values for other in ("1", "2.5", "9" * 30)]
    answered = 0
    for test in tests:
        try:
            answered += len(matching(table, test)) == 2
        except ConfigError:
            continue
    assert answered > 3


def test_whole_and_decimal_numbers_in_one_list():
    table = pl.DataFrame({"year": [1990, 1991, 1992], "score": [1.0, 2.5, None]})
    assert matching(table, "year in (1990, 1991.0)").tolist() == [True, True, False]
    assert matching(table, "score in (1, 2.5)").tolist() == [True, True, False]
    assert matching(table, "year < " + "9" * 30).all()


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("price < 10", [0, 1]),
        ("price >= 10", [2]),
        ("price < 2.6", [0]),
        ("price > 'b'", [3]),  # in quotes: as text
        ("day >= 2019-06-01", [1, 2]),
        ("day >= 2020", [2]),
    ],
)
def test_order_on_a_column_of_text(where, rows):
    table = pl.DataFrame(
        {"price": ["2,50", " 9.99", "12", "cheap"], "day": ["2019-05-31", "2019-06-01", "2020-01-01", None]}
    )
    assert np.flatnonzero(matching(table, where)).tolist() == rows


@pytest.mark.parametrize("word", ["or", "and"])
def test_many_conditions_take_no_longer_than_their_rows(word):
    """Hundreds of them, which nested took minutes. A null says neither yes nor no, and counts as no in the end."""
    table = pl.DataFrame({"y": [1, 2, 1000, None]})
    many = f" {word} ".join(f"y {'=' if word == 'or' else '!='} {k}" for k in range(2, 700))
    assert matching(table, many).tolist() == (
        [False, True, False, False] if word == "or" else [True, False, True, False]
    )
    pairs = pl.DataFrame({"a": [1, 1, 1, 2, 2, 2, None, None, None], "b": [1, 2, None] * 3})
    one, two = pl.col("a") == 1, pl.col("b") == 1
    both = one | two if word == "or" else one & two
    for text, plain in ((f"a = 1 {word} b = 1", both), (f"not (a = 1 {word} b = 1)", ~both.fill_null(False))):
        assert matching(pairs, text).tolist() == pairs.select(plain.fill_null(False)).to_series().to_list()
