"""Training on Spark: the bits of one process, with a Python worker and an executor killed, and the driver killed too.

These run in ``make test-spark``, in an environment of their own with PySpark; they need Java.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor import engines
from cofactor.engines.executors import Spark

sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed; make test-spark has it")
pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")

HERE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.executorEnv.PYTHONPATH": os.pathsep.join(sys.path),
    "spark.executorEnv.NUMBA_NUM_THREADS": "1",
    "spark.python.worker.faulthandler.enabled": "false",
}
CONFIG: dict[str, Any] = {"n_factors": 3, "epochs": 3}


def table() -> pl.DataFrame:
    rng = np.random.default_rng(5)
    n = 6000
    users, items = rng.integers(0, 700, n), (rng.random(n) ** 2 * 600).astype(int)
    ratings = rng.integers(1, 11, n) / 2
    frame = pl.DataFrame({"user": [f"u{u:x}" for u in users], "item": items * 7, "rating": ratings})
    return frame.unique(["user", "item"], keep="first", maintain_order=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two executors of one core, each a JVM of its own."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = sql.SparkSession.builder.master("local-cluster[2,1,1024]").config(map=HERE).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def one() -> Any:
    return cf.fit(cf.read(table()), model="als", seed=7, calibrate=False, **CONFIG)


def same(found: Any, expected: Any) -> None:
    for name, array in expected.model.state().items():
        np.testing.assert_array_equal(found.model.state()[name], array, err_msg=name)
    assert found.data.user_ids == expected.data.user_ids
    assert found.data.item_ids == expected.data.item_ids


class Killing(Spark):
    """An executor that kills what runs one job of some maps: the Python worker, or the JVM above it."""

    def __init__(self, session: Any, folder: Path, faults: dict[int, str]) -> None:
        super().__init__(session)
        self.folder, self.faults, self.maps = str(folder), faults, 0

    def map(self, function: Any, jobs: Any) -> list[Any]:
        self.maps += 1
        fault = self.faults.get(self.maps)
        marked = [
            (function, job, f"{self.folder}/fault-{self.maps}", fault if n == 0 else None) for n, job in enumerate(jobs)
        ]
        return super().map(once, marked)


def once(marked: tuple[Any, Any, str, str | None]) -> Any:
    """Do a job; where it has a fault, the first who comes is killed in the midst of it."""
    function, job, mark, fault = marked
    if fault is not None and not os.path.exists(mark):
        Path(mark).touch()
        if fault == "worker":
            os._exit(9)
        parent = int(Path(f"/proc/{os.getppid()}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        assert "java" in Path(f"/proc/{parent}/cmdline").read_text(encoding="utf-8")
        os.kill(parent, signal.SIGKILL)
        time.sleep(60)
    return function(job)


def test_a_frame_with_killed_workers(cluster: Any, one: Any, tmp_path: Path) -> None:
    rows = table()
    frame = cluster.createDataFrame(rows.rows(), rows.columns).repartition(3)
    faults = {4: "worker", 12: "jvm"}
    executor = Killing(cluster, tmp_path, faults)
    work, out = tmp_path / "w", tmp_path / "m.cofactor"
    found = engines.fit(frame, "als", work, out, executor=executor, block_rows=256, seed=7, **CONFIG)
    same(found, one)
    assert sorted(p.name for p in tmp_path.glob("fault-*")) == sorted(f"fault-{n}" for n in faults)
    history = cluster.createDataFrame(rows.rows()[:200], rows.columns)
    lists = pl.DataFrame([r.asDict() for r in engines.recommend(history, str(out), 3).collect()])
    assert lists["user"].n_unique() == len(set(rows["user"][:200]))


def test_errors_of_workers_are_the_drivers(cluster: Any, tmp_path: Path) -> None:
    pl.DataFrame({"user": [1, 2], "item": [3, 4], "rating": ["a", "b"]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(cf.CofactorError, match=r"x\.parquet: the rating in row 1"):
        engines.fit(tmp_path / "x.parquet", "als", tmp_path / "w", tmp_path / "m", executor=engines.spark(cluster))


DRIVER = """
import os, sys
os.environ["PYSPARK_PYTHON"] = sys.executable
from pyspark.sql import SparkSession
from cofactor import engines
settings = eval(sys.argv[4])
session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
config = {"n_factors": 3, "epochs": 3, "seed": 7, "block_rows": 256}
engines.fit(sys.argv[1], "als", sys.argv[2], sys.argv[3], executor=engines.spark(session), **config)
"""


def test_a_killed_driver(one: Any, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    table().write_parquet(tmp_path / "rows" / "a.parquet")
    work, out = tmp_path / "w", tmp_path / "m.cofactor"
    command = [sys.executable, "-c", DRIVER, *map(str, (tmp_path / "rows", work, out)), repr(HERE)]
    driver = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True
    )
    deadline = time.monotonic() + 400
    while not (work / "steps" / "als-002-item.json").exists():
        assert time.monotonic() < deadline
        assert driver.poll() is None
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    same(engines.fit(tmp_path / "rows", "als", work, out, block_rows=256, seed=7, **CONFIG), one)
