"""``cofactor diff``: show what changed between two saved models."""

from __future__ import annotations

import typer

from cofactor.api.diff import diff
from cofactor.cli.arguments import Json
from cofactor.cli.printing import console, print_json


def command(
    a: str = typer.Argument(help="A saved model."),
    b: str = typer.Argument(help="Another saved model, such as a newer refit of the first."),
    as_json: bool = Json,
) -> None:
    """Compare two saved models: metrics, overlap of top lists, items that moved."""
    result = diff(a, b)
    if as_json:
        print_json(result.to_dict())
    else:
        console().print(str(result), markup=False)
