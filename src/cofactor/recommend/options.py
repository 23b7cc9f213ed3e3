"""Everything that one asks of a list besides whom it is for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_bool, check_int, check_iterable
from cofactor.errors import ConfigError

Array = NDArray[Any]
Unknown = Literal["error", "skip", "popular"]
Strength = float | tuple[str, float]


@dataclass(frozen=True)
class Options:
    """The keywords of :meth:`Recommender.recommend` and ``recommend_all``; see there. ConfigError for nonsense."""

    n: int = 10
    seen: bool = False
    allow: Iterable[Any] | None = None
    deny: Iterable[Any] | None = None
    where: str | pl.Expr | None = None
    per_group: tuple[str, int] | None = None
    diversity: float = 0.0
    calibration: Strength = 0.0
    sure: float | None = None
    explore: float | Literal["draw"] | None = None
    seed: int = 0
    unknown: Unknown = "error"

    def __post_init__(self) -> None:
        check_policy(self.unknown)
        check_bool("seen", self.seen)
        if not _whole(self.n) or self.n < 1:
            raise ConfigError(f"n is {self.n!r}; it must be a whole number of at least 1")
        object.__setattr__(self, "n", int(self.n))  # NumPy's integers overflow
        check_int("seed", self.seed, 0)
        if isinstance(self.calibration, tuple) and not (
            len(self.calibration) == 2 and isinstance(self.calibration[0], str)
        ):
            raise ConfigError(
                f"calibration is {self.calibration!r}; give a strength, or a column and a strength: ('genres', 0.5)"
            )
        for name in ("allow", "deny"):
            if getattr(self, name) is not None:
                check_iterable(name, getattr(self, name), "a list of items")
        for name, strength in (("diversity", self.diversity), ("calibration", self.calibration_strength)):
            if not _number(strength) or not 0 <= strength <= 1:
                raise ConfigError(f"{name} is {strength!r}; it must be a number from 0 (not at all) to 1")
        if self.sure is not None and self.explore is not None:
            raise ConfigError("give either sure= (safe bets) or explore= (worth a try), and not both")
        for name, level in (("sure", self.sure), ("explore", self.explore)):
            if level is None or (name == "explore" and isinstance(level, str) and level == "draw"):
                continue
            if not _number(level) or not 0 < float(level) < 1:
                more = ", or 'draw'" if name == "explore" else ""
                raise ConfigError(f"{name} is {level!r}; it must be a level between 0 and 1, such as 0.9{more}")
        cap = self.per_group
        if cap is not None and not (
            isinstance(cap, tuple) and len(cap) == 2 and isinstance(cap[0], str) and _whole(cap[1]) and cap[1] >= 1
        ):
            raise ConfigError(f"per_group is {cap!r}; give a column and how many of one group, such as ('genres', 3)")

    @property
    def calibration_strength(self) -> Any:
        """``calibration`` without the column."""
        return self.calibration[1] if isinstance(self.calibration, tuple) else self.calibration

    @property
    def calibration_column(self) -> str | None:
        """The column to calibrate by, where it is named."""
        return self.calibration[0] if isinstance(self.calibration, tuple) else None

    @property
    def shaped(self) -> bool:
        """Whether the list is anything but the best by score."""
        return self.per_group is not None or self.diversity > 0 or self.calibration_strength > 0


def check_policy(unknown: object) -> None:
    """ConfigError for a policy that does not exist."""
    if not isinstance(unknown, str) or unknown not in ("error", "skip", "popular"):
        raise ConfigError(f"unknown={unknown!r}; it is one of 'error', 'skip' and 'popular'")


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def options_of(**given: Any) -> Options:
    """ConfigError for a keyword that does not exist."""
    names = [f.name for f in fields(Options)]
    for name in given:
        if name not in names:
            raise ConfigError(f"recommend_all() has no option {name!r}; there are: {', '.join(names)}")
    return Options(**given)
