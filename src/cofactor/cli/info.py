"""``cofactor info``: what a saved model is."""

from __future__ import annotations

import typer

from cofactor.cli.common import Json, cell, console, print_json


def command(
    model: str = typer.Argument(help="A saved model."),
    verify: bool = typer.Option(False, "--verify", help="Check every byte against the digests in the manifest."),
    as_json: bool = Json,
) -> None:
    """Show a saved model's manifest: model, parameters, data, metrics, versions."""
    from rich.table import Table

    from cofactor.bundle import info

    facts = info(model, verify=verify)
    if as_json:
        print_json(facts)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in facts.items():
        shown = ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else cell(value)
        table.add_row(name, shown)
    console().print(table)
