"""What each rating of a user does to a score of ``bayes-mf``: solved again without it, by a change of rank one.

In each kept sample a user is the solution of a ridge regression. Without one of its rows the inverse changes by a
matrix of rank one (Sherman & Morrison 1950), so leaving out each rating in turn costs little more than one solution.
The size of the user's noise is held as it was with all ratings; the effect of the set of rated items is computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.models.bayes_mf.fold_in import Folded, prior_centre, spoken

Array = NDArray[Any]


@one_thread()
def latent_without(a: Mapping[str, Array], user: Folded, rated: Array, positions: Array, items: Array) -> Array:
    """float64 (len(items), 1 + len(positions)): the standardised scores of ``items``, averaged over the samples, with
    the whole history ``rated`` (n,), then without each of the entries at ``positions``."""
    count, width = user.mean.shape
    k = width - 1
    x = user.table.astype(np.float64)
    target = user.target - x[:, :, k]
    x[:, :, k] = 1.0
    weighted = x * user.weight[:, :, None].astype(np.float64)
    precision = user.precision.astype(np.float64)
    inverse = np.linalg.inv(x.transpose(0, 2, 1) @ weighted + precision[:, :, None] * np.eye(width))
    data = np.einsum("snw,sn->sw", weighted, target)

    x, left, gone = x[:, positions], weighted[:, positions], target[:, positions]
    right = data[:, None] - left * gone[:, :, None] + precision[:, None] * _centres(a, rated, positions, count, k)
    solved = x @ inverse  # the inverse is symmetric
    push = np.einsum("spw,spw->sp", solved, right) / (1.0 - np.einsum("spw,spw->sp", solved, left))
    out = np.empty((len(items), 1 + len(positions)))
    for row, item in enumerate(items):
        goal = np.append(a["item_factors"][item, : count * k].reshape(count, k), np.ones((count, 1)), axis=1)
        turned = np.einsum("sab,sb->sa", inverse, goal)
        whole = np.einsum("sw,sw->s", turned, precision * user.centre + data)
        less = np.einsum("spw,sw->sp", right, turned) + np.einsum("spw,sw->sp", left, turned) * push
        out[row] = np.append(whole.mean(), less.mean(axis=0)) + a["item_bias"][item, :count].mean(dtype=np.float64)
    return out


def _centres(a: Mapping[str, Array], items: Array, positions: Array, count: int, k: int) -> Array:
    """The mean of the prior (count, len(positions), k + 1), or (count, 1, k + 1) where it is always the same, of a
    user without each of these entries."""
    if not len(a["implicit"]):
        return prior_centre(a, count, k, np.zeros(0), 0)[:, None]
    wide = count * (k + 1)
    said = spoken(a, wide, items) - a["implicit"][items[positions], :wide]
    remaining = len(items) - 1
    return prior_centre(a, count, k, said if remaining else np.zeros_like(said), remaining).transpose(1, 0, 2)
