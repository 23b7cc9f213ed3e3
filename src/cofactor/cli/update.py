"""``cofactor update``: fold newer ratings in and recommend, without training."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.cli.arguments import Json
from cofactor.cli.printing import emit, print_json, say
from cofactor.cli.reading import new_rows
from cofactor.cli.reading_flags import Item, Rating, Sep, Time, User, with_reading_flags
from cofactor.recommend.batch.list_files import check_lists, write_table
from cofactor.recommender import load


@with_reading_flags
def command(
    model: str = typer.Argument(help="A saved model."),
    events: str = typer.Argument(help="A table of newer ratings, with the columns of the training table."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    unknown: str = typer.Option("error", "--unknown", help="Items that the model does not know: error, or skip."),
    n: int = typer.Option(10, "-n", help="Number of items in each list."),
    seen: bool = typer.Option(False, "--seen", help="Allow items that the user has already rated."),
    out: str | None = typer.Option(None, "--out", "-o", help="Write a Parquet file, or CSV if the name ends in .csv."),
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Fold newer ratings in and recommend again to their users. The model file does not change.

    To train on newer ratings and save the result, use cofactor refit.
    """
    if out is not None:
        check_lists(out)
    rec = load(model)
    rows = new_rows(rec, events, user=user, item=item, rating=rating, time=time, sep=sep, quiet=as_json, **reading)
    newer = rec.update(rows, unknown=unknown)  # type: ignore[arg-type]
    users = rows[rec.data.columns.user].unique(maintain_order=True).to_list()
    lists = newer.recommend_all(n, users=users, seen=seen, unknown="skip" if unknown == "skip" else "error")
    assert lists is not None  # without out it is a frame
    if out is None:
        emit(lists, as_json)
        return
    write_table(lists, out)
    if as_json:
        print_json({"out": out, "users": len(users), "events": len(rows), "n": n})
    else:
        say(f"wrote the best {n} items for {len(users):,} users to {out}, with {len(rows):,} newer ratings")
