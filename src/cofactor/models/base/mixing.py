"""Blend trained rankers: weights by bagged greedy selection on held-out rows (Caruana et al. 2004)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.kernels.blend import add_standardised, column_hits
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.gain import ndcg
from cofactor.kernels.topk import topk
from cofactor.models.base.sparse import frozen
from cofactor.models.base.windows import ENOUGH

Array = NDArray[Any]
Scores = Callable[[Array], Array]

NEAR = 50
"""Number of each model's best items for a user that a blend can list."""
BLOCK = 1 << 23
"""Number of one model's scores held at a time."""
ROUNDS, BAGS, BAG_USERS = 20, 4, 500
"""Steps of a search for weights; how many searches each part gets (of few users up to four times as many, for the same
work), and on how many users at most."""
LEAST = 0.05
"""A model of less weight is left out."""
AHEAD, DRAWS, FLOOR = 10.0, 200, 0.5
"""Of few users a search finds what happens to help these: a little of a model that is far worse than the best, say. So
it begins with ``AHEAD`` steps of single models (``head_start``, by ``DRAWS`` of the users), and models that reach less
than this part of what the best reaches are left out. Both fade, the more users there are, up to ``ENOUGH``."""


@dataclass(frozen=True)
class Standing:
    """The scores that a blend's lists depend on: for each user, the items that any model has among its best.

    ``scores`` float32 (models, users, width): standardised over the items that the user does not have, -inf for users
    with fewer such items; ``hits`` bool (users, width); ``relevant`` int (users,): the number of relevant items of
    each.
    """

    scores: Array
    hits: Array
    relevant: Array

    def take(self, users: Array) -> Standing:
        """Return the same for some of the users."""
        return Standing(self.scores[:, users], self.hits[users], self.relevant[users])


def joined(parts: Sequence[Standing]) -> Standing:
    """Concatenate the users of several parts."""
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
    """The result of a search. ``weights`` float64 (models,), which sum to 1; ``value``: NDCG of weights found on other
    users; ``as_good``: whether that is at least the best single model's NDCG there, within a standard error."""

    weights: Array
    value: float
    as_good: bool


def mixture(parts: Sequence[Standing], seed: int, n: int = 10) -> Mixture:
    """Find weights from all users of all parts (such as windows of time), and measure them by cross-fitting: weights
    found on one half of the users are measured on the other. With so few users that a half is empty, ``as_good`` is
    False."""
    rng = np.random.default_rng([seed, 8])
    parts = [part for part in parts if len(part.relevant)] or parts
    some = worth_mixing(parts, n)
    if len(some) < len(parts[0].scores):
        of_some = mixture([Standing(part.scores[some], part.hits, part.relevant) for part in parts], seed, n)
        weights = np.zeros(len(parts[0].scores))
        weights[some] = of_some.weights
        return Mixture(weights, of_some.value, of_some.as_good)
    halves: list[tuple[Standing, Standing]] = []
    for part in parts:
        order = rng.permutation(len(part.relevant))
        halves.append((part.take(np.sort(order[::2])), part.take(np.sort(order[1::2]))))
    weights = bagged(parts, n, rng, begin=head_start(parts, n, rng))
    if not all(any(len(half[which].relevant) for half in halves) for which in (0, 1)):
        return Mixture(weights, float(ndcg_of(joined(parts), weights, n).mean()), False)
    halves = [half for half in halves if all(len(one.relevant) for one in half)]
    gains, values = [], []
    for mine in (0, 1):
        own = [half[mine] for half in halves]
        found = bagged(own, n, rng, begin=head_start(own, n, rng))
        others = joined([half[1 - mine] for half in halves])
        singles = [ndcg_of(others, single, n) for single in np.eye(len(found))]
        values.append(ndcg_of(others, found, n))
        gains.append(values[-1] - max(singles, key=np.mean))
    value, gain = np.concatenate(values), np.concatenate(gains)
    error = float(gain.std()) / np.sqrt(max(len(gain), 1))
    return Mixture(weights, float(value.mean()), bool(gain.mean() > -error))


def alone(parts: Sequence[Standing], n: int) -> Array:
    """float64 (models, users of all parts): NDCG of each model by itself."""
    singles = np.eye(len(parts[0].scores))
    return np.concatenate([np.stack([ndcg_of(part, one, n) for one in singles]) for part in parts], axis=1)


def scarcity(parts: Sequence[Standing]) -> float:
    """1 where hardly any users are measured, 0 where there are ``ENOUGH``."""
    return max(1.0 - sum(len(part.relevant) for part in parts) / ENOUGH, 0.0)


def worth_mixing(parts: Sequence[Standing], n: int) -> Array:
    """The positions of the models that may have a weight; the best one is always among them. See ``FLOOR``."""
    if not (least := FLOOR * scarcity(parts)) or not any(len(part.relevant) for part in parts):
        return np.arange(len(parts[0].scores))
    reached = alone(parts, n).mean(axis=1)
    return np.flatnonzero(reached >= least * reached.max())


def head_start(parts: Sequence[Standing], n: int, rng: np.random.Generator) -> Array:
    """float64 (models,): the steps that a search for weights begins with (``AHEAD``): a model has as many of them as
    draws of as many users in which it is the best alone."""
    if not (steps := AHEAD * scarcity(parts)) or not any(len(part.relevant) for part in parts):
        return np.zeros(len(parts[0].scores))
    values = alone(parts, n)
    users = values.shape[1]
    drawn = [values[:, rng.integers(0, users, users)].mean(axis=1) for _ in range(DRAWS)]
    chance = np.bincount(np.argmax(drawn, axis=1), minlength=len(values)) / DRAWS
    return np.asarray(steps * chance)


def bagged(
    parts: Sequence[Standing], n: int, rng: np.random.Generator, rounds: int = ROUNDS, begin: Array | None = None
) -> Array:
    """float64 (models,): the mean of the weights that are found on random halves of the users of each part, in searches
    that ``begin`` with so many steps of each model.

    The weights of a single search follow chance in a few items that many users took (a hit of one week). The mean of
    many searches does so much less (bagged ensemble selection; Caruana et al. 2004, section 2.3).
    """
    found = []
    for part in parts:
        size = min(max(len(part.relevant) // 2, 1), BAG_USERS)
        for _ in range(min(BAG_USERS // size, 4) * BAGS):
            found.append(greedy(part.take(np.sort(rng.permutation(len(part.relevant))[:size])), n, rounds, begin))
    weights = np.mean(found, axis=0)
    weights[weights < LEAST] = 0.0
    mean: Array = weights / weights.sum()
    return mean


def greedy(standing: Standing, n: int, rounds: int = ROUNDS, begin: Array | None = None) -> Array:
    """float64 (models,): the weights; the model that helps most is added each time, of equal ones the first. It ends
    where nothing has helped for three rounds. ``begin``: steps that each model has from the start.

    A model that ranks all items equally (a rating model if all ratings are equal) is never added.
    """
    counts = np.zeros(len(standing.scores)) if begin is None else begin.copy()
    best, kept, idle = -1.0, counts.copy(), 0
    if counts.any():
        best = ndcg_of(standing, counts, n).mean()
    tells = [k for k, table in enumerate(standing.scores) if (np.isfinite(table) & (table != 0)).any()]
    values = np.full(len(counts), -1.0)
    for _ in range(rounds):
        for k in tells:
            counts[k] += 1
            values[k] = ndcg_of(standing, counts, n).mean()
            counts[k] -= 1
        added = int(np.argmax(values))
        counts[added] += 1
        if values[added] > best * (1 + 1e-6):
            best, kept, idle = values[added], counts.copy(), 0
        else:
            idle += 1
            if idle == 3:
                break
    weights: Array = kept / kept.sum()
    return weights


def ndcg_of(standing: Standing, weights: Array, n: int) -> Array:
    """Return float64 (users,): NDCG of the lists of a weighted sum; NaN for a user without a relevant item."""
    out = np.empty((len(standing.relevant), n), dtype=np.bool_)
    given = (*frozen(standing.scores, np.asarray(weights, dtype=np.float64), standing.hits), out)
    rows = np.arange(len(out) + 1) * standing.hits.shape[1]
    over_rows(lambda a, b: column_hits(a, b, *given), rows, per_row=n * n)
    return ndcg(out, standing.relevant)


def mix(out: Array, scores: Array, rows: CSR, weight: float = 1.0) -> None:
    """Add ``weight`` times the scores to ``out``, with each row standardised to mean 0 and deviation 1 over the items
    that are not in ``rows``."""
    given = (*frozen(np.ascontiguousarray(scores, np.float32), rows.indptr, rows.indices), np.float32(weight), out)
    over_rows(lambda a, b: add_standardised(a, b, *given), rows.indptr, per_row=rows.n_cols)


def standing_of(models: Sequence[Scores], users: Array, seen: CSR, wanted: CSR, relevant: Array) -> Standing:
    """Return the Standing of models (functions of user codes) on ``users``. ``seen`` and ``wanted`` have one row for
    each user."""
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
        top, values = topk(table, min(NEAR, seen.n_cols))
        listed = (top >= 0) & np.isfinite(values)
        near[np.repeat(np.arange(len(at)), listed.sum(axis=1)), top[listed]] = True
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
