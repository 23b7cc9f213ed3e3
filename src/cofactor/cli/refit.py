"""``cofactor refit``: train a saved model again, on more ratings."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.bundle import check_writable
from cofactor.cli.common import (
    Encoding,
    Item,
    Json,
    Rating,
    Sep,
    Time,
    User,
    metric_line,
    parse_flags,
    print_json,
    read_test,
    say,
)
from cofactor.cli.reading_flags import with_reading_flags
from cofactor.fitting.refit import with_newer
from cofactor.recommender import load


@with_reading_flags
def command(
    ctx: typer.Context,
    model: str = typer.Argument(help="A saved model."),
    ratings: str = typer.Argument(help="A table of newer ratings, with the columns of the training table."),
    out: str = typer.Option(..., "--out", "-o", help="Where to write the new model."),
    whole: bool = typer.Option(False, "--whole", help="The table is the whole one: forget the old training rows."),
    warm: bool | None = typer.Option(
        None, "--warm/--afresh", help="Begin with the old vectors, or not (by the model unless given)."
    ),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    seed: int | None = typer.Option(None, "--seed", help="Another seed than the old model's."),
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Train a saved model again on its rows and newer ones; parameters given as flags change: --epochs 30."""
    check_writable(out)
    rec = load(model)
    changes = parse_flags(ctx.args, type(rec.model.config))
    given = {"user": user, "item": item, "rating": rating, "time": time, "sep": sep, "encoding": encoding}
    data = read_test(rec, ratings, quiet=as_json, **given, **reading)
    data = data if whole else with_newer(rec.data, data)
    new = rec.refit(data, seed=seed, warm=warm, verbose=not as_json, **changes)
    new.save(out)
    if as_json:
        print_json({"model": new.name, "out": out, "rows": len(new.data), "metrics": new.metrics})
        return
    for name, value in new.metrics.items():
        say(metric_line(name, value))
    say(f"saved {new.name}, trained on {len(new.data):,} ratings, to {out}")
