"""One training of a model on arrays from .npy files: seconds a rating, and its memory beside the forecast."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from memory import peak

from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions
from cofactor.fitting.estimate import forecast
from cofactor.fitting.fit import fit_named
from cofactor.models import model_class
from cofactor.models.base.config import make_config

asked = json.loads(sys.argv[1])
name, config = asked["model"], asked["config"]


def table(users: np.ndarray, items: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> Interactions:
    times = np.random.default_rng(1).integers(10**9, 11 * 10**8, len(users)) if asked["timed"] else None
    ids = (IdMap(pl.Series(np.arange(n, dtype=np.int32)), kind) for n, kind in zip(shape, ("user", "item")))
    return Interactions(users, items, values, times, *ids)


some = np.arange(200_000, dtype=np.int32)
few = table(some // 100, (some * 7) % 2000, (some % 5 + 1).astype(np.float32), (2000, 2000))
fit_named(few, name, seed=1, calibrate=False, **config)  # compiled
arrays = [np.load(Path(asked["folder"]) / f"{part}.npy") for part in ("users", "items", "values")]
data = table(*arrays, asked["shape"])
said = forecast(data, {name: make_config(model_class(name).Config, config)}, calibrate=False)
gc.collect()
ctypes.CDLL("libc.so.6").malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
start, clock = time.process_time(), time.perf_counter()
fit_named(data, name, seed=1, calibrate=False, **config)
cpu, clock = time.process_time() - start, time.perf_counter() - clock
wanted = said.row(by_predicate=pl.col("model") == name, named=True)["memory_mb"]
print(json.dumps({"cpu": cpu, "seconds": clock, "rows": len(data), "peak": peak() * 2**20 / 1e6, "forecast": wanted}))
