"""From the ``Search`` notes on a config's fields to ranges that Optuna samples."""

from __future__ import annotations

import dataclasses
from typing import Any

from cofactor.models.config import Search


@dataclasses.dataclass(frozen=True)
class Range:
    """Where one parameter may lie. Numbers as they are; choices by their position."""

    default: Any
    search: Search

    def suggest(self, trial: Any, name: str) -> Any:
        """A value for a trial. The default is always within the range."""
        s = self.search
        if s.choices:
            return self.decode(trial.suggest_categorical(name, list(range(len(self.choices)))))
        low, high = min(s.low, self.default), max(s.high, self.default)
        if isinstance(self.default, int):
            return trial.suggest_int(name, int(low), int(high), log=s.log)
        return trial.suggest_float(name, low, high, log=s.log)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The choices, the default among them."""
        s = self.search
        return s.choices if self.default in s.choices else (self.default, *s.choices)

    def encode(self, value: Any) -> Any:
        """As Optuna keeps it."""
        return self.choices.index(value) if self.search.choices else value

    def decode(self, stored: Any) -> Any:
        """Back from what Optuna keeps."""
        return self.choices[stored] if self.search.choices else stored


def ranges(config: type[Any], fixed: set[str]) -> dict[str, Range]:
    """Field name -> Range, for the fields that say where to search and are not fixed."""
    found = {}
    for field in dataclasses.fields(config):
        search = field.metadata.get("search")
        if search is not None and field.name not in fixed:
            found[field.name] = Range(field.default, search)
    return found
