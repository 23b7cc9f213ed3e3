"""``cofactor fit``: train a model on a table and save it as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from cofactor._paths import check_file
from cofactor.api.fit import AUTO, fit
from cofactor.bundle import check_writable
from cofactor.cli.arguments import Json, Seed, budget_of, parse_flags
from cofactor.cli.printing import figure_line, metric_line, print_json, say
from cofactor.cli.reading import read_ratings
from cofactor.cli.reading_flags import Encoding, Item, Rating, Ratings, Sep, Time, User, with_reading_flags
from cofactor.cli.trials import show_trials
from cofactor.data.interactions import Split
from cofactor.data.kind import rows_of
from cofactor.data.splits.by_name import split_by
from cofactor.errors import ConfigError, DataError
from cofactor.evaluation import evaluate, with_figures
from cofactor.models import model_class
from cofactor.models.base.config import make_config


@with_reading_flags
def command(
    ctx: typer.Context,
    ratings: str = Ratings,
    model: str = typer.Option(
        "auto", "--model", "-m", help="A model (list them with: cofactor models), auto or auto-ranking."
    ),
    out: str = typer.Option("model.cofactor", "--out", "-o", help="Where to write the trained model."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    items: str | None = typer.Option(None, "--items", help="A table about the items (ids, titles, genres)."),
    users: str | None = typer.Option(None, "--users", help="A table about the users (ids, ages)."),
    item_features: str | None = typer.Option(None, help="Columns of --items to learn from, separated by commas."),
    user_features: str | None = typer.Option(None, help="Columns of --users to learn from, separated by commas."),
    valid: float = typer.Option(
        0.0,
        "--valid",
        help="Hold out this share of the rows (the latest if there are times) and measure the model on them.",
    ),
    checkpoint: str | None = typer.Option(None, help="Write this file after every epoch; --resume continues from it."),
    resume: bool = typer.Option(False, "--resume", help="Continue from the checkpoint."),
    budget: str | None = typer.Option(
        None, "--budget", help='Limit of auto: seconds of estimated work, such as 60, or "8 trials".'
    ),
    held_out: str | None = typer.Option(
        None, "--held-out", help="Rows by which auto-ranking chooses: random, last (of each user) or future."
    ),
    seed: int = Seed,
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Train a model on a table of ratings and save it. Its parameters are options too, such as --n-factors 50."""
    config = parse_flags(ctx.args, model_class(model).Config) if model not in AUTO else {}
    if model in AUTO and ctx.args:
        raise ConfigError(
            f"{ctx.args[0]}: {model} chooses the model and its parameters; to set parameters, name a model with --model"
        )
    if held_out is not None:
        config["held_out"] = held_out
    if model not in AUTO:
        make_config(model_class(model).Config, config)  # fail before the table is read
    check_writable(out)
    if checkpoint is not None:
        place = check_file(checkpoint, "the checkpoint", makes_folders=True)
        if place.exists() and Path(ratings).exists() and place.samefile(ratings):
            raise ConfigError(f"--checkpoint {checkpoint} is the table of ratings; choose another file")
    ways = {"sep": sep, "encoding": encoding, "items": items, "users": users}
    data = read_ratings(ratings, user, item, rating, time, quiet=as_json, **ways, **reading)
    if not as_json:
        say(f"{len(data):,} {rows_of(data.kind)} by {data.n_users:,} users of {data.n_items:,} items")
    part = split_by(data, "auto", valid, seed) if valid else data
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
        except DataError as exc:  # for example, no list can be measured on these rows
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
        for figure in measured:
            say(figure_line(*figure))
        say(f"trained on {len(part.train):,} of {len(data):,} rows; fit without --valid to train on all of them")
    say(f"saved {rec.name} to {out}")


def _names(listed: str | None) -> list[str] | None:
    """Return the column names of a comma-separated list."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
