"""dot-bias on arrays from .npy files: seconds an epoch, and the peak memory of this process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from memory import peak

from cofactor import collab_learner
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.train import Learner


def learner(data: Interactions, bs: int) -> object:
    return collab_learner(data, n_factors=50, y_range=(0, 5.5), bs=bs, verbose=False)


asked = json.loads(sys.argv[1])
ids = [IdMap(pl.Series(np.arange(n, dtype=np.int32)), kind) for n, kind in zip(asked["shape"], ("user", "item"))]
small = [IdMap(pl.Series(np.arange(200)), kind) for kind in ("user", "item")]
some = np.arange(20_000, dtype=np.int32)
few = Interactions(some // 100, (some * 7) % 200, (some % 5 + 1).astype(np.float32), None, *small)
for parallel in ("off", "on"):  # compiled, and a little memory touched
    model = DotBias(DotBiasConfig(n_factors=50, y_range=(0.0, 5.5), parallel=parallel))
    Learner(few, model, bs=64, verbose=False).fit_one_cycle(1)
before = peak()
arrays = [np.load(Path(asked["folder"]) / f"{name}.npy") for name in ("users", "items", "values")]
held = sum(a.nbytes for a in arrays) / 2**20
data = Interactions(*arrays, None, *ids)
learn = learner(data, asked["bs"])
start = time.perf_counter()
learn.fit_one_cycle(asked["epochs"], 5e-3, wd=0.1)
learn.model.flush()
seconds = (time.perf_counter() - start) / asked["epochs"]
tables = (learn.model.user_table.nbytes + learn.model.item_table.nbytes) / 2**20
print(
    json.dumps(
        {
            "seconds": seconds,
            "rows": len(data),
            "arrays": held,
            "tables": tables,
            "before": before,
            "peak": peak(),
            "loss": learn.recorder.values[-1][0],
        }
    )
)
