"""fastcore's functions for values: the first of several, tuples of one, whether two things are equal."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from cofactor.notebook._fastcore.lists import L, is_array, is_iter, listify

__all__ = [
    "Inf",
    "NullType",
    "add",
    "all_equal",
    "array_equal",
    "detuplify",
    "df_equal",
    "eq",
    "equals",
    "first",
    "ge",
    "gt",
    "ifnone",
    "in_",
    "is_",
    "is_close",
    "is_coll",
    "is_listy",
    "is_not",
    "last",
    "le",
    "lt",
    "mod",
    "mul",
    "ne",
    "negate",
    "noop",
    "noops",
    "not_",
    "null",
    "one_is_instance",
    "only",
    "range_of",
    "ret_false",
    "ret_true",
    "risinstance",
    "setify",
    "stop",
    "sub",
    "tonull",
    "true",
    "truediv",
    "tuplify",
    "uniqueify",
]


def ifnone(a: Any, b: Any) -> Any:
    """Return ``a``, or ``b`` if ``a`` is None."""
    return b if a is None else a


def noop(x: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Return the first argument."""
    return x


def noops(self: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Return the first argument, as a method."""
    return x


def stop(e: Any = StopIteration) -> Any:
    """Raise it."""
    raise e


def ret_true(*args: Any, **kwargs: Any) -> bool:
    return True


def ret_false(*args: Any, **kwargs: Any) -> bool:
    return False


def tonull(x: Any) -> Any:
    return null if x is None else x


class NullType:
    """Represents nothing: callable, iterable, false."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return null

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return null

    def __bool__(self) -> bool:
        return False


null = NullType()


def first(x: Any, f: Any = None, negate: bool = False, **kwargs: Any) -> Any:
    """Return the first element (for which ``f`` holds); None where there is none."""
    return next((o for o in x if f is None or bool(f(o, **kwargs)) != negate), None)


def last(x: Any, f: Any = None, negate: bool = False, **kwargs: Any) -> Any:
    """Return the last element (for which ``f`` holds); None where there is none."""
    return first(reversed(list(x)), f, negate, **kwargs)


def only(x: Any) -> Any:
    """Return the only element of a collection. Raises ValueError if there are none or several."""
    found = list(x)
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} elements, not one")
    return found[0]


def range_of(x: Any, b: Any = None, step: Any = None) -> list[int]:
    """Return positions of a collection, or the numbers of a range."""
    if hasattr(x, "__len__"):
        x = len(x)
    return list(range(x) if b is None else range(x, b, step or 1))


def tuplify(x: Any, use_list: bool = False, match: Any = None) -> tuple[Any, ...]:
    """Return a tuple of it."""
    return tuple(listify(x, use_list=use_list, match=match))


def detuplify(x: Any) -> Any:
    """Return the element of a tuple of one; None of an empty one."""
    if len(x) == 0:
        return None
    return x[0] if len(x) == 1 and getattr(x, "ndim", 1) == 1 else x


def setify(x: Any) -> set[Any]:
    """Return a set of it."""
    return x if isinstance(x, set) else set(listify(x))


def uniqueify(x: Any, sort: bool = False, bidir: bool = False, start: Any = None) -> Any:
    """Return each element once."""
    return L(x).unique(sort=sort, bidir=bidir, start=start)


def is_listy(x: Any) -> bool:
    """Return whether it is a list, tuple, ``L``, slice or generator."""
    return isinstance(x, (tuple, list, slice, Generator))


def is_coll(x: Any) -> bool:
    """Return whether it has a length."""
    return hasattr(x, "__len__") and hasattr(type(x), "__len__")


def all_equal(a: Any, b: Any) -> bool:
    """Return whether both have the same length and equal elements."""
    if not is_iter(b):
        return False
    a, b = list(a), list(b)
    return len(a) == len(b) and all(equals(x, y) for x, y in zip(a, b))


def array_equal(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool(np.all((a == b) | ((a != a) & (b != b))))


def df_equal(a: Any, b: Any) -> bool:
    """Return whether two frames (or columns) hold the same."""
    return bool(a.equals(b))


def equals(a: Any, b: Any) -> bool:
    """Return whether two things are the same: arrays element by element, frames, dicts, lists in lists."""
    if isinstance(a, type) or isinstance(b, type):
        return bool(a == b)
    if hasattr(a, "equals") and hasattr(a, "iloc"):
        return type(a) is type(b) and df_equal(a, b)
    if is_array(a) or is_array(b):
        if is_array(a) != is_array(b) and not isinstance(b if is_array(a) else a, (int, float, complex, list, tuple)):
            return False
        return array_equal(_plain(a), _plain(b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equals(a[k], b[k]) for k in a)
    if isinstance(a, (str, bytes)) or not is_iter(a) or isinstance(a, (set, frozenset)):
        return bool(a == b)
    return all_equal(a, b)


def _plain(x: Any) -> Any:
    return x.detach().cpu().numpy() if hasattr(x, "detach") else x


def is_close(a: Any, b: Any, eps: float = 1e-5) -> bool:
    """Return whether numbers (or arrays, or collections of them) lie within ``eps``."""
    if is_array(a) or is_array(b):
        return bool((abs(np.asarray(_plain(a), float) - np.asarray(_plain(b), float)) < eps).all())
    if is_iter(a) or is_iter(b):
        return all(abs(x - y) < eps for x, y in zip(a, b))
    return bool(abs(a - b) < eps)


def is_not(a: Any, b: Any) -> bool:
    return a is not b


def _operator(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return an operator that waits for its left side if it gets one argument."""

    @functools.wraps(function)
    def either(*args: Any) -> Any:
        if len(args) == 1:
            return lambda o: function(o, args[0])
        return function(*args)

    return either


lt, gt, le, ge, eq, ne = (_operator(getattr(operator, n)) for n in ("lt", "gt", "le", "ge", "eq", "ne"))
add, sub, mul, truediv, mod = (_operator(getattr(operator, n)) for n in ("add", "sub", "mul", "truediv", "mod"))
is_ = _operator(operator.is_)
in_ = _operator(lambda x, a: x in a)


def true(x: Any) -> Any:
    """Return True."""
    return True


def not_(f: Callable[..., Any]) -> Callable[..., bool]:
    """Return the negation of the function."""
    return lambda *args, **kwargs: not f(*args, **kwargs)


negate = not_


class Inf:
    """Endless sequences."""

    @property
    def count(self) -> Any:
        return itertools.count()

    @property
    def zeros(self) -> Any:
        return itertools.cycle([0])

    @property
    def ones(self) -> Any:
        return itertools.cycle([1])

    @property
    def nones(self) -> Any:
        return itertools.cycle([None])


Inf = Inf()  # type: ignore[assignment,misc]


def one_is_instance(a: Any, b: Any, t: Any) -> bool:
    return isinstance(a, t) or isinstance(b, t)


def risinstance(types: Any, obj: Any = None) -> Any:
    """``isinstance`` with swapped arguments."""
    return (lambda o: isinstance(o, types)) if obj is None else isinstance(obj, types)
