"""A fault at any operation on a file: nothing that was confirmed is lost, nothing that was forgotten comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults import reachable

PROGRAM = Path(__file__).with_name("crash_points.py")
ENV = os.environ | {
    "PYTHONPATH": os.pathsep.join(filter(None, [str(PROGRAM.parents[1]), os.environ.get("PYTHONPATH")]))
}
STEP = int(os.environ.get("COFACTOR_FAULT_STEP", "7"))
"""The slow test makes every operation of this number fail; 1 tries them all, which takes long."""
SCENARIOS = ("create", "events", "forget", "erase", "swaps", "refit", "backup", "restore", "repair")
pytestmark = pytest.mark.skipif(not reachable(), reason="needs fork, and a Python whose SQLite is a shared library")


def tried(folder, scenario, how, first, step):
    command = [sys.executable, PROGRAM, folder / "points", scenario, how, str(first), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000, env=ENV)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["points"] >= 1
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_some_operations(tmp_path, scenario):
    """Each 64th, in each of the ways in turn."""
    assert tried(tmp_path, scenario, "each", 11, 64)["operations"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_more_operations(tmp_path, scenario):
    tried(tmp_path, scenario, "each", 1, STEP)
