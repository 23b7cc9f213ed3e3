"""Lists for users of whom one to ten ratings are known, beside those by popularity.

    python benchmarks/accuracy/short_histories.py [--data ml-100k,movietweetings-demo] [--models ease,ials]

A quarter of the users is held out; so many of each one's ratings, drawn at random, are the history, the others the
test. ``before``: without the average user that rankers start from. Prints a Markdown table of NDCG@10 (ratings of 4 or
more, or of 8 of 10, are relevant); every model at its defaults. Needs ml-100k in $COFACTOR_DATA_DIR.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

import cofactor as cf
from cofactor.data.interactions import Interactions
from cofactor.evaluation import metrics as m

sys.path.insert(0, str(Path(__file__).parent.parent))

from common import table

GIVEN = (1, 2, 3, 5, 10, 30)


def figure(scores: Any, given: Interactions, test: Interactions, users: Any) -> float:
    """Mean NDCG@10 of the lists of ``users``, a row of scores each."""
    seen = given.by_user.take(users)
    scores = np.array(scores)
    scores[np.repeat(np.arange(len(users)), seen.counts), seen.indices] = -np.inf
    good = test.take(test.values >= (4 if test.values.max() <= 5 else 8)).by_user.take(users)
    hits = m.hits_of(m.top_n(scores, 10), good.indptr, good.indices)
    return float(np.nanmean(m.ndcg(hits, good.counts)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ml-100k,movietweetings-demo")
    parser.add_argument("--models", default="popular,item-cosine,ease,slim,graph-filter,ials")
    args = parser.parse_args()
    rows = []
    for name in args.data.split(","):
        data = cf.load_dataset(name, download=False)
        splits = [cf.split.by_user(data, users=0.25, given=n, seed=1) for n in GIVEN]
        for model in args.models.split(","):
            found: dict[str, list[str]] = {"": [], ", before": []}
            trained = cf.fit(splits[0].train, model=model, seed=0, verbose=False).model
            for split in splits:
                assert split.given is not None
                users = np.unique(split.valid.users)
                histories = split.given.by_user.take(users)
                average = getattr(trained, "average", None)
                for when in found:
                    if when and average is not None:
                        trained.average = np.zeros_like(average)
                    scores = trained.scores_from(trained.fold_in(histories))
                    found[when].append(f"{figure(scores, split.given, split.valid, users):.4f}")
                if average is not None:
                    trained.average = average
            same = found[""] == found[", before"]
            rows += [(f"{name}: {model}{when}", *values) for when, values in found.items() if not (same and when)]
    print(table(("ratings known", *map(str, GIVEN)), rows))


if __name__ == "__main__":
    main()
