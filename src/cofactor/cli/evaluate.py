"""``cofactor evaluate``: how good a saved model is on ratings that it has not seen."""

from __future__ import annotations

import typer

from cofactor.cli.common import Item, Json, Rating, Time, User, emit, read_ratings


def command(
    model: str = typer.Argument(help="A saved model."),
    test: str = typer.Argument(help="A table of ratings that were not in training."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    n: int = typer.Option(10, "-n", help="Length of the lists for ranking metrics."),
    relevant: float | None = typer.Option(None, "--relevant", help="A rating from here on is a hit."),
    as_json: bool = Json,
) -> None:
    """Measure a saved model on a test table, with confidence intervals."""
    from cofactor.bundle import load
    from cofactor.evaluate import evaluate

    rec = load(model)
    mine = rec.data.columns  # a test table is like the training table unless it is said otherwise
    data = read_ratings(
        test, user or mine.user, item or mine.item, rating or mine.rating, time or mine.time, quiet=as_json
    )
    emit(evaluate(rec, data, n=(n,), relevant=relevant), as_json)
