"""Metrics: pure functions on arrays. ``docs/metrics.md`` has definitions, choices and sources.

Rating metrics take aligned arrays of true and predicted values and return a float.

Ranking metrics take ``hits``, bool (n_users, n): whether the item at each position of each list is relevant, best
position first; and ``relevant``, int (n_users,): each user's total number of relevant items. They return one float64
for each user, NaN for a user without a relevant item (callers decide whether such users are skipped or count as 0).

The others take ``top``, int (n_users, n): the item codes of the lists, -1 where a list is shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.kernels.gain import ndcg as ndcg  # a metric like the others
from cofactor.kernels.topk import topk

if TYPE_CHECKING:
    from scipy import sparse

Array = NDArray[Any]


# Ratings


def mse(truth: Array, predicted: Array) -> float:
    """Return the mean squared error."""
    return float(np.mean(np.square(_errors(truth, predicted))))


def rmse(truth: Array, predicted: Array) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(mse(truth, predicted)))


def mae(truth: Array, predicted: Array) -> float:
    """Return the mean absolute error."""
    return float(np.mean(np.abs(_errors(truth, predicted))))


def _errors(truth: Array, predicted: Array) -> Array:
    return np.asarray(predicted, dtype=np.float64) - np.asarray(truth, dtype=np.float64)


# Intervals


def covered(truth: Array, low: Array, high: Array) -> Array:
    """Return bool (n,): whether each true value lies within its interval, bounds included."""
    truth = np.asarray(truth)
    found: Array = (truth >= low) & (truth <= high)
    return found


def interval_coverage(truth: Array, low: Array, high: Array) -> float:
    """Return the share of true values within their intervals. It should be near the requested level."""
    return float(np.mean(covered(truth, low, high)))


def interval_width(low: Array, high: Array) -> float:
    """Return the mean width of the intervals (sharpness). Of two models with correct coverage, the narrower one knows
    more."""
    return float(np.mean(np.asarray(high, dtype=np.float64) - low))


def interval_scores(truth: Array, low: Array, high: Array, level: float) -> Array:
    """Return float64 (n,): the width plus ``2 / (1 - level)`` times the distance of a miss. The mean is a proper score;
    lower is better (Gneiting & Raftery 2007, eq. 43)."""
    t, lo, hi = (np.asarray(a, dtype=np.float64) for a in (truth, low, high))
    scores: Array = (hi - lo) + 2 / (1 - level) * (np.maximum(lo - t, 0) + np.maximum(t - hi, 0))
    return scores


def calibration_error(levels: Array, observed: Array) -> float:
    """Return the mean absolute difference between requested and observed coverage, over several levels (Kuleshov et al.
    2018)."""
    return float(np.mean(np.abs(np.asarray(observed, dtype=np.float64) - np.asarray(levels, dtype=np.float64))))


# Ranking: one value for each user


def recall(hits: Array, relevant: Array) -> Array:
    """Return the share of a user's relevant items that are in the list. It cannot reach 1 if they outnumber the
    positions."""
    return _over(_sum(hits), relevant, relevant)


def precision(hits: Array, relevant: Array) -> Array:
    """Return the share of the list that is relevant. A short list counts as if filled up with misses."""
    return _over(_sum(hits), np.full(len(hits), hits.shape[1]), relevant)


def average_precision(hits: Array, relevant: Array) -> Array:
    """Return the sum of the precision at each hit, divided by the number of relevant items (trec_eval's ``map_cut``).
    Its mean over users is MAP."""
    at = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _over(_sum(at * hits), relevant, relevant)


def reciprocal_rank(hits: Array, relevant: Array) -> Array:
    """Return 1 / the position of the first hit; 0 if the list has none. Its mean over users is MRR."""
    first: Array = 1 / (np.argmax(hits, axis=1) + 1.0)
    return _over(first * hits.any(axis=1), np.ones(len(hits)), relevant)


def hit_rate(hits: Array, relevant: Array) -> Array:
    """Return 1 if the list holds at least one relevant item, else 0."""
    any_hit: Array = np.asarray(hits.any(axis=1))
    return _over(any_hit.astype(np.float64), np.ones(len(hits)), relevant)


class Sought(NamedTuple):
    """The relevant items of some users, and the worth of each.

    Those of row ``u`` are ``indices[indptr[u]:indptr[u + 1]]``; ``missing[u]`` (n_users,) counts more that are not in
    training. Item ``i`` is worth ``worth[i]`` (n_items,), times ``weights`` (aligned with ``indices``) if the test rows
    have weights. An item that is not in training is worth 1, or ``unseen[u]`` (n_users,), the mean weight of such
    items.
    """

    worth: Array
    indptr: Array
    indices: Array
    missing: Array
    weights: Array | None = None
    unseen: Array | None = None

    @property
    def each(self) -> Array:
        """Return the worth of each, float64, aligned with ``indices``."""
        worth: Array = self.worth[self.indices]
        return worth if self.weights is None else worth * self.weights


def debiased_ndcg(hits: Array, top: Array, sought: Sought) -> Array:
    """Return NDCG for relevant items of different worth: that of the list, divided by that of the best possible list
    (self-normalised inverse propensity; Yang et al. 2018)."""
    n = hits.shape[1]
    discount = 1 / np.log2(np.arange(2, n + 2))
    seen = np.diff(sought.indptr)
    counts = seen + sought.missing
    row = np.repeat(np.arange(len(counts)), counts)
    each = np.ones(int(counts.sum()))
    known = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts) < np.repeat(seen, counts)
    each[known] = sought.each
    if sought.unseen is not None:
        each[~known] = sought.unseen[row[~known]]
    order = np.lexsort((-each, row))
    place = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = place < n
    ideal = np.bincount(row[kept], each[order][kept] * discount[place[kept]], minlength=len(counts))
    return _over(_sum(_gains(hits, top, sought) * discount), ideal, counts)


def debiased_recall(hits: Array, top: Array, sought: Sought) -> Array:
    """Return the share of the total worth of a user's relevant items that is in the list; see :func:`debiased_ndcg`."""
    seen = np.diff(sought.indptr)
    row = np.repeat(np.arange(len(hits)), seen)
    lost = sought.missing if sought.unseen is None else sought.missing * sought.unseen
    total = np.bincount(row, sought.each, minlength=len(hits)) + lost
    return _over(_sum(_gains(hits, top, sought)), total, seen + sought.missing)


def _gains(hits: Array, top: Array, sought: Sought) -> Array:
    """Return the worth of the hit at each position, float64 (n_users, n); 0 where there is no hit."""
    gains: Array = hits * sought.worth[np.maximum(top, 0)]
    if sought.weights is None or not len(sought.indices):
        return gains
    known, asked = _keys(top, sought.indptr, sought.indices)
    return np.asarray(gains * sought.weights[np.minimum(np.searchsorted(known, asked), len(known) - 1)])


DEBIASED: dict[str, Callable[..., Array]] = {"ndcg": debiased_ndcg, "recall": debiased_recall}
"""The metrics that can weight relevant items by inverse propensity."""

RANKING: dict[str, Callable[[Array, Array], Array]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}
"""The list metrics by name, as in ``"ndcg@10"``."""


def auc(scores: Array, relevant: Array) -> Array:
    """Return the probability that a relevant item is scored above one that is not. Ties count half; all candidates
    count.

    ``scores`` (n_users, n_items): -inf for items that are not candidates; ``relevant`` bool of that shape (entries of
    other items than candidates are ignored). NaN for a user with no relevant candidate, or with only relevant ones.
    This is the Mann-Whitney statistic, computed from midranks.
    """
    out = np.full(len(scores), np.nan)
    for u, (row, marks) in enumerate(zip(scores, relevant)):
        below = int(np.count_nonzero(row == -np.inf))
        mine = row[marks & (row > -np.inf)]
        others = len(row) - below - len(mine)
        if len(mine) and others:
            left, right = _places(row, mine)
            midranks = (left + right + 1) / 2 - below
            out[u] = (midranks.sum() - len(mine) * (len(mine) + 1) / 2) / (len(mine) * others)
    return out


def _places(row: Array, asked: Array) -> tuple[Array, Array]:
    """Count the scores of ``row`` that are below each of those asked for, and those that are not above it."""
    if len(asked) <= 16:  # counting is faster than sorting all of them
        return (
            np.array([np.count_nonzero(row < score) for score in asked]),
            np.array([np.count_nonzero(row <= score) for score in asked]),
        )
    ordered = np.sort(row)
    return np.searchsorted(ordered, asked, side="left"), np.searchsorted(ordered, asked, side="right")


def _sum(values: Array) -> Array:
    # Position by position, so that the value does not depend on how NumPy splits a sum for other shapes.
    total = np.zeros(len(values))
    for column in values.T:
        total += column
    return total


def _over(values: Array, by: Array, relevant: Array) -> Array:
    return np.where(np.asarray(relevant) > 0, values / np.maximum(by, 1e-300), np.nan)


# Beyond accuracy


def catalogue_coverage(top: Array, n_items: int) -> float:
    """Return the share of the catalogue that is in at least one list (Ge et al. 2010)."""
    return float(len(np.unique(top[top >= 0])) / n_items)


def gini(top: Array, n_items: int) -> float:
    """Return the Gini index of how often each item of the catalogue is recommended: 0 if all are recommended equally
    often, near 1 if a few items take all positions (Shani & Gunawardana 2011)."""
    counts = np.sort(np.bincount(top[top >= 0], minlength=n_items)).astype(np.float64)
    if counts.sum() == 0:
        return float("nan")
    place = np.arange(1, n_items + 1)
    return float(((2 * place - n_items - 1) * counts).sum() / (n_items * counts.sum()))


def novelty(top: Array, counts: Array, n_users: int) -> Array:
    """Return the mean self-information ``-log2(raters / users)`` of a list's items in bits, float64 (lists,) (Zhou et
    al. 2010).

    ``counts``: raters of each item in training; an item without any counts as if it had one. ``n_users``: the users
    with training rows.
    """
    bits = -np.log2(np.maximum(counts, 1) / n_users)
    return _list_mean(top, bits)


def popularity(top: Array, counts: Array) -> Array:
    """Return the mean number of training raters of a list's items, float64 (lists,) (average recommendation popularity,
    Yin et al. 2012)."""
    return _list_mean(top, np.asarray(counts, dtype=np.float64))


def _list_mean(top: Array, of_item: Array) -> Array:
    there = top >= 0
    total = _sum(np.where(there, of_item[np.where(there, top, 0)], 0.0))
    n = there.sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


@one_thread()
def diversity(top: Array, vectors: Array | sparse.csr_matrix, block: int = 512) -> Array:
    """Return the intra-list diversity, float64 (lists,): 1 - the mean cosine of all pairs of a list (Ziegler et al.
    2005; Vargas & Castells 2011).

    ``vectors`` (n_items, d): dense or sparse, such as an item's raters or features. An item whose vector is 0 is unlike
    every other. NaN for lists of fewer than two.
    """
    from scipy import sparse

    rows = sparse.csr_matrix(vectors, dtype=np.float64)
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    units = sparse.diags_array(1 / np.where(norms > 0, norms, 1.0)) @ rows
    out = np.full(len(top), np.nan)
    for lo in range(0, len(top), block):
        part = top[lo : lo + block]
        there = part >= 0
        n = there.sum(axis=1)
        pointers = np.concatenate([[0], np.cumsum(n)])
        lists = sparse.csr_matrix((np.ones(pointers[-1]), part[there], pointers), shape=(len(part), len(norms)))
        summed = lists @ units
        # |sum of unit vectors|^2 = their own squares + twice the cosines of all pairs.
        square = np.asarray(summed.multiply(summed).sum(axis=1)).ravel()
        own = lists @ (norms > 0).astype(np.float64)
        pairs = np.where(n > 1, n * (n - 1), 1)
        out[lo : lo + block] = np.where(n > 1, 1 - (square - own) / pairs, np.nan)
    return out


# From scores to lists and hits


def top_n(scores: Array, n: int) -> Array:
    """Return the items of the highest scores, best first, int32 (n_users, n).

    Of equal scores the lower code comes first, so that the result does not depend on the sort. Items scored -inf or NaN
    are left out: their positions hold -1.
    """
    codes, _ = topk(np.ascontiguousarray(scores, dtype=np.float32), n)
    top = np.full((len(scores), n), -1, dtype=np.int32)
    top[:, : codes.shape[1]] = codes
    return top


def hits_of(top: Array, indptr: Array, indices: Array) -> Array:
    """Return bool (n_users, n): which of the listed items are relevant. The relevant items of row ``u`` are
    ``indices[indptr[u]:indptr[u + 1]]``, ascending."""
    known, asked = _keys(top, indptr, indices)
    at = np.searchsorted(known, asked)
    hits: Array = (top >= 0) & (at < len(known))
    if len(known):
        hits &= known[np.minimum(at, len(known) - 1)] == asked
    return hits


def _keys(top: Array, indptr: Array, indices: Array) -> tuple[Array, Array]:
    """Return a number for each pair of a user and a relevant item, ascending, and the same for each list position."""
    width = int(max(top.max(initial=0), indices.max(initial=0))) + 2
    owner = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return owner * width + indices, np.arange(len(top))[:, None] * width + top
