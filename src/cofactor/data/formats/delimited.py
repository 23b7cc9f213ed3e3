"""Open delimited text of any kind. Separator, encoding and header are given or guessed."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import polars.exceptions

from cofactor.data.columns.names import is_known_name
from cofactor.data.formats import layout
from cofactor.data.formats import lines as line_formats
from cofactor.data.formats.draft import Draft
from cofactor.data.formats.json_records import is_json, open_json
from cofactor.data.formats.layout import BLANKS
from cofactor.data.formats.parsed_text import ParsedText, evenly
from cofactor.data.tables import Table, distinct, readable

_TYPED_NAME = re.compile(r"(.+):(token|float|token_seq|float_seq)$")
"""A column name in RecBole's form."""


def open_delimited(
    path: Path | None,
    data: bytes | None,
    label: str,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    named: Sequence[str] = (),
) -> Table:
    """Open the text of a file (``path``), or of bytes in memory. ``named``: names that the caller gave to columns."""
    draft = Draft(path, data, label)
    encoding = draft.decode(encoding)
    if is_json(draft.head):
        return open_json(draft.whole(), label)
    draft.mend_ends()
    draft.find_lines()
    if sep is None and header is None and (how := line_formats.line_format(draft.lines)) is not None:
        return line_formats.open_lines(draft.whole(), how, label)
    sep = draft.separate(draft.unwrap(sep, header))
    quote = draft.quote(sep)
    rows = draft.split(sep, quote, header)
    names, headed, skipped = _names(rows, draft.remarks, sep, header, named, label, draft.notes)
    if not headed:
        draft.without_blanks(sep, rows)
    sep = draft.one_byte(sep)
    options = draft.options(rows, sep, quote, skipped)
    grouped = [names[at] for at in layout.grouped_columns(rows[skipped:], names if sep != "," else ())]
    first_lines = "\n".join([*draft.remarks, *draft.lines]).encode()
    with readable(label), evenly(rows, label):
        raw = pl.read_csv(io.BytesIO(first_lines), n_rows=1, infer_schema=False, **options).columns
        if len(raw) > len(names):
            raise polars.exceptions.ComputeError("found more fields")
        if len(raw) < len(names):  # a quote opened or closed in the wrong place
            raise polars.exceptions.ComputeError("CSV malformed")
        columns = dict(zip(names, raw))
        text = ParsedText(path, draft.data, label, options, columns, draft.notes, encoding, grouped)
        sample = text.parse_or_text(first_lines, names, [])
    if not headed:
        text, sample = _without_empty_columns(text, sample)
    return Table(sample.columns, headed, sample, text.load, label, draft.notes, parsed_at_once=True)


def _without_empty_columns(text: ParsedText, sample: pl.DataFrame) -> tuple[ParsedText, pl.DataFrame]:
    """Leave out columns without names that are empty, such as between two tabs, if two other columns remain."""
    kept = [name for name in sample.columns if sample[name].null_count() < len(sample)]
    if len(kept) == sample.width or len(kept) < 2:
        return text, sample
    names = [f"column_{at}" for at in range(len(kept))]
    raw = {name: text.raw[old] for name, old in zip(names, kept, strict=True)}
    return replace(text, raw=raw, grouped=()), sample.select(kept).rename(dict(zip(kept, names, strict=True)))


def _names(
    rows: list[list[str]],
    remarks: list[str],
    sep: str,
    header: bool | None,
    named: Sequence[str],
    label: str,
    notes: list[str],
) -> tuple[list[str], bool, bool]:
    """Return the column names, whether they come from the table, and whether polars must skip the first line."""
    first = rows[0]
    numbered = [f"column_{i}" for i in range(len(first))]
    if header is None and remarks:  # "# user item rating" above the rows
        last = layout.split_fields(remarks[-1].lstrip("#% \t"), sep if sep in remarks[-1] else BLANKS, None)
        if len(last) == len(first) and sum(is_known_name(name) for name in last) >= 2:
            return distinct([name.strip() for name in last]), True, False
    skipped, headed = (header, header) if header is not None else layout.has_header(rows, label, named)
    if not headed:
        notes.append(
            "the first line numbers the columns"
            if skipped
            else "no header: the first line is a row"
            if header is None
            else "no header line"
        )
        return numbered, False, skipped
    names = [cell.strip().removeprefix('"').removesuffix('"') for cell in first]  # "user", "item"
    typed = [_TYPED_NAME.match(name) for name in names]
    if all(typed):
        names = [match[1] for match in typed if match]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        shown = ", ".join(map(repr, twice[:5]))
        notes.append(f"several columns are named {shown}; the second of a name is called {twice[0] + '_2'!r} and so on")
    return distinct(names), True, True
