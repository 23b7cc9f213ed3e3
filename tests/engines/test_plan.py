"""The plan of a training on a cluster: tasks and bytes are those of a training; the simulation adds up."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cofactor import engines
from cofactor.engines import prepare, source
from cofactor.kernels.sums import CHUNK

PLACE = Path(__file__).parents[2] / "benchmarks" / "cluster_plan.py"


@pytest.fixture(scope="module")
def plan() -> Any:
    spec = importlib.util.spec_from_file_location("cluster_plan", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cluster_plan"] = module  # its dataclasses ask for it
    spec.loader.exec_module(module)
    return module


def test_constants_are_those_of_the_engine(plan: Any) -> None:
    assert (plan.PART_ROWS, plan.RANGE_IDS, plan.CHUNK) == (source.PART_ROWS, prepare.RANGE_IDS, CHUNK)


def test_tasks_and_bytes_are_those_of_a_training(plan: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n, n_users, n_items = 40_000, 3_000, 900
    pairs = rng.choice(n_users * n_items, n, replace=False)
    frame = pl.DataFrame({"user": pairs // n_items, "item": pairs % n_items, "rating": rng.integers(1, 6, n) * 1.0})
    frame.write_parquet(tmp_path / "r.parquet")
    engines.fit(tmp_path / "r.parquet", "als", tmp_path / "w", tmp_path / "m", n_factors=8, epochs=2, block_rows=512)
    steps = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in (tmp_path / "w" / "steps").glob("*.json")}
    units = plan.Units(1, 1, 1, 1, 1, 1, 1, 1)
    planned = {m.name: m for m in plan.plan(plan.Table(n, n_users, n_items, 8, 2), 1, units, block_rows=512)}
    for name, step in (
        ("read", "a-read"),
        ("ids", "b-ids"),
        ("encode", "d-encode"),
        ("group users", "e-users"),
        ("group items", "f-items"),
        ("biases of items", "bias-001-item"),
        ("biases of users", "bias-001-user"),
        ("solve items", "als-002-item"),
        ("solve users", "als-001-user"),
    ):
        files = steps[step]["files"]
        assert len(steps[step]["values"]) == planned[name].tasks, name
        written = sum(size for _, size, _ in files) - 128 * len(files)  # each file has a header
        assert written == pytest.approx(planned[name].tasks * planned[name].writes, rel=0.12), name


@given(st.integers(1, 200), st.integers(1, 50), st.floats(0.01, 10), st.floats(0, 1e9))
def test_the_simulation_adds_up(plan: Any, tasks: int, cores: int, seconds: float, size: float) -> None:
    m = plan.Map("any", tasks, size, size, seconds)
    found = plan.makespan(m, cores, 0.1, 1e9)
    at_once = min(tasks, cores)
    assert found == pytest.approx(-(-tasks // at_once) * (0.1 + seconds + 2 * size * at_once / 1e9))
    assert found * 1.0001 >= 2 * size * tasks / 1e9  # no more bytes than the folder can give
    assert found * 1.0001 >= tasks * (seconds + 0.1) / cores
