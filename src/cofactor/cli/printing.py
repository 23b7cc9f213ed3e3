"""Print results: frames as tables, values as JSON, remarks on stderr."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from cofactor._json import to_jsonable

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console


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


def print_json(value: Any) -> None:
    """Print strict JSON: NaN and infinite numbers become null."""
    print(json.dumps(to_jsonable(value), ensure_ascii=False, allow_nan=False))


def started(url: str, live: Any) -> None:
    """Print what the server serves and its address."""
    if live.last_error:
        say(f"note: {live.last_error}")
    console().print(f"{live.now.rec!r}", markup=False)
    console().print(f"serving version {live.now.version} at {url} (Ctrl-C stops the server)", markup=False)
