"""The most memory that one training has, and what was forecast for it: one process, one model, one synthetic table.

``fresh``: the first training of the process, which compiles what is not in numba's cache.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from memory import peak, resident
from synthetic import ratings

from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions
from cofactor.fitting.estimate import forecast
from cofactor.fitting.fit import fit_named
from cofactor.models import model_class
from cofactor.models.base.config import make_config


def made(rows: int, users: int, items: int, timed: bool) -> Interactions:
    who, what, values = ratings(rows, users, items)
    times = 10**9 + np.random.default_rng(1).integers(0, 10**8, rows) if timed else None
    ids = (IdMap(pl.Series(np.arange(n)), kind) for n, kind in ((users, "user"), (items, "item")))
    return Interactions(who, what, values, times, *ids)


def settled() -> float:
    """MB now, after what can be given back has been."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return resident()


def main() -> None:
    asked = json.loads(sys.argv[1])
    name = asked["model"]
    config: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in asked["config"].items()}
    for rows, users, items in ((600_000, 4000, 500), (3000, 200, 100)):  # large enough for every kernel to be compiled
        if rows < asked["rows"] and not asked.get("fresh"):
            fit_named(made(rows, users, items, asked["timed"]), name, seed=1, calibrate=asked["calibrate"], **config)
    data = made(asked["rows"], asked["users"], asked["items"], asked["timed"])
    said = forecast(data, {name: make_config(model_class(name).Config, config)}, calibrate=asked["calibrate"])
    before = settled()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    fit_named(data, name, seed=1, calibrate=asked["calibrate"], **config)
    found = said.row(by_predicate=pl.col("model") == name, named=True)
    print(json.dumps({"before": before, "measured": peak() * 2**20 / 1e6, "forecast": found["memory_mb"]}))


if __name__ == "__main__":
    main()
