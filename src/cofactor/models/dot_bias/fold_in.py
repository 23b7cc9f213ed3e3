"""Fold in a user that dot-bias has never seen: the same loss, with items held fixed and a prior from the trained users.

Decoupled decay corresponds to no loss whose minimum is the trained rows. Its effect is therefore estimated from the
rows themselves (empirical Bayes): each entry has the mean and variance that it has among the trained users. The minimum
is found by damped Gauss-Newton steps in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.kernels.dot_bias import predict as predictions
from cofactor.kernels.products import row_dots
from cofactor.model import Terms

Array = NDArray[Any]
Loss = Callable[[Array], tuple[float, Array, Array]]

STEPS = 20


def prior_weight(loss: str, y_range: tuple[float, float] | None, y: Array, predicted: Array) -> float:
    """Return the weight of the prior relative to the summed loss: its dispersion in training, with the loss read as a
    likelihood."""
    d = predicted.astype(np.float64) - y
    if loss == "bce" and y_range is not None:
        s = np.clip((predicted.astype(np.float64) - y_range[0]) / (y_range[1] - y_range[0]), 1e-3, 1 - 1e-3)
        return float(np.mean((d / (y_range[1] - y_range[0])) ** 2 / (s * (1 - s)))) / 2
    if loss == "mae":
        return float(np.mean(np.abs(d))) / 2
    return float(np.mean(d * d)) * (0.5 if loss == "huber" else 1.0)


def losses_of(y: Array, loss: str, y_range: tuple[float, float] | None) -> Loss:
    """Return a function of z that gives the summed loss of ratings ``y``, its derivatives by z, and positive
    curvatures."""
    lo, hi = y_range or (0.0, 1.0)
    width = hi - lo

    def f(z: Array) -> tuple[float, Array, Array]:
        s = 1 / (1 + np.exp(-z))
        if loss == "bce":
            t = (y - lo) / width
            return float(np.sum(np.logaddexp(0, z) - z * t)), s - t, s * (1 - s)
        d, slope = (z - y, np.ones_like(z)) if y_range is None else (lo + width * s - y, width * s * (1 - s))
        if loss == "mse":
            return float(np.einsum("n,n->", d, d)), 2 * d * slope, 2 * slope * slope
        size = np.abs(d)
        if loss == "mae":
            return float(size.sum()), np.sign(d) * slope, slope * slope / np.maximum(size, 0.05)
        c = np.clip(d, -1, 1)
        return float(np.einsum("n,n->", c, d - c / 2)), c * slope, slope * slope / np.maximum(size, 1)

    return f


@one_thread()
def fold(design: Array, offset: Array, loss: Loss, mean: Array, pull: Array) -> Array:
    """Return the x that minimises ``loss(design @ x + offset) + sum(pull * (x - mean)**2)``, float64 (k + 1,).

    ``design`` (n, k + 1): factors of the rated items and a one for the user's bias; ``offset`` (n,): item biases.
    """

    def at(x: Array) -> tuple[float, Array, Array]:
        value, first, second = loss(design @ x + offset)
        return value + float(pull @ (x - mean) ** 2), first, second

    x = mean.copy()
    value, first, second = at(x)
    for _ in range(STEPS):
        gradient = design.T @ first + 2 * pull * (x - mean)
        curvature = (design.T * second) @ design
        curvature[np.diag_indices(len(x))] += 2 * pull
        move = np.linalg.solve(curvature, gradient)
        for halving in range(12):
            tried = x - move / 2**halving
            found = at(tried)
            if found[0] <= value:
                break
        else:
            break
        gain = value - found[0]
        x, (value, first, second) = tried, found
        if gain <= 1e-6 * value:
            break
    return x


class FromRows:
    """The results of dot-bias for any row of the user table (stride,): a trained user's, or one that was folded in.

    The sigmoid is increasing, so the order of the scores is that of the dot products.
    """

    config: Any
    y_range: tuple[float, float] | None

    def _tables(self) -> tuple[Array, Array]:
        raise NotImplementedError

    def query_vectors(self, user_state: Array) -> Array:
        """Return float32 (n, k + 1): the factors, and 1 for the item's bias."""
        return np.delete(user_state[:, : self.config.n_factors + 2], self.config.n_factors, axis=1)

    def item_vectors(self) -> Array:
        """Return float32 (n_items, k + 1): factors, then bias."""
        return np.delete(self._tables()[1][:, : self.config.n_factors + 2], self.config.n_factors, axis=1)

    def scores_at(self, user_state: Array, items: Array) -> Array:
        """Return float32 (n, m): the predictions for each row's own items."""
        z = np.ascontiguousarray(row_dots(np.asarray(user_state, np.float32), self._tables()[1], items))
        if self.y_range is not None:
            predictions.squash(z.reshape(-1), *self.y_range)
        return z

    def terms_from(self, user_state: Array, item: int) -> Terms:
        """Return user bias, item bias and one term per factor."""
        k = self.config.n_factors
        u, i = user_state.astype(np.float64), self._tables()[1][item].astype(np.float64)
        names = ("user", "item", *(f"factor {j}" for j in range(k)))
        link: Literal["identity", "sigmoid"] = "identity" if self.y_range is None else "sigmoid"
        return Terms(names, np.concatenate([[u[k], i[k + 1]], u[:k] * i[:k]]), link, self.y_range)
