"""Rating models of others on a split saved as arrays: seconds of ``fit`` alone, and RMSE on the held-out rows.

Runs in an environment of theirs. Asked: ``library``, ``file``, ``runs`` (a list of settings; each is one training).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
Trained = tuple[float, Callable[[Array, Array], Array]]
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))


class Part:
    """Users, items, ratings."""

    def __init__(self, data: Any, name: str, rows: slice = slice(None)) -> None:
        self.users, self.items, self.values = (data[f"{name}_{k}"][rows] for k in ("users", "items", "values"))


def timed(fit: Callable[[], Any]) -> float:
    start = time.perf_counter()
    fit()
    return time.perf_counter() - start


def libmf(train: Part, shape: list[int], setting: dict[str, Any]) -> Trained:
    """One number regularises both sides. ``predict`` reads its pairs column by column, hence the Fortran order."""
    from libmf import mf

    setting = dict(setting)
    reg = setting.pop("reg")
    model = mf.MF(nr_threads=THREADS, quiet=True, lambda_p1=0.0, lambda_q1=0.0, lambda_p2=reg, lambda_q2=reg, **setting)
    rows = np.column_stack([train.users, train.items, train.values]).astype(np.float32)

    def predict(users: Array, items: Array) -> Array:
        pairs = np.asfortranarray(np.column_stack([users, items]).astype(np.float32))
        return np.where(items < shape[1], model.predict(pairs), 0.0)

    return timed(lambda: model.fit(rows)), predict


def cornac(train: Part, shape: list[int], setting: dict[str, Any]) -> Trained:
    """Without a seed, as only then it uses more than one thread."""
    import cornac as c

    triples = list(zip(train.users.tolist(), train.items.tolist(), train.values.tolist()))
    data = c.data.Dataset.from_uir(triples)
    model = c.models.MF(num_threads=THREADS, verbose=False, **setting)
    seconds = timed(lambda: model.fit(data))
    users, items = (inverse(m, n) for m, n in ((data.uid_map, shape[0]), (data.iid_map, shape[1])))

    def predict(u: Array, i: Array) -> Array:
        a, b = users[u], items[i]
        z = (model.u_factors[a] * model.i_factors[b]).sum(1) * ((a >= 0) & (b >= 0))
        return data.global_mean + model.u_biases[a] * (a >= 0) + model.i_biases[b] * (b >= 0) + z

    return seconds, predict


def surprise(train: Part, shape: list[int], setting: dict[str, Any]) -> Trained:
    from surprise import SVD, Dataset, Reader

    rows = [
        (str(u), str(i), r, None) for u, i, r in zip(train.users.tolist(), train.items.tolist(), train.values.tolist())
    ]
    data = Dataset(Reader(rating_scale=(1, 5))).construct_trainset(rows)
    model = SVD(random_state=0, **setting)
    seconds = timed(lambda: model.fit(data))
    users = inverse({int(k): v for k, v in data._raw2inner_id_users.items()}, shape[0])
    items = inverse({int(k): v for k, v in data._raw2inner_id_items.items()}, shape[1])

    def predict(u: Array, i: Array) -> Array:
        a, b = users[u], items[i]
        z = (model.pu[a] * model.qi[b]).sum(1) * ((a >= 0) & (b >= 0))
        return data.global_mean + model.bu[a] * (a >= 0) + model.bi[b] * (b >= 0) + z

    return seconds, predict


def lenskit(train: Part, shape: list[int], setting: dict[str, Any]) -> Trained:
    import pandas as pd
    from lenskit.als import BiasedMFScorer
    from lenskit.data import ItemList, RecQuery, from_interactions_df

    frame = pd.DataFrame({"user_id": train.users, "item_id": train.items, "rating": train.values})
    data = from_interactions_df(frame)
    model = BiasedMFScorer(**setting)
    seconds = timed(lambda: model.train(data))

    def predict(users: Array, items: Array) -> Array:
        out = np.full(len(users), np.nan)
        order = np.argsort(users, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(users[order])) + 1):
            query = RecQuery(user_id=users[rows[0]])
            out[rows] = model(query, ItemList(item_ids=items[rows])).scores()
        return np.where(np.isfinite(out), out, train.values.mean())

    return seconds, predict


def inverse(codes: dict[int, int], n: int) -> Array:
    found = np.full(n, -1)
    found[list(codes)] = list(codes.values())
    return found


def main() -> None:
    asked = json.loads(sys.argv[1])
    data = np.load(asked["file"])
    shape = data["shape"].tolist()
    train, test = Part(data, "train"), Part(data, "valid")
    method = {"libmf": libmf, "cornac": cornac, "surprise": surprise, "lenskit": lenskit}[asked["library"]]
    low, high = float(train.values.min()), float(train.values.max())
    method(Part(data, "train", slice(0, 5000)), shape, asked["runs"][0])  # warm
    found = []
    for setting in asked["runs"]:
        seconds, predict = method(train, shape, setting)
        error = np.clip(predict(test.users, test.items), low, high) - test.values
        found.append({"seconds": seconds, "rmse": float(np.sqrt(np.mean(error**2)))})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
