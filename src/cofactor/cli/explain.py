"""``cofactor explain``: explain a prediction."""

from __future__ import annotations

import typer

from cofactor.cli.arguments import Json
from cofactor.cli.printing import console, print_json
from cofactor.recommender import load


def command(
    model: str = typer.Argument(help="A saved model."),
    user: str = typer.Option(..., "--user", help="A user of the training data."),
    item: str = typer.Option(..., "--item", help="An item's id, or its title."),
    as_json: bool = Json,
) -> None:
    """Explain a prediction: the terms that sum to it, and what each of the user's ratings adds."""
    rec = load(model)
    account = rec.explain(rec.data.user_ids.parse(user), rec.data.item_ids.parse(item))
    if as_json:
        print_json(account.to_dict())
    else:
        console().print(str(account), markup=False)
