"""Helpers of the commands: output as tables or JSON, shared options, parsing of ids and inputs."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from cofactor._json import to_jsonable
from cofactor._paths import check_file
from cofactor.cli.reading_flags import reading_options
from cofactor.data.catalog import DATASETS
from cofactor.data.datasets import load_dataset
from cofactor.data.interactions import Interactions
from cofactor.data.read import read
from cofactor.data.read_alike import read_alike
from cofactor.errors import ConfigError, DataError, did_you_mean
from cofactor.models.base.config import parse_value
from cofactor.recommend.batch.list_files import check_lists as check_lists
from cofactor.recommend.batch.list_files import check_table as check_table
from cofactor.recommend.batch.list_files import write_table as write_table
from cofactor.recommend.ids import Items
from cofactor.recommender import Recommender
from cofactor.selection.choose import trial_notes

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

Json = typer.Option(False, "--json", help="Print JSON instead of tables.")
Seed = typer.Option(42, "--seed", help="Random seed. The same seed gives the same result, bit for bit.")


def console() -> Console:
    """Return a rich console for standard output; it uses colours only on a terminal."""
    from rich.console import Console

    return Console(soft_wrap=False, highlight=False)


def say(text: str) -> None:
    """Print a remark on stderr, so that stdout holds only results. On a terminal its lines are broken at blanks."""
    if sys.stderr is not None and sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.split("\n")
        )
    print(text, file=sys.stderr, flush=True)


def show(frame: pl.DataFrame, title: str | None = None) -> None:
    """Print a frame as a table: numbers right-aligned, short names unbroken. Where it does not fit the line, columns
    stand one blank apart instead of two."""
    from rich.cells import cell_len
    from rich.table import Table

    table, needed, natural = Table(header_style="bold", box=None, pad_edge=False), 0, 0
    cells = [[cell(v, name, _digits(frame, name)) for v in frame[name]] for name in frame.columns]
    for (name, dtype), column in zip(frame.schema.items(), cells):
        whole = dtype.is_numeric() or all(len(text) <= 20 and " " not in text for text in column)
        longest = max(map(cell_len, (name, *column)))
        least = longest if whole else min(longest, 20)
        table.add_column(
            name, justify="right" if dtype.is_numeric() else "left", overflow="fold", no_wrap=whole, min_width=least
        )
        needed += least + 2
        natural += longest + 2
    for row in zip(*cells):
        table.add_row(*row)
    if title:
        console().print(title, style="italic", markup=False)
    out = console()
    table.collapse_padding = natural - 2 > out.width
    out.width = max(out.width, needed)  # a long line is better than truncated figures
    out.print(table)


COUNTS = {"ratings", "users", "items", "rows", "n_rows", "n_users", "shared_raters"}
SCORES = {"score", "prediction", "bias", "contribution", "score_before", "score_after"}


def _digits(frame: pl.DataFrame, name: str) -> int:
    """Return the number of decimals: two for scores and predictions on the rating scale, four elsewhere."""
    if name in ("memory_mb", "similarity"):
        return 1 if name == "memory_mb" else 3
    if name not in SCORES and not ("prediction" in frame.columns and name in ("low", "high")):
        return 4
    largest = frame[name].abs().max() if frame[name].dtype.is_float() else None
    return 2 if isinstance(largest, float) and largest >= 1 else 4


def cell(value: Any, column: str = "", digits: int = 4) -> str:
    """Return a value as text with rich's markup escaped. A number other than zero is never shown as zero."""
    from rich.markup import escape

    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        if column in ("p", "p_holm"):
            return "< 0.001" if value < 0.001 else f"{value:.3f}"
        if "seconds" in column:
            return "< 0.01" if value < 0.01 else f"{value:.2f}"
        return f"{value:.1e}" if 0 < abs(value) < 0.5 * 10**-digits else f"{value:z.{digits}f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if column in COUNTS else str(value)
    return escape(str(value))


EXPECTED = {"known", "from the history"}
"""Values of ``status`` for rows that need no remark."""


def emit(value: Any, as_json: bool, title: str | None = None) -> None:
    """Print a frame as a table, or as JSON: a list with an object for each row. The table leaves the column ``status``
    out where no row needs a remark."""
    if as_json:
        print_json(value.to_dicts())
        return
    if "status" in value.columns and EXPECTED.issuperset(value["status"]):
        value = value.drop("status")
    show(value, title)


def check_page(out: str) -> None:
    """Raise ConfigError where the report cannot be written to ``out``, or would replace a file that is not HTML."""
    place = check_file(out, "the report")
    if place.is_file() and place.stat().st_size:
        with place.open("rb") as file:
            page = file.read(200).lstrip().lower().startswith((b"<!doctype html", b"<html"))
        if not page:
            raise ConfigError(f"{out} already exists and is not an HTML page; choose another file")


WORDS = {
    "inner_rmse": "error on held-out training rows, used to select the model, so slightly optimistic",
    "inner_ndcg@10": "lists on held-out training rows, used to select the model, so slightly optimistic",
    "valid_rmse": "error on the validation rows, on the scale of the ratings",
    "random_tenth_rmse": "error on a random tenth of the rows, held out; not of the future",
    "valid_mse": "squared error on held-out rows",
    "embedding_shift": "how far the item vectors moved, 0 to 2",
    "warm_start": "1: began with the earlier vectors",
}
"""Descriptions of a model's metrics."""


def metric_line(name: str, value: float) -> str:
    """Return a metric and its value as text, with its description where it has one."""
    return f"{name}: {value:.4f}" + (f" ({WORDS[name]})" if name in WORDS else "")


def figure_line(name: str, value: float | None, low: float | None, high: float | None) -> str:
    """Return a figure on held-out rows as text, with its interval. A figure of None could not be computed: a diversity
    where every list has one item."""
    if value is None:
        return f"{name}: - (not computable from the held-out rows)"
    bounds = "" if low is None else f" ({low:.4f} to {high:.4f})"
    return f"{name}: {value:.4f}{bounds} on the held-out rows"


def show_trials(tried: pl.DataFrame) -> None:
    """Print the trials of ``auto``: which model it chose, and which ones did not fit the budget."""
    import polars as pl

    metric = str(tried["metric"][0])
    notes = trial_notes(tried)
    tried = tried.filter(~pl.col("status").str.ends_with("with more effort"))
    label = pl.when(pl.col("config") == "").then("model").otherwise(pl.format("{} ({})", "model", "config"))
    remark = (
        pl.when(pl.col("status").str.starts_with("weight "))
        .then("status")
        .when("chosen")
        .then(pl.lit("chosen"))
        .when(pl.col("status") == "tried")
        .then(pl.lit(""))
        .otherwise("status")
    )
    show(tried.select(label.alias("model"), pl.col("value").alias(f"inner {metric}"), "seconds", remark.alias("")))
    for note in notes:
        console().print(note, markup=False)


def print_json(value: Any) -> None:
    """Print strict JSON: NaN and infinite numbers become null."""
    print(json.dumps(to_jsonable(value), ensure_ascii=False, allow_nan=False))


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


def read_lines(path: str) -> list[str]:
    """Return the non-blank lines of a text file; DataError where there are none."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.strip() for line in file]
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror or exc}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; give a text file with one id per line") from None
    found = [line for line in lines if line]
    if not found:
        raise DataError(f"{path} holds no ids; give a text file with one id per line")
    return found


def listed(text: str) -> list[str]:
    """Return the names of a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def whole_numbers(option: str, text: str) -> list[int]:
    """Return the whole numbers of a comma-separated list; ConfigError where one is not a whole number."""
    try:
        return [int(part) for part in listed(text)]
    except ValueError:
        raise ConfigError(f"{option} is {text!r}; give whole numbers separated by commas, such as 5,10") from None


def budget_of(text: str | None) -> dict[str, Any]:
    """Return the budget keywords of ``fit`` for text such as "90" (seconds) or "8 trials"."""
    if text is None:
        return {}
    amount, _, unit = text.strip().partition(" ")
    try:
        if unit.strip() in ("trial", "trials"):
            return {"budget": int(amount)}
        if not unit:
            return {"budget_seconds": float(amount.removesuffix("s"))}
    except ValueError:
        pass
    raise ConfigError(f"--budget is {text!r}; give seconds, such as 90, or a number of models, such as '8 trials'")


def new_rows(rec: Recommender, path: str, **given: Any) -> pl.DataFrame:
    """Return newer ratings, read from a file like the training table, as the frame that ``update`` takes."""
    mine = rec.data.columns
    found = read_test(rec, path, **given)
    theirs = found.columns
    names = {theirs.user: mine.user, theirs.item: mine.item, theirs.rating or "rating": mine.rating or "rating"}
    if found.times is not None:
        names[theirs.time or "time"] = mine.time or "time"
    return found.to_frame().rename(names)


def separator(text: str | None) -> str | None:
    r"""Return the separator; ``tab`` and ``\t`` as typed on the command line become a tab."""
    return "\t" if text in ("tab", "\\t") else text


def column(name: str | Literal[False] | None) -> str | int | None:
    """Return a column's name, or its position where the text is a number (files without a header); False: no column."""
    return int(name) if isinstance(name, str) and name.isdecimal() else name


def parse_history(pairs: list[str], items: Items) -> dict[Any, float | None]:
    """Parse ``["Star Wars (1977)=5", "Fargo (1996)"]`` into {item: rating, or None where none is given}."""
    history: dict[Any, float | None] = {}
    for pair in pairs:
        item, sign, value = pair.rpartition("=")
        named: Any = items.ids.parse(pair)
        rating: float | None = None
        if sign and items.find(named) < 0:  # a title may contain "="
            named = items.ids.parse(item)
            try:
                rating = float(value)
            except ValueError:
                raise DataError(f"--liked {pair!r}: {value!r} is not a number; write it as {item + '=5'!r}") from None
        if named in history:
            raise DataError(f"--liked names {named!r} twice; name each item once")
        history[named] = rating
    return history


def parse_features(pairs: list[str], table: pl.DataFrame | None) -> dict[str, Any]:
    """Parse ``["age=31", "genres=A|B"]`` into {column: value, in the type of that column of the user table}."""
    features: dict[str, Any] = {}
    for pair in pairs:
        column, sign, text = pair.partition("=")
        if not sign:
            raise DataError(f"--feature {pair!r} has no value; write it as {pair + '=VALUE'!r}")
        if column in features:
            raise DataError(f"--feature names {column!r} twice; write several values of a column as 'A|B'")
        features[column] = _typed(text, None if table is None else table.schema.get(column))
    return features


def _typed(text: str, dtype: pl.DataType | None) -> Any:
    """Return the text as a number or a bool where the column holds those, else unchanged. In a column of dates a number
    is a year."""
    import polars as pl

    if dtype == pl.Boolean:
        return {"true": True, "false": False}.get(text.lower(), text)
    if dtype is None or not (dtype.is_numeric() or dtype.is_temporal()):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_flags(args: list[str], cls: type[Any]) -> dict[str, Any]:
    """Parse ``["--n-factors", "50"]`` into {"n_factors": 50}, by the types of the config's defaults."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    rest = list(args)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--"):
            raise ConfigError(f"unexpected argument {flag!r}; see cofactor fit --help")
        flag, sign, text = flag[2:].partition("=")
        name = flag.replace("-", "_")
        if name not in fields:
            flags = ", ".join(f"--{n.replace('_', '-')}" for n in fields)
            raise ConfigError(f"there is no option --{flag}; this model takes {flags}.{did_you_mean(name, fields)}")
        if not sign:
            if not rest:
                raise ConfigError(f"--{flag} needs a value")
            text = rest.pop(0)
        values[name] = parse_value(fields[name], text, f"--{flag}")
    return values


def started(url: str, live: Any) -> None:
    """Print what the server serves and its address."""
    if live.last_error:
        say(f"note: {live.last_error}")
    console().print(f"{live.now.rec!r}", markup=False)
    console().print(f"serving version {live.now.version} at {url} (Ctrl-C stops the server)", markup=False)
