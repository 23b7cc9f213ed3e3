"""Where the calls of POSIX are missing, as on Windows, bundles are written, read, replaced and refused all the same."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cofactor as cf
from cofactor.bundle import files, info, loading
from cofactor.errors import BundleError


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No opening of directories or relative to them, no pread, no flock, no exchange of directories."""
    opening = os.open

    def no_directories(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        return opening(path, flags, mode)

    monkeypatch.setattr(os, "open", no_directories)
    monkeypatch.setattr(os, "supports_dir_fd", set())
    for name in ("pread", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(shutil, "_use_fd_functions", False)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(files, "_exchange", lambda a, b: False)


@pytest.fixture
def rec() -> Any:
    rng = np.random.default_rng(0)
    frame = {"user": rng.integers(0, 40, 600), "item": rng.integers(0, 30, 600), "rating": rng.integers(1, 6, 600)}
    return cf.fit(frame, model="als", n_factors=2, epochs=2, calibrate=False)


@pytest.mark.parametrize("large", [False, True])
def test_save_load_replace(
    windows: None, rec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(loading, "SMALL", 0)
    path = tmp_path / "m.cofactor"
    for _ in range(2):  # the second time it takes the place of the first
        rec.save(path)
        for verify in (False, True):
            again = cf.load(path, verify=verify)
            user = rec.data.user_ids.values[3]
            assert again.recommend(user=user, n=4).equals(rec.recommend(user=user, n=4))
        del again
    assert info(path, verify=True)["verified"]
    assert [p.name for p in tmp_path.iterdir()] == ["m.cofactor"]


def test_what_is_refused(windows: None, rec: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.cofactor"
    rec.save(path)
    with pytest.raises(BundleError, match="it is a file"):
        cf.load(path / "manifest.json")
    with pytest.raises(BundleError, match="cannot open"):
        cf.load(tmp_path / "none")
    (path / "users.safetensors").rename(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"has no users\.safetensors"):
        cf.load(path)
    (path / "users.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="it is a link"):
        cf.load(path)
    (path / "users.safetensors").unlink()
    (path / "users.safetensors").mkdir()
    with pytest.raises(BundleError, match="not a plain file"):
        cf.load(path)


def test_a_killed_save_leaves_the_bundle(windows: None, rec: Any, tmp_path: Path) -> None:
    """Between the two renames a reader finds the old one aside, and the next save puts it back."""
    path = tmp_path / "m.cofactor"
    rec.save(path)
    path.rename(tmp_path / ".m.cofactor.previous")
    assert cf.load(path).name == "als"
    rec.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.cofactor"]
