"""Wrong usage of the command line: one line on stderr, exit code 2; JSON where JSON was asked for."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from cofactor.cli.app import COMMANDS


@pytest.mark.parametrize(
    "args",
    [
        ["nosuch", "--json"],
        ["fit", "--json"],
        ["recommend", "x", "-n", "many", "--json"],
        ["fit", "x.csv", "--epochs", "3", "--json"],
    ],
)
def test_wrong_usage_is_one_line(args: list[str], typed: Any) -> None:
    code, out, err = typed(*args)
    assert code == 2
    assert err.startswith("cofactor: ")
    assert err.count("\n") == 1
    assert json.loads(out)["error"] in err


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    where, summary = COMMANDS[name]
    module, _, function = where.partition(":")
    doc = getattr(importlib.import_module(f"cofactor.cli.{module}"), function).__doc__
    assert doc.strip().split("\n")[0] == summary
