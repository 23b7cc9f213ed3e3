"""Detect the layout of a delimited text: its separator, whether its first line is a header, its decimal mark.

These are plain functions of the first lines. They refuse what they cannot tell instead of guessing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from cofactor.data.columns.names import is_known_name
from cofactor.data.kind import says_pieces
from cofactor.errors import DataError

SEPARATORS = ("::", "\t", ";", "|", ",", "\x01")
_RARE = ("^", "~", "#")
"""Separators that are tried if none of the usual ones fits."""
BLANKS = " "
"""Means runs of blanks and tabs."""
_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$")
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*$")
_THOUSANDS = re.compile(r"\s*[-+]?\d{1,3}(?:,\d{3})+\s*$")
_DATE = re.compile(r"\s*(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2,4}|\d{1,2}:\d{2})")
_NOTHING = frozenset(("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "\\N", "-", "?"))


def is_number(cell: str) -> bool:
    return _NUMBER.match(cell) is not None


def split_fields(line: str, sep: str, quote: str | None) -> list[str]:
    """Return the fields of one line. Raises DataError if its quotes are invalid."""
    if sep == BLANKS:
        return line.split()
    if len(sep) > 1 or quote is None or quote not in line:
        return line.split(sep)
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=sep, quotechar=quote), [])
    except csv.Error as error:
        raise DataError(f"the line {line[:60]!r} cannot be split into fields: {error}") from None


def strict_fields(line: str, sep: str) -> list[str]:
    """Return the fields of one line quoted as in CSV, and none where a quote stands elsewhere."""
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=sep, strict=True), [])
    except csv.Error:
        return []


def even(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether there are rows of several fields, all of the same number."""
    return len(rows) > 1 and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1


def guess_separator(lines: Sequence[str]) -> str:
    """Return the separator that splits every one of the first lines into the same number of fields, two or more; else
    runs of blanks, if these do; else the most likely one."""
    lines = lines[:100]
    best, most = ",", 1
    for sep in SEPARATORS:
        counts = {len(split_fields(line, sep, None if sep in ("::", "\t") else '"')) for line in lines}
        fewest = min(counts)
        if len(counts) == 1 and fewest > most:
            best, most = sep, fewest
            if sep == "::":
                break
    blanks = {len(line.split()) for line in lines} if best == "\t" else {0}
    if len(blanks) == 1 and min(blanks) > most and all(is_number(c) for line in lines[1:] for c in line.split()):
        return BLANKS  # columns aligned by both blanks and tabs
    if most == 1:
        counts = {len(line.split()) for line in lines}
        if len(counts) == 1 and min(counts) > 1:
            return BLANKS
        for sep in (*SEPARATORS, BLANKS):
            if names_rows([split_fields(line, sep, '"') for line in lines]):
                return sep
        for sep in (*_RARE, ":"):
            counts = {line.count(sep) for line in lines}
            if len(lines) > 1 and len(counts) == 1 and min(counts) > (sep == ":"):
                return sep
        occurrences = {sep: lines[0].count(sep) for sep in SEPARATORS}
        likely = max(occurrences, key=lambda sep: occurrences[sep])
        best = likely if occurrences[likely] else ","
    return best


def names_rows(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether each row begins with a row name that the header, one field shorter, does not mention."""
    width = len(rows[0]) + 1
    if len(rows) < 3 or width < 3 or any(len(row) != width for row in rows[1:]):
        return False
    return not any(is_number(cell) for cell in rows[0]) and len({row[0] for row in rows[1:]}) == len(rows) - 1


def beyond_names(rows: Sequence[Sequence[str]]) -> int:
    """Return how many columns of decimal numbers follow those that the header names, as where the last name stands for
    a list. Numbers without a decimal point do not count: they may be what a decimal comma has cut off."""
    if len(rows) < 3 or len(rows[0]) < 3 or any(map(is_number, rows[0])):
        return 0
    width = len(rows[1])
    more = [row[len(rows[0]) :] for row in rows[1:]]
    if any(len(row) != width for row in rows[1:]) or not all(is_number(cell) for row in more for cell in row):
        return 0
    return width - len(rows[0]) if all(any("." in cell for cell in column) for column in zip(*more)) else 0


def uneven(rows: Sequence[Sequence[str]], label: str) -> str | None:
    """Return an error message if some line has more fields than the first; else None."""
    line = next((at for at, row in enumerate(rows, 1) if len(row) > len(rows[0])), None)
    if line is None:
        return None
    widths: dict[str, set[int]] = {}
    for row in rows:
        widths.setdefault(row[0], set()).add(len(row))
    begins, most = sorted(widths), max(map(len, rows))
    if 1 < len(begins) <= 8 and not any(map(is_number, begins)) and all(len(one) == 1 for one in widths.values()):
        return (
            f"the lines of {label} are records of several kinds, told by the first field"
            f" ({', '.join(map(repr, begins))}), with {min(map(len, rows))} to {most} fields; write those of one kind"
            " as a table"
        )
    if len({len(row) for row in rows}) > 2:
        return (
            f"the lines of {label} have {min(map(len, rows))} to {most} fields, like lists of items (baskets,"
            " sessions); write one line for each user and item"
        )
    return (
        f"line {line} of {label} has more fields than the first, which has {len(rows[0])}; put quotes around text"
        " that holds the separator, or name another with sep=... (on the command line --sep)"
    )


def is_quoted(lines: Sequence[str], sep: str) -> bool:
    """Return whether fields are quoted as in CSV; texts with tabs seldom are. Every quote must open or close a field or
    be doubled inside one, and either a whole column is quoted or some quote is doubled; or only so do all lines have
    the same fields."""
    if len({len(line.split(sep)) for line in lines}) > 1 and even([strict_fields(line, sep) for line in lines]):
        return True
    rows = [line.split(sep) for line in lines]
    cells = [cell for row in rows for cell in row if '"' in cell]
    if not cells or not all(re.fullmatch(r'"(?:[^"]|"")*"', cell) for cell in cells):
        return False
    quoted = (set(range(len(row))) - {i for i, cell in enumerate(row) if not cell.startswith('"')} for row in rows)
    return any('""' in cell[1:-1] for cell in cells) or bool(set.intersection(*quoted))


def comment_lines(lines: Sequence[str]) -> int:
    """Return the number of comment lines (``#`` or ``%``) at the start; 0 if later lines begin in the same way."""
    n = 0
    while n < len(lines) and lines[n][:1] in ("#", "%"):
        n += 1
    return n if n < len(lines) and not any(line[:1] in ("#", "%") for line in lines[n:]) else 0


def title_lines(lines: Sequence[str]) -> int:
    """Return the number of title lines above the header, such as the title of an export.

    A title line has fewer than half as many non-empty fields as the even lines below it, the first of which holds usual
    column names. Returns 0 if there are none.
    """
    for n in range(min(8, len(lines) - 2)):
        sep = guess_separator(lines[n:])
        if sep == BLANKS:
            continue
        rows = [split_fields(line, sep, '"') for line in lines[: n + 50]]
        width, filled = len(rows[n]), [sum(bool(cell.strip()) for cell in row) for row in rows]
        if width < 2 or any(len(row) != width for row in rows[n:]) or 2 * filled[n] <= width:
            continue
        named = sum(is_known_name(cell) for cell in rows[n]) >= 2
        return n if n and named and all(2 * some <= width for some in filled[:n]) else 0
    return 0


def quote_of(lines: Sequence[str], sep: str) -> str | None:
    """Return the quotation mark: ``"``, or ``'`` if a whole column is quoted with it, including its name; else None."""
    if sep == "::" or (sep == "\t" and not is_quoted(lines, sep)):
        return None
    if "'" not in lines[0] or len(lines) < 3 or any('"' in line for line in lines):
        return '"'
    rows = [line.split(sep) for line in lines]
    wrapped = [
        all(at < len(row) and re.fullmatch(r"\s*'[^']*'\s*", row[at]) for row in rows) for at in range(len(rows[0]))
    ]
    return "'" if any(wrapped) else '"'


def has_header(rows: Sequence[Sequence[str]], label: str, named: Sequence[str] = ()) -> tuple[bool, bool]:
    """Return (whether the first row is not data, whether it holds names). ``named``: names that the caller gave to
    columns.

    The row holds names if a column of numbers or dates begins with something else. It is data if it contains a number
    or a date, or if its texts occur again below. It numbers the columns if it reads 0, 1, 2 and those ids do not occur
    again (a pandas frame without names). Raises DataError if nothing decides.
    """
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if named and set(named) & set(first):
        return True, True
    columns = [[row[at].strip() for row in rest if at < len(row)] for at in range(len(first))]
    columns = [[cell for cell in column if cell not in _NOTHING] for column in columns]
    typed = [bool(column) and all(is_number(c) or _DATE.match(c) for c in column) for column in columns]
    text = [not is_number(c) and not _DATE.match(c) and c not in _NOTHING for c in first]
    if not rest:
        return not any(is_number(c) for c in first), not any(is_number(c) for c in first)
    if any(is_text and is_typed for is_text, is_typed in zip(text, typed)):
        return True, True
    shaped = [len({_shape(c) for c in column[:50]}) == 1 and bool(column) for column in columns]
    if any(
        s and t and re.fullmatch(r"[^\W\d]+", c) and re.search(r"\d", column[0])
        for s, t, c, column in zip(shaped, text, first, columns)
    ):
        return True, True  # "kunde" above "k17", "k4"
    if len(first) >= 2 and list(first) == [str(at) for at in range(len(first))] and len(rest) > 2:
        again = sum(c in column for c, column in zip(first[:2], columns[:2]))
        if len(first) >= 3 and not again:
            return True, False
    known = sum(is_known_name(c) for c in first)
    if known >= 2 or (known and not any(is_number(c) or _DATE.match(c) for c in first)):
        others = [[row[at].strip() for row in rest if at < len(row) and row != rows[0]] for at in range(len(first))]
        recurring = any(c in column for c, column in zip(first, others if known >= 2 else columns))
        if not recurring:  # except in whole lines of names, as in files that were put together
            return True, True
    if any(is_number(c) or _DATE.match(c) for c in first):
        return False, False
    if any(c and c in column for c, column in zip(first, columns)):
        return False, False
    shapes = [_shape(c) for c in first]
    alike = [bool(column) and all(_shape(c) == shape for c in column[:50]) for shape, column in zip(shapes, columns)]
    if any(a and re.search(r"\d", c) for a, c in zip(alike, first)):  # alice0 above alice1
        return False, False
    if len(rest) < 2:
        return True, True
    if len(first) == 1:
        raise DataError(
            f"{label} seems to have one column (it begins with {first[0][:40]!r}); name the separator with sep=... (on"
            " the command line --sep, such as --sep ';')"
        )
    shown = ", ".join(repr(c) for c in first[:4])
    raise DataError(
        f"it is not clear whether the first line of {label} ({shown}) holds names; set header=True or header=False (on"
        " the command line --header or --no-header)"
    )


def _shape(cell: str) -> str:
    """Return a cell with digits as 9 and letters as a, runs merged: ``alice12`` is ``a9``."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", cell))


_GROUPED = re.compile(r"\s*[-+]?[1-9]\d{0,2}\.\d{3}\s*$")
_UNGROUPED = re.compile(r"\s*[-+]?\d{1,3}\s*$")


def grouped_columns(rows: Sequence[Sequence[str]], names: Sequence[str]) -> list[int]:
    """Return the positions of columns with a point between thousands (1.332 is 1332).

    Whole numbers below 1,000 have no point, and all others have one before their last three digits, which decimals
    would not. Or all numbers have one, in a column whose name means whole counts, such as plays.
    """
    found = []
    for at in range(len(rows[0]) if rows else 0):
        cells = [row[at] for row in rows if at < len(row) and row[at].strip() not in _NOTHING]
        grouped = sum(_GROUPED.match(cell) is not None for cell in cells)
        plain = sum(_UNGROUPED.match(cell) is not None for cell in cells)
        whole = at < len(names) and says_pieces(names[at]) and len({cell.strip()[-3:] for cell in cells}) > 1
        if grouped >= 2 and (plain >= 2 or whole) and grouped + plain == len(cells):
            found.append(at)
    return found


def refuse_named_fields(rows: Sequence[Sequence[str]], label: str) -> None:
    """DataError where the fields are written ``user=5`` or ``user:5``, with the same names in each row."""
    if len(rows) > 2 and all(len(row) > 2 and all(_FEATURE.match(cell) for cell in row[1:]) for row in rows[:50]):
        raise DataError(
            f"the fields of {label} are features with their values ({rows[0][1]!r}, {rows[0][2]!r}), which do not tell"
            " users from items; write a table of user, item and rating"
        )
    rows = [row[1:] if len(row) > 2 and all(other[:1] == rows[0][:1] for other in rows) else row for row in rows[:50]]
    for mark, least in (("=", 2), (":", 3)):
        keys = [[cell.partition(mark)[0].strip() for cell in row if mark in cell] for row in rows[:50]]
        same = len(keys[0]) >= least and all(key == keys[0] and len(key) == len(rows[0]) for key in keys)
        if len(rows) > 2 and same and (mark == "=" or sum(map(is_known_name, set(keys[0]))) >= least):
            raise DataError(
                f"the fields of {label} are written name{mark}value ({rows[0][0]!r}); write the names in the first"
                " line, and the values alone below"
            )


_FEATURE = re.compile(r"(?:qid|\d+):[-+]?\d[\d.eE+-]*$")
"""A feature of libsvm, or the query of a list that is ranked."""


def in_brackets(lines: Sequence[str]) -> bool:
    """Return whether each line is a list or tuple of the same length: ``[5, 7, 3]``."""
    if len(lines) < 2 or not all(_BRACKETS.match(line) for line in lines[:100]):
        return False
    return len({line.count(",") for line in lines[:100]}) == 1 and lines[0].count(",") > 0


_BRACKETS = re.compile(r"\s*(?:\[[^\[\]]*\]|\([^()]*\)),?\s*$")


def quotes_escaped(lines: Sequence[str], sep: str) -> bool:
    """Return whether a quote within quotes is escaped with a backslash: only then do all lines have the same fields."""
    some = [line for line in lines[:200] if '\\"' in line]
    if not some or not all(re.search(r'[^\\]\\"', line) for line in some):
        return False
    widths = {len(split_fields(line.replace('\\"', '""'), sep, '"')) for line in some}
    return widths == {len(split_fields(lines[0], sep, '"'))}


def decimal_commas(rows: Sequence[Sequence[str]], sep: str) -> bool:
    """Return whether numbers use a decimal comma (9,5): some do, none has a point, and none could be thousands only."""
    if sep == ",":
        return False
    cells = [cell for row in rows for cell in row]
    with_comma = [cell for cell in cells if _DECIMAL_COMMA.match(cell)]
    return (
        bool(with_comma)
        and not all(_THOUSANDS.match(cell) for cell in with_comma)
        and not any(is_number(cell) and "." in cell for cell in cells)
    )
