"""``cofactor check``: the data doctor."""

from __future__ import annotations

import typer

from cofactor.cli.common import Encoding, Item, Json, Rating, Sep, Time, User, console, print_json, say, show


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

    from cofactor.cli.common import column, separator
    from cofactor.data.datasets import DATASETS, load_dataset
    from cofactor.data.doctor import check

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
        else:
            show(frame, f"\n{title}")


def _findings(frame: object) -> None:
    """One paragraph a finding: a table would squeeze the sentences."""
    import polars as pl
    from rich.text import Text

    assert isinstance(frame, pl.DataFrame)
    out = console()
    out.print(Text("\nFindings" if len(frame) else "\nNothing odd was found", style="italic"))
    colours = {"error": "bold red", "warning": "yellow", "note": "dim"}
    for row in frame.iter_rows(named=True):
        line = Text(f"{row['severity']}: ", style=colours[row["severity"]])
        examples = f" ({', '.join(row['examples'][:3])})" if row["examples"] else ""
        out.print(line.append(f"{row['what']}{examples}. {row['todo'][:1].upper()}{row['todo'][1:]}.", style="default"))
