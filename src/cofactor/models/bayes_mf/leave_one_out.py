"""The effect of each rating of a user on a score of ``bayes-mf``: the user is solved again without it, by a rank-one
change.

In each kept sample a user is the solution of a ridge regression. Without one of its rows the inverse changes by a
matrix of rank one (Sherman & Morrison 1950), so leaving out each rating in turn costs little more than one solution.
The size of the user's noise is kept as with all ratings; the effect of the set of rated items is computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.kernels.gibbs.leave_one_out import leave_out
from cofactor.models.bayes_mf.fold_in import Regression, prior_centre, spoken

Array = NDArray[Any]
F32 = np.float32


def latent_without(a: Mapping[str, Array], user: Regression, rated: Array, positions: Array, items: Array) -> Array:
    """float64 (len(items), 1 + len(positions)): the standardised scores of ``items``, averaged over the samples, with
    the whole history ``rated`` (n,), then without each of the entries at ``positions``."""
    count, width = user.centre.shape
    k, wide, remaining = width - 1, count * width, len(rated) - 1
    said, share = np.empty((0, 0), dtype=F32), 0.0
    if len(a["implicit"]):
        every = spoken(a, wide, rated) if remaining else np.zeros(wide, dtype=F32)
        rest = prior_centre(a, count, k, every, remaining)
        if remaining:
            said, share = np.ascontiguousarray(a["implicit"][rated[positions], :wide]), 1.0 / np.sqrt(remaining)
    else:
        rest = prior_centre(a, count, k, np.zeros(0), 0)
    goals = np.ascontiguousarray(a["item_factors"][items, : count * k])
    out = np.empty((len(items), 1 + len(positions)))
    at = np.asarray(positions, dtype=np.int64)
    leave_out(user.table, user.target, user.weight, user.precision, user.centre, rest, said, share, at, goals, out)
    return np.asarray(out + a["item_bias"][items, :count].mean(axis=1, dtype=np.float64)[:, None])
