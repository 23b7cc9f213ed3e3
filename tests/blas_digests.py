"""Digests of the results of each model, with one thread and with two (of numba and of BLAS), as one JSON object."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl
import scipy.linalg  # noqa: F401  (it has an OpenBLAS of its own)
from threadpoolctl import threadpool_info, threadpool_limits

import cofactor as cf
from cofactor.report.report import report_data

QUICK: dict[str, dict[str, Any]] = {
    "als": {"epochs": 3},
    "svd++": {"epochs": 2},
    "dot-bias": {"epochs": 2},
    "bayes-mf": {"epochs": 14, "burn_in": 6},
    "ials": {"epochs": 2},
    "bpr": {"epochs": 3},
    "warp": {"epochs": 3},
    "blend": {"models": ("ease", "ials")},
    "neural": {"epochs": 1},
}
USERS, ITEMS = 520, 410


def ratings() -> Any:
    """Return 30,000 ratings with times and features of both sides."""
    rng = np.random.default_rng(3)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.14)
    left, right = rng.normal(size=(USERS, 3)), rng.normal(size=(ITEMS, 3))
    values = np.clip(np.round(3.2 + (left[users] * right[items]).sum(1) + 0.5 * rng.normal(size=len(users))), 1, 5)
    order = rng.permutation(len(users))
    frame = pl.DataFrame(
        {"user": users, "item": items, "rating": values, "time": 10**9 + rng.integers(0, 10**7, len(users))}
    )
    people = pl.DataFrame({"user": np.arange(USERS), "age": rng.integers(18, 70, USERS)})
    things = pl.DataFrame({"item": np.arange(ITEMS), "genre": rng.choice(["a", "b", "c"], ITEMS)})
    return cf.read(frame[order], user="user", item="item", rating="rating", time="time", users=people, items=things)


def digest(*what: Any) -> str:
    """Return the digest of frames, arrays, texts or bytes."""
    found = hashlib.sha256()
    for each in what:
        if isinstance(each, pl.DataFrame):
            each = each.write_json().encode()
        found.update(each.encode() if isinstance(each, str) else bytes(each))
    return found.hexdigest()[:16]


def shown(name: str, data: Any, split: Any) -> dict[str, str]:
    """Return digests of everything that a user can ask of one model."""
    rec = cf.fit(data, model=name, seed=1, **QUICK.get(name, {}))
    pairs = [(u, i) for u in range(0, USERS, 9) for i in range(0, ITEMS, 9)]
    history = {i: float(1 + i % 5) for i in range(0, ITEMS, 11)}
    state = rec.model.state()
    found = {
        "weights": digest(*(np.ascontiguousarray(state[key]) for key in sorted(state))),
        "scores": digest(rec.model.scores(np.arange(USERS, dtype=np.int32))),
        "recommend": digest(*(rec.recommend(user=u, n=9) for u in (0, 7, 500))),
        "history": digest(rec.recommend(history=history, n=9), rec.recommend(history=history, features={"age": 30})),
        "recommend_all": digest(rec.recommend_all(n=9)),
        "predict": digest(rec.predict(pairs, interval=True)) if name != "popular" and _rates(rec) else "",
        "similar_items": digest(*(rec.similar_items(i, 9) for i in (0, 200))),
        "recommend_new": digest(rec.recommend_new(pl.DataFrame({"item": [900, 901], "genre": ["a", "b"]}), user=3)),
        "explain": digest(str(rec.explain(user=4, item=5)), str(rec.explain(history=history, item=3))),
    }
    if hasattr(rec.model, "factors"):
        found["biases"] = digest(rec.model.bias("item"), rec.model.bias("user"))
        found["embeddings"] = digest(rec.embeddings("item"), rec.embeddings("user"))
    if hasattr(rec.model, "query_vectors"):
        state = rec.model.user_state(np.arange(USERS, dtype=np.int32))
        found["vectors"] = digest(rec.model.query_vectors(state), np.ascontiguousarray(rec.model.item_vectors()))
    if name == "als":
        again = rec.update([(u, u, 5.0) for u in range(40)]).refit(seed=2)
        found["refit"] = digest(again.embeddings("item"))
        found["compare"] = digest(cf.compare(split, models=["als", "bias"], draws=200).pairs)
    with tempfile.TemporaryDirectory() as folder:
        rec.save(Path(folder) / "m.cofactor")
        for file in sorted(Path(folder, "m.cofactor").glob("*")):
            if file.suffix != ".json":  # the manifest contains the time of day
                found[f"file {file.name}"] = digest(file.read_bytes())
        if name == "als":
            found["report"] = digest(json.dumps(report_data(rec) | {"created": "now"}))
    return {f"{name}: {key}": value for key, value in found.items()}


def _rates(rec: Any) -> bool:
    return bool(rec.model.task == "rating")


def main() -> None:
    data = ratings()
    split = cf.split.random(data, valid=0.2, seed=0)
    names = sys.argv[1].split(",")
    out: dict[str, Any] = {
        "blas": sorted({i.get("architecture", "") for i in threadpool_info() if i["user_api"] == "blas"})
    }
    for threads in (1, 2):
        numba.config.NUMBA_NUM_THREADS = threads
        with threadpool_limits(threads):
            out[str(threads)] = {key: v for name in names for key, v in shown(name, data, split).items()}
    print(json.dumps(out))


if __name__ == "__main__":
    main()
