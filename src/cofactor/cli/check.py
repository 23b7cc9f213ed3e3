"""``cofactor check``: the data doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cofactor.cli.common import (
    Encoding,
    Item,
    Json,
    Rating,
    Sep,
    Time,
    User,
    column,
    console,
    print_json,
    say,
    separator,
    show,
)
from cofactor.data.catalog import DATASETS
from cofactor.data.datasets import load_dataset
from cofactor.data.doctor_checks import percent
from cofactor.fitting.estimate import check

if TYPE_CHECKING:
    import polars as pl


def command(
    ratings: str = typer.Argument(help="A table of ratings, or the name of a dataset."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    as_json: bool = Json,
) -> None:
    """Look a table over before training: duplicates, odd ids, outliers, bots, gaps, and what fitting would cost."""
    from pathlib import Path

    if ratings in DATASETS and not Path(ratings).exists():
        report = check(load_dataset(ratings))
    else:
        roles = {"user": column(user), "item": column(item), "rating": column(rating), "time": column(time)}
        report = check(ratings, **roles, sep=separator(sep), encoding=encoding)
    if as_json:
        print_json(report.to_dict())
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


HEADINGS = {
    "k-core": "What would be left if everybody had to have k ratings (the k-core)",
    "Forecast": "What fitting would cost, roughly",
}
SHARES = {"density", "share of the top 1 % of items"}


def _summary(summary: dict[str, Any]) -> None:
    """Figures by name, without a heading that says so."""
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
    """Shares in percent, with what they are shares of in the heading."""
    import polars as pl

    if "share" in frame.columns:
        shares = pl.Series("of all ratings", [percent(share) for share in frame["share"]], dtype=pl.String)
        frame = frame.drop("share").with_columns(shares)
    return frame


def _findings(frame: pl.DataFrame) -> None:
    """One paragraph a finding: a table would squeeze the sentences."""
    from rich.text import Text

    out = console()
    out.print(Text("\nFindings" if len(frame) else "\nNothing odd was found", style="italic"))
    colours = {"error": "bold red", "warning": "yellow", "note": "dim"}
    for row in frame.iter_rows(named=True):
        line = Text(f"{row['severity']}: ", style=colours[row["severity"]])
        examples = f" ({', '.join(row['examples'][:3])})" if row["examples"] else ""
        out.print(line.append(f"{row['what']}{examples}. {row['todo'][:1].upper()}{row['todo'][1:]}.", style="default"))
