"""Flags for the options of a list: built from ``ListOptions``, and converted back to Python values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from cofactor.cli.arguments import read_lines
from cofactor.cli.printing import say
from cofactor.errors import ConfigError
from cofactor.recommend.ids import Items
from cofactor.recommend.options import OPTIONS, Kind

_TYPES: dict[Kind, Any] = {
    "count": int,
    "flag": bool,
    "ids": list[str] | None,
    "predicate": str | None,
    "cap": str | None,
    "strength": float,
    "grouped strength": str,
    "level": float | None,
    "level or draw": str | None,
    "seed": int,
    "policy": str,
}
_MORE: dict[Kind, str] = {
    "ids": " Repeat the option, or name a file with one per line.",
    "cap": " Example: genres=3.",
    "grouped strength": " Example: 0.3, or genres=0.5.",
}


def with_list_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with a flag for each option of a list in place of its ``**flags``."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(**given)

    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
    flags = []
    for name, option in OPTIONS.items():
        flag = "-n" if name == "n" else f"--{name.replace('_', '-')}"
        default = str(option.default) if option.kind == "grouped strength" else option.default
        text = option.help + _MORE.get(option.kind, "")
        declared = typer.Option(default, flag, help=text, rich_help_panel="The list")
        flags.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=declared, annotation=_TYPES[option.kind])
        )
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    run.__signature__ = inspect.Signature([*keyword, *flags])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*keyword, *flags]}
    return run


def list_options_of(flags: dict[str, Any], items: Items) -> dict[str, Any]:
    """Return the values of the flags as :meth:`Recommender.recommend` takes them. Flags name items by id or title."""
    return {name: _READ.get(OPTIONS[name].kind, _as_it_is)(name, value, items) for name, value in flags.items()}


def _as_it_is(name: str, value: Any, items: Items) -> Any:
    return value


def _ids(name: str, value: Any, items: Items) -> Any:
    """Return the ids of the given ids, titles and files (one id or title per line).

    Unknown ids in a file are left out; a remark on stderr counts them.
    """
    found: list[Any] = []
    for item in value or []:
        named = items.ids.parse(item)
        if items.find(named) >= 0 or not Path(item).is_file():
            found.append(named)
            continue
        listed = [items.ids.parse(line) for line in read_lines(item)]
        known = [one for one in listed if items.find(one) >= 0]
        if len(known) < len(listed):
            say(f"--{name} {item}: {len(listed) - len(known):,} of {len(listed):,} ids are unknown and left out")
        found += known
    return found if value else None


def _number(name: str, value: str, such_as: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"--{name.replace('_', '-')} is {value!r}; give {such_as}") from None


def _cap(name: str, value: Any, items: Items) -> Any:
    if value is None:
        return None
    column, equals, count = value.rpartition("=")
    if not equals or not count.isdigit():
        raise ConfigError(f"--{name.replace('_', '-')} is {value!r}; give a column and a number, such as genres=3")
    return column, int(count)


def _grouped_strength(name: str, value: Any, items: Items) -> Any:
    column, equals, strength = str(value).rpartition("=")
    number = _number(name, strength, "a strength from 0 to 1, or a column and a strength, such as genres=0.5")
    return (column, number) if equals else number


def _level_or_draw(name: str, value: Any, items: Items) -> Any:
    return value if value in (None, "draw") else _number(name, value, "a level such as 0.9, or draw")


_READ: dict[Kind, Callable[[str, Any, Items], Any]] = {
    "ids": _ids,
    "cap": _cap,
    "grouped strength": _grouped_strength,
    "level or draw": _level_or_draw,
}
