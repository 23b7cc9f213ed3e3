"""bayes-mf beside myFM (Ohtsuki 2023) on the published folds of ml-100k: RMSE and seconds of training, in one run.

    python benchmarks/accuracy/bayes_vs_myfm.py --rival PYTHON [--folds 1,2,3,4,5] [--settings plain,implicit,...]

``PYTHON`` is the interpreter of an environment that has myfm; COFACTOR_DATA_DIR holds ml-100k. For each fold and
setting both train in turn, each in a process of its own: ours with its defaults on two threads after a warm-up, myFM
with rank 10 and 300 iterations as its authors' examples set it up. Sweeps a second are compared at rank 10, and count
those of all chains. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"implicit": False, "time": False},
    "implicit": {"time": False},
    "implicit, time": {},
    "implicit, time, features": {"features": True},
}
RANK, ITERATIONS = 10, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rival", help="a Python interpreter with myfm; without it only ours is measured")
    parser.add_argument("--folds", default="1,2,3,4,5")
    parser.add_argument("--settings", default=";".join(SETTINGS), help="separated by semicolons")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        worker(json.loads(args.work))
        return
    rows: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for fold in [int(f) for f in args.folds.split(",")]:
            for setting in args.settings.split(";"):
                file = Path(folder) / f"{fold} {setting}.npz"
                export(file, fold, SETTINGS[setting].get("features", False))
                job = {"file": str(file), "fold": fold, "setting": setting}
                mine = run(sys.executable, {**job, "who": "cofactor"})
                theirs = run(args.rival, {**job, "who": "myfm"}) if args.rival else {}
                rows.setdefault(setting, []).append({"fold": fold, "ours": mine, "theirs": theirs})
                print(json.dumps(rows[setting][-1]), file=sys.stderr, flush=True)
    print(table(rows))


def run(python: str, job: dict[str, Any]) -> dict[str, float]:
    done = subprocess.run([python, __file__, "--work", json.dumps(job)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    head = "setting | RMSE | first fold | 90 % covers | s a fold | CPU s | sweeps/s at rank 10"
    head += " | myFM RMSE | s a fold | CPU s | sweeps/s | time ratio | CPU ratio | sweeps/s ratio"
    lines = [f"| {head} |", "|" + "---|" * 14]
    for setting, found in rows.items():
        ours = {k: [r["ours"][k] for r in found] for k in found[0]["ours"]}
        cells = [setting, f"{np.mean(ours['rmse']):.4f}", f"{ours['rmse'][0]:.4f}", f"{np.mean(ours['covers']):.3f}"]
        cells += [
            f"{np.median(ours['seconds']):.2f}",
            f"{np.median(ours['cpu']):.2f}",
            f"{np.median(ours['speed']):.0f}",
        ]
        if found[0]["theirs"]:
            theirs = {k: [r["theirs"][k] for r in found] for k in found[0]["theirs"]}
            cells += [f"{np.mean(theirs['rmse']):.4f}", f"{np.median(theirs['seconds']):.2f}"]
            cells += [f"{np.median(theirs['cpu']):.2f}", f"{np.median(theirs['speed']):.0f}"]
            for what, digits in (("seconds", 2), ("cpu", 2), ("speed", 1)):
                cells.append(f"{np.median(np.divide(ours[what], theirs[what])):.{digits}f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def export(file: Path, fold: int, features: bool) -> None:
    """A fold as plain arrays, so that the rival's process needs nothing of ours."""
    train, test, sides = load(fold, features)
    arrays = {f"{n}_{k}": getattr(p, k) for n, p in (("train", train), ("test", test)) for k in FIELDS}
    for name, matrix in sides.items():
        arrays |= {f"{name}_{k}": getattr(matrix, k) for k in ("indptr", "indices", "values")}
        arrays[f"{name}_blocks"] = block_sizes(getattr(train, f"{name}_features").names)
    np.savez(file, n=[train.n_users, train.n_items], **arrays)


FIELDS = ("users", "items", "values", "times")


def load(fold: int, features: bool) -> tuple[Any, Any, dict[str, Any]]:
    from cofactor.data.datasets import folds
    from cofactor.data.features.with_features import with_features

    split = folds("ml-100k", download=False)[fold - 1]
    train, test = split.train, split.valid
    if not features:
        return train, test, {}
    train = with_features(train, user=["age", "gender", "occupation"], item=["year", "genres"])
    return train, test, {"user": train.user_features.matrix, "item": train.item_features.matrix}


def block_sizes(names: tuple[str, ...]) -> list[int]:
    groups = [n.partition("=")[0] for n in names]
    return [groups.count(g) for g in dict.fromkeys(groups)]


def worker(job: dict[str, Any]) -> None:
    print(json.dumps(ours(job) if job["who"] == "cofactor" else theirs(job)))


def ours(job: dict[str, Any]) -> dict[str, float]:
    from cofactor.models.bayes_mf.model import BayesMF, BayesMFConfig

    options = dict(SETTINGS[job["setting"]])
    train, test, _ = load(job["fold"], options.pop("features", False))

    def fit(**more: Any) -> tuple[BayesMF, float, float]:
        start, cpu = time.perf_counter(), time.process_time()
        model = BayesMF(BayesMFConfig(**options, **more))
        stepper = model.stepper(train, np.random.default_rng(0))
        for _ in range(model.config.epochs):
            stepper.run(None, None)
        return model, time.perf_counter() - start, time.process_time() - cpu

    fit(epochs=3, burn_in=1)
    model, seconds, cpu = fit()
    error = model.predict(test.users, test.items, test.times) - test.values
    bounds = model.predict_interval(test.users, test.items, 0.9, test.times)
    covers = np.mean((test.values >= bounds.low) & (test.values <= bounds.high))
    same_rank, c = fit(n_factors=RANK)[1], model.config
    speed = c.epochs * c.chains / same_rank
    found = {"rmse": float(np.sqrt(np.mean(error**2))), "covers": float(covers)}
    return found | {"seconds": seconds, "cpu": cpu, "speed": speed}


def theirs(job: dict[str, Any]) -> dict[str, float]:
    import myfm
    import scipy.sparse as sp

    a, setting = np.load(job["file"]), SETTINGS[job["setting"]]
    n_users, n_items = a["n"]
    days = {n: (a[f"{n}_times"] // 86400).astype(int) for n in ("train", "test")}
    known = np.unique(days["train"])
    users, items = sp.eye(n_users, format="csr"), sp.eye(n_items, format="csr")
    shapes = [[n_users], [n_items]]
    if setting.get("implicit", True):
        entries = (np.ones(len(a["train_users"])), (a["train_users"], a["train_items"]))
        seen = sp.csr_matrix(entries, shape=(n_users, n_items))
        users, items = sp.hstack([users, rows_scaled(seen)]), sp.hstack([items, rows_scaled(seen.T.tocsr())])
        shapes = [[n_users, n_items], [n_items, n_users]]
    if setting.get("features"):
        blocks = []
        for name, n in (("user", n_users), ("item", n_items)):
            parts = (a[f"{name}_values"], a[f"{name}_indices"], a[f"{name}_indptr"])
            blocks.append(sp.csr_matrix(parts, shape=(n, int(a[f"{name}_blocks"].sum()))))
        users, items = sp.hstack([users, blocks[0]]), sp.hstack([items, blocks[1]])
        shapes = [s + a[f"{n}_blocks"].tolist() for s, n in zip(shapes, ("user", "item"))]

    def design(part: str) -> tuple[Any, list[Any]]:
        u, i = a[f"{part}_users"].astype(int), a[f"{part}_items"].astype(int)
        if not setting.get("implicit", True):
            return sp.hstack([users[u], items[i]]).tocsr(), []
        blocks = [myfm.RelationBlock(u, users.tocsr()), myfm.RelationBlock(i, items.tocsr())]
        if not setting.get("time", True):
            return None, blocks
        at = np.searchsorted(known, days[part])
        found = known[np.minimum(at, len(known) - 1)] == days[part]
        entries = (np.ones(found.sum()), (np.flatnonzero(found), at[found]))
        return sp.csr_matrix(entries, shape=(len(u), len(known))), blocks

    day_shape = [len(known)] if setting.get("time", True) else []
    x, blocks = design("train")
    model = myfm.MyFMRegressor(rank=RANK, random_seed=0)
    options = {
        "n_iter": ITERATIONS,
        "n_kept_samples": ITERATIONS - 20,
        "group_shapes": [*day_shape, *shapes[0], *shapes[1]],
    }
    start, cpu = time.perf_counter(), time.process_time()
    model.fit(x, a["train_values"].astype(float), X_rel=blocks, **options)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    x, blocks = design("test")
    low, high = a["train_values"].min(), a["train_values"].max()
    error = np.clip(model.predict(x, blocks), low, high) - a["test_values"]
    found = {"rmse": float(np.sqrt(np.mean(error**2)))}
    return found | {"seconds": seconds, "cpu": cpu, "speed": ITERATIONS / seconds}


def rows_scaled(matrix: Any) -> Any:
    """Rows divided by the square root of their number of entries."""
    import scipy.sparse as sp

    return sp.diags(1 / np.sqrt(np.maximum(np.diff(matrix.indptr), 1))) @ matrix


if __name__ == "__main__":
    main()
