"""``cofactor report``: write an offline HTML page about a saved model."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.cli.arguments import Json, check_page
from cofactor.cli.printing import print_json, say
from cofactor.cli.reading import read_test
from cofactor.cli.reading_flags import Encoding, Item, Rating, Sep, Time, User, with_reading_flags
from cofactor.errors import ConfigError
from cofactor.recommender import load
from cofactor.report.report import write_report


@with_reading_flags
def command(
    model: str = typer.Argument(help="A saved model."),
    test: str | None = typer.Option(None, "--test", help="Held-out ratings, to measure quality with intervals."),
    beside: str | None = typer.Option(None, "--beside", help="Another saved model, measured on the same rows."),
    reference: str | None = typer.Option(
        None, "--reference", help="Held-out ratings of another period, to compare with those of --test."
    ),
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
    if reference is not None and test is None:
        raise ConfigError("--reference is compared with --test: give current held-out ratings with --test too")
    rec = load(model)
    ways = {"sep": sep, "encoding": encoding, "quiet": as_json, **reading}
    now, before = (
        None if rows is None else read_test(rec, rows, user, item, rating, time, **ways) for rows in (test, reference)
    )
    write_report(rec, out, test=now, beside=None if beside is None else load(beside), reference=before)
    print_json({"report": out}) if as_json else say(f"wrote {out}")
