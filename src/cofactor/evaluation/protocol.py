"""The settings that a figure depends on, besides the model and the rows; see ``docs/metrics.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cofactor._validate import check_choice, check_number
from cofactor.errors import ConfigError


@dataclass(frozen=True)
class EvaluationProtocol:
    """The settings that a ranking figure depends on, besides the model; see ``docs/metrics.md``."""

    relevant: float | None = None
    exclude: Literal["seen", "new"] | None = "seen"
    users_without: Literal["skip", "zero"] = "skip"
    level: float = 0.9
    new_users: Literal["skip", "popular"] = "skip"
    propensity: float = 0.0

    def __post_init__(self) -> None:
        if self.exclude is not None:
            check_choice("exclude", self.exclude, "seen", "new")
        check_choice("users_without", self.users_without, "skip", "zero")
        check_choice("new_users", self.new_users, "skip", "popular")
        if not 0 <= check_number("propensity", self.propensity) <= 1:
            raise ConfigError(f"propensity is {self.propensity}; it must be between 0 and 1")
        if self.relevant is not None:
            check_number("relevant", self.relevant)
        if not 0 < check_number("level", self.level) < 1:
            raise ConfigError(f"the level is {self.level}; it must lie between 0 and 1, as in 0.9")
