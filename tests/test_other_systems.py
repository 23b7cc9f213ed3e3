"""A whole use of cofactor where the calls of Linux are missing, as on Windows and macOS (see ``other_systems.py``)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cofactor._locks import try_lock


@pytest.mark.slow
@pytest.mark.parametrize("system", ["windows", "macos"])
def test_everything_works_there(system: str, tmp_path: Path) -> None:
    program = Path(__file__).with_name("other_systems.py")
    done = subprocess.run([sys.executable, program, system, tmp_path], capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr


def test_one_holder_of_a_lock_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    first, second = (os.open(place, os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert try_lock(first)
    assert not try_lock(second)
    os.close(first)
    assert try_lock(second)
    os.close(second)
