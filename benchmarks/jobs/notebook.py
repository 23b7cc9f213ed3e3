"""The notebook's training: cofactor, fastai, a plain PyTorch loop, the dense update in numba."""

from __future__ import annotations

import numpy as np
from common import HERE, OURS, QUICK, RIVALS, Page, folder, mean, mid, save, table, worker
from environments import python_of, versions_of

import cofactor as cf

ROUNDS, RUNS, NETWORKS, ROWS = (1, 1, 1, 4000) if QUICK else (3, 7, 3, 0)
SIDES = [
    ("fastai as shipped", "fastai_notebook.py", {"mended": False}),
    ("fastai, shuffle mended", "fastai_notebook.py", {"mended": True}),
    ("PyTorch loop, AdamW", "torch_loop.py", {"fused": False}),
    ("PyTorch loop, fused AdamW", "torch_loop.py", {"fused": True}),
]


def main() -> None:
    rival = python_of("fastai")
    page = Page("notebook", "The notebook's training, on one core")
    page.versions += [versions_of(rival, "fastai", "torch")]
    with folder() as there:
        split = cf.split.random(cf.load_dataset("ml-100k", item="title"), valid=0.2, seed=42)
        file = save(there / "rows.npz", train=split.train, valid=split.valid)
        found: dict[str, list[dict[str, float]]] = {}
        theirs: list[dict[str, float]] = []
        for seed in range(ROUNDS):
            for network in (False, True):
                asked = {"file": file, "seed": 10 * seed, "runs": NETWORKS if network else RUNS, "network": network}
                for name, each in worker(OURS, HERE / "ours" / "notebook.py", asked, threads=1).items():
                    found.setdefault(name, []).extend(each)
            for name, path, options in SIDES:
                params = {"file": file, "seed": seed, "rows": ROWS, **options}
                found.setdefault(name, []).append(worker(rival, RIVALS / path, params, threads=1))
            params = {"file": file, "seed": seed, "rows": ROWS, "mended": True, "network": True}
            theirs.append(worker(rival, RIVALS / "fastai_notebook.py", params, threads=1))
    mine = found.pop("network")
    labels = {"ours": "**cofactor**", "tuned": "dense update in numba", "plain": "dense update, bare `@njit`"}
    ours = mid(found["ours"], "seconds")
    page.say(
        f"ML-100k by title, {len(split.train):,} training rows of one random 80/20 split (seed 42), 50 factors,"
        " batches of 64, 5 epochs of one-cycle at 5e-3, weight decay 0.1, `y_range=(0, 5.5)`, the valid loss after"
        " each epoch included. All on one thread, warm, each side in processes of its own, in turn. Medians of"
        f" {len(found['ours'])} runs (cofactor, numba) and {ROUNDS} (the others), in seconds of wall clock; the last"
        " column compares processor seconds, which a busy machine disturbs less. Valid MSE: mean and standard"
        " deviation over runs, each with a seed of its own."
    )
    rows = []
    for name, runs in found.items():
        cpu = mid(runs, "cpu") / mid(found["ours"], "cpu")
        seconds = mid(runs, "seconds")
        cells = [
            labels.get(name, name),
            f"{seconds:.3f}",
            f"{mid(runs, 'cpu'):.3f}",
            f"{seconds / ours:.1f}",
            f"{cpu:.1f}",
        ]
        spread = np.std([run["mse"] for run in runs], ddof=1) if len(runs) > 1 else 0.0
        rows.append([*cells, f"{mean(runs, 'mse'):.4f}", f"{spread:.4f}"])
    page.show(
        table(["5 epochs", "seconds", "processor s", "times cofactor", "by processor s", "valid MSE", "its sd"], rows)
    )
    fast = min(mid(found[name], "seconds") for name in ("fastai as shipped", "fastai, shuffle mended"))
    dense = mid(found["tuned"], "seconds") / ours
    gap = abs(mean(found["ours"], "mse") - mean(found["tuned"], "mse"))
    page.say(
        f"Targets: 120 times faster than fastai ({fast / ours:.0f}, its faster form); 12 times faster than the dense"
        f" update ({dense:.1f}, its faster form); MSE within 0.001 of the dense update ({gap:.4f} here, over other"
        " orders of rows; [dot_bias.md](dot_bias.md) has the same rows in the same order)."
    )
    rows = []
    for name, runs in (("**cofactor**", mine), ("fastai, shuffle mended", theirs)):
        seconds, cpu = mid(runs, "seconds"), mid(runs, "cpu")
        ratios = [f"{seconds / mid(mine, 'seconds'):.1f}", f"{cpu / mid(mine, 'cpu'):.1f}"]
        spread = np.std([run["mse"] for run in runs], ddof=1) if len(runs) > 1 else 0.0
        rows.append([name, f"{seconds:.3f}", f"{cpu:.3f}", *ratios, f"{mean(runs, 'mse'):.4f}", f"{spread:.4f}"])
    heads = [
        "the network, 5 epochs",
        "seconds",
        "processor s",
        "times cofactor",
        "by processor s",
        "valid MSE",
        "its sd",
    ]
    page.show(table(heads, rows))
    times = mid(theirs, "seconds") / mid(mine, "seconds")
    page.say(
        f"The network is `use_nn=True, layers=[100, 50]`, the same rows, schedule and range. Target: 20 times faster"
        f" than fastai ({times:.0f})."
    )
    page.say(
        "fastai 2.8.12 draws the rows of an epoch with replacement (an epoch sees 63 % of them); *mended* gives it"
        " back the shuffle of its base class."
    )
    page.write()


if __name__ == "__main__":
    main()
