"""Evaluation and lists by several workers: the figures and the lists of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import cofactor as cf
from cofactor import engines
from cofactor.engines import evaluation
from cofactor.engines.executors import Here, Processes
from cofactor.errors import BundleError, ConfigError
from toys import two_tastes


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    with engines.processes(2) as found:
        yield found


@pytest.fixture(scope="module")
def split() -> Any:
    return cf.split.random(two_tastes(), valid=0.2, seed=3)


def saved(split: Any, model: str, folder: Path, **config: Any) -> tuple[Any, Path]:
    rec = cf.fit(split.train, model=model, seed=1, **config)
    rec.save(folder / "m.cofactor")
    return rec, folder / "m.cofactor"


@pytest.mark.parametrize(
    ("model", "config", "metrics"),
    [
        ("als", {"n_factors": 3, "epochs": 3}, "all"),
        ("ease", {}, None),
        ("bayes-mf", {"epochs": 12, "burn_in": 4}, "all"),
    ],
)
def test_the_figures_of_one_process(
    split: Any, pool: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, config: Any, metrics: Any
) -> None:
    monkeypatch.setattr(evaluation, "MOST", 7)
    rec, place = saved(split, model, tmp_path, **config)
    expected = cf.evaluate(rec, split, metrics, n=(3, 10), draws=50)
    for executor in (Here(), pool):
        found = engines.evaluate(place, split, metrics, executor=executor, n=(3, 10), draws=50)
        assert_frame_equal(found, expected, check_exact=True)


def test_lists_for_all(split: Any, pool: Processes, tmp_path: Path) -> None:
    rec, place = saved(split, "ease", tmp_path)
    expected = rec.recommend_all(4, deny=[103])

    def lists(out: str, **options: Any) -> pl.DataFrame:
        folder = engines.recommend_all(place, tmp_path / out, 4, executor=pool, at_once=7, **options)
        return pl.read_parquet(folder / "*.parquet")

    assert_frame_equal(lists("a", deny=[103]), expected, check_exact=True)
    part = tmp_path / "a" / "part-000001.parquet"
    before = part.stat().st_mtime_ns
    (tmp_path / "a" / "part-000002.parquet").unlink()  # as after a run that was killed
    assert_frame_equal(lists("a", deny=[103]), expected, check_exact=True)
    assert part.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="with other options"):
        lists("a")
    with pytest.raises(ConfigError, match="holds other files"):
        lists(".")
    with pytest.raises(ConfigError, match="for all users"):
        lists("b", users=[1])
    assert not (tmp_path / "b").exists()


def test_what_is_refused(split: Any, tmp_path: Path) -> None:
    _, place = saved(split, "ease", tmp_path)
    given = cf.split.by_user(two_tastes(), users=0.2, seed=0)
    with pytest.raises(ConfigError, match="on one machine"):
        engines.evaluate(place, given)
    with pytest.raises(BundleError, match="not the driver's model"):
        evaluation.opened(str(place), "other")
