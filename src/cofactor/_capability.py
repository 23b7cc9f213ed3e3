"""What a model can do, asked with ``isinstance``: a quick check of runtime protocols."""

from __future__ import annotations

import functools
from abc import ABCMeta
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    _ProtocolType = ABCMeta
else:
    _ProtocolType = type(Protocol)


_ABSENT = object()


class Capability(_ProtocolType):
    """The metaclass of the protocols: ``isinstance`` looks up once per class which members it lacks.

    Only these are looked for on the object. One list asks a dozen times, and Python's own check took a tenth of it.
    """

    def __instancecheck__(cls, instance: object) -> bool:
        kind = type(instance)
        lacking = _lacking(cls).get(kind)
        if lacking is None:
            wanted = () if cls in kind.__mro__ else _members(cls)
            lacking = _lacking(cls)[kind] = tuple(name for name in wanted if not _has(kind, cls, name))
        return all(_has(instance, cls, name) for name in lacking)


@functools.cache
def _lacking(cls: type) -> WeakKeyDictionary[type, tuple[str, ...]]:
    """The members that each class lacks, for the classes that were asked about."""
    return WeakKeyDictionary()


def _has(thing: object, cls: type, name: str) -> bool:
    """Whether an object has a member of the protocol ``cls``; a method that is None does not count."""
    found = getattr(thing, name, _ABSENT)
    return found is not _ABSENT and (found is not None or not callable(getattr(cls, name, None)))


@functools.cache
def _members(cls: type) -> tuple[str, ...]:
    """The public members of a protocol."""
    found: dict[str, None] = {}
    for base in cls.__mro__:
        if getattr(base, "_is_protocol", False) and base is not Protocol:
            found |= dict.fromkeys([*vars(base).get("__annotations__", ()), *vars(base)])
    return tuple(name for name in found if not name.startswith("_"))
