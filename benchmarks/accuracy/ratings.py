"""Rating models of others and ours on the published folds u1 .. u5 of ml-100k: RMSE and MAE, in one harness.

    python benchmarks/accuracy/ratings.py                       writes results/accuracy_ratings.md
    python benchmarks/accuracy/ratings.py --limit 150           stops after so many seconds; run again to go on

Needs ml-100k in $COFACTOR_DATA_DIR. Each rival has one configuration for all folds, the best of several on random
tenths of the training rows of u1 (its test rows choose nothing). Ours are at their defaults, which were chosen on parts
of the training rows too.
"""

from __future__ import annotations

from harness import Job, Side, against, arguments, ours, page, product, settings_table, signed, table
from rows import ML_100K

JOB = ("rmse", "mae")

MYFM = {"env": "ranking", "parts": 1}
SIDES = (
    ours("cofactor bias", model="bias"),
    ours("cofactor user-knn", model="user-knn"),
    ours("cofactor item-knn", model="item-knn"),
    ours("cofactor als", model="als"),
    ours("cofactor dot-bias", model="dot-bias"),
    ours("cofactor svd++", model="svd++"),
    ours("cofactor bayes-mf, ratings alone", model="bayes-mf", implicit=False, time=False),
    ours("cofactor bayes-mf, no dates", model="bayes-mf", time=False),
    ours("cofactor bayes-mf", model="bayes-mf"),
    ours("cofactor auto", threads=2),
    Side("Surprise SVD, its defaults", "surprise-svd", ({},), "factorisation"),
    Side(
        "Surprise SVD",
        "surprise-svd",
        (
            {"n_factors": 50, "reg_all": 0.08, "lr_all": 0.005, "n_epochs": 60},
            *product(n_factors=[100], reg_all=[0.08, 0.1, 0.12, 0.15], lr_all=[0.01], n_epochs=[60]),
            *product(n_factors=[100], reg_all=[0.1, 0.12], lr_all=[0.005], n_epochs=[100]),
            {"n_factors": 200, "reg_all": 0.12, "lr_all": 0.01, "n_epochs": 60},
        ),
        "factorisation",
    ),
    Side(
        "Surprise SVD++",
        "surprise",
        (
            {"kind": "svd++"},
            {"kind": "svd++", "n_factors": 20, "lr_all": 0.005, "reg_all": 0.05, "n_epochs": 30},
            {"kind": "svd++", "n_factors": 20, "lr_all": 0.01, "reg_all": 0.08, "n_epochs": 30},
            {"kind": "svd++", "n_factors": 50, "lr_all": 0.01, "reg_all": 0.1, "n_epochs": 40},
        ),
        "factorisation",
        parts=1,
    ),
    Side(
        "Surprise KNNBaseline",
        "surprise",
        (
            *product(kind=["item"], k=[20, 40, 80], shrinkage=[50, 100]),
            {"kind": "item", "k": 40, "shrinkage": 100, "min_k": 3},
            {"kind": "user", "k": 40, "shrinkage": 100},
            {"kind": "user", "k": 80, "shrinkage": 100},
        ),
        "factorisation",
    ),
    Side(
        "LensKit ALS (BiasedMF)",
        "lenskit-als",
        (
            *product(features=[20, 64], regularization=[0.15, 0.2], epochs=[20]),
            {"features": 64, "regularization": 0.15, "epochs": 20, "damping": 10.0},
        ),
        "lenskit",
        parts=1,
    ),
    Side(
        "LensKit item-kNN",
        "lenskit-knn",
        (
            *product(max_nbrs=[20, 40, 80], min_nbrs=[2]),
            *product(max_nbrs=[40], min_nbrs=[2], min_sim=[0.02, 0.05]),
        ),
        "lenskit",
        parts=1,
    ),
    Side(
        "libmf",
        "libmf",
        (
            *product(k=[64, 128], reg=[0.08, 0.1, 0.12], eta=[0.03], nr_iters=[100]),
            {"k": 64, "reg": 0.1, "eta": 0.05, "nr_iters": 60},
        ),
        "factorisation",
        parts=1,
    ),
    Side(
        "Cornac MF",
        "cornac-mf",
        (
            *product(k=[64, 128], lambda_reg=[0.08, 0.1, 0.12], learning_rate=[0.01], max_iter=[60]),
            {"k": 64, "lambda_reg": 0.1, "learning_rate": 0.005, "max_iter": 120},
        ),
        "factorisation",
        parts=1,
    ),
    Side(
        "Cornac PMF",
        "cornac-pmf",
        (
            *product(k=[10], variant=["linear"], lambda_reg=[0.05, 0.1], learning_rate=[0.005], max_iter=[100]),
            {"k": 10, "variant": "non_linear", "lambda_reg": 0.01, "learning_rate": 0.005, "max_iter": 100},
        ),
        "factorisation",
        parts=1,
    ),
    Side("myFM", "myfm", tuple({"rank": r} for r in (8, 10)), **MYFM),
    Side("myFM, SVD++ flipped", "myfm", ({"rank": 10, "blocks": True},), **MYFM),
    Side("myFM, timeSVD++ flipped", "myfm", ({"rank": 10, "blocks": True, "days": True},), **MYFM),
)
"""myFM at the rank of its authors' examples where a training takes long."""

NO_DATES = ("cofactor bayes-mf, no dates", "myFM, SVD++ flipped")
ALONE = ("cofactor bayes-mf, ratings alone", "myFM")


def main() -> None:
    args = arguments(__doc__).parse_args()
    job = Job("rating", JOB, limit=args.limit, only=args.only, finished=args.finished)
    taken = job.run(SIDES, ML_100K)
    if args.only:
        raise SystemExit("no page: only some were asked for")
    sides = [side for side in SIDES if side.label in taken]
    found = job.compare(sides, ML_100K, taken)
    means = {(r["model"], r["metric"]): r for r in found.frame.iter_rows(named=True)}
    order = sorted(sides, key=lambda s: means[s.label, "rmse"]["mean"])
    lines = []
    for side in order:
        values = [job.value(side, one, taken[side.label], "rmse") for one in ML_100K]
        rmse, mae = (means[side.label, name] for name in JOB)
        cells = [f"{v:.4f}" for v in [*values, rmse["mean"]]]
        seconds = job.seconds(side, ML_100K, taken[side.label])
        bounds = f"{rmse['low']:.4f} to {rmse['high']:.4f}"
        lines.append((side.label, *cells, bounds, f"{mae['mean']:.4f}", f"{seconds:.1f}"))
    head = ("", "u1", "u2", "u3", "u4", "u5", "RMSE, mean", "95 % bounds", "MAE, mean", "CPU s a fold")
    mae_lines = [
        (side.label, *(f"{job.value(side, one, taken[side.label], 'mae'):.4f}" for one in ML_100K)) for side in order
    ]
    rivals = [s.label for s in order if not s.ours]
    best = rivals[0]
    pairs = [("cofactor bayes-mf", best), ("cofactor auto", best), NO_DATES, ALONE]
    differences = [
        (f"{a} minus {b}", *(signed(against(found, a, b, name)) for name in JOB))
        for a, b in dict.fromkeys(pairs)
        if b in taken
    ]
    chosen = ", ".join(f"{one[-2:]} {job.about(auto(), one, taken['cofactor auto'])['model']}" for one in ML_100K)
    page(
        "accuracy_ratings",
        "Ratings: others and cofactor on ml-100k, u1 .. u5",
        "python benchmarks/accuracy/ratings.py",
        sides,
        (
            *job.missing(),
            "Everybody trains on the same rows and writes predictions of the same test rows, cut to the scale; all"
            " figures are by\ncofactor's metrics. Bounds: bootstrap over users. One thread each but `auto` (two);"
            " CPU seconds of training from arrays in\nmemory, other work on the machine. `cofactor auto` is"
            f" `cf.fit(ratings)`, which took: {chosen}.",
            table(head, lines),
            "Differences by paired bootstrap over users (below nought: the first is better), 95 %:",
            table(("", "RMSE", "MAE"), differences),
            "MAE by fold:",
            table(("", "u1", "u2", "u3", "u4", "u5"), mae_lines),
            "Settings: the best by RMSE on random tenths of the training rows of u1, then the same for all folds. Ours"
            " are defaults,\nchosen earlier on parts of the training rows of u1 (docs/models.md), so nothing was tried"
            " here.",
            settings_table(sides, taken),
        ),
    )


def auto() -> Side:
    return next(side for side in SIDES if side.label == "cofactor auto")


if __name__ == "__main__":
    main()
