"""The user's own functions and classes in an exported file: their names. They are looked up where this process exported
them, or where the notebook (``__main__``) defines them. Nothing is imported, and no library code is called."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from cofactor.errors import ConfigError

_exported: dict[tuple[str, str], Any] = {}
"""The objects that this process exported, by their names."""


def remember(f: Any, what: str) -> list[str]:
    """Return the names of a function, or of the class of an object that is created without arguments. ``what`` begins
    the error message."""
    owner = f if isinstance(f, (FunctionType, type)) else type(f)
    name = str(getattr(owner, "__qualname__", ""))
    if "<" in name or not isinstance(owner, (FunctionType, type)) or (owner is not f and vars(f)):
        shown = name if "<lambda>" in name or owner is f else f"an object of {name}"
        raise ConfigError(
            f"{what} {shown} cannot be exported, because a file holds names but no code; define a function with def,"
            " outside of other functions"
        )
    where = str(owner.__module__)
    _exported[where, name] = owner
    return [where, name]


def find(where: str, name: str) -> Any:
    """Return the function or class with these names; None if it does not exist."""
    if (found := _exported.get((str(where), str(name)))) is not None:
        return found
    main: Any = sys.modules.get("__main__")
    found = getattr(main, str(name), None) if where == "__main__" else None
    own = isinstance(found, (FunctionType, type)) and found.__module__ == "__main__"
    return found if own else None
