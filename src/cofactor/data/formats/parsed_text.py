"""Parse a delimited text of known layout with polars, keeping leading zeros in ids and interpreting points in
numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import polars.exceptions

from cofactor.data.formats import layout
from cofactor.data.formats.encodings import guessed, recode
from cofactor.data.ids import leading_zeros
from cofactor.data.tables import SAMPLE_ROWS, in_words, readable
from cofactor.errors import DataError


@dataclass(frozen=True)
class ParsedText:
    """A delimited text and its layout."""

    path: Path | None
    data: bytes | None
    label: str
    options: dict[str, Any]
    raw: dict[str, str]
    """The name of each column here -> its name in polars, in order."""
    notes: list[str]
    encoding: str | None = None
    """The encoding as given; None: UTF-8, or else a guess."""
    grouped: Sequence[str] = ()
    """Columns of numbers with points between thousands."""

    def load(self, columns: list[str], ids: list[str]) -> pl.DataFrame:
        try:
            return self._zeros_kept(None, columns, ids)
        except polars.exceptions.ComputeError as error:
            if "utf-8" not in str(error).lower() and "utf8" not in str(error).lower():
                raise DataError(f"{self.label} cannot be read as a table: {in_words(error)}") from None
        data = self.data if self.data is not None else self.path.read_bytes()  # type: ignore[union-attr]
        if self.encoding is not None:
            data = recode(data, self.encoding, self.label)
        else:
            data, note = guessed(data)
            if note not in self.notes:
                self.notes.append(note)
        with readable(self.label):
            return self._zeros_kept(data, columns, ids)

    def _zeros_kept(self, data: bytes | None, columns: list[str], ids: list[str]) -> pl.DataFrame:
        """Return ids as integers if that loses neither a leading zero nor a digit, else as text."""
        ids = [name for name in ids if name in columns]
        frame = self.parse_or_text(data, columns, [])
        numbers = [name for name in ids if frame[name].dtype.is_integer()]
        lossy = numbers if numbers and self._leading_zeros() else []
        lossy = lossy + [name for name in ids if frame[name].dtype.is_float()]  # 123456789012345677.0
        if lossy:
            frame = self.parse_or_text(data, columns, lossy)
        frame = self._without_empty(data, frame)
        for name in (name for name in ids if frame[name].dtype == pl.String):
            text = frame[name]
            decimals = text.str.contains(r"^\s*-?\d+\.0*\s*$")
            if name in lossy and decimals.any() and (decimals | text.str.contains(r"^\s*-?\d+\s*$")).all():
                text = text.str.strip_chars().str.replace(r"^(-?\d+)\.0*$", "$1")
                shown = frame[name].drop_nulls()[0]
                note = f"ids of column {name!r} were decimals such as {shown}; read as whole numbers"
                if note not in self.notes:
                    self.notes.append(note)
            if not text.str.contains(leading_zeros.MARKED).any():
                whole = text.cast(pl.Int64, strict=False)
                if whole.null_count() == text.null_count():
                    text = whole
            frame = frame.with_columns(text.alias(name))
        return frame

    def _without_empty(self, data: bytes | None, frame: pl.DataFrame) -> pl.DataFrame:
        """Drop rows without any value: empty lines at the end of a file, or leftovers of a spreadsheet."""
        if not all(column.null_count() for column in frame):
            return frame
        empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        if empty.any() and frame.width < len(self.raw):
            names = list(self.raw)
            empty = (
                self.parse(self._source(data), names, names).select(pl.all_horizontal(pl.all().is_null())).to_series()
            )
        if not empty.any():
            return frame
        note = f"{empty.sum():,} empty rows left out"
        if note not in self.notes:
            self.notes.append(note)
        return frame.filter(~empty)

    def parse_or_text(self, data: bytes | None, columns: list[str], as_text: list[str]) -> pl.DataFrame:
        """Types as polars infers them; where a later row does not fit, every column that is asked for as text."""
        try:
            return self.parse(self._source(data), columns, as_text)
        except polars.exceptions.ComputeError as error:
            if "could not parse" not in str(error) and "failed to parse" not in str(error):
                raise
            return self.parse(self._source(data), columns, columns)

    def _source(self, data: bytes | None) -> Any:
        if data is None:
            data = self.data
        return io.BytesIO(data) if data is not None else self.path

    def parse(self, source: Any, columns: list[str], as_text: list[str]) -> pl.DataFrame:
        types = {self.raw[name]: pl.String for name in (*as_text, *self.grouped) if name in columns}
        wanted = [self.raw[name] for name in columns]
        frame = pl.read_csv(
            source, columns=wanted, schema_overrides=types, infer_schema_length=SAMPLE_ROWS, glob=False, **self.options
        )
        frame = frame.select(pl.col(self.raw[name]).alias(name) for name in columns)
        return frame.with_columns(self._ungrouped(frame[name]) for name in self.grouped if name in columns)

    def _ungrouped(self, text: pl.Series) -> pl.Series:
        """Remove the points between thousands of whole numbers. Raises DataError if a later row has another form."""
        text = text.str.strip_chars()
        odd = ~text.str.contains(r"^[-+]?\d{1,3}(?:\.\d{3})*$").fill_null(True) & (text != "").fill_null(False)
        if odd.any():
            row = int(odd.arg_max() or 0)
            raise DataError(
                f"column {text.name!r} of {self.label} has points between thousands in its first rows, but"
                f" {text[row]!r} in row {row + 1}; write its numbers without such points"
            )
        note = f"column {text.name!r}: points between thousands, 1.234 is 1234"
        if note not in self.notes:
            self.notes.append(note)
        return text.str.replace_all(".", "", literal=True).cast(pl.Int64, strict=False)

    def _leading_zeros(self) -> bool:
        """Return whether some field looks like ``0110912`` or ``+4930``. polars would parse it as a number and lose the
        zero or the sign."""
        sep, quote = ord(self.options["separator"]), ord(self.options["quote_char"] or "\n")
        if self.data is not None:
            return leading_zeros.in_text(self.data, sep, quote)
        return leading_zeros.in_file(self.path, sep, quote)  # type: ignore[arg-type]


class evenly:
    """Name the line with more fields than the first, if polars reports one."""

    def __init__(self, rows: list[list[str]], label: str) -> None:
        self.rows, self.label = rows, label

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        uneven = isinstance(error, polars.exceptions.ComputeError) and "found more fields" in str(error)
        if uneven and (said := layout.uneven(self.rows, self.label)) is not None:
            raise DataError(said) from None
