"""Refuse unknown keywords by name, and suggest the nearest known one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from cofactor.errors import ConfigError, did_you_mean

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


class KeywordError(ConfigError, TypeError):
    """A function was given an unknown keyword."""


def refuse(name: str, given: Iterable[str], known: Iterable[str], harmless: Iterable[str] = ()) -> None:
    """Raise KeywordError for the first keyword that is neither known nor harmless."""
    names, more = list(known), list(harmless)
    for word in given:
        if word not in names and word not in more:
            there = f"; it has: {', '.join(names)}." if names else "; it has none."
            raise KeywordError(f"{name} has no keyword {word!r}{there}{did_you_mean(word, names, 1)}")


def takes(*harmless: str, called: str = "") -> Callable[[F], F]:
    """Decorator: refuse keywords that the function does not name. ``harmless`` ones are accepted and have no effect.

    A harmless keyword is one of fastai's for which only one way exists here (``ctxs``, ``pickle_module``). ``called``:
    the class under which readers know the method.
    """

    def decorate(function: F) -> F:
        known = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in ("self", "cls")
        ]
        name = function.__qualname__.removesuffix(".__init__")
        if called:
            name = f"{called}.{function.__name__}"

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                refuse(name, kwargs, known, harmless)
                kwargs = {k: v for k, v in kwargs.items() if k not in harmless}
            return function(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate


def part_of(called: str) -> Callable[[C], C]:
    """Decorator for a class that holds methods of another class, ``called``: as :func:`takes_its_own`."""
    return lambda kind: takes_its_own(kind, called)


def takes_its_own(kind: C, called: str = "") -> C:
    """Decorator for a class: each public method refuses keywords that it does not name, unless it passes them on."""
    for name, value in list(vars(kind).items()):
        inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if not inspect.isfunction(inner) or (name.startswith("_") and name != "__init__"):
            continue
        if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(inner).parameters.values()) or hasattr(
            inner, "__wrapped__"
        ):
            continue
        checked = takes(called=called)(inner)
        setattr(kind, name, type(value)(checked) if inner is not value else checked)
    return kind
