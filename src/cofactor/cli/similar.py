"""``cofactor similar``: the items nearest to one."""

from __future__ import annotations

import typer

from cofactor.cli.common import Json, emit
from cofactor.recommender import load


def command(
    model: str = typer.Argument(help="A saved model."),
    item: str = typer.Argument(help="An item's id, or its title."),
    n: int = typer.Option(10, "-n", help="How many items."),
    shrink: float = typer.Option(
        20.0, "--shrink", help="Of vectors: shared raters at which half of the likeness counts; 0: all of it."
    ),
    as_json: bool = Json,
) -> None:
    """Show which items are most like one."""
    rec = load(model)
    emit(rec.similar_items(rec.data.item_ids.parse(item), n, shrink=shrink), as_json)
