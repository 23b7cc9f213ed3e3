"""Parameters of ``next-item``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cofactor.errors import ConfigError
from cofactor.models.base.config import option

CHOSEN = "; none: chosen on each user's last training row"


@dataclass(frozen=True)
class NextItemConfig:
    """Parameters of ``next-item``. What is None is chosen inside training, on each user's last row."""

    steps: int = option(20, "how many steps apart two items of a history may be to count as a transition")
    power: float | None = option(None, "a transition over d steps counts d to the minus this power" + CHOSEN)
    time_power: float | None = option(None, "and falls with the time between the two to this power" + CHOSEN)
    backward: float | None = option(None, "what a transition counts in the other direction" + CHOSEN)
    from_power: float | None = option(None, "how much popular items of the history are held back, 0 to 1" + CHOSEN)
    to_power: float | None = option(None, "how much popular items of the list are held back, 0 to 1" + CHOSEN)
    shrink: float | None = option(None, "rows added to each item; rare ones are trusted less" + CHOSEN)
    decay: float | None = option(None, "what an item of the history counts, relative to the next newer one" + CHOSEN)
    share: float | None = option(
        None, "weight of the neighbours of all items of the history, relative to 1 for transitions" + CHOSEN
    )
    popular: float | None = option(None, "weight of popularity, relative to 1 for transitions" + CHOSEN)
    half_life: float | None = option(None, "days after which a row counts half for popularity; 0: never" + CHOSEN)
    transitions: int = option(500, "transitions kept for each item, the largest")
    neighbours: int = option(100, "nearest items that each item is regressed on; 0: no neighbours")
    reg: float = option(10.0, "ridge penalty of that regression")
    users: int = option(10_000, "users whose last row is looked at, at most")
    max_rows: int = option(500_000, "training rows that the choice is made on, at most")
    min_rating_weight: float = option(1.0, "weight of the lowest rating in a history, relative to 1 for the highest")
    max_gb: float = option(2.0, "leave the neighbours out where they would need more memory than this", endless=True)

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
