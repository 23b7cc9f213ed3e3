"""What a model's parameters are: a frozen dataclass, the single source of names, defaults, help and search ranges.

The command line makes its flags from it, bundles write it as JSON, ``cofactor.tune`` searches its ranges.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from cofactor._checks import number, whole
from cofactor.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class Search:
    """Where tuning looks: between ``low`` and ``high`` (evenly in the logarithm with ``log``), or among ``choices``."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()


def option(default: Any, help: str, search: Search | None = None) -> Any:
    """A config field: its default, one line of help, and where tuning may look for better values (None: nowhere)."""
    return dataclasses.field(default=default, metadata={"help": help, "search": search})


def make_config(cls: type[Any], values: dict[str, Any]) -> Any:
    """A config from keywords; ConfigError names what does not exist. Lists become tuples (JSON has none)."""
    names = [f.name for f in dataclasses.fields(cls)]
    for name in values:
        if name not in names:
            raise ConfigError(f"no parameter {name!r}; there are: {', '.join(names)}.{did_you_mean(name, names)}")
    for field in dataclasses.fields(cls):
        if field.name in values:
            _check(field, values[field.name])
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    """Plain types; what a value may be beyond that is the config's own to say."""
    kind = getattr(field.type, "__name__", field.type)
    if kind == "int":
        whole(field.name, value, -(2**62))
    elif kind == "float" and value != float("inf"):
        number(field.name, value)
    elif "tuple" in str(kind) and isinstance(value, (int, float)):
        raise ConfigError(f"{field.name} is {value!r}; give several values, such as {_example(field)}")
    elif kind == "bool" and not isinstance(value, bool):
        raise ConfigError(f"{field.name} is {value!r}; it must be True or False")


def _example(field: dataclasses.Field[Any]) -> str:
    return str(field.default) if isinstance(field.default, tuple) and field.default else "(0, 5.5)"
