"""Find out whether the code of a module does anything besides computing its output.

Effects of a batch elsewhere, such as a counter, a list or a log, are lost if a kernel trains in place of the module's
own ``forward``.

The byte code of ``forward`` is read, and that of the functions and methods that it names; nothing is run. Anything
unknown counts as an effect: autograd, which calls ``forward`` for every batch, is never wrong. Lists, dicts and sets
that are attributes of the module are not examined here: a caller that calls the module once can compare them.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import builtins
import dis
import functools
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

_WRITES = {
    *("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE"),
    "IMPORT_NAME",
}
_TELLING = {
    *("breakpoint", "delattr", "eval", "exec", "globals", "input", "iter", "next", "open", "print", "setattr", "vars"),
    *("__import__", "locals", "compile"),
}
"""Built-in functions with effects, or that hide effects."""
_LIBRARIES = {"torch", "cofactor", "numpy", "math", "operator", "functools", "collections", "typing", "builtins"}
"""Libraries whose functions and classes only compute; they are not examined."""
_PLAIN = (int, float, complex, str, bytes, type(None), np.generic, torch.dtype, torch.device, torch.Tensor)
"""A change of a tensor attribute is visible to the caller of the module: its version changes."""


def has_side_effects(module: nn.Module) -> bool:
    """Return whether a call of the module may have an effect besides its output."""
    reader = _Reader(module)
    if any(reader.acts(f, type(part)) for part in module.modules() for f in _called(part)):
        return True
    kept = [v for part in module.modules() for name, v in vars(part).items() if name in reader.names]
    return any(not isinstance(v, (list, dict, set)) and reader.acts(v, type(module)) for v in kept)


def acts(function: Any, module: nn.Module) -> bool:
    """Return whether a call of the function, which works on what the module gives, may have an effect."""
    return _Reader(module).acts(function, type(module))


def _called(part: nn.Module) -> Iterator[Any]:
    """Yield what runs when a module is called, except code of PyTorch and this package."""
    if "forward" in vars(part):
        yield vars(part)["forward"]
    for name in ("__call__", "forward"):
        yield from _defined(type(part).__mro__, name)


def _defined(kinds: Iterable[type], name: str) -> Iterator[Any]:
    """Yield what classes that do not belong to a library define under a name."""
    for kind in kinds:
        if not _library(kind) and name in vars(kind):
            yield vars(kind)[name]


def _library(found: Any) -> bool:
    return str(getattr(found, "__module__", "")).partition(".")[0] in _LIBRARIES


def _held(cell: Any) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # not assigned yet
        return []


class _Reader:
    """Reads each function once. ``kind`` is the class of the module that a function works for."""

    def __init__(self, module: nn.Module) -> None:
        self.parts = {id(m) for m in module.modules()}
        self.seen: set[Any] = set()
        self.names: set[str] = set()
        """Attributes that the code names."""

    def acts(self, found: Any, kind: type) -> bool:
        """Return whether a value that code names, or may call, has or is an effect."""
        if isinstance(found, (staticmethod, classmethod, MethodType)):
            found = found.__func__
        if isinstance(found, property):
            return found.fget is not None and self.acts(found.fget, kind)
        if isinstance(found, ModuleType):
            return found.__name__.partition(".")[0] not in _LIBRARIES
        if isinstance(found, type):
            return not _library(found) and not issubclass(found, nn.Module)
        if isinstance(found, tuple):
            return any(self.acts(o, kind) for o in found)
        if isinstance(found, functools.partial):
            return any(self.acts(o, kind) for o in (found.func, *found.args, *found.keywords.values()))
        if isinstance(found, _PLAIN) or id(found) in self.parts:
            return False
        if isinstance(
            found, BuiltinFunctionType
        ):  # attribute of an object, such as the append of a list, or of a module
            owner = found.__self__
            return not (owner is None or isinstance(owner, (ModuleType, type)) or _library(owner))
        if not isinstance(found, FunctionType):
            return not (callable(found) and (_library(found) or self._computes(found)))
        if found in self.seen or (_library(found) and not found.__closure__):
            return False
        self.seen.add(found)
        cells = dict(zip(found.__code__.co_freevars, found.__closure__ or ()))
        held = [v for name, c in cells.items() if name != "__class__" for v in _held(c)]
        if any(self.acts(v, kind) for v in held):
            return True
        return not _library(found) and self._writes(found.__code__, found.__globals__, kind, held)

    def _computes(self, found: Any) -> bool:
        """Return whether a call of an object that does not belong to a library, with what it holds, has no effect."""
        if not hasattr(found, "__dict__") or id(found) in self.seen:
            return False
        self.seen.add(id(found))
        own, kind = _defined(type(found).__mro__, "__call__"), type(found)
        return not any(self.acts(o, kind) for o in (*own, *vars(found).values()))

    def _writes(self, code: CodeType, names: dict[str, Any], kind: type, held: list[Any]) -> bool:
        """Return whether code changes anything besides its own variables, or names something that does."""
        loaded = list(held)
        self.names |= set(code.co_names)
        for step in dis.get_instructions(code):
            if step.opname in _WRITES or (step.opname == "STORE_DEREF" and step.argval in code.co_freevars):
                return True
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
                name = str(step.argval)
                if name in names:
                    loaded.append(names[name])
                elif name in _TELLING or not hasattr(builtins, name):
                    return True
        if any(self.acts(o, kind) for o in loaded):
            return True
        kinds = dict.fromkeys([*kind.__mro__, *(k for o in loaded if isinstance(o, type) for k in o.__mro__)])
        if any(self.acts(f, kind) for name in code.co_names for f in _defined(kinds, name)):
            return True
        return any(self._writes(c, names, kind, held) for c in code.co_consts if isinstance(c, CodeType))
