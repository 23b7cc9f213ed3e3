"""Shared options, and arguments as text turned into values: ids, histories, features, parameters."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import typer

from cofactor._paths import check_file
from cofactor.errors import ConfigError, DataError, did_you_mean
from cofactor.models.base.config import parse_value
from cofactor.recommend.ids import Items

if TYPE_CHECKING:
    import polars as pl


Json = typer.Option(False, "--json", help="Print JSON instead of tables.")
Seed = typer.Option(42, "--seed", help="Random seed. The same seed gives the same result, bit for bit.")


def check_page(out: str) -> None:
    """Raise ConfigError where the report cannot be written to ``out``, or would replace a file that is not HTML."""
    place = check_file(out, "the report")
    if place.is_file() and place.stat().st_size:
        with place.open("rb") as file:
            page = file.read(200).lstrip().lower().startswith((b"<!doctype html", b"<html"))
        if not page:
            raise ConfigError(f"{out} already exists and is not an HTML page; choose another file")


def read_lines(path: str) -> list[str]:
    """Return the non-blank lines of a text file; DataError where there are none."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.strip() for line in file]
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror or exc}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; give a text file with one id per line") from None
    found = [line for line in lines if line]
    if not found:
        raise DataError(f"{path} holds no ids; give a text file with one id per line")
    return found


def listed(text: str) -> list[str]:
    """Return the names of a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def whole_numbers(option: str, text: str) -> list[int]:
    """Return the whole numbers of a comma-separated list; ConfigError where one is not a whole number."""
    try:
        return [int(part) for part in listed(text)]
    except ValueError:
        raise ConfigError(f"{option} is {text!r}; give whole numbers separated by commas, such as 5,10") from None


def budget_of(text: str | None) -> dict[str, Any]:
    """Return the budget keywords of ``fit`` for text such as "90" (seconds) or "8 trials"."""
    if text is None:
        return {}
    amount, _, unit = text.strip().partition(" ")
    try:
        if unit.strip() in ("trial", "trials"):
            return {"budget": int(amount)}
        if not unit:
            return {"budget_seconds": float(amount.removesuffix("s"))}
    except ValueError:
        pass
    raise ConfigError(f"--budget is {text!r}; give seconds, such as 90, or a number of models, such as '8 trials'")


def separator(text: str | None) -> str | None:
    r"""Return the separator; ``tab`` and ``\t`` as typed on the command line become a tab."""
    return "\t" if text in ("tab", "\\t") else text


def column(name: str | Literal[False] | None) -> str | int | None:
    """Return a column's name, or its position where the text is a number (files without a header); False: no column."""
    return int(name) if isinstance(name, str) and name.isdecimal() else name


def parse_history(pairs: list[str], items: Items) -> dict[Any, float | None]:
    """Parse ``["Star Wars (1977)=5", "Fargo (1996)"]`` into {item: rating, or None where none is given}."""
    history: dict[Any, float | None] = {}
    for pair in pairs:
        item, sign, value = pair.rpartition("=")
        named: Any = items.ids.parse(pair)
        rating: float | None = None
        if sign and items.find(named) < 0:  # a title may contain "="
            named = items.ids.parse(item)
            try:
                rating = float(value)
            except ValueError:
                raise DataError(f"--liked {pair!r}: {value!r} is not a number; write it as {item + '=5'!r}") from None
        if named in history:
            raise DataError(f"--liked names {named!r} twice; name each item once")
        history[named] = rating
    return history


def parse_features(pairs: list[str], table: pl.DataFrame | None) -> dict[str, Any]:
    """Parse ``["age=31", "genres=A|B"]`` into {column: value, in the type of that column of the user table}."""
    features: dict[str, Any] = {}
    for pair in pairs:
        column, sign, text = pair.partition("=")
        if not sign:
            raise DataError(f"--feature {pair!r} has no value; write it as {pair + '=VALUE'!r}")
        if column in features:
            raise DataError(f"--feature names {column!r} twice; write several values of a column as 'A|B'")
        features[column] = _typed(text, None if table is None else table.schema.get(column))
    return features


def _typed(text: str, dtype: pl.DataType | None) -> Any:
    """Return the text as a number or a bool where the column holds those, else unchanged. In a column of dates a number
    is a year."""
    import polars as pl

    if dtype == pl.Boolean:
        return {"true": True, "false": False}.get(text.lower(), text)
    if dtype is None or not (dtype.is_numeric() or dtype.is_temporal()):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_flags(args: list[str], cls: type[Any]) -> dict[str, Any]:
    """Parse ``["--n-factors", "50"]`` into {"n_factors": 50}, by the types of the config's defaults."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    rest = list(args)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--"):
            raise ConfigError(f"unexpected argument {flag!r}; see cofactor fit --help")
        flag, sign, text = flag[2:].partition("=")
        name = flag.replace("-", "_")
        if name not in fields:
            flags = ", ".join(f"--{n.replace('_', '-')}" for n in fields)
            raise ConfigError(f"there is no option --{flag}; this model takes {flags}.{did_you_mean(name, fields)}")
        if not sign:
            if not rest:
                raise ConfigError(f"--{flag} needs a value")
            text = rest.pop(0)
        values[name] = parse_value(fields[name], text, f"--{flag}")
    return values
