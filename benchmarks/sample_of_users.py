"""What training on a sample of the users costs those that are folded in: the same people, models that saw fewer others.

A fifth of the users is held out; half of each one's ratings is their history, the other half is the test. Models are
trained on all other users and on random parts of them, and fold the held-out ones in. Rating models: RMSE; rankers:
NDCG@10 as in fold_in.py. Writes results/sample_of_users.md.

    python benchmarks/sample_of_users.py --dataset ml-1m --models ease,ials,als,bayes-mf
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import Page, table
from fold_in import ndcg_at_10, rmse

import cofactor as cf
from cofactor.data.interactions import Interactions, Split

SHARES = (1.0, 0.5, 0.25, 0.1, 0.05)


def sampled(train: Interactions, share: float, seed: int) -> Interactions:
    """The rows of a random part of the users."""
    users = np.unique(train.users)
    chosen = np.random.default_rng(seed).permutation(users)[: round(share * len(users))]
    return train.take(np.isin(train.users, chosen))


def measure(name: str, split: Split, share: float, seed: int) -> tuple[float, float]:
    """(RMSE or NDCG@10 of the held-out users, seconds of training)."""
    train, who = sampled(split.train, share, seed), np.unique(split.given.users)
    started = time.perf_counter()
    model = cf.fit(train, model=name, seed=seed, calibrate=False).model
    took = time.perf_counter() - started
    scores = model.scores_from(model.fold_in(split.given.by_user.take(who)))
    if model.task == "rating":
        return rmse(scores, who, split.valid, split.train.range), took
    return ndcg_at_10(scores, who, split, 4.0), took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-1m")
    parser.add_argument("--models", default="ease,ials,als,bayes-mf")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    page = Page("sample_of_users", "Training on a sample of the users, folding in the others", "sample_of_users.py")
    split = cf.split.by_user(cf.load_dataset(asked.dataset), users=0.2, given=0.5, seed=asked.seed)
    names = asked.models.split(",")
    tasks = dict(zip(cf.list_models()["model"], cf.list_models()["task"]))
    head = ["users trained on", "ratings"]
    for name in names:
        head += [f"`{name}` {'RMSE' if tasks[name] == 'rating' else 'NDCG@10'}", "s"]
    rows = []
    for share in SHARES:
        part = sampled(split.train, share, asked.seed)
        row = [f"{len(np.unique(part.users)):,}", f"{len(part):,}"]
        for name in names:
            value, took = measure(name, split, share, asked.seed)
            row += [f"{value:.4f}", f"{took:.1f}"]
        rows.append(row)
        print(" ".join(row), flush=True)
    page.say(
        f"{asked.dataset}, {split.how}: these users are in no training, are folded in from that half, and measured on"
        f" the other. Models at their defaults, seed {asked.seed}; *s*: seconds of training."
    )
    page.show(table(head, rows))
    page.write()


if __name__ == "__main__":
    main()
