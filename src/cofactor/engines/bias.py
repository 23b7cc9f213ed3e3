"""Train ``bias`` in blocks of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.engines.blocks import bias_sweeps, whole
from cofactor.engines.prepare import Prepared
from cofactor.engines.work import Work
from cofactor.kernels.sums import total
from cofactor.models.bias import BiasConfig

Array = NDArray[Any]


def train(work: Work, data: Prepared, config: BiasConfig, seed: int) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state, and the losses of each sweep."""
    mean = float(total(tuple(n) for n in data.value_sum) / data.rows)
    losses = bias_sweeps(work, data, mean, config.epochs, config.reg_user, config.reg_item)
    last = f"bias-{config.epochs - 1}"
    state = {
        "mean": np.array(mean, dtype=np.float32),
        "range": np.array(data.limits, dtype=np.float32),
        "user_bias": whole(data, "user", last).astype(np.float32),
        "item_bias": whole(data, "item", last).astype(np.float32),
    }
    return state, [[loss, float("nan")] for loss in losses]
