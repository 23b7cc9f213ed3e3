"""What changed between two recommenders, or between two saved ones."""

from __future__ import annotations

from pathlib import Path

from cofactor.evaluation import diff as differences
from cofactor.recommend.fitted import Fitted
from cofactor.recommender import load


def diff(
    a: Fitted | str | Path, b: Fitted | str | Path, *, n: int = 10, sample: int = 500, p: float = 0.9, seed: int = 0
) -> differences.Diff:
    """What changed between two recommenders, or paths of saved ones.

    Top ``n`` lists of up to ``sample`` users that both know, seen items left out, by rank-biased overlap (Webber,
    Moffat & Zobel 2010, extrapolated) with persistence ``p``. Items are ranked by bias (or popularity) among those in
    common. Vectors are compared after the best rotation of one onto the other (Schönemann 1966).
    """
    loaded = [load(x) if isinstance(x, (str, Path)) else x for x in (a, b)]
    return differences.diff(*loaded, n=n, sample=sample, p=p, seed=seed)
