"""What a text has beside its rows: ends of lines of any kind, marks and counts at its end, lines of a drawn table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cofactor.data.formats import layout
from cofactor.errors import DataError

_ALONE = re.compile(rb"\r[^\n]")
TAIL = 4096
"""So many bytes at the end hold what programs write below the rows."""
_COUNT = (
    r"\(?\d[\d,.]* rows?(?: (?:in set|selected|affected|returned)[^\n]*)?\.?\)?|"
    r"Query OK[^\n]*|\(?\d[\d,.]* record\(?s\)?(?: selected)?\.?\)?"
)
_BELOW = re.compile(
    rb"(?:^|(?<=\n))[ \t\"]*(?:" + _COUNT.encode() + rb")[ \t\"]*(?:\r?\n[\s\x1a]*|\x1a*)\Z", re.IGNORECASE
)
_MARK = re.compile(rb"(?:^|(?<=\n))\\\.\r?\n?\s*\Z|\x1a+\s*\Z")
_RULE = r"[ \t]*[|+]?[-+|:= \t]*[-=]{3}[-+|:= \t]*"


def stray_returns(head: bytes) -> bool | None:
    """Whether carriage returns that stand alone in a text are none of the ends of its lines; None where there are none.

    They are ends where all lines that they make have the same fields, as in a file put together of files of several
    systems, and where nothing else ends a line, as on an old Macintosh."""
    if not _ALONE.search(head):
        return None
    if b"\n" not in head:
        return False
    whole = head[: head.rfind(b"\n")].decode("utf-8", "replace")
    by_newline = [line.rstrip("\r") for line in whole.split("\n") if line.strip()]
    by_both = [line for line in re.split(r"\r*\n|\r", whole) if line.strip()]
    sep = layout.guess_separator([line.replace("\r", " ") for line in by_newline])
    counts = [{len(layout.split_fields(line.replace("\r", " "), sep, '"')) for line in by_newline}]
    try:
        counts.append({len(layout.split_fields(line, sep, '"')) for line in by_both})
    except DataError:  # a quote that is closed in the next line
        return True
    return len(counts[0]) == 1 and not (len(counts[1]) == 1 and counts[1] != {1})


def without_stray(data: bytes) -> bytes:
    """The text with a blank for each carriage return that does not end a line."""
    return re.sub(rb"\r(?!\n)", b" ", re.sub(rb"\r+\n", b"\n", data))


def end_of_rows(tail: bytes) -> tuple[int, str] | None:
    """How many bytes at the end of a text are no rows, and what they say: the count of the rows, as clients of
    databases write one, or a mark of the end (``\\.`` of a dump, Ctrl-Z)."""
    found = _BELOW.search(tail)
    if found is not None and found.start():
        said = found[0].strip(b' \t\r\n"\x1a').decode("utf-8", "replace")
        return len(tail) - found.start(), f"the line below the rows left out: {said!r}"
    found = _MARK.search(tail)
    if found is not None and found.start():
        return len(tail) - found.start(), "a mark of the end left out"
    return None


def is_drawn(lines: Sequence[str]) -> bool:
    """Whether a table is drawn with lines, as clients of databases show one and as in Markdown: ``---+---`` below the
    names, and ``|`` between the fields."""
    first = list(lines[:3])
    rules = [at for at, line in enumerate(first) if re.fullmatch(_RULE, line)]
    rest = [line for at, line in enumerate(lines[:50]) if not re.fullmatch(_RULE, line)]
    return bool(rules) and len(rest) > 2 and all("|" in line for line in rest)


def undrawn(data: bytes) -> bytes:
    """The text of a drawn table without its lines, with a bare ``|`` between the fields."""
    rule = _RULE.encode()
    data = re.sub(rb"(?m)^" + rule + rb"\r?(?:\n|\Z)", b"", data)
    data = re.sub(rb"(?m)^[ \t]*\|?[ \t]*|[ \t]*\|?[ \t]*\r?$", b"", data)
    return re.sub(rb"[ \t]*\|[ \t]*", b"|", data)


def with_last_field(lines: Sequence[str], sep: str, quote: str | None) -> bool:
    """Whether each row ends with a separator that the names do not end with."""
    if len(lines) < 3 or sep in (layout.BLANKS, r"\s+"):
        return False
    width = len(layout.split_fields(lines[0], sep, quote))
    if width < 2 or lines[0].rstrip().endswith(sep):
        return False
    rows = (layout.split_fields(line, sep, quote) for line in lines[1:])
    return all(len(row) == width + 1 and not row[-1].strip() for row in rows)
