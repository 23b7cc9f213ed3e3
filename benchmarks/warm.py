"""What ``refit(warm=True)`` gives a model that learns by gradient steps, and at which part of its learning rate.

Nine tenths of the known rows make the old model, which is then refitted on all of them. The part is chosen inside the
training rows (a random tenth of them is kept to measure on), over three such cuts; the test rows are looked at with
``--test`` alone.

    python benchmarks/warm.py --dataset ml-100k                         choose: u1.base (ml-1m: 90 % of the rows)
    python benchmarks/warm.py --dataset ml-100k --parts 10 --test       measure on u1.test (ml-1m: the other 10 %)
"""

from __future__ import annotations

import argparse

import numpy as np

import cofactor as cf
from cofactor.data.datasets import folds
from cofactor.data.interactions import Interactions
from cofactor.recommender import Recommender

CUTS = 3


def parts_of(dataset: str) -> tuple[Interactions, Interactions]:
    """Training and test rows."""
    found = folds(dataset)[0] if dataset == "ml-100k" else cf.split.random(cf.load_dataset(dataset), 0.1)
    assert found.valid is not None
    return found.train, found.valid


def rmse(rec: Recommender, rows: Interactions) -> float:
    errors = rec.predict_codes(rows.users, rows.items).astype(np.float64) - rows.values
    return float(np.sqrt(np.mean(errors**2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-100k", choices=["ml-100k", "ml-1m"])
    parser.add_argument("--model", default="dot-bias")
    parser.add_argument("--parts", default="1,2,4,10,25", help="of the usual learning rate: 4 is a quarter")
    parser.add_argument("--test", action="store_true", help="measure on the test rows")
    asked = parser.parse_args()
    train, test = parts_of(asked.dataset)
    parts = [float(part) for part in asked.parts.split(",")]
    found = []
    for seed in range(CUTS):
        known, rows = (train, test) if asked.test else _cut(train, seed)
        old = cf.fit(_cut(known, seed + 100)[0], model=asked.model, seed=seed, calibrate=False)
        made = [old, old.refit(known, seed=seed, warm=False)]
        usual = old.model.config.lr
        made += [old.refit(known, seed=seed, warm=True, lr=usual / part) for part in parts]
        assert all(rec.metrics["warm_start"] for rec in made[2:])
        found.append([[rmse(rec, rows), rec.metrics.get("drift", 0.0)] for rec in made])
    names = ["before", "afresh", *(f"warm, lr / {part:g}" for part in parts)]
    print(f"{asked.model} on {asked.dataset}, {'test' if asked.test else 'validation'} rows, {CUTS} runs: RMSE, drift")
    for name, (error, drift) in zip(names, np.mean(found, axis=0)):
        print(f"{name:16s} {error:.4f} {drift:.4f}")


def _cut(rows: Interactions, seed: int) -> tuple[Interactions, Interactions]:
    """Nine tenths of the rows, and the rest."""
    order = np.random.default_rng(seed).permutation(len(rows))
    share = len(rows) // 10
    return rows.take(np.sort(order[share:])), rows.take(np.sort(order[:share]))


if __name__ == "__main__":
    main()
