"""Wrong usage of the command line: one line on stderr, exit code 2; JSON where JSON was asked for."""

from __future__ import annotations

import importlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import cofactor as cf
from cofactor.cli import printing
from cofactor.cli.app import COMMANDS, main


@pytest.mark.parametrize(
    ("args", "end"),
    [
        (["nosuch", "--json"], "cofactor --help"),
        (["fit", "--json"], "cofactor fit --help"),
        (["recommend", "x", "-n", "many", "--json"], "cofactor recommend --help"),
        (["fit", "x.csv", "--epochs", "3", "--json"], ""),
    ],
)
def test_wrong_usage_is_one_line(args: list[str], end: str, typed: Any) -> None:
    code, out, err = typed(*args)
    assert code == 2
    assert err.startswith("cofactor: ")
    assert err.count("\n") == 1
    assert json.loads(out)["error"] in err
    assert err.endswith(f"ee {end}\n" if end else "\n")
    assert "?;" not in err


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    where, summary = COMMANDS[name]
    module, _, function = where.partition(":")
    doc = getattr(importlib.import_module(f"cofactor.cli.{module}"), function).__doc__
    assert doc.strip().split("\n")[0] == summary


@pytest.fixture(scope="module")
def film_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    titles = ["Am\u00e9lie", "\u0141\u00f3d\u017a", "\u5343\u3068\u5343\u5c0b", "\u03a9mega", "Plain"]
    folder = tmp_path_factory.mktemp("films")
    rows = [f"u{u},{titles[k % 5]},{1 + (u * k) % 5}" for u in range(20) for k in range(u, u + 3)]
    (folder / "films.csv").write_text("\n".join(["user,film,rating", *rows]), encoding="utf-8")
    cf.fit(folder / "films.csv", model="bias").save(folder / "m.cofactor")
    return folder


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    "args",
    [
        ["recommend", "m.cofactor", "--user", "u1"],
        ["recommend", "m.cofactor", "--user", "u1", "--json"],
        ["predict", "m.cofactor", "--user", "u1", "--item", "\u03a9mega"],
        ["explain", "m.cofactor", "--user", "u1", "--item", "\u03a9mega"],
        ["similar", "m.cofactor", "\u5343"],
        ["info", "m.cofactor"],
        ["check", "films.csv"],
    ],
)
def test_titles_that_the_output_cannot_hold(
    args: list[str], encoding: str, film_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe on Windows is in cp1252, one in the locale C in ASCII."""
    monkeypatch.chdir(film_folder)
    monkeypatch.setattr(sys, "argv", ["cofactor", *args])
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stderr.flush()
    said = sys.stderr.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    unknown = args[0] == "similar"
    assert ended.value.code == (2 if unknown else 0), said
    assert ("\\u5343" in said) == unknown


def test_a_table_that_does_not_fit_the_line_stands_closer(monkeypatch: Any, capsys: Any) -> None:
    reason = "you gave 10 to The Godfather (1972)"
    frame = pl.DataFrame({"rank": 1, "film": ["The Shawshank Redemption (1994)"], "score": [0.0855], "reason": reason})
    gaps = {}
    for columns in (78, 80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        printing.show(frame)
        lines = capsys.readouterr().out.splitlines()
        gaps[columns] = (len(lines), "rank  film" in lines[0])
    assert gaps == {78: (3, False), 80: (2, False), 120: (2, True)}


def test_remarks_are_broken_at_blanks_on_a_terminal_alone(monkeypatch: Any) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "30")
    text = "  films.cofactor makes the lists\n\n" + "a-long-path/" * 5
    for place in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", place)
        printing.say(text)
        found = place.getvalue()
        wanted = "  films.cofactor makes the\nlists\n\n" + "a-long-path/" * 5 if place.isatty() else text
        assert found == wanted + "\n"
