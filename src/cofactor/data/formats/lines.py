"""Open texts whose lines are not rows of one table: Netflix' blocks, lists of items for each user, features of libfm
and Vowpal Wabbit."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import polars as pl

from cofactor.data.tables import Table, loaded
from cofactor.errors import DataError

_BLOCK = re.compile(r"\s*(\d+):\s*$")
_MEMBERS = re.compile(r"\s*\d+\s*(?:,|$)")
_LIBFM = re.compile(r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?(?:\s+(?:\d+:)?\d+:[-+]?[\d.]+(?:[eE][-+]?\d+)?)+\s*$")
_KEYED = re.compile(r"([A-Za-z_]+/[A-Za-z_]+): ?(.*)$")
_VOWPAL = re.compile(
    r"(?P<label>[-+]?\d[\d.eE+-]*)?(?:\s+[\d.]+)?(?:\s*'?[\w.-]+)?\s*(?P<features>\|[^|]*(?:\|[^|]*)*)$"
)
_SPACE = re.compile(r"\|(?P<name>[A-Za-z_][\w.]*)?(?::[\d.]+)?(?P<features>(?:\s+[^\s|]+)+)\s*")
_SCORED = re.compile(r"\d+\|\d+\s*$")
_NUMBERS = re.compile(r"\s*\d+(?:[ \t]+\d+)*\s*$")


def line_format(lines: Sequence[str]) -> str | None:
    """Return the format by the first lines of a text: ``netflix``, ``keyed``, ``libfm``, ``vowpal``, ``scored`` or
    ``lists``; None if the lines are rows of a table."""
    if not lines:
        return None
    if _BLOCK.match(lines[0]) and len(lines) > 2 and _MEMBERS.match(lines[1]):
        return "netflix"
    if _is_keyed(lines[:200]):
        return "keyed"
    if all(_LIBFM.match(line) for line in lines[:200]):
        return "libfm"
    if _is_vowpal(lines[:200]):
        return "vowpal"
    if _SCORED.match(lines[0]) and len(lines) > 1 and lines[1].count("\t") >= 1 and "|" not in lines[1]:
        return "scored"
    widths = {len(line.split()) for line in lines}
    if len(lines) > 1 and len(widths) > 1 and max(widths) > 3 and all(_NUMBERS.match(line) for line in lines):
        return "lists"
    return None


def open_lines(data: bytes, how: str, label: str) -> Table:
    """Return the table of a text in one of these formats."""
    read = {
        "netflix": _netflix,
        "libfm": _libfm,
        "lists": _lists,
        "keyed": _keyed,
        "vowpal": _vowpal,
        "scored": _scored,
    }
    return read[how](_text(data), label)


def _text(data: bytes) -> pl.Series:
    """Return the lines that are not empty."""
    frame = pl.read_csv(
        io.BytesIO(data),
        has_header=False,
        separator="\x01",
        quote_char=None,
        schema={"line": pl.String},
        encoding="utf8-lossy",
    )
    lines = frame["line"].str.strip_chars()
    return lines.filter((lines != "").fill_null(False))


def _netflix(lines: pl.Series, label: str) -> Table:
    """Read blocks: ``item:`` followed by ``user,rating,date`` lines, or ``user,date``, or users alone."""
    heads = lines.str.ends_with(":")
    item = pl.select(pl.when(heads).then(lines.str.strip_chars_end(":"))).to_series().cast(pl.Int64, strict=False)
    rows = pl.DataFrame({"item": item.forward_fill(), "line": lines}).filter(~heads)
    fields = rows["line"].str.split_exact(",", 2).struct.rename_fields(["user", "rating", "time"]).struct.unnest()
    dated = fields["time"].null_count() == len(fields) and fields["rating"].str.contains(r"^\s*\d{4}-\d\d-\d\d").all()
    if dated:
        fields = fields.select("user", pl.lit(None, pl.String).alias("rating"), pl.col("rating").alias("time"))
    frame = pl.DataFrame(
        [
            fields["user"].cast(pl.Int64, strict=False),
            rows["item"],
            fields["rating"].cast(pl.Float64, strict=False),
            fields["time"],
        ]
    )
    for name in ("user", "item"):
        if frame[name].null_count():
            row = int(frame[name].is_null().arg_max() or 0)
            raise DataError(
                f"{label}: the line {rows['line'][row]!r} is not of the form user,rating,date in a block of an item"
            )
    if frame["rating"].null_count() == len(frame):
        frame = frame.drop("rating")
    if frame["time"].null_count() == len(frame):
        frame = frame.drop("time")
    return loaded(frame, label, ["one block for each item, as in the Netflix prize"])


def _is_keyed(lines: Sequence[str]) -> bool:
    """Return whether lines are ``key: value``, block by block (SNAP's Amazon fine foods and BeerAdvocate)."""
    matches = [_KEYED.match(line) for line in lines]
    keys = [match[1] for match in matches if match]
    return len(keys) == len(lines) and keys.count(keys[0]) > 1 and 2 <= len(set(keys)) < 40 and "/" in keys[0]


def _keyed(lines: pl.Series, label: str) -> Table:
    """Read blocks of ``key: value`` lines. The first key begins a block."""
    parts = lines.str.extract_groups(_KEYED.pattern).struct.unnest()
    keys, values = parts.to_series(0), parts.to_series(1)
    if keys.null_count():
        row = int(keys.is_null().arg_max() or 0)
        raise DataError(f"{label}: the line {lines[row][:60]!r} is not of the form key: value, unlike those before it")
    frame = pl.DataFrame({"key": keys, "value": values, "row": (keys == keys[0]).cum_sum()})
    wide = frame.unique(["row", "key"], keep="first", maintain_order=True).pivot(on="key", index="row", values="value")
    return loaded(_numbers(wide.drop("row")), label, ["blocks of key: value lines"])


def _numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Convert columns of number texts to numbers, and to whole numbers if there are no leading zeros."""
    for name in frame.columns:
        text = frame[name].str.strip_chars()
        for dtype in (pl.Int64, pl.Float64):
            numbers = text.cast(dtype, strict=False)
            if numbers.null_count() == text.null_count() and not text.str.contains(r"^0\d").any():
                frame = frame.with_columns(numbers)
                break
    return frame


def _libfm(lines: pl.Series, label: str) -> Table:
    """Read ``value user:1 item:1 ...``: the first two features are the user and the item."""
    fields = lines.str.split(" ").list.eval(pl.element().filter(pl.element() != ""))
    width = fields.list.len()
    if (width < 3).any():
        row = int((width < 3).arg_max() or 0)
        raise DataError(f"line {row + 1} of {label} has fewer than two features; user:1 and item:1 are needed")
    found = {"user": fields.list.get(1), "item": fields.list.get(2)}
    for name, column in found.items():
        parts = column.str.extract_groups(r"^(?:\d+:)?(\d+):([-+.\deE]+)$").struct.unnest()
        ids, values = parts.to_series(0).cast(pl.Int64, strict=False), parts.to_series(1).cast(pl.Float64, strict=False)
        if ids.null_count() or not (values == 1).fill_null(False).all():
            row = int((ids.is_null() | ~(values == 1).fill_null(False)).arg_max() or 0)
            raise DataError(
                f"line {row + 1} of {label} has the feature {column[row]!r}, which is not an id; features such as 55:1"
                " for the user and 97:1 for the item are needed"
            )
        found[name] = ids
    value = fields.list.get(0).cast(pl.Float64, strict=False)
    more = int(width.max() or 3) - 3  # type: ignore[arg-type]
    said = "libfm: the first feature is the user, the second the item" + (f"; {more} more left out" if more else "")
    return loaded(pl.DataFrame({**found, "rating": value}), label, [said])


def _spaces(line: str) -> tuple[str, dict[str, list[str]]] | None:
    """Return the label of a Vowpal Wabbit line and the features of each namespace; None if it is not such a line."""
    match = _VOWPAL.match(line)
    if match is None:
        return None
    found: dict[str, list[str]] = {}
    at, text = 0, match["features"]
    while at < len(text):
        space = _SPACE.match(text, at)
        if space is None or (space["name"] or "") in found:
            return None
        found[space["name"] or ""] = [feature.removesuffix(":1") for feature in space["features"].split()]
        at = space.end()
    return match["label"] or "", found


def _is_vowpal(lines: Sequence[str]) -> bool:
    """Return whether lines are ``4 |u 196 |i 242``, all with the same namespaces."""
    found = [_spaces(line) for line in lines]
    return all(one is not None and one[1].keys() == found[0][1].keys() for one in found)  # type: ignore[index]


def _vowpal(lines: pl.Series, label: str) -> Table:
    """Read ``label |user u |item i``: a namespace with one feature becomes a column. In ``label | user=5 item=7``, a
    feature with a name becomes a column. Of two features without names, the first is the user and the second the
    item."""
    rows: list[dict[str, str | None]] = []
    for number, line in enumerate(lines):
        found = _spaces(line)
        if found is None:
            raise DataError(
                f"line {number + 1} of {label} is not of the form 'label |namespace feature', unlike those before it"
            )
        row: dict[str, str | None] = {"rating": found[0] or None}
        for name, features in found[1].items():
            if len(features) == 1:
                key, equals, value = features[0].partition("=")
                row[name or key] = value if equals else features[0]
            elif all("=" in feature for feature in features):
                row |= {key: value for key, _, value in (feature.partition("=") for feature in features)}
            elif len(features) == 2 and len(found[1]) == 1:
                row |= {"user": features[0], "item": features[1]}
        rows.append(row)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    if frame["rating"].null_count() == len(frame):
        frame = frame.drop("rating")
    names = {"u": "user", "i": "item"}
    frame = frame.rename({old: new for old, new in names.items() if old in frame.columns and new not in frame.columns})
    if len(frame.columns) < (3 if "rating" in frame.columns else 2):
        raise DataError(
            f"{label} is in Vowpal Wabbit's format, but no two of its namespaces have one feature each; write lines"
            " such as '4 |user 196 |item 242'"
        )
    return loaded(_numbers(frame), label, ["Vowpal Wabbit: each namespace with one feature is a column"])


def _scored(lines: pl.Series, label: str) -> Table:
    """Read blocks: ``user|count``, followed by that many ``item score ...`` lines (KDD Cup 2011)."""
    heads = lines.str.contains(r"^\d+\|\d+$")
    user = pl.select(pl.when(heads).then(lines.str.extract(r"^(\d+)\|"))).to_series().forward_fill()
    rows = pl.DataFrame({"user": user, "line": lines}).filter(~heads)
    fields = (
        rows["line"].str.split_exact("\t", 3).struct.rename_fields(["item", "score", "day", "clock"]).struct.unnest()
    )
    counts = lines.filter(heads).str.extract(r"\|(\d+)$").cast(pl.Int64)
    if int(counts.sum()) != len(rows):
        raise DataError(
            f"{label}: its blocks hold {len(rows):,} lines, but their headers (user|count) promise"
            f" {int(counts.sum()):,}; it may have been cut short"
        )
    frame = pl.DataFrame([rows["user"], fields["item"], fields["score"].alias("rating")])
    if frame["rating"].null_count() == len(frame):
        frame = frame.drop("rating")
    said = (
        "one block for each user, as in the KDD Cup of 2011; its days, which count from an unknown date, are left out"
    )
    return loaded(_numbers(frame), label, [said])


def _lists(lines: pl.Series, label: str) -> Table:
    """Read ``user item item item ...``, a user and all of its items in one line; or ``n item item item ...``, where the
    first number of each line is the number of items."""
    fields = lines.str.replace_all("\t", " ").str.split(" ")
    fields = fields.list.eval(pl.element().filter(pl.element() != "").cast(pl.Int64, strict=False))
    first, items = fields.list.first(), fields.list.slice(1)
    said = "each line: a user and all of its items"
    if (first == items.list.len()).fill_null(False).all():
        first = pl.Series(range(len(lines)), dtype=pl.Int64)
        said = "each line: the number of a user's items, then the items; users are numbered by line, from 0"
    elif len(first) >= 10 and first.n_unique() < 0.9 * len(first):
        raise DataError(
            f"the lines of {label} are lists of numbers of which many begin alike, like baskets: they tell no user;"
            " write one line for each user and item"
        )
    frame = pl.DataFrame({"user": first, "item": items}).filter(pl.col("item").list.len() > 0)
    frame = frame.explode("item")
    if frame.null_count().sum_horizontal()[0]:
        raise DataError(f"{label} is not one list of items per line: some field is not a whole number")
    return loaded(frame, label, [said])
