"""Text around the rows of a table: line ends of any kind, end marks and row counts, and the lines of a drawn table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cofactor.data.formats import layout
from cofactor.errors import DataError

_ALONE = re.compile(rb"\r[^\n]")
TAIL = 4096
"""Size of the tail in which programs write below the rows, in bytes."""
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
    """Return whether lone carriage returns in a text are not line ends; None if there are none.

    They are line ends if all lines that they make have the same fields, as in a concatenation of files from several
    systems, and if nothing else ends a line, as on an old Macintosh.
    """
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
    except DataError:  # a quote that is closed on the next line
        return True
    return len(counts[0]) == 1 and not (len(counts[1]) == 1 and counts[1] != {1})


def without_stray(data: bytes) -> bytes:
    """Replace each carriage return that does not end a line by a blank."""
    return re.sub(rb"\r(?!\n)", b" ", re.sub(rb"\r+\n", b"\n", data))


def end_of_rows(tail: bytes) -> tuple[int, str] | None:
    r"""Return the size in bytes of the end of a text that holds no rows, and a note on what it holds: the number of
    rows, as database clients write it, or an end mark (``\.`` of a dump, Ctrl-Z)."""
    found = _BELOW.search(tail)
    if found is not None and found.start():
        said = found[0].strip(b' \t\r\n"\x1a').decode("utf-8", "replace")
        return len(tail) - found.start(), f"line below the rows left out: {said!r}"
    found = _MARK.search(tail)
    if found is not None and found.start():
        return len(tail) - found.start(), "end mark left out"
    return None


def is_drawn(lines: Sequence[str]) -> bool:
    """Return whether a table is drawn with lines, as database clients and Markdown do: ``---+---`` below the names, and
    ``|`` between the fields."""
    first = list(lines[:3])
    rules = [at for at, line in enumerate(first) if re.fullmatch(_RULE, line)]
    rest = [line for at, line in enumerate(lines[:50]) if not re.fullmatch(_RULE, line)]
    return bool(rules) and len(rest) > 2 and all("|" in line for line in rest)


def undrawn(data: bytes) -> bytes:
    """Return the text of a drawn table without its lines, with a bare ``|`` between the fields."""
    rule = _RULE.encode()
    data = re.sub(rb"(?m)^" + rule + rb"\r?(?:\n|\Z)", b"", data)
    data = re.sub(rb"(?m)^[ \t]*\|?[ \t]*|[ \t]*\|?[ \t]*\r?$", b"", data)
    return re.sub(rb"[ \t]*\|[ \t]*", b"|", data)


def with_last_field(lines: Sequence[str], sep: str, quote: str | None) -> bool:
    """Return whether each row ends with a separator, but the header does not."""
    if len(lines) < 3 or sep in (layout.BLANKS, r"\s+"):
        return False
    width = len(layout.split_fields(lines[0], sep, quote))
    if width < 2 or lines[0].rstrip().endswith(sep):
        return False
    rows = (layout.split_fields(line, sep, quote) for line in lines[1:])
    return all(len(row) == width + 1 and not row[-1].strip() for row in rows)
