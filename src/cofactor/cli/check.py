"""``cofactor check``: the data doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cofactor.cli.arguments import Json, column, separator
from cofactor.cli.printing import console, print_json, say, show
from cofactor.cli.reading_flags import (
    Encoding,
    Item,
    Rating,
    Ratings,
    Sep,
    Time,
    User,
    reading_options,
    with_reading_flags,
)
from cofactor.data.catalog import DATASETS
from cofactor.data.datasets import load_dataset
from cofactor.data.doctor.doctor import Report
from cofactor.data.doctor.findings import percent
from cofactor.errors import DataError
from cofactor.fitting.check import check

if TYPE_CHECKING:
    import polars as pl


@with_reading_flags
def command(
    ratings: str = Ratings,
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    items: str | None = typer.Option(None, "--items", help="A table about the items: titles of several ids are noted."),
    users: str | None = typer.Option(None, "--users", help="A table about the users."),
    strict: bool = typer.Option(False, "--strict", help="Exit with code 2 if a finding is an error."),
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Check a table before training: duplicates, odd ids, outliers, bots, gaps, and the cost of training."""
    from pathlib import Path

    if ratings in DATASETS and not Path(ratings).exists():
        report = check(load_dataset(ratings))
    else:
        roles = {"user": column(user), "item": column(item), "rating": column(rating), "time": column(time)}
        options = roles | reading_options(reading)
        if "count" in options:
            options["rating"] = None
        report = check(ratings, sep=separator(sep), encoding=encoding, items=items, users=users, **options)
    if as_json:
        print_json(report.to_dict())
        if strict and report.worst == "error":
            raise typer.Exit(2)
        return
    for note in report.notes:
        say(f"note: {note}")
    for title, frame in report.sections().items():
        if title == "Findings":
            _findings(frame)
        elif title == "Summary":
            _summary(report.summary)
        else:
            show(_for_people(frame), f"\n{HEADINGS[title]}")
    _end(report, strict)


def _end(report: Report, strict: bool) -> None:
    """Raise DataError (exit code 2) where ``strict`` is set and the report has errors."""
    errors = [finding for finding in report.findings if finding.severity == "error"]
    if strict and errors:
        raise DataError(f"{len(errors)} errors in {report.name}, such as: {errors[0].what}")


HEADINGS = {
    "k-core": "What is left if each user and each item must have at least k rows (the k-core)",
    "Forecast": "Estimated cost of training",
}
SHARES = {"density", "share of the top 1 % of items"}


def _summary(summary: dict[str, Any]) -> None:
    """Print the summary figures, a name and a value a line."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in summary.items():
        if name in SHARES:
            shown = percent(value)
        elif isinstance(value, (int, float)):
            shown = f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
        else:
            shown = str(value).replace("T", " ")
        table.add_row(name, shown)
    console().print(table)


def _for_people(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with its column ``share`` in percent, under a heading that names the whole."""
    import polars as pl

    if "share" in frame.columns:
        shares = pl.Series("of all rows", [percent(share) for share in frame["share"]], dtype=pl.String)
        frame = frame.drop("share").with_columns(shares)
    return frame


def _findings(frame: pl.DataFrame) -> None:
    """Print a paragraph for each finding; table columns are too narrow for sentences."""
    from rich.text import Text

    out = console()
    out.print(Text("\nFindings" if len(frame) else "\nNothing odd was found", style="italic"))
    colours = {"error": "bold red", "warning": "yellow", "note": "dim"}
    for row in frame.iter_rows(named=True):
        line = Text(f"{row['severity']}: ", style=colours[row["severity"]])
        examples = f" ({', '.join(row['examples'][:3])})" if row["examples"] else ""
        out.print(line.append(f"{row['what']}{examples}. {row['todo'][:1].upper()}{row['todo'][1:]}.", style="default"))
