"""``cofactor split``: split a table into training rows and test rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer

from cofactor.cli.arguments import Json, Seed
from cofactor.cli.printing import print_json, say
from cofactor.cli.reading import read_ratings
from cofactor.cli.reading_flags import Encoding, Item, Rating, Ratings, Sep, Time, User, with_reading_flags
from cofactor.data import splits
from cofactor.data.columns.names import column_of
from cofactor.data.interactions import Interactions
from cofactor.data.kind import guess_kind, rows_of
from cofactor.errors import ConfigError, did_you_mean
from cofactor.recommend.batch.list_files import check_table, write_table

HOW = ("random", "by-user", "temporal", "leave-last")


@with_reading_flags
def command(
    ratings: str = Ratings,
    out_train: str = typer.Option("train.csv", "--out-train", help="Where to write the training rows."),
    out_test: str = typer.Option("test.csv", "--out-test", help="Where to write the test rows."),
    how: str = typer.Option("random", "--how", help=f"One of {', '.join(HOW)}."),
    valid: float = typer.Option(0.2, "--valid", help="The share of the rows (by-user: of the users) for testing."),
    n: int = typer.Option(1, "-n", help="leave-last: number of each user's latest ratings for testing."),
    cutoff: str | None = typer.Option(
        None, "--cutoff", help="temporal: test on the rows from this date or time on, in place of a share."
    ),
    given: float = typer.Option(0.5, "--given", help="by-user: the share of each test user's history to give."),
    out_given: str | None = typer.Option(None, "--out-given", help="by-user: where to write the given histories."),
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
    """Split a table into training rows and test rows. The file names choose the format: CSV, TSV or Parquet.

    The files hold user, item, rating and time under the table's own column names. Repeated rows are merged, as in fit;
    where there is no column of ratings, their number (or the sum of their weights) is in a column of its own.
    """
    if how not in HOW:
        raise ConfigError(f"--how is {how!r}; give one of {', '.join(HOW)}.{did_you_mean(how, HOW)}")
    if (how == "by-user") != (out_given is not None):
        raise ConfigError(
            "--how by-user holds out whole users; name a file for their given histories with --out-given FILE"
            if out_given is None
            else f"--out-given goes only with --how by-user, not with --how {how}"
        )
    files = [out_train, out_test, *([out_given] if out_given else [])]
    _check_files(files, ratings, overwrite)
    data = read_ratings(ratings, user, item, rating, time, sep=sep, encoding=encoding, quiet=as_json, **reading)
    data = data if reading.get("duplicates") == "all" else _merged(data)
    if how == "random":
        cut = splits.random(data, valid=valid, seed=seed)
    elif how == "by-user":
        cut = splits.by_user(data, users=valid, given=given, seed=seed)
    elif how == "temporal":
        cut = splits.temporal(data, valid=valid, cutoff=cutoff)
    else:
        cut = splits.leave_last(data, n=n)
    parts = [part for part in (cut.train, cut.valid, cut.given) if part is not None]
    value = data.columns.rating or _value_column(data)
    for part, file in zip(parts, files, strict=True):
        names = data.columns._replace(rating=value, time=data.columns.time if time else _time_column(data))
        frame = part.replace(columns=names).to_frame()
        write_table(frame if value is not None else frame.drop("rating"), file)
    if as_json:
        sizes = {name: len(part) for name, part in zip(("train", "test", "given"), parts)}
        print_json({"how": cut.how, "rows": sizes, "files": dict(zip(("train", "test", "given"), files))})
        return
    say(cut.how)
    for part, file in zip(parts, files):
        say(f"wrote {len(part):,} {rows_of(part.kind)} to {file}")
    guessed = None if value is None else guess_kind(data.values, value).kind
    if guessed is not None and (guessed == "ratings") != (data.kind == "ratings"):
        say(
            f"column {value!r} holds the values of {data.kind}: read these files with --rating {value}"
            f" --kind {data.kind}"
        )


def _time_column(data: Interactions) -> str | None:
    """Return the column name for the times: the table's own if it is one that is taken for times, else ``timestamp``
    (times from several columns, say)."""
    name = data.columns.time
    if name is None or data.times is None or "timestamp" in (data.columns.user, data.columns.item, data.columns.rating):
        return name
    return name if column_of(pl.DataFrame({name: data.times[:1000]}), [name], "time") else "timestamp"


def _value_column(data: Interactions) -> str | None:
    """Return the column name for values of a table that has none: sums of repeated rows, weights of behaviours; None if
    all values are 1."""
    if (data.values == 1).all():
        return None
    whole = bool((data.values > 0).all() and (data.values == np.floor(data.values)).all())
    taken = {name.lower() for name in (data.columns.user, data.columns.item, data.columns.time) if name}
    return next(name for name in (("count",) if whole else ()) + ("value", "value_of_row") if name not in taken)


def _merged(data: Interactions) -> Interactions:
    """Return the data with the last row by time of each user and item, as ``read`` keeps by default.

    A dataset whose ids are titles may repeat a user and item.
    """
    frame = pl.DataFrame({"user": data.users, "item": data.items}).with_row_index("row")
    if data.times is not None:
        frame = frame.with_columns(pl.Series("time", data.times)).sort("time", maintain_order=True)
    kept = frame.unique(["user", "item"], keep="last", maintain_order=True)["row"].sort()
    return data if len(kept) == len(data) else data.take(kept.to_numpy())


def _check_files(files: list[str], source: str, overwrite: bool) -> None:
    """Raise ConfigError unless the files are writable, distinct, not the table, and new (or ``overwrite`` is set)."""
    for file in files:
        check_table(file)
    places = [Path(file).resolve() for file in files]
    if len(set(places)) < len(places):
        raise ConfigError(f"each part needs its own file, not {' and '.join(files)}")
    for file, place in zip(files, places):
        if place == Path(source).resolve():
            raise ConfigError(f"{file} is the table to split; write the parts to other files")
        if place.exists() and not overwrite:
            raise ConfigError(f"{file} already exists; name another file, or replace it with --overwrite")
