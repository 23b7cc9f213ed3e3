"""``cofactor reproduce``: run published protocols and show the published figures beside ours."""

from __future__ import annotations

import typer

from cofactor.cli.arguments import Json
from cofactor.cli.printing import emit
from cofactor.selection import protocols, reproduce


def command(
    name: str | None = typer.Argument(None, help="A protocol; without one, list all of them."),
    as_json: bool = Json,
) -> None:
    """Run a published protocol and show the published figures beside ours."""
    emit(protocols() if name is None else reproduce(name), as_json)
