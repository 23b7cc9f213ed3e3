"""``cofactor report``: one offline HTML page about a saved model."""

from __future__ import annotations

import typer

from cofactor.cli.common import Json, print_json, say


def command(
    model: str = typer.Argument(help="A saved model."),
    test: str | None = typer.Option(None, "--test", help="Held-out ratings, for quality with intervals."),
    out: str = typer.Option("report.html", "--out", "-o", help="Where to write the page."),
    as_json: bool = Json,
) -> None:
    """Write a self-contained HTML report: data, learning curves, biases, map, neighbours, recommendations."""
    from cofactor.bundle import load
    from cofactor.explain.report import write_report

    write_report(load(model), out, test=test)
    print_json({"report": out}) if as_json else say(f"wrote {out}")
