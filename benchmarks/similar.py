"""Neighbours of items by cosines of vectors that count the more, the more raters two items share: how much they should.

Of a training part, a fifth of the rows is held out (test rows are not looked at). For each of up to 1,500 users: one
item that they rated in the upper quartile, its neighbours that they have not rated, and the share of their held-out
items of the upper quartile that is among the ten nearest. A large ``shrink`` ranks by how many rated both, whatever
the vectors say.

    python benchmarks/similar.py --out benchmarks/results/similar.md
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import table

import cofactor as cf
from cofactor.recommend.similar import neighbour_similarity

SHRINKS = (0, 1, 5, 20, 50, 100)
MODELS: dict[str, dict[str, Any]] = {
    "als": {},
    "svd++": {},
    "dot-bias": {},
    "bayes-mf": {"epochs": 60},
    "ials": {},
    "bpr": {},
}


def shares(train: Any, held: Any, model: str, config: dict[str, Any]) -> list[float]:
    """What is found of the held-out items that are liked, for each shrink."""
    rec = cf.fit(train, model=model, seed=0, calibrate=False, **config)
    liked, rng = np.quantile(train.values, 0.75, method="higher"), np.random.default_rng(0)
    people = []
    for user in rng.permutation(train.n_users):
        (items, values), (out, rated) = train.by_user.row(user), held.by_user.row(user)
        if (values >= liked).any() and (rated >= liked).any():
            people.append((rng.choice(items[values >= liked]), items, out[rated >= liked]))
    people = people[:1500]
    from_items, at = np.unique([p[0] for p in people], return_inverse=True)
    found = []
    for shrink in SHRINKS:
        likeness = neighbour_similarity(rec.model, train, from_items, np.arange(train.n_items), shrink)
        hits = []
        for (_, seen, wanted), row in zip(people, at, strict=True):
            mine = np.array(likeness[row])
            mine[seen] = -np.inf
            nearest = np.argsort(-mine, kind="stable")[:10]
            hits.append(np.isin(wanted, nearest).sum() / min(10, len(wanted)))
        found.append(float(np.mean(hits)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default="ml-100k,movietweetings-demo")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for name in args.datasets.split(","):
        kept = cf.split.random(cf.load_dataset(name), valid=0.2, seed=1).train
        split = cf.split.random(kept, valid=0.2, seed=2)
        for model, config in MODELS.items():
            found = shares(split.train, split.valid, model, config)
            rows.append([f"`{model}`, {name}", *(f"{share:.3f}" for share in found)])
            print(rows[-1], flush=True)
    text = table(["", *(f"shrink {s}" for s in SHRINKS)], rows)
    print(text)
    if args.out:
        about = " ".join((__doc__ or "").split("\n\n")[1].split())
        command = f"- made by: `python benchmarks/similar.py --out benchmarks/results/{args.out.name}`"
        args.out.write_text(f"# Neighbours and shared raters\n\n{command}\n\n{about}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
