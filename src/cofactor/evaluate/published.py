"""Published figures for protocols that can be run on registered data. Data only; ``reproduce`` runs them.

Figures are of this very cut of the data, as papers or a project's documentation give them. A note says where
a figure was not checked at its source. Those "stated in the project's goals" are runs of rivals that no
command here repeats.
"""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """One published figure."""

    model: str
    metric: str
    value: float
    source: str
    note: str = ""


class Protocol(NamedTuple):
    """How a figure comes about: ``data`` and ``cut`` say which rows; ``models`` are what cofactor runs by
    default."""

    about: str
    data: str
    cut: str
    """``u``: u1..u5; ``u1``: the first of them; ``a``: ua and ub; ``random``: a random tenth for testing."""
    metrics: tuple[str, ...]
    models: tuple[str, ...]
    figures: tuple[Figure, ...]
    relevant: float | None = None


_GCMC = "van den Berg, Kipf & Welling 2017"
_MYFM = "myFM documentation (Ohtsuki)"
_LISTED = "myFM with the features of Rendle, Zhang & Koren 2019"
_MEASURED = "rival figure stated in the project's goals, mean of u1..u5"
_UNCHECKED = "not checked at its source"
_TUNED = f"{_MEASURED}; tuned on these very folds"

PROTOCOLS: dict[str, Protocol] = {
    "ml-100k-u1": Protocol(
        "Ratings: u1.base to learn from, u1.test to check with",
        "ml-100k",
        "u1",
        ("rmse", "mae"),
        ("bias", "als", "dot-bias", "svd++", "bayes-mf", "bayes-mf + features"),
        (
            Figure("sRGCNN", "rmse", 0.929, "Monti, Bronstein & Bresson 2017", f"with features; {_UNCHECKED}"),
            Figure("GC-MC", "rmse", 0.910, _GCMC, "seen listed as 0.91"),
            Figure("GC-MC + features", "rmse", 0.905, _GCMC, _UNCHECKED),
            Figure("IGMC", "rmse", 0.905, "Zhang & Chen 2020", _UNCHECKED),
            Figure("STAR-GCN", "rmse", 0.895, "Zhang et al. 2019", "as quoted by a re-implementation"),
            Figure("timeSVD++ flipped", "rmse", 0.889, _MYFM, "ratings and dates"),
            Figure("timeSVD++ flipped", "mae", 0.700, _MYFM, "ratings and dates"),
            Figure("timeSVD++ flipped + features", "rmse", 0.8833, _LISTED, _UNCHECKED),
            Figure("the same, ordered probit", "rmse", 0.8808, _LISTED, _UNCHECKED),
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
        "Ratings: exactly ten test ratings a user, two disjoint test sets, mean",
        "ml-100k",
        "a",
        ("rmse", "mae"),
        ("bias", "als", "dot-bias", "svd++", "bayes-mf"),
        (),
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
            Figure("GC-MC", "rmse", 0.832, _GCMC, "five random splits; seen listed as 0.83"),
            Figure("I-AutoRec", "rmse", 0.831, "Sedhain et al. 2015", f"random splits; {_UNCHECKED}"),
            Figure(
                "CF-NADE", "rmse", 0.829, "Zheng et al. 2016", "random splits; from a listing of the paper's results"
            ),
        ),
    ),
}
"""By name, as in ``cofactor reproduce ml-100k-u1``."""
