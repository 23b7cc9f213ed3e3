"""Functions and classes of one's own in an exported file: their names. They are found again where this process exported
them, or where the notebook (``__main__``) defines them; nothing is imported, and nothing of any library is called."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from cofactor.errors import ConfigError

_exported: dict[tuple[str, str], Any] = {}
"""What this process exported, by its names."""


def remember(f: Any, what: str) -> list[str]:
    """The names of a function, or of the class of an object that is made without arguments. ``what`` begins the
    sentence of a refusal."""
    owner = f if isinstance(f, (FunctionType, type)) else type(f)
    name = str(getattr(owner, "__qualname__", ""))
    if "<" in name or not isinstance(owner, (FunctionType, type)) or (owner is not f and vars(f)):
        shown = name if "<lambda>" in name or owner is f else f"an object of {name}"
        raise ConfigError(
            f"{what} {shown} cannot be exported: a file holds names, no code. "
            "Write a function by def, outside of other functions"
        )
    where = str(owner.__module__)
    _exported[where, name] = owner
    return [where, name]


def find(where: str, name: str) -> Any:
    """The function or class of these names; None where it is not there."""
    if (found := _exported.get((str(where), str(name)))) is not None:
        return found
    main: Any = sys.modules.get("__main__")
    found = getattr(main, str(name), None) if where == "__main__" else None
    own = isinstance(found, (FunctionType, type)) and found.__module__ == "__main__"
    return found if own else None
