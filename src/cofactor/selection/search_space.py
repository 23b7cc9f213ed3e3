"""From the ``Search`` notes on a config's fields to ranges that Optuna samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cofactor.models.base.config import Search


@dataclasses.dataclass(frozen=True)
class Range:
    """Where one parameter may lie, the default always included. Optuna sees numbers as they are, choices by
    their position.

    A default that no logarithmic range can hold (0, or None for "by the data") stands beside the range
    as a choice.
    """

    name: str
    default: Any
    search: Search

    @property
    def choices(self) -> tuple[Any, ...]:
        """The choices, the default among them; empty for numbers."""
        s = self.search
        return s.choices if not s.choices or self.default in s.choices else (self.default, *s.choices)

    @property
    def apart(self) -> bool:
        """Whether the default stands beside the range."""
        number = isinstance(self.default, (int, float)) and not isinstance(self.default, bool)
        return not self.search.choices and (not number or (self.search.log and self.default <= 0))

    @property
    def _flag(self) -> str:
        return f"{self.name} at its default"

    def suggest(self, trial: Any) -> Any:
        """A value for a trial."""
        s = self.search
        if s.choices:
            return self.choices[trial.suggest_categorical(self.name, list(range(len(self.choices))))]
        if self.apart:
            if trial.suggest_categorical(self._flag, [True, False]):
                return self.default
            low, high = s.low, s.high
        else:
            low, high = min(s.low, self.default), max(s.high, self.default)
        if isinstance(self.default, int):
            return trial.suggest_int(self.name, int(low), int(high), log=s.log)
        return trial.suggest_float(self.name, low, high, log=s.log)

    def first(self) -> dict[str, Any]:
        """The default, as Optuna keeps it."""
        if self.search.choices:
            return {self.name: self.choices.index(self.default)}
        return {self._flag: True} if self.apart else {self.name: self.default}

    def read(self, params: Mapping[str, Any]) -> Any:
        """The value, from what Optuna kept."""
        if self.search.choices:
            return self.choices[params[self.name]]
        return self.default if self.apart and params[self._flag] else params[self.name]


def ranges(config: type[Any], fixed: set[str]) -> list[Range]:
    """A Range for each field that says where to search and is not fixed."""
    found = []
    for field in dataclasses.fields(config):
        search = field.metadata.get("search")
        if search is not None and field.name not in fixed:
            found.append(Range(field.name, field.default, search))
    return found
