"""Restore a model's config from JSON; every value must have the declared type of its field."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, Union

from cofactor.errors import BundleError, ConfigError
from cofactor.models.base.config import make_config


def restore(cls: type[Any], values: dict[str, Any], what: str) -> Any:
    """Return the config; BundleError, with the name of the field, where a value has a wrong type."""
    hints = typing.get_type_hints(cls)
    given = {name: _tuples(value) for name, value in values.items()}
    for name, value in given.items():
        if name in hints and not fits(value, hints[name]):
            raise BundleError(f"{what}: the parameter {name!r} is {repr(value)[:60]}, which has a wrong type")
    try:
        return make_config(cls, given)
    except ConfigError as exc:
        raise BundleError(f"{what}: {exc}") from None


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value has a declared type (numbers, text, literals, tuples, unions)."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is object:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, a) for a in args)
    if origin is Literal:
        return any(value == a and type(value) is type(a) for a in args)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(args) == 2 and args[1] is Ellipsis:
            return all(fits(v, args[0]) for v in value)
        return len(value) == len(args) and all(fits(v, a) for v, a in zip(value, args, strict=True))
    if hint is float:
        return type(value) in (int, float) and abs(value) < 1e300
    if hint is int:
        return type(value) is int and abs(value) < 1 << 62
    if hint is None or hint is type(None):
        return value is None
    return isinstance(hint, type) and origin is None and type(value) is hint


def _tuples(value: Any) -> Any:
    """Return lists as tuples, since JSON has no tuples and configs have no lists."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
