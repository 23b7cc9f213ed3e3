"""The flags of reading a table: the same for every command that reads one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cofactor as cf
from cofactor.cli.reading_flags import reading_options

TABLES = Path(__file__).parent.parent / "cases" / "tables"


def test_flags_are_what_read_takes() -> None:
    assert reading_options({"missing_ids": "error", "wide": None, "header": None, "fold_ids": False}) == {}
    assert reading_options({"header": False, "wide": True, "no_rating": True, "no_time": True}) == {
        "header": False,
        "wide": True,
        "rating": False,
        "time": False,
    }
    found = reading_options({"missing": ["99", "NA"], "weights": "view=1,purchase=5", "count": "3", "kind": "counts"})
    assert found == {"missing": [99.0, "NA"], "weights": {"view": 1.0, "purchase": 5.0}, "count": 3, "kind": "counts"}


def test_check_says_what_is_wrong_and_ends_with_it_under_strict(typed: Any) -> None:
    table = [str(TABLES / "OnlineRetail.csv"), "--user", "CustomerID", "--item", "StockCode", "--count", "Quantity"]
    code, out, _ = typed("check", *table, "--json")
    assert code == 0
    assert json.loads(out)["worst"] == "error"
    code, _, err = typed("check", *table, "--strict")
    assert code == 2
    assert "41 of 696 rows have no user" in err.strip().split("\n")[-1]
    code, out, _ = typed("check", *table, "--missing-ids", "drop", "--json", "--strict")
    assert json.loads(out)["summary"]["kind"] == "counts"


@pytest.mark.parametrize(
    ("file", "flags", "rows"),
    [
        ("anime_rating.csv", ["--missing", "-1"], 490),
        ("events.csv", ["--weights", "view=1,addtocart=3,transaction=5"], 696),
        ("mysql.tsv", ["--missing", "NA"], 22),
        ("nohdr_text_date.csv", ["--no-header", "--no-time"], 184),
        ("BX-Book-Ratings.csv", ["--no-rating"], 696),
        ("pivot.csv", ["--wide"], 696),
        ("steam-200k.csv", ["--behaviour", "2", "--duplicates", "count"], 696),
    ],
)
def test_flags_reach_the_reader(file: str, flags: list[str], rows: int, typed: Any, tmp_path: Path) -> None:
    out = tmp_path / "m.cofactor"
    code, _, err = typed("fit", str(TABLES / file), *flags, "--model", "popular", "--out", str(out))
    assert code == 0, err
    word = "ratings" if cf.load(out).data.kind == "ratings" else "rows"
    assert f"{rows:,} {word} by" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--weights", "view"], "--weights contains 'view'"),
        (["--kind", "stars"], "'ratings', 'counts' or 'events'"),
        (["--duplicates", "max"], "'last', 'first'"),
        (["--missing-ids", "no"], "one of error, drop, keep"),
    ],
)
def test_wrong_values_are_one_line(args: list[str], words: str, typed: Any) -> None:
    code, _, err = typed("fit", str(TABLES / "events.csv"), *args)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_ids_may_stand_in_a_file(typed: Any, tmp_path: Path) -> None:
    model, ids = tmp_path / "m.cofactor", tmp_path / "sold_out.txt"
    typed("fit", str(TABLES / "ml.inter"), "--model", "popular", "--out", str(model))
    code, out, _ = typed("recommend", str(model), "--user", "1", "-n", "5", "--seen", "--json")
    best = [row["item"] for row in json.loads(out)]
    ids.write_text("\n".join(map(str, [best[0], best[1], 99_999])) + "\n")
    code, out, err = typed("recommend", str(model), "--user", "1", "-n", "3", "--seen", "--deny", str(ids), "--json")
    assert code == 0, err
    assert [row["item"] for row in json.loads(out)] == best[2:5]
    assert "1 of 3 ids are unknown and left out" in err
    code, out, _ = typed("recommend", str(model), "--user", "1", "--seen", "--allow", str(ids), "--json")
    assert [row["item"] for row in json.loads(out)] == best[:2]


def test_check_reads_the_tables_beside(typed: Any, tmp_path: Any) -> None:
    rows = "\n".join(f"u{u},i{(u * k) % 7}" for u in range(20) for k in (1, 2, 3))
    (tmp_path / "buys.csv").write_text(f"customer,product\n{rows}\n")
    titles = "\n".join(f"i{i},{'Soap' if i < 2 else f'Title {i}'}" for i in range(7))
    (tmp_path / "products.csv").write_text(f"product,title\n{titles}\n")
    code, out, _ = typed("check", tmp_path / "buys.csv", "--items", tmp_path / "products.csv", "--json")
    assert code == 0
    assert any("1 titles belong to more than one item id" in one["what"] for one in json.loads(out)["findings"])
    code, _, err = typed("check", tmp_path / "buys.csv", "--users", tmp_path / "nowhere.csv")
    assert code == 2
    assert "nowhere.csv" in err
