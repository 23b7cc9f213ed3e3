"""bayes-mf refitted: chains that begin at the last samples of an earlier model, beside chains that begin afresh.

A model learns ``--before`` of the rows, another ``--after`` (the former among them), and both are measured on the rest:
RMSE, what a 90 % interval holds, drift of the items' vectors from the earlier model's, seconds. Afresh: the usual
number of sweeps, and as few as warm.

    python benchmarks/warm_bayes.py --dataset ml-100k --seed 0
    python benchmarks/warm_bayes.py --dataset movietweetings-demo --seed 1 --before 0.8 --after 0.9
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import table

import cofactor as cf
from cofactor.data.interactions import Interactions
from cofactor.fitting.refit import turned
from cofactor.fitting.warm import shortened
from cofactor.recommender import Recommender


def measured(rec: Recommender, test: Interactions) -> list[float]:
    """RMSE, and how many ratings the 90 % intervals hold."""
    bounds = rec.model.predict_interval(test.users, test.items, 0.9, test.times)
    inside = np.mean((test.values >= bounds.low) & (test.values <= bounds.high))
    return [float(np.sqrt(np.mean((bounds.mean - test.values) ** 2))), float(inside)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--before", type=float, default=0.75)
    parser.add_argument("--after", type=float, default=0.85)
    args = parser.parse_args()
    data = cf.load_dataset(args.dataset)
    order = np.random.default_rng(args.seed).permutation(len(data))
    cuts = int(args.before * len(data)), int(args.after * len(data))
    first, both, test = (data.take(np.sort(part)) for part in (order[: cuts[0]], order[: cuts[1]], order[cuts[1] :]))
    old = cf.fit(first, model="bayes-mf", seed=1)
    short = shortened(old.model.config)
    lines = [["before", old.model.config.epochs, *(f"{x:.4f}" for x in measured(old, test)), "", ""]]
    for way, config, begin in (("afresh", {}, None), ("warm", short, old), ("afresh", short, None)):
        started = time.perf_counter()
        rec = cf.fit(both, model="bayes-mf", seed=2, warm_from=begin, **config)
        seconds = time.perf_counter() - started
        figures = (f"{x:.4f}" for x in (*measured(rec, test), turned(old, rec)[1]))
        lines.append([way, rec.model.config.epochs, *figures, f"{seconds:.1f}"])
    print(table(["chains", "sweeps", "RMSE", "90 % interval holds", "drift", "s"], lines))


if __name__ == "__main__":
    main()
