"""Small HTML tables for notebooks: escaped, and readable in light and dark themes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

TABLE = "border-collapse:collapse;font-size:90%"
CELL = "padding:2px 10px"
LONGEST = 160
"""Most characters of a text in a cell; the rest is cut."""


def table_html(names: Sequence[Any], rows: Iterable[Sequence[Any]], caption: str = "", left: int = 1) -> str:
    """Return a table, with the first ``left`` columns left-aligned and the others right-aligned."""

    def row(tag: str, cells: Sequence[Any]) -> str:
        sides = ("left" if i < left else "right" for i in range(len(cells)))
        shown = (f'<{tag} style="text-align:{s};{CELL}">{shortened(c)}</{tag}>' for s, c in zip(sides, cells))
        return f"<tr>{''.join(shown)}</tr>"

    top = f'<caption style="text-align:left;{CELL}"><b>{shortened(caption)}</b></caption>' if caption else ""
    head = f"<thead>{row('th', names)}</thead>" if any(str(n) for n in names) else ""
    body = "".join(row("td", cells) for cells in rows)
    return f'<table style="{TABLE}">{top}{head}<tbody>{body}</tbody></table>'


def lines_html(lines: Iterable[str]) -> str:
    """Return sentences for below a table, one per line."""
    return "".join(f'<div style="{CELL};font-size:90%">{shortened(line, 4 * LONGEST)}</div>' for line in lines)


def shortened(value: Any, longest: int = LONGEST) -> str:
    """Return a value as escaped text, shortened to ``longest`` characters."""
    text = str(value)
    return escape(text if len(text) <= longest else f"{text[: longest - 1]}…")
