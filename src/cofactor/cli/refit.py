"""``cofactor refit``: train a saved model again on more ratings."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.bundle import check_writable
from cofactor.cli.arguments import Json, parse_flags
from cofactor.cli.printing import metric_line, print_json, say
from cofactor.cli.reading import read_test
from cofactor.cli.reading_flags import Encoding, Item, Rating, Sep, Time, User, with_reading_flags
from cofactor.data.kind import rows_of
from cofactor.evaluation import evaluate, with_figures
from cofactor.evaluation.paired import paired_difference
from cofactor.fitting.refit import with_newer
from cofactor.recommender import load


@with_reading_flags
def command(
    ctx: typer.Context,
    model: str = typer.Argument(help="A saved model."),
    ratings: str = typer.Argument(help="A table of newer ratings, with the columns of the training table."),
    out: str = typer.Option(..., "--out", "-o", help="Where to write the new model."),
    whole: bool = typer.Option(False, "--whole", help="The table holds all ratings: drop the old training rows."),
    warm: bool | None = typer.Option(
        None, "--warm/--afresh", help="Start from the old vectors or from new ones (the model's default unless given)."
    ),
    test: str | None = typer.Option(
        None, "--test", help="Held-out ratings: measure both models on them; the new model keeps its figures."
    ),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    seed: int | None = typer.Option(None, "--seed", help="A random seed (the old model's unless given)."),
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Train a saved model again on its rows and newer rows. Options such as --epochs 30 change its parameters."""
    check_writable(out)
    rec = load(model)
    changes = parse_flags(ctx.args, type(rec.model.config))
    given = {"user": user, "item": item, "rating": rating, "time": time, "sep": sep, "encoding": encoding}
    data = read_test(rec, ratings, quiet=as_json, **given, **reading)
    data = data if whole else with_newer(rec.data, data)
    new = rec.refit(data, seed=seed, warm=warm, verbose=not as_json, **changes)
    compared: list[dict[str, Any]] = []
    if test is not None:
        held_out = read_test(rec, test, quiet=True, **given, **reading)
        found = evaluate(new, held_out)
        new = with_figures(new, found, test)
        first = found["metric"][0]
        before = paired_difference(new, rec, held_out, first)
        compared = [{"metric": first, **before._asdict()}]
    new.save(out)
    if as_json:
        figures = [] if new.figures is None else new.figures.to_dicts()
        facts = {"model": new.name, "out": out, "rows": len(new.data), "metrics": new.metrics}
        print_json(facts | {"figures": figures, "against_the_old": compared})
        return
    for line in compared:
        say(
            f"{line['metric']} on {test}: {line['first']:.4f}, the old model {line['second']:.4f}; the difference is"
            f" {line['difference']:+.4f} ({line['low']:+.4f} to {line['high']:+.4f}, on the same users)"
        )
    for name, value in new.metrics.items():
        say(metric_line(name, value))
    say(f"saved {new.name}, trained on {len(new.data):,} {rows_of(new.data.kind)}, to {out}")
