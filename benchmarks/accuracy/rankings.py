"""Rankers of others and ours on the published folds u1 .. u5 of ml-100k, in one harness, with equal chances.

    python benchmarks/accuracy/rankings.py                      writes results/accuracy_rankers.md
    python benchmarks/accuracy/rankings.py --limit 150          stops after so many seconds; run again to go on

Needs ml-100k in $COFACTOR_DATA_DIR. Test rows rated 4 or more are relevant; every item that a user has not in training
is ranked. Settings are the best of several on random fifths of the training rows of u1, one configuration for all
folds.

Much of what makes a ranker good here is what a training rating counts as. Ours weigh it by default; so every rival is
given the same rows three ways, each with settings of its own: all alike, only those rated 4 or more, and weighed from
nought to one by the rating.
"""

from __future__ import annotations

import numpy as np
from harness import Job, Setting, Side, against, arguments, page, product, settings_table, signed, table
from rows import ML_100K

METRICS = ("ndcg@10", "recall@10", "map@10", "hit_rate@10")
WAYS = {"all": "all rows alike", "good": "rows from 4 alone", "graded": "weighed by rating"}

RIVALS: dict[str, tuple[str, tuple[Setting, ...], tuple[str, ...], int]] = {
    "popularity": ("popular", ({},), tuple(WAYS), 2),
    "implicit item-kNN": (
        "implicit-knn",
        (
            *product(kind=["bm25"], K=[50, 100, 200, 500], B=[0.1, 0.3, 0.5, 0.75], K1=[1.2, 10, 100]),
            *product(kind=["cosine", "tfidf"], K=[50, 100, 200]),
        ),
        tuple(WAYS),
        2,
    ),
    "implicit BPR": (
        "implicit-bpr",
        product(
            factors=[32, 64],
            learning_rate=[0.01, 0.02, 0.05],
            regularization=[0.005, 0.01, 0.02, 0.05],
            iterations=[100],
        ),
        ("all", "good"),
        2,
    ),
    "Cornac BPR": (
        "cornac-bpr",
        product(k=[64], learning_rate=[0.01, 0.02], lambda_reg=[0.01, 0.02], max_iter=[100]),
        ("all", "good"),
        1,
    ),
    "lightfm-next WARP": (
        "lightfm",
        product(
            no_components=[32, 64],
            user_alpha=[0.0, 1e-5, 1e-4],
            item_alpha=[1e-5],
            learning_rate=[0.05],
            epochs=[20, 50],
        ),
        tuple(WAYS),
        2,
    ),
    "PureSVD (SciPy)": ("pure-svd", product(factors=[8, 12, 16, 20, 25, 30, 40, 50, 70]), tuple(WAYS), 2),
    "SLIM (scikit-learn)": ("slim", product(alpha=[0.05, 0.1], l1_ratio=[0.01, 0.03]), ("all", "graded"), 1),
    "EASE (NumPy)": ("ease", product(reg=[50, 100, 200, 400, 800]), tuple(WAYS), 2),
    "implicit ALS": (
        "implicit-als",
        product(factors=[64, 128], regularization=[10, 20, 40], alpha=[2, 4, 8], iterations=[15]),
        tuple(WAYS),
        1,
    ),
}
"""Method, settings, which ways of counting a rating it can take, inner parts. BPR takes no weights in either."""

ALIKE: dict[str, tuple[Setting, ...]] = {
    "item-cosine": product(neighbours=[50, 100, 200], b=[0.1, 0.3, 0.7], shrink=[0.0, 20.0]),
    "bpr": product(lr=[0.02, 0.05], reg=[0.005, 0.01, 0.02]),
    "warp": product(lr=[0.02, 0.05], reg=[0.02, 0.05, 0.1]),
    "slim": product(l1=[1.0, 2.0, 5.0], l2=[50.0, 100.0, 200.0]),
    "ease": product(reg=[100.0, 200.0, 400.0, 800.0]),
    "ials": product(alpha=[1.0, 2.0, 4.0], reg=[10.0, 20.0, 40.0], nu=[0.25, 0.5]),
}
"""Ours with all rows alike, settings chosen again; by default they are weighed."""

LIKE = {
    "item-cosine": "implicit item-kNN",
    "bpr": "Cornac BPR",
    "warp": "lightfm-next WARP",
    "slim": "SLIM (scikit-learn)",
    "ease": "EASE (NumPy)",
    "ials": "implicit ALS",
}


def label(name: str, way: str) -> str:
    return f"{name}, {WAYS[way]}"


def sides() -> list[Side]:
    found = [Side(f"cofactor {n}", "cofactor", ({"model": n},)) for n in ("popular", *LIKE, "blend")]
    for name, settings in ALIKE.items():
        tried = tuple({"model": name, "min_rating_weight": 1.0, **s} for s in settings)
        found.append(Side(label(f"cofactor {name}", "all"), "cofactor", tried))
    for name, (method, settings, ways, parts) in RIVALS.items():
        for way in ways:
            tried = tuple({"positives": way, **s} for s in settings)
            env = "factorisation" if method.startswith("cornac") else "rankers"
            found.append(Side(label(name, way), method, tried, env, "rankers.py", parts))
    return found


def main() -> None:
    args = arguments(__doc__).parse_args()
    everybody = sides()
    job = Job("ranking", METRICS, relevant=4.0, limit=args.limit, only=args.only, finished=args.finished)
    taken = job.run(everybody, ML_100K)
    if args.only:
        raise SystemExit("no page: only some were asked for")
    everybody = [side for side in everybody if side.label in taken]
    found = job.compare(everybody, ML_100K, taken)
    means = {(r["model"], r["metric"]): r for r in found.frame.iter_rows(named=True)}

    def ndcg(name: str) -> float:
        return float(means[name, "ndcg@10"]["mean"]) if name in taken else -np.inf

    def figure(name: str) -> str:
        return f"{ndcg(name):.4f}" if name in taken else "-"

    order = sorted(everybody, key=lambda s: -ndcg(s.label))
    lines = []
    for side in order:
        values = [job.value(side, one, taken[side.label], "ndcg@10") for one in ML_100K]
        row = means[side.label, "ndcg@10"]
        cells = [f"{v:.4f}" for v in [*values, row["mean"]]]
        more = [f"{means[side.label, name]['mean']:.4f}" for name in METRICS[1:]]
        seconds = job.seconds(side, ML_100K, taken[side.label])
        lines.append((side.label, *cells, f"{row['low']:.4f} to {row['high']:.4f}", *more, f"{seconds:.1f}"))
    head = ("", "u1", "u2", "u3", "u4", "u5", "NDCG@10, mean", "95 % bounds", *METRICS[1:], "CPU s a fold")
    families = []
    for name in RIVALS:
        mine = next((m for m, rival in LIKE.items() if rival == name), "popular" if name == "popularity" else None)
        alike = label(f"cofactor {mine}", "all") if mine in ALIKE else None
        cells = [figure(label(name, way)) for way in WAYS]
        own = [figure(alike) if alike else "-", figure(f"cofactor {mine}") if mine else "-"]
        families.append((name, *cells, f"cofactor {mine}" if mine else "-", *own))
    families.append(("-", "-", "-", "-", "cofactor blend", "-", f"{ndcg('cofactor blend'):.4f}"))
    best = next(side.label for side in order if not side.ours)
    pairs = [(f"cofactor {m}", best) for m in ("blend", "ials", "ease", "slim")]
    for mine, rival in LIKE.items():
        ways = RIVALS[rival][2]
        top = max(ways, key=lambda way, rival=rival: ndcg(label(rival, way)))
        pairs += [(f"cofactor {mine}", label(rival, top)), (label(f"cofactor {mine}", "all"), label(rival, "all"))]
    differences = [
        (f"{a} minus {b}", *(signed(against(found, a, b, m)) for m in METRICS[:2]))
        for a, b in dict.fromkeys(pairs)
        if b in taken
    ]
    page(
        "accuracy_rankers",
        "Rankings: others and cofactor on ml-100k, u1 .. u5",
        "python benchmarks/accuracy/rankings.py",
        everybody,
        (
            *job.missing(),
            "Training ratings in, test ratings of 4 or more relevant, every item ranked that the user has not in"
            " training; means over\nusers with a relevant item, then folds. Everybody's scores of all items are saved,"
            " and all figures are by cofactor's metrics.\nOne thread each; CPU seconds of training, other work on the"
            " machine.",
            "**What a rating counts.** Much of the difference between rankers is this and not the method, so every"
            " rival is given the\nsame rows three ways, with settings chosen for each: all alike (how the libraries'"
            " examples do), rows from 4 alone, and\nweighed from 0 (rated 1) to 1 (rated 5), which is what ours do by"
            " default (`min_rating_weight=0`). NDCG@10:",
            table(("rival", *WAYS.values(), "ours", "all rows alike", "weighed (default)"), families),
            "All of them, best first:",
            table(head, lines),
            "Differences by paired bootstrap over users (above nought: the first is better), 95 %. First against the"
            " best of all rivals,\nthen each family against the best way of its rival, and both with all rows alike:",
            table(("", "NDCG@10", "recall@10"), differences),
            "Settings: the best by NDCG@10 on random fifths of the training rows of u1, then the same for all folds."
            " Ours weighed are\ndefaults, chosen earlier in the same way (`rankers.py --select`), so nothing was tried"
            " here.",
            settings_table(everybody, taken),
        ),
    )


if __name__ == "__main__":
    main()
