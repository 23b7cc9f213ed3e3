"""What features say of items without ratings: a regression of the scores of the known ones.

For each user the scores of the rated items are regressed on the items' features (ridge regression; Hoerl & Kennard
1970). A score is a sum over a model's own numbers of an item, so this is the same as to predict these numbers from the
features, whatever the model is. The more ratings an item has the more it counts (by the square root): scores of items
that few users rated say little, and a new item is more like one that some users wanted.
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
"""How many items of average weight it takes to believe a feature half (RIDGE and the square root: chosen on held-out
items within training rows of ml-100k and movietweetings, where 3 to 30 did about as well)."""
USERS, BLOCK = 300, 64


class Regression(NamedTuple):
    """``rated`` codes (n,) of items with ratings; ``weights`` (n,), mean 1; ``rows`` (n, p) their features less
    ``means`` (p,); ``inverse`` (p, p) that of the ridge regression's matrix. float64 except the codes."""

    rated: Array
    weights: Array
    means: Array
    rows: Array
    inverse: Array

    def centred(self, matrix: Array) -> Array:
        """Features less their means; 0 where nothing is known."""
        return np.asarray(np.nan_to_num(matrix - self.means))

    @one_thread()
    def learn(self, scores: Array) -> tuple[Array, Array]:
        """(levels (u,), coefficients (u, p)) of users with these ``scores`` (u, n_items)."""
        wanted = scores[:, self.rated].astype(np.float64)
        levels = wanted @ self.weights / max(len(self.weights), 1)
        coefficients = ((wanted - levels[:, None]) * self.weights) @ self.rows @ self.inverse
        return levels, coefficients

    @one_thread()
    def without_itself(self, scores: Array) -> Array:
        """float64 (u, n): what the regression says of each rated item when it is left out itself."""
        levels, coefficients = self.learn(scores)
        said = levels[:, None] + coefficients @ self.rows.T
        reach = np.einsum("np,pq,nq->n", self.rows, self.inverse, self.rows, optimize=True)
        lever = np.minimum(self.weights * (1.0 / len(self.weights) + reach), 1 - 1e-9)
        return np.asarray((said - lever * scores[:, self.rated]) / (1.0 - lever))


@one_thread()
def regression(matrix: Array, counts: Array) -> Regression:
    """The regression on ``matrix`` (n_items, p; NaN: nothing known) for items with ``counts`` ratings."""
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
    """int32 codes of up to ``most`` users with ratings, spread over all."""
    some = np.flatnonzero(rec.data.by_user.counts > 0).astype(np.int32)
    return np.asarray(some[np.linspace(0, len(some) - 1, min(most, len(some))).astype(np.int64)])


def residuals_of_new(rec: Fitted, found: Regression) -> dict[str, Array]:
    """Quantiles of the errors on training ratings when each item is predicted as if it were new (its features alone).

    From ``USERS`` users spread over all; see ``residual_quantiles``.
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
