"""Training in blocks of rows: against one machine, its memory, and what a cluster costs beside the work.

    python benchmarks/blocks.py make ratings/ --ratings 20000000       # Parquet parts, made
    python benchmarks/blocks.py one ratings/                           # cofactor.fit on this machine
    python benchmarks/blocks.py fit ratings/ --processes 2             # engines.fit: seconds, memory of each process
    python benchmarks/blocks.py spark ratings/                         # engines.fit on Spark's local-cluster

Users and items are drawn as in ``synthetic.py``, in proportion to a power of their rank; a pair may come twice, as in a
log. Each part has a seed of its own, so that parts can be made one by one. ``overhead``: seconds of a map beside the
mean work of a worker; for each sweep, the sum over its maps. Memory is what the system counts for a process that
nobody else could use (``RssAnon``): pages of mapped files are given back when they are needed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from clocked import Clocked
from synthetic import cumulative

import cofactor as cf
from cofactor import engines

PART = 5_000_000
CONFIGS: dict[str, dict[str, Any]] = {
    "als": {"n_factors": 16},
    "ials": {"n_factors": 32},
    "bias": {},
    "item-cosine": {},
    "ease": {"neighbours": 100, "local_reg": 500.0},
}


def make(folder: Path, rows: int, n_users: int, n_items: int) -> None:
    """Parquet parts of ``PART`` rows: user, item, rating, in random order."""
    folder.mkdir(parents=True)
    shares = cumulative(n_users, 50, 0.7), cumulative(n_items, 20, 0.9)
    rng = np.random.default_rng(0)
    names = [rng.permutation(n).astype(np.int32) for n in (n_users, n_items)]
    biases = [rng.normal(0, sd, n).astype(np.float32) for sd, n in ((0.4, n_users), (0.5, n_items))]
    for part, lo in enumerate(range(0, rows, PART)):
        rng = np.random.default_rng([1, part])
        n = min(PART, rows - lo)
        users, items = (name[np.searchsorted(share, rng.random(n))] for name, share in zip(names, shares))
        values = 3.5 + biases[0][users] + biases[1][items] + rng.normal(0, 0.9, n)
        values = np.clip(np.round(2 * values) / 2, 0.5, 5).astype(np.float32)
        pl.DataFrame({"user": users, "item": items, "rating": values}).write_parquet(
            folder / f"part-{part:04d}.parquet"
        )
        print(f"\rpart {part + 1}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


class Memory:
    """The highest ``RssAnon`` of this process and of others, in GB, looked at ten times a second."""

    def __init__(self, pids: Any) -> None:
        self.pids, self.highest, self.stop = pids, {}, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self.stop.wait(0.1):
            for name, pid in self.pids():
                try:
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                except OSError:
                    continue
                size = next((int(line.split()[1]) / 1e6 for line in lines if line.startswith("RssAnon")), 0.0)
                self.highest[name] = max(self.highest.get(name, 0.0), size)

    def __enter__(self) -> Memory:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.thread.join()


def report(clocked: Clocked, epochs: int, wall: float) -> None:
    """Seconds of the steps, and of a sweep."""
    sweeps = [m for m in clocked.maps if m.name == "solve_task"]
    before = [m for m in clocked.maps if m.name not in ("solve_task", "verify")]
    work = sum(m.work for m in sweeps) / clocked.workers
    spent = sum(m.seconds for m in sweeps)
    print(f"{wall:.1f} s in all; {sum(m.seconds for m in before):.1f} s before the sweeps", end="")
    if sweeps:
        print(
            f"; a sweep {spent / epochs:.2f} s, of which {work / epochs:.2f} s of work and"
            f" {(spent - work) / epochs:.2f} s of overhead",
            end="",
        )
    print()


def fit(folder: Path, model: str, epochs: int, clocked: Clocked, block_rows: int) -> float:
    """Seconds of a training in blocks."""
    place = Path(tempfile.mkdtemp(dir=folder.parent))
    config = CONFIGS[model] | ({"epochs": epochs} if model in ("als", "ials", "bias") else {})
    start = time.perf_counter()
    try:
        engines.fit(folder, model, place / "w", place / "m", executor=clocked, block_rows=block_rows, **config)
        return time.perf_counter() - start
    finally:
        shutil.rmtree(place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("make", "one", "fit", "spark"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ratings", type=int, default=20_000_000)
    parser.add_argument("--users", type=int)
    parser.add_argument("--items", type=int)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--model", default="als", choices=CONFIGS)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--block-rows", type=int, default=65_536)
    asked = parser.parse_args()
    folder: Path = asked.folder.absolute()
    if asked.what == "make":
        n_users, n_items = asked.users or asked.ratings // 144, asked.items or max(asked.ratings // 750, 1000)
        make(folder, asked.ratings, n_users, n_items)
        return
    print(f"{asked.what} {asked.model}, load {os.getloadavg()[0]:.1f}:", end=" ", flush=True)
    if asked.what == "one":
        with Memory(lambda: [("this process", os.getpid())]) as memory:
            start = time.perf_counter()
            data = cf.read(folder)
            read = time.perf_counter() - start
            config = CONFIGS[asked.model] | ({"epochs": asked.epochs} if asked.model in ("als", "ials", "bias") else {})
            cf.fit(data, model=asked.model, calibrate=False, **config).save(folder.parent / ".one.cofactor")
        shutil.rmtree(folder.parent / ".one.cofactor")
        print(f"{time.perf_counter() - start:.1f} s in all, {read:.1f} s of them to read")
    elif asked.what == "fit":
        with engines.processes(asked.processes) as pool:

            def pids() -> list[tuple[str, int]]:
                workers = [(f"worker {n}", w.process.pid) for n, w in enumerate(list(pool.started))]
                return [("driver", os.getpid()), *workers]

            with Memory(pids) as memory:
                clocked = Clocked(pool)
                report(clocked, asked.epochs, fit(folder, asked.model, asked.epochs, clocked, asked.block_rows))
    else:
        from pyspark.sql import SparkSession

        os.environ["PYSPARK_PYTHON"] = sys.executable
        settings = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.executorEnv.PYTHONPATH": os.pathsep.join(sys.path),
            "spark.executorEnv.NUMBA_NUM_THREADS": "1",
        }
        session = SparkSession.builder.master("local-cluster[2,1,1024]").config(map=settings).getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        with Memory(lambda: [("driver", os.getpid())]) as memory:
            for turn in ("first", "second"):  # the first compiles, and starts the Python of the workers
                clocked = Clocked(engines.spark(session))
                print(turn, end=" ")
                report(clocked, asked.epochs, fit(folder, asked.model, asked.epochs, clocked, asked.block_rows))
        session.stop()
    print("memory at most: " + ", ".join(f"{name} {gb:.2f} GB" for name, gb in memory.highest.items()))


if __name__ == "__main__":
    main()
