"""The weight of a row in a ranker: the strength of a rating, of a count, or of repeated events.

One function decides for all rankers (:func:`strength_of`), and one applies it (:func:`strengths`). The weight of
ratings grows linearly between the 1st and 99th percentile, from ``min_rating_weight`` to 1. Counts and events weigh

    floor + (1 - floor) * log(1 + c / median) / log(1 + c99 / median),    at most 1

because a long tail is more informative in its logarithm (Hu, Koren & Volinsky 2008), and because the first event of a
pair tells nearly everything. The floor is therefore 1, which ignores the counts, unless a lower one gives better lists
on rows held out of the training rows.
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
"""Candidate weights of the smallest count, relative to 1 for the largest. The first is used unless another is clearly
better."""
_TRAINED, _TESTED, _AT = 20_000, 1_000, 20
"""For choosing the floor: maximal number of users behind the lists, number of users who get lists, length of a list."""
_GAIN = 0.01
"""A lower floor must improve the lists by this share, and significantly."""

_known: WeakKeyDictionary[Interactions, Array] = WeakKeyDictionary()


def strength_of(data: Interactions) -> Array:
    """Return the parameters of :func:`strengths` for the training rows. They are chosen once for each table.

    float32 (2,): the two percentiles of ratings; or float32 (3,): median, 99th percentile and floor of counts and
    events.
    """
    if data not in _known:
        _known[data] = _strength_of(data)
    return _known[data]


def strengths(values: Array, strength: Array, low: float) -> Array:
    """Return float32 (n,): the weights of rows with these values.

    ``low`` is the weight of the lowest rating (and the least weight of a count); 1 makes all equal. Dislikes get
    weights below 0: events of negative value, and ratings if ``low`` is below 0.
    """
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
    """Return the same, with 0 for dislikes, as for missing rows."""
    return np.maximum(strengths(values, strength, low), np.float32(0))


def weighted(rows: CSR, strength: Array, low: float) -> CSR:
    """Return the same rows with weights instead of values, times the row weights; 0 for dislikes, as for missing
    rows."""
    return _times_weights(rows, like_strengths(rows.values, strength, low))


def weighted_with_dislikes(rows: CSR, strength: Array, low: float) -> CSR:
    """Return the same rows with weights instead of values, times the row weights; dislikes below 0."""
    return _times_weights(rows, strengths(rows.values, strength, low))


def _times_weights(rows: CSR, values: Array) -> CSR:
    return rows._replace(values=values if rows.weights is None else values * rows.weights)


def liked_rows(values: Array, kind: Kind) -> Array | None:
    """Return bool (n,): the rows that are not dislikes, of events and counts; None if there are no dislikes, and for
    ratings."""
    if kind == "ratings" or not len(values) or values.min() >= 0:
        return None
    return np.asarray(values > 0)


def check_min_weight(low: float, least: float = 0.0) -> None:
    """Raise ConfigError unless the weight of the lowest rating is between ``least`` and 1."""
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
    """Return the floor whose weights let an item-item cosine find most of the held-out rows: a fifth of those of some
    users.

    Sums are computed in one order on one thread, so the same table gives the same floor. Of ``by_user``, ``counts`` and
    ``take`` are used.
    """
    from scipy import sparse  # imported here: a saved ranker opens without it, and it takes longer than the rest

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
    """Return the NDCG of each of these users' lists by the cosine of items. Of equal scores the lower item comes
    first."""
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
        top = _best(scores, min(_AT, scores.shape[1]))
        truth = np.asarray(held[block].todense()) > 0
        hits = np.take_along_axis(truth & (scores > -np.inf), top, axis=1)
        found[first : first + 100] = ndcg(hits, truth.sum(axis=1))
    return found


def _best(scores: Array, n: int) -> Array:
    """Return int64 (rows, n): the columns of each row's largest scores, best first; of equal ones the lower first,
    however a processor would sort them."""
    edges = np.partition(scores, scores.shape[1] - n, axis=1)[:, -n]
    able = [np.flatnonzero(row >= edge) for row, edge in zip(scores, edges)]
    return np.stack([at[np.argsort(-row[at], kind="stable")][:n] for row, at in zip(scores, able)])
