"""``cofactor report``: one offline HTML page about a saved model."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.cli.common import Encoding, Item, Json, Rating, Sep, Time, User, check_page, print_json, read_test, say
from cofactor.cli.reading_flags import with_reading_flags
from cofactor.recommender import load
from cofactor.report.report import write_report


@with_reading_flags
def command(
    model: str = typer.Argument(help="A saved model."),
    test: str | None = typer.Option(None, "--test", help="Held-out ratings, for quality with intervals."),
    beside: str | None = typer.Option(None, "--beside", help="Another saved model, judged on the same rows."),
    out: str = typer.Option("report.html", "--out", "-o", help="Where to write the page."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Write a self-contained HTML report: a verdict, data, learning curves, a map, recommendations with reasons."""
    check_page(out)
    rec, held_out = load(model), None
    if test is not None:
        held_out = read_test(rec, test, user, item, rating, time, sep=sep, encoding=encoding, quiet=as_json, **reading)
    write_report(rec, out, test=held_out, beside=None if beside is None else load(beside))
    print_json({"report": out}) if as_json else say(f"wrote {out}")
