"""The order of rows in an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def epoch_order(n: int, seed: int, epoch: int) -> Array:
    """Return the order of rows in an epoch: every row once; int32 if it fits. The same seed and epoch give the same
    order."""
    rows = np.arange(n, dtype=np.int32 if n < 2**31 else np.int64)
    np.random.default_rng([seed, 1, epoch]).shuffle(rows)
    return rows
