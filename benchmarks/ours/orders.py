"""RMSE of dot-bias on held-out rows: in the plain order, by another seed of it, and by strata."""

from __future__ import annotations

import json
import sys

import numpy as np
from factorise import part

from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.train import Learner

asked = json.loads(sys.argv[1])
arrays = np.load(asked["file"])
train, test = part(arrays, "train"), part(arrays, "test")
found = {}
for name, parallel, more in (("plain", "off", 0), ("again", "off", 1000), ("strata", "on", 0)):
    model = DotBias(DotBiasConfig(parallel=parallel))
    learn = Learner(train, model, seed=asked["seed"] + more, bs=64, verbose=False)
    learn.fit_one_cycle(5, 5e-3, wd=0.1)
    found[name] = float(np.sqrt(np.mean((model.predict(test.users, test.items) - test.values) ** 2)))
print(json.dumps(found))
