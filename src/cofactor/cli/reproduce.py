"""``cofactor reproduce``: published protocols, with the published figures beside ours."""

from __future__ import annotations

import typer

from cofactor.cli.common import Json, emit


def command(
    name: str | None = typer.Argument(None, help="A protocol; leave it out to list them."),
    as_json: bool = Json,
) -> None:
    """Run a published protocol and show the published figures beside ours."""
    from cofactor.evaluate import protocols, reproduce

    emit(protocols() if name is None else reproduce(name), as_json)
