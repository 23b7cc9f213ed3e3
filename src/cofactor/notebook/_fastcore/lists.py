"""``L``: a list that shows its length, accepts lists of positions or masks as an index, and maps, filters and zips."""

from __future__ import annotations

import functools
import itertools
import operator
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "L",
    "groupby",
    "is_array",
    "is_iter",
    "listify",
    "mask2idxs",
]


def is_array(x: Any) -> bool:
    """Return whether it is an array or tensor, or can be converted to one."""
    return hasattr(x, "__array__") or hasattr(x, "iloc")


def is_iter(x: Any) -> bool:
    """Return whether it can be looped over (a zero-dimensional tensor cannot)."""
    return isinstance(x, Iterable) and getattr(x, "ndim", 1) != 0


def listify(x: Any = None, *rest: Any, use_list: bool = False, match: Any = None) -> list[Any]:
    """Return a list: empty for None, one element for texts, arrays and things that cannot be looped over."""
    if rest:
        return [x, *rest]
    if x is None:
        found: list[Any] = []
    elif isinstance(x, list) or use_list:
        found = list(x)
    elif isinstance(x, (str, bytes)) or is_array(x) or not is_iter(x):
        found = [x]
    else:
        found = list(x)
    return found if match is None or len(found) != 1 else found * len(match)


def as_function(f: Any) -> Callable[..., Any]:
    """Return a function of one argument: from a format text, a dict (or list) to look up in, or a function."""
    if isinstance(f, str):
        return f.format
    if callable(f):
        return f  # type: ignore[no-any-return]
    return f.get if isinstance(f, Mapping) else f.__getitem__


def _sort_key(key: Any) -> Any:
    if isinstance(key, str):
        return lambda o: getattr(o, key, 0)
    return operator.itemgetter(key) if isinstance(key, int) else key


SHOWN = 250
"""Number of items of a list that are shown."""


class L(list[Any]):
    """A list with methods. ``L(1, 2)`` and ``L([1, 2])`` are the same; ``L(None)`` is empty, ``L("ab")`` has one
    element."""

    def __init__(self, items: Any = None, *rest: Any, use_list: Any = False, match: Any = None) -> None:
        if rest:
            items = [items, *rest]
        elif items is None:
            items = []
        elif (isinstance(items, (str, bytes)) and not use_list) or not is_iter(items):
            items = [items]
        super().__init__(items)
        if match is not None and len(self) == 1:
            self.extend(list(self) * (len(match) - 1))

    def __repr__(self) -> str:
        """Show a list; a long one by its length and its first items."""
        shown = ", ".join(repr(i) for i in self[:SHOWN])
        return f"[{shown}]" if len(self) < SHOWN else f"(#{len(self)}) [{shown}{'...' if len(self) > SHOWN else ''}]"

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        p.text("..." if cycle else repr(self))

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return type(self)(list(self)[at])
        if isinstance(at, (list, tuple, range, np.ndarray, Tensor)) and not (hasattr(at, "ndim") and at.ndim == 0):
            which = [i.item() if hasattr(i, "item") else i for i in at]
            if which and all(isinstance(i, bool) for i in which):
                return type(self)([v for v, keep in zip(self, which) if keep])
            return type(self)([super(L, self).__getitem__(int(i)) for i in which])
        return super().__getitem__(int(at))

    def __setitem__(self, at: Any, value: Any) -> None:
        if isinstance(at, (slice, int)):
            super().__setitem__(at, value)
            return
        which = mask2idxs(at)
        values = value if isinstance(value, (list, tuple)) else [value] * len(which)
        for i, v in zip(which, values):
            super().__setitem__(int(i), v)

    def __add__(self, other: Any) -> Self:
        return type(self)([*self, *L(other)])

    def __radd__(self, other: Any) -> Self:
        return type(self)([*L(other), *self])

    def __iadd__(self, other: Any) -> Self:
        self.extend(L(other))
        return self

    def __mul__(self, n: Any) -> Self:
        return type(self)(list(self) * n)

    def __invert__(self) -> Self:
        return type(self)([not o for o in self])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, tuple, range, np.ndarray, Tensor)):
            return NotImplemented
        theirs = list(other)
        if len(theirs) != len(self):
            return False
        return all(bool(np.all(np.asarray(a == b))) if is_array(a) else bool(a == b) for a, b in zip(self, theirs))

    __hash__ = None

    def copy(self) -> Self:
        return type(self)(list(self))

    # ---- made

    @classmethod
    def range(cls, a: Any, b: Any = None, step: Any = None) -> Self:
        """Return the numbers of a range, or the positions of a collection."""
        if hasattr(a, "__len__"):
            a = len(a)
        return cls(range(a) if b is None else range(a, b, step or 1))

    @classmethod
    def split(cls, s: str, sep: str | None = None, maxsplit: int = -1) -> Self:
        """Return the parts of a text."""
        return cls(s.split(sep, maxsplit))

    @classmethod
    def splitlines(cls, s: str, keepends: bool = False) -> Self:
        """Return the lines of a text."""
        return cls(s.splitlines(keepends))

    # ---- each element

    def map(self, f: Any, *args: Any, **kwargs: Any) -> Self:
        """``f`` of every element (a function, a format text, or a dict)."""
        call = as_function(f)
        return type(self)([call(o, *args, **kwargs) for o in self])

    def map_dict(self, f: Any = lambda o: o, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Return a dict from every element to ``f`` of it."""
        return {o: f(o, *args, **kwargs) for o in self}

    def map_filter(self, f: Any = lambda o: o, g: Any = lambda o: o, *args: Any, **kwargs: Any) -> Self:
        """``f`` of every element, where ``g`` of that holds."""
        return type(self)([r for o in self if g(r := f(o, *args, **kwargs))])

    def map_first(self, f: Any = lambda o: o, g: Any = lambda o: o, *args: Any, **kwargs: Any) -> Any:
        """Return the first ``f`` of an element for which ``g`` holds."""
        return next((r for o in self if g(r := f(o, *args, **kwargs))), None)

    def flatmap(self, f: Any, *args: Any, **kwargs: Any) -> Self:
        """Return the elements of ``f`` of every element."""
        return self.map(f, *args, **kwargs).concat()

    def starmap(self, f: Any, *args: Any, **kwargs: Any) -> Self:
        """``f`` of every element taken as arguments."""
        return type(self)([f(*o, *args, **kwargs) for o in self])

    def rstarmap(self, f: Any, *args: Any, **kwargs: Any) -> Self:
        """Work like :meth:`starmap`, with each element's arguments in reverse."""
        return type(self)([f(*reversed(list(o)), *args, **kwargs) for o in self])

    def filter(self, f: Any = None, negate: bool = False, **kwargs: Any) -> Self:
        """Return the elements for which ``f`` holds (or, with ``negate``, does not)."""
        if f is None:
            return type(self)([o for o in self if bool(o) != negate])
        if isinstance(f, dict):
            raise TypeError("filter takes a function")
        return type(self)([o for o in self if bool(f(o, **kwargs)) != negate])

    def itemgot(self, *at: Any) -> Self:
        """Element ``at`` of every element."""
        found: Any = list(self)
        for i in at:
            found = [o[i] for o in found]
        return type(self)(found)

    def attrgot(self, name: str, default: Any = None) -> Self:
        """Return an attribute (or, of a dict, the value) of every element."""
        return type(self)([o.get(name, default) if isinstance(o, dict) else getattr(o, name, default) for o in self])

    def setattrs(self, attr: str, val: Any) -> None:
        """Set an attribute of every element."""
        for o in self:
            setattr(o, attr, val)

    # ---- order

    def sorted(self, key: Any = None, reverse: bool = False, cmp: Any = None, **kwargs: Any) -> Self:
        """Return the same in order; ``key`` is a function, a position or the name of an attribute."""
        by = functools.cmp_to_key(cmp) if cmp else _sort_key(key)
        return type(self)(sorted(self, key=by, reverse=reverse, **kwargs))

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        super().sort(key=_sort_key(key), reverse=reverse)

    def sorted_idxs(self, key: Any = None, reverse: bool = False) -> Self:
        """Return the positions that sort it."""
        by = _sort_key(key) or (lambda o: o)
        return type(self)(sorted(range(len(self)), key=lambda i: by(self[i]), reverse=reverse))

    def shuffle(self) -> Self:
        """Return the same in an order drawn from ``random``."""
        found = list(self)
        random.shuffle(found)
        return type(self)(found)

    def unique(self, sort: bool = False, bidir: bool = False, start: Any = None) -> Any:
        """Return each element once, in order of first appearance."""
        found = list(dict.fromkeys([*L(start), *self]))
        if sort:
            found = sorted(found)
        return (type(self)(found), {v: i for i, v in enumerate(found)}) if bidir else type(self)(found)

    def argwhere(self, f: Any, negate: bool = False, **kwargs: Any) -> Self:
        """Return the positions where ``f`` holds."""
        return type(self)([i for i, o in enumerate(self) if bool(f(o, **kwargs)) != negate])

    def argfirst(self, f: Any, negate: bool = False) -> int | None:
        """Return the first position where ``f`` holds; None where there is none."""
        return next((i for i, o in enumerate(self) if bool(f(o)) != negate), None)

    def val2idx(self) -> dict[Any, int]:
        """Return a dict from each element to its position."""
        return {v: i for i, v in enumerate(self)}

    # ---- together

    def concat(self) -> Self:
        """Return the elements of all elements."""
        return type(self)([o for part in self for o in (part if isinstance(part, (list, tuple)) else L(part))])

    def zip(self, cycled: bool = False) -> Self:
        """Return the first parts of the elements together, then the second ones, and so on."""
        parts = [list(o) for o in self]
        longest = max((len(p) for p in parts), default=0)
        if cycled:
            parts = [list(itertools.islice(itertools.cycle(p), longest)) for p in parts]
        return type(self)(list(zip(*parts)))

    def zipwith(self, *rest: Any, cycled: bool = False) -> Self:
        """Return each element with those of others at its position."""
        return type(self)([self, *rest]).zip(cycled)

    def map_zip(self, f: Any, *args: Any, cycled: bool = False, **kwargs: Any) -> Self:
        """``f`` of the elements of :meth:`zip`."""
        return self.zip(cycled).starmap(f, *args, **kwargs)

    def map_zipwith(self, f: Any, *rest: Any, cycled: bool = False, **kwargs: Any) -> Self:
        """``f`` of the elements of :meth:`zipwith`."""
        return self.zipwith(*rest, cycled=cycled).starmap(f, **kwargs)

    def enumerate(self) -> Self:
        """Return pairs of position and element."""
        return type(self)(list(enumerate(self)))

    def renumerate(self) -> Self:
        """Return pairs of element and position."""
        return type(self)([(o, i) for i, o in enumerate(self)])

    def product(self) -> Any:
        """Return the product of the elements."""
        return self.reduce(operator.mul)

    def sum(self) -> Any:
        """Return the sum of the elements."""
        return self.reduce(operator.add) if len(self) else 0

    def reduce(self, f: Any, initial: Any = None) -> Any:
        """Combine the elements by ``f``, two at a time."""
        return functools.reduce(f, self) if initial is None else functools.reduce(f, self, initial)

    def groupby(self, key: Any, val: Any = lambda o: o) -> dict[Any, list[Any]]:
        """Return a dict of lists by ``key`` (a function, a position or an attribute)."""
        return groupby(self, key, val)

    def partition(self, f: Any = None, **kwargs: Any) -> tuple[Self, Self]:
        """Return the elements for which ``f`` holds, and the others."""
        return self.filter(f, **kwargs), self.filter(f, negate=True, **kwargs)

    def cycle(self) -> Any:
        """Repeat the elements endlessly."""
        return itertools.cycle(self) if len(self) else itertools.repeat(None)

    def first(self, f: Any = None) -> Any:
        """Return the first element (for which ``f`` holds); None where there is none."""
        return next((o for o in self if f is None or f(o)), None)

    def last(self, f: Any = None) -> Any:
        """Return the last element (for which ``f`` holds); None where there is none."""
        return next((o for o in reversed(self) if f is None or f(o)), None)

    def flatten(self) -> Self:
        """Return the elements of lists in lists."""
        return type(self)(_flat(self))

    def pairwise(self) -> Self:
        """Return each element with the next one."""
        return type(self)(list(itertools.pairwise(self)))

    def batched(self, n: int) -> Self:
        """Return runs of ``n`` elements."""
        return type(self)([tuple(self[i : i + n]) for i in range(0, len(self), n)])

    def combinations(self, r: int) -> Self:
        return type(self)(list(itertools.combinations(self, r)))

    def permutations(self, r: int | None = None) -> Self:
        return type(self)(list(itertools.permutations(self, r)))

    def accumulate(self, f: Any = operator.add, initial: Any = None) -> Self:
        return type(self)(list(itertools.accumulate(self, f, initial=initial)))

    def compress(self, selectors: Any) -> Self:
        return type(self)(list(itertools.compress(self, selectors)))

    def takewhile(self, f: Any) -> Self:
        return type(self)(list(itertools.takewhile(f, self)))

    def dropwhile(self, f: Any) -> Self:
        return type(self)(list(itertools.dropwhile(f, self)))

    def tensored(self) -> Self:
        """Every element as a tensor."""
        return self.map(lambda o: torch.as_tensor(np.asarray(o)))

    def stack(self, dim: int = 0) -> Tensor:
        """Return the elements (tensors) along a new dimension."""
        return torch.stack([torch.as_tensor(o) for o in self], dim=dim)

    def cat(self, dim: int = 0) -> Tensor:
        """Return the elements (tensors) along a dimension that they have."""
        return torch.cat([torch.as_tensor(o) for o in self], dim=dim)


def _flat(x: Any) -> list[Any]:
    return [i for o in x for i in (_flat(o) if isinstance(o, (list, tuple)) else [o])]


def groupby(x: Any, key: Any, val: Any = lambda o: o) -> dict[Any, list[Any]]:
    """Return a dict of lists by ``key`` (a function, a position or an attribute)."""
    by, value = _sort_key(key), _sort_key(val)
    found: dict[Any, list[Any]] = {}
    for o in x.items() if isinstance(x, dict) else x:
        found.setdefault(by(o), []).append(value(o))
    return found


def mask2idxs(mask: Any) -> L:
    """Return positions of a mask (or positions as they are)."""
    values = [o.item() if hasattr(o, "item") else o for o in mask]
    if values and isinstance(values[0], bool):
        return L([i for i, keep in enumerate(values) if keep])
    return L([int(o) for o in values])
