"""``cofactor check``: the data doctor."""

from __future__ import annotations

import typer

from cofactor.cli.common import Item, Json, Rating, Time, User, console, print_json


def command(
    ratings: str = typer.Argument(help="A table of ratings, or the name of a dataset."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    as_json: bool = Json,
) -> None:
    """Look a table over before training: duplicates, odd ids, outliers, bots, gaps, and what fitting would cost."""
    from cofactor.data.doctor import check

    result = check(ratings, user=user, item=item, rating=rating, time=time)
    if as_json:
        print_json(result.to_dict())
    else:
        console().print(str(result), markup=False)
