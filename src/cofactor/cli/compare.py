"""``cofactor compare``: several models on the same held-out ratings, with a verdict in words."""

from __future__ import annotations

import typer

from cofactor._validate import check_int
from cofactor.cli.common import (
    Encoding,
    Item,
    Json,
    Rating,
    Seed,
    Sep,
    Time,
    User,
    console,
    print_json,
    read_ratings,
    show,
)
from cofactor.data import splits
from cofactor.selection import compare

SHOWN = ["model", "metric", "mean", "low", "high", "worse_by", "p", "fit_seconds"]
"""The columns that fit a terminal of 80; JSON has them all."""


def command(
    ratings: str = typer.Argument(help="A table of ratings, or the name of a dataset."),
    models: str = typer.Option("popular,bias,item-knn,als,dot-bias,bayes-mf", "--models", help="Names with commas."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    valid: float = typer.Option(0.2, "--valid", help="The share of rows held out."),
    folds: int = typer.Option(1, "--folds", help="Cross-validate over this many folds instead."),
    seed: int = Seed,
    as_json: bool = Json,
) -> None:
    """Compare models honestly: same rows, confidence intervals, and what can and cannot be told apart."""
    check_int("--folds", folds)
    data = read_ratings(ratings, user, item, rating, time, sep=sep, encoding=encoding, quiet=as_json)
    names = [m.strip() for m in models.split(",") if m.strip()]
    split = splits.kfold(data, folds, seed) if folds > 1 else splits.random(data, valid=valid, seed=seed)
    result = compare(data, models=names, split=split, seed=seed)
    if as_json:
        print_json(result.to_dict())
        return
    show(
        result.frame.select(SHOWN),
        "95 % confidence intervals; worse_by and p: against the best of that metric",
    )
    console().print(result.verdict, markup=False)
