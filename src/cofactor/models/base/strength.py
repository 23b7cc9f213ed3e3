"""How much a row counts in a ranker: the strength of a rating, of a count, or of repeated events.

One function decides for all rankers (:func:`strength_of`), one applies it (:func:`strengths`). Ratings count linearly
between the 1st and 99th percentile, from ``min_rating_weight`` up to 1. Counts and events count

    floor + (1 - floor) * log(1 + c / median) / log(1 + c99 / median),    at most 1

since a long tail says more in its logarithm (Hu, Koren & Volinsky 2008), and since that somebody came at all says
nearly everything: the floor is 1, which leaves the counts out, unless a lower one makes better lists on rows held out
of the training rows.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR, Interactions
from cofactor.data.kind import Kind
from cofactor.errors import ConfigError
from cofactor.kernels.gain import ndcg

Array = NDArray[Any]

FLOORS = (1.0, 0.9, 0.8)
"""What the smallest count may weigh, against 1 for the largest; the first is taken unless another is clearly better."""
_TRAINED, _TESTED, _AT = 20_000, 1_000, 20
"""So many users at most make the lists that choose the floor, and so many are asked; the lists have so many items."""
_GAIN = 0.01
"""A lower floor has to make lists that are better by this share, and beyond chance."""

_known: WeakKeyDictionary[Interactions, Array] = WeakKeyDictionary()


def strength_of(data: Interactions) -> Array:
    """What :func:`strengths` needs of the training rows: float32 (2,), the two percentiles of ratings; or float32 (3,),
    median, 99th percentile and floor of counts and events. Chosen once for each table."""
    if data not in _known:
        _known[data] = _strength_of(data)
    return _known[data]


def strengths(values: Array, strength: Array, low: float) -> Array:
    """float32 (n,): what rows of these values count. ``low`` is the weight of the lowest rating (and the least that a
    count weighs); 1 makes all alike. Dislikes come out below 0: events of negative value, ratings where ``low`` is."""
    values = np.asarray(values, dtype=np.float32)
    if len(strength) == 3:
        size = _of_counts(np.abs(values), strength, low)
        return np.where(values < 0, -size, size)
    lowest, highest = float(strength[0]), float(strength[1])
    if low == 1.0 or highest <= lowest:
        return np.ones(len(values), dtype=np.float32)
    share = np.clip((values - np.float32(lowest)) / np.float32(highest - lowest), 0, 1)
    found: Array = np.float32(low) + np.float32(1 - low) * share
    return found


def _of_counts(counts: Array, strength: Array, low: float) -> Array:
    median, high, floor = (float(x) for x in strength)
    floor = max(floor, low)
    if floor >= 1 or high <= 0 or median <= 0:
        return np.ones(len(counts), dtype=np.float32)
    share = np.log1p(counts.astype(np.float64) / median) / np.log1p(high / median)
    return np.asarray(floor + (1 - floor) * np.minimum(share, 1), dtype=np.float32)


def like_strengths(values: Array, strength: Array, low: float) -> Array:
    """The same, with 0 for dislikes, as for what is missing."""
    return np.maximum(strengths(values, strength, low), np.float32(0))


def weighted(rows: CSR, strength: Array, low: float) -> CSR:
    """The same rows with weights for values, times those of the rows; 0 for dislikes, as for what is missing."""
    return _times_weights(rows, like_strengths(rows.values, strength, low))


def weighted_with_dislikes(rows: CSR, strength: Array, low: float) -> CSR:
    """The same rows with weights for values, times those of the rows; dislikes below 0."""
    return _times_weights(rows, strengths(rows.values, strength, low))


def _times_weights(rows: CSR, values: Array) -> CSR:
    return rows._replace(values=values if rows.weights is None else values * rows.weights)


def liked_rows(values: Array, kind: Kind) -> Array | None:
    """bool (n,): the rows that are no dislikes, of events and counts; None where there are none, and of ratings."""
    if kind == "ratings" or not len(values) or values.min() >= 0:
        return None
    return np.asarray(values > 0)


def check_min_weight(low: float, least: float = 0.0) -> None:
    """ConfigError unless the weight of the lowest rating is between ``least`` and 1."""
    if not least <= low <= 1:
        raise ConfigError(f"min_rating_weight is {low}; it must be between {least:g} and 1")


def _strength_of(data: Interactions) -> Array:
    if data.kind == "ratings":
        if not len(data):
            return np.zeros(2, dtype=np.float32)
        return np.percentile(data.values, [1, 99]).astype(np.float32)
    liked = liked_rows(data.values, data.kind)
    data = data if liked is None else data.take(liked)
    if not len(data) or data.range[0] == data.range[1]:
        return np.ones(3, dtype=np.float32)
    median, high = (float(x) for x in np.percentile(data.values, [50, 99]))
    return np.array([median, high, best_floor(data.by_user, data.n_items, median, high)], dtype=np.float32)


def best_floor(by_user: Any, n_items: int, median: float, high: float) -> float:
    """The floor whose weights make an item-item cosine find most of the rows that are held out, a fifth of those of
    some users. Sums go in one order on one thread, so the same table gives the same floor. ``by_user`` is asked for its
    ``counts`` and to ``take`` some rows."""
    from scipy import sparse  # a saved ranker opens without it: it takes longer than the rest

    rng = np.random.default_rng(0)
    counts = by_user.counts
    able = np.flatnonzero(counts >= 5)
    if len(able) < 50:
        return FLOORS[0]
    asked = np.sort(rng.choice(able, min(_TESTED, len(able)), replace=False))
    others = np.setdiff1d(np.flatnonzero(counts), asked)
    others = np.sort(rng.choice(others, min(_TRAINED, len(others)), replace=False))
    mine, rest = by_user.take(asked), by_user.take(others)
    out = rng.random(len(mine.indices)) < 0.2
    rows = np.repeat(np.arange(len(asked)), mine.counts)
    shape = (len(asked), n_items)
    held = sparse.csr_array((np.ones(int(out.sum())), (rows[out], mine.indices[out])), shape=shape)
    scored = np.flatnonzero(np.diff(held.indptr) > 0)
    gains = []
    for floor in FLOORS:
        limits = np.array([median, high, floor], dtype=np.float32)
        weights = strengths(mine.values[~out], limits, 0.0).astype(np.float64)
        own = sparse.csr_array((weights, (rows[~out], mine.indices[~out])), shape=shape)
        theirs = strengths(rest.values, limits, 0.0).astype(np.float64)
        known = sparse.vstack(
            [own, sparse.csr_array((theirs, rest.indices, rest.indptr), shape=(len(others), n_items))]
        )
        gains.append(_ndcg(known.tocsr(), own, held, scored))
    best = FLOORS[0], gains[0]
    for floor, gain in zip(FLOORS[1:], gains[1:]):
        better = gain - best[1]
        error = better.std() / max(len(better), 1) ** 0.5
        if better.mean() > max(_GAIN * best[1].mean(), 2 * error):
            best = floor, gain
    return best[0]


@one_thread()
def _ndcg(known: Any, own: Any, held: Any, users: Array) -> Array:
    """NDCG of each of these users' lists by the cosine of items."""
    from scipy import sparse

    norms = np.sqrt(known.multiply(known).sum(axis=0))
    unit = known @ sparse.diags_array(1 / np.maximum(np.asarray(norms), 1e-12))
    unit = unit.tocsr()
    turned = unit.T.tocsr()
    found = np.zeros(len(users))
    for first in range(0, len(users), 100):
        block = users[first : first + 100]
        mine = own[block]
        scores = np.asarray(((mine @ turned) @ unit).todense())
        scores[mine.nonzero()] = -np.inf
        n = min(_AT, scores.shape[1])
        top = np.argpartition(-scores, n - 1, axis=1)[:, :n]
        top = np.take_along_axis(
            top, np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable"), axis=1
        )
        truth = np.asarray(held[block].todense()) > 0
        hits = np.take_along_axis(truth, top, axis=1)
        found[first : first + 100] = ndcg(hits, truth.sum(axis=1))
    return found
