"""``cofactor info``: what a saved model is."""

from __future__ import annotations

import typer

from cofactor.cli.common import Json, cell, console, metric_line, print_json, show_tried


def command(
    model: str = typer.Argument(help="A saved model."),
    verify: bool = typer.Option(False, "--verify", help="Check every byte against the digests in the manifest."),
    as_json: bool = Json,
) -> None:
    """Show a saved model's manifest: model, parameters, data, metrics, versions."""
    import polars as pl
    from rich.table import Table

    from cofactor.bundle import info

    facts = info(model, verify=verify)
    if as_json:
        print_json(facts)
        return
    tried = facts.pop("tried")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if name == "metrics":
            lines = [metric_line(k, v) for k, v in value.items() if v is not None]
            table.add_row(name, "\n".join(lines) or "-")
            continue
        shown = ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else cell(value)
        table.add_row(name, shown)
    console().print(table)
    if tried:
        from cofactor.recommend.tried import SCHEMA

        console().print("\nWhat auto tried", style="italic")
        show_tried(pl.DataFrame(tried, schema=SCHEMA))
