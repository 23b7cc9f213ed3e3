"""Read the tables that commands are given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cofactor.cli.arguments import column, separator
from cofactor.cli.printing import say
from cofactor.cli.reading_flags import reading_options
from cofactor.data.catalog import DATASETS
from cofactor.data.datasets import load_dataset
from cofactor.data.interactions import Interactions
from cofactor.data.read import read
from cofactor.data.read_alike import read_alike
from cofactor.recommender import Recommender

if TYPE_CHECKING:
    import polars as pl


def read_ratings(
    source: str,
    user: str | None,
    item: str | None,
    rating: str | Literal[False] | None,
    time: str | Literal[False] | None,
    *,
    sep: str | None = None,
    encoding: str | None = None,
    items: str | None = None,
    users: str | None = None,
    quiet: bool = False,
    **reading: Any,
) -> Interactions:
    """Return ratings read from a file (with side tables ``items``, ``users``) or a dataset of that name.

    Notes go to stderr. ``reading`` are the flags of :mod:`cofactor.cli.reading_flags`.
    """
    if source in DATASETS and not Path(source).exists():
        data = load_dataset(source)
    else:
        roles = dict(zip(("user", "item", "rating", "time"), map(column, (user, item, rating, time))))
        options = roles | reading_options(reading)
        if "count" in options:
            options["rating"] = None
        data = read(source, sep=separator(sep), encoding=encoding, items=items, users=users, **options)
    if not quiet:
        for note in data.notes:
            say(f"note: {note}")
    return data


def read_test(
    rec: Recommender,
    source: str,
    user: str | None = None,
    item: str | None = None,
    rating: str | Literal[False] | None = None,
    time: str | Literal[False] | None = None,
    **ways: Any,
) -> Interactions:
    """Return held-out ratings from a file, read like the training table except where options say otherwise.

    ``behaviours=False`` ignores the column of behaviours.
    """
    if source in DATASETS and not Path(source).exists():
        return read_ratings(source, user, item, rating, time, **ways)
    quiet, sep, encoding = (ways.pop(name, None) for name in ("quiet", "sep", "encoding"))
    happened = ways.pop("behaviours", True)
    roles = zip(("user", "item", "rating", "time"), map(column, (user, item, rating, time)))
    options = {name: given for name, given in roles if given is not None} | reading_options(ways)
    if not happened:
        options.setdefault("behaviour", False)
    data = read_alike(source, rec.data, guess=True, sep=separator(sep), encoding=encoding, **options)
    if not quiet:
        for note in data.notes:
            say(f"note: {note}")
    return data


def new_rows(rec: Recommender, path: str, **given: Any) -> pl.DataFrame:
    """Return newer ratings, read from a file like the training table, as the frame that ``update`` takes."""
    mine = rec.data.columns
    found = read_test(rec, path, **given)
    theirs = found.columns
    names = {theirs.user: mine.user, theirs.item: mine.item, theirs.rating or "rating": mine.rating or "rating"}
    if found.times is not None:
        names[theirs.time or "time"] = mine.time or "time"
    return found.to_frame().rename(names)
