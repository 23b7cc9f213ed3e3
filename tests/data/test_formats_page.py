"""docs/formats.md: each row of its table is read as it says, and gives what it says; and all of the cases."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import cofactor as cf
from cofactor.data.interactions import Interactions
from cofactor.errors import DataError

ROOT = Path(__file__).parent.parent.parent
TABLES = Path(__file__).parent.parent / "cases" / "tables"
EXPECT = json.loads((TABLES / "expect.json").read_text(encoding="utf-8"))
OPTIONS = {
    "OnlineRetail.csv": {"user": "CustomerID", "item": "StockCode", "rating": "Quantity", "missing_ids": "drop"},
    "mysql.tsv": {"missing": ["\\N"]},
}


def pairs(data: Interactions) -> int:
    return len(np.unique(data.users.astype(np.int64) * data.n_items + data.items))


def said(data: Interactions) -> str:
    """What the last column of the page says of a table."""
    users, items = len(np.unique(data.users)), len(np.unique(data.items))
    times = ", times" if data.times is not None else ""
    return f"{data.kind}: {users:,} users, {items:,} items, {pairs(data):,} pairs{times}"


def rows() -> list[tuple[str, str, str]]:
    """(file, arguments, outcome) of each row of the table in the docs."""
    found = []
    for line in (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        match = re.fullmatch(r'`cf\.read\("([^"]+)"(?:, )?(.*)\)`', cells[1]) if len(cells) == 3 else None
        if match:
            found.append((match[1], match[2], cells[2]))
    return found


@pytest.mark.parametrize(("file", "arguments", "outcome"), rows(), ids=[row[0] for row in rows()])
def test_each_row_of_the_page(file: str, arguments: str, outcome: str) -> None:
    options = eval(f"dict({arguments})", {})  # of our own page
    if outcome.startswith("refused"):
        with pytest.raises(DataError, match=re.escape(outcome.removeprefix("refused: "))):
            cf.read(TABLES / file, **options)
    else:
        assert said(cf.read(TABLES / file, **options)) == outcome


def test_every_case_is_on_the_page() -> None:
    assert set(EXPECT) <= {row[0] for row in rows()}


@pytest.mark.parametrize("file", sorted(EXPECT))
def test_cases(file: str) -> None:
    expected = EXPECT[file]
    if "refuse" in expected:
        with pytest.raises(DataError) as error:
            cf.read(TABLES / file)
        assert "single" in str(error.value)
        assert "\n" not in str(error.value)
        return
    data = cf.read(TABLES / file, **OPTIONS.get(file, {}))
    found = {"users": len(np.unique(data.users)), "items": len(np.unique(data.items)), "pairs": pairs(data)}
    for name, value in found.items():
        assert expected.get(name) in (None, value), name
    assert data.kind in expected.get("kind", data.kind)
    assert data.times is not None or not expected.get("time")
    if "range" in expected:
        low, high = expected["range"]
        assert low <= data.range[0]
        assert data.range[1] <= high
    if expected.get("wide"):
        assert any("wide" in note for note in data.notes)
    if "check" in expected:
        report = cf.check(TABLES / file)
        value = expected["check"].split()[0]
        assert any(f.check == "scale" and f"{value} is outside the scale" in f.what for f in report.findings)


def test_repeats_are_kept_as_events() -> None:
    data = cf.read(TABLES / "events.csv")
    assert len(data.events) == 896
    assert len(data) == 696
    assert data.values.sum() == 896
    assert {"view", "addtocart", "transaction"} <= set(re.findall(r"\w+", " ".join(data.notes)))


def test_the_header_of_a_frame_without_names_is_no_row() -> None:
    data = cf.read(TABLES / "pandas_int_header.csv")
    assert data.user_ids.values.min() == 10
    assert data.item_ids.values.min() == 100
