"""Find out from numba's cache whether a model's kernels were compiled before; compiling them takes memory."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from cofactor.data.arrays import group_kernels

_OURS = ("cofactor.models", "cofactor.kernels")
_LISTS = "cofactor.kernels.products"
"""Modules of list kernels, which training seldom needs."""
_FEW = 8
"""A model counts as compiled if more than one in this many of the kernels that its modules know is in the cache."""


def is_compiled(cls: type[Any]) -> bool:
    """Return whether some of the kernels that a model's modules know are in numba's cache."""
    known = kernels_of(*(base.__module__ for base in cls.__mro__)) or kernels_of(group_kernels().__name__)
    found = sum(map(_is_kept, known))
    return found * _FEW > len(known)


def kernels_of(*names: str) -> list[Any]:
    """Return the cached kernels in these modules of models and kernels, and in the modules that they import."""
    todo, seen, found = list(names), set(names), {}
    while todo:
        module = sys.modules.get(todo.pop())
        if module is None or not module.__name__.startswith(_OURS) or module.__name__ == _LISTS:
            continue
        for value in list(vars(module).values()):
            function = getattr(value, "py_func", None)
            if function is not None and hasattr(value, "stats") and _index(value) is not None:
                found[f"{function.__module__}.{function.__qualname__}"] = value
            whole = isinstance(value, ModuleType) and value.__name__.startswith(_OURS[1])
            name = value.__name__ if whole else getattr(function or value, "__module__", None)
            if isinstance(name, str) and name not in seen:
                seen.add(name)
                todo.append(name)
    return list(found.values())


def _is_kept(kernel: Any) -> bool:
    """Return whether the compiled code of a kernel exists and is newer than its source."""
    path, source = _index(kernel), Path(kernel.py_func.__code__.co_filename)
    return path is not None and path.exists() and path.stat().st_mtime >= source.stat().st_mtime


def _index(kernel: Any) -> Path | None:
    """Return the file in which numba indexes the compiled code of a kernel; None if it caches nothing of it."""
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    path = getattr(file, "_index_path", None)
    return None if path is None else Path(path)
