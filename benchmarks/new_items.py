"""Items that nobody has rated: ways to score them by their features, on a fifth of a dataset's items.

A fifth of the items is held out with all their ratings. Ways: the model's *own weights* for features (``bayes-mf``: the
prior mean of an item without ratings), the mean over the 30 known items with the most *alike* features (by cosine, rare
features weighing more), the *regression* of the user's scores on features (what ``recommend_new`` does), the user's
*mean* over known items, and the model ``bias``. RMSE of all held-out ratings; NDCG@10 of the held-out items that a user
rated (five at least, gains 2^rating), and of all held-out items (relevant: rated ``RELEVANT`` or more). Means over the
seeds, by which items are drawn. ``--inner`` holds out again, within the training rows: choices are made there.

    python benchmarks/new_items.py --out benchmarks/results/new_items.md
    python benchmarks/new_items.py --inner
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import table

import cofactor as cf
from cofactor.data.features.encoding import dense
from cofactor.data.features.with_features import with_features
from cofactor.data.interactions import Interactions
from cofactor.evaluation.metrics import ndcg
from cofactor.recommend.cold_start.regression import regression, residuals_of_new
from cofactor.recommend.intervals import residual_interval
from cofactor.recommend.topn import top_n

FEATURES = ["genres", "year"]
RELEVANT = {"ml-100k": 4.0, "movietweetings": 8.0}
NEAREST = 30


def held_out(data: Interactions, rng: np.random.Generator) -> tuple[Interactions, Interactions, np.ndarray]:
    """(training rows, test rows, codes of the items of the latter)."""
    rated = np.flatnonzero(data.by_item.counts > 0)
    out = np.sort(rng.permutation(rated)[: len(rated) // 5])
    gone = np.isin(data.items, out)
    return data.take(~gone), data.take(gone), out


def by_alike(matrix: np.ndarray, known: np.ndarray, out: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Means of the scores of the known items with the nearest features; the user's mean where none is near."""
    rows = np.nan_to_num(matrix) * (np.log(len(matrix) / np.maximum((np.nan_to_num(matrix) != 0).sum(0), 1)) + 0.1)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    alike = rows[out] @ rows[known].T
    near = np.argsort(-alike, axis=1, kind="stable")[:, :NEAREST]
    weights = np.maximum(np.take_along_axis(alike, near, axis=1), 0)
    found = np.einsum("on,uon->uo", weights, scores[:, known[near]]) / np.maximum(weights.sum(1), 1e-12)
    return np.where(weights.sum(1) > 0, found, scores[:, known].mean(1, keepdims=True))


def of_rated(scores: np.ndarray, row: np.ndarray, at: np.ndarray, test: Interactions) -> float:
    """Mean NDCG@10 of each user's held-out items that the user rated."""
    found = scores[row, at]
    order = np.lexsort((-found, test.users))
    rated = test.values[order].astype(np.float64)
    each = []
    for values in np.split(rated, np.flatnonzero(np.diff(test.users[order])) + 1):
        if len(values) >= 5 and values.std() > 0:
            gains, places = 2.0 ** (values - values.max()), 1 / np.log2(np.arange(2, min(10, len(values)) + 2))
            best = np.sort(gains)[::-1]
            each.append((gains[:10] @ places) / (best[:10] @ places))
    return float(np.mean(each))


def of_all(scores: np.ndarray, users: np.ndarray, out: np.ndarray, test: Interactions, relevant: float) -> float:
    """Mean NDCG@10 of all held-out items, over the users with a relevant one."""
    wanted = test.take(test.values >= relevant).by_user.take(users)
    top, _ = top_n(scores.astype(np.float32), 10)
    hits = np.array([np.isin(out[top[r]], wanted.row(r)[0]) for r in range(len(users))])
    has = wanted.counts > 0
    return float(ndcg(hits[has], wanted.counts[has]).mean())


def ways(name: str, model: str, seed: int, inner: bool) -> Iterator[tuple[str, list[float]]]:
    """(way, [RMSE, NDCG of rated, NDCG of all, coverage]) for one draw of items."""
    data = with_features(cf.load_dataset(name), item=FEATURES)
    rng = np.random.default_rng(seed)
    train, test, out = held_out(data, rng)
    if inner:
        train, test, out = held_out(train, rng)
    users = np.unique(test.users)
    row, at = np.searchsorted(users, test.users), np.searchsorted(out, test.items)
    rec = cf.fit(train, model=model, seed=0, calibrate=False)
    scores = rec.model.scores(users)
    known = np.flatnonzero(train.by_item.counts > 0)
    matrix = dense(data.item_features)
    found = regression(matrix, train.by_item.counts)
    levels, coefficients = found.learn(scores)
    by_regression = levels[:, None] + coefficients @ found.centred(matrix[out]).T
    bias = cf.fit(train, model="bias", calibrate=False).model
    guesses = {
        "own weights": scores[:, out] if model == "bayes-mf" else None,
        "alike": by_alike(matrix, known, out, scores),
        "regression": by_regression,
        "mean": np.repeat(levels[:, None], len(out), axis=1),
        "bias": np.stack([bias.predict(users, np.full(len(users), -1))] * len(out), axis=1),
    }
    for way, guess in guesses.items():
        if guess is None:
            continue
        predicted = np.clip(guess[row, at], *train.range)
        inside = np.nan
        if way == "regression":
            bounds = residual_interval(residuals_of_new(rec, found), predicted, 0.9)
            inside = float(np.mean((test.values >= bounds.low) & (test.values <= bounds.high)))
        error = float(np.sqrt(np.mean((predicted - test.values) ** 2)))
        flat = way in ("mean", "bias")  # all held-out items are alike to these
        ranked = of_rated(guess, row, at, test)
        among = np.nan if flat else of_all(guess, users, out, test, RELEVANT[name])
        yield way, [error, ranked, among, inside]


HEAD = """# New items by their features

Made by `python benchmarks/new_items.py --out FILE`; the file says what is compared. Features: {features}. Means over
{seeds} draws of a fifth of the items. *Bias* and *mean* rank by chance (in the order of the table). Settings of the
regression were chosen on items held out within training rows (`--inner`).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default=",".join(RELEVANT))
    parser.add_argument("--models", default="bayes-mf,als")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--inner", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = []
    for name in args.datasets.split(","):
        for model in args.models.split(","):
            runs = [dict(ways(name, model, seed, args.inner)) for seed in range(args.seeds)]
            for way in runs[0]:
                mean = np.mean([run[way] for run in runs], axis=0)
                lines.append([name, model, way, *("" if np.isnan(x) else f"{x:.4f}" for x in mean)])
                print(*lines[-1], flush=True)
    page = table(["data", "model", "way", "RMSE", "NDCG@10 of rated", "NDCG@10 of all", "90 % interval holds"], lines)
    if args.out is not None:
        head = HEAD.format(features=", ".join(FEATURES), seeds=args.seeds)
        args.out.write_text(f"{head}\n{page}\n", encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
