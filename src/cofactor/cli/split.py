"""``cofactor split``: a table cut into one to learn from and one to check with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from cofactor.cli.common import Json, Seed, check_table, print_json, read_ratings, say, write_table
from cofactor.cli.reading_flags import Encoding, Item, Rating, Ratings, Sep, Time, User, with_reading_flags
from cofactor.data import splits
from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError, did_you_mean

HOW = ("random", "by-user", "temporal", "leave-last")


@with_reading_flags
def command(
    ratings: str = Ratings,
    out_train: str = typer.Option("train.csv", "--out-train", help="Where to write the rows to learn from."),
    out_test: str = typer.Option("test.csv", "--out-test", help="Where to write the rows to check with."),
    how: str = typer.Option("random", "--how", help=f"One of {', '.join(HOW)}."),
    valid: float = typer.Option(0.2, "--valid", help="The share of rows (by-user: of users) to check with."),
    n: int = typer.Option(1, "-n", help="leave-last: how many of each user's latest ratings to check with."),
    cutoff: str | None = typer.Option(
        None, "--cutoff", help="temporal: hold out rows from this date or time on, instead of a share."
    ),
    given: float = typer.Option(0.5, "--given", help="by-user: the share of each held-out history to give."),
    out_given: str | None = typer.Option(None, "--out-given", help="by-user: where to write these histories."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace existing files."),
    user: str | None = User,
    item: str | None = Item,
    rating: str | None = Rating,
    time: str | None = Time,
    sep: str | None = Sep,
    encoding: str | None = Encoding,
    seed: int = Seed,
    as_json: bool = Json,
    **reading: Any,
) -> None:
    """Cut a table in two: rows to learn from and rows to check with (CSV, TSV or Parquet, by the files' names).

    Written are user, item, rating and time, under the table's own names; repeated rows are merged, as fit does.
    """
    if how not in HOW:
        raise ConfigError(f"--how {how!r} is none of {', '.join(HOW)}.{did_you_mean(how, HOW)}")
    if (how == "by-user") != (out_given is not None):
        raise ConfigError(
            "--how by-user holds out whole users: name a file for what may be known of them, --out-given FILE"
            if out_given is None
            else f"--out-given goes with --how by-user only, not with {how}"
        )
    files = [out_train, out_test, *([out_given] if out_given else [])]
    _check_files(files, ratings, overwrite)
    data = read_ratings(ratings, user, item, rating, time, sep=sep, encoding=encoding, quiet=as_json, **reading)
    data = _merged(data)
    if how == "random":
        cut = splits.random(data, valid=valid, seed=seed)
    elif how == "by-user":
        cut = splits.by_user(data, users=valid, given=given, seed=seed)
    elif how == "temporal":
        cut = splits.temporal(data, valid=valid, cutoff=cutoff)
    else:
        cut = splits.leave_last(data, n=n)
    parts = [part for part in (cut.train, cut.valid, cut.given) if part is not None]
    for part, file in zip(parts, files, strict=True):
        frame = part.to_frame()
        write_table(frame if data.columns.rating is not None else frame.drop("rating"), file)
    if as_json:
        sizes = {name: len(part) for name, part in zip(("train", "test", "given"), parts)}
        print_json({"how": cut.how, "rows": sizes, "files": dict(zip(("train", "test", "given"), files))})
        return
    say(cut.how)
    for part, file in zip(parts, files):
        say(f"wrote {len(part):,} ratings to {file}")


def _merged(data: Interactions) -> Interactions:
    """The last row by time of each user and item, as ``read`` keeps; a dataset with titles as ids may repeat some."""
    import polars as pl

    frame = pl.DataFrame({"user": data.users, "item": data.items}).with_row_index("row")
    if data.times is not None:
        frame = frame.with_columns(pl.Series("time", data.times)).sort("time", maintain_order=True)
    kept = frame.unique(["user", "item"], keep="last", maintain_order=True)["row"].sort()
    return data if len(kept) == len(data) else data.take(kept.to_numpy())


def _check_files(files: list[str], source: str, overwrite: bool) -> None:
    """Files that can be written, differ, are not the table itself, and are not there yet (or may be replaced)."""
    for file in files:
        check_table(file)
    places = [Path(file).resolve() for file in files]
    if len(set(places)) < len(places):
        raise ConfigError(f"the parts need files of their own, not {' and '.join(files)}")
    for file, place in zip(files, places):
        if place == Path(source).resolve():
            raise ConfigError(f"{file} is the table that is split; write the parts to other files")
        if place.exists() and not overwrite:
            raise ConfigError(f"{file} is there already; name another file, or replace it with --overwrite")
