"""``cofactor evaluate``: measure a saved model on ratings that it has not seen."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.cli.arguments import Json, listed, whole_numbers
from cofactor.cli.printing import console, print_json, show
from cofactor.cli.reading import read_test
from cofactor.cli.reading_flags import Encoding, Item, Rating, Sep, Time, User, with_reading_flags
from cofactor.data.kind import rows_of
from cofactor.evaluation import evaluate, with_figures
from cofactor.recommender import load


@with_reading_flags
def command(
    model: str = typer.Argument(help="A saved model."),
    test: str = typer.Argument(help="A table of ratings that were not in training."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    metrics: str | None = typer.Option(None, "--metrics", help="Metrics, separated by commas: rmse,ndcg,recall@20."),
    n: str = typer.Option("10", "-n", "--n", help="Length of the lists; separate several by commas."),
    relevant: float | None = typer.Option(None, "--relevant", help="Ratings of at least this are relevant (hits)."),
    new_users: str = typer.Option(
        "skip", "--new-users", help="Users without training ratings: skip them, or recommend popular items."
    ),
    propensity: float = typer.Option(
        0.0,
        "--propensity",
        help="In ndcg and recall, weigh a relevant item with n ratings by n ** -PROPENSITY.",
    ),
    save: bool = typer.Option(
        False, "--save", help="Save the figures in the model; cofactor info and the explorer show them."
    ),
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Measure a saved model on a test table, with confidence intervals."""
    rec = load(model)
    data = read_test(rec, test, user, item, rating, time, sep=sep, encoding=encoding, quiet=as_json, **reading)
    wanted = None if metrics is None else listed(metrics)
    lengths = whole_numbers("--n", n)
    choices: dict[str, Any] = {"relevant": relevant, "new_users": new_users, "propensity": propensity}
    found = evaluate(rec, data, wanted, n=lengths, **choices)
    if save:
        with_figures(rec, found, test).save(model)
    if as_json:
        print_json(found.to_dicts())
        return
    show(
        found.drop("note"),
        f"{rec.name} on {len(data):,} {rows_of(data.kind)}; low to high is a 95 % confidence interval",
    )
    said = "; ".join(dict.fromkeys(part for note in found["note"] for part in note.split("; ") if part))
    if said:  # a column would squeeze the sentences
        console().print(said, markup=False)
