"""Rating models of cofactor on a split saved as arrays, asked for and answering as rivals/factorise.py does."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions
from cofactor.models import model_class
from cofactor.models.base.config import make_config
from cofactor.train import Learner


def part(data: Any, name: str) -> Interactions:
    users, items, values = (data[f"{name}_{k}"] for k in ("users", "items", "values"))
    ids = (IdMap(pl.Series(range(n)), kind) for n, kind in zip(data["shape"].tolist(), ("user", "item")))
    return Interactions(users, items, values, None, *ids)


def train(data: Interactions, model: str, setting: dict[str, Any]) -> tuple[Any, float]:
    """Seconds from the arrays to the trained model, grouping by row included."""
    setting = dict(setting)
    bs = setting.get("batch_size", 64)
    cls = model_class(model)
    learn = Learner(data, cls(make_config(cls.Config, setting)), seed=0, bs=bs, verbose=False)
    start = time.perf_counter()
    if learn.model.kind == "batch":
        learn.fit_one_cycle(learn.model.config.epochs, learn.model.config.lr, wd=learn.model.config.wd)
        learn.model.flush()
    else:
        learn.fit(learn.model.config.epochs)
    return learn.model, time.perf_counter() - start


def main() -> None:
    asked = json.loads(sys.argv[1])
    arrays = np.load(asked["file"])
    rows, test = part(arrays, "train"), part(arrays, "valid")
    short = {"epochs": 3, "burn_in": 1} if asked["library"] == "bayes-mf" else {"epochs": 1}
    some = rows.take(np.arange(0, len(rows), 50))
    train(some, asked["library"], {**asked["runs"][0], **short})  # compile
    if asked["library"] == "dot-bias":
        train(some, "dot-bias", {**asked["runs"][0], **short, "parallel": "on"})  # what large epochs take
    found = []
    for setting in asked["runs"]:
        fresh = rows.replace()  # nothing grouped by row from the last run
        model, seconds = train(fresh, asked["library"], setting)
        error = np.clip(model.predict(test.users, test.items).astype(np.float64), *rows.range) - test.values
        found.append({"seconds": seconds, "rmse": float(np.sqrt(np.mean(error**2)))})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
