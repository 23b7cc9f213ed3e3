"""Transforms: functions of items that are chosen by the annotated type of what they get; and such functions in
order."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cofactor.notebook._fastcore.lists import L

__all__ = [
    "DisplayedTransform",
    "InplaceTransform",
    "ItemTransform",
    "Transform",
]

_METHODS = ("encodes", "decodes", "setups")


class Overloads:
    """Functions of one name. :meth:`find` gives the one whose annotation is nearest to the type of a value.

    ``methods``: whether their first parameter is ``self``.
    """

    def __init__(self, functions: Any, methods: bool) -> None:
        self.methods = methods
        self.functions = [(_kinds(f, int(methods)), f) for f in functions]

    def add(self, f: Callable[..., Any]) -> None:
        """Add a function; of two that are as near, the last one added is taken."""
        self.functions.append((_kinds(f, int(self.methods)), f))

    def find(self, x: Any) -> Callable[..., Any] | None:
        """The function for a value, or None."""
        order, best, nearest = type(x).__mro__, None, len(type(x).__mro__) + 1
        for kinds, f in self.functions:
            away = [order.index(k) if k in order else len(order) - 1 for k in kinds if isinstance(x, k)]
            if away and min(away) <= nearest:
                best, nearest = f, min(away)
        return best

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        return self if obj is None else partial(self, obj)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        f = self.find(args[int(self.methods)])
        if f is None:
            raise TypeError(f"nothing here takes a {type(args[int(self.methods)]).__name__}")
        return f(*args, **kwargs)


def _kinds(f: Any, at: int) -> tuple[Any, ...]:
    """The types that parameter ``at`` of a function takes, as it is annotated."""
    try:
        names = list(inspect.signature(f).parameters)
        hints = typing.get_type_hints(f)
    except (TypeError, ValueError, NameError, AttributeError):
        return (object,)
    hint = hints.get(names[at], object) if at < len(names) else object
    several = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    kinds = [typing.get_origin(k) or k for k in several]
    return tuple(k if isinstance(k, type) and k is not Any else object for k in kinds)


class _Namespace(dict[str, object]):
    """The body of a class, in which ``encodes`` and its like may be defined several times."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name in _METHODS and inspect.isfunction(value):
            there = self.get(name)
            if isinstance(there, Overloads):
                there.add(value)
                return
            value = Overloads([value], methods=True)
        super().__setitem__(name, value)


class _Meta(type):
    @classmethod
    def __prepare__(mcs, name: str, bases: Any, /, **kwargs: Any) -> _Namespace:
        return _Namespace()

    def __new__(mcs, name: str, bases: Any, namespace: Any, **kwargs: Any) -> Any:
        made = super().__new__(mcs, name, bases, dict(namespace), **kwargs)
        for method in _METHODS:
            own = made.__dict__.get(method)
            above = next((b.__dict__[method] for b in made.__mro__[1:] if method in b.__dict__), None)
            if isinstance(own, Overloads) and isinstance(above, Overloads):
                own.functions[:0] = above.functions
        taken = inspect.signature(getattr(made, "__init__"))  # noqa: B009
        setattr(made, "__signature__", taken.replace(parameters=list(taken.parameters.values())[1:]))  # noqa: B010
        return made

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """An object; of a function ``encodes(self, x)``: one more method of the class."""
        f = args[0] if len(args) == 1 and not kwargs else None
        if inspect.isfunction(f) and f.__name__ in _METHODS and f.__code__.co_varnames[:1] == ("self",):
            if f.__name__ not in cls.__dict__:
                above = getattr(cls, f.__name__, None)
                fresh = Overloads([], methods=True)
                fresh.functions = list(above.functions) if isinstance(above, Overloads) else []
                setattr(cls, f.__name__, fresh)
            cls.__dict__[f.__name__].add(f)
            return cls
        return super().__call__(*args, **kwargs)


def is_tuple(x: Any) -> bool:
    """Whether it is a tuple whose elements are transformed one by one; a named one is an item."""
    return isinstance(x, tuple) and not hasattr(x, "_fields")


class Transform(metaclass=_Meta):
    """Subclass it: ``encodes`` changes, ``decodes`` undoes, ``setups`` looks at all items. Or give functions.

    A method may be defined several times, for other types of its argument; what none of them takes stays as it is. The
    elements of a tuple are transformed one by one. With ``split_idx`` 0 it changes training items alone, with 1 those
    for validation.
    """

    split_idx: int | None = None
    order, train_setup, init_enc = 0, None, None

    def __init__(self, enc: Any = None, dec: Any = None, split_idx: Any = None, order: Any = None) -> None:
        enc, dec = L(enc), L(dec)
        for name, functions in (("encodes", enc), ("decodes", dec)):
            if functions:
                self.__dict__[name] = Overloads(list(functions), methods=False)
        if enc:
            self.order = getattr(enc[0], "order", self.order)
            self._name = getattr(enc[0], "__name__", type(enc[0]).__name__)
        if split_idx is not None:
            self.split_idx = split_idx
        if order is not None:
            self.order = order

    @property
    def name(self) -> str:
        return self.__dict__.get("_name") or type(self).__name__

    def __repr__(self) -> str:
        counts = [
            len(f.functions) if isinstance(f, Overloads) else 0 for f in (self._of("encodes"), self._of("decodes"))
        ]
        return f"{self.name}(enc:{counts[0]},dec:{counts[1]})"

    def _of(self, method: str) -> Any:
        return self.__dict__.get(method) or getattr(type(self), method, None)

    def _call(self, method: str, x: Any, split_idx: Any, kwargs: Any) -> Any:
        f = self._of(method)
        if f is None or (self.split_idx is not None and split_idx != self.split_idx):
            return x
        return self._each(f, x, kwargs)

    def _each(self, f: Any, x: Any, kwargs: Any) -> Any:
        if is_tuple(x):
            return tuple(self._each(f, one, kwargs) for one in x)
        if not isinstance(f, Overloads):
            return f(x, **kwargs)
        found = f.find(x)
        if found is None:
            return x
        return found(self, x, **kwargs) if f.methods else found(x, **kwargs)

    def __call__(self, x: Any, split_idx: Any = None, **kwargs: Any) -> Any:
        return self._call("encodes", x, split_idx, kwargs)

    def decode(self, x: Any, split_idx: Any = None, **kwargs: Any) -> Any:
        return self._call("decodes", x, split_idx, kwargs)

    def setup(self, items: Any = None, train_setup: bool = False) -> Any:
        f = getattr(self, "setups", None)
        if train_setup if self.train_setup is None else self.train_setup:
            items = getattr(items, "train", items)
        return None if f is None else f(items)


class DisplayedTransform(Transform):
    """A :class:`Transform`."""


class InplaceTransform(Transform):
    """A :class:`Transform` that changes what it is given, and returns that."""

    def _call(self, method: str, x: Any, split_idx: Any, kwargs: Any) -> Any:
        super()._call(method, x, split_idx, kwargs)
        return x


class ItemTransform(Transform):
    """A :class:`Transform` of a tuple as a whole, which it gets as a list."""

    def _each(self, f: Any, x: Any, kwargs: Any) -> Any:
        if not is_tuple(x):
            return super()._each(f, x, kwargs)
        found = super()._each(f, list(x), kwargs)
        return tuple(found) if isinstance(found, (list, L)) else found


def step(f: Any, x: Any, split_idx: int | None = None) -> Any:
    """What a function or transform makes of a value. A function, too, takes the elements of a tuple one by one, unless
    it says ``whole``."""
    if isinstance(f, Transform):
        return f(x, split_idx=split_idx)
    if is_tuple(x) and not getattr(f, "whole", False):
        return tuple(f(one) for one in x)
    return f(x)


def undone(f: Any, x: Any, split_idx: int | None = None) -> Any:
    """A value before :func:`step`, where ``f`` can undo it."""
    if isinstance(f, Transform):
        return f.decode(x, split_idx=split_idx)
    return f.decode(x) if hasattr(f, "decode") else x


class InOrder:
    """Functions, classes of which are made, by their ``order``."""

    def __init__(self, fs: Any = None) -> None:
        made = [f() if isinstance(f, type) and f.__module__ != "builtins" else f for f in L(fs) if f is not None]
        self.fs = L(sorted(made, key=lambda f: getattr(f, "order", 0)))

    def __getitem__(self, i: Any) -> Any:
        return self.fs[i]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fs)

    def __len__(self) -> int:
        return len(self.fs)
