"""Seconds of one epoch in the dot-bias kernel, flush included, warm: median and best of several."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from factorise import part

from cofactor.model import Hyper
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.train.learner import epoch_order
from cofactor.train.schedules import one_cycle_plan

asked = json.loads(sys.argv[1])
data, bs = part(np.load(asked["file"]), "train"), asked["bs"]
n = len(data) // bs
stepper = DotBias(DotBiasConfig(y_range=(0.0, 5.5))).stepper(data, np.random.default_rng(0))
lr, mom = one_cycle_plan(1, 5e-3, 0.1).arrays(0, 0, n, n)
seconds = []
for run in range(asked["runs"] + 1):
    rows = epoch_order(len(data), 0, run)[: n * bs]
    start = time.perf_counter()
    stepper.run(rows, Hyper(lr, mom, 0.1, bs))
    stepper.flush()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": float(np.median(seconds[1:])), "best": min(seconds[1:]), "rows": n * bs}))
