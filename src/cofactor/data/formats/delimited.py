"""Delimited text of any kind: separator, encoding and header as given or guessed, ids with their leading zeros."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import polars.exceptions

from cofactor.data.columns.names import is_known_name
from cofactor.data.formats import around_rows, layout
from cofactor.data.formats import lines as line_formats
from cofactor.data.formats.json_records import is_json, open_json
from cofactor.data.formats.layout import BLANKS
from cofactor.data.ids import leading_zeros
from cofactor.data.tables import SAMPLE_ROWS, Table, distinct, in_words, readable
from cofactor.errors import DataError

_UNIT = "\x1f"
"""Stands for ``::`` while polars, which wants one byte, reads the file."""
_LATIN = "encoding: not UTF-8, read as latin-1 (encoding=..., on the command line --encoding, names another)"
_TYPED_NAME = re.compile(r"(.+):(token|float|token_seq|float_seq)$")
"""A name as RecBole writes it."""


def open_delimited(
    path: Path | None,
    data: bytes | None,
    label: str,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    named: Sequence[str] = (),
) -> Table:
    """The text of a file (``path``), or of bytes in memory. ``named``: names that the caller gave to columns."""
    assert path is not None or data is not None

    def whole() -> bytes:
        return data if data is not None else path.read_bytes()  # type: ignore[union-attr]

    notes: list[str] = []
    head = _head(path) if data is None else data  # type: ignore[arg-type]
    encoding = encoding or _of_wide_letters(head, notes)
    _refuse_binary(head[: 1 << 16], label, encoding)
    first_line = re.match(rb"[^\r\n]*", head)
    if encoding is None and first_line and not _is_utf8(first_line[0]):  # names of columns that are not UTF-8
        encoding = "latin-1"
        notes.append(_LATIN)
    if encoding and encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
        head = data = _recode(whole(), encoding, label)
    if is_json(head):
        return open_json(whole(), label)
    if (stray := around_rows.stray_returns(head)) is not None:
        if stray:
            head = data = around_rows.without_stray(whole())
            notes.append("carriage returns that end no line taken as blanks")
        else:  # as on an old Macintosh, or mixed
            head = data = re.sub(rb"\r*\n|\r", b"\n", whole())
    if (below := around_rows.end_of_rows(_tail(path) if data is None else data[-around_rows.TAIL :])) is not None:  # type: ignore[arg-type]
        head = data = whole()[: -below[0]]
        notes.append(below[1])
    complete = data is not None or len(head) == path.stat().st_size  # type: ignore[union-attr]
    lines = _lines(head, complete)[:SAMPLE_ROWS]
    if not lines:
        raise DataError(f"{label} is empty; a table of user, item and rating is needed")
    if sep is None and header is None and (how := line_formats.line_format(lines)) is not None:
        return line_formats.open_lines(whole(), how, label)
    excel = re.fullmatch(r'"?sep=([^"])"?', lines[0], re.IGNORECASE)
    if excel and len(lines) > 1:  # a line that tells a spreadsheet the separator
        head = data = whole().split(b"\n", 1)[1]
        sep, lines = sep or excel[1], lines[1:]
    if layout.in_brackets(lines):
        head = data = re.sub(rb"(?m)^\s*[\[(](.*)[\])],?[ \t\r]*$", rb"\1", whole())
        lines = [line.strip().rstrip(",")[1:-1] for line in lines]
        notes.append("each line is a list: its brackets left out")
    if sep in (None, "|") and around_rows.is_drawn(lines):
        head = data = around_rows.undrawn(whole())
        sep, lines = "|", _lines(data, True)[:SAMPLE_ROWS]
        notes.append("the lines of a drawn table left out")
    titles = 0 if header is False else layout.title_lines(lines)
    if titles:
        notes.append(f"{titles} line{'s' if titles > 1 else ''} above the names left out: {lines[0].strip()[:60]!r}")
        head = data = _below(whole(), titles)
        lines = lines[titles:]
    comments = layout.comment_lines(lines)
    remarks, lines = lines[:comments], lines[comments:]
    if sep is None:
        sep = layout.guess_separator(lines)
        if sep not in (",", "\t"):
            notes.append(f"separator guessed: {'blanks' if sep == BLANKS else repr(sep)}")
    if sep in (BLANKS, r"\s+"):
        head = data = re.sub(rb"[ \t]+", b"\t", re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", whole()))
        lines = ["\t".join(line.split()) for line in lines]
        sep = "\t"
    quote = layout.quote_of(lines, sep)
    if quote == '"' and len(sep) == 1 and layout.quotes_escaped(lines, sep):
        head = data = whole().replace(b'\\"', b'""')
        lines = [line.replace('\\"', '""') for line in lines]
        notes.append('quotes within quotes are written \\"')
    if header is not False and around_rows.with_last_field(lines, sep, quote):
        head = data = whole().replace(lines[0].encode(), lines[0].encode() + sep.encode(), 1)
        lines = [lines[0] + sep, *lines[1:]]
        notes.append("each row ends with a separator, which the names do not")
    rows = [layout.split_fields(line, sep, quote) for line in lines]
    layout.refuse_named_fields(rows, label)
    if header is not False and layout.names_rows(rows):  # as write.table of R does
        mark = b'"row"' if quote else b"row"
        head = data = mark + sep.encode() + whole().lstrip(b"\xef\xbb\xbf")
        lines, rows[0] = [mark.decode() + sep + lines[0], *lines[1:]], ["row", *rows[0]]
    names, headed, skipped = _names(rows, remarks, sep, header, named, label, notes)
    if not headed and b'"' not in head and all(cell[:1] == " " for row in rows for cell in row[1:]):  # 5, 7, 3
        data = re.sub(re.escape(sep.encode()) + rb" +", sep.encode(), whole())
        lines = [sep.join([row[0], *(cell.lstrip(" ") for cell in row[1:])]) for row in rows]
    if len(sep.encode()) > 1:
        data = whole().replace(sep.encode(), _UNIT.encode())
        lines = [line.replace(sep, _UNIT) for line in lines]
        sep = _UNIT
    options: dict[str, Any] = {"has_header": skipped, "separator": sep, "quote_char": quote}
    if any("\\N" in line for line in lines):  # asked for only where it is needed, since it costs a tenth of the time
        options["null_values"] = ["\\N"]
    if comments:
        options["skip_lines"] = comments
        notes.append(f"{comments} comment line{'s' if comments > 1 else ''} at the start left out")
    if layout.decimal_commas(rows[1:], sep):
        options["decimal_comma"] = True
        notes.append("decimal commas: 9,5 is 9.5")
    grouped = [names[at] for at in layout.grouped_columns(rows[skipped:], names if sep != "," else ())]
    first_lines = "\n".join([*remarks, *lines]).encode()
    with readable(label), _even(rows, label):
        raw = pl.read_csv(io.BytesIO(first_lines), n_rows=1, infer_schema=False, **options).columns
        if len(raw) > len(names):
            raise polars.exceptions.ComputeError("found more fields")
        if len(raw) < len(names):  # a quote opened or closed where none should be
            raise polars.exceptions.ComputeError("CSV malformed")
        text = _Text(path, data, label, options, dict(zip(names, raw)), notes, encoding, grouped)
        sample = text.parse(io.BytesIO(first_lines), names, [])
    empty = [name for name in names if sample[name].null_count() == len(sample)] if not headed else []
    kept = [name for name in names if name not in empty] if len(empty) < len(names) - 1 else names
    if len(kept) < len(names):  # two tabs between fields
        names = [f"column_{at}" for at in range(len(kept))]
        text = _Text(path, data, label, options, dict(zip(names, (text.raw[name] for name in kept))), notes, encoding)
        sample = sample.select(kept).rename(dict(zip(kept, names)))
    return Table(names, headed, sample, text.load, label, notes, parsed_at_once=True)


def _names(
    rows: list[list[str]],
    remarks: list[str],
    sep: str,
    header: bool | None,
    named: Sequence[str],
    label: str,
    notes: list[str],
) -> tuple[list[str], bool, bool]:
    """The names of the columns, whether they are the table's own, and whether polars has to skip the first line."""
    first = rows[0]
    numbered = [f"column_{i}" for i in range(len(first))]
    if header is None and remarks:  # "# user item rating" above the rows
        last = layout.split_fields(remarks[-1].lstrip("#% \t"), sep if sep in remarks[-1] else BLANKS, None)
        if len(last) == len(first) and sum(is_known_name(name) for name in last) >= 2:
            return distinct([name.strip() for name in last]), True, False
    skipped, headed = (header, header) if header is not None else layout.has_header(rows, label, named)
    if not headed:
        notes.append(
            "the first line counts the columns"
            if skipped
            else "no header line: the first line is a row"
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


@dataclass(frozen=True)
class _Text:
    """A delimited text and how it is laid out."""

    path: Path | None
    data: bytes | None
    label: str
    options: dict[str, Any]
    raw: dict[str, str]
    """Our name of each column -> polars' own, in order."""
    notes: list[str]
    encoding: str | None = None
    """As it was named; None: UTF-8, or else latin-1."""
    grouped: Sequence[str] = ()
    """Columns of numbers with points between thousands."""

    def load(self, columns: list[str], ids: list[str]) -> pl.DataFrame:
        try:
            return self._zeros_kept(None, columns, ids)
        except polars.exceptions.ComputeError as error:
            if "utf-8" not in str(error).lower() and "utf8" not in str(error).lower():
                raise DataError(f"{self.label} cannot be read as a table: {in_words(error)}") from None
        data = self.data if self.data is not None else self.path.read_bytes()  # type: ignore[union-attr]
        data = _recode(data, self.encoding or "latin-1", self.label)
        if _LATIN not in self.notes:
            self.notes.append(_LATIN)
        with readable(self.label):
            return self._zeros_kept(data, columns, ids)

    def _zeros_kept(self, data: bytes | None, columns: list[str], ids: list[str]) -> pl.DataFrame:
        """Ids are integers where that loses neither a leading zero nor a digit, else text."""
        ids = [name for name in ids if name in columns]
        frame = self._parse_or_text(data, columns, [])
        numbers = [name for name in ids if frame[name].dtype.is_integer()]
        lossy = numbers if numbers and self._leading_zeros() else []
        lossy = lossy + [name for name in ids if frame[name].dtype.is_float()]  # 123456789012345677.0
        if lossy:
            frame = self._parse_or_text(data, columns, lossy)
        frame = self._without_empty(data, frame)
        for name in (name for name in ids if frame[name].dtype == pl.String):
            text = frame[name]
            decimals = text.str.contains(r"^\s*-?\d+\.0*\s*$")
            if name in lossy and decimals.any() and (decimals | text.str.contains(r"^\s*-?\d+\s*$")).all():
                text = text.str.strip_chars().str.replace(r"^(-?\d+)\.0*$", "$1")
                shown = frame[name].drop_nulls()[0]
                note = f"ids of column {name!r} were decimals such as {shown}; taken as whole numbers"
                if note not in self.notes:
                    self.notes.append(note)
            if not text.str.contains(leading_zeros.MARKED).any():
                whole = text.cast(pl.Int64, strict=False)
                if whole.null_count() == text.null_count():
                    text = whole
            frame = frame.with_columns(text.alias(name))
        return frame

    def _without_empty(self, data: bytes | None, frame: pl.DataFrame) -> pl.DataFrame:
        """Without rows of which no field holds anything: lines at the end of a file, what a spreadsheet left."""
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

    def _parse_or_text(self, data: bytes | None, columns: list[str], as_text: list[str]) -> pl.DataFrame:
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
        """Whole numbers without the points between their thousands; DataError where some later row has another form."""
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
        """Whether some field looks like ``0110912`` or ``+4930``: of a number polars would lose what is before."""
        sep, quote = ord(self.options["separator"]), ord(self.options["quote_char"] or "\n")
        if self.data is not None:
            return leading_zeros.in_text(self.data, sep, quote)
        return leading_zeros.in_file(self.path, sep, quote)  # type: ignore[arg-type]


_BINARY = {
    b"ORC": "an ORC file; write it as Parquet",
    b"\x89HDF": "an HDF5 file; write its table as Parquet or CSV",
    b"CDF": "a NetCDF file; write its table as Parquet or CSV",
    b"FEA1": "a Feather file of the first version; write it as Parquet or Feather 2",
    b"Obj\x01": "an Avro file; write it as Parquet",
    b"%PDF": "a PDF; give a table",
    b"\x89PNG": "a picture; give a table",
    b"\xff\xd8\xff": "a picture; give a table",
    b"Rar!": "a RAR archive; unpack it and give the file inside",
    b"7z\xbc\xaf": "a 7z archive; unpack it and give the file inside",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls); save it as .xlsx or CSV",
    b"RDX": "an R workspace; write its table as CSV or Parquet",
    b"\x04\x22\x4d\x18": "an LZ4 file; unpack it and give the file inside",
}


def _refuse_binary(head: bytes, label: str, encoding: str | None) -> None:
    """DataError where a file cannot be text: known formats by their first bytes, others by bytes no text has."""
    for mark, said in _BINARY.items():
        if head.startswith(mark):
            raise DataError(f"{label} is {said}")
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and head[1:2]:
        raise DataError(f"{label} is a pickle, which is never opened since that can run programs; write it as Parquet")
    if encoding and encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32")):
        return
    if b"\x00" in head:
        raise DataError(f"{label} is not a text table (it has zero bytes); give CSV, TSV or Parquet")
    odd = len(head) - len(head.translate(None, bytes((*range(1, 9), *range(14, 28), 127))))
    if odd - head.count(b"\x01") > 0.003 * len(head):
        raise DataError(f"{label} is not a text table (it has bytes that no text has); give CSV, TSV or Parquet")


class _even:
    """Says which line has more fields than the first, where polars finds that there is one."""

    def __init__(self, rows: list[list[str]], label: str) -> None:
        self.rows, self.label = rows, label

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        uneven = isinstance(error, polars.exceptions.ComputeError) and "found more fields" in str(error)
        if uneven and (said := layout.uneven(self.rows, self.label)) is not None:
            raise DataError(said) from None


_MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def _of_wide_letters(head: bytes, notes: list[str]) -> str | None:
    """The encoding of a text whose letters take two or four bytes: by the mark at its start, or by the zeros that stand
    at every second place of a text of mostly Latin letters. None for any other."""
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if marked is not None:
        return marked
    some = head[: 1 << 12]
    odd, even = some[1::2], some[::2]
    for name, zeros, letters in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if len(zeros) > 8 and zeros.count(0) > 0.9 * len(zeros) and not letters.count(0):
            notes.append(f"encoding: {name}, by the zeros between its letters")
            return name
    return None


def _head(path: Path) -> bytes:
    """The beginning of a file: 64 KiB, or more where that does not hold two lines."""
    size = 1 << 16
    with path.open("rb") as file:
        head = file.read(size)
        while len(head) == size and head.count(b"\n") < 2:
            head += file.read(7 * size)
            size *= 8
    return head


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - around_rows.TAIL))
        return file.read()


def _lines(head: bytes, whole: bool) -> list[str]:
    """The lines that hold something; without the last one where the file goes on and it may be cut."""
    text = head[: max(1 << 16, head.find(b"\n", head.find(b"\n") + 1) + 1)] if whole else head
    lines = text.decode("utf-8", "replace").lstrip("\ufeff").split("\n")
    if len(lines) > 1 and (not whole or len(text) < len(head)):
        lines.pop()
    return [line.rstrip("\r") for line in lines if line.strip()]


def _below(text: bytes, lines: int) -> bytes:
    """What comes after so many lines that hold something, and the empty ones below these."""
    at = 0
    while True:
        end = text.find(b"\n", at) + 1
        if text[at:end].strip():
            if not lines:
                return text[at:]
            lines -= 1
        at = end


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _recode(data: bytes, encoding: str, label: str) -> bytes:
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
            f"{label} is not in {encoding}: {at}; name another with encoding=... (on the command line --encoding)"
        ) from None
