"""Convert the ``Search`` notes on a config's fields to ranges that Optuna samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cofactor.models.base.config import Search


@dataclasses.dataclass(frozen=True)
class Range:
    """The range of one parameter, which always includes the default. Optuna gets numbers as such, and choices by
    position.

    A default outside any logarithmic range (0, or None for "by the data") becomes a separate choice beside the range.
    """

    name: str
    default: Any
    search: Search

    @property
    def choices(self) -> tuple[Any, ...]:
        """The choices, including the default; empty for numbers."""
        s = self.search
        return s.choices if not s.choices or self.default in s.choices else (self.default, *s.choices)

    @property
    def apart(self) -> bool:
        """Whether the default is a choice beside the range."""
        number = isinstance(self.default, (int, float)) and not isinstance(self.default, bool)
        return not self.search.choices and (not number or (self.search.log and self.default <= 0))

    @property
    def _flag(self) -> str:
        return f"{self.name} at its default"

    def suggest(self, trial: Any) -> Any:
        """Return a value for a trial."""
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
        """Return the default, in Optuna's form."""
        if self.search.choices:
            return {self.name: self.choices.index(self.default)}
        return {self._flag: True} if self.apart else {self.name: self.default}

    def read(self, params: Mapping[str, Any]) -> Any:
        """Return the value from Optuna's form."""
        if self.search.choices:
            return self.choices[params[self.name]]
        return self.default if self.apart and params[self._flag] else params[self.name]


def ranges(config: type[Any], fixed: set[str]) -> list[Range]:
    """Return a Range for each field that has a search range and is not fixed."""
    found = []
    for field in dataclasses.fields(config):
        search = field.metadata.get("search")
        if search is not None and field.name not in fixed:
            found.append(Range(field.name, field.default, search))
    return found
