"""Find the rotation that maps one set of vectors onto another (Schönemann 1966)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread

Array = NDArray[Any]


@one_thread()
def procrustes(a: Array, b: Array) -> Array:
    """Return float32 (k, k), orthogonal: the rotation that brings the rows of ``a`` nearest to those of ``b``."""
    left, _, right = np.linalg.svd(a.astype(np.float64).T @ b.astype(np.float64))
    found: Array = (left @ right).astype(np.float32)
    return found


def mean_turn(a: Array, b: Array) -> float:
    """Return the mean of 1 - cosine between rows. Rows of zeros do not count."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    some = length > 0
    return float(np.mean(1 - (a * b).sum(axis=1)[some] / length[some])) if some.any() else 0.0
