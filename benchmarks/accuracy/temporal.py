"""The past to learn from, the future to check with: bayes-mf with and without its terms in time, als, bias.

    python benchmarks/accuracy/temporal.py [--data ml-100k,movietweetings-demo] [--epochs 150]

COFACTOR_DATA_DIR holds the data. ``cofactor.split.temporal`` puts the last fifth of the rows into the test part. Many
of them are by users (and some of items) that the past has never seen, so the rows of users and items with training
ratings are also measured apart. Everything is at its defaults. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import cofactor as cf
from cofactor.data.interactions import Interactions

DAY = 86400.0
SETTINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("bias", "bias", {}),
    ("als", "als", {}),
    ("bayes-mf, no time", "bayes-mf", {"time": False}),
    ("bayes-mf", "bayes-mf", {}),
    ("bayes-mf, moods only", "bayes-mf", {"item_time_scales": ()}),
    ("bayes-mf, users' days too", "bayes-mf", {"user_time_scales": (30.0, 3600.0, DAY)}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ml-100k,movietweetings-demo")
    parser.add_argument("--epochs", type=int, help="sweeps of bayes-mf, if not the default")
    args = parser.parse_args()
    print("| data | model | RMSE | of known users and items | 90 % covers | s |\n|---|---|---:|---:|---:|---:|")
    for name in args.data.split(","):
        data = cf.load_dataset(name, download=False)
        split = cf.split.temporal(data)
        for label, model, options in SETTINGS:
            if args.epochs and model == "bayes-mf":
                options = options | {"epochs": args.epochs}
            start = time.perf_counter()
            rec = cf.fit(split.train, model=model, seed=0, verbose=False, **options)
            seconds = time.perf_counter() - start
            print(f"| {name} | {label} | {measured(rec.model, split.train, split.valid)} | {seconds:.0f} |", flush=True)
        known = known_rows(split.train, split.valid)
        print(f"| {name} | {len(known):,} test rows, known: {known.mean():.0%} | | | | |", flush=True)


def measured(model: Any, train: Interactions, test: Interactions) -> str:
    """UserSums of the table: errors over all rows and over those of known users and items; coverage."""
    squares = (model.predict(test.users, test.items, test.times) - test.values) ** 2
    covers = ""
    if hasattr(model, "predict_interval"):
        bounds = model.predict_interval(test.users, test.items, 0.9, test.times)
        covers = f"{np.mean((test.values >= bounds.low) & (test.values <= bounds.high)):.3f}"
    return f"{np.sqrt(squares.mean()):.4f} | {np.sqrt(squares[known_rows(train, test)].mean()):.4f} | {covers}"


def known_rows(train: Interactions, test: Interactions) -> Any:
    """Which test rows are of users and items with ratings in training."""
    return (np.bincount(train.users, minlength=train.n_users)[test.users] > 0) & (
        np.bincount(train.items, minlength=train.n_items)[test.items] > 0
    )


if __name__ == "__main__":
    main()
