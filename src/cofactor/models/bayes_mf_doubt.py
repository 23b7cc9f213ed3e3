"""How sure ``bayes-mf`` is of the scores of any user state: the spread over kept samples, and single draws.

A state holds the mean of a user's vector in each sample, not a draw of it, so what is left of a user's own doubt within
a sample is not counted: for short histories the intervals are a little narrower than those of trained users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def latent_variances(a: Mapping[str, Array], count: int, k: int, state: Array) -> Array:
    """float64 (rows, n_items): the variance of standardised scores over the samples."""
    items = a["item_factors"][:-1, : count * k].reshape(-1, count, k)
    out = np.empty((len(state), len(items)))
    for row, vectors in enumerate(state[:, : count * k].reshape(-1, count, k)):
        each = np.einsum("sk,msk->ms", vectors, items) + a["item_bias"][:-1, :count]
        out[row] = each.var(axis=1, ddof=1 if count > 1 else 0)
    return out


def latent_draw(a: Mapping[str, Array], count: int, k: int, state: Array, rng: np.random.Generator) -> Array:
    """float32 (rows, n_items): standardised scores by one kept sample, the same for all rows."""
    sample = int(rng.integers(count))
    part = slice(sample * k, sample * k + k)
    latent: Array = state[:, part] @ a["item_factors"][:-1, part].T
    return latent + a["item_bias"][:-1, sample] + state[:, count * k, None]
