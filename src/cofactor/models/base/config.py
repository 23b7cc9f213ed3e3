"""A model's parameters: a frozen dataclass, the single source of names, defaults, help and search ranges.

The command line makes its flags from it, bundles store it as JSON, and ``cofactor.tune`` searches its ranges.
"""

from __future__ import annotations

import ast
import dataclasses
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from cofactor._validate import check_bool, check_int, check_number
from cofactor.errors import ConfigError, did_you_mean


class Search(NamedTuple):
    """Where tuning searches: between ``low`` and ``high`` (uniformly in the logarithm with ``log``), or among
    ``choices``."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()


@runtime_checkable
class ContinuedConfig(Protocol):
    """Configs with changes for training that starts from an earlier model."""

    def continued(self) -> dict[str, Any]: ...


class GradientConfig:
    """Base of the configs of models that learn by gradient steps. ``decays``: the rate follows a cycle, with decay.

    Such a model overfits if it continues from trained vectors for as long as from random ones (``warp`` lost 7 % of
    NDCG@10 on ml-100k).
    """

    epochs: int
    lr: float
    decays: ClassVar[bool] = False

    def continued(self) -> dict[str, Any]:
        """Return the changes for a run that starts from trained vectors: a fifth of the epochs (at least two), at a
        quarter of the learning rate (a tenth if it decays)."""
        epochs = max(min(2, self.epochs), self.epochs // 5)
        return {"epochs": epochs, "lr": self.lr / (10 if self.decays else 4)}


def option(default: Any, help: str, search: Search | None = None, *, endless: bool = False) -> Any:
    """Return a config field: its default, one line of help, and its search range for tuning (None: not searched).

    ``endless``: the number may be infinite.
    """
    return dataclasses.field(default=default, metadata={"help": help, "search": search, "endless": endless})


def make_config(cls: type[Any], values: dict[str, Any]) -> Any:
    """Return a config from keywords. ConfigError names unknown ones. Lists become tuples, because JSON has no
    tuples."""
    names = [f.name for f in dataclasses.fields(cls)]
    for name in values:
        if name not in names:
            raise ConfigError(f"no parameter {name!r}; there are: {', '.join(names)}.{did_you_mean(name, names)}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    return cls(**{name: _checked(fields[name], value) for name, value in values.items()})


def parse_value(field: dataclasses.Field[Any], text: str, name: str | None = None) -> Any:
    """Parse the typed value of a parameter, by the type of its default. Raises ConfigError (which calls it ``name``) if
    it cannot be parsed."""
    lowered, default, name = text.lower(), field.default, name or field.name
    if isinstance(default, bool) and lowered in ("true", "false", "yes", "no"):
        return lowered in ("true", "yes")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None if lowered == "none" else float(text) if lowered == "inf" else text
    if isinstance(default, (int, float)) and not isinstance(value, (int, float)):
        raise ConfigError(f"{name} is {text!r}; it must be a number")
    if isinstance(default, int) and not isinstance(default, bool) and isinstance(value, float):
        raise ConfigError(f"{name} is {text!r}; it must be a whole number")
    return value


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return ``value`` in Python's own types if it has the field's type; otherwise raise ConfigError. The config itself
    checks the permitted values."""
    name, kind = field.name, str(getattr(field.type, "__name__", field.type))
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if "None" in kind and value is None:
        return None
    if isinstance(value, str) and ("str |" in kind or kind == "str"):
        return value
    if kind in ("int", "int | None"):
        if check_int(name, value, -(2**31)) >= 2**31:
            raise ConfigError(f"{name} is {value}; it must be below {2**31:,}")
        return value
    if kind == "bool":
        return check_bool(name, value)
    if kind.startswith("float"):
        if not (field.metadata.get("endless") and isinstance(value, float) and value == float("inf")):
            check_number(name, value)
        return float(value) if isinstance(value, int) and abs(value) > 2**53 else value
    if kind.startswith("tuple"):
        return _several(field, kind, value)
    raise ConfigError(f"{name} is {value!r}; give a text, such as {field.default!r}")


def _several(field: dataclasses.Field[Any], kind: str, value: Any) -> tuple[Any, ...]:
    name = field.name
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{name} is {value!r}; give several values, such as {_example(field)}")
    for each in value:
        if "tuple[str" in kind and not isinstance(each, str):
            raise ConfigError(f"{name} holds {each!r}; give texts, such as {_example(field)}")
        if "tuple[int" in kind:
            check_int(f"a value of {name}", each, -(2**62))
        elif "tuple[float" in kind:
            check_number(f"a value of {name}", each)
    return tuple(value)


def _example(field: dataclasses.Field[Any]) -> str:
    return str(field.default) if isinstance(field.default, tuple) and field.default else "(0, 5.5)"
