"""``cf.fit(ratings)`` with no model named, beside ``bias`` and others' rating models, on four data sets.

    python benchmarks/accuracy/auto.py                          writes results/auto.md
    python benchmarks/accuracy/auto.py --limit 150              stops after so many seconds; run again to go on
    python benchmarks/accuracy/auto.py --only "cofactor auto"   ours alone, on a machine with nothing else to do

Needs ml-100k, ml-1m and movietweetings in $COFACTOR_DATA_DIR; the 5-core of MovieTweetings is bundled. ``auto``
chooses within 60 seconds by the clock, so what it takes may depend on what else runs. The rivals' settings are chosen
on a random tenth of the training rows.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import ratings
from harness import Job, Setting, Side, against, arguments, ours, page, product, settings_table, signed, table
from rows import ML_100K, SHARES

from cofactor.selection.comparison import ranked

AUTO = ours("cofactor auto", threads=2)
BIAS = ours("cofactor bias", model="bias")
TITLES = {
    "ml-100k": "ml-100k, u1 .. u5",
    "ml-1m": "ml-1m, a random tenth for testing (no times in this copy)",
    "movietweetings-demo": "MovieTweetings, 5-core, a random fifth for testing",
    "movietweetings": "MovieTweetings, all 100,000 ratings, a random fifth for testing",
}


def side(label: str, method: str, env: str, settings: tuple[Setting, ...]) -> Side:
    return Side(label, method, settings, env, parts=1)


def ml_1m() -> list[Side]:
    f = "factorisation"
    return [
        side(
            "Surprise SVD",
            "surprise-svd",
            f,
            product(n_factors=[100, 200], reg_all=[0.05, 0.07], lr_all=[0.01], n_epochs=[40])[1:],
        ),
        side(
            "libmf",
            "libmf",
            f,
            product(k=[64, 128], reg=[0.05, 0.06], eta=[0.05], nr_iters=[40]),
        ),
        side(
            "Cornac MF",
            "cornac-mf",
            f,
            product(k=[64, 128], lambda_reg=[0.05, 0.06], learning_rate=[0.01], max_iter=[40]),
        ),
        side(
            "LensKit ALS (BiasedMF)",
            "lenskit-als",
            "lenskit",
            product(features=[64, 128], regularization=[0.07, 0.1], epochs=[10]),
        ),
        side("LensKit item-kNN", "lenskit-knn", "lenskit", ({"max_nbrs": 40, "min_nbrs": 2},)),
        side("myFM", "myfm", "ranking", ({"rank": 10, "n_iter": 200},)),
        side("myFM, SVD++ flipped", "myfm", "ranking", ({"rank": 10, "n_iter": 200, "blocks": True},)),
    ]


def movietweetings(small: bool) -> list[Side]:
    f = "factorisation"
    found = [
        side(
            "Surprise SVD",
            "surprise-svd",
            f,
            (
                {},
                *product(n_factors=[50], reg_all=[0.1, 0.2, 0.3], lr_all=[0.005], n_epochs=[40]),
            ),
        ),
        side(
            "Surprise SVD++",
            "surprise",
            f,
            product(kind=["svd++"], reg_all=[0.1, 0.2], lr_all=[0.005], n_epochs=[30]),
        ),
        side(
            "libmf",
            "libmf",
            f,
            product(k=[16, 64], reg=[0.1, 0.2, 0.4], eta=[0.03], nr_iters=[100]),
        ),
        side(
            "Cornac MF",
            "cornac-mf",
            f,
            product(k=[16], lambda_reg=[0.1, 0.2, 0.3], learning_rate=[0.005], max_iter=[60]),
        ),
        side(
            "LensKit ALS (BiasedMF)",
            "lenskit-als",
            "lenskit",
            product(features=[8, 50], regularization=[0.2, 0.5], epochs=[10]),
        ),
        side("LensKit item-kNN", "lenskit-knn", "lenskit", product(max_nbrs=[20, 80], min_nbrs=[1, 3])),
        side("myFM", "myfm", "ranking", product(rank=[4, 8])),
        side("myFM, SVD++ flipped", "myfm", "ranking", product(rank=[4, 8], blocks=[True])),
        side("myFM, timeSVD++ flipped", "myfm", "ranking", product(rank=[4, 8], blocks=[True], days=[True])),
    ]
    if small:  # their matrix of all pairs of items, several times over, is too much for the whole
        settings = product(kind=["item", "user"], k=[40, 80], shrinkage=[100])
        found.append(side("Surprise KNNBaseline", "surprise", f, (*settings, {**settings[0], "min_k": 3})))
    return found


def candidates(data: str) -> list[Side]:
    if data == "ml-100k":
        return [AUTO, BIAS, *(s for s in ratings.SIDES if not s.ours)]
    rivals = ml_1m() if data == "ml-1m" else movietweetings(data == "movietweetings-demo")
    return [AUTO, BIAS, *rivals]


def section(job: Job, data: str, summary: list[Any]) -> list[str]:
    """One data set: a table, differences, settings."""
    sides, rows = candidates(data), ML_100K if data == "ml-100k" else (data,)
    taken = job.run(sides, rows)
    sides = [one for one in sides if one.label in taken]
    found = job.compare(sides, rows, taken)
    frame = ranked(found.frame.filter(pl.col("model").is_in(list(taken))), "rmse")
    mae = {r["model"]: r["mean"] for r in found.frame.filter(found.frame["metric"] == "mae").iter_rows(named=True)}
    by = {s.label: s for s in sides}
    lines = [
        (
            r["model"],
            f"{r['mean']:.4f}",
            f"{r['low']:.4f} to {r['high']:.4f}",
            f"{mae[r['model']]:.4f}",
            f"{job.seconds(by[r['model']], rows, taken[r['model']]):.1f}",
        )
        for r in frame.iter_rows(named=True)
    ]
    means = dict(zip(frame["model"], frame["mean"], strict=True))
    best = next(name for name in frame["model"] if not by[name].ours)
    chosen = sorted({job.about(AUTO, one, taken[AUTO.label])["model"] for one in rows})
    clock = job.seconds(AUTO, rows, taken[AUTO.label], "seconds")
    to = [against(found, AUTO.label, other, "rmse") for other in (best, BIAS.label)]
    summary.append(
        (
            TITLES[data].partition(", a random")[0],
            ", ".join(chosen),
            f"{means[AUTO.label]:.4f}",
            f"{means[BIAS.label]:.4f}",
            f"{best}: {means[best]:.4f}",
            signed(to[0]),
            signed(to[1]),
            f"{clock:.0f}",
        )
    )
    shown = [f"## {TITLES[data]}", table(("", "RMSE", "95 % bounds", "MAE", "CPU s"), lines)]
    return [*shown, settings_table(sides, taken)] if data != "ml-100k" else shown


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", default="", help="one data set alone; writes no page")
    args = parser.parse_args()
    job = Job("rating", ("rmse", "mae"), limit=args.limit, only=args.only, finished=args.finished)
    if args.only or args.data:
        for data in [args.data] if args.data else TITLES:
            job.run(candidates(data), ML_100K if data == "ml-100k" else (data,))
        raise SystemExit("no page: only some were asked for")
    summary: list[Any] = []
    sections = [part for data in ("ml-100k", *SHARES) for part in section(job, data, summary)]
    head = ("", "auto took", "its RMSE", "bias", "best rival", "auto minus it", "auto minus bias", "auto, s")
    page(
        "auto",
        "cf.fit(ratings), no model named: beside bias and the best rival",
        "python benchmarks/accuracy/auto.py",
        [s for data in TITLES for s in candidates(data)],
        (
            *job.missing(),
            "The same rows for all, figures by cofactor's metrics. Differences with 95 % bounds by paired bootstrap"
            " over users; below\nnought: `auto` is better. The best rival is the one that is best on the *test* rows,"
            " of all below. Seconds of `auto`\nby the clock, choosing included (two threads); CPU seconds of the"
            " others with one thread and other work on the machine.",
            table(head, summary),
            "Settings of rivals: the best by RMSE on a random tenth of the training rows (for ml-100k see"
            " [accuracy_ratings](accuracy_ratings.md)).",
            *sections,
        ),
    )


if __name__ == "__main__":
    main()
