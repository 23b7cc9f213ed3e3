"""fastcore's functions for names and texts."""

from __future__ import annotations

import re
from typing import Any

from cofactor.notebook._fastcore.attributes import AttrDictDefault
from cofactor.notebook._fastcore.lists import listify

__all__ = [
    "NotStr",
    "PrettyString",
    "camel2snake",
    "camel2words",
    "class2attr",
    "partial_format",
    "round_multiple",
    "snake",
    "snake2camel",
    "str2bool",
    "str2float",
    "str2int",
    "str2list",
    "to_bool",
    "to_int",
    "to_list",
    "to_snake",
    "truncstr",
]


def camel2snake(name: str) -> str:
    """DotProduct -> dot_product."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def snake2camel(s: str) -> str:
    """dot_product -> DotProduct."""
    return "".join(part.title() for part in s.split("_"))


def camel2words(s: str, space: str = " ") -> str:
    """DotProduct -> Dot Product."""
    return re.sub(r"(?<!^)(?=[A-Z])", space, s)


def snake(name: str) -> str:
    return camel2snake(name)


def round_multiple(x: Any, mult: int, round_down: bool = False) -> Any:
    """Return the nearest multiple."""
    if isinstance(x, (list, tuple)):
        return [round_multiple(o, mult, round_down) for o in x]
    return (int if round_down else round)(x / mult) * mult


def partial_format(s: str, **kwargs: Any) -> Any:
    return s.format_map(AttrDictDefault(kwargs, default_=""))


def str2bool(s: Any) -> bool:
    """Return whether a text means yes."""
    if not isinstance(s, str):
        return bool(s)
    return s.lower() in ("1", "true", "yes", "y", "t", "on") if s else False


def truncstr(s: str, maxlen: int, suf: str = "...", space: str = "") -> str:
    return s[: maxlen - len(suf)] + suf if len(s) + len(space) > maxlen else s + space


def to_bool(x: Any) -> bool:
    return str2bool(x)


def to_int(x: Any) -> int:
    return int(x)


def to_list(x: Any) -> list[Any]:
    return listify(x)


class PrettyString(str):
    """A text that is shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


class NotStr(str):
    """A text that is not treated as one."""


def to_snake(s: str) -> str:
    return camel2snake(s)


def str2int(s: str) -> int:
    return int(s)


def str2float(s: str) -> float:
    return float(s)


def str2list(s: str) -> list[str]:
    return [o.strip() for o in s.strip("[]()").split(",")]


def class2attr(self: Any, cls_name: str) -> str:
    """Return the name of its class in snake case, without ``cls_name``."""
    return camel2snake(re.sub(rf"{cls_name}$", "", type(self).__name__) or cls_name.lower())
