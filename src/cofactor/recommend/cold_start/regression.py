"""Regression of a user's scores on item features, to score items without ratings.

For each user the scores of the rated items are regressed on the items' features (ridge regression; Hoerl & Kennard
1970). Where a score is linear in the model's parameters of an item, this equals predicting these parameters from the
features. An item's weight is the square root of its number of ratings: scores of items with few ratings are uncertain.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.intervals import residual_quantiles

Array = NDArray[Any]
RIDGE = 10.0
"""Ridge penalty: the number of items of average weight at which a feature's effect is halved. The penalty and the
square root were chosen on held-out items within training rows of ml-100k and movietweetings; 3 to 30 did about as
well."""
USERS, BLOCK = 300, 64


class Regression(NamedTuple):
    """A ridge regression: ``rated`` codes (n,) of items with ratings; ``weights`` (n,), mean 1; ``rows`` (n, p), their
    features minus ``means`` (p,); ``inverse`` (p, p) of the regression's matrix. float64 except the codes."""

    rated: Array
    weights: Array
    means: Array
    rows: Array
    inverse: Array

    def centred(self, matrix: Array) -> Array:
        """Return features minus their means; 0 where a feature is unknown."""
        return np.asarray(np.nan_to_num(matrix - self.means))

    @one_thread()
    def learn(self, scores: Array) -> tuple[Array, Array]:
        """Return (levels (u,), coefficients (u, p)) for users with these ``scores`` (u, n_items)."""
        wanted = scores[:, self.rated].astype(np.float64)
        levels = wanted @ self.weights / max(len(self.weights), 1)
        coefficients = ((wanted - levels[:, None]) * self.weights) @ self.rows @ self.inverse
        return levels, coefficients

    @one_thread()
    def without_itself(self, scores: Array) -> Array:
        """Return leave-one-out predictions, float64 (u, n): each rated item's score from the other items."""
        levels, coefficients = self.learn(scores)
        said = levels[:, None] + coefficients @ self.rows.T
        reach = np.einsum("np,pq,nq->n", self.rows, self.inverse, self.rows, optimize=True)
        lever = np.minimum(self.weights * (1.0 / len(self.weights) + reach), 1 - 1e-9)
        return np.asarray((said - lever * scores[:, self.rated]) / (1.0 - lever))


@one_thread()
def regression(matrix: Array, counts: Array) -> Regression:
    """Return the regression on ``matrix`` (n_items, p; NaN: unknown) for items with ``counts`` ratings."""
    rated = np.flatnonzero(counts > 0)
    weights = np.sqrt(counts[rated].astype(np.float64))
    weights *= len(weights) / max(float(weights.sum()), 1e-12)
    known = matrix[rated].astype(np.float64)
    there = np.isfinite(known)
    means = weights @ np.where(there, known, 0.0) / np.maximum(weights @ there, 1e-12)
    rows = np.nan_to_num(known - means)
    ridge = (rows.T * weights) @ rows + RIDGE * np.eye(len(means))
    return Regression(rated, weights, means, rows, np.linalg.inv(ridge))


def users_spread(rec: Fitted, most: int) -> Array:
    """Return the codes, int32, of up to ``most`` users with ratings, evenly spaced by code."""
    some = np.flatnonzero(rec.data.by_user.counts > 0).astype(np.int32)
    return np.asarray(some[np.linspace(0, len(some) - 1, min(most, len(some))).astype(np.int64)])


def residuals_of_new(rec: Fitted, found: Regression) -> dict[str, Array]:
    """Return quantiles of the errors on training ratings when each item is predicted from its features alone.

    The errors are those of ``USERS`` users, evenly spaced by code; see ``residual_quantiles``.
    """
    some = users_spread(rec, USERS)
    place = np.full(rec.data.n_items, -1)
    place[found.rated] = np.arange(len(found.rated))
    predicted, truth = [], []
    for first in range(0, len(some), BLOCK):
        users = some[first : first + BLOCK]
        said = found.without_itself(rec.model.scores(users))
        mine = rec.data.by_user.take(users)
        row = np.repeat(np.arange(len(users)), mine.counts)
        predicted.append(rec.on_scale(said[row, place[mine.indices]]))
        truth.append(mine.values)
    return residual_quantiles(np.concatenate(predicted), np.concatenate(truth), limits=rec.data.range)
