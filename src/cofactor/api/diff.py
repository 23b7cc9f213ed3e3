"""Differences between two recommenders, or two saved ones."""

from __future__ import annotations

from pathlib import Path

from cofactor.evaluation import diff as differences
from cofactor.recommend.fitted import Fitted
from cofactor.recommender import load


def diff(
    a: Fitted | str | Path, b: Fitted | str | Path, *, n: int = 10, sample: int = 500, p: float = 0.9, seed: int = 0
) -> differences.Diff:
    """Return the differences between two recommenders.

    For users that both know, the top ``n`` lists without seen items are compared by rank-biased overlap (Webber, Moffat
    & Zobel 2010, extrapolated). Items in common are ranked by bias (or popularity). Vectors are compared after the best
    rotation of one set onto the other (Schönemann 1966).

    Args:
        a: a Recommender, or the path of a saved one.
        b: the other one.
        n: the length of the lists.
        sample: the largest number of users whose lists are compared.
        p: the persistence of rank-biased overlap, between 0 and 1: how far down a list a reader goes.
        seed: the seed for drawing the users.

    Returns:
        A Diff: frames of facts, metrics, lists, moved items and drifted vectors.
    """
    loaded = [load(x) if isinstance(x, (str, Path)) else x for x in (a, b)]
    return differences.diff(*loaded, n=n, sample=sample, p=p, seed=seed)
