"""Checks of arguments: each returns the value, or raises ConfigError with one sentence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cofactor.errors import ConfigError


def check_int(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``; ConfigError for anything else, 64.0 included."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ConfigError(f"{name} is {value!r}; it must be a whole number")
    if value < least:
        raise ConfigError(f"{name} is {value}; it must be at least {least}")
    return int(value)


def check_number(name: str, value: Any) -> float:
    """Return a finite number; ConfigError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise ConfigError(f"{name} is {value!r}; it must be a number")
    return float(value)


def check_budget(name: str, seconds: Any) -> float | None:
    """Seconds, 0 or more, infinity too, or None; ConfigError for anything else."""
    if seconds is None or (isinstance(seconds, (float, np.floating)) and seconds == math.inf):
        return None if seconds is None else math.inf
    if check_number(name, seconds) < 0:
        raise ConfigError(f"{name} is {seconds}; it must be 0 or more")
    return float(seconds)


def check_fraction(name: str, value: Any, such_as: str = "0.9") -> float:
    """Return a number above 0 and below 1; ConfigError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < 1:
        raise ConfigError(f"{name} is {value!r}; it must be a number between 0 and 1, such as {such_as}")
    return float(value)


def check_bool(name: str, value: Any) -> bool:
    """Return True or False; ConfigError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError(f"{name} is {value!r}; it must be True or False")
    return bool(value)


def check_iterable(name: str, value: Any, such_as: str) -> Any:
    """Something to go through that is neither a text nor a frame; ConfigError for anything else."""
    if hasattr(value, "columns"):
        raise ConfigError(f"{name} is a {type(value).__name__}; give several values, such as {such_as}")
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") or getattr(value, "ndim", 1) == 0:
        raise ConfigError(f"{name} is {value!r}; give a list, such as {such_as}")
    return value


def check_text(name: str, value: Any) -> str:
    """A text; ConfigError for anything else."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} is {value!r}; it must be a text")
    return value


def check_function(name: str, value: Any, call: str) -> Any:
    """Something to be called; ConfigError for anything else. ``call``: how it will be called, for the sentence."""
    if not callable(value):
        raise ConfigError(f"{name} is {value!r}; it must be a function, called as {call}")
    return value


def check_choice(name: str, value: Any, *known: str) -> Any:
    """Return one of the ``known`` texts; ConfigError for anything else."""
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{name} is {value!r}; give one of {', '.join(known)}")
    return value
