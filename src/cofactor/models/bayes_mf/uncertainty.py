"""The uncertainty of ``bayes-mf`` in the scores of any user state (see ``bayes_mf/fold_in.py``): spread over draws,
single draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.kernels.products import dots

Array = NDArray[Any]


def latent_variances(a: Mapping[str, Array], count: int, k: int, state: Array) -> Array:
    """Return float64 (rows, n_items): the variance of standardised scores over the samples."""
    items = a["item_factors"][:-1, : count * k].reshape(-1, count, k)
    out = np.empty((len(state), len(items)))
    vectors, biases = _draws(state, count, k)
    for row, (vector, bias) in enumerate(zip(vectors, biases, strict=True)):
        each = np.einsum("sk,msk->ms", vector, items) + a["item_bias"][:-1, :count] + bias
        out[row] = each.var(axis=1, ddof=1 if count > 1 else 0)
    return out


def latent_draw(a: Mapping[str, Array], count: int, k: int, state: Array, rng: np.random.Generator) -> Array:
    """Return float32 (rows, n_items): standardised scores by one kept sample, the same for all rows."""
    sample = int(rng.integers(count))
    vectors, biases = _draws(state, count, k)
    latent = dots(vectors[:, sample], a["item_factors"][:-1, sample * k : sample * k + k])
    return latent + a["item_bias"][:-1, sample] + biases[:, sample, None]


def _draws(state: Array, count: int, k: int) -> tuple[Array, Array]:
    """Return vectors (rows, count, k) and biases (rows, count)."""
    first = count * k + 2
    return state[:, first : first + count * k].reshape(-1, count, k), state[:, first + count * k :]
