"""NDCG@10 of the rankers on the official folds u1 .. u5 of ml-100k, at their default settings.

Training rows are positives; test rows rated 4 or more are relevant; all items that a user has not in training are
ranked; the mean is over users with a relevant item, then over folds.

    python benchmarks/accuracy/rankers.py                       every ranker, five folds (--out FILE: a page)
    python benchmarks/accuracy/rankers.py --models ials,ease
    python benchmarks/accuracy/rankers.py --select slim         how its defaults were chosen, inside u1
    python benchmarks/accuracy/rankers.py --nested ease         chosen inside each fold, from a small grid

Needs ml-100k in $COFACTOR_DATA_DIR.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np

from cofactor.data.datasets import folds
from cofactor.data.interactions import Interactions
from cofactor.evaluation.metrics import ndcg
from cofactor.models import model_class
from cofactor.models.base.config import make_config

SETTINGS: dict[str, dict[str, Any]] = {"blend": {"held_out": "random"}}
"""What is not the default: these folds are random rows, so the weights of a blend are found on such rows."""
MODELS = ("popular", "item-cosine", "ease", "slim", "ials", "bpr", "warp", "blend")

GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "popular": {"min_rating_weight": (1.0, 0.0)},
    "item-cosine": {
        "weighting": ("bm25", "tfidf", "cosine"),
        "neighbours": (50, 100, 200),
        "b": (0.1, 0.2, 0.3, 0.5, 0.7),
        "shrink": (0.0, 20.0, 50.0),
        "min_rating_weight": (1.0, 0.0),
    },
    "ease": {"reg": (50.0, 100.0, 200.0, 400.0, 800.0), "min_rating_weight": (1.0, 0.5, 0.25, 0.0)},
    "slim": {"l1": (0.5, 1.0, 2.0, 5.0), "l2": (20.0, 50.0, 100.0, 200.0), "min_rating_weight": (0.0,)},
    "ials": {
        "alpha": (1.0, 2.0, 4.0, 8.0),
        "reg": (5.0, 10.0, 20.0, 30.0, 40.0),
        "nu": (0.25, 0.5, 0.75),
        "min_rating_weight": (0.25, 0.0),
    },
    "bpr": {"lr": (0.02, 0.05), "reg": (0.005, 0.01, 0.02), "min_rating_weight": (0.5, 0.0), "epochs": (60, 100, 150)},
    "warp": {"lr": (0.02, 0.05), "reg": (0.02, 0.05, 0.1), "min_rating_weight": (0.0,), "epochs": (20, 40, 80)},
    "blend": {"models": (("ials", "ease"), ("ials", "slim", "als"), ("ials", "ease", "slim", "als"))},
}

"""The defaults were chosen from these, on inner parts of the training rows of u1 (a setting at a time for ials)."""

NESTED: dict[str, dict[str, tuple[Any, ...]]] = {
    "ease": {"reg": (100.0, 200.0, 400.0), "min_rating_weight": (1.0, 0.5, 0.0)},
    "slim": {"l1": (1.0, 2.0), "l2": (50.0, 100.0), "min_rating_weight": (0.5, 0.0)},
    "ials": {"reg": (10.0, 20.0, 30.0), "nu": (0.25, 0.5), "min_rating_weight": (0.25, 0.0)},
}


ABOUT = (
    "# Our rankers on ml-100k, folds u1 .. u5",
    """NDCG@10: training rows are positives, test rows rated 4 or more are relevant, every item that the user has not in
training is ranked, mean over users with a relevant item. Default settings. Beside others' rankers in the same harness:
[accuracy_rankers.md](accuracy_rankers.md). Speed: [rankers_speed.md](rankers_speed.md).

`python benchmarks/accuracy/rankers.py --out benchmarks/results/rankers.md`""",
)
HOW = """**How the settings were chosen.** On three random fifths of the training rows of u1 (`--select`). One setting
does most of it: with `min_rating_weight=0` a training row counts from 0 (rated 1) to 1 (rated 5), since what is asked
for is test rows rated 4 or more. `--nested ease` (`ials`, `slim`) chooses again inside the training rows of each fold.
`item-cosine` gives up a little here to hold on ml-1m and MovieTweetings too. The weights of `blend` (ials with
64 and 32 factors, ease, slim, als, svd++) are chosen anew in every fit, on fifths of its own training rows; which
models it has was chosen on such fifths of the training rows of u1 and u2."""


def trained(name: str, data: Interactions, config: dict[str, Any], seed: int = 42) -> Any:
    cls = model_class(name)
    model = cls(make_config(cls.Config, config))
    stepper = model.stepper(data, np.random.default_rng([seed, 0]))
    for _ in range(1 if model.kind == "solve" else model.config.epochs):
        stepper.run(None, None)
    return model


def quality(model: Any, train: Interactions, test: Interactions, n: int = 10) -> float:
    good = test.values >= 4
    wanted = np.zeros((train.n_users, train.n_items), dtype=bool)
    wanted[test.users[good], test.items[good]] = True
    users = np.flatnonzero(wanted.any(axis=1))
    scores = model.scores(np.arange(train.n_users))
    scores[train.users, train.items] = -np.inf
    top = np.argsort(-scores[users], axis=1, kind="stable")[:, :n]
    hits = np.take_along_axis(wanted[users], top, axis=1)
    return float(ndcg(hits, wanted[users].sum(axis=1)).mean())


def report(models: list[str], out: Path | None) -> None:
    lines = ["| model | u1 | u2 | u3 | u4 | u5 | mean | seconds a fold |", "|---|---|---|---|---|---|---|---|"]
    print("\n".join(lines))
    splits = folds("ml-100k")
    for name in models:
        values, start = [], time.perf_counter()
        for split in splits:
            values.append(quality(trained(name, split.train, SETTINGS.get(name, {})), split.train, split.valid))
        seconds = (time.perf_counter() - start) / len(splits)
        shown = " | ".join(f"{v:.4f}" for v in [*values, float(np.mean(values))])
        lines.append(f"| {name} | {shown} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    if out is not None:
        out.write_text("\n\n".join([*ABOUT, "\n".join(lines), HOW]) + "\n")


def select(name: str, grid: dict[str, tuple[Any, ...]], train: Interactions, parts: int) -> dict[str, Any]:
    masks = [np.random.default_rng(seed).random(len(train)) < 0.2 for seed in range(parts)]
    found = []
    for chosen in itertools.product(*grid.values()):
        config = dict(zip(grid, chosen, strict=True))
        values = [quality(trained(name, train.take(~m), config), train.take(~m), train.take(m)) for m in masks]
        found.append((float(np.mean(values)), config))
        print(f"{found[-1][0]:.4f}", config, flush=True)
    best = max(found, key=lambda pair: pair[0])
    print("best:", f"{best[0]:.4f}", best[1], flush=True)
    return best[1]


def nested(name: str, parts: int) -> None:
    values = []
    for split in folds("ml-100k"):
        config = select(name, NESTED[name], split.train, parts)
        values.append(quality(trained(name, split.train, config), split.train, split.valid))
        print(f"{split.how}: {values[-1]:.4f}", flush=True)
    print(f"{name}, chosen inside each fold: mean {np.mean(values):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--select", choices=sorted(GRIDS))
    parser.add_argument("--parts", type=int, default=3, help="random fifths of training rows to select on")
    parser.add_argument("--nested", choices=sorted(NESTED))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.select:
        select(args.select, GRIDS[args.select], folds("ml-100k")[0].train, args.parts)
    elif args.nested:
        nested(args.nested, args.parts)
    else:
        report(args.models.split(","), args.out)


if __name__ == "__main__":
    main()
