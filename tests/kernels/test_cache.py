"""Where compiled kernels are kept when nothing can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from cofactor.kernels import cache_somewhere, usable

SCRIPT = """
import os, sys
from pathlib import Path
nothing = lambda path, mode, **more: False
os.access = nothing
import numba, numpy as np
from cofactor.kernels.topk import topk
folder = Path(numba.config.CACHE_DIR)
assert folder.is_dir() and not (folder.stat().st_mode & 0o077), folder
print(folder)
"""


def test_usable_looks_at_the_nearest_folder_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable(tmp_path / "not" / "there")
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    assert not usable(tmp_path / "not" / "there")


def test_usual_places_are_left_to_numba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    cache_somewhere(tmp_path / "__pycache__", lambda: tmp_path / "home")
    assert numba.config.CACHE_DIR == ""


def test_a_folder_of_this_process_where_nothing_can_be_written() -> None:
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()  # tidied up at the end


def test_caches_older_than_a_kernel_are_removed(tmp_path: Path) -> None:
    from conftest import remove_stale_kernels

    (tmp_path / "__pycache__").mkdir()
    old, new = tmp_path / "__pycache__" / "old.nbi", tmp_path / "__pycache__" / "new.nbi"
    for path, when in ((old, 100), (tmp_path / "callee.py", 200), (new, 300)):
        path.touch()
        os.utime(path, (when, when))
    assert remove_stale_kernels(tmp_path) == 1
    assert not old.exists()
    assert new.exists()
