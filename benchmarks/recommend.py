"""How long lists take: one from a history, and one for every user into a file with a filter; each model on ml-1m.

Models are trained for few epochs, since that changes nothing about the time of a list. The peak memory is that of the
whole process so far: give one model for a figure of its own.

    python benchmarks/recommend.py --models als,ease
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import cofactor as cf

SHORT: dict[str, dict[str, Any]] = {
    "bayes-mf": {"epochs": 35, "burn_in": 5},
    "neural": {"epochs": 1},
    "bpr": {"epochs": 2},
    "warp": {"epochs": 2},
    "ials": {"epochs": 3},
    "als": {"epochs": 5},
    "svd++": {"epochs": 3},
    "dot-bias": {"epochs": 1, "n_factors": 50},
    "blend": {"models": ("ease", "item-cosine"), "weights": (0.5, 0.5)},
}


def seconds(call: Any, times: int) -> list[float]:
    """How long each of some calls took, after one that does not count."""
    call()
    out = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        out.append(time.perf_counter() - started)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-1m")
    parser.add_argument(
        "--models", default="bias,als,svd++,item-knn,user-knn,dot-bias,neural,bayes-mf,ease,ials,slim,bpr,blend"
    )
    args = parser.parse_args()
    data = cf.load_dataset(args.dataset)
    items, values = data.by_user.row(10)
    history = dict(zip(data.item_ids.decode(items).to_list(), values.tolist()))
    print(f"{data!r}; a history of {len(history)} items")
    for name in args.models.split(","):
        rec = cf.fit(data, model=name, seed=0, calibrate=False, **SHORT.get(name, {}))
        one = seconds(lambda rec=rec: rec.recommend(history=history), 15)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "recs.parquet"
            every = seconds(lambda rec=rec, out=out: rec.recommend_all(10, out=out, where="genres contains Drama"), 3)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{name:12s} one list {1000 * np.median(one):6.2f} ms (best {1000 * min(one):.2f}), everybody"
            f" {np.median(every):5.2f} s, peak {peak:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
