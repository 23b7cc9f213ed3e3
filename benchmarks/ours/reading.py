"""One table, merely read by polars or read and encoded by cofactor: seconds and peak memory of one process.

The first of ``files`` is read once to warm up (a small one); the second is measured.
"""

from __future__ import annotations

import json
import sys
import time

import polars as pl
from memory import peak

asked = json.loads(sys.argv[1])
small, large = asked["files"]


def merely(path: str) -> object:
    return pl.read_parquet(path) if path.endswith("parquet") else pl.read_csv(path)


def ours(path: str) -> object:
    from cofactor.data.read import read

    return read(path, user="userId", item="movieId", rating="rating", time="timestamp")


work = merely if asked["who"] == "polars" else ours
work(small)
start = time.perf_counter()
kept = work(large)
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "peak": peak()}))
