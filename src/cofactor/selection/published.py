"""Published figures for protocols that can be run on registered data. Data only; ``reproduce`` runs them.

The figures are for exactly this split of the data (random folds: for folds like these), as papers or a project's
documentation report them. A note says where a figure was read when it was not in the paper itself, or that it was not
checked. Those "stated in the project's goals" are earlier runs of rivals; ``benchmarks/accuracy`` runs them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Figure(NamedTuple):
    """One published figure."""

    model: str
    metric: str
    value: float
    source: str
    note: str = ""


class Protocol(NamedTuple):
    """A protocol. ``data`` and ``cut`` define the rows; ``models`` are those that cofactor runs by default."""

    about: str
    data: str
    cut: str
    """``u``: u1..u5; ``u1``: the first of them; ``a``: ua and ub; ``random``: a random tenth for testing;
    ``kfold``: five random folds; ``temporal``: the last fifth by time."""
    metrics: tuple[str, ...]
    models: tuple[str, ...]
    figures: tuple[Figure, ...]
    relevant: float | None = None


_GCMC = "van den Berg, Kipf & Welling 2017"
_MYFM = "myFM documentation (Ohtsuki)"
_EXAMPLE = "myFM's example ml-100k-extended (Ohtsuki; 0.4)"
_PWC = "read in the listing of Papers with Code"
_SURPRISE = "Surprise's README (1.1.4)"
_FOLDS = "defaults; other random folds"
_MEASURED = "rival figure stated in the project's goals, mean of u1..u5"
_UNCHECKED = "not checked at its source"
_TUNED = f"{_MEASURED}; tuned on exactly these folds"


def _surprise(found: Mapping[str, tuple[float, float]]) -> tuple[Figure, ...]:
    """Return figures of RMSE and MAE by name."""
    return tuple(
        Figure(f"Surprise {name}", metric, value, _SURPRISE, _FOLDS)
        for name, values in found.items()
        for metric, value in zip(("rmse", "mae"), values, strict=True)
    )


PROTOCOLS: dict[str, Protocol] = {
    "ml-100k-u1": Protocol(
        "Ratings: u1.base for training, u1.test for testing",
        "ml-100k",
        "u1",
        ("rmse", "mae"),
        ("bias", "als", "dot-bias", "svd++", "bayes-mf", "bayes-mf + features"),
        (
            Figure("sRGCNN", "rmse", 0.929, "Monti, Bronstein & Bresson 2017", f"with features; {_UNCHECKED}"),
            Figure("GC-MC", "rmse", 0.910, _GCMC, _PWC),
            Figure("GC-MC + features", "rmse", 0.905, _GCMC, _PWC),
            Figure("IGMC", "rmse", 0.905, "Zhang & Chen 2020", _UNCHECKED),
            Figure("STAR-GCN", "rmse", 0.895, "Zhang et al. 2019", "as quoted by a re-implementation"),
            Figure("timeSVD++ flipped", "rmse", 0.889, _MYFM, "ratings and dates"),
            Figure("timeSVD++ flipped", "mae", 0.700, _MYFM, "ratings and dates"),
            Figure("timeSVD++ flipped + features", "rmse", 0.8833, _EXAMPLE, "512 iterations"),
            Figure("timeSVD++ flipped + features", "mae", 0.6941, _EXAMPLE, "512 iterations"),
            Figure("the same, ordered probit", "rmse", 0.8808, _EXAMPLE),
            Figure("the same, ordered probit", "mae", 0.6921, _EXAMPLE),
            Figure("MyMediaLite user average", "rmse", 1.063, "MyMediaLite documentation (Gantner et al. 2011)"),
            Figure("MyMediaLite user average", "mae", 0.8502, "MyMediaLite documentation (Gantner et al. 2011)"),
        ),
    ),
    "ml-100k-u1-u5": Protocol(
        "Ratings: the five published folds, mean",
        "ml-100k",
        "u",
        ("rmse", "mae"),
        ("bias", "item-knn", "als", "dot-bias", "svd++", "bayes-mf", "bayes-mf + features"),
        (
            Figure("Surprise SVD", "rmse", 0.938, _MEASURED, "defaults"),
            Figure("Surprise SVD++", "rmse", 0.922, _MEASURED),
            Figure("LensKit ALS", "rmse", 0.920, _MEASURED),
            Figure("LensKit item-kNN", "rmse", 0.916, _MEASURED),
            Figure("LIBMF", "rmse", 0.912, _MEASURED),
            Figure("myFM, rank 10", "rmse", 0.8973, _MEASURED),
            Figure("myFM SVD++ flipped", "rmse", 0.8823, _MEASURED),
            Figure("myFM timeSVD++ flipped", "rmse", 0.8796, _MEASURED, "with dates"),
            Figure("the same, ordered probit", "rmse", 0.8792, _MEASURED, "with dates"),
        ),
    ),
    "ml-100k-ua-ub": Protocol(
        "Ratings: exactly ten test ratings per user, two disjoint test sets, mean",
        "ml-100k",
        "a",
        ("rmse", "mae"),
        ("bias", "als", "dot-bias", "svd++", "bayes-mf"),
        (),
    ),
    "ml-100k-5-fold": Protocol(
        "Ratings: five random folds, mean",
        "ml-100k",
        "kfold",
        ("rmse", "mae"),
        ("bias", "item-knn", "als", "dot-bias", "svd++", "bayes-mf"),
        _surprise(
            {
                "SVD": (0.934, 0.737),
                "SVD++": (0.919, 0.721),
                "NMF": (0.963, 0.758),
                "Slope One": (0.946, 0.743),
                "k-NN Baseline": (0.931, 0.733),
                "Co-Clustering": (0.963, 0.753),
                "Baseline": (0.944, 0.748),
            }
        ),
    ),
    "ml-1m-5-fold": Protocol(
        "Ratings: five random folds, mean",
        "ml-1m",
        "kfold",
        ("rmse", "mae"),
        ("bias", "als", "bayes-mf"),
        _surprise(
            {
                "SVD": (0.873, 0.686),
                "SVD++": (0.862, 0.672),
                "NMF": (0.916, 0.723),
                "Slope One": (0.907, 0.715),
                "k-NN Baseline": (0.895, 0.706),
                "Co-Clustering": (0.915, 0.717),
                "Baseline": (0.909, 0.719),
            }
        ),
    ),
    "ml-100k-temporal": Protocol(
        "Ratings: the last fifth by time for testing; 85 % of its rows are of users who are not in training",
        "ml-100k",
        "temporal",
        ("rmse", "mae"),
        ("bias", "item-knn", "als", "dot-bias", "svd++", "bayes-mf"),
        (),
    ),
    "movietweetings-temporal": Protocol(
        "Ratings of the future: the last fifth by time of the demo's 5-core; most of its users are in training",
        "movietweetings-demo",
        "temporal",
        ("rmse", "mae"),
        ("bias", "item-knn", "user-knn", "als", "svd++", "dot-bias", "bayes-mf"),
        (),
    ),
    "movietweetings-temporal-ranking": Protocol(
        "Lists of the future: the same rows, every one of the last fifth relevant, all unseen items ranked",
        "movietweetings-demo",
        "temporal",
        ("ndcg@10", "recall@10"),
        ("popular", "popular:half_life=7", "item-cosine", "ease", "ials", "next-item", "auto-ranking"),
        (),
        0.0,
    ),
    "ml-100k-ranking": Protocol(
        "Ranking on u1..u5: training ratings as positives, test ratings from 4 relevant, all unseen items ranked",
        "ml-100k",
        "u",
        ("ndcg@10", "recall@10"),
        ("popular", "item-cosine", "ease", "slim", "ials", "bpr", "warp", "blend"),
        (
            Figure("popularity", "ndcg@10", 0.198, _MEASURED),
            Figure("item-kNN, BM25", "ndcg@10", 0.346, _TUNED),
            Figure("BPR", "ndcg@10", 0.353, _TUNED),
            Figure("WARP", "ndcg@10", 0.353, _TUNED),
            Figure("PureSVD", "ndcg@10", 0.373, _TUNED),
            Figure("SLIM", "ndcg@10", 0.383, _TUNED),
            Figure("EASE", "ndcg@10", 0.385, _TUNED),
            Figure("implicit ALS", "ndcg@10", 0.387, _TUNED),
        ),
        4.0,
    ),
    "ml-1m-90-10": Protocol(
        "Ratings: a random tenth for testing",
        "ml-1m",
        "random",
        ("rmse", "mae"),
        ("bias", "als", "svd++", "bayes-mf"),
        (
            Figure("PMF", "rmse", 0.883, f"as given by {_GCMC}", _UNCHECKED),
            Figure("LLORMA-Local", "rmse", 0.833, f"Lee et al. 2013, as given by {_GCMC}", _UNCHECKED),
            Figure("GC-MC", "rmse", 0.832, _GCMC, f"five random splits; {_PWC}"),
            Figure("I-AutoRec", "rmse", 0.831, "Sedhain et al. 2015", f"random splits; {_UNCHECKED}"),
            Figure(
                "CF-NADE", "rmse", 0.829, "Zheng et al. 2016", "random splits; from a listing of the paper's results"
            ),
        ),
    ),
}
"""By name, as in ``cofactor reproduce ml-100k-u1``."""
