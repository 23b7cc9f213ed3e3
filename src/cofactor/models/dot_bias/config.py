"""The parameters of ``dot-bias``, its losses, and the range that the ratings require."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError
from cofactor.kernels.dot_bias.loss import BCE, HUBER, MAE, MSE
from cofactor.models.base.config import GradientConfig, Search, option

LOSSES = {"mse": MSE, "mae": MAE, "huber": HUBER, "bce": BCE}


@dataclass(frozen=True)
class DotBiasConfig(GradientConfig):
    """Parameters of :class:`DotBias`."""

    decays: ClassVar[bool] = True

    n_factors: int = option(50, "length of the embeddings", Search(8, 128, log=True))
    y_range: tuple[float, float] | str | None = option(
        "auto",
        "bounds of the sigmoid; auto: the range of the data and half a step more, e.g. (0.5, 5.5); none: no sigmoid",
    )
    loss: str = option("mse", "mse, mae, huber, or bce (ratings scaled to 0..1 by y_range)")
    epochs: int = option(5, "passes over the ratings", Search(3, 20))
    lr: float = option(5e-3, "highest learning rate of the one-cycle schedule", Search(1e-3, 2e-2, log=True))
    weight_decay: float = option(0.1, "decoupled weight decay", Search(1e-3, 0.5, log=True))
    batch_size: int = option(64, "ratings a batch")
    parallel: str = option(
        "auto",
        "on: train epochs by strata, on several threads; off: in the plain order; auto: on from 500,000 ratings",
    )

    def __post_init__(self) -> None:
        if self.n_factors < 1:
            raise ConfigError(f"n_factors must be at least 1, not {self.n_factors}")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {self.batch_size}")
        if self.parallel not in ("auto", "on", "off"):
            raise ConfigError(f"parallel must be 'auto', 'on' or 'off', not {self.parallel!r}")
        if self.loss not in LOSSES:
            raise ConfigError(f"no loss {self.loss!r}; there are: {', '.join(LOSSES)}")
        if isinstance(self.y_range, str):
            if self.y_range != "auto":
                raise ConfigError(f"y_range must be two numbers, 'auto' or None, not {self.y_range!r}")
        elif self.y_range is not None and not (len(self.y_range) == 2 and self.y_range[0] < self.y_range[1]):
            raise ConfigError(f"y_range must be two numbers, the lower first, not {self.y_range!r}")
        if self.loss == "bce" and self.y_range is None:
            raise ConfigError("loss 'bce' needs a y_range (or 'auto'): ratings are scaled to 0..1 by it")


def infer_range(data: Interactions, loss: str) -> tuple[float, float]:
    """Return the range of the ratings, extended on both sides by half of the smallest step between two of them (for
    bce: the range itself)."""
    lo, hi = data.range
    if loss == "bce" or lo == hi:
        return (lo, hi) if lo < hi else (lo - 0.5, hi + 0.5)
    levels = np.unique(data.values[:100_000])
    step = float(np.diff(levels).min()) if 1 < len(levels) <= 100 else (hi - lo) / 10
    return lo - step / 2, hi + step / 2
