"""Fixtures for all tests: data folders, MovieLens where available, and a small table with known structure."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor
from cofactor.data.interactions import Interactions, Split


def pytest_configure() -> None:
    """Make a relative $COFACTOR_DATA_DIR valid in tests that change the directory, and remove stale compiled
    kernels."""
    remove_stale_kernels(Path(cofactor.__file__).parent / "kernels")
    if given := os.environ.get("COFACTOR_DATA_DIR"):
        os.environ["COFACTOR_DATA_DIR"] = str(Path(given).resolve())


def remove_stale_kernels(folder: Path) -> int:
    """Delete numba's caches that are older than the newest kernel file. Returns their number."""
    newest = max(path.stat().st_mtime for path in folder.rglob("*.py"))
    stale = [path for path in folder.rglob("*.nbi") if path.stat().st_mtime < newest]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder in $COFACTOR_DATA_DIR; skip the test without it."""
    given = os.environ.get("COFACTOR_DATA_DIR")
    if not given or not Path(given).is_dir():
        pytest.skip("COFACTOR_DATA_DIR is not set to a folder with datasets")
    return Path(given)


def _movielens(folder: Path, name: str) -> None:
    if not (folder / name).is_dir():
        pytest.skip(f"COFACTOR_DATA_DIR has no {name} (its licence forbids shipping it)")


@pytest.fixture(scope="session")
def ml100k(data_dir: Path) -> Interactions:
    """Return MovieLens 100K by title: 100,000 ratings, 943 users, 1,664 titles."""
    _movielens(data_dir, "ml-100k")
    from cofactor.data.datasets import load_dataset

    return load_dataset("ml-100k", item="title", download=False)


@pytest.fixture(scope="session")
def ml100k_folds(data_dir: Path) -> list[Split]:
    """Return the published folds u1 .. u5, by movie id."""
    _movielens(data_dir, "ml-100k")
    from cofactor.data.datasets import folds

    return folds("ml-100k", download=False)


@pytest.fixture(scope="session")
def demo() -> Interactions:
    """Return the bundled demo set."""
    from cofactor.data.datasets import load_dataset

    return load_dataset("movietweetings-demo")


@pytest.fixture(scope="session")
def toy() -> Interactions:
    """Return 40 users, 25 items and some 480 ratings from 1 to 5 with times: biases plus two planted tastes plus a
    little noise."""
    from cofactor.data.read import read

    rng = np.random.default_rng(7)
    n_users, n_items = 40, 25
    tastes = rng.normal(size=(n_users, 2))
    genre = np.arange(n_items) % 2
    loadings = np.where(genre[:, None] == np.arange(2), 0.9, -0.1)
    truth = 3.2 + 0.4 * rng.normal(size=(n_users, 1)) + 0.4 * rng.normal(size=n_items) + tastes @ loadings.T
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.48)
    ratings = np.clip(np.round(truth[users, items] + 0.2 * rng.normal(size=len(users))), 1, 5)
    titles = [f"Film {i:02d} ({1980 + i})" for i in range(n_items)]
    order = rng.permutation(len(users))
    frame = pl.DataFrame(
        {
            "user": users[order] + 1,
            "title": [titles[i] for i in items[order]],
            "rating": ratings[order],
            "time": 1_000_000_000 + rng.integers(0, 10**7, len(order)),
        }
    )
    sides = pl.DataFrame({"title": titles, "genres": ["Drama" if g else "Action" for g in genre]})
    return read(frame, user="user", item="title", rating="rating", time="time", items=sides)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the program in this process: ``typed("fit", ...)`` -> (exit code, stdout, stderr)."""
    from cofactor.cli import main

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cofactor", *map(str, args)])
        with pytest.raises(SystemExit) as end:
            main()
        return (int(end.value.code or 0), *capsys.readouterr())

    return run
