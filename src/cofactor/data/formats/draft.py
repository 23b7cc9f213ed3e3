"""Prepare a delimited text for parsing: drop or rewrite parts of it, and note each change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cofactor.data.formats import around_rows, layout
from cofactor.data.formats.binary import refuse_binary
from cofactor.data.formats.encodings import guessed, is_utf8, of_wide_letters, recode
from cofactor.data.formats.layout import BLANKS
from cofactor.data.formats.records import records
from cofactor.data.tables import SAMPLE_ROWS
from cofactor.errors import DataError

_UNIT = "\x1f"
"""Replaces ``::`` while polars, which needs a one-byte separator, reads the file."""


class Draft:
    """A text before parsing: of a file (``path``) or of bytes in memory (``data``, also after it was rewritten).

    ``head``: its first bytes; ``lines``: its first lines that are not empty; ``remarks``: the comments above them;
    ``notes``: the changes so far.
    """

    def __init__(self, path: Path | None, data: bytes | None, label: str) -> None:
        assert path is not None or data is not None
        self.path, self.data, self.label = path, data, label
        self.head = _head(path) if data is None else data  # type: ignore[arg-type]
        self.lines: list[str] = []
        self.remarks: list[str] = []
        self.notes: list[str] = []

    def whole(self) -> bytes:
        return self.data if self.data is not None else self.path.read_bytes()  # type: ignore[union-attr]

    def rewrite(self, data: bytes) -> None:
        self.head = self.data = data

    # ---- bytes

    def decode(self, encoding: str | None) -> str | None:
        """Convert the text to UTF-8, and return the encoding that it had, if that was given or detected."""
        encoding = encoding or of_wide_letters(self.head, self.notes)
        refuse_binary(self.head[: 1 << 16], self.label, encoding)
        first_line = re.match(rb"[^\r\n]*", self.head)
        if encoding is None and first_line and not is_utf8(first_line[0]):  # names of columns that are not UTF-8
            text, note = guessed(self.whole())
            self.rewrite(text)
            self.notes.append(note)
            return None
        if encoding and encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
            self.rewrite(recode(self.whole(), encoding, self.label))
        return encoding

    def mend_ends(self) -> None:
        """End each line with a line feed, and drop what is below the rows."""
        if (stray := around_rows.stray_returns(self.head)) is not None:
            if stray:
                self.rewrite(around_rows.without_stray(self.whole()))
                self.notes.append("carriage returns inside lines replaced by blanks")
            else:  # as on an old Macintosh, or mixed
                self.rewrite(re.sub(rb"\r*\n|\r", b"\n", self.whole()))
        tail = _tail(self.path) if self.data is None else self.data[-around_rows.TAIL :]  # type: ignore[arg-type]
        if (below := around_rows.end_of_rows(tail)) is not None:
            self.rewrite(self.whole()[: -below[0]])
            self.notes.append(below[1])

    # ---- lines

    def find_lines(self) -> None:
        complete = self.data is not None or len(self.head) == self.path.stat().st_size  # type: ignore[union-attr]
        self.lines = _lines(self.head, complete)[:SAMPLE_ROWS]
        if not self.lines:
            raise DataError(f"{self.label} is empty; a table of user, item and rating is needed")

    def unwrap(self, sep: str | None, header: bool | None) -> str | None:
        """Remove what surrounds the rows or precedes them. Returns the separator, if it was given or the text names
        it."""
        excel = re.fullmatch(r'"?sep=([^"])"?', self.lines[0], re.IGNORECASE)
        if excel and len(self.lines) > 1:  # a line that declares the separator for a spreadsheet
            self.rewrite(self.whole().split(b"\n", 1)[1])
            sep, self.lines = sep or excel[1], self.lines[1:]
        if layout.in_brackets(self.lines):
            self.rewrite(re.sub(rb"(?m)^\s*[\[(](.*)[\])],?[ \t\r]*$", rb"\1", self.whole()))
            self.lines = [line.strip().rstrip(",")[1:-1] for line in self.lines]
            self.notes.append("each line is a list: brackets left out")
        if sep in (None, "|") and around_rows.is_drawn(self.lines):
            drawn = around_rows.undrawn(self.whole())
            self.rewrite(drawn)
            sep, self.lines = "|", _lines(drawn, True)[:SAMPLE_ROWS]
            self.notes.append("lines of a drawn table left out")
        if header is not False and (titles := layout.title_lines(self.lines)):
            shown = self.lines[0].strip()[:60]
            self.notes.append(f"{titles} line{'s' if titles > 1 else ''} above the names left out: {shown!r}")
            self.rewrite(_below(self.whole(), titles))
            self.lines = self.lines[titles:]
        comments = layout.comment_lines(self.lines)
        self.remarks, self.lines = self.lines[:comments], self.lines[comments:]
        return sep

    def separate(self, sep: str | None) -> str:
        """Return the separator. Runs of blanks become tabs."""
        if sep is None:
            sep = layout.guess_separator(self.lines)
            if sep not in (",", "\t"):
                self.notes.append(f"separator guessed: {'blanks' if sep == BLANKS else repr(sep)}")
        if sep not in (BLANKS, r"\s+"):
            return sep
        self.rewrite(re.sub(rb"[ \t]+", b"\t", re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", self.whole())))
        self.lines = ["\t".join(line.split()) for line in self.lines]
        return "\t"

    def quote(self, sep: str) -> str | None:
        """Return the quotation mark. A quote within quotes is doubled."""
        quote = layout.quote_of(self.lines, sep)
        if quote == '"' and len(sep) == 1 and layout.quotes_escaped(self.lines, sep):
            self.rewrite(self.whole().replace(b'\\"', b'""'))
            self.lines = [line.replace('\\"', '""') for line in self.lines]
            self.notes.append('quotes within quotes are escaped as \\"')
        return quote

    def split(self, sep: str, quote: str | None, header: bool | None) -> list[list[str]]:
        """Return the fields of the lines, with as many names as fields."""
        if header is not False and around_rows.with_last_field(self.lines, sep, quote):
            first = self.lines[0]
            self.rewrite(self.whole().replace(first.encode(), first.encode() + sep.encode(), 1))
            self.lines = [first + sep, *self.lines[1:]]
            self.notes.append("each row ends with a separator, which the names do not")
        rows = [layout.split_fields(line, sep, quote) for line in self.lines]
        layout.refuse_named_fields(rows, self.label)
        if header is not False and layout.names_rows(rows):  # as R's write.table does
            mark = '"row"' if quote else "row"
            self.rewrite(mark.encode() + sep.encode() + self.whole().lstrip(b"\xef\xbb\xbf"))
            self.lines, rows[0] = [mark + sep + self.lines[0], *self.lines[1:]], ["row", *rows[0]]
            self.notes.append("each row has a field more than the first line has names: its first is the row's name")
        elif header is not False and (more := layout.beyond_names(rows)) > 0:
            first, known = self.lines[0], len(rows[0])
            names = [f"column_{at}" for at in range(known, known + more)]
            self.rewrite(self.whole().replace(first.encode(), sep.join([first, *names]).encode(), 1))
            self.lines, rows[0] = [sep.join([first, *names]), *self.lines[1:]], [*rows[0], *names]
            self.notes.append(f"the first line names {known} of {known + more} columns; the others hold numbers")
        return rows

    # ---- for polars

    def without_blanks(self, sep: str, rows: list[list[str]]) -> None:
        """Remove the blank before each number (``5, 7, 3``)."""
        if b'"' not in self.head and all(cell[:1] == " " for row in rows for cell in row[1:]):
            self.data = re.sub(re.escape(sep.encode()) + rb" +", sep.encode(), self.whole())
            self.lines = [sep.join([row[0], *(cell.lstrip(" ") for cell in row[1:])]) for row in rows]

    def one_byte(self, sep: str) -> str:
        """Return a separator of one byte."""
        if len(sep.encode()) == 1:
            return sep
        self.data = self.whole().replace(sep.encode(), _UNIT.encode())
        self.lines = [line.replace(sep, _UNIT) for line in self.lines]
        return _UNIT

    def options(self, rows: list[list[str]], sep: str, quote: str | None, skipped: bool) -> dict[str, Any]:
        """Return polars' options. ``skipped``: the first line is not a row."""
        options: dict[str, Any] = {"has_header": skipped, "separator": sep, "quote_char": quote}
        if any("\\N" in line for line in self.lines):  # only if needed: it costs a tenth of the time
            options["null_values"] = ["\\N"]
        if comments := len(self.remarks):
            options["skip_lines"] = comments
            self.notes.append(f"{comments} comment line{'s' if comments > 1 else ''} at the start left out")
        if layout.decimal_commas(rows[1:], sep):
            options["decimal_comma"] = True
            self.notes.append("decimal commas: 9,5 is 9.5")
        return options


def _head(path: Path) -> bytes:
    """Return the beginning of a file: 64 KiB, or more if that does not hold two lines."""
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
    """Return the records that are not empty, without the last line if the file goes on, since it may be cut."""
    text = head[: max(1 << 16, head.find(b"\n", head.find(b"\n") + 1) + 1)] if whole else head
    lines = text.decode("utf-8", "replace").lstrip("\ufeff").split("\n")
    if len(lines) > 1 and (not whole or len(text) < len(head)):
        lines.pop()
    return records([line.rstrip("\r") for line in lines])


def _below(text: bytes, lines: int) -> bytes:
    """Return the text after the first ``lines`` lines that are not empty, without empty lines at its start."""
    at = 0
    while True:
        end = text.find(b"\n", at) + 1
        if text[at:end].strip():
            if not lines:
                return text[at:]
            lines -= 1
        at = end
