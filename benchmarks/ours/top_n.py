"""Ten items for everybody by cofactor and by NumPy, from given factors; median seconds of each."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from factorise import part, train
from memory import peak

from cofactor.kernels.products import dots
from cofactor.recommend.topn import blocks, mask_rows, top_n
from cofactor.recommender import Recommender

Array = Any
N = 10


def by_numpy(users: Array, items: Array, seen: Any, n: int) -> Array:
    """What one writes: BLAS, a mask by fancy indexing, argpartition, in blocks of 1000 users."""
    out = np.empty((len(users), n), np.int64)
    transposed = np.ascontiguousarray(items.T)
    for first in range(0, len(users), 1000):
        scores = users[first : first + 1000] @ transposed
        lo, hi = seen.indptr[first], seen.indptr[first + len(scores)]
        rows = np.repeat(np.arange(len(scores)), np.diff(seen.indptr[first : first + len(scores) + 1]))
        scores[rows, seen.indices[lo:hi]] = -np.inf
        some = np.argpartition(-scores, n, axis=1)[:, :n]
        order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
        out[first : first + len(scores)] = np.take_along_axis(some, order, axis=1)
    return out


def by_kernel(users: Array, items: Array, seen: Any, n: int) -> Array:
    """Blocks of scores, masked, then the partial selection: what ``recommend_all`` does under its frame."""
    out = np.empty((len(users), n), np.int32)
    for block in blocks(len(users), len(items)):
        scores = dots(users[block], items)
        mask_rows(scores, seen.take(np.arange(block.start, block.stop)))
        out[block] = top_n(scores, n)[0]
    return out


def median_of(runs: int, work: Callable[[], Any]) -> float:
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main() -> None:
    asked = json.loads(sys.argv[1])
    data = part(np.load(asked["file"]), "train")
    model, _ = train(data, "als", {"n_factors": 50, "epochs": asked["epochs"]})
    mean, _, user_table, item_table = model.tables()
    ones = np.ones((len(item_table), 1), np.float32)
    items = np.concatenate([item_table[:, :-1], item_table[:, -1:], ones], axis=1)
    offset = np.full((len(user_table), 1), mean, np.float32)
    users = np.concatenate([user_table[:, :-1], np.ones_like(offset), user_table[:, -1:] + offset], axis=1)
    seen = data.by_user
    rec = Recommender(model, data)
    before = peak()
    with tempfile.TemporaryDirectory() as there:
        found = {
            "kernel": median_of(asked["runs"], lambda: by_kernel(users, items, seen, N)),
            "frame": median_of(asked["runs"], lambda: rec.recommend_all(n=N)),
            "parquet": median_of(asked["runs"], lambda: rec.recommend_all(n=N, out=Path(there) / "recs.parquet")),
        }
        found["memory"], found["peak"] = peak() - before, peak()
        found["numpy"] = median_of(asked["runs"], lambda: by_numpy(users, items, seen, N))
    mine, theirs = by_kernel(users, items, seen, N), by_numpy(users, items, seen, N)
    found["agree"] = float(np.mean(mine == theirs))
    np.savez(asked["out"], users=users, items=items, indptr=seen.indptr, indices=seen.indices, lists=mine)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
