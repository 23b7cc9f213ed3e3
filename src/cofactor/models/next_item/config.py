"""Parameters of ``next-item``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cofactor.errors import ConfigError
from cofactor.models.base.config import option

CHOSEN = "; none: chosen on each user's last training row"


@dataclass(frozen=True)
class NextItemConfig:
    """Parameters of ``next-item``. Those that are None are chosen inside training, on each user's last row."""

    steps: int = option(20, "maximal number of steps between two items of a history that count as a transition")
    power: float | None = option(None, "power p: a transition over d steps counts d ** -p" + CHOSEN)
    time_power: float | None = option(None, "power p: a transition over a time t counts t ** -p" + CHOSEN)
    backward: float | None = option(None, "weight of a transition in the reverse direction" + CHOSEN)
    from_power: float | None = option(None, "damping of popular items in the history, 0 to 1" + CHOSEN)
    to_power: float | None = option(None, "damping of popular items in the list, 0 to 1" + CHOSEN)
    shrink: float | None = option(None, "pseudo-rows added to each item, which lower the weight of rare ones" + CHOSEN)
    decay: float | None = option(None, "weight of an item of the history, relative to the next newer one" + CHOSEN)
    share: float | None = option(
        None, "weight of the neighbours of all items of the history, relative to 1 for transitions" + CHOSEN
    )
    popular: float | None = option(None, "weight of popularity, relative to 1 for transitions" + CHOSEN)
    half_life: float | None = option(None, "days after which a row counts half for popularity; 0: never" + CHOSEN)
    transitions: int = option(500, "transitions kept for each item, the largest")
    neighbours: int = option(100, "nearest items that each item is regressed on; 0: no neighbours")
    reg: float = option(10.0, "ridge penalty of that regression")
    users: int = option(10_000, "maximal number of users whose last row is used")
    max_rows: int = option(500_000, "maximal number of training rows for the choice")
    min_rating_weight: float = option(1.0, "weight of the lowest rating in a history, relative to 1 for the highest")
    max_gb: float = option(2.0, "leave out the neighbours if they need more memory than this", endless=True)

    def __post_init__(self) -> None:
        for name in ("steps", "transitions", "users", "max_rows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("power", "time_power", "backward", "from_power", "to_power", "shrink", "share", "popular"):
            self._check_at_least_0(name)
        self._check_at_least_0("half_life")
        self._check_at_least_0("neighbours")
        if self.decay is not None and not 0 < self.decay <= 1:
            raise ConfigError(f"decay is {self.decay}; it must be above 0 and at most 1")
        if not 0 <= self.min_rating_weight <= 1:
            raise ConfigError(f"min_rating_weight is {self.min_rating_weight}; it must be between 0 and 1")
        if not self.reg > 0:
            raise ConfigError(f"reg is {self.reg}; it must be above 0")

    def _check_at_least_0(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} is {value}; it must be a number of 0 or more")
