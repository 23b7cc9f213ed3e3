"""``cofactor tune``: search for better parameters of a model, within the training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cofactor.api.fit import fit
from cofactor.bundle import check_writable
from cofactor.cli.arguments import Json, parse_flags
from cofactor.cli.printing import metric_line, print_json, say, show
from cofactor.cli.reading import read_ratings
from cofactor.cli.reading_flags import Encoding, Item, Rating, Ratings, Sep, Time, User, with_reading_flags
from cofactor.models import model_class
from cofactor.models.specs import spec_text
from cofactor.selection import tune

if TYPE_CHECKING:
    import polars as pl


@with_reading_flags
def command(
    ctx: typer.Context,
    ratings: str = Ratings,
    model: str = typer.Option(..., "--model", "-m", help="A model's name (cofactor models)."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    metric: str | None = typer.Option(
        None, "--metric", help="The metric to improve (default: rmse; ndcg@10 for rankers)."
    ),
    how: str = typer.Option("auto", "--how", help="How to hold out rows: random, temporal, last, or auto."),
    folds: int = typer.Option(1, "--folds", help="Number of held-out parts to measure each trial on, up to 5."),
    trials: int | None = typer.Option(None, "--trials", help="Stop after this many trials."),
    budget: float | None = typer.Option(
        None, "--budget", help="Stop after this many seconds (default: 60 without --trials)."
    ),
    relevant: float | None = typer.Option(None, "--relevant", help="Ratings of at least this are relevant (hits)."),
    storage: str | None = typer.Option(None, "--storage", help="Keep the trials in this file and continue from it."),
    out: str | None = typer.Option(None, "--out", "-o", help="Train the best model on all rows and save it here."),
    seed: int = typer.Option(0, "--seed", help="Random seed. The same seed and --trials give the same result."),
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Search for better parameters of a model on held-out rows. Those given as options (--n-factors 50) stay fixed."""
    fixed = parse_flags(ctx.args, model_class(model).Config)
    if out is not None:
        check_writable(out)
    data = read_ratings(ratings, user, item, rating, time, sep=sep, encoding=encoding, quiet=as_json, **reading)
    found = tune(
        data,
        model,
        metric,
        budget_seconds=budget,
        trials=trials,
        seed=seed,
        folds=folds,
        fixed=fixed,
        relevant=relevant,
        how=how,
        storage=storage,
        quiet=as_json or None,
    )
    rec = None if out is None else fit(data, found.model, **found.best)
    if rec is not None:
        rec.save(str(out))
    if as_json:
        facts = {"model": found.model, "metric": found.metric, "value": found.value, "best": found.best}
        print_json(facts | {"held_out": found.how, "trials": found.frame.to_dicts(), "out": out})
        return
    show(_settings_in_one(found.frame), f"Measured on {found.how}")
    say(metric_line(f"inner_{found.metric}", found.value))
    say(f"best: {spec_text(found.model, found.best)}")
    if out is not None:
        say(f"saved {found.model} to {out}")


def _settings_in_one(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the trials with their settings in one column, so that a table of many settings fits a terminal."""
    import polars as pl

    first = ["trial", "state", "value", "seconds"]
    names = [name for name in trials.columns if name not in first]

    def said(row: dict[str, Any]) -> str:
        return ", ".join(
            f"{name}={row[name]:.4g}" if isinstance(row[name], float) else f"{name}={row[name]}"
            for name in names
            if row[name] not in (None, "None")
        )

    settings = pl.Series("settings", [said(row) for row in trials.iter_rows(named=True)], dtype=pl.String)
    return trials.select(first).with_columns(settings)
