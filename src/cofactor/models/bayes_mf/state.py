"""The stored form of the kept samples of ``bayes-mf``: the arrays, their shapes, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import BundleError
from cofactor.models.base.arrays import stored, stored_range
from cofactor.models.bayes_mf.time import KINDS, stored_process

Array = NDArray[Any]
F32 = np.float32
BY_SAMPLE = ("user_precision", "noise_precision")
"""Arrays with one row for each kept sample."""


def per_sample(k: int) -> dict[str, int]:
    """Return the number of columns per kept sample, for arrays that hold the samples side by side."""
    return {
        "user_factors": k,
        "user_bias": 1,
        "user_factor_draws": k,
        "user_bias_draws": 1,
        "item_factors": k,
        "item_bias": 1,
        "implicit": k + 1,
    }


def stored_samples(k: int, state: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
    """Return (arrays, traces) of a stored state. Raises BundleError if they do not fit each other."""
    precision = stored(state, "noise_precision", F32, (None,))
    s = len(precision)
    a: dict[str, Array] = {"noise_precision": precision, "range": stored_range(state)}
    a["user_precision"] = stored(state, "user_precision", F32, (s, k + 1))
    a["mean"], a["scale"] = stored(state, "mean", F32, ()), stored(state, "scale", F32, ())
    a["user_noise"], a["item_noise"] = (stored(state, n, F32, (None,)) for n in ("user_noise", "item_noise"))
    n, m = len(a["user_noise"]), len(a["item_noise"])
    for name, per in per_sample(k).items():
        rows = None if name == "implicit" else n if name.startswith("user") else m
        a[name] = stored(state, name, F32, (rows, s * per))
    for kind, length in zip(KINDS, (n, m), strict=True):
        a |= stored_process(state, kind, length)
    a["levels"], a["cuts"] = (stored(state, n, np.float64, (None,)) for n in ("levels", "cuts"))
    if len(a["levels"]) != (len(a["cuts"]) + 1 if len(a["cuts"]) else 0) or (np.diff(a["cuts"]) <= 0).any():
        raise BundleError("the array 'cuts' of the saved model does not fit 'levels'")
    if s == 0 or not n or not m or len(a["implicit"]) not in (0, m - 1, m) or (precision <= 0).any():
        raise BundleError("the saved model holds no usable samples; save it again from the original")
    if (a["user_precision"] <= 0).any():
        raise BundleError("the saved model holds scales that are not above 0")
    return a, stored(state, "traces", np.float64, (None, None, None))
