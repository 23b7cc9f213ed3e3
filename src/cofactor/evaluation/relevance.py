"""Decide which held-out rows are relevant: the items that a list should hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import DataError
from cofactor.evaluation.held_out import HeldOut, in_training
from cofactor.evaluation.protocol import EvaluationProtocol

Array = NDArray[Any]


def threshold(train: Interactions, relevant: float | None) -> float | None:
    """Return the rating from which a test row is relevant: three quarters up the scale. None means that every row is
    (counts, events, and ratings that are all equal)."""
    if relevant is not None:
        return float(relevant)
    if train.kind != "ratings":
        return None
    low, high = train.scale
    return None if low == high else low + 0.75 * (high - low)


@dataclass(frozen=True)
class Relevant:
    """The users to rank, and their relevant items.

    ``users`` are training codes (-1: no training rows, gets the most popular items); ``cluster`` their positions among
    the test users; ``items`` a CSR of their relevant candidates (one row each); ``counts`` their numbers of relevant
    items, unknown ones included.
    """

    users: Array
    cluster: Array
    items: CSR
    counts: Array
    rows: Array
    """Positions of the relevant test rows, int64. A repeated pair of user and item has several."""
    weights: Array | None = None
    """The weight of each of ``items``; ``unseen``: for each user, the mean weight of unknown ones; None: 1 each."""
    unseen: Array | None = None


def relevant_ids(who: Relevant, test: HeldOut) -> dict[int, list[Any]]:
    """Return the ids of the relevant items of each ranked user (by position in ``who.users``), unknown ones
    included."""
    place = np.full(test.n_clusters, -1, dtype=np.int64)
    place[who.cluster] = np.arange(len(who.cluster))
    found: dict[int, list[Any]] = {}
    for user, item in zip(place[test.cluster[who.rows]].tolist(), test.names(who.rows).to_list()):
        found.setdefault(user, []).append(item)
    return found


def relevant_items(test: HeldOut, train: Interactions, choices: EvaluationProtocol) -> Relevant:
    """Return the relevant items of every test user who has training rows, and with ``new_users="popular"`` of the
    others too."""
    floor = threshold(train, choices.relevant)
    keep = np.ones(len(test), dtype=bool) if floor is None else test.values >= floor
    if train.kind != "ratings":
        keep &= test.values > 0  # a list should not hold a dislike
    trained = (test.users >= 0) & (train.by_user.counts[test.users] > 0)
    everybody = choices.new_users == "popular"
    keep &= trained | everybody
    if choices.exclude is not None:
        keep &= in_training(test.users, test.items, train) == (choices.exclude == "new")
    first = np.full(test.n_clusters, -1, dtype=np.int64)
    first[test.cluster] = np.where(trained, test.users, -1)
    cluster = np.flatnonzero((first >= 0) | everybody)
    place = np.full(test.n_clusters, -1, dtype=np.int64)
    place[cluster] = np.arange(len(cluster))
    rows, cols = place[test.cluster[keep]], test.items[keep].astype(np.int64)
    unknown = cols < 0
    counts = np.bincount(rows[unknown], minlength=len(cluster))
    keys = np.unique(rows[~unknown] * train.n_items + cols[~unknown])
    rows, cols = keys // train.n_items, keys % train.n_items
    held = np.bincount(rows, minlength=len(cluster))
    indptr = np.concatenate([[0], np.cumsum(held)]).astype(np.int64)
    ones, no_rows = np.ones(len(cols), dtype=np.float32), np.zeros(0, dtype=np.int64)
    items = CSR(indptr, cols.astype(np.int32), ones, no_rows, train.n_items)
    weights = unseen = None
    if test.weights is not None:
        each, row = test.weights[keep], place[test.cluster[keep]]
        pairs = row * train.n_items + test.items[keep]
        weights = np.bincount(np.searchsorted(keys, pairs[~unknown]), each[~unknown], minlength=len(keys))
        unseen = np.bincount(row[unknown], each[unknown], minlength=len(cluster)) / np.maximum(counts, 1)
    at = np.flatnonzero(keep)
    return Relevant(first[cluster].astype(np.int32), cluster, items, counts + held, at, weights, unseen)


def check_relevant(who: Relevant, train: Interactions, choices: EvaluationProtocol) -> None:
    """Raise DataError if no user has a relevant row, so that no list can be measured."""
    if not len(who.users):
        raise DataError(
            "no list can be measured: no test user has training rows; new_users='popular' (--new-users popular) gives"
            " such users the most popular items"
        )
    if not who.counts.any():
        floor = threshold(train, choices.relevant)
        what = "a row" if floor is None else f"a rating of {floor:g} or more"
        if choices.exclude is not None:
            what += f" of an item that is {'not ' if choices.exclude == 'seen' else ''}in the user's training rows"
        lower = "" if floor is None else "; set relevant= lower (--relevant); with 0 or less every row counts"
        raise DataError(
            f"no list can be measured: none of the {len(who.users):,} test users with training rows has {what}{lower}"
        )


def few_relevant(who: Relevant, test: HeldOut, train: Interactions, choices: EvaluationProtocol) -> str:
    """Return a sentence if fewer than a tenth of the test users have a relevant row, else an empty text."""
    having = int((who.counts > 0).sum())
    if 10 * having >= test.n_clusters:
        return ""
    floor = threshold(train, choices.relevant)
    if floor is None:
        return f"only {having:,} of {test.n_clusters:,} test users have training rows, so lists are measured on few"
    return (
        f"only {having:,} of {test.n_clusters:,} test users have a relevant row (ratings from {floor:g}), so lists are"
        " measured on few; set relevant= lower (--relevant)"
    )
