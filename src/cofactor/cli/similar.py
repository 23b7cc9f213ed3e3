"""``cofactor similar``: the items nearest to some, or the users nearest to some."""

from __future__ import annotations

import typer

from cofactor.cli.common import Json, emit
from cofactor.errors import ConfigError
from cofactor.recommender import load


def command(
    model: str = typer.Argument(help="A saved model."),
    items: list[str] | None = typer.Argument(None, metavar="[ITEM]...", help="Ids or titles of items."),  # noqa: B008
    user: list[str] | None = typer.Option(None, "--user", help="List users similar to this one; repeatable."),  # noqa: B008
    n: int = typer.Option(10, "-n", help="How many items or users."),
    shrink: float = typer.Option(
        20.0, "--shrink", help="For similarities of vectors: shared raters at which one counts half; 0: no shrinkage."
    ),
    as_json: bool = Json,
) -> None:
    """List the items most similar to one or several items, or with --user the most similar users."""
    if bool(items) == bool(user):
        raise ConfigError("name an item or several, or users with --user ID, and not both")
    rec = load(model)
    parse = rec.data.item_ids.parse if items else rec.data.user_ids.parse
    asked = [parse(one) for one in items or user or []]
    find = rec.similar_items if items else rec.similar_users
    emit(find(asked[0] if len(asked) == 1 else asked, n, shrink=shrink), as_json)
