"""Rating models of others, trained on rows saved as arrays; their predictions of the held-out rows are saved as arrays.

Runs in an environment of theirs. Asked: ``method``, ``file`` (the rows), ``runs`` (a list of ``[setting, out]``; each
is one training) and ``limit`` (seconds, after which no training is begun). Figures are computed elsewhere, by one
program for everybody. Prints how many trainings were done.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factorise
import numpy as np
from factorise import Part, inverse

Array = Any
Predict = Callable[[Array, Array], Array]
"""What was trained predicts held-out users and items; those never seen in training may be among them."""


def by_factors(method: Callable[..., Any]) -> Callable[..., Predict]:
    """The methods that are already in ``factorise.py``."""
    return lambda data, setting: method(Part(data, "train"), data["shape"].tolist(), setting)[1]


def surprise(data: Any, setting: dict[str, Any]) -> Predict:
    """SVD++ and KNNBaseline, predicted pair by pair as they do it."""
    from surprise import Dataset, KNNBaseline, Reader, SVDpp

    setting = dict(setting)
    kind = setting.pop("kind")
    users, items, values = (data[f"train_{k}"].tolist() for k in ("users", "items", "values"))
    rows = [(str(u), str(i), r, None) for u, i, r in zip(users, items, values)]
    train = Dataset(Reader(rating_scale=(min(values), max(values)))).construct_trainset(rows)
    if kind == "svd++":
        model = SVDpp(random_state=0, cache_ratings=True, **setting)
    else:
        sims = {"name": "pearson_baseline", "user_based": kind == "user", "shrinkage": setting.pop("shrinkage", 100)}
        model = KNNBaseline(sim_options=sims, verbose=False, **setting)
    model.fit(train)
    return lambda u, i: np.array([model.predict(str(a), str(b), clip=False).est for a, b in zip(u, i)])


def lenskit_knn(data: Any, setting: dict[str, Any]) -> Predict:
    """Item-kNN; where it has no neighbour, their bias model."""
    import pandas as pd
    from lenskit.basic import BiasScorer
    from lenskit.data import ItemList, RecQuery, from_interactions_df
    from lenskit.knn import ItemKNNScorer

    part = Part(data, "train")
    frame = pd.DataFrame({"user_id": part.users, "item_id": part.items, "rating": part.values})
    rows = from_interactions_df(frame)
    model, bias = ItemKNNScorer(**setting), BiasScorer(damping=5)
    model.train(rows)
    bias.train(rows)

    def predict(users: Array, items: Array) -> Array:
        out = np.full(len(users), np.nan)
        order = np.argsort(users, kind="stable")
        for at in np.split(order, np.flatnonzero(np.diff(users[order])) + 1):
            known, asked = rows.user_row(users[at[0]]), ItemList(item_ids=items[at])
            query = RecQuery(user_id=users[at[0]], user_items=known)
            scores = np.full(len(at), np.nan) if known is None else np.array(model(query, asked).scores())
            out[at] = np.where(np.isfinite(scores), scores, bias(query, asked).scores())
        return np.where(np.isfinite(out), out, part.values.mean())

    return predict


def cornac_pmf(data: Any, setting: dict[str, Any]) -> Predict:
    """PMF; means where user or item is new."""
    import cornac

    part, shape = Part(data, "train"), data["shape"].tolist()
    rows = cornac.data.Dataset.from_uir(list(zip(part.users.tolist(), part.items.tolist(), part.values.tolist())))
    model = cornac.models.PMF(verbose=False, seed=0, **setting)
    model.fit(rows)
    users, items = inverse(rows.uid_map, shape[0]), inverse(rows.iid_map, shape[1])

    def predict(u: Array, i: Array) -> Array:
        pairs = zip(users[u].tolist(), items[i].tolist())
        return np.array([rows.global_mean if a < 0 or b < 0 else float(model.score(a, b)) for a, b in pairs])

    return predict


def myfm(data: Any, setting: dict[str, Any]) -> Any:
    """Bayesian factorisation machines, as their authors' examples set them up.

    ``blocks``: who rated what as relation blocks of users and of items ("SVD++ flipped"); ``days``: the day of a
    rating besides ("timeSVD++ flipped"); ``ordered``: ordered probit.
    """
    import myfm as m
    import scipy.sparse as sp

    n_users, n_items = data["shape"].tolist()
    users, items, shapes = sp.eye(n_users, format="csr"), sp.eye(n_items, format="csr"), [[n_users], [n_items]]
    if setting.get("blocks"):
        pairs = (data["train_users"], data["train_items"])
        seen = sp.csr_matrix((np.ones(len(pairs[0])), pairs), shape=(n_users, n_items))
        users, items = sp.hstack([users, scaled(seen)]).tocsr(), sp.hstack([items, scaled(seen.T.tocsr())]).tocsr()
        shapes = [[n_users, n_items], [n_items, n_users]]
    days = np.unique(data["train_times"] // 86400) if setting.get("days") else np.empty(0)

    def design(part: str) -> tuple[Any, list[Any]]:
        u, i = (data[f"{part}_{k}"].astype(int) for k in ("users", "items"))
        if not setting.get("blocks"):
            return sp.hstack([users[u], items[i]]).tocsr(), []
        blocks = [m.RelationBlock(u, users), m.RelationBlock(i, items)]
        if not len(days):
            return None, blocks
        day = data[f"{part}_times"] // 86400
        at = np.minimum(np.searchsorted(days, day), len(days) - 1)
        known = np.flatnonzero(days[at] == day)
        return sp.csr_matrix((np.ones(len(known)), (known, at[known])), shape=(len(u), len(days))), blocks

    levels, y = np.unique(data["train_values"], return_inverse=True)
    ordered = bool(setting.get("ordered"))
    model = (m.MyFMOrderedProbit if ordered else m.MyFMRegressor)(rank=setting["rank"], random_seed=0)
    n = setting.get("n_iter", 300)
    groups = [*([len(days)] if len(days) else []), *shapes[0], *shapes[1]]
    x, blocks = design("train")
    target = y.astype(int) if ordered else data["train_values"].astype(float)
    model.fit(x, target, X_rel=blocks, n_iter=n, n_kept_samples=n - 20, group_shapes=groups)

    def predict(u: Array, i: Array) -> Array:
        x, blocks = design("valid")
        if ordered:
            return model.predict_proba(x, blocks) @ levels
        return model.predict(x, blocks)

    return predict


def scaled(matrix: Any) -> Any:
    """Rows divided by the square root of their number of entries."""
    import scipy.sparse as sp

    return sp.diags(1 / np.sqrt(np.maximum(np.diff(matrix.indptr), 1))) @ matrix


METHODS: dict[str, Callable[..., Predict]] = {
    "surprise-svd": by_factors(factorise.surprise),
    "surprise": surprise,
    "lenskit-als": by_factors(factorise.lenskit),
    "lenskit-knn": lenskit_knn,
    "libmf": by_factors(factorise.libmf),
    "cornac-mf": by_factors(factorise.cornac),
    "cornac-pmf": cornac_pmf,
    "myfm": myfm,
}


def main() -> None:
    asked = json.loads(sys.argv[1])
    begun, done = time.monotonic(), 0
    data = dict(np.load(asked["file"]))
    low, high = float(data["train_values"].min()), float(data["train_values"].max())
    for setting, out in asked["runs"]:
        if time.monotonic() - begun > asked["limit"]:
            break
        start, cpu = time.perf_counter(), time.process_time()
        predict = METHODS[asked["method"]](data, setting)
        seconds = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        found = np.clip(predict(data["valid_users"], data["valid_items"]), low, high).astype(np.float32)
        np.save(out, found)
        Path(out).with_suffix(".json").write_text(json.dumps({"setting": setting, **seconds}))
        done += 1
    print(json.dumps(done))


if __name__ == "__main__":
    main()
