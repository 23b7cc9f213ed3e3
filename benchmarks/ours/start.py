"""The first training of a fresh process: seconds from the arrays being ready, what is imported and compiled on the way
included."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

asked = json.loads(sys.argv[1])

from cofactor.data.datasets import load_dataset  # noqa: E402
from cofactor.data.splits import random  # noqa: E402

split = random(load_dataset("ml-100k", item="title", download=False), valid=0.2, seed=42)
assert isinstance(split.train.values, np.ndarray)
start, busy = time.perf_counter(), time.process_time()

import cofactor as cf  # noqa: E402

if asked["model"] == "collab_learner":
    learn = cf.collab_learner(split, n_factors=50, y_range=(0, 5.5), verbose=False)
    learn.fit_one_cycle(1, 5e-3, wd=0.1)
else:
    cf.fit(split.train, model=asked["model"], calibrate=False, **asked["config"])
seconds, cpu = time.perf_counter() - start, time.process_time() - busy

files = sorted({name.partition(".")[0] for name in sys.modules if "." not in name} & {"torch", "matplotlib", "pandas"})
print(json.dumps({"seconds": seconds, "cpu": cpu, "also": files}))
