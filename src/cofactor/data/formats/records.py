"""Join the lines of a text within quotes, which may hold line breaks, to records."""

from __future__ import annotations

from collections.abc import Sequence

from cofactor.data.formats.layout import SEPARATORS, even, strict_fields


def records(lines: Sequence[str]) -> list[str]:
    """Return the records of these lines, without empty ones.

    Lines are joined where a quote is still open, if all records then have the same number of fields, and the lines
    alone do not. An unfinished record at the end is left out.
    """
    alone = [line for line in lines if line.strip()]
    if not any(line.count('"') % 2 for line in alone) or any(even([line.split(sep) for line in alone]) for sep in _ONE):
        return alone
    joined: list[str] = []
    held: list[str] = []
    quotes = 0
    for line in lines:
        held.append(line)
        quotes += line.count('"')
        if quotes % 2 == 0:
            joined.append("\n".join(held))
            held = []
    joined = [record for record in joined if record.strip()]
    return joined if any(even([strict_fields(record, sep) for record in joined]) for sep in _ONE) else alone


_ONE = [sep for sep in SEPARATORS if len(sep) == 1]
