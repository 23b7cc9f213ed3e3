"""fastai: the notebook's training, on rows that were split already. Runs in fastai's environment."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd
import torch
from fastai.collab import TabularCollab, collab_learner
from fastai.data.block import TransformBlock
from fastai.tabular.core import Categorify, TabDataLoader, TabWeightedDL

asked = json.loads(sys.argv[1])
if asked["mended"]:  # 2.8.12 draws the rows of an epoch with replacement; this is the shuffle it had before
    TabWeightedDL.get_idxs = TabDataLoader.get_idxs
data = np.load(asked["file"])
columns = {n: np.concatenate([data[f"{p}_{n}"] for p in ("train", "valid")]) for n in ("users", "items", "values")}
n = len(data["train_users"])


def learner(rows: int) -> object:
    frame = pd.DataFrame(columns)
    splits = list(range(rows)), list(range(n, len(frame)))
    parts = TabularCollab(
        frame, [Categorify], ["users", "items"], y_names=["values"], y_block=TransformBlock(), splits=splits
    )
    dls = parts.dataloaders(bs=64)
    if asked.get("network"):
        return collab_learner(dls, use_nn=True, layers=[100, 50], y_range=(0, 5.5))
    return collab_learner(dls, n_factors=50, y_range=(0, 5.5))


def train(learn: object, epochs: int) -> None:
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, 5e-3, wd=0.1)


torch.manual_seed(asked["seed"])
np.random.seed(asked["seed"])  # noqa: NPY002  what its loader draws from
train(learner(2000), 1)
learn = learner(asked.get("rows") or n)
assert isinstance(learn.dls.train, TabWeightedDL)
start, busy = time.perf_counter(), time.process_time()
train(learn, 5)
seconds, cpu = time.perf_counter() - start, time.process_time() - busy
print(json.dumps({"seconds": seconds, "cpu": cpu, "mse": float(learn.validate()[0])}))
