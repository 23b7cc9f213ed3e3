"""Approximate against exact search: recall, and how long lists take, on a synthetic catalogue.

The vectors are those of an ``als`` model with 32 factors: few directions count most, norms differ, items have biases.
Every item is rated by one of 2,000 users, who have 10 more ratings each. Times are the best of three.

    python benchmarks/approximate.py 100000 --effort 128,256
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import polars as pl

import cofactor as cf
from cofactor.data.interactions import Interactions
from cofactor.models.als import ALS, ALSConfig
from cofactor.recommender import Recommender

N_USERS, K = 2_000, 32


def catalogue(n_items: int, rng: np.random.Generator) -> Interactions:
    """Ratings of all items."""
    items = np.concatenate([np.arange(n_items), rng.integers(0, n_items, 10 * N_USERS)])
    users = np.concatenate([rng.integers(0, N_USERS, n_items), np.repeat(np.arange(N_USERS), 10)])
    frame = pl.DataFrame({"user": users, "item": items, "rating": rng.integers(1, 6, len(items))})
    return cf.read(frame.unique(["user", "item"], keep="first", maintain_order=True))


def planted(data: Interactions, rng: np.random.Generator) -> ALS:
    """An ``als`` model with vectors drawn at random."""
    falling = 1 / np.sqrt(1 + np.arange(K))
    norms = np.exp(0.3 * rng.standard_normal((data.n_items, 1)))
    items = np.hstack([rng.standard_normal((data.n_items, K)) * falling * norms, rng.normal(0, 0.5, (data.n_items, 1))])
    users = np.hstack([rng.standard_normal((data.n_users, K)) * falling, rng.normal(0, 0.5, (data.n_users, 1))])
    state = {"mean": np.array(3), "range": np.array([1, 5]), "users": users, "items": items}
    state |= {"spread": np.zeros_like(items), "ridge": np.ones(K + 1)}
    return ALS.from_state(ALSConfig(n_factors=K), {name: np.asarray(a, np.float32) for name, a in state.items()})


def best(call: Callable[[], object]) -> float:
    """Seconds of the fastest of three calls."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def timed(rec: Recommender) -> tuple[float, float]:
    """Seconds for everybody, milliseconds for one user."""
    users = rec.data.user_ids.values[:100].to_list()
    return best(lambda: rec.recommend_all(10)), 10 * best(lambda: [rec.recommend(user) for user in users])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", type=int)
    parser.add_argument("--effort", default="256")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    data = catalogue(args.items, rng)
    rec = Recommender(planted(data, rng), data)
    every, one = timed(rec)
    print(f"{data!r}\nexact: everybody {every:.2f} s, one {one:.2f} ms", flush=True)
    for effort in map(int, args.effort.split(",")):
        started = time.perf_counter()
        fast = rec.approximate(above=0, effort=effort)
        built = time.perf_counter() - started
        fast_every, fast_one = timed(fast)
        print(
            f"effort {effort}: {fast.index!r}, built in {built:.0f} s; everybody {fast_every:.2f} s"
            f" ({every / fast_every:.1f} times as fast), one {fast_one:.2f} ms ({one / fast_one:.1f} times)",
            flush=True,
        )


if __name__ == "__main__":
    main()
