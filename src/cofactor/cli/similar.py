"""``cofactor similar``: show the items or the users most similar to given ones."""

from __future__ import annotations

import typer

from cofactor.cli.arguments import Json
from cofactor.cli.printing import emit
from cofactor.errors import ConfigError
from cofactor.recommender import load


def command(
    model: str = typer.Argument(help="A saved model."),
    items: list[str] | None = typer.Argument(None, metavar="[ITEM]...", help="Ids or titles of items."),  # noqa: B008
    user: list[str] | None = typer.Option(  # noqa: B008
        None, "--user", help="A user: show similar users, not items; repeat the option."
    ),
    n: int = typer.Option(10, "-n", help="Number of items or users."),
    shrink: float = typer.Option(
        20.0, "--shrink", help="Number of shared raters at which a similarity of vectors is halved; 0: never."
    ),
    as_json: bool = Json,
) -> None:
    """Show the items most similar to given items or, with --user, the most similar users."""
    if bool(items) == bool(user):
        raise ConfigError("name one or several items, or users with --user ID, but not both")
    rec = load(model)
    parse = rec.data.item_ids.parse if items else rec.data.user_ids.parse
    asked = [parse(one) for one in items or user or []]
    find = rec.similar_items if items else rec.similar_users
    emit(find(asked[0] if len(asked) == 1 else asked, n, shrink=shrink), as_json)
