"""RMSE and NDCG@10 beside Spark MLlib's ALS at its best of ten settings, in one run.

    python benchmarks/mllib.py [--data ml-100k]        # in an environment with the extra spark, and Java

A random fifth of the ratings is for the test. Ten settings of MLlib's ALS for ratings, and ten of its implicit one,
are trained on 90 % of the rest; the one with the best RMSE, and the one with the best NDCG@10, on the other 10 % are
trained on all of the rest and tested. cofactor's ``als`` and ``ials`` are trained once, with their defaults, in blocks
on the same Spark session. MLlib takes integer ids and gives NaN for users and items not seen: these get the mean.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

import cofactor as cf
from cofactor import engines

RATINGS = list(itertools.product((5, 10, 20, 50, 100), (0.05, 0.1)))
IMPLICIT = list(itertools.product((10, 20, 50, 100, 150), (0.01, 0.1)))


class Mllib:
    """The factors of an MLlib model as a model that cofactor evaluates."""

    def __init__(self, fitted: Any, train: Any, task: str) -> None:
        self.name, self.task = f"MLlib ALS ({task})", task
        self.users, self.known_users = table(fitted.userFactors, train.n_users)
        self.items, self.known_items = table(fitted.itemFactors, train.n_items)
        self.mean, self.range = float(train.values.mean()), train.range

    def predict(self, users: Any, items: Any, times: Any = None) -> Any:
        found = np.einsum("nk,nk->n", self.users[users], self.items[items])
        known = (users >= 0) & (items >= 0) & self.known_users[users] & self.known_items[items]
        return np.clip(np.where(known, found, self.mean), *self.range).astype(np.float32)

    def scores(self, users: Any) -> Any:
        scores = self.users[users] @ self.items.T
        scores[:, ~self.known_items] = -np.inf
        return scores.astype(np.float32)


def table(factors: Any, n: int) -> tuple[Any, Any]:
    rows = factors.collect()
    width = len(rows[0]["features"])
    out, known = np.zeros((n, width), np.float32), np.zeros(n, bool)
    for row in rows:
        out[row["id"]], known[row["id"]] = row["features"], True
    return out, known


def train_mllib(session: Any, data: Any, rank: int, reg: float, implicit: bool) -> Any:
    frame = pl.DataFrame({"user": data.users, "item": data.items, "rating": data.values}).to_pandas()
    als = ALS(
        rank=rank, regParam=reg, maxIter=15, implicitPrefs=implicit, userCol="user", itemCol="item", seed=1,
        ratingCol="rating", alpha=10.0 if implicit else 1.0,
    )  # fmt: skip
    return Mllib(als.fit(session.createDataFrame(frame).cache()), data, "ranking" if implicit else "rating")


def value(model: Any, train: Any, test: Any, metric: str) -> float:
    found = cf.evaluate(model, test, [metric], train=train, draws=0)
    return float(found["value"][0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="ml-100k", choices=("ml-100k", "ml-1m"))
    asked = parser.parse_args()
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(sys.path),
        "spark.sql.shuffle.partitions": "4",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    split = cf.split.random(cf.load_dataset(asked.data), valid=0.2, seed=1)
    inner = cf.split.random(split.train, valid=0.1, seed=2)
    print(f"{asked.data}: {len(split.train):,} ratings to train on, {len(split.valid):,} to test", flush=True)
    for metric, implicit, grid in (("rmse", False, RATINGS), ("ndcg@10", True, IMPLICIT)):
        best: tuple[float, Any] | None = None
        for rank, reg in grid:
            start = time.perf_counter()
            model = train_mllib(session, inner.train, rank, reg, implicit)
            found = value(model, inner.train, inner.valid, metric)
            seconds = time.perf_counter() - start
            print(f"  MLlib rank {rank}, reg {reg}: {metric} {found:.4f} on 10 %, {seconds:.0f} s", flush=True)
            if best is None or (found < best[0]) == (metric == "rmse"):
                best = found, (rank, reg)
        assert best is not None
        model = train_mllib(session, split.train, *best[1], implicit)
        theirs = value(model, split.train, split.valid, metric)
        with tempfile.TemporaryDirectory() as folder:
            name = "ials" if implicit else "als"
            place, on = Path(folder), engines.spark(session)
            ours = engines.fit(split.train, name, place / "w", place / "m", executor=on, seed=1)
            mine = value(ours, split.train, split.valid, metric)
        print(
            f"{metric}: MLlib (rank {best[1][0]}, reg {best[1][1]}) {theirs:.4f}, cofactor {name} {mine:.4f}",
            flush=True,
        )
    session.stop()


if __name__ == "__main__":
    main()
