"""Flags for the options of reading a table, declared once for all commands that read one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from cofactor.errors import ConfigError

READING = "Reading the table"
"""The panel of ``--help`` that shows these options."""


Ratings = typer.Argument(
    help="A table (CSV, Parquet, JSON, Excel, SQLite and more), a folder of such files, or the name of a dataset."
)


def _column(flag: str, help: str) -> Any:
    return typer.Option(None, flag, help=help, rich_help_panel=READING)


User = _column("--user", "The column of user ids (guessed unless given).")
Item = _column("--item", "The column of item ids (guessed unless given).")
Rating = _column("--rating", "The column of ratings (guessed unless given; without one each row counts as 1).")
Time = _column("--time", "The column of times (guessed unless given).")

Sep = _column("--sep", "The separator of the fields of a text file: ';', '|', tab ... (guessed unless given).")
Encoding = _column("--encoding", "The encoding of a text file: cp1252, utf-16 ... (unless given: UTF-8, else latin-1).")

FLAGS: dict[str, tuple[Any, Any]] = {
    "header": (
        bool | None,
        typer.Option(
            None, "--header/--no-header", help="Whether the first line holds column names (guessed unless given)."
        ),
    ),
    "no_rating": (bool, typer.Option(False, "--no-rating", help="Read no ratings: each row counts as 1.")),
    "no_time": (bool, typer.Option(False, "--no-time", help="Do not read times.")),
    "count": (
        str | None,
        typer.Option(None, "--count", help="The column of counts, amounts or durations, in place of ratings."),
    ),
    "behaviour": (
        str | None,
        typer.Option(None, "--behaviour", help="The column of behaviours, such as view or purchase."),
    ),
    "weights": (
        str | None,
        typer.Option(None, "--weights", help="The weight of each behaviour, such as view=1,purchase=5."),
    ),
    "weight": (
        str | None,
        typer.Option(None, "--weight", help="The column of row weights."),
    ),
    "kind": (
        str | None,
        typer.Option(None, "--kind", help="What the values are: ratings, counts or events (guessed unless given)."),
    ),
    "duplicates": (
        str | None,
        typer.Option(
            None,
            "--duplicates",
            help="What rows of the same user and item become: last, first, mean, sum, count, all or error.",
        ),
    ),
    "missing": (
        list[str] | None,
        typer.Option(
            None, "--missing", help="A value that means no rating, such as 99; NA: empty cells. Repeat the option."
        ),
    ),
    "missing_ids": (
        str,
        typer.Option(
            "error",
            "--missing-ids",
            help="What becomes of rows without a user or item: error, drop or keep (NA is an id).",
        ),
    ),
    "wide": (
        bool | None,
        typer.Option(None, "--wide/--long", help="Whether each item has its own column (guessed unless given)."),
    ),
    "dates": (
        str | None,
        typer.Option(
            None, "--dates", help="Order of day and month in dates: dmy or mdy; or a format such as %d/%m/%Y."
        ),
    ),
    "fold_ids": (bool, typer.Option(False, "--fold-ids", help="Ignore case and blanks in ids.")),
    "table": (
        str | None,
        typer.Option(None, "--table", help="A sheet, a file in an archive, a table of a database, or a SELECT."),
    ),
    "title": (
        str | None,
        typer.Option(None, "--title", help="The column of item titles (guessed unless given)."),
    ),
}
"""Map each keyword of :func:`cofactor.read` (or ``no_...``) to the type and the declaration of its flag."""
for _, _declared in FLAGS.values():
    _declared.rich_help_panel = READING


def with_reading_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with a flag for each option of reading in place of its ``**reading``."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(**given)

    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=declared, annotation=kind)
        for name, (kind, declared) in FLAGS.items()
        if name not in {p.name for p in own}
    ]
    run.__signature__ = inspect.Signature([*keyword, *flags])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*keyword, *flags]}
    return run


def reading_options(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the flags as :func:`cofactor.read` takes them, without flags that were not given."""
    found = {name: value for name, value in flags.items() if value not in (None, False, [])}
    for name in ("header", "wide"):
        if flags.get(name) is False:
            found[name] = False
    if found.get("missing_ids") == "error":
        del found["missing_ids"]
    for name in ("count", "behaviour", "weight"):
        if name in found and found[name].isdecimal():
            found[name] = int(found[name])
    if "missing" in found:
        found["missing"] = [_value(text) for text in found["missing"]]
    if "weights" in found:
        found["weights"] = dict(_weight(pair) for pair in found["weights"].split(","))
    for flag, name in (("no_rating", "rating"), ("no_time", "time")):
        if found.pop(flag, False):
            found[name] = False
    return found


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _weight(pair: str) -> tuple[str, float]:
    name, equals, number = pair.rpartition("=")
    try:
        return name.strip(), float(number if equals else "")
    except ValueError:
        raise ConfigError(
            f"--weights contains {pair!r}; give a number for each name, such as view=1,purchase=5"
        ) from None
