"""``cofactor compare``: measure several models on the same held-out ratings, with a verdict in words."""

from __future__ import annotations

from typing import Any

import typer

from cofactor._validate import check_int
from cofactor.api.fit import fit
from cofactor.bundle import check_writable
from cofactor.cli.arguments import Json, Seed, listed, whole_numbers
from cofactor.cli.printing import console, print_json, say, show
from cofactor.cli.reading import read_ratings
from cofactor.cli.reading_flags import Encoding, Item, Rating, Ratings, Sep, Time, User, with_reading_flags
from cofactor.data import splits
from cofactor.data.interactions import Interactions
from cofactor.data.splits.by_name import split_by
from cofactor.errors import ConfigError
from cofactor.evaluation import with_figures
from cofactor.recommender import Recommender
from cofactor.selection import Comparison, compare

SHOWN = ["model", "metric", "mean", "low", "high", "worse_by", "p", "fit_seconds"]
"""The columns shown in a terminal of 80 characters; JSON has all of them."""


@with_reading_flags
def command(
    ratings: str = Ratings,
    models: str | None = typer.Option(
        None,
        "--models",
        help='Models, separated by commas; "ease:reg=100" sets a parameter. Default: a usual choice.',
    ),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    how: str = typer.Option(
        "auto",
        "--how",
        help="How to hold out rows: random, temporal, last (of each user), or auto (temporal if possible).",
    ),
    valid: float = typer.Option(0.2, "--valid", help="The share of the rows to hold out."),
    cutoff: str | None = typer.Option(
        None, "--cutoff", help="Hold out the rows from this date or time on, in place of a share."
    ),
    items: str | None = typer.Option(None, "--items", help="A table about the items, saved with the model of --out."),
    folds: int = typer.Option(
        1, "--folds", help="Number of folds: random folds, or windows of time with --how temporal."
    ),
    metrics: str | None = typer.Option(None, "--metrics", help="Metrics, separated by commas: rmse,ndcg,recall@20."),
    n: str = typer.Option("10", "-n", "--n", help="Length of the lists; separate several by commas."),
    relevant: float | None = typer.Option(None, "--relevant", help="Ratings of at least this are relevant (hits)."),
    new_users: str = typer.Option(
        "skip", "--new-users", help="Users without training ratings: skip them, or recommend popular items."
    ),
    tune: float | None = typer.Option(None, "--tune", help="Seconds to tune each model, on its training rows only."),
    out: str | None = typer.Option(
        None,
        "--out",
        "-o",
        help="Train the best model (by the first metric) on all rows and save it here.",
    ),
    seed: int = Seed,
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Compare models on the same held-out rows, with confidence intervals and tests of the differences."""
    check_int("--folds", folds)
    if out is not None:
        check_writable(out)
    if cutoff is not None and (how not in ("auto", "temporal") or folds > 1):
        raise ConfigError("--cutoff makes one split by time: use it with --how temporal, and without --folds")
    ways = {"sep": sep, "encoding": encoding, "items": items, **reading}
    data = read_ratings(ratings, user, item, rating, time, quiet=as_json, **ways)
    if cutoff is not None:
        split = [splits.temporal(data, cutoff=cutoff)]
    elif folds == 1:
        split = [split_by(data, how, valid, seed)]
    elif how == "temporal":
        split = splits.rolling(data, folds, min(valid, 0.8 / folds))
    elif how in ("auto", "random"):
        split = splits.kfold(data, folds, seed)
    else:
        raise ConfigError(f"--folds goes with --how random or temporal, not with --how {how}")
    result = compare(
        split=split,
        models=None if models is None else listed(models),
        metrics=None if metrics is None else listed(metrics),
        n=whole_numbers("--n", n),
        relevant=relevant,
        new_users=new_users,  # type: ignore[arg-type]
        tune=tune,
        seed=seed,
    )
    if out is not None:
        _best(result, data, ratings, seed).save(out)
    if as_json:
        print_json(result.to_dict() | ({} if out is None else {"out": out}))
        return
    show(
        result.frame.select(SHOWN),
        f"Split: {result.how[0]}; 95 % confidence intervals; worse_by and p: against the best model of that metric",
    )
    console().print(result.verdict, markup=False)
    if out is not None:
        say(f"trained {result.best} on all {len(data):,} rows and saved it to {out}, with its figures")


def _best(result: Comparison, data: Interactions, ratings: str, seed: int) -> Recommender:
    """Return the best model, trained on all rows, with the figures of the comparison and a note of their origin."""
    if result.best not in result.settings:
        raise ConfigError(f"{result.best} was tuned to different parameters on each fold; use --out with --folds 1")
    name, config = result.settings[result.best]
    where = " and ".join(result.how) if len(result.how) < 3 else f"{len(result.how)} parts, such as {result.how[0]},"
    return with_figures(
        fit(data, name, seed=seed, **config),
        result.figures(),
        f"{where} of {ratings}, trained on the other rows; this model then learned from all of them",
    )
