"""New users by their features: what age, gender and occupation are worth beside no, one, three or five ratings.

A fifth of the users is held out with all their ratings. Some of each one's ratings, drawn at random, are given as the
history; all but five are the test, the same for every length of history. Ways: what most have rated (*popular*), the
*bias* model, the model itself by the *history* alone, and by history and *features* as ``recommend(history=...,
features=...)`` does; *average* is the same without features: it starts from the mean of the known users. RMSE on the
test rows (models of ratings); NDCG@10 over all items that are not in the history (relevant: rated ``RELEVANT`` or
more); the share of test ratings in 90 % intervals where the model has a posterior. *Gain*: average against history, and
features against average, RMSE lower or NDCG higher, with a 95 % interval by bootstrap over users. Means over the seeds,
by which users are drawn. ``--inner`` holds out again, within the training rows: choices are made there, and no page is
written. Writes results/new_users.md.

    python benchmarks/new_users.py
    python benchmarks/new_users.py --inner --worth 10 --ridge 30
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
from common import Page, table

import cofactor as cf
from cofactor.data.interactions import Interactions
from cofactor.evaluation.metrics import ndcg
from cofactor.model import Posterior
from cofactor.recommend.cold_start import regression as by_features
from cofactor.recommend.cold_start import users as described
from cofactor.recommend.cold_start.users import FeatureEffects
from cofactor.recommend.profiles import new_user, profile_from_features, scores_of
from cofactor.recommend.topn import top_n
from cofactor.recommend.uncertainty import interval_of
from cofactor.recommender import Recommender

RELEVANT = {"ml-100k": 4.0, "ml-1m": 4.0}
COLUMNS = ["age", "gender", "occupation"]
GIVEN = (0, 1, 3, 5)
AGAINST = {"popular": "", "bias": "", "history": "", "average": "history", "features": "average"}
METRICS = ("RMSE", "NDCG@10")
MOST = 1000
"""Held-out users of a draw, at most."""


def held_out(data: Interactions, rng: np.random.Generator) -> tuple[Interactions, np.ndarray]:
    """(training rows, codes of the users that are left out of them)."""
    rated = np.flatnonzero(data.by_user.counts > 0)
    out = np.sort(rng.permutation(rated)[: len(rated) // 5])
    return data.take(~np.isin(data.users, out)), out


class Person:
    """A held-out user: features, ratings in the order in which they are given, test rows."""

    def __init__(self, data: Interactions, user: int, row: dict[str, object], rng: np.random.Generator) -> None:
        items, values = data.by_user.row(user)
        order = rng.permutation(len(items))
        first, rest = order[: GIVEN[-1]], np.sort(order[GIVEN[-1] :])
        ids = data.item_ids.decode(items[first]).to_list()
        self.features = {name: value for name, value in row.items() if value is not None}
        self.given = list(zip(ids, values[first].tolist(), strict=True))
        self.items, self.values = items[rest], values[rest]


def of_person(
    rec: Recommender, scores: np.ndarray, person: Person, n: int, bounds: tuple[np.ndarray, np.ndarray] | None
) -> list[float]:
    """[squared errors, test rows, NDCG@10 or NaN where nothing is relevant, rows within bounds]."""
    predicted = rec.on_scale(scores)[person.items]
    squares = float(np.sum((predicted - person.values) ** 2)) if rec.model.task == "rating" else np.nan
    inside = np.nan
    if bounds is not None:
        low, high = (end[person.items] for end in bounds)
        inside = float(np.sum((person.values >= low) & (person.values <= high)))
    wanted = person.items[person.values >= RELEVANT[rec.data.name]]
    ranked = scores[None].astype(np.float32)
    ranked[0, [rec.items.code(item) for item, _ in person.given[:n]]] = -np.inf
    top, _ = top_n(ranked, 10)
    found = float(ndcg(np.isin(top, wanted), np.array([len(wanted)]))[0]) if len(wanted) else np.nan
    return [squares, float(len(person.items)), found, inside]


def ways(rec: Recommender, bias: Recommender, person: Person, n: int) -> Iterator[tuple[str, list[float]]]:
    """(way, measures) for one person with ``n`` ratings."""
    history = dict(person.given[:n])
    popular = rec.data.by_item.counts.astype(np.float32)
    yield "popular", [np.nan, *of_person(rec, popular, person, n, None)[1:]]
    yield "bias", of_person(bias, scores_of(bias, new_user(bias, history, "error")), person, n, None)
    known = new_user(rec, history, "error")
    average = FeatureEffects(rec.prior.level, (), np.zeros((0, rec.data.n_items), np.float32))
    for way, who in (
        ("history", known),
        ("average", profile_from_features(rec, known.items, known.values, average, "")),
        ("features", new_user(rec, history, "error", person.features)),
    ):
        scores, bounds = scores_of(rec, who), None
        if isinstance(rec.model, Posterior):
            _, *bounds = interval_of(rec, who, scores, 0.9)
        yield way, of_person(rec, scores, person, n, bounds)


def measured(name: str, model: str, seeds: int, inner: bool, columns: list[str]) -> dict[tuple[int, str], np.ndarray]:
    """For each (ratings given, way) the measures of every person of every draw, (persons, 4)."""
    found: dict[tuple[int, str], list[list[float]]] = {}
    data = cf.load_dataset(name)
    assert data.user_table is not None
    data = data.replace(user_table=data.user_table.select(data.columns.user, *columns))
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        train, out = held_out(data, rng)
        if inner:
            train, out = held_out(train, rng)
        out = np.sort(rng.permutation(out)[:MOST])
        rec = cf.fit(train, model=model, seed=0, calibrate=False)
        bias = cf.fit(train, model="bias", calibrate=False)
        rows = data.user_table.select(columns).to_dicts()
        for user in out:
            person = Person(data, int(user), rows[user], rng)
            for n in GIVEN:
                for way, measures in ways(rec, bias, person, n):
                    found.setdefault((n, way), []).append(measures)
    return {key: np.array(each) for key, each in found.items()}


def rmse(each: np.ndarray) -> float:
    return float(np.sqrt(each[:, 0].sum() / each[:, 1].sum()))


def gain(ours: np.ndarray, other: np.ndarray, which: str, rng: np.random.Generator) -> str:
    """How much better, with a 95 % interval over users."""

    def better(rows: np.ndarray) -> float:
        if which == "RMSE":
            return rmse(other[rows]) - rmse(ours[rows])
        return float(np.nanmean(ours[rows, 2]) - np.nanmean(other[rows, 2]))

    every = np.arange(len(ours))
    drawn = [better(rng.choice(every, len(every))) for _ in range(1000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{better(every):+.4f} ({low:+.4f} to {high:+.4f})"


def lines_of(name: str, model: str, found: dict[tuple[int, str], np.ndarray]) -> Iterator[list[str]]:
    """Rows of the table."""
    rating = not np.isnan(found[0, "history"][0, 0])
    for n in GIVEN:
        for way, other in AGAINST.items():
            if way == "bias" and not rating:
                continue
            each = found[n, way]
            gains = ["", ""]
            if other:
                rng = np.random.default_rng(0)
                gains = ["" if w == "RMSE" and not rating else gain(each, found[n, other], w, rng) for w in METRICS]
            figures = [rmse(each), float(np.nanmean(each[:, 2])), float(each[:, 3].sum() / each[:, 1].sum())]
            error, ranked, inside = ("" if np.isnan(x) else f"{x:.4f}" for x in figures)
            yield [name, model, str(n), way, error, gains[0], ranked, gains[1], inside]


TITLES = ["data", "model", "ratings", "way", "RMSE", "gain", "NDCG@10", "gain", "90 % interval holds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default="ml-100k")
    parser.add_argument("--models", default="bayes-mf,als,svd++,dot-bias,ease,ials,item-cosine")
    parser.add_argument("--columns", default=",".join(COLUMNS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--inner", action="store_true")
    parser.add_argument("--worth", type=float, default=described.WORTH)
    parser.add_argument("--ridge", type=float, default=by_features.RIDGE)
    args = parser.parse_args()
    described.WORTH, by_features.RIDGE = args.worth, args.ridge
    columns = args.columns.split(",")
    page = Page("new_users", "New users by their features", " ".join(["new_users.py", *sys.argv[1:]]))
    lines = []
    for name in args.datasets.split(","):
        for model in args.models.split(","):
            for line in lines_of(name, model, measured(name, model, args.seeds, args.inner, columns)):
                lines.append(line)
                print(*line, flush=True)
    if args.inner:
        print(table(TITLES, lines))
        return
    page.say(
        f"The file says what is compared. Features: {', '.join(columns)}. Means over {args.seeds} draws of a fifth of"
        f" the users (of at most {MOST:,} of them). A history of 0 ratings: the model's average, for rankers what most"
        " have rated. *Gain* is that of the average against the history alone, and of the features against the average."
        " Settings were chosen on users held out within training rows (`--inner`)."
    )
    page.show(table(TITLES, lines))
    page.write()


if __name__ == "__main__":
    main()
