"""``cofactor predict``: predict the ratings that users would give to items."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.cli.arguments import Json
from cofactor.cli.printing import emit, print_json, say
from cofactor.cli.reading import read_test
from cofactor.cli.reading_flags import Encoding, with_reading_flags
from cofactor.errors import ConfigError
from cofactor.recommend.batch.list_files import check_table, write_table
from cofactor.recommender import load


@with_reading_flags
def command(
    model: str = typer.Argument(help="A saved model."),
    user: str | None = typer.Option(None, "--user", help="A user of the training data."),
    item: list[str] | None = typer.Option(  # noqa: B008
        None, "--item", help="An item's id or title; repeat the option."
    ),
    pairs: str | None = typer.Option(None, "--pairs", help="A table of users and items, with the training columns."),
    interval: float | None = typer.Option(
        None, "--interval", help="Add bounds that hold this share of the true ratings: 0.9."
    ),
    unknown: str = typer.Option("error", "--unknown", help="Ids unknown to the model: error, skip, or popular."),
    sep: str | None = typer.Option(
        None, "--sep", help="The separator of the fields in --pairs (guessed unless given)."
    ),
    encoding: str | None = Encoding,
    out: str | None = typer.Option(None, "--out", "-o", help="Write a Parquet file, or CSV if the name ends in .csv."),
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Predict the rating (a score, with a ranker) of --user for --item, or those of a table of --pairs."""
    if (pairs is None) == (user is None and not item):
        raise ConfigError("give --user ID and --item ID (repeatable), or a table with --pairs FILE")
    if pairs is None and (user is None or not item):
        raise ConfigError("--user ID needs --item ID, and --item ID needs --user ID; give both")
    if out is not None:
        check_table(out)
    rec = load(model)
    asked: Any
    if pairs is None:
        asked = [(rec.data.user_ids.parse(str(user)), rec.data.item_ids.parse(one)) for one in item or []]
    else:
        ways = reading | {"duplicates": "all", "kind": "events", "sep": sep, "encoding": encoding, "quiet": as_json}
        rows = read_test(rec, pairs, rating=False, time=False, behaviours=False, **ways)  # one prediction per row
        mine, theirs = rec.data.columns, rows.columns
        frame = rows.to_frame()
        asked = frame.select(frame[theirs.user].alias(mine.user), frame[theirs.item].alias(mine.item))
    found = rec.predict(asked, interval=interval is not None, level=interval or 0.9, unknown=unknown)  # type: ignore[arg-type]
    if out is None:
        emit(found, as_json)
        return
    write_table(found, out)
    if as_json:
        print_json({"out": out, "predictions": len(found)})
    else:
        say(f"wrote {len(found):,} predictions to {out}")
