"""A blend of rankers that are trained already: weights by greedy selection on held-out rows (Caruana et al. 2004)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.evaluation import metrics as m
from cofactor.models.blend import mix

Array = NDArray[Any]
Scores = Callable[[Array], Array]

NEAR = 50
"""Each model's best items of a user that a blend may list."""
BLOCK = 1 << 23
"""Scores of one model held at a time."""
ROUNDS = 20


@dataclass(frozen=True)
class Standing:
    """What a blend's lists depend on: for each user the items that any model has among its best.

    ``scores`` float32 (models, users, width): standardised over the items that the user has not, -inf where a user has
    fewer such items; ``hits`` bool (users, width); ``relevant`` int (users,): how many relevant items each has.
    """

    scores: Array
    hits: Array
    relevant: Array

    def take(self, users: Array) -> Standing:
        """The same for some of the users."""
        return Standing(self.scores[:, users], self.hits[users], self.relevant[users])


def joined(parts: Sequence[Standing]) -> Standing:
    """The users of several, one after the other."""
    width = max(part.hits.shape[1] for part in parts)

    def wide(array: Array, fill: Any) -> Array:
        padding = [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])]
        return np.pad(array, padding, constant_values=fill)

    return Standing(
        np.concatenate([wide(part.scores, -np.inf) for part in parts], axis=1),
        np.concatenate([wide(part.hits, False) for part in parts]),
        np.concatenate([part.relevant for part in parts]),
    )


@dataclass(frozen=True)
class Mixture:
    """``weights`` float64 (models,), they sum to 1; ``value``: NDCG of weights that were found on other users;
    ``surely_better``: whether that beats the best single model by more than a hundredth and than its standard error."""

    weights: Array
    value: float
    surely_better: bool


def mixture(standing: Standing, seed: int, n: int = 10) -> Mixture:
    """Weights from all users; their worth by cross-fitting: found on one half of the users, measured on the other."""
    order = np.random.default_rng([seed, 8]).permutation(len(standing.relevant))
    halves = [np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])]
    values = np.empty(len(order))
    for mine, other in (halves, halves[::-1]):
        values[other] = ndcg_of(standing.take(other), greedy(standing.take(mine), n), n)
    singles = [ndcg_of(standing, single, n) for single in np.eye(len(standing.scores))]
    gain = values - max(singles, key=np.mean)
    error = float(gain.std()) / np.sqrt(max(len(gain), 1))
    best = float(values.mean() - gain.mean())
    return Mixture(greedy(standing, n), float(values.mean()), bool(gain.mean() > max(error, 0.01 * best)))


def greedy(standing: Standing, n: int, rounds: int = ROUNDS) -> Array:
    """float64 (models,): how often each was added; the one that helps most each time, of equal ones the first. It ends
    where nothing has helped for three rounds."""
    counts = np.zeros(len(standing.scores))
    best, kept, idle = -1.0, counts, 0
    for _ in range(rounds):
        values = []
        for k in range(len(counts)):
            counts[k] += 1
            values.append(float(ndcg_of(standing, counts, n).mean()))
            counts[k] -= 1
        counts[int(np.argmax(values))] += 1
        if max(values) > best * (1 + 1e-6):
            best, kept, idle = max(values), counts.copy(), 0
        else:
            idle += 1
            if idle == 3:
                break
    weights: Array = kept / kept.sum()
    return weights


def ndcg_of(standing: Standing, weights: Array, n: int) -> Array:
    """float64 (users,): NDCG of the lists of a weighted sum."""
    summed = np.zeros(standing.hits.shape, dtype=np.float32)
    for scores, weight in zip(standing.scores, weights):
        if weight:
            summed += np.float32(weight) * scores
    top = m.top_n(summed, min(n, len(summed[0]) if len(summed) else n))
    hits = np.take_along_axis(standing.hits, np.maximum(top, 0), axis=1) & (top >= 0)
    return m.ndcg(hits, standing.relevant)


def standing_of(models: Sequence[Scores], users: Array, seen: CSR, wanted: CSR, relevant: Array) -> Standing:
    """The Standing of models (functions of user codes) on ``users``; ``seen`` and ``wanted`` have a row for each."""
    size = max(1, BLOCK // max(seen.n_cols, 1))
    blocks = [
        _block(models, users, seen, wanted, np.arange(lo, min(lo + size, len(users))))
        for lo in range(0, len(users), size)
    ]
    width = max(scores.shape[2] for scores, _ in blocks)
    scores = np.full((len(models), len(users), width), -np.inf, dtype=np.float32)
    hits = np.zeros((len(users), width), dtype=bool)
    lo = 0
    for part, marks in blocks:
        scores[:, lo : lo + part.shape[1], : part.shape[2]] = part
        hits[lo : lo + len(marks), : marks.shape[1]] = marks
        lo += len(marks)
    return Standing(scores, hits, relevant)


def _block(models: Sequence[Scores], users: Array, seen: CSR, wanted: CSR, at: Array) -> tuple[Array, Array]:
    rows, goal = seen.take(at), wanted.take(at)
    own = np.repeat(np.arange(len(at)), rows.counts)
    tables = []
    near = np.zeros((len(at), seen.n_cols), dtype=bool)
    for model in models:
        table = np.zeros((len(at), seen.n_cols), dtype=np.float32)
        mix(table, model(users[at]), rows)
        table[own, rows.indices] = -np.inf
        top = m.top_n(table, min(NEAR, seen.n_cols))
        near[np.repeat(np.arange(len(at)), (top >= 0).sum(axis=1)), top[top >= 0]] = True
        tables.append(table)
    counts = near.sum(axis=1)
    width = max(int(counts.max(initial=0)), 1)
    user, item = np.nonzero(near)
    place = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    scores = np.full((len(models), len(at), width), -np.inf, dtype=np.float32)
    for k, table in enumerate(tables):
        scores[k, user, place] = table[user, item]
    marks = np.zeros((len(at), seen.n_cols), dtype=bool)
    marks[np.repeat(np.arange(len(at)), goal.counts), goal.indices] = True
    hits = np.zeros((len(at), width), dtype=bool)
    hits[user, place] = marks[user, item]
    return scores, hits
