"""Large data: cost a rating and memory, ML-1M against synthetic sets of 20 (and for dot-bias 100) million ratings.

The synthetic ratings are made once, into benchmarks/.cache/large; with ``--prepare`` nothing else is done. With
``--models`` only the other models are measured, those that are not in the cache yet, into results/large_models.md.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, OURS, QUICK, Page, mid, save, table, worker
from synthetic import ratings

import cofactor as cf
from cofactor.data.interactions import Interactions

SIZES = {
    "synthetic, like ML-20M": (20_000_000, 138_493, 26_744),
    "synthetic, like Netflix": (100_000_000, 480_189, 17_770),
}
ROUNDS, THREADS, BS = 1 if QUICK else 3, (1, 2), 64
SEEDS = 2 if QUICK else 8
MODELS: dict[str, dict[str, Any]] = {
    "als": {"epochs": 2},
    "ials": {"epochs": 2},
    "bpr": {"epochs": 1},
    "bayes-mf": {"epochs": 4, "burn_in": 2},
    "item-cosine": {},
    "next-item": {},
}
"""Models that are trained once, with so many epochs."""
KEPT = HERE / ".cache" / ("large-quick" if QUICK else "large")


def measured(there: Path, shape: tuple[int, int], threads: int, epochs: int) -> dict[str, Any]:
    params = {"folder": str(there), "shape": shape, "bs": BS, "epochs": epochs}
    found: dict[str, Any] = worker(OURS, HERE / "ours" / "large.py", params, threads=threads)
    return found


def prepared() -> tuple[dict[str, tuple[int, int]], Interactions]:
    """Users and items of each set whose columns stand in KEPT; and ML-1M."""
    million = cf.load_dataset("ml-1m", item="id")
    shapes = {"ML-1M": (million.n_users, million.n_items)}
    keep("ML-1M", lambda: (million.users, million.items, million.values))
    small = QUICK or os.environ.get("COFACTOR_BENCH_NO_NETFLIX")
    for name, (n, n_users, n_items) in list(SIZES.items())[: 1 if small else 2]:
        shapes[name] = (n_users, n_items)
        keep(name, lambda n=n, shape=shapes[name]: ratings(n // 20 if QUICK else n, *shape))
    return shapes, million


def keep(name: str, columns: Callable[[], tuple[Any, Any, Any]]) -> None:
    """The columns of a set as three files, unless they are there."""
    if not (KEPT / name / "values.npy").exists():
        (KEPT / name).mkdir(parents=True, exist_ok=True)
        for part, column in zip(("users", "items", "values"), columns()):
            np.save(KEPT / name / f"{part}.npy", column)


def main() -> None:
    shapes, million = prepared()
    if "--prepare" in sys.argv:
        return
    if "--models" in sys.argv:
        page = Page("large_models", "Other models on large data", "jobs/large.py --models")
        models(page, shapes)
        page.write()
        return
    page = Page("large", "Large data")
    rows = []
    for threads in THREADS:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in shapes}
        for r in range(ROUNDS):
            for name, shape in shapes.items():
                if "Netflix" not in name:
                    found[name].append(measured(KEPT / name, shape, threads, 10 if name == "ML-1M" else 2))
                elif r == 0 and threads == THREADS[-1]:
                    found[name].append(measured(KEPT / name, shape, threads, 1))
        base = mid(found["ML-1M"], "seconds") / found["ML-1M"][0]["rows"]
        for name, runs in found.items():
            if not runs:
                continue
            cost, arrays = mid(runs, "seconds") / runs[0]["rows"], runs[0]["arrays"]
            peak, before = mid(runs, "peak"), mid(runs, "before")
            memory = [f"{x:.0f}" for x in (arrays, 3 * runs[0]["tables"], before, peak)]
            shape = f"{runs[0]['rows']:,} ({shapes[name][0]:,} × {shapes[name][1]:,})"
            cells = [name, shape, threads, f"{mid(runs, 'seconds'):.2f}", f"{1e9 * cost:.0f}", f"{cost / base:.2f}"]
            rows.append([*cells, *memory, f"{peak / arrays:.1f}", f"{(peak - before) / arrays:.1f}"])
    page.say(
        f"Epochs of `collab_learner` (50 factors, batches of {BS}), warm, from arrays in memory; medians of {ROUNDS}"
        " rounds of the mean over ten epochs (two for the 20 million; the largest trains once, for one epoch)."
        " *Arrays* are those that hold the ratings (two int32 codes and a float32 each), *tables* the weights with"
        " both moments, *before* what a process with everything loaded and compiled has used before the arrays."
    )
    head = [
        "",
        "ratings (users × items)",
        "threads",
        "s an epoch",
        "ns a rating",
        "times ML-1M",
        "arrays MB",
        "tables MB",
    ]
    page.show(table([*head, "before MB", "peak MB", "peak / arrays", "(peak - before) / arrays"], rows))
    page.say(
        "Targets, for the 20 million: within 1.6 times the cost a rating of ML-1M; peak at most 3 times the arrays."
    )
    page.say(
        f"What the order by strata does to the error: ML-1M, a tenth held out at random, 5 epochs with the defaults,"
        f" seeds 0 to {SEEDS - 1} for the split, the first values and the order. *Again* is the plain order by another"
        " seed (other first values too): how much chance there is in a difference. RMSE on the tenth; the last row is"
        " the mean difference from the plain order."
    )
    names = ("plain", "again", "strata")
    errors = [rmse(million, seed) for seed in range(SEEDS)]
    lines: list[list[Any]] = [[seed, *(f"{e[name]:.5f}" for name in names)] for seed, e in enumerate(errors)]
    lines.append(["mean difference", *(f"{np.mean([e[n] - e['plain'] for e in errors]):+.5f}" for n in names)])
    page.show(table(["seed", *names], lines))
    models(page, shapes)
    page.write()


def models(page: Page, shapes: dict[str, tuple[int, int]]) -> None:
    """The table of models: seconds a rating of the smaller set and of the larger one, memory beside the forecast."""
    rows: list[list[Any]] = []
    for name, config in MODELS.items():
        base = 0.0
        for data in list(shapes)[:2]:
            params = {"folder": str(KEPT / data), "shape": shapes[data], "model": name, "config": config}
            params["timed"] = name == "next-item"
            found = once(KEPT / "models" / f"{name}, {data}.json", params)
            cost = found["cpu"] / found["rows"]
            base = base or cost
            said = ", ".join(f"{key}={value}" for key, value in config.items())
            memory = [f"{found['peak']:.0f}", f"{found['forecast']:.0f}", f"{found['forecast'] / found['peak']:.2f}"]
            rows.append([f"`{name}`", said, data, f"{1e9 * cost:.0f}", f"{cost / base:.2f}", *memory])
    page.say(
        "Other models: processor time of one training on two threads, once, from arrays in memory, and the most memory"
        " of the process (MB of 10^6 bytes) beside what `cofactor check` forecasts. Targets: the cost a rating of the"
        " larger set is that of ML-1M, and the memory is within the forecast. Pairs of a user's items are what"
        " `item-cosine` and `next-item` count, so their cost grows with the length of the histories."
    )
    page.show(table(["model", "", "data", "ns a rating", "times ML-1M", "peak MB", "forecast MB", "ratio"], rows))


def once(place: Path, params: dict[str, Any]) -> dict[str, Any]:
    """What one training costs; measured unless it is there."""
    if not place.exists():
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps(worker(OURS, HERE / "ours" / "large_model.py", params, threads=2)))
    found: dict[str, Any] = json.loads(place.read_text())
    return found


def rmse(data: Interactions, seed: int) -> dict[str, float]:
    """By the name of the order: the error on held-out rows."""
    split = cf.split.random(data, valid=0.1, seed=seed)
    file = save(KEPT / "split.npz", train=split.train, test=split.valid)
    found: dict[str, float] = worker(OURS, HERE / "ours" / "orders.py", {"file": file, "seed": seed}, threads=2)
    return found


if __name__ == "__main__":
    main()
