"""Start chains of ``bayes-mf`` where those of an earlier model ended: at its last kept samples.

A state does not hold the weights of implicit feedback and features. These are drawn a few times with the rows held
fixed before the first sweep, which costs next to nothing. Drifts start at 0 with their hyper-parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.models.bayes_mf.chain import Chain, Side
from cofactor.models.bayes_mf.ordinal import half_way, rescale
from cofactor.models.bayes_mf.time import KINDS

Array = NDArray[Any]
Pair = tuple[Array, Array]
F32 = np.float32
PASSES = 10
"""Draws of the rows' hyper-parameters before the first sweep."""


def begin_chain(
    chain: Chain, a: Mapping[str, Array], sample: int, k: int, unit: tuple[float, float], users: Pair, items: Pair
) -> None:
    """Write kept sample ``sample`` of the state ``a`` into a chain that has not started.

    ``unit``: the mean and scale of the chain's ratings; ``users``, ``items``: codes of the rows in both, (here, there).
    """
    ratio, shift = float(a["scale"]) / unit[1], (float(a["mean"]) - unit[0]) / unit[1]
    scale = np.append(np.full(k, np.sqrt(ratio)), ratio)
    wide, width = slice(sample * k, (sample + 1) * k), slice(sample * (k + 1), (sample + 1) * (k + 1))
    for which, draws, side, (mine, theirs) in (
        ("user", "_draws", chain.users, users),
        ("item", "", chain.items, items),
    ):
        factors, bias = f"{which}_factor{draws or 's'}", f"{which}_bias{draws}"
        rows = scale * np.column_stack([a[factors][:, wide], a[bias][:, sample]])
        centre = scale * np.append(a[f"{which}_factors"][-1, wide], a[f"{which}_bias"][-1, sample])
        if which == "user":
            rows[:, k] += shift
            centre[k] += shift
        side.draw[:] = centre
        side.draw[mine] = rows[theirs]
        side.mean[:] = side.draw
        side.mu = centre
        side.weight[mine] = 1.0 / np.maximum(a[f"{which}_noise"][theirs], 1e-3)
    chain.users.precision = a["user_precision"][sample] / scale**2
    d = chain.users.layout.design
    if d is not None and d.n_implicit and len(a["implicit"]):
        mine, theirs = items
        chain.users.weights[mine] = scale * a["implicit"][theirs, width]
        chain.users.mu = chain.users.mu - chain.users.usual()
        _explain(chain.users)
    if chain.cuts is None or not chain.cuts.fixes_noise:
        chain.noise_precision[...] = a["noise_precision"][sample] / ratio**2
    for kind, processes in zip(KINDS, (chain.user_drifts, chain.item_drifts), strict=True):
        for process, numbers in zip(processes, a[f"{kind}_numbers"], strict=False):
            process.numbers[:] = numbers[0], numbers[1] * ratio**2
            process.uncertainty[...] = numbers[2] * ratio**2
    if chain.cuts is not None and len(a["cuts"]) == len(chain.cuts.values) - 2:
        inner = chain.cuts.values[1:-1]
        inner[:] = rescale(a["cuts"], half_way(a["levels"]), inner)
    for side in (chain.items, chain.users):
        side.settle(chain.rng, PASSES)


@one_thread()
def _explain(side: Side) -> None:
    """Compute the contributions of the weights again."""
    from scipy.sparse import csc_array

    d = side.layout.design
    assert d is not None
    shape = len(side.draw), len(side.weights)
    side.explained[:] = csc_array((d.values, d.rows, d.indptr), shape=shape) @ side.weights
