"""Predicates over side tables in a small, safe language, such as ``genres contains Drama and year >= 1990``.

    predicate  = either { "or" either }
    either     = one { "and" one }
    one        = "not" one | "(" predicate ")" | column test
    test       = ["not"] "contains" value | comparison value | ["not"] "in" "(" value { "," value } ")"
               | "is" ["not"] "missing"
    comparison = "=" | "==" | "!=" | "<" | "<=" | ">" | ">="

A value is a number, a text in quotes, or plain words up to the next ``and``, ``or``, comma or parenthesis. A column
whose name is not one plain word is written in `backticks`. ``contains`` searches for a part of a text or a member of a
list. In a column of text, ``<`` and ``>`` compare numbers where both the cell and the value are numbers. Nothing is
executed: the text becomes a polars expression.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.errors import ConfigError, did_you_mean

LONGEST = 10_000
DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"[^"]*"|'[^']*')|`(?P<column>[^`]*)`|(?P<sign><=|>=|!=|==|=|<|>)|(?P<mark>[(),])"""
    r"""|(?P<word>[^\s()<>=!,"'`]+))"""
)
_COMPARE = {"=": "eq", "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_END = ("", "")


def matching(table: pl.DataFrame | None, where: str | pl.Expr, kind: str = "item") -> NDArray[np.bool_]:
    """Return a mask, bool (rows,), of the rows of a side table that meet a predicate; null counts as False. ConfigError
    where the predicate cannot be evaluated."""
    if table is None:
        raise ConfigError(f"where= needs a table of {kind}s; give one with read(..., {kind}s=...)")
    expression: Any = where
    try:
        expression = parse(where, table.schema) if isinstance(where, str) else where
        if not isinstance(expression, pl.Expr):
            raise ConfigError(f"where is {where!r}; give a text such as 'year >= 1990', or a polars expression")
        found = table.select(expression.alias("found"))["found"]
    except pl.exceptions.ColumnNotFoundError:
        missing = [c for c in expression.meta.root_names() if c not in table.columns]
        raise ConfigError(_no_column(missing[0] if missing else str(where), table.columns)) from None
    except (pl.exceptions.PolarsError, OverflowError, TypeError) as exc:
        raise ConfigError(f"where={str(where)!r} cannot be evaluated: {str(exc).splitlines()[0]}") from None
    if found.dtype != pl.Boolean or len(found) != len(table):
        raise ConfigError(
            f"where={str(where)!r} does not give true or false for each {kind}; compare a column with a value"
        )
    return found.fill_null(False).to_numpy()


def parse(text: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Return the polars expression for a text; ConfigError, with the names of the columns, where it is wrong."""
    if len(text) > LONGEST:
        raise ConfigError(f"where= is {len(text):,} characters long; at most {LONGEST:,} are allowed")
    return _Parser(text, schema).whole()


class _Parser:
    """A recursive descent parser over (kind, text) tokens."""

    def __init__(self, text: str, schema: Mapping[str, pl.DataType]) -> None:
        self.text, self.schema, self.at, self.depth = text, schema, 0, 0
        self.tokens: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                raise self.wrong(f"{text[place:].strip()[:20]!r} cannot be read")
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind][1:-1] if kind == "string" else found[kind]))
            place = found.end()

    def wrong(self, what: str) -> ConfigError:
        """Return an error with the columns and an example."""
        columns = ", ".join(self.schema)
        return ConfigError(
            f"where={self.text[:100]!r}: {what}; the columns are: {columns}. Write it like 'year >= 1990'"
        )

    def next(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def is_word(self, *words: str) -> bool:
        kind, text = self.next()
        return kind == "word" and text.lower() in words

    def takes(self, *words: str) -> bool:
        """Consume the next token if it is one of these words or marks; return whether it was."""
        kind, text = self.next()
        found = text.lower() in words and kind in ("word", "mark")
        self.at += found
        return found

    def needs(self, mark: str, after: str) -> None:
        if not self.takes(mark):
            raise self.wrong(f"{mark!r} is missing after {after}")

    def whole(self) -> pl.Expr:
        found = self.predicate()
        if self.next() != _END:
            raise self.wrong(f"{self.next()[1]!r} is not expected here; join conditions with 'and' or 'or'")
        return found

    def predicate(self) -> pl.Expr:
        found = [self.either()]
        while self.takes("or"):
            found.append(self.either())
        return found[0] if len(found) == 1 else pl.any_horizontal(found)  # nested, many take polars minutes

    def either(self) -> pl.Expr:
        found = [self.one()]
        while self.takes("and"):
            found.append(self.one())
        return found[0] if len(found) == 1 else pl.all_horizontal(found)

    def one(self) -> pl.Expr:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"it is nested more than {DEEPEST} deep")
        if self.takes("not"):
            found = ~self.one().fill_null(False)
        elif self.takes("("):
            found = self.predicate()
            self.needs(")", "the condition in parentheses")
        else:
            found = self.test()
        self.depth -= 1
        return found

    def test(self) -> pl.Expr:
        kind, name = self.next()
        if kind not in ("word", "column", "string"):
            raise self.wrong("a column name is missing" if not name else f"{name!r} is where a column name is expected")
        if name not in self.schema:
            raise ConfigError(_no_column(name, list(self.schema)))
        self.at += 1
        column, dtype = pl.col(name), self.schema[name]
        if self.takes("is"):
            negative = self.takes("not")
            self.needs("missing", f"'{name} is'")
            return column.is_not_null() if negative else column.is_null()
        negative = self.takes("not")
        if self.takes("contains"):
            found = self.contains(name, column, dtype)
        elif self.takes("in"):
            self.needs("(", f"'{name} in'")
            values = [self.value(name, dtype)]
            while self.takes(","):
                values.append(self.value(name, dtype))
            self.needs(")", "the values")
            if any(isinstance(value, float) for value in values):  # polars takes no list of both kinds of numbers
                found = pl.any_horizontal(column == value for value in values)
            else:
                found = column.is_in(values)
        elif self.next()[0] == "sign" and not negative:
            sign = self.next()[1]
            self.at += 1
            plain = self.next()[0] == "word"
            value = self.value(name, dtype)
            if plain and sign[0] in "<>" and dtype in (pl.String, pl.Categorical, pl.Enum):
                return _ordered(column.cast(pl.String), _COMPARE[sign], value)
            found = getattr(column, _COMPARE[sign])(value)
            return found  # type: ignore[no-any-return]
        else:
            raise self.wrong(f"{name!r} must be followed by contains, in, is missing, or one of = != < <= > >=")
        return ~found if negative else found

    def contains(self, name: str, column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
        if isinstance(dtype, (pl.List, pl.Array)):
            value = self.value(name, dtype.inner)  # type: ignore[arg-type]
            return column.list.contains(value) if isinstance(dtype, pl.List) else column.arr.contains(value)
        if dtype not in (pl.String, pl.Categorical, pl.Enum):
            raise self.wrong(f"contains needs a column of text or lists, and {name!r} is not one; compare with = or >=")
        return column.cast(pl.String).str.contains(str(self.value(name, pl.String())), literal=True)

    def value(self, name: str, dtype: pl.DataType) -> Any:
        kind, text = self.next()
        if kind == "string":
            self.at += 1
        elif kind == "word" and not self.is_word("and", "or"):
            words = []
            while self.next()[0] == "word" and not self.is_word("and", "or"):
                words.append(self.next()[1])
                self.at += 1
            text = " ".join(words)
        else:
            raise self.wrong(f"a value for {name!r} is missing")
        if dtype.is_numeric():
            try:
                whole = int(text) if text.lstrip("+-").isdecimal() else None
                return whole if whole is not None and abs(whole) < 2**63 else float(text)
            except (ValueError, OverflowError):
                raise self.wrong(f"{name!r} holds numbers, and {text!r} is not a number") from None
        if dtype == pl.Boolean:
            if text.lower() not in ("true", "false"):
                raise self.wrong(f"{name!r} is true or false, not {text!r}")
            return text.lower() == "true"
        if dtype.is_temporal():
            try:
                return pl.Series([text]).str.to_datetime(strict=True).cast(dtype)[0]
            except pl.exceptions.PolarsError:
                raise self.wrong(f"{name!r} holds dates, and {text!r} is not a date; write 1990-12-31") from None
        return text


def _ordered(column: pl.Expr, sign: str, text: str) -> pl.Expr:
    """Return the comparison of a text column with a value.

    Where the value is a number, cells are compared as numbers (``2,50`` is 2.5) or as dates (the value is a year);
    other cells do not match.
    """
    as_text: pl.Expr = getattr(column, sign)(text)
    try:
        number = float(text)
    except ValueError:
        return as_text
    numbers = column.str.strip_chars().str.replace(r"^([+-]?\d+),(\d+)$", "${1}.${2}").cast(pl.Float64, strict=False)
    return pl.when(column.str.contains(r"^\d{4}-")).then(as_text).otherwise(getattr(numbers, sign)(number))


def _no_column(name: str, columns: list[str]) -> str:
    return f"there is no column {name!r}; the columns are: {', '.join(columns)}.{did_you_mean(name, columns)}"
