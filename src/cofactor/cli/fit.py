"""``cofactor fit``: train a model on a table and write it to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from cofactor._paths import check_file
from cofactor.api.fit import AUTO, fit
from cofactor.bundle import check_writable
from cofactor.cli.common import (
    Json,
    Seed,
    budget_of,
    metric_line,
    parse_flags,
    print_json,
    read_ratings,
    say,
    show_trials,
)
from cofactor.cli.reading_flags import Encoding, Item, Rating, Ratings, Sep, Time, User, with_reading_flags
from cofactor.data import splits
from cofactor.data.interactions import Split
from cofactor.errors import ConfigError, DataError
from cofactor.evaluation import evaluate, with_figures
from cofactor.models import model_class
from cofactor.models.base.config import make_config


@with_reading_flags
def command(
    ctx: typer.Context,
    ratings: str = Ratings,
    model: str = typer.Option("auto", "--model", "-m", help="A model's name (cofactor models), auto or auto-ranking."),
    out: str = typer.Option("model.cofactor", "--out", "-o", help="Where to write the trained model."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    items: str | None = typer.Option(None, "--items", help="A table of the items (titles, genres), with their ids."),
    users: str | None = typer.Option(None, "--users", help="A table of the users, with their ids."),
    item_features: str | None = typer.Option(
        None, help="Columns of --items that the model learns from, separated by commas."
    ),
    user_features: str | None = typer.Option(
        None, help="Columns of --users that the model learns from, separated by commas."
    ),
    valid: float = typer.Option(
        0.0,
        "--valid",
        help="Hold out this share of rows (the last by time, where there are times) and report figures on them.",
    ),
    checkpoint: str | None = typer.Option(
        None, help="Write this file after every epoch; continue from it with --resume."
    ),
    resume: bool = typer.Option(False, "--resume", help="Continue from the checkpoint."),
    budget: str | None = typer.Option(
        None, "--budget", help='What auto may spend: seconds of counted work (60), or "8 trials".'
    ),
    seed: int = Seed,
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Train a model on a table of ratings and save it. The model's parameters are options too: --n-factors 50."""
    config = parse_flags(ctx.args, model_class(model).Config) if model not in AUTO else {}
    if model in AUTO and ctx.args:
        raise ConfigError(
            f"{ctx.args[0]}: {model} chooses a model's parameters itself; name one with --model to set them"
        )
    if model not in AUTO:
        make_config(model_class(model).Config, config)  # before the table is read
    check_writable(out)
    if checkpoint is not None:
        place = check_file(checkpoint, "the checkpoint", makes_folders=True)
        if place.exists() and Path(ratings).exists() and place.samefile(ratings):
            raise ConfigError(f"{checkpoint} is the table of ratings; write the checkpoint to another file")
    ways = {"sep": sep, "encoding": encoding, "items": items, "users": users}
    data = read_ratings(ratings, user, item, rating, time, quiet=as_json, **ways, **reading)
    if not as_json:
        say(f"{len(data):,} ratings by {data.n_users:,} users of {data.n_items:,} items")
    part = splits.split_by(data, "auto", valid, seed) if valid else data
    measured: list[Any] = []
    rec = fit(
        part,
        model,
        seed=seed,
        checkpoint=checkpoint,
        resume=resume,
        **budget_of(budget),
        user_features=_names(user_features),
        item_features=_names(item_features),
        verbose=not as_json,
        **config,
    )
    if isinstance(part, Split):
        try:
            found = evaluate(rec, part)
            rec = with_figures(rec, found, f"{part.how} of {ratings}")
            measured = found.select("metric", "value", "low", "high").rows()
        except DataError as exc:  # rows that no list can be measured on, say
            say(f"not measured: {exc}")
    rec.save(out)
    if as_json:
        tried = [] if rec.trials is None else rec.trials.to_dicts()
        facts = {"model": rec.name, "out": out, "metrics": rec.metrics, "history": rec.history, "trials": tried}
        print_json(facts)
        return
    if rec.trials is not None:
        show_trials(rec.trials)
    for name, value in rec.metrics.items():
        say(metric_line(name, value))
    if isinstance(part, Split):
        for metric, value, low, high in measured:
            bounds = "" if low is None else f" ({low:.4f} to {high:.4f})"
            say(f"{metric}: {value:.4f}{bounds} on the rows held out")
        say(f"trained on {len(part.train):,} of {len(data):,} rows: fit without --valid to learn from all of them")
    say(f"saved {rec.name} to {out}")


def _names(listed: str | None) -> list[str] | None:
    """Column names from a list with commas."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
