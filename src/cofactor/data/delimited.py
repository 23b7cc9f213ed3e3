"""Delimited text of any kind: separator, encoding and header as given or guessed, ids with their leading zeros."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import polars.exceptions

from cofactor.data import leading_zeros
from cofactor.data.tables import Table, distinct, in_words, readable
from cofactor.errors import DataError

SEPARATORS = ("::", "\t", ";", "|", ",")
_UNIT = "\x1f"
"""Stands for ``::`` while polars, which wants one byte, reads the file."""
_LATIN = "encoding: not UTF-8, read as latin-1 (encoding=..., on the command line --encoding, names another)"


def open_text(path: Path, zipped: bool, sep: str | None, encoding: str | None, header: bool | None) -> Table:
    data: bytes | None = None
    if zipped:
        try:
            data = gzip.decompress(path.read_bytes())
        except (OSError, EOFError) as error:
            raise DataError(f"{path} is a damaged gzip file: {error}") from None
        head = data
    else:
        head = _head(path)
    notes: list[str] = []
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = encoding or "utf-16"
    first_line = re.match(rb"[^\r\n]*", head)
    if encoding is None and first_line and not _is_utf8(first_line[0]):  # names of columns that are not UTF-8
        encoding = "latin-1"
        notes.append(_LATIN)
    if encoding and encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
        data = _recode(data if data is not None else path.read_bytes(), encoding, path)
        head = data
    if b"\r" in head and b"\n" not in head:  # lines end as on an old Macintosh
        data = (data if data is not None else path.read_bytes()).replace(b"\r", b"\n")
        head = data
    whole = data is not None or len(head) == path.stat().st_size
    lines = _lines(head, whole)[:50]
    if not lines:
        raise DataError(f"{path} is empty; a table of user, item and rating is needed")
    if "\x00" in lines[0]:
        raise DataError(f"{path} is not a text table (it has zero bytes); give CSV, TSV or Parquet")
    if sep is None:
        sep = _guess_separator(lines)
        if sep not in (",", "\t"):
            notes.append(f"separator guessed: {sep!r}")
    quote = None if sep == "::" or (sep == "\t" and not _quoted(lines, sep)) else '"'
    first = _fields(lines[0], sep, quote)
    if header is None:
        header = not any(_numeric(cell) for cell in first)
        if not header:
            notes.append("no header line: the first line has numbers")
    names = distinct([cell.strip() for cell in first]) if header else [f"column_{i}" for i in range(len(first))]
    if len(sep.encode()) > 1:
        data = (data if data is not None else path.read_bytes()).replace(sep.encode(), _UNIT.encode())
        lines = [line.replace(sep, _UNIT) for line in lines]
        sep = _UNIT
    layout: dict[str, Any] = {"has_header": bool(header), "separator": sep, "quote_char": quote}
    first_lines = "\n".join(lines).encode()
    with readable(path):
        raw = pl.read_csv(io.BytesIO(first_lines), n_rows=1, infer_schema=False, **layout).columns
        text = _Text(path, data, layout, dict(zip(names, raw)), notes, encoding)
        sample = text.parse(io.BytesIO(first_lines), names, [])
    return Table(names, bool(header), sample, text.load, str(path), notes, parsed_at_once=True)


@dataclass(frozen=True)
class _Text:
    """A delimited text and how it is laid out."""

    path: Path
    data: bytes | None
    layout: dict[str, Any]
    raw: dict[str, str]
    """Our name of each column -> polars' own, in order."""
    notes: list[str]
    encoding: str | None = None
    """As it was named; None: UTF-8, or else latin-1."""

    def load(self, columns: list[str], ids: list[str]) -> pl.DataFrame:
        source: Any = self.path if self.data is None else io.BytesIO(self.data)
        try:
            return self._zeros_kept(source, columns, ids)
        except polars.exceptions.ComputeError as error:
            if "utf-8" not in str(error).lower() and "utf8" not in str(error).lower():
                raise DataError(f"{self.path} cannot be read as a table: {in_words(error)}") from None
        data = self.data if self.data is not None else self.path.read_bytes()
        data = _recode(data, self.encoding or "latin-1", self.path)
        if _LATIN not in self.notes:
            self.notes.append(_LATIN)
        with readable(self.path):
            return self._zeros_kept(io.BytesIO(data), columns, ids)

    def _zeros_kept(self, source: Any, columns: list[str], ids: list[str]) -> pl.DataFrame:
        """Ids are integers where that loses no leading zero, else text."""
        frame = self._parse_or_text(source, columns, [])
        numbers = [name for name in ids if name in columns and frame[name].dtype.is_integer()]
        if numbers and self._leading_zeros():
            if isinstance(source, io.BytesIO):
                source.seek(0)
            frame = self._parse_or_text(source, columns, numbers)
        frame = self._without_empty(source, frame)
        for name in (name for name in ids if name in columns and frame[name].dtype == pl.String):
            if not frame[name].str.contains(r"^0\d").any():
                whole = frame[name].cast(pl.Int64, strict=False)
                if whole.null_count() == frame[name].null_count():
                    frame = frame.with_columns(whole)
        return frame

    def _without_empty(self, source: Any, frame: pl.DataFrame) -> pl.DataFrame:
        """Without rows of which no field holds anything: lines at the end of a file, what a spreadsheet left."""
        if not all(column.null_count() for column in frame):
            return frame
        empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        if empty.any() and frame.width < len(self.raw):
            if isinstance(source, io.BytesIO):
                source.seek(0)
            names = list(self.raw)
            empty = self.parse(source, names, names).select(pl.all_horizontal(pl.all().is_null())).to_series()
        if not empty.any():
            return frame
        note = f"{empty.sum():,} empty rows left out"
        if note not in self.notes:
            self.notes.append(note)
        return frame.filter(~empty)

    def _parse_or_text(self, source: Any, columns: list[str], as_text: list[str]) -> pl.DataFrame:
        """Types as polars infers them; where a later row does not fit, every column that is asked for as text."""
        try:
            return self.parse(source, columns, as_text)
        except polars.exceptions.ComputeError as error:
            if "could not parse" not in str(error) and "failed to parse" not in str(error):
                raise
            if isinstance(source, io.BytesIO):
                source.seek(0)
            return self.parse(source, columns, columns)

    def parse(self, source: Any, columns: list[str], as_text: list[str]) -> pl.DataFrame:
        types = {self.raw[name]: pl.String for name in as_text}
        wanted = [self.raw[name] for name in columns]
        frame = pl.read_csv(source, columns=wanted, schema_overrides=types, infer_schema_length=1000, **self.layout)
        return frame.select(pl.col(self.raw[name]).alias(name) for name in columns)

    def _leading_zeros(self) -> bool:
        """Whether some field looks like ``0110912``: polars would make it a number and lose the zeros."""
        sep, quote = ord(self.layout["separator"]), ord(self.layout["quote_char"] or "\n")
        return (
            leading_zeros.in_file(self.path, sep, quote)
            if self.data is None
            else leading_zeros.in_text(self.data, sep, quote)
        )


def _head(path: Path) -> bytes:
    """The beginning of a file: 64 KiB, or more where that does not hold two lines."""
    size = 1 << 16
    with path.open("rb") as file:
        head = file.read(size)
        while len(head) == size and head.count(b"\n") < 2:
            head += file.read(7 * size)
            size *= 8
    return head


def _lines(head: bytes, whole: bool) -> list[str]:
    """The lines that hold something; without the last one where the file goes on and it may be cut."""
    text = head[: max(1 << 16, head.find(b"\n", head.find(b"\n") + 1) + 1)] if whole else head
    lines = text.decode("utf-8", "replace").lstrip("\ufeff").split("\n")
    if len(lines) > 1 and (not whole or len(text) < len(head)):
        lines.pop()
    return [line.rstrip("\r") for line in lines if line.strip()]


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _recode(data: bytes, encoding: str, path: Path) -> bytes:
    try:
        return data.decode(encoding).encode("utf-8")
    except LookupError:
        raise DataError(
            f"no encoding {encoding!r}; name one with encoding=... (on the command line --encoding): utf-8, latin-1 and"
            " cp1252 are common"
        ) from None
    except UnicodeError as error:
        at = f"byte {error.start} does not fit" if isinstance(error, UnicodeDecodeError) else "it cannot be decoded"
        raise DataError(
            f"{path} is not in {encoding}: {at}; name another with encoding=... (on the command line --encoding)"
        ) from None


def _guess_separator(lines: Sequence[str]) -> str:
    """The separator that gives every one of the first lines the same number of fields, two or more."""
    best, most = ",", 1
    for sep in SEPARATORS:
        counts = {len(_fields(line, sep, None if sep in ("::", "\t") else '"')) for line in lines}
        fewest = min(counts)
        if len(counts) == 1 and fewest > most:
            if sep == "::" or fewest >= 2:
                best, most = sep, fewest
            if sep == "::":
                break
    if most == 1:
        counts_first = {sep: lines[0].count(sep) for sep in SEPARATORS}
        likely = max(counts_first, key=lambda sep: counts_first[sep])
        best = likely if counts_first[likely] else ","
    return best


def _quoted(lines: Sequence[str], sep: str) -> bool:
    """Whether fields are quoted as in CSV, which texts with tabs seldom are: every quote opens or closes a field or is
    doubled inside it, and either a whole column is quoted or some quote is doubled."""
    rows = [line.split(sep) for line in lines]
    cells = [cell for row in rows for cell in row if '"' in cell]
    if not cells or not all(re.fullmatch(r'"(?:[^"]|"")*"', cell) for cell in cells):
        return False
    quoted = (set(range(len(row))) - {i for i, cell in enumerate(row) if not cell.startswith('"')} for row in rows)
    return any('""' in cell[1:-1] for cell in cells) or bool(set.intersection(*quoted))


def _fields(line: str, sep: str, quote: str | None) -> list[str]:
    if len(sep) > 1:
        return line.split(sep)
    if quote is None or quote not in line:
        return line.split(sep)
    return next(csv.reader([line], delimiter=sep, quotechar=quote), [])


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
