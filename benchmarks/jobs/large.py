"""dot-bias on large data: cost a rating and memory, ML-1M against synthetic sets of 20 and 100 million ratings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, OURS, QUICK, Page, folder, mid, table, worker
from synthetic import ratings

import cofactor as cf

SIZES = {
    "synthetic, like ML-20M": (20_000_000, 138_493, 26_744),
    "synthetic, like Netflix": (100_000_000, 480_189, 17_770),
}
ROUNDS, THREADS, BS = 1 if QUICK else 3, (1, 2), 64


def measured(there: Path, shape: tuple[int, int], threads: int, epochs: int) -> dict[str, Any]:
    params = {"folder": str(there), "shape": shape, "bs": BS, "epochs": epochs}
    found: dict[str, Any] = worker(OURS, HERE / "ours" / "large.py", params, threads=threads)
    return found


def main() -> None:
    page = Page("large", "dot-bias on large data")
    million = cf.load_dataset("ml-1m", item="id")
    wanted = dict(list(SIZES.items())[: 1 if QUICK or os.environ.get("COFACTOR_BENCH_NO_NETFLIX") else 2])
    rows = []
    with folder() as there:
        shapes: dict[str, tuple[int, int]] = {"ML-1M": (million.n_users, million.n_items)}
        for name, columns in (("ML-1M", (million.users, million.items, million.values)), *made(wanted)):
            (there / name).mkdir()
            for part, column in zip(("users", "items", "values"), columns):
                np.save(there / name / f"{part}.npy", column)
        shapes |= {name: size[1:] for name, size in wanted.items()}
        for threads in THREADS:
            found: dict[str, list[dict[str, Any]]] = {name: [] for name in shapes}
            for r in range(ROUNDS):
                for name, shape in shapes.items():
                    if "Netflix" not in name:
                        found[name].append(measured(there / name, shape, threads, 10 if name == "ML-1M" else 2))
                    elif r == 0 and threads == THREADS[-1]:
                        found[name].append(measured(there / name, shape, threads, 1))
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
    page.write()


def made(wanted: dict[str, tuple[int, int, int]]) -> Any:
    """The synthetic columns, one set at a time."""
    for name, (n, n_users, n_items) in wanted.items():
        yield name, ratings(n // 20 if QUICK else n, n_users, n_items)


if __name__ == "__main__":
    main()
